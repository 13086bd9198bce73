//! What the node tells clients in a backend's place.

use etherparse::TcpHeader;
use lb_common::{
    addr::Protocol,
    backend::Condition,
    route::Prefix,
    service::ForwardMode,
    settings::{AnswerRates, TunnelSource},
    slot::State,
    verdict::Verdict,
};
use lb_tests::{
    case::{self, Case},
    packet::{Packet, Transport},
    packet_path::{self, PacketPath},
    wire::{self, DOT1AD, DOT1Q, ETHERNET},
};
use lb_userspace::dataplane::Op;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::site::{self, CLIENT4, CLIENT6, L2_VIP4, L2_VIP6, NODE, ROUTER};

/// What the client's frames have as link addresses, and what the answers have.
const TOLD: (lb_common::addr::Mac, lb_common::addr::Mac) = (NODE, ROUTER);
const UNANSWERED: [&str; 5] =
    ["224.0.0.1:40000", "0.0.0.0:40000", "255.255.255.255:40000", "127.0.0.1:1", "240.0.0.1:1"];
const UNANSWERED6: [&str; 3] = ["[::]:40000", "[::1]:40000", "[ff02::1]:40000"];

/// More than fits in one buffer: the kernel hands it over in several.
const JUMBO: usize = 8901;

fn is_v6(vip: &str) -> bool {
    vip.starts_with('[')
}

fn client(vip: &str) -> &'static str {
    if is_v6(vip) { CLIENT6 } else { CLIENT4 }
}

fn packet(transport: Transport, vip: &str, len: usize) -> Packet {
    let packet = Packet::new(transport, client(vip), vip).macs(ROUTER, NODE);
    packet.payload((0..len).map(|at| at as u8).collect())
}

/// The error about a packet.
fn error(kind: [u8; 2], data: [u8; 4], about: &Packet, vip: &str) -> Vec<u8> {
    let (class, longest) = if is_v6(vip) { (0, 1280 - 40 - 8) } else { (0xc0, 576 - 20 - 8) };
    let mut about = about.bytes().split_off(ETHERNET);
    about.truncate(longest);
    wire::icmp(TOLD, wire::ip(vip, client(vip), 64, class), kind, data, &about)
}

fn answered(name: &'static str, given: Vec<u8>, verdict: Verdict, sent: Vec<u8>) -> Case {
    Case { name, given, verdict, sent: Some(sent), counted: None }
}

fn tagged(case: &Case, tags: &[(u16, u16)]) -> Case {
    let tagged = |frame: &[u8]| wire::tagged(frame, tags);
    let sent = case.sent.as_deref().map(tagged);
    Case { given: tagged(&case.given), sent, ..case.clone() }
}

/// Adds the rows with one tag and with two.
fn with_tags(cases: Vec<Case>) -> Vec<Case> {
    let tags = [&[][..], &[(DOT1Q, 0x2064)], &[(DOT1AD, 7), (DOT1Q, 100)]];
    tags.iter().flat_map(|tags| cases.iter().map(|case| tagged(case, tags))).collect()
}

/// A path whose ways to the `l2` backends are tunnels over links of some MTU.
fn narrow(mtu: u16, rates: AnswerRates) -> PacketPath {
    let mut desired = site::desired();
    let source =
        |ip: &str, length| TunnelSource::new(Prefix::new(ip.parse().unwrap(), length).unwrap());
    desired.settings.tunnel4 = source("10.99.0.0", 16);
    desired.settings.tunnel6 = source("fd99::", 64);
    desired.settings.answers = rates;
    let mut path = PacketPath::load(desired);
    for protocol in [Protocol::TCP, Protocol::UDP] {
        for vip in [L2_VIP4, L2_VIP6] {
            path.change(
                &packet_path::key(protocol, vip),
                |service| service.mode = ForwardMode::IPIP,
                |backend| backend.mtu = mtu,
            );
        }
    }
    path
}

const RATES: AnswerRates = AnswerRates { echo: 1000, error: 1000, reset: 1000, padding: 0 };

fn too_big(name: &'static str, packet: &Packet, vip: &str, mtu: u16) -> Case {
    let [high, low] = mtu.to_be_bytes();
    let kind = if is_v6(vip) { [2, 0] } else { [3, 4] };
    let sent = error(kind, [0, 0, high, low], packet, vip);
    answered(name, packet.bytes(), Verdict::TooBig, sent)
}

#[test]
fn clients_are_told_the_size_that_fits() {
    let mut path = narrow(1500, RATES);
    let tcp = |vip, len| packet(Transport::TcpAck, vip, len);
    let mut cases = Vec::new();
    for len in [1441, 1442, 1460, 2000, 3001, JUMBO] {
        cases.push(too_big("too big: v4", &tcp(L2_VIP4, len), L2_VIP4, 1480));
        cases.push(too_big("too big: v6", &tcp(L2_VIP6, len), L2_VIP6, 1460));
    }
    let udp = packet(Transport::Udp, L2_VIP4, 1472);
    cases.push(too_big("too big: udp", &udp, L2_VIP4, 1480));
    let options = tcp(L2_VIP4, 1460).options(&[1; 8]);
    cases.push(too_big("too big: options", &options, L2_VIP4, 1480));
    let padded = {
        let plain = too_big("too big: padded", &tcp(L2_VIP4, 1460), L2_VIP4, 1480);
        Case { given: [&plain.given[..], &[0; 5]].concat(), ..plain }
    };
    cases.push(padded);
    let first = wire::fragments(&packet(Transport::Udp, L2_VIP4, 3000).bytes(), 9, 1480);
    let told = [&first[0][ETHERNET..]].concat();
    let told = &told[..548];
    let ip = wire::ip(L2_VIP4, CLIENT4, 64, 0xc0);
    let sent = wire::icmp(TOLD, ip, [3, 4], [0, 0, 5, 0xc8], told);
    cases.push(answered("too big: first fragment", first[0].clone(), Verdict::TooBig, sent));
    case::run(&mut path, &with_tags(cases));
}

/// An error holds all of a packet that is short, whatever its length; IPv6 has no MTU under 1280.
#[test]
fn short_packets_are_told_whole() {
    let mut path = narrow(60, RATES);
    let mut cases = Vec::new();
    for len in (1..70).chain([492, 493, 507, 508, 509, 1171, 1172, 1173]) {
        let tcp = |vip| packet(Transport::TcpAck, vip, len);
        cases.push(too_big("too big: short v4", &tcp(L2_VIP4), L2_VIP4, 40));
        cases.push(too_big("too big: short v6", &tcp(L2_VIP6), L2_VIP6, 1280));
    }
    case::run(&mut path, &cases);
}

#[test]
fn what_just_fits_goes_on() {
    let mut path = narrow(1500, RATES);
    for (vip, len) in [(L2_VIP4, 1440), (L2_VIP6, 1400)] {
        let outcome = path.run(&packet(Transport::TcpAck, vip, len).bytes());
        assert_eq!(outcome.moved.get(Verdict::Transmitted.as_str()), Some(&1), "{vip}");
    }
}

#[test]
fn nobody_is_told_who_must_not_be() {
    let mut path = narrow(60, RATES);
    let drop = |given: Vec<u8>| Case::stopped("too big: unanswered", given, Verdict::Oversize);
    let plain = packet(Transport::TcpAck, L2_VIP4, 100);
    let mut cases: Vec<Case> = UNANSWERED.map(|from| drop(plain.clone().from(from).bytes())).into();
    let six = packet(Transport::TcpAck, L2_VIP6, 100);
    cases.extend(UNANSWERED6.map(|from| drop(six.clone().from(from).bytes())));
    let mut to_all = plain.bytes();
    to_all[..6].fill(0xff);
    cases.push(drop(to_all));
    let about = Packet::new(Transport::TcpAck, L2_VIP4, CLIENT4).bytes().split_off(ETHERNET);
    let ip = wire::ip("192.0.2.1", L2_VIP4, 64, 0);
    cases.push(drop(wire::icmp((ROUTER, NODE), ip, [3, 4], [0; 4], &about)));
    case::run(&mut path, &cases);
    // Of a datagram in fragments, the first is told of.
    let fragments = wire::fragments(&packet(Transport::Udp, L2_VIP4, 200).bytes(), 9, 104);
    assert_eq!(path.run_only(&fragments[0]).0, 3);
    case::run(&mut path, &[drop(fragments[1].clone())]);
}

/// A path whose `l2` services have flows of a backend that is down.
fn broken(rates: AnswerRates) -> PacketPath {
    let mut desired = site::desired();
    desired.settings.answers = rates;
    let mut path = PacketPath::load(desired);
    for protocol in [Protocol::TCP, Protocol::UDP] {
        for vip in [L2_VIP4, L2_VIP6] {
            let key = packet_path::key(protocol, vip);
            path.fill_ring(&key, State::Moving { current: None, previous: 1 });
            path.change(&key, |_| (), |backend| backend.condition = Condition::DOWN);
        }
    }
    path
}

/// A client's segment.
fn segment(vip: &str, change: impl Fn(&mut TcpHeader), payload: &[u8]) -> Vec<u8> {
    let mut tcp = TcpHeader::new(40000, 80, 0xffff_fff0, 1000);
    change(&mut tcp);
    wire::tcp((ROUTER, NODE), wire::ip(client(vip), vip, 64, 0x2e), tcp, payload)
}

/// The reset that answers it.
fn reset(vip: &str, sequence: u32, acknowledgement: Option<u32>) -> Vec<u8> {
    let mut tcp = TcpHeader::new(80, 40000, sequence, 0);
    tcp.rst = true;
    tcp.ack = acknowledgement.is_some();
    tcp.acknowledgment_number = acknowledgement.unwrap_or(0);
    wire::tcp(TOLD, wire::ip(vip, client(vip), 64, 0), tcp, &[])
}

fn ack(tcp: &mut TcpHeader) {
    tcp.ack = true;
    tcp.acknowledgment_number = 0x1234_5678;
}

#[test]
fn tcp_is_reset() {
    let mut cases = Vec::new();
    for vip in [L2_VIP4, L2_VIP6] {
        let row = |name, given, sequence, acknowledgement| {
            answered(name, given, Verdict::Reset, reset(vip, sequence, acknowledgement))
        };
        let acked = |name, given| row(name, given, 0x1234_5678, None);
        let counted =
            |name, given, len: u32| row(name, given, 0, Some(0xffff_fff0_u32.wrapping_add(len)));
        cases.push(acked("reset: ack", segment(vip, ack, &[])));
        cases.push(acked("reset: data", segment(vip, ack, &[1; 1000])));
        cases.push(acked("reset: jumbo", segment(vip, ack, &[1; JUMBO])));
        cases.push(acked("reset: odd data", segment(vip, ack, &[1; 7])));
        let options = |tcp: &mut TcpHeader| {
            ack(tcp);
            tcp.set_options_raw(&[1; 12]).unwrap();
        };
        cases.push(acked("reset: options", segment(vip, options, &[1; 7])));
        let fin = |tcp: &mut TcpHeader| {
            ack(tcp);
            tcp.fin = true;
        };
        cases.push(acked("reset: fin", segment(vip, fin, &[1; 7])));
        cases.push(counted("reset: no flags", segment(vip, |_| (), &[]), 0));
        cases.push(counted("reset: data without ack", segment(vip, |_| (), &[1; 33]), 33));
        cases.push(counted("reset: fin without ack", segment(vip, |tcp| tcp.fin = true, &[1]), 2));
    }
    let options = packet(Transport::TcpAck, L2_VIP4, 9).options(&[1; 8]).bytes();
    cases.push(answered("reset: ip options", options, Verdict::Reset, reset(L2_VIP4, 0, None)));
    case::run(&mut broken(RATES), &with_tags(cases));
}

#[test]
fn a_reset_is_not_reset() {
    let rst = |tcp: &mut TcpHeader| tcp.rst = true;
    let both = |tcp: &mut TcpHeader| {
        ack(tcp);
        tcp.rst = true;
    };
    let drop = |given| Case::stopped("reset: of a reset", given, Verdict::BackendDown);
    let cases =
        [L2_VIP4, L2_VIP6].map(|vip| [drop(segment(vip, rst, &[])), drop(segment(vip, both, &[]))]);
    case::run(&mut broken(RATES), cases.as_flattened());
}

#[test]
fn udp_is_told_that_the_port_is_unreachable() {
    let mut cases = Vec::new();
    for (vip, kind) in [(L2_VIP4, [3, 3]), (L2_VIP6, [1, 4])] {
        for len in [0, 1, 9, 600, 1400, JUMBO] {
            let given = packet(Transport::Udp, vip, len);
            let sent = error(kind, [0; 4], &given, vip);
            let verdict = Verdict::PortUnreachable;
            cases.push(answered("port unreachable", given.bytes(), verdict, sent));
        }
    }
    case::run(&mut broken(RATES), &with_tags(cases));
}

#[test]
fn nobody_is_refused_who_must_not_be() {
    let mut cases = Vec::new();
    for transport in [Transport::TcpAck, Transport::Udp] {
        let drop =
            |given: Vec<u8>| Case::stopped("refuse: unanswered", given, Verdict::BackendDown);
        for (vip, froms) in [(L2_VIP4, &UNANSWERED[..]), (L2_VIP6, &UNANSWERED6)] {
            let plain = packet(transport, vip, 9);
            cases.extend(froms.iter().map(|from| drop(plain.clone().from(from).bytes())));
            let mut to_group = plain.bytes();
            to_group[0] |= 1;
            cases.push(drop(to_group));
        }
    }
    case::run(&mut broken(RATES), &cases);
}

/// Buckets are each CPU's own.
fn stay_on_this_cpu() {
    let cpus = sched_getaffinity(None).unwrap();
    let first = (0..CpuSet::MAX_CPU).find(|&cpu| cpus.is_set(cpu)).unwrap();
    let mut one = CpuSet::new();
    one.set(first);
    sched_setaffinity(None, &one).unwrap();
}

/// Two answers, and then no more; kinds do not share.
#[test]
fn answers_are_limited() {
    stay_on_this_cpu();
    let two = AnswerRates { echo: 2, error: 2, reset: 2, padding: 0 };
    let (mut broken, mut narrow) = (broken(two), narrow(60, two));
    let ip = wire::ip(CLIENT4, L2_VIP4, 64, 0);
    let echo = wire::icmp((ROUTER, NODE), ip, [8, 0], [0; 4], &[]);
    let udp = packet(Transport::Udp, L2_VIP4, 9).bytes();
    let limited = segment(L2_VIP4, ack, &[]);
    let long = packet(Transport::TcpAck, L2_VIP4, 99).bytes();
    let four = |path: &mut PacketPath, frame: &[u8]| {
        let actions: Vec<u32> = (0..4).map(|_| path.run_only(frame).0).collect();
        assert_eq!(actions, [3, 3, 1, 1]);
    };
    four(&mut broken, &echo);
    four(&mut broken, &limited);
    four(&mut broken, &udp);
    four(&mut narrow, &long);
    let none = AnswerRates { echo: 0, error: 0, reset: 0, padding: 0 };
    let mut settings = broken.desired().settings;
    settings.answers = none;
    broken.apply(&Op::PutSettings(settings));
    case::run(&mut broken, &[Case::stopped("limited", limited, Verdict::RateLimited)]);
}
