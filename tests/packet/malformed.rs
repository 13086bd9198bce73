//! Packets that contradict themselves: each has a named verdict, and none does harm.

use lb_common::verdict::Verdict;
use lb_tests::{
    case::{self, Case},
    packet::{Packet, Transport},
};

use crate::site::{self, CLIENT4, CLIENT6, L2_VIP4, L2_VIP6};

const ETHERNET: usize = 14;
/// The first bytes of the TCP and UDP headers.
const L4_V4: usize = ETHERNET + 20;
const L4_V6: usize = ETHERNET + 40;

fn tcp4() -> Vec<u8> {
    Packet::new(Transport::TcpAck, CLIENT4, L2_VIP4).bytes()
}

fn udp4() -> Vec<u8> {
    Packet::new(Transport::Udp, CLIENT4, L2_VIP4).bytes()
}

fn tcp6() -> Vec<u8> {
    Packet::new(Transport::TcpAck, CLIENT6, L2_VIP6).bytes()
}

fn udp6() -> Vec<u8> {
    Packet::new(Transport::Udp, CLIENT6, L2_VIP6).bytes()
}

/// A frame that ends too early.
fn cut(mut frame: Vec<u8>, len: usize) -> Vec<u8> {
    frame.truncate(len);
    frame
}

fn put(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

/// A frame that ends early, with an IP length that agrees.
fn short(frame: Vec<u8>, len: usize) -> Vec<u8> {
    let six = frame[ETHERNET] >> 4 == 6;
    let frame = cut(frame, len);
    let (at, header) = if six { (ETHERNET + 4, 40) } else { (ETHERNET + 2, 0) };
    let ip_len = u16::try_from(len - ETHERNET - header).unwrap();
    put(frame, at, &ip_len.to_be_bytes())
}

#[test]
fn malformed_ipv4() {
    use Verdict::{BadIpHeaderLength, BadIpLength, BadIpVersion, ShortIp};
    let case = Case::stopped;
    let cases = [
        case("v4: ethernet alone", cut(tcp4(), ETHERNET), ShortIp),
        case("v4: one byte", cut(tcp4(), ETHERNET + 1), ShortIp),
        case("v4: header minus one", cut(tcp4(), ETHERNET + 19), ShortIp),
        case("v4: header alone", cut(tcp4(), L4_V4), BadIpLength),
        case("v4: tcp minus one", cut(tcp4(), L4_V4 + 19), BadIpLength),
        case("v4: payload minus one", cut(tcp4(), tcp4().len() - 1), BadIpLength),
        case("v4: version 0", put(tcp4(), ETHERNET, &[0x05]), BadIpVersion),
        case("v4: version 6", put(tcp4(), ETHERNET, &[0x65]), BadIpVersion),
        case("v4: version 15", put(tcp4(), ETHERNET, &[0xf5]), BadIpVersion),
        case("v4: header of 0", put(tcp4(), ETHERNET, &[0x40]), BadIpHeaderLength),
        case("v4: header of 16", put(tcp4(), ETHERNET, &[0x44]), BadIpHeaderLength),
        case("v4: header over the packet", put(tcp4(), ETHERNET, &[0x4f]), BadIpHeaderLength),
        case("v4: length 0", put(tcp4(), ETHERNET + 2, &[0, 0]), BadIpHeaderLength),
        case("v4: length under the header", put(tcp4(), ETHERNET + 2, &[0, 19]), BadIpHeaderLength),
        case("v4: length 65535", put(tcp4(), ETHERNET + 2, &[255, 255]), BadIpLength),
        case("v4: length plus one", put(tcp4(), ETHERNET + 3, &[48]), BadIpLength),
    ];
    case::run(&mut site::load(), &cases);
}

#[test]
fn malformed_ipv6() {
    use Verdict::{BadIpLength, BadIpVersion, ShortIp};
    let case = Case::stopped;
    let cases = [
        case("v6: ethernet alone", cut(tcp6(), ETHERNET), ShortIp),
        case("v6: header minus one", cut(tcp6(), ETHERNET + 39), ShortIp),
        case("v6: header alone", cut(tcp6(), L4_V6), BadIpLength),
        case("v6: payload minus one", cut(tcp6(), tcp6().len() - 1), BadIpLength),
        case("v6: version 4", put(tcp6(), ETHERNET, &[0x4b]), BadIpVersion),
        case("v6: version 0", put(tcp6(), ETHERNET, &[0x0b]), BadIpVersion),
        case("v6: length 65535", put(tcp6(), ETHERNET + 4, &[255, 255]), BadIpLength),
        case("v6: length plus one", put(tcp6(), ETHERNET + 5, &[28]), BadIpLength),
    ];
    case::run(&mut site::load(), &cases);
}

#[test]
fn malformed_transport() {
    use Verdict::{BadTcpOffset, BadUdpLength, ShortTcp, ShortUdp};
    let case = Case::stopped;
    let cases = [
        case("tcp4: none", short(tcp4(), L4_V4), ShortTcp),
        case("tcp4: ports alone", short(tcp4(), L4_V4 + 4), ShortTcp),
        case("tcp4: minus one", short(tcp4(), L4_V4 + 19), ShortTcp),
        case("tcp6: none", short(tcp6(), L4_V6), ShortTcp),
        case("tcp6: minus one", short(tcp6(), L4_V6 + 19), ShortTcp),
        case("tcp4: shorter by ip", put(tcp4(), ETHERNET + 2, &[0, 39]), ShortTcp),
        case("tcp6: shorter by ip", put(tcp6(), ETHERNET + 4, &[0, 19]), ShortTcp),
        case("tcp4: offset 0", put(tcp4(), L4_V4 + 12, &[0x00]), BadTcpOffset),
        case("tcp4: offset 16", put(tcp4(), L4_V4 + 12, &[0x40]), BadTcpOffset),
        case("tcp4: offset over the end", put(tcp4(), L4_V4 + 12, &[0xf0]), BadTcpOffset),
        case("tcp6: offset 16", put(tcp6(), L4_V6 + 12, &[0x40]), BadTcpOffset),
        case("tcp6: offset over the end", put(tcp6(), L4_V6 + 12, &[0xf0]), BadTcpOffset),
        case("udp4: none", short(udp4(), L4_V4), ShortUdp),
        case("udp4: minus one", short(udp4(), L4_V4 + 7), ShortUdp),
        case("udp6: none", short(udp6(), L4_V6), ShortUdp),
        case("udp6: minus one", short(udp6(), L4_V6 + 7), ShortUdp),
        case("udp4: shorter by ip", put(udp4(), ETHERNET + 2, &[0, 27]), ShortUdp),
        case("udp4: length 0", put(udp4(), L4_V4 + 4, &[0, 0]), BadUdpLength),
        case("udp4: length 7", put(udp4(), L4_V4 + 4, &[0, 7]), BadUdpLength),
        case("udp4: length plus one", put(udp4(), L4_V4 + 4, &[0, 16]), BadUdpLength),
        case("udp6: length 0", put(udp6(), L4_V6 + 4, &[0, 0]), BadUdpLength),
        case("udp6: length plus one", put(udp6(), L4_V6 + 4, &[0, 16]), BadUdpLength),
    ];
    case::run(&mut site::load(), &cases);
}

/// Trailing bytes that belong to no packet are Ethernet's padding (802.3 §3.2.7).
#[test]
fn padding_is_not_malformed() {
    let mut frame = tcp4();
    frame.resize(100, 0);
    let outcome = site::load().run(&frame);
    assert_eq!(outcome.moved.get(Verdict::Transmitted.as_str()), Some(&1));
}
