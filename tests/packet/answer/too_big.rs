//! Packets that are too big for the way to their backend.

use lb_common::{
    addr::Protocol,
    route::Prefix,
    service::ForwardMode,
    settings::{AnswerRates, TunnelSource},
    verdict::Verdict,
};
use lb_tests::{
    case::{self, Case},
    packet::{Packet, Transport},
    packet_path::{self, PacketPath},
    wire::{self, ETHERNET},
};

use super::{
    JUMBO, RATES, TOLD, UNANSWERED, UNANSWERED6, answered, error, is_v6, packet, with_tags,
};
use crate::site::{self, CLIENT4, L2_VIP4, L2_VIP6, NODE, ROUTER};

/// A path whose ways to the `l2` backends are tunnels over links of some MTU.
pub(super) fn narrow(mtu: u16, rates: AnswerRates) -> PacketPath {
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
    case::run(&mut path, &with_tags(&cases));
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
