//! Parsing on the host, over the bytes that `BPF_PROG_TEST_RUN` cannot be given as well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;

/// Parses a copy of the bytes at an even address.
fn parse(bytes: &[u8]) -> Result<Packet, Verdict> {
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    let start = words.as_mut_ptr().cast::<u8>();
    // SAFETY: the words are at least as long as the bytes, and nothing else refers to them.
    unsafe { start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    // SAFETY: as above; a vector of words starts at an even address.
    packet(&unsafe { Frame::new(start as usize, start as usize + bytes.len(), 0) })
}

/// A packet by etherparse, and what parsing is to find in it.
fn any_packet() -> impl Strategy<Value = (Vec<u8>, Packet)> {
    let ends = any::<(u16, u16)>();
    let ips = prop_oneof![
        any::<(u32, u32)>()
            .prop_map(|(a, b)| (IpAddr::from(Ipv4Addr::from(a)), IpAddr::from(Ipv4Addr::from(b)))),
        any::<(u128, u128)>()
            .prop_map(|(a, b)| (IpAddr::from(Ipv6Addr::from(a)), IpAddr::from(Ipv6Addr::from(b)))),
    ];
    let payload = prop::collection::vec(any::<u8>(), 0..64);
    (ips, ends, any::<bool>(), payload).prop_map(|((source, destination), ports, tcp, payload)| {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]);
        let (builder, family, l4) = match (source, destination) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                (builder.ipv4(from.octets(), to.octets(), 9), Family::V4, ETHERNET + 20)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                (builder.ipv6(from.octets(), to.octets(), 9), Family::V6, ETHERNET + 40)
            }
            _ => unreachable!("both are of one family"),
        };
        let mut bytes = Vec::new();
        if tcp {
            builder.tcp(ports.0, ports.1, 1, 1).write(&mut bytes, &payload).unwrap();
        } else {
            builder.udp(ports.0, ports.1).write(&mut bytes, &payload).unwrap();
        }
        let packet = Packet {
            source: source.into(),
            destination: destination.into(),
            l3: ETHERNET,
            l4,
            end: bytes.len(),
            source_port: Port::new(ports.0),
            destination_port: Port::new(ports.1),
            family,
            protocol: if tcp { Protocol::TCP } else { Protocol::UDP },
            moment: Moment::Amid,
            part: Part::Whole,
        };
        (bytes, packet)
    })
}

proptest! {
    #[test]
    fn a_packet_is_what_it_was_built_from((bytes, packet) in any_packet()) {
        prop_assert_eq!(parse(&bytes), Ok(packet));
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
            let least = if matches!(packet.part, Part::Later(_)) { 0 } else { 8 };
            prop_assert!(packet.l4 + least <= packet.end && packet.end <= bytes.len());
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(packet) = parse(&bytes) {
            let least = if matches!(packet.part, Part::Later(_)) { 0 } else { 8 };
            prop_assert!(packet.l4 + least <= packet.end && packet.end <= bytes.len());
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
