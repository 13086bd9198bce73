//! Fragments: each goes where the first of its datagram went.

use lb_common::{addr::Protocol, verdict::Verdict};
use lb_tests::{
    case::{self, Case, Counted},
    packet::{Packet, Transport},
    wire::{self, DOT1Q, ETHERNET},
};

use crate::site::{
    self, CLIENT4, CLIENT6, L2_VIP4, L2_VIP6, L2_WEB4, L2_WEB6, NAT_VIP4, NAT_VIP6, NAT_WEB4,
    NAT_WEB6, NODE, ROUTER, WEB,
};

const ID: u32 = 0x0000_beef;

fn client(vip: &str) -> &'static str {
    if vip.starts_with('[') { CLIENT6 } else { CLIENT4 }
}

fn datagram(transport: Transport, from: &str, to: &str) -> Packet {
    Packet::new(transport, from, to).payload((0..150).collect())
}

/// The fragments of a packet, and those that should come out.
fn cases(
    name: &'static str,
    given: &Packet,
    expected: &Packet,
    counted: Counted,
    size: usize,
) -> Vec<Case> {
    let fragments = |packet: &Packet| wire::fragments(&packet.bytes(), ID, size);
    let pairs = fragments(given).into_iter().zip(fragments(expected));
    let case = |(given, sent)| Case {
        name,
        given,
        verdict: Verdict::Transmitted,
        sent: Some(sent),
        counted: Some(counted),
    };
    pairs.map(case).collect()
}

/// A client's datagram in fragments; over UDP, as [`site::host`] says which backend that is.
fn requests(name: &'static str, transport: Transport, vip: &str, web: &str) -> Vec<Case> {
    let protocol = match transport {
        Transport::TcpSyn | Transport::TcpAck => Protocol::TCP,
        Transport::Udp | Transport::UdpUnchecked => Protocol::UDP,
    };
    let web: &'static str = site::host(web, protocol).leak();
    let given = datagram(transport, client(vip), vip);
    let expected = given.clone().hops(63).macs(NODE, WEB);
    let is_nat = [NAT_VIP4, NAT_VIP6].contains(&vip);
    let expected = if is_nat { expected.to(web) } else { expected };
    cases(name, &given, &expected, Counted::Request(web), 48)
}

#[test]
fn fragments_follow_the_first() {
    use Transport::{TcpAck, Udp, UdpUnchecked};
    for rows in [
        requests("fragments: l2 udp4", Udp, L2_VIP4, L2_WEB4),
        requests("fragments: l2 tcp4", TcpAck, L2_VIP4, L2_WEB4),
        requests("fragments: l2 udp6", Udp, L2_VIP6, L2_WEB6),
        requests("fragments: l2 tcp6", TcpAck, L2_VIP6, L2_WEB6),
        requests("fragments: nat udp4", Udp, NAT_VIP4, NAT_WEB4),
        requests("fragments: nat udp4 without checksum", UdpUnchecked, NAT_VIP4, NAT_WEB4),
        requests("fragments: nat tcp4", TcpAck, NAT_VIP4, NAT_WEB4),
        requests("fragments: nat udp6", Udp, NAT_VIP6, NAT_WEB6),
        requests("fragments: nat tcp6", TcpAck, NAT_VIP6, NAT_WEB6),
    ] {
        assert!(rows.len() >= 4, "a datagram of several fragments");
        case::run(&mut site::load(), &rows);
    }
}

#[test]
fn fragments_of_answers_follow_the_first() {
    for (name, transport, web, vip) in [
        ("fragments: reply tcp4", Transport::TcpAck, NAT_WEB4, NAT_VIP4),
        ("fragments: reply tcp6", Transport::TcpAck, NAT_WEB6, NAT_VIP6),
        ("fragments: reply udp4", Transport::Udp, "10.0.1.12:8443", NAT_VIP4),
        ("fragments: reply udp6", Transport::Udp, "[fd00:1::12]:8443", NAT_VIP6),
    ] {
        let given = datagram(transport, web, client(vip));
        let expected = given.clone().from(vip).hops(63).macs(NODE, ROUTER);
        let rows = cases(name, &given, &expected, Counted::Reply(web), 48);
        case::run(&mut site::load(), &rows);
    }
}

/// A later fragment that comes first is lost, and those behind the first are not.
#[test]
fn the_first_opens_the_way() {
    for (vip, web) in [(L2_VIP4, L2_WEB4), (L2_VIP6, L2_WEB6), (NAT_VIP6, NAT_WEB6)] {
        let rows = requests("fragments: out of order", Transport::Udp, vip, web);
        let lost = Case::stopped("fragments: lost", rows[2].given.clone(), Verdict::LostFragment);
        let order = [lost, rows[0].clone(), rows[3].clone(), rows[1].clone(), rows[2].clone()];
        case::run(&mut site::load(), &order);
    }
}

#[test]
fn tags_do_not_matter() {
    for (vip, web) in [(L2_VIP4, L2_WEB4), (NAT_VIP6, NAT_WEB6)] {
        let mut rows = requests("fragments: tagged", Transport::Udp, vip, web);
        for row in &mut rows {
            row.given = wire::tagged(&row.given, &[(DOT1Q, 100)]);
        }
        case::run(&mut site::load(), &rows);
    }
}

/// Each of these differs in one thing from the datagram whose first fragment was seen.
#[test]
fn other_datagrams_are_not_followed() {
    let lost = |name, given| Case::stopped(name, given, Verdict::LostFragment);
    for (vip, web, other_client, other_vip) in [
        (L2_VIP4, L2_WEB4, "198.51.100.8:40000", "203.0.113.20:80"),
        (L2_VIP6, L2_WEB6, "[2001:db8:c::8]:40000", "[2001:db8:113::20]:80"),
    ] {
        let later = |transport, from, to, id| {
            let packet = datagram(transport, from, to);
            wire::fragments(&packet.bytes(), id, 48).swap_remove(1)
        };
        let (udp, from) = (Transport::Udp, client(vip));
        let mut rows = vec![requests("fragments: the first", udp, vip, web).swap_remove(0)];
        rows.push(lost("fragments: another identification", later(udp, from, vip, ID + 1)));
        rows.push(lost("fragments: another source", later(udp, other_client, vip, ID)));
        rows.push(lost("fragments: another destination", later(udp, from, other_vip, ID)));
        if vip == L2_VIP4 {
            let tcp = later(Transport::TcpAck, from, vip, ID);
            rows.push(lost("fragments: another protocol", tcp));
        }
        case::run(&mut site::load(), &rows);
    }
}

#[test]
fn what_is_not_for_a_vip_passes() {
    let later = |from, to| {
        let packet = datagram(Transport::Udp, from, to);
        wire::fragments(&packet.bytes(), ID, 48).swap_remove(1)
    };
    let protocol = |mut frame: Vec<u8>, at: usize, protocol: u8| {
        frame[at] = protocol;
        frame
    };
    let (v4, v6) = (later(CLIENT4, L2_VIP4), later(CLIENT6, L2_VIP6));
    let (header4, header6) = (ETHERNET + 9, ETHERNET + 40);
    let (pass, other) = (Verdict::NoService, Verdict::NotTcpOrUdp);
    let rows = [
        Case::stopped("fragments: not for a vip", later(CLIENT4, "203.0.113.99:80"), pass),
        Case::stopped("fragments: not for a vip, v6", later(CLIENT6, "[2001:db8::1]:80"), pass),
        Case::stopped("fragments: icmp", protocol(v4, header4, 1), other),
        Case::stopped("fragments: icmpv6", protocol(v6.clone(), header6, 58), other),
        Case::stopped("fragments: sctp over v6", protocol(v6.clone(), header6, 132), other),
        Case::stopped("fragments: options", protocol(v6, header6, 60), Verdict::LostFragment),
    ];
    case::run(&mut site::load(), &rows);
}

#[test]
fn the_hop_limit_counts() {
    let given = datagram(Transport::Udp, CLIENT4, L2_VIP4);
    let first = requests("fragments: the first", Transport::Udp, L2_VIP4, L2_WEB4).swap_remove(0);
    let last = wire::fragments(&given.hops(1).bytes(), ID, 48).swap_remove(1);
    let last = Case::stopped("fragments: ttl 1", last, Verdict::HopLimit);
    case::run(&mut site::load(), &[first, last]);
}
