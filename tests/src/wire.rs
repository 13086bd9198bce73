//! What is done to frames on their way, and frames that are no flow's: tags, fragments, ICMP.
//!
//! Headers and checksums are etherparse's, as in [`crate::packet`].

#![expect(clippy::expect_used, reason = "a test kit: a panic is a test that fails")]

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    IpFragOffset, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv6Extensions, Ipv6Header,
    PacketBuilder, PacketBuilderStep, TcpHeader,
};
use lb_common::addr::Mac;

/// The length of an Ethernet header without tags.
pub const ETHERNET: usize = 14;
/// The protocol of a customer's tag (IEEE 802.1Q).
pub const DOT1Q: u16 = 0x8100;
/// The protocol of a provider's tag (IEEE 802.1ad).
pub const DOT1AD: u16 = 0x88a8;

/// A frame with tags put in, the outer first: protocol, and priority with identifier.
#[must_use]
pub fn tagged(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let tags = tags.iter().flat_map(|(protocol, control)| [protocol, control]);
    let tags = tags.flat_map(|word| word.to_be_bytes());
    frame[..12].iter().copied().chain(tags).chain(frame[12..].iter().copied()).collect()
}

/// The frames of an untagged frame's packet in fragments with so much of it each, a multiple of 8
/// bytes.
///
/// # Panics
///
/// If the packet has extension headers, or is none.
#[must_use]
pub fn fragments(frame: &[u8], identification: u32, size: usize) -> Vec<Vec<u8>> {
    let (link, packet) = frame.split_at(ETHERNET);
    let six = packet[0] >> 4 == 6;
    let header_len = if six { 40 } else { usize::from(packet[0] & 0xf) * 4 };
    let (header, payload) = packet.split_at(header_len);
    let pieces = payload.chunks(size).enumerate();
    let fragment = |(number, piece): (usize, &[u8])| {
        let offset = IpFragOffset::try_new(u16::try_from(number * size / 8).expect("an offset"))
            .expect("an offset");
        let more = (number + 1) * size < payload.len();
        let header = if six {
            v6_fragment(header, offset, more, identification, piece.len())
        } else {
            v4_fragment(header, offset, more, identification, piece.len())
        };
        [link, &header, piece].concat()
    };
    pieces.map(fragment).collect()
}

fn v4_fragment(header: &[u8], offset: IpFragOffset, more: bool, id: u32, len: usize) -> Vec<u8> {
    let (mut header, _) = Ipv4Header::from_slice(header).expect("an IPv4 header");
    header.identification = id as u16;
    header.fragment_offset = offset;
    header.more_fragments = more;
    header.set_payload_len(len).expect("a packet's length");
    header.header_checksum = header.calc_header_checksum();
    header.to_bytes().to_vec()
}

fn v6_fragment(header: &[u8], offset: IpFragOffset, more: bool, id: u32, len: usize) -> Vec<u8> {
    let (mut header, _) = Ipv6Header::from_slice(header).expect("an IPv6 header");
    // By hand, as etherparse 0.19 puts the flag in another bit than RFC 8200 §4.5.
    let [high, low] = (offset.value() << 3 | u16::from(more)).to_be_bytes();
    let [a, b, c, d] = id.to_be_bytes();
    let fragment = [header.next_header.0, 0, high, low, a, b, c, d];
    header.next_header = IpNumber::IPV6_FRAGMENTATION_HEADER;
    header.set_payload_length(fragment.len() + len).expect("a packet's length");
    [&header.to_bytes()[..], &fragment].concat()
}

/// An IP header of a packet that a host makes by itself: IPv4 never to be fragmented and without
/// identification, IPv6 without a flow label. Both ends by their address or endpoint.
///
/// # Panics
///
/// If the two ends are of different families.
#[must_use]
pub fn ip(source: &str, destination: &str, hops: u8, traffic_class: u8) -> IpHeaders {
    match (address(source), address(destination)) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let (source, destination) = (source.octets(), destination.octets());
            let mut header = Ipv4Header::new(0, hops, IpNumber::ICMP, source, destination)
                .expect("an IPv4 header");
            header.dscp = (traffic_class >> 2).try_into().expect("six bits");
            header.ecn = (traffic_class & 3).try_into().expect("two bits");
            IpHeaders::Ipv4(header, Ipv4Extensions::default())
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let header = Ipv6Header {
                traffic_class,
                hop_limit: hops,
                source: source.octets(),
                destination: destination.octets(),
                ..Ipv6Header::default()
            };
            IpHeaders::Ipv6(header, Ipv6Extensions::default())
        }
        _ => unreachable!("a packet has one family"),
    }
}

/// The frame of an ICMP or ICMPv6 message: type and code, the four bytes behind the checksum, and
/// the rest.
///
/// # Panics
///
/// If the packet is too large.
#[must_use]
pub fn icmp(
    (from, to): (Mac, Mac),
    ip: IpHeaders,
    [kind, code]: [u8; 2],
    data: [u8; 4],
    rest: &[u8],
) -> Vec<u8> {
    let mut frame = Vec::new();
    let four = matches!(ip, IpHeaders::Ipv4(..));
    let builder = start(from, to, ip);
    if four {
        builder.icmpv4_raw(kind, code, data).write(&mut frame, rest)
    } else {
        builder.icmpv6_raw(kind, code, data).write(&mut frame, rest)
    }
    .expect("a frame in memory");
    frame
}

/// The frame of a TCP segment.
///
/// # Panics
///
/// If the packet is too large.
#[must_use]
pub fn tcp((from, to): (Mac, Mac), ip: IpHeaders, tcp: TcpHeader, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    start(from, to, ip).tcp_header(tcp).write(&mut frame, payload).expect("a frame in memory");
    frame
}

fn start(from: Mac, to: Mac, ip: IpHeaders) -> PacketBuilderStep<IpHeaders> {
    PacketBuilder::ethernet2(from.0, to.0).ip(ip)
}

/// The address of `ADDRESS` or `ADDRESS:PORT`.
fn address(text: &str) -> IpAddr {
    let endpoint = text.parse::<SocketAddr>().map(|endpoint| endpoint.ip());
    endpoint.or_else(|_| text.parse()).expect("an address")
}
