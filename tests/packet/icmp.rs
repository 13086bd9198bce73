//! ICMP errors go to the backend of the flow that they are about.

use lb_common::{addr::Protocol, backend::Condition, slot::State, verdict::Verdict};
use lb_tests::{
    case::{self, Case, Counted},
    packet::{Packet, Transport},
    packet_path,
    wire::{self, DOT1AD, DOT1Q, ETHERNET},
};

use crate::site::{
    self, CLIENT4, CLIENT6, EMPTY_VIP, L2_VIP4, L2_VIP6, L2_WEB4, L2_WEB6, LOST_VIP, NAT_VIP4,
    NAT_VIP6, NAT_WEB4, NAT_WEB6, NODE, ROUTER, WEB,
};

/// Routers that could not deliver what a backend sent.
const ROUTER4: &str = "192.0.2.1";
const ROUTER6: &str = "2001:db8:f::1";
/// The MTU that they tell, in the place where IPv4 has it.
const DATA: [u8; 4] = [0, 0, 5, 0xdc];

const fn is_v6(vip: &str) -> bool {
    vip.as_bytes()[0] == b'['
}

fn client(vip: &str) -> &'static str {
    if is_v6(vip) { CLIENT6 } else { CLIENT4 }
}

fn fragmentation_needed(vip: &str) -> [u8; 2] {
    if is_v6(vip) { [2, 0] } else { [3, 4] }
}

/// An error about a packet, of which it holds so many bytes, to `to`.
fn error(kind: [u8; 2], to: &str, about: &[u8], hops: u8) -> Vec<u8> {
    let router = if is_v6(to) { ROUTER6 } else { ROUTER4 };
    let macs = if hops == 64 { (ROUTER, NODE) } else { (NODE, WEB) };
    wire::icmp(macs, wire::ip(router, to, hops, 0xc0), kind, DATA, about)
}

/// What of a packet an error holds: its IP header and so many bytes.
fn embedded(packet: &Packet, len: usize) -> Vec<u8> {
    let bytes = packet.bytes().split_off(ETHERNET);
    let header = bytes.len() - packet.payload.len() - transport_len(packet.transport);
    bytes[..bytes.len().min(header + len)].to_vec()
}

fn transport_len(transport: Transport) -> usize {
    match transport {
        Transport::TcpSyn | Transport::TcpAck => 20,
        Transport::Udp | Transport::UdpUnchecked => 8,
    }
}

/// An error of a kind about an answer of the service, with so many bytes of its transport.
fn row(
    name: &'static str,
    kind: [u8; 2],
    answer: &Packet,
    (vip, web): (&str, &str),
    len: usize,
) -> Case {
    let is_tcp = transport_len(answer.transport) == 20;
    let web = site::host(web, if is_tcp { Protocol::TCP } else { Protocol::UDP });
    let web: &'static str = web.leak();
    let is_nat = [NAT_VIP4, NAT_VIP6].contains(&vip);
    let (to, about) = if is_nat { (web, answer.clone().from(web)) } else { (vip, answer.clone()) };
    Case {
        name,
        given: error(kind, vip, &embedded(answer, len), 64),
        verdict: Verdict::Transmitted,
        sent: Some(error(kind, to, &embedded(&about, len), 63)),
        counted: Some(Counted::Request(web)),
    }
}

fn answer(transport: Transport, vip: &str) -> Packet {
    Packet::new(transport, vip, client(vip)).payload((0..101).collect()).hops(60)
}

/// By family and mode.
const SERVICES: [(&str, &str); 4] =
    [(L2_VIP4, L2_WEB4), (L2_VIP6, L2_WEB6), (NAT_VIP4, NAT_WEB4), (NAT_VIP6, NAT_WEB6)];

/// 8 bytes have TCP's ports without its checksum, 18 have it.
#[test]
fn errors_reach_the_backend_of_their_flow() {
    use Transport::{TcpAck, TcpSyn, Udp, UdpUnchecked};
    let mut cases = Vec::new();
    for service in SERVICES {
        let (vip, kind) = (service.0, fragmentation_needed(service.0));
        for len in [8, 9, 16, 18, 20, 27, 121] {
            cases.push(row("icmp: tcp", kind, &answer(TcpAck, vip), service, len));
        }
        cases.push(row("icmp: tcp syn", kind, &answer(TcpSyn, vip), service, 8));
        for len in [8, 9, 109] {
            cases.push(row("icmp: udp", kind, &answer(Udp, vip), service, len));
        }
        if !is_v6(vip) {
            let unchecked = answer(UdpUnchecked, vip);
            cases.push(row("icmp: udp without checksum", kind, &unchecked, service, 109));
            let options = answer(TcpAck, vip).options(&[1; 12]);
            cases.push(row("icmp: options", kind, &options, service, 8));
            cases.push(row("icmp: options, tcp whole", kind, &options, service, 121));
        }
    }
    case::run(&mut site::load(), &cases);
}

#[test]
fn every_kind_of_error_counts() {
    let v4 = [[3, 0], [3, 1], [3, 3], [3, 4], [3, 13], [11, 0], [11, 1], [12, 0]];
    let v6 = [[1, 0], [1, 3], [1, 4], [2, 0], [3, 0], [3, 1], [4, 0], [4, 1]];
    let mut cases = Vec::new();
    for service in SERVICES {
        for kind in if is_v6(service.0) { v6 } else { v4 } {
            let answer = answer(Transport::TcpAck, service.0);
            cases.push(row("icmp: kinds", kind, &answer, service, 8));
        }
    }
    case::run(&mut site::load(), &cases);
}

#[test]
fn tags_do_not_matter() {
    let mut cases = Vec::new();
    for service in SERVICES {
        let kind = fragmentation_needed(service.0);
        let plain = row("icmp: tagged", kind, &answer(Transport::TcpAck, service.0), service, 20);
        for tags in [&[(DOT1Q, 100)][..], &[(DOT1AD, 7), (DOT1Q, 100)]] {
            let given = wire::tagged(&plain.given, tags);
            cases.push(Case { given, ..plain.clone() });
        }
    }
    case::run(&mut site::load(), &cases);
}

/// The error may speak of a packet with extension headers (RFC 8200 §4).
#[test]
fn embedded_extension_headers_are_walked() {
    let mut cases = Vec::new();
    for (vip, web) in [(L2_VIP6, L2_WEB6), (NAT_VIP6, NAT_WEB6)] {
        let plain = row("icmp: ext", [2, 0], &answer(Transport::TcpAck, vip), (vip, web), 20);
        let with = |from: &str, to: &str, hops| {
            let about = answer(Transport::TcpAck, from);
            let mut about = embedded(&about, 20);
            about[6] = 60;
            let _ = about.splice(40..40, [6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).count();
            error([2, 0], to, &about, hops)
        };
        let end = if vip == NAT_VIP6 { web } else { vip };
        let given = with(vip, vip, 64);
        cases.push(Case { given, sent: Some(with(end, end, 63)), ..plain });
    }
    case::run(&mut site::load(), &cases);
}

#[test]
fn what_is_about_nothing_of_ours_passes() {
    let pass = |name, given| Case::stopped(name, given, Verdict::NotTcpOrUdp);
    let (tcp, udp) = (Transport::TcpAck, Transport::Udp);
    let about = |packet: Packet| embedded(&packet, 8);
    let patched = |vip, at: usize, byte| {
        let mut about = about(answer(tcp, vip));
        about[at] = byte;
        about
    };
    let other_port = answer(tcp, "203.0.113.10:81");
    let other_source = answer(udp, "203.0.113.99:80");
    let to = |vip, about: &[u8]| error(fragmentation_needed(vip), vip, about, 64);
    let rows = [
        pass("icmp: no service's port", to(L2_VIP4, &about(other_port))),
        pass("icmp: about another's packet", to(L2_VIP4, &about(other_source))),
        pass("icmp: about sctp", to(L2_VIP4, &patched(L2_VIP4, 9, 132))),
        pass("icmp: about a later fragment", to(L2_VIP4, &patched(L2_VIP4, 7, 1))),
        pass("icmp: about another version", to(L2_VIP4, &patched(L2_VIP4, 0, 0x65))),
        pass("icmp: a short header", to(L2_VIP4, &patched(L2_VIP4, 0, 0x44))),
        pass("icmpv6: about another version", to(L2_VIP6, &patched(L2_VIP6, 0, 0x45))),
        pass("icmpv6: about sctp", to(L2_VIP6, &patched(L2_VIP6, 6, 132))),
        pass("icmp: to no vip", error([3, 4], "203.0.113.99", &about(answer(tcp, L2_VIP4)), 64)),
        pass("icmp: redirect", error([5, 1], L2_VIP4, &about(answer(tcp, L2_VIP4)), 64)),
        pass("icmp: echo reply", error([0, 0], L2_VIP4, &about(answer(tcp, L2_VIP4)), 64)),
        pass("icmpv6: neighbour solicitation", error([135, 0], L2_VIP6, &[0; 16], 64)),
        pass("icmpv6: type 5", error([5, 0], L2_VIP6, &about(answer(tcp, L2_VIP6)), 64)),
    ];
    case::run(&mut site::load(), &rows);
}

#[test]
fn what_is_too_short_or_leads_nowhere_is_dropped() {
    let drop = Case::stopped;
    let cut = |vip: &str, len: usize| {
        let about = embedded(&answer(Transport::TcpAck, vip), 20);
        error(fragmentation_needed(vip), vip, &about[..len], 64)
    };
    let about = |vip| error([3, 4], vip, &embedded(&answer(Transport::TcpAck, vip), 8), 64);
    let last = {
        let about = embedded(&answer(Transport::TcpAck, L2_VIP4), 8);
        let macs = (ROUTER, NODE);
        wire::icmp(macs, wire::ip(ROUTER4, L2_VIP4, 1, 0), [3, 4], DATA, &about)
    };
    let rows = [
        drop("icmp: nothing embedded", cut(L2_VIP4, 0), Verdict::ShortIcmp),
        drop("icmp: half a header", cut(L2_VIP4, 10), Verdict::ShortIcmp),
        drop("icmp: ports alone", cut(L2_VIP4, 24), Verdict::ShortIcmp),
        drop("icmp: seven bytes", cut(L2_VIP4, 27), Verdict::ShortIcmp),
        drop("icmpv6: nothing embedded", cut(L2_VIP6, 0), Verdict::ShortIcmp),
        drop("icmpv6: half a header", cut(L2_VIP6, 20), Verdict::ShortIcmp),
        drop("icmpv6: seven bytes", cut(L2_VIP6, 47), Verdict::ShortIcmp),
        drop("icmp: no backend", about(EMPTY_VIP), Verdict::NoBackend),
        drop("icmp: no next hop", about(LOST_VIP), Verdict::NoNextHop),
        drop("icmp: ttl 1", last, Verdict::HopLimit),
    ];
    case::run(&mut site::load(), &rows);
}

/// An Ethernet frame may be longer than its packet: the padding says nothing, whatever is in it.
#[test]
fn padding_is_not_part_of_an_error() {
    let mut cases = Vec::new();
    let other_version = [0x50; 60];
    for (vip, header) in [(L2_VIP4, 20), (L2_VIP6, 40), (NAT_VIP4, 20), (NAT_VIP6, 40)] {
        let about = embedded(&answer(Transport::TcpAck, vip), 20);
        for len in [0, header - 1, header, header + 7] {
            let mut given = error(fragmentation_needed(vip), vip, &about[..len], 64);
            given.extend(&about[len..]);
            cases.push(Case::stopped("icmp: quote in the padding", given, Verdict::ShortIcmp));
        }
        let mut given = error(fragmentation_needed(vip), vip, &[], 64);
        given.extend(other_version);
        cases.push(Case::stopped("icmp: another's padding", given, Verdict::ShortIcmp));
    }
    case::run(&mut site::load(), &cases);
}

/// Of a slot that has changed, memory says whose a flow is; an error adds nothing to it.
#[test]
fn errors_of_moved_flows_go_to_their_own_backend() {
    let key = packet_path::key(Protocol::TCP, L2_VIP4);
    let mut path = site::load();
    path.fill_ring(&key, State::Moving { current: None, previous: 1 });
    let kind = fragmentation_needed(L2_VIP4);
    let answer = answer(Transport::TcpAck, L2_VIP4);
    let moved = row("icmp: of an old flow", kind, &answer, (L2_VIP4, L2_WEB4), 8);
    case::run(&mut path, std::slice::from_ref(&moved));
    path.fill_ring(&key, State::Settled { current: None });
    let forgotten = Case::stopped("icmp: unknown", moved.given.clone(), Verdict::NoBackend);
    case::run(&mut path, &[forgotten]);
    path.fill_ring(&key, State::Moving { current: None, previous: 1 });
    path.change(&key, |_| (), |backend| backend.condition = Condition::DOWN);
    case::run(&mut path, &[Case::stopped("icmp: down", moved.given, Verdict::BackendDown)]);
}
