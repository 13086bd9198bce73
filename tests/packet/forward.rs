//! What is for a service: rewritten for its backend.

use lb_common::{addr::Protocol, verdict::Verdict};
use lb_tests::{
    case::{self, Case, Counted},
    packet::{Packet, Transport},
};

use crate::site::{
    self, CLIENT4, CLIENT6, EMPTY_VIP, L2_VIP4, L2_VIP6, L2_WEB4, L2_WEB6, LOST_VIP, NAT_VIP4,
    NAT_VIP6, NAT_WEB4, NAT_WEB6, NODE, WEB,
};

/// NOP, NOP, NOP, end of options.
const OPTIONS: [u8; 4] = [1, 1, 1, 0];

fn protocol(transport: Transport) -> Protocol {
    match transport {
        Transport::TcpSyn | Transport::TcpAck => Protocol::TCP,
        Transport::Udp | Transport::UdpUnchecked => Protocol::UDP,
    }
}

/// A packet that leaves the node for its backend. `rewritten` is the new destination, if any.
fn sent(
    name: &'static str,
    given: &Packet,
    backend: &'static str,
    rewritten: Option<&str>,
) -> Case {
    let mut expected = given.clone().macs(NODE, WEB).hops(given.hops - 1);
    if let Some(destination) = rewritten {
        expected = expected.to(destination);
    }
    Case {
        name,
        given: given.bytes(),
        verdict: Verdict::Transmitted,
        sent: Some(expected.bytes()),
        counted: Some(Counted::Request(backend)),
    }
}

/// A client's packet to a VIP whose backend over TCP is `web`.
fn row(name: &'static str, transport: Transport, vip: &str, web: &str) -> Case {
    let client = if vip.starts_with('[') { CLIENT6 } else { CLIENT4 };
    let backend: &'static str = site::host(web, protocol(transport)).leak();
    let rewritten = [NAT_VIP4, NAT_VIP6].contains(&vip).then_some(backend);
    sent(name, &Packet::new(transport, client, vip), backend, rewritten)
}

#[test]
fn l2_rewrites_the_macs_and_the_hop_limit_alone() {
    use Transport::{TcpAck, TcpSyn, Udp, UdpUnchecked};
    let cases = [
        row("l2 tcp4 syn", TcpSyn, L2_VIP4, L2_WEB4),
        row("l2 tcp4 ack", TcpAck, L2_VIP4, L2_WEB4),
        row("l2 udp4", Udp, L2_VIP4, L2_WEB4),
        row("l2 udp4 without checksum", UdpUnchecked, L2_VIP4, L2_WEB4),
        row("l2 tcp6 syn", TcpSyn, L2_VIP6, L2_WEB6),
        row("l2 tcp6 ack", TcpAck, L2_VIP6, L2_WEB6),
        row("l2 udp6", Udp, L2_VIP6, L2_WEB6),
    ];
    case::run(&mut site::load(), &cases);
}

#[test]
fn nat_rewrites_address_and_port_with_both_checksums() {
    use Transport::{TcpAck, TcpSyn, Udp, UdpUnchecked};
    let cases = [
        row("nat tcp4 syn", TcpSyn, NAT_VIP4, NAT_WEB4),
        row("nat tcp4 ack", TcpAck, NAT_VIP4, NAT_WEB4),
        row("nat udp4", Udp, NAT_VIP4, NAT_WEB4),
        row("nat udp4 without checksum", UdpUnchecked, NAT_VIP4, NAT_WEB4),
        row("nat tcp6 syn", TcpSyn, NAT_VIP6, NAT_WEB6),
        row("nat tcp6 ack", TcpAck, NAT_VIP6, NAT_WEB6),
        row("nat udp6", Udp, NAT_VIP6, NAT_WEB6),
    ];
    case::run(&mut site::load(), &cases);
}

#[test]
fn ipv4_options_move_the_transport_header() {
    let with =
        |options: &[u8], vip: &str| Packet::new(Transport::TcpAck, CLIENT4, vip).options(options);
    let longest = [1; 40];
    let cases = [
        sent("l2 tcp4 options", &with(&OPTIONS, L2_VIP4), L2_WEB4, None),
        sent("nat tcp4 options", &with(&OPTIONS, NAT_VIP4), NAT_WEB4, Some(NAT_WEB4)),
        sent("nat tcp4 longest options", &with(&longest, NAT_VIP4), NAT_WEB4, Some(NAT_WEB4)),
    ];
    case::run(&mut site::load(), &cases);
}

#[test]
fn every_payload_length_keeps_its_checksum() {
    let packet = |len: usize| {
        Packet::new(Transport::TcpAck, CLIENT4, NAT_VIP4)
            .payload((0..len).map(|at| at as u8).collect())
    };
    let lengths = [0, 1, 2, 3, 536, 1459, 1460];
    let cases =
        lengths.map(|len| sent("nat tcp4 of some length", &packet(len), NAT_WEB4, Some(NAT_WEB4)));
    case::run(&mut site::load(), &cases);
}

/// The one checksum whose complement is zero: RFC 1624 §3 is about it.
#[test]
fn checksums_around_zero_are_right() {
    let mut cases = Vec::new();
    for word in 0..=u16::MAX {
        let payload = word.to_be_bytes().to_vec();
        let tcp = Packet::new(Transport::TcpAck, CLIENT4, NAT_VIP4).payload(payload.clone());
        let udp = Packet::new(Transport::Udp, CLIENT6, NAT_VIP6).payload(payload);
        let tcp_out = tcp.clone().to(NAT_WEB4).bytes();
        let backend = "[fd00:1::12]:8443";
        let udp_out = udp.clone().to(backend).bytes();
        if [50, 51].map(|at| tcp_out[at]) == [0, 0] || tcp_out[50] == 0xff && tcp_out[51] == 0xff {
            cases.push(sent("nat tcp4 around zero", &tcp, NAT_WEB4, Some(NAT_WEB4)));
        }
        if udp_out[60] == 0xff && udp_out[61] == 0xff {
            cases.push(sent("nat udp6 around zero", &udp, backend, Some(backend)));
        }
    }
    assert!(cases.len() >= 2, "the sweep over all words must meet zero");
    case::run(&mut site::load(), &cases);
}

#[test]
fn what_cannot_be_forwarded_is_dropped_with_its_reason() {
    let packet = |vip| Packet::new(Transport::TcpAck, CLIENT4, vip);
    let six = Packet::new(Transport::TcpAck, CLIENT6, L2_VIP6);
    let drop = Case::stopped;
    let cases = [
        drop("no backend", packet(EMPTY_VIP).bytes(), Verdict::NoBackend),
        drop("no next hop", packet(LOST_VIP).bytes(), Verdict::NoNextHop),
        drop("ttl 1", packet(L2_VIP4).hops(1).bytes(), Verdict::HopLimit),
        drop("ttl 0", packet(L2_VIP4).hops(0).bytes(), Verdict::HopLimit),
        drop("nat ttl 1", packet(NAT_VIP4).hops(1).bytes(), Verdict::HopLimit),
        drop("hop limit 1", six.clone().hops(1).bytes(), Verdict::HopLimit),
    ];
    case::run(&mut site::load(), &cases);
    let last = sent("ttl 2", &packet(L2_VIP4).hops(2), L2_WEB4, None);
    case::run(&mut site::load(), &[last]);
}
