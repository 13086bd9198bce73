//! Health checks to the VIP on one backend, and their answers.

use std::{
    net::{IpAddr, SocketAddr},
    thread,
    time::Duration,
};

use lb_common::{
    addr::{Addr, Mac, Port, Protocol},
    probe::{Aliases, ProbeSettings},
    route::{NextHop, Prefix},
    service::{ForwardMode, ServiceKey},
    settings::{Stages, TunnelSource},
    verdict::Verdict,
};
use lb_tests::{
    case::{self, Case},
    packet::{Packet, Transport},
    packet_path::{self, PacketPath},
    wire::{self, DOT1AD, DOT1Q},
};
use lb_userspace::desired::Probe;

use crate::{
    site::{HOP, LOOPBACK, NODE, WEB, pool},
    tunnel::{GUE_PORT, SEED, l3, wrapped},
};

/// The ends of the probe link.
const NEAR: Mac = Mac([0x02, 0, 0, 0, 1, 0]);
const FAR: Mac = Mac([0x02, 0, 0, 0, 1, 1]);
/// A VIP and two backends each, behind any mode, and behind tunnels alone.
const SAME: [(&str, [&str; 2]); 2] = [
    ("203.0.113.10:80", ["10.0.0.11:80", "10.0.0.12:80"]),
    ("[2001:db8:113::10]:80", ["[fd00::11]:80", "[fd00::12]:80"]),
];
const CROSSED: [(&str, [&str; 2]); 2] = [
    ("203.0.113.11:80", ["[fd00::21]:80", "[fd00::22]:80"]),
    ("[2001:db8:113::11]:80", ["10.0.0.21:80", "10.0.0.22:80"]),
];
const PORT: u16 = 50_000;
/// Identifier and sequence number.
const ECHO: [u8; 4] = [0xab, 0xcd, 0, 7];
const PATIENCE: u32 = 60_000;

/// By the VIP's family: the block of aliases, the address that checks come from, and the node's own
/// towards its backends.
fn own(vip: &str) -> (Aliases, IpAddr, IpAddr) {
    let (block, node) =
        if vip.starts_with('[') { ("fd6c::", "fd00::2") } else { ("240.0.0.0", "10.0.0.2") };
    let aliases = Aliases(block.parse::<IpAddr>().unwrap().into());
    (aliases, aliases.own().to_ip(), node.parse().unwrap())
}

fn load(mode: ForwardMode, patience: u32) -> PacketPath {
    let mut desired = packet_path::nothing(SEED);
    let source =
        |ip: &str, length| TunnelSource::new(Prefix::new(ip.parse().unwrap(), length).unwrap());
    let settings = &mut desired.settings;
    settings.tunnel4 = source("10.99.0.0", 16);
    settings.tunnel6 = source("fd99:1:2:3::", 64);
    settings.stages = settings.stages.with(Stages::PROBES);
    settings.probes = ProbeSettings {
        aliases4: own(SAME[0].0).0,
        aliases6: own(SAME[1].0).0,
        answers: NextHop { interface: LOOPBACK, destination: NEAR, source: FAR, ..HOP },
    };
    desired.devices = [LOOPBACK].into();
    for (vip, webs) in services(mode) {
        let mut service = pool(mode, &webs, HOP);
        service.gue_port = Port::new(GUE_PORT);
        let probe = Probe { source: own(vip).2.into(), patience };
        service.probes = service.backends.keys().map(|endpoint| (*endpoint, probe)).collect();
        let _ = desired.services.insert(key(vip), service);
    }
    PacketPath::load(desired)
}

fn services(mode: ForwardMode) -> impl Iterator<Item = (&'static str, [&'static str; 2])> {
    SAME.into_iter().chain(CROSSED.into_iter().filter(move |_| mode.is_tunnel()))
}

fn key(vip: &str) -> ServiceKey {
    packet_path::key(Protocol::TCP, vip)
}

/// What stands for the VIP on a backend.
fn alias(path: &PacketPath, vip: &str, web: &str) -> IpAddr {
    let web: SocketAddr = web.parse().unwrap();
    path.reconciler().alias(&key(vip), web.into()).unwrap().to_ip()
}

fn packet(transport: Transport, from: (IpAddr, u16), to: (IpAddr, u16)) -> Packet {
    let text = |(ip, port)| SocketAddr::new(ip, port).to_string();
    Packet::new(transport, &text(from), &text(to))
}

fn vip(service: &str) -> IpAddr {
    service.parse::<SocketAddr>().unwrap().ip()
}

/// A check as the daemon sends it, and as its backend gets it.
fn check(
    path: &PacketPath,
    transport: Transport,
    mode: ForwardMode,
    (service, web): (&'static str, &'static str),
) -> Case {
    let (_, daemon, node) = own(service);
    let given = packet(transport, (daemon, PORT), (alias(path, service, web), 80));
    let shown = packet(transport, (node, PORT), (vip(service), 80)).macs(NODE, WEB);
    let inner = shown.clone().hops(63).bytes();
    let sent = if mode.is_tunnel() { wrapped(l3(&inner), &shown, web, mode) } else { inner };
    Case {
        name: "check",
        given: given.macs(NEAR, FAR).bytes(),
        verdict: Verdict::Probe,
        sent: Some(sent),
        counted: None,
    }
}

/// What a backend answers, and what the daemon gets.
fn answer(
    path: &PacketPath,
    transport: Transport,
    (service, web): (&'static str, &'static str),
) -> Case {
    let (_, daemon, node) = own(service);
    let given = packet(transport, (vip(service), 80), (node, PORT)).macs(WEB, NODE);
    let sent = packet(transport, (alias(path, service, web), 80), (daemon, PORT));
    Case {
        name: "answer",
        given: given.bytes(),
        verdict: Verdict::ProbeAnswer,
        sent: Some(sent.macs(FAR, NEAR).bytes()),
        counted: None,
    }
}

/// An echo message: a request, or the answer.
fn echo((from, to): (IpAddr, IpAddr), macs: (Mac, Mac), hops: u8, request: bool) -> Vec<u8> {
    let kind = match (from.is_ipv4(), request) {
        (true, true) => 8,
        (true, false) => 0,
        (false, true) => 128,
        (false, false) => 129,
    };
    let ip = wire::ip(&from.to_string(), &to.to_string(), hops, 0);
    wire::icmp(macs, ip, [kind, 0], ECHO, b"health check")
}

#[test]
fn checks_go_the_way_of_clients_packets_and_answers_come_back() {
    use Transport::{TcpAck, TcpSyn, Udp};
    for mode in [ForwardMode::L2, ForwardMode::IPIP, ForwardMode::GUE] {
        let mut path = load(mode, PATIENCE);
        for (service, webs) in services(mode) {
            let pair = (service, webs[1]);
            for transport in [TcpSyn, TcpAck, Udp] {
                let sent = check(&path, transport, mode, pair);
                let answered = answer(&path, transport, pair);
                let tags = [(DOT1AD, 7), (DOT1Q, 100)];
                let tagged =
                    Case { given: wire::tagged(&answered.given, &tags), ..answered.clone() };
                case::run_probes(&mut path, &[sent]);
                case::run(&mut path, &[answered, tagged]);
            }
        }
    }
}

#[test]
fn echo_requests_go_and_come_back() {
    let mut path = load(ForwardMode::L2, PATIENCE);
    for (service, [web, _]) in SAME {
        let (_, daemon, node) = own(service);
        let (alias, vip) = (alias(&path, service, web), vip(service));
        let row = |given, verdict, sent| {
            let name = "echo";
            Case { name, given, verdict, sent: Some(sent), counted: None }
        };
        let asked = echo((daemon, alias), (NEAR, FAR), 64, true);
        let sent = echo((node, vip), (NODE, WEB), 63, true);
        case::run_probes(&mut path, &[row(asked, Verdict::Probe, sent)]);
        let answered = echo((vip, node), (WEB, NODE), 64, false);
        let heard = echo((alias, daemon), (FAR, NEAR), 64, false);
        let request = echo((vip, node), (WEB, NODE), 64, true);
        case::run(
            &mut path,
            &[
                row(answered, Verdict::ProbeAnswer, heard),
                Case::stopped("a request", request, Verdict::NotTcpOrUdp),
            ],
        );
    }
}

#[test]
fn what_answers_no_check_passes() {
    let mut path = load(ForwardMode::L2, PATIENCE);
    for (service, [web, _]) in SAME {
        let sent = check(&path, Transport::TcpSyn, ForwardMode::L2, (service, web));
        case::run_probes(&mut path, &[sent]);
        let (_, daemon, node) = own(service);
        let vip = vip(service);
        let pass = |name, transport, from, to| {
            let given = packet(transport, from, to).macs(WEB, NODE).bytes();
            Case::stopped(name, given, Verdict::NoService)
        };
        let ack = Transport::TcpAck;
        case::run(
            &mut path,
            &[
                pass("another port of the VIP", ack, (vip, 81), (node, PORT)),
                pass("another port of the node", ack, (vip, 80), (node, PORT + 1)),
                pass("another address of the node", ack, (vip, 80), (daemon, PORT)),
                pass("the backend itself", ack, (self::vip(web), 80), (node, PORT)),
                pass("another protocol", Transport::Udp, (vip, 80), (node, PORT)),
                Case::stopped(
                    "an echo",
                    echo((vip, node), (WEB, NODE), 64, false),
                    Verdict::NotTcpOrUdp,
                ),
            ],
        );
    }
}

#[test]
fn a_port_is_of_one_check_until_that_is_over() {
    let mut path = load(ForwardMode::L2, PATIENCE);
    for (service, [one, other]) in SAME {
        let syn = |path: &PacketPath, web| {
            check(path, Transport::TcpSyn, ForwardMode::L2, (service, web))
        };
        let (first, second) = (syn(&path, one), syn(&path, other));
        let taken = Case::stopped("taken", second.given.clone(), Verdict::ProbeLost);
        let heard = answer(&path, Transport::TcpAck, (service, one));
        let resets = |case: &Case| {
            let [given, sent] =
                [Some(&case.given), case.sent.as_ref()].map(|it| reset(it.unwrap()));
            Case { name: "reset", given, sent: Some(sent), ..case.clone() }
        };
        let reset = resets(&first);
        case::run_probes(&mut path, &[first, taken]);
        case::run(&mut path, std::slice::from_ref(&heard));
        case::run_probes(&mut path, &[reset]);
        let late = Case::stopped("late", heard.given, Verdict::NoService);
        case::run(&mut path, &[late]);
        case::run_probes(&mut path, &[second]);
        let now = answer(&path, Transport::TcpAck, (service, other));
        case::run(&mut path, &[now]);
    }
}

/// The segment with the flag RST besides SYN.
fn reset(frame: &[u8]) -> Vec<u8> {
    let tcp = if l3(frame)[0] >> 4 == 4 { 14 + 20 } else { 14 + 40 };
    let mut frame = frame.to_vec();
    frame[tcp + 13] |= 4;
    let sum = u16::from_be_bytes([frame[tcp + 16], frame[tcp + 17]]);
    // RFC 1624: the flag adds 4 to the sum.
    let sum = u32::from(!sum) + 4;
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[tcp + 16..tcp + 18].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn answers_are_waited_for_as_long_as_a_check_takes() {
    let mut path = load(ForwardMode::L2, 1);
    for (service, [web, other]) in SAME {
        let pair = (service, web);
        let sent = check(&path, Transport::Udp, ForwardMode::L2, pair);
        let next = check(&path, Transport::Udp, ForwardMode::L2, (service, other));
        let late = answer(&path, Transport::Udp, pair).given;
        case::run_probes(&mut path, &[sent]);
        thread::sleep(Duration::from_millis(20));
        case::run(&mut path, &[Case::stopped("late", late, Verdict::NoService)]);
        case::run_probes(&mut path, &[next]);
    }
}

#[test]
fn what_is_no_check_ends_at_the_probe_link() {
    let mut path = load(ForwardMode::L2, PATIENCE);
    for (service, [web, _]) in SAME {
        let (aliases, daemon, node) = own(service);
        let real = alias(&path, service, web);
        let at = |place| aliases.of(place).to_ip();
        let lost = |name, from, to| {
            let given = packet(Transport::TcpSyn, (from, PORT), (to, 80)).bytes();
            Case::stopped(name, given, Verdict::ProbeLost)
        };
        let router = Addr::to_ip(&aliases.router());
        let cases = [
            lost("from another address", node, real),
            lost("nobody's alias", daemon, at(200)),
            lost("a place that no table has", daemon, at(100_000)),
            lost("the router", daemon, router),
            lost("a VIP", daemon, vip(service)),
        ];
        case::run_probes(&mut path, &cases);
    }
    case::run_probes(&mut path, &[Case::stopped("ARP", vec![0xff; 60], Verdict::ProbeLost)]);
}
