//! The way back of `nat`.

use lb_common::{addr::Protocol, verdict::Verdict};
use lb_tests::{
    case::{self, Case, Counted},
    packet::{Packet, Transport},
};

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
