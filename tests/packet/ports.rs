//! Services of several ports: the port's own service first, then a range's, then that of all.

use lb_common::{
    addr::{Port, Protocol},
    service::{ForwardMode, Ports, ServiceKey},
    settings::Stages,
    verdict::Verdict,
};
use lb_tests::{
    case::{self, Case, Counted},
    packet::{Packet, Transport},
    packet_path::{self, PacketPath},
};
use lb_userspace::dataplane::Op;

use crate::site::{CLIENT4, CLIENT6, HOP, NODE, WEB, pool};

const VIP4: &str = "203.0.113.60";
const VIP6: &str = "[2001:db8:113::60]";
/// The backend of one port, of a range, of another, and of all other ports.
const WEBS4: [&str; 4] = ["10.0.0.21:80", "10.0.0.22:80", "10.0.0.23:80", "10.0.0.24:80"];
const WEBS6: [&str; 4] = ["[fd00::21]:80", "[fd00::22]:80", "[fd00::23]:80", "[fd00::24]:80"];

const fn range(first: u16, last: u16) -> Ports {
    Ports { first: Port::new(first), last: Port::new(last) }
}

/// The services are made under ports of their own, and then found under others as well.
fn load(stages: Stages) -> PacketPath {
    let mut desired = packet_path::nothing([7; 16]);
    desired.settings.stages = stages;
    let key = |vip: &str, port: usize| packet_path::key(Protocol::TCP, &format!("{vip}:{port}"));
    for (vip, webs) in [(VIP4, WEBS4), (VIP6, WEBS6)] {
        for (number, web) in webs.iter().enumerate() {
            let service = pool(ForwardMode::L2, &[web], HOP);
            let _ = desired.services.insert(key(vip, 8000 + number), service);
        }
    }
    let mut path = PacketPath::load(desired);
    let actual = path.reconciler().actual().unwrap();
    let ranges = [range(8000, 8009), range(443, 444), range(8090, 9000), Ports::ANY];
    for vip in [VIP4, VIP6] {
        for (number, ports) in ranges.into_iter().enumerate().skip(1) {
            let own = key(vip, 8000 + number);
            let service = actual.services[&own];
            path.apply(&Op::RemoveService(own));
            path.apply(&Op::PutService(
                ServiceKey::with_ports(own.vip, ports, own.protocol),
                service,
            ));
        }
    }
    path
}

fn packet(vip: &str, port: u16) -> Packet {
    let client = if vip == VIP6 { CLIENT6 } else { CLIENT4 };
    Packet::new(Transport::TcpAck, client, &format!("{vip}:{port}"))
}

#[test]
fn the_narrowest_service_is_found() {
    let mut cases = Vec::new();
    for (vip, webs) in [(VIP4, WEBS4), (VIP6, WEBS6)] {
        for (port, number) in [
            (8000, 0),
            (443, 1),
            (444, 1),
            (8090, 2),
            (8500, 2),
            (9000, 2),
            (1, 3),
            (442, 3),
            (445, 3),
            (7999, 3),
            (8001, 3),
            (8089, 3),
            (9001, 3),
            (65535, 3),
            (0, 3),
        ] {
            let given = packet(vip, port);
            cases.push(Case {
                name: "ports",
                given: given.bytes(),
                verdict: Verdict::Transmitted,
                sent: Some(given.hops(63).macs(NODE, WEB).bytes()),
                counted: Some(Counted::Request(webs[number])),
            });
        }
    }
    case::run(&mut load(Stages::RANGES), &cases);
}

#[test]
fn ranges_are_of_one_address_and_one_protocol() {
    let pass = |name, packet: Packet| Case::stopped(name, packet.bytes(), Verdict::NoService);
    let udp = Packet::new(Transport::Udp, CLIENT4, &format!("{VIP4}:8500"));
    let cases =
        [pass("ports: udp", udp), pass("ports: another address", packet("203.0.113.61", 8500))];
    case::run(&mut load(Stages::RANGES), &cases);
    // Where the settings say that there are no ranges, nobody looks for one.
    let mut path = load(Stages::NONE);
    case::run(&mut path, &[pass("ports: no ranges", packet(VIP4, 8500))]);
}
