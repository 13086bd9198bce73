//! What is not for a service passes untouched; what is denied does not.

use std::net::IpAddr;

use lb_common::{route::Prefix, verdict::Verdict};
use lb_tests::{
    case::{self, Case},
    packet::{Packet, Transport},
    packet_path::PacketPath,
};
use lb_userspace::desired::Desired;

use crate::site::{self, CLIENT4, CLIENT6, DENIED4, DENIED6, L2_VIP4, L2_VIP6};

fn tcp(from: &str, to: &str) -> Vec<u8> {
    Packet::new(Transport::TcpAck, from, to).bytes()
}

/// A frame with another EtherType and the rest as it is.
fn ether_type(mut frame: Vec<u8>, ether_type: u16) -> Vec<u8> {
    frame[12..14].copy_from_slice(&ether_type.to_be_bytes());
    frame
}

/// A packet with one byte of it changed.
fn with(mut frame: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    frame[at] = byte;
    frame
}

#[test]
fn what_is_not_for_a_service_passes() {
    let pass = Case::stopped;
    let cases = [
        pass("another port", tcp(CLIENT4, "203.0.113.10:81"), Verdict::NoService),
        pass("another address", tcp(CLIENT4, "203.0.113.11:80"), Verdict::NoService),
        pass("another port, v6", tcp(CLIENT6, "[2001:db8:113::10]:81"), Verdict::NoService),
        pass(
            "mapped is not native",
            tcp("[::ffff:198.51.100.7]:1", "[2001:db8::1]:80"),
            Verdict::NoService,
        ),
        pass("icmp", with(tcp(CLIENT4, L2_VIP4), 23, 1), Verdict::NotTcpOrUdp),
        pass("sctp", with(tcp(CLIENT4, L2_VIP4), 23, 132), Verdict::NotTcpOrUdp),
        pass("icmpv6", with(tcp(CLIENT6, L2_VIP6), 20, 58), Verdict::NotTcpOrUdp),
        pass("arp", ether_type(tcp(CLIENT4, L2_VIP4), 0x0806), Verdict::NotIp),
        pass("lldp", ether_type(tcp(CLIENT4, L2_VIP4), 0x88cc), Verdict::NotIp),
        pass("802.3 length", ether_type(tcp(CLIENT4, L2_VIP4), 0x0026), Verdict::NotIp),
    ];
    case::run(&mut site::load(), &cases);
}

#[test]
fn denied_prefixes_are_refused_and_their_neighbours_are_not() {
    let case = Case::stopped;
    let cases = [
        case("denied", tcp(DENIED4, L2_VIP4), Verdict::Denied),
        case("denied, to no service", tcp(DENIED4, "203.0.113.99:1"), Verdict::Denied),
        case("denied, v6", tcp(DENIED6, L2_VIP6), Verdict::Denied),
        case("below the prefix", tcp("192.0.2.63:1", "203.0.113.99:1"), Verdict::NoService),
        case("above the prefix", tcp("192.0.2.80:1", "203.0.113.99:1"), Verdict::NoService),
        case("v6 beside it", tcp("[2001:db8:bae::1]:1", "[2001:db8::9]:1"), Verdict::NoService),
    ];
    case::run(&mut site::load(), &cases);
}

/// The map has IPv4 addresses in their mapped form, which `::/0` covers.
#[test]
fn to_deny_all_of_one_family_denies_none_of_the_other() {
    let all = |any: &str| Prefix::new(any.parse::<IpAddr>().unwrap(), 0).unwrap();
    let (v4, v6) = (all("0.0.0.0"), all("::"));
    for denied in [&[][..], &[v4], &[v6], &[v4, v6]] {
        let denied = denied.iter().copied().collect();
        let mut path = PacketPath::load(Desired { denied, ..site::desired() });
        let is_denied = |prefix| path.desired().denied.contains(prefix);
        let verdict = |prefix| if is_denied(prefix) { Verdict::Denied } else { Verdict::NoService };
        let cases = [
            Case::stopped("all of IPv4", tcp(CLIENT4, "203.0.113.99:1"), verdict(&v4)),
            Case::stopped("all of IPv6", tcp(CLIENT6, "[2001:db8::9]:1"), verdict(&v6)),
        ];
        case::run(&mut path, &cases);
    }
}
