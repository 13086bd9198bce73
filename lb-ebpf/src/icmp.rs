//! ICMP and ICMPv6: what a message says, and which flow an error speaks of.

use lb_common::{
    addr::{Addr, Port, Protocol},
    verdict::Verdict,
};
use network_types::{
    icmp::Icmpv4Hdr,
    ip::{Ipv4Hdr, Ipv6Hdr},
};

use crate::{
    frame::Frame,
    parse::{Family, Packet, Part, chain},
};

/// Type, code, checksum, and four bytes whose meaning is the type's.
const ICMP: usize = 8;
/// What an error has of the transport header at least (RFC 792), with the ports.
const PORTS: usize = 8;
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// What a message to a VIP is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request for an echo.
    EchoRequest,
    /// An error about a packet.
    Error,
    /// Anything else.
    Other,
}

/// The packet that an error speaks of, from a VIP to a client.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// Its destination.
    pub client: Addr,
    /// The offset of its IP header.
    pub l3: usize,
    /// The offset of its transport header, of which there are at least 8 bytes.
    pub l4: usize,
    /// Its destination port.
    pub client_port: Port,
    /// Its source port.
    pub service_port: Port,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Zero.
    pub padding: [u8; 3],
}

impl Embedded {
    /// None yet.
    pub const NONE: Self = Self {
        client: Addr::UNSPECIFIED,
        l3: 0,
        l4: 0,
        client_port: Port::ZERO,
        service_port: Port::ZERO,
        protocol: Protocol::NONE,
        padding: [0; 3],
    };
}

/// Tells what kind of message a packet is.
#[inline(always)]
pub fn message(frame: &Frame, packet: &Packet) -> Result<Message, Verdict> {
    let icmp: &Icmpv4Hdr = frame.header(packet.l4).ok_or(Verdict::ShortIcmp)?;
    Ok(match (packet.family, icmp.type_) {
        (Family::V4, 8) | (Family::V6, 128) => Message::EchoRequest,
        // Unreachable, time exceeded, parameter problem; IPv6 has "packet too big" besides.
        (Family::V4, 3 | 11 | 12) | (Family::V6, 1..=4) => Message::Error,
        _ => Message::Other,
    })
}

/// Reads what an error is about.
///
/// # Errors
///
/// [`Verdict::ShortIcmp`] if it is too short to say so, [`Verdict::NotTcpOrUdp`] if it is about
/// nothing of a service.
#[inline(always)]
pub fn embedded(frame: &Frame, packet: &Packet) -> Result<Embedded, Verdict> {
    let l3 = packet.l4 + ICMP;
    // What the frame has behind the packet is no part of it.
    let ip_len = if packet.family == Family::V4 { Ipv4Hdr::LEN } else { Ipv6Hdr::LEN };
    if l3 + ip_len > packet.end {
        return Err(Verdict::ShortIcmp);
    }
    let Header { source, client, protocol, l4 } = match packet.family {
        Family::V4 => v4(frame, l3)?,
        Family::V6 => v6(frame, l3, packet.end)?,
    };
    // An error goes to the source of what it is about.
    if source != packet.destination || !matches!(protocol, Protocol::TCP | Protocol::UDP) {
        return Err(Verdict::NotTcpOrUdp);
    }
    if l4 + PORTS > packet.end {
        return Err(Verdict::ShortIcmp);
    }
    let [a, b, c, d] = *frame.header(l4).ok_or(Verdict::ShortIcmp)?;
    let (service_port, client_port) = (Port::from_wire([a, b]), Port::from_wire([c, d]));
    Ok(Embedded { client, l3, l4, client_port, service_port, protocol, padding: [0; 3] })
}

/// What the embedded IP header says.
struct Header {
    source: Addr,
    client: Addr,
    protocol: Protocol,
    l4: usize,
}

#[inline(always)]
fn v4(frame: &Frame, l3: usize) -> Result<Header, Verdict> {
    let ip: &Ipv4Hdr = frame.header(l3).ok_or(Verdict::ShortIcmp)?;
    let header_len = usize::from(ip.vihl & 0xf) * 4;
    // There are no ports in a later fragment.
    let is_later = u16::from_be_bytes(ip.frags) & FRAGMENT_OFFSET != 0;
    if ip.vihl >> 4 != 4 || header_len < Ipv4Hdr::LEN || is_later {
        return Err(Verdict::NotTcpOrUdp);
    }
    Ok(Header {
        source: Addr::from_v4(ip.src_addr),
        client: Addr::from_v4(ip.dst_addr),
        protocol: Protocol(ip.proto),
        l4: l3 + header_len,
    })
}

#[inline(always)]
fn v6(frame: &Frame, l3: usize, end: usize) -> Result<Header, Verdict> {
    let ip: &Ipv6Hdr = frame.header(l3).ok_or(Verdict::ShortIcmp)?;
    if ip.vcf[0] >> 4 != 6 {
        return Err(Verdict::NotTcpOrUdp);
    }
    match chain(frame, ip.next_hdr, l3 + Ipv6Hdr::LEN, end) {
        Ok((protocol, l4, Part::Whole | Part::First(_))) => Ok(Header {
            source: Addr::from_v6(ip.src_addr),
            client: Addr::from_v6(ip.dst_addr),
            protocol,
            l4,
        }),
        Err(Verdict::BadExtension) => Err(Verdict::ShortIcmp),
        Ok(_) | Err(_) => Err(Verdict::NotTcpOrUdp),
    }
}
