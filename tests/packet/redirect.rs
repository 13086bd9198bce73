//! Leaving by another interface than the packet came in by.

use lb_common::{addr::Protocol, route::NextHop, service::ForwardMode, verdict::Verdict};
use lb_tests::{
    case::{self, Case, Counted},
    cleanup,
    netns::Netns,
    packet::{Packet, Transport},
    packet_path::{self, PacketPath},
};

use crate::site::{CLIENT4, HOP, L2_VIP4, L2_WEB4, NODE, WEB, pool};

const ELSEWHERE: &str = "203.0.113.50:80";

/// In a namespace with a pair of interfaces beside the loopback: one of them may be left by.
#[test]
fn a_backend_behind_another_interface_is_redirected_to() {
    let netns = Netns::create(format!("{}-rd", cleanup::test_prefix(901))).unwrap();
    netns.ip("link add wan type veth peer name lan").unwrap();
    netns
        .enter(|| {
            let lan = rustix::net::netdevice::name_to_index(
                rustix::net::socket(
                    rustix::net::AddressFamily::INET,
                    rustix::net::SocketType::DGRAM,
                    None,
                )
                .unwrap(),
                "lan",
            )
            .unwrap();
            let by_lan = NextHop { interface: lan, ..HOP };
            let nowhere = NextHop { interface: lan + 100, ..HOP };
            let mut desired = packet_path::nothing([7; 16]);
            let services = [(L2_VIP4, L2_WEB4, by_lan), (ELSEWHERE, "10.0.0.13:80", nowhere)];
            desired.services = services
                .map(|(vip, backend, hop)| {
                    let key = packet_path::key(Protocol::TCP, vip);
                    (key, pool(ForwardMode::L2, &[backend], hop))
                })
                .into();
            desired.devices = [lan].into();
            let given = Packet::new(Transport::TcpAck, CLIENT4, L2_VIP4);
            let lost = Packet::new(Transport::TcpAck, CLIENT4, ELSEWHERE);
            let cases = [
                Case {
                    name: "redirect",
                    given: given.bytes(),
                    verdict: Verdict::Redirected,
                    sent: Some(given.hops(63).macs(NODE, WEB).bytes()),
                    counted: Some(Counted::Request(L2_WEB4)),
                },
                Case {
                    name: "no such device",
                    given: lost.bytes(),
                    verdict: Verdict::NoDevice,
                    sent: None,
                    counted: Some(Counted::Request("10.0.0.13:80")),
                },
            ];
            case::run(&mut PacketPath::load(desired), &cases);
        })
        .unwrap();
}
