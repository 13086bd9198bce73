//! Parsing on the host, over the bytes that `BPF_PROG_TEST_RUN` cannot be given as well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep, TcpHeader};
use proptest::prelude::*;

use super::*;

const IPV6_HEADER: usize = 40;
const MORE_FRAGMENTS: u16 = 0x2000;

/// Parses a copy of the bytes at an even address.
fn parse(bytes: &[u8]) -> Result<Packet, Verdict> {
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    let start = words.as_mut_ptr().cast::<u8>();
    // SAFETY: the words are at least as long as the bytes, and nothing else refers to them.
    unsafe { start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    // SAFETY: as above; a vector of words starts at an even address.
    packet(&unsafe { Frame::new(start as usize, start as usize + bytes.len(), 0) })
}

/// What the IP packet carries.
#[derive(Clone, Copy, Debug)]
enum Carries {
    Tcp { syn: bool, ack: bool, fin: bool, rst: bool },
    Udp,
    Icmp,
}

fn any_load() -> impl Strategy<Value = Carries> {
    prop_oneof![
        any::<(bool, bool, bool, bool)>().prop_map(|(syn, ack, fin, rst)| Carries::Tcp {
            syn,
            ack,
            fin,
            rst
        }),
        Just(Carries::Udp),
        Just(Carries::Icmp),
    ]
}

fn any_ends() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<(u32, u32)>()
            .prop_map(|(a, b)| (IpAddr::from(Ipv4Addr::from(a)), IpAddr::from(Ipv4Addr::from(b)))),
        // Not the mapped ones, which begin with zeros.
        any::<(u128, u128)>().prop_map(|(a, b)| (
            IpAddr::from(Ipv6Addr::from(a | 1 << 125)),
            IpAddr::from(Ipv6Addr::from(b | 1 << 125))
        )),
    ]
}

/// A packet by etherparse with up to two VLAN tags, and what parsing is to find in it.
fn any_packet() -> impl Strategy<Value = (Vec<u8>, Packet)> {
    let tags =
        prop::collection::vec((prop::sample::select(vec![0x8100, 0x88a8]), 0..4095u16), 0..3);
    let payload = prop::collection::vec(any::<u8>(), 0..64);
    (any_ends(), any::<(u16, u16)>(), any_load(), tags, payload).prop_map(
        |((source, destination), ports, load, tags, payload)| {
            let builder = PacketBuilder::ethernet2([2; 6], [4; 6]);
            let l3 = ETHERNET + VLAN * tags.len();
            let (builder, family, l4) = match (source, destination) {
                (IpAddr::V4(from), IpAddr::V4(to)) => {
                    (builder.ipv4(from.octets(), to.octets(), 9), Family::V4, l3 + 20)
                }
                (IpAddr::V6(from), IpAddr::V6(to)) => {
                    let builder = builder.ipv6(from.octets(), to.octets(), 9);
                    (builder, Family::V6, l3 + IPV6_HEADER)
                }
                _ => unreachable!("both are of one family"),
            };
            let mut bytes = build(builder, family, load, ports, &payload);
            for (protocol, id) in tags.iter().rev() {
                let tag = [u16::to_be_bytes(*protocol), id.to_be_bytes()].concat();
                bytes.splice(12..12, tag).for_each(drop);
            }
            let (protocol, moment) = said(load, family);
            let none = matches!(load, Carries::Icmp);
            let port = |port| if none { Port::ZERO } else { Port::new(port) };
            let packet = Packet {
                source: source.into(),
                destination: destination.into(),
                l3,
                l4,
                end: bytes.len(),
                source_port: port(ports.0),
                destination_port: port(ports.1),
                family,
                protocol,
                moment,
                part: Part::Whole,
            };
            (bytes, packet)
        },
    )
}

fn build(
    ip: PacketBuilderStep<IpHeaders>,
    family: Family,
    load: Carries,
    ports: (u16, u16),
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    match (load, family) {
        (Carries::Tcp { syn, ack, fin, rst }, _) => {
            let header = TcpHeader { syn, ack, fin, rst, ..TcpHeader::new(ports.0, ports.1, 1, 1) };
            ip.tcp_header(header).write(&mut bytes, payload).unwrap();
        }
        (Carries::Udp, _) => ip.udp(ports.0, ports.1).write(&mut bytes, payload).unwrap(),
        (Carries::Icmp, Family::V4) => {
            ip.icmpv4_echo_request(1, 2).write(&mut bytes, payload).unwrap();
        }
        (Carries::Icmp, Family::V6) => {
            ip.icmpv6_echo_request(1, 2).write(&mut bytes, payload).unwrap();
        }
    }
    bytes
}

/// What a load says of the protocol and of its connection.
fn said(load: Carries, family: Family) -> (Protocol, Moment) {
    match (load, family) {
        (Carries::Tcp { fin, rst, .. }, _) if fin || rst => (Protocol::TCP, Moment::Closing),
        (Carries::Tcp { syn: true, ack: false, .. }, _) => (Protocol::TCP, Moment::Opening),
        (Carries::Tcp { .. }, _) => (Protocol::TCP, Moment::Amid),
        (Carries::Udp, _) => (Protocol::UDP, Moment::Amid),
        (Carries::Icmp, Family::V4) => (Protocol::ICMP, Moment::Amid),
        (Carries::Icmp, Family::V6) => (Protocol::ICMPV6, Moment::Amid),
    }
}

/// Makes the packet a fragment with more to come, at an offset in units of 8 bytes; gives the
/// identification as it lies on the wire.
fn fragment(bytes: &mut Vec<u8>, packet: &Packet, offset: u16, id: [u8; 4]) -> [u8; 4] {
    let l3 = packet.l3;
    match packet.family {
        Family::V4 => {
            bytes[l3 + 4..l3 + 6].copy_from_slice(&id[..2]);
            bytes[l3 + 6..l3 + 8].copy_from_slice(&(offset | MORE_FRAGMENTS).to_be_bytes());
            [id[0], id[1], 0, 0]
        }
        Family::V6 => {
            let next = std::mem::replace(&mut bytes[l3 + 6], 44);
            let [high, low] = (offset << 3 | 1).to_be_bytes();
            let header = [next, 0, high, low, id[0], id[1], id[2], id[3]];
            bytes.splice(l3 + IPV6_HEADER..l3 + IPV6_HEADER, header).for_each(drop);
            let len = u16::try_from(bytes.len() - l3 - IPV6_HEADER).unwrap();
            bytes[l3 + 4..l3 + 6].copy_from_slice(&len.to_be_bytes());
            id
        }
    }
}

/// Every offset of the result is within the frame, in the order of the headers.
fn is_within(packet: &Packet, len: usize) -> bool {
    let Packet { l3, l4, end, .. } = *packet;
    ETHERNET <= l3 && l3 + 20 <= l4 && l4 <= end && end <= len
}

proptest! {
    #[test]
    fn a_packet_is_what_it_was_built_from((bytes, packet) in any_packet()) {
        prop_assert_eq!(parse(&bytes), Ok(packet));
    }

    #[test]
    fn padding_is_not_the_packets((mut bytes, packet) in any_packet(), padding in 1usize..50) {
        bytes.resize(bytes.len() + padding, 0xff);
        prop_assert_eq!(parse(&bytes), Ok(packet));
    }

    #[test]
    fn a_first_fragment_has_its_ports((mut bytes, packet) in any_packet(), id: [u8; 4]) {
        let id = fragment(&mut bytes, &packet, 0, id);
        let l4 = packet.l4 + if packet.family == Family::V6 { 8 } else { 0 };
        let expected = Packet { part: Part::First(id), l4, end: bytes.len(), ..packet };
        prop_assert_eq!(parse(&bytes), Ok(expected));
    }

    #[test]
    fn a_later_fragment_has_none(
        (mut bytes, packet) in any_packet(), offset in 1u16..0x2000, id: [u8; 4],
    ) {
        let id = fragment(&mut bytes, &packet, offset, id);
        let parsed = parse(&bytes).unwrap();
        prop_assert_eq!(parsed.part, Part::Later(id));
        prop_assert_eq!((parsed.source_port, parsed.destination_port), (Port::ZERO, Port::ZERO));
        prop_assert_eq!(parsed.moment, Moment::Amid);
        prop_assert!(is_within(&parsed, bytes.len()));
    }

    #[test]
    fn a_packet_cut_anywhere_is_none((bytes, _) in any_packet(), cut: prop::sample::Index) {
        prop_assert!(parse(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn any_change_of_one_byte_is_survived(
        (mut bytes, _) in any_packet(), at: prop::sample::Index, value: u8,
    ) {
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Ok(packet) = parse(&bytes) {
            prop_assert!(is_within(&packet, bytes.len()));
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(packet) = parse(&bytes) {
            prop_assert!(is_within(&packet, bytes.len()));
        }
    }
}

#[test]
fn less_than_an_ethernet_header_is_short() {
    for len in 0..ETHERNET {
        assert_eq!(parse(&vec![0; len]), Err(Verdict::ShortEthernet));
    }
    assert_eq!(parse(&[0; ETHERNET]), Err(Verdict::NotIp));
}

#[test]
fn a_tag_that_is_cut_is_short_and_a_third_is_no_ip() {
    let tagged = |tags: usize, len: usize| {
        let mut frame = vec![0; 64];
        for tag in 0..tags {
            let at = 12 + VLAN * tag;
            frame[at..at + 2].copy_from_slice(&[0x81, 0x00]);
        }
        frame.truncate(len);
        parse(&frame)
    };
    for len in ETHERNET..ETHERNET + VLAN {
        assert_eq!(tagged(1, len), Err(Verdict::ShortEthernet), "{len}");
        assert_eq!(tagged(2, len + VLAN), Err(Verdict::ShortEthernet), "{len}");
    }
    assert_eq!(tagged(1, ETHERNET + VLAN), Err(Verdict::NotIp));
    assert_eq!(tagged(3, 64), Err(Verdict::NotIp));
}

/// The maps know IPv4 addresses in their mapped form.
#[test]
fn an_ipv4_mapped_address_is_no_ipv4_address() {
    let mapped = Ipv4Addr::new(203, 0, 113, 10).to_ipv6_mapped().octets();
    let other = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets();
    for (from, to) in [(mapped, other), (other, mapped)] {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6(from, to, 9);
        let mut bytes = Vec::new();
        builder.udp(1, 2).write(&mut bytes, b"payload").unwrap();
        assert_eq!(parse(&bytes), Err(Verdict::NoService));
    }
}
