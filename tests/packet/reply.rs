//! The way back of `nat`.

use std::net::{Ipv4Addr, SocketAddr};

use lb_common::{
    addr::{Port, Protocol},
    service::ReplyKey,
    verdict::Verdict,
};
use lb_tests::{
    case::{self, Case, Counted},
    packet::{Packet, Transport},
};
use lb_userspace::dataplane::{Dataplane as _, Op};

use crate::site::{
    self, CLIENT4, CLIENT6, L2_WEB4, NAT_VIP4, NAT_VIP6, NAT_WEB4, NAT_WEB6, NODE, OWN4, ROUTER,
};

fn answer(name: &'static str, transport: Transport, web: &str, client: &str, vip: &str) -> Case {
    let protocol = match transport {
        Transport::TcpSyn | Transport::TcpAck => Protocol::TCP,
        Transport::Udp | Transport::UdpUnchecked => Protocol::UDP,
    };
    let web: &'static str = site::host(web, protocol).leak();
    let given = Packet::new(transport, web, client);
    Case {
        name,
        given: given.bytes(),
        verdict: Verdict::Transmitted,
        sent: Some(given.from(vip).hops(63).macs(NODE, ROUTER).bytes()),
        counted: Some(Counted::Reply(web)),
    }
}

#[test]
fn a_backends_answer_leaves_from_the_vip() {
    use Transport::{TcpAck, TcpSyn, Udp, UdpUnchecked};
    let cases = [
        answer("reply tcp4", TcpAck, NAT_WEB4, CLIENT4, NAT_VIP4),
        answer("reply tcp4 syn", TcpSyn, NAT_WEB4, CLIENT4, NAT_VIP4),
        answer("reply udp4", Udp, NAT_WEB4, CLIENT4, NAT_VIP4),
        answer("reply udp4 without checksum", UdpUnchecked, NAT_WEB4, CLIENT4, NAT_VIP4),
        answer("reply tcp6", TcpAck, NAT_WEB6, CLIENT6, NAT_VIP6),
        answer("reply udp6", Udp, NAT_WEB6, CLIENT6, NAT_VIP6),
    ];
    case::run(&mut site::load(), &cases);
}

#[test]
fn other_packets_of_a_backend_are_its_own() {
    let packet = |from, to| Packet::new(Transport::TcpAck, from, to).bytes();
    let stopped = Case::stopped;
    let cases = [
        stopped("another port", packet("10.0.1.11:22", CLIENT4), Verdict::NoService),
        stopped("an l2 backend", packet(L2_WEB4, CLIENT4), Verdict::NoService),
        stopped("to the node itself", packet(NAT_WEB4, OWN4), Verdict::Local),
        stopped("no route", packet(NAT_WEB4, "100.64.0.1:40000"), Verdict::NoRoute),
    ];
    case::run(&mut site::load(), &cases);
}

/// The key of the answers of an endpoint over TCP.
fn key(endpoint: SocketAddr) -> ReplyKey {
    ReplyKey::new(endpoint.ip().into(), Port::new(endpoint.port()), Protocol::TCP)
}

/// The first endpoint of another host whose key has the same bit in the filter.
fn neighbour(of: &ReplyKey) -> SocketAddr {
    let hosts = Ipv4Addr::new(10, 0, 2, 1)..Ipv4Addr::new(10, 0, 3, 0);
    let hosts = hosts.start.to_bits()..hosts.end.to_bits();
    let mut endpoints = hosts
        .flat_map(|host| (1..=u16::MAX).map(move |port| (Ipv4Addr::from_bits(host), port).into()));
    endpoints.find(|endpoint| key(*endpoint).bit() == of.bit()).unwrap()
}

#[test]
fn backends_that_share_a_bit_of_the_filter_come_and_go_alone() {
    let mut path = site::load();
    let web = key(NAT_WEB4.parse().unwrap());
    let neighbour = neighbour(&web);
    let reply = path.reconciler().dataplane().read().unwrap().replies[&web];
    let answers = |from: &str, name| Case {
        given: Packet::new(Transport::TcpAck, from, CLIENT4).bytes(),
        ..answer(name, Transport::TcpAck, NAT_WEB4, CLIENT4, NAT_VIP4)
    };
    let other = neighbour.to_string();
    let silent = |from: &str, name| {
        let given = Packet::new(Transport::TcpAck, from, CLIENT4).bytes();
        Case::stopped(name, given, Verdict::NoService)
    };
    case::run(&mut path, &[silent(&other, "the same bit, but no backend")]);

    path.apply(&Op::PutReply(key(neighbour), reply));
    path.apply(&Op::RemoveReply(key(neighbour)));
    let alone = [answers(NAT_WEB4, "it stays"), silent(&other, "it has gone")];
    case::run(&mut path, &alone);

    path.apply(&Op::RemoveReply(web));
    case::run(&mut path, &[silent(NAT_WEB4, "no backend any more"), silent(&other, "nor this")]);

    path.apply(&Op::PutReply(web, reply));
    case::run(&mut path, &[answers(NAT_WEB4, "it is back")]);
}
