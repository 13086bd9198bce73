//! IPv6 extension headers between the IPv6 and the transport header.

use lb_common::verdict::Verdict;
use lb_tests::{
    case::{self, Case, Counted},
    packet::{Packet, Transport},
};

use crate::site::{self, CLIENT6, L2_VIP6, L2_WEB6, NAT_VIP6, NAT_WEB6, NODE, WEB};

const ETHERNET: usize = 14;
const IPV6: usize = ETHERNET + 40;
const TCP: u8 = 6;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// A header of `8 × (len + 1)` bytes, all options padding.
fn header(kind: u8, len: u8) -> (u8, Vec<u8>) {
    let mut bytes = vec![0; 8 * (usize::from(len) + 1)];
    bytes[1] = len;
    (kind, bytes)
}

fn routing(segments_left: u8) -> (u8, Vec<u8>) {
    (ROUTING, vec![0, 0, 4, segments_left, 0, 0, 0, 0])
}

fn fragment(offset_and_flags: u16) -> (u8, Vec<u8>) {
    let [high, low] = offset_and_flags.to_be_bytes();
    (FRAGMENT, vec![0, 0, high, low, 0, 0, 0, 9])
}

/// The frame with a chain of headers put in.
fn with(packet: &Packet, chain: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut frame = packet.bytes();
    let mut next = frame[ETHERNET + 6];
    for (kind, bytes) in chain.iter().rev() {
        let mut bytes = bytes.clone();
        bytes[0] = std::mem::replace(&mut next, *kind);
        let _ = frame.splice(IPV6..IPV6, bytes).count();
    }
    frame[ETHERNET + 6] = next;
    let payload = u16::try_from(frame.len() - IPV6).unwrap().to_be_bytes();
    frame[ETHERNET + 4..ETHERNET + 6].copy_from_slice(&payload);
    frame
}

fn tcp(vip: &str) -> Packet {
    Packet::new(Transport::TcpAck, CLIENT6, vip)
}

fn sent(name: &'static str, chain: &[(u8, Vec<u8>)], nat: bool) -> Case {
    let (vip, web) = if nat { (NAT_VIP6, NAT_WEB6) } else { (L2_VIP6, L2_WEB6) };
    let given = tcp(vip);
    let out = given.clone().hops(63).macs(NODE, WEB);
    let out = if nat { out.to(web) } else { out };
    Case {
        name,
        given: with(&given, chain),
        verdict: Verdict::Transmitted,
        sent: Some(with(&out, chain)),
        counted: Some(Counted::Request(web)),
    }
}

#[test]
fn the_chain_is_walked_to_the_transport_header() {
    let longest = [
        header(HOP_BY_HOP, 0),
        header(DESTINATION_OPTIONS, 0),
        routing(0),
        fragment(0),
        header(DESTINATION_OPTIONS, 3),
    ];
    let cases = [
        sent("ext: hop-by-hop", &[header(HOP_BY_HOP, 0)], false),
        sent("ext: long hop-by-hop", &[header(HOP_BY_HOP, 60)], false),
        sent("ext: destination options", &[header(DESTINATION_OPTIONS, 1)], true),
        sent("ext: source route at its end", &[routing(0)], true),
        sent("ext: atomic fragment", &[fragment(0)], true),
        sent("ext: the longest chain", &longest, true),
    ];
    case::run(&mut site::load(), &cases);
}

#[test]
fn chains_that_lead_nowhere_have_their_verdict() {
    let case = |name, chain: &[(u8, Vec<u8>)], verdict| {
        Case::stopped(name, with(&tcp(L2_VIP6), chain), verdict)
    };
    let six = [const { DESTINATION_OPTIONS }; 6].map(|kind| header(kind, 0));
    let cut = |len: usize, next: u8| {
        let mut frame = tcp(L2_VIP6).bytes();
        frame[ETHERNET + 6] = next;
        frame.truncate(IPV6 + len);
        let payload = u16::try_from(len).unwrap().to_be_bytes();
        frame[ETHERNET + 4..ETHERNET + 6].copy_from_slice(&payload);
        frame
    };
    let beyond = {
        let mut frame = with(&tcp(L2_VIP6), &[header(HOP_BY_HOP, 0)]);
        frame[IPV6 + 1] = 200;
        frame
    };
    // A source route, if padding counted.
    let padded = [cut(0, ROUTING), routing(1).1].concat();
    let cases = [
        case("ext: source route", &[routing(1)], Verdict::ExtensionChain),
        case("ext: too many", &six, Verdict::ExtensionChain),
        case("ext: unknown", &[header(AUTHENTICATION, 4)], Verdict::NotTcpOrUdp),
        Case::stopped("ext: cut", cut(7, HOP_BY_HOP), Verdict::BadExtension),
        Case::stopped("ext: none", cut(0, ROUTING), Verdict::BadExtension),
        Case::stopped("ext: in the padding", padded, Verdict::BadExtension),
        Case::stopped("ext: beyond the packet", beyond, Verdict::BadExtension),
        Case::stopped("ext: nothing behind", cut(8, TCP), Verdict::ShortTcp),
    ];
    case::run(&mut site::load(), &cases);
}
