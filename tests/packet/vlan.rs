//! VLAN tags in, and VLAN tags out.

use lb_common::{
    addr::{Mac, Protocol},
    route::{NextHop, VlanTag},
    service::ForwardMode,
    verdict::Verdict,
};
use lb_tests::{
    case::{self, Case, Counted},
    packet::{Packet, Transport},
    packet_path::{self, PacketPath},
    wire::{self, DOT1AD, DOT1Q},
};

use crate::site::{
    CLIENT4, CLIENT6, HOP, L2_VIP4, L2_VIP6, L2_WEB4, L2_WEB6, NAT_VIP4, NAT_VIP6, NAT_WEB4,
    NAT_WEB6, NODE, ROUTER, WEB, pool, route,
};

/// Priority 3, "may be dropped", VLAN 100.
const CONTROL: u16 = 0x7064;
const ARRIVING: [&[(u16, u16)]; 5] = [
    &[],
    &[(DOT1Q, CONTROL)],
    &[(DOT1AD, CONTROL)],
    &[(DOT1AD, 7), (DOT1Q, CONTROL)],
    &[(DOT1Q, 7), (DOT1Q, CONTROL)],
];
const LEAVING: [&[(u16, u16)]; 4] =
    [&[], &[(DOT1Q, 200)], &[(DOT1AD, 4094)], &[(DOT1AD, 300), (DOT1Q, 1)]];

const SERVICES: [(&str, &str, ForwardMode); 4] = [
    (L2_VIP4, L2_WEB4, ForwardMode::L2),
    (L2_VIP6, L2_WEB6, ForwardMode::L2),
    (NAT_VIP4, NAT_WEB4, ForwardMode::NAT),
    (NAT_VIP6, NAT_WEB6, ForwardMode::NAT),
];

/// Clients and backends behind next hops with these tags.
fn load(tags: &[(u16, u16)]) -> PacketPath {
    let mut hop = HOP;
    for (place, (protocol, id)) in hop.tags.iter_mut().zip(tags) {
        *place = VlanTag::new(*protocol, *id);
    }
    let mut desired = packet_path::nothing([7; 16]);
    for (vip, web, mode) in SERVICES {
        let key = packet_path::key(Protocol::TCP, vip);
        let _ = desired.services.insert(key, pool(mode, &[web], hop));
    }
    let clients = NextHop { destination: ROUTER, ..hop };
    desired.routes =
        [route("198.51.100.0", 24, clients), route("2001:db8:c::", 64, clients)].into();
    PacketPath::load(desired)
}

fn client(vip: &str) -> &'static str {
    if vip.starts_with('[') { CLIENT6 } else { CLIENT4 }
}

fn row(given: &Packet, expected: &Packet, tags: [&[(u16, u16)]; 2], counted: Counted) -> Case {
    let [arriving, leaving] = tags;
    Case {
        name: "vlan",
        given: wire::tagged(&given.bytes(), arriving),
        verdict: Verdict::Transmitted,
        sent: Some(wire::tagged(&expected.bytes(), leaving)),
        counted: Some(counted),
    }
}

#[test]
fn the_tags_are_those_of_the_next_hop() {
    for leaving in LEAVING {
        let mut cases = Vec::new();
        for arriving in ARRIVING {
            for (vip, web, mode) in SERVICES {
                let is_nat = mode == ForwardMode::NAT;
                let given = Packet::new(Transport::TcpAck, client(vip), vip);
                let expected = given.clone().hops(63).macs(NODE, WEB);
                let expected = if is_nat { expected.to(web) } else { expected };
                cases.push(row(&given, &expected, [arriving, leaving], Counted::Request(web)));
                if is_nat {
                    let given = Packet::new(Transport::TcpAck, web, client(vip));
                    let expected = given.clone().from(vip).hops(63).macs(NODE, ROUTER);
                    cases.push(row(&given, &expected, [arriving, leaving], Counted::Reply(web)));
                }
            }
        }
        case::run(&mut load(leaving), &cases);
    }
}

#[test]
fn more_tags_than_two_pass_and_cut_ones_do_not() {
    let plain = Packet::new(Transport::TcpAck, CLIENT4, L2_VIP4);
    let plain = plain.macs(Mac([2, 0, 0, 0, 0, 9]), NODE).bytes();
    let three = wire::tagged(&plain, &[(DOT1AD, 1), (DOT1Q, 2), (DOT1Q, 3)]);
    let two = wire::tagged(&plain, &[(DOT1AD, 1), (DOT1Q, 2)]);
    let arp = [&two[..20], &[0x08, 0x06], &two[22..]].concat();
    let cases = [
        Case::stopped("vlan: three tags", three, Verdict::NotIp),
        Case::stopped("vlan: arp", arp, Verdict::NotIp),
        Case::stopped("vlan: cut tag", two[..16].to_vec(), Verdict::ShortEthernet),
        Case::stopped("vlan: cut second tag", two[..20].to_vec(), Verdict::ShortEthernet),
        Case::stopped("vlan: nothing behind", two[..22].to_vec(), Verdict::ShortIp),
    ];
    case::run(&mut load(&[]), &cases);
}
