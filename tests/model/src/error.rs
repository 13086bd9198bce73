//! ICMP errors about a service's packets: RFC 792, RFC 4443 §2.4, RFC 5508 §4.2 for NAT.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lb_common::{flow::Moment, verdict::Verdict};

use crate::{
    deliver,
    node::{Backend, Mode, Node, Service},
    parse::{ICMP, Packet, Part, TCP, UDP},
    rewrite::{End, addresses, readdress},
    wire::{adjust, get, get16, put},
};

/// Where the quoted packet begins in the message.
const QUOTE: usize = 8;

/// A packet that an error quotes; its offsets count within the quote.
pub(crate) struct Quoted {
    pub(crate) packet: Packet,
}

/// The packet that a message quotes, if it is an error about a TCP or UDP packet that was sent by
/// the message's receiver.
pub(crate) fn quoted(message: &[u8], outer: &Packet) -> Option<Quoted> {
    let (v4, kind) = (outer.protocol == ICMP, *message.first()?);
    // Unreachable, time exceeded, parameter problem; with ICMPv6 also too big.
    let is_error = if v4 { matches!(kind, 3 | 11 | 12) } else { matches!(kind, 1..=4) };
    let quote = message.get(QUOTE..).filter(|_| is_error && outer.part == Part::Whole)?;
    let packet = if v4 { quoted4(quote) } else { quoted6(quote) }?;
    (packet.source == outer.destination).then_some(Quoted { packet })
}

fn quoted4(quote: &[u8]) -> Option<Packet> {
    let header: [u8; 20] = get(quote, 0)?;
    let transport = usize::from(header[0] & 0xf) * 4;
    let is_first = u16::from_be_bytes([header[6] & 0x1f, header[7]]) == 0;
    let source = Ipv4Addr::from(get::<4>(&header, 12)?).into();
    let destination = Ipv4Addr::from(get::<4>(&header, 16)?).into();
    if header[0] >> 4 != 4 || transport < 20 || !is_first {
        return None;
    }
    flow(quote, header[9], transport, (source, destination))
}

fn quoted6(quote: &[u8]) -> Option<Packet> {
    let header: [u8; 40] = get(quote, 0)?;
    let source = Ipv6Addr::from(get::<16>(&header, 8)?).into();
    let destination = Ipv6Addr::from(get::<16>(&header, 24)?).into();
    if header[0] >> 4 != 6 {
        return None;
    }
    flow(quote, header[6], 40, (source, destination))
}

/// At least 8 bytes of what follows the IP header are quoted (RFC 792).
fn flow(
    quote: &[u8],
    protocol: u8,
    transport: usize,
    (source, destination): (IpAddr, IpAddr),
) -> Option<Packet> {
    let first: [u8; 8] = get(quote, transport)?;
    let port = |at: usize| u16::from_be_bytes([first[at], first[at + 1]]);
    matches!(protocol, TCP | UDP).then_some(Packet {
        network: 0,
        transport,
        end: quote.len(),
        source,
        destination,
        protocol,
        ports: (port(0), port(2)),
        part: Part::Whole,
        moment: Moment::Amid,
    })
}

/// The frame that an error becomes on its way to the backend that sent what it quotes.
pub(crate) fn to_backend(
    node: &Node,
    frame: &[u8],
    packet: &Packet,
    quoted: &Quoted,
    (service, backend): (&Service, &Backend),
    hash: u32,
) -> Result<(Vec<u8>, u32), Verdict> {
    let mut ip = frame[packet.network..].to_vec();
    if service.mode != Mode::Nat {
        return deliver::to_backend(node, ip, packet, (service, backend), hash);
    }
    let plain = Service { mode: Mode::L2, ..service.clone() };
    translate(&mut ip, packet, quoted, backend).ok_or(Verdict::Inconsistent)?;
    deliver::to_backend(node, ip, packet, (&plain, backend), hash)
}

/// The receiver, and the sender of what is quoted, become the backend.
fn translate(ip: &mut [u8], packet: &Packet, quoted: &Quoted, backend: &Backend) -> Option<()> {
    let message = packet.transport - packet.network;
    let end = packet.end - packet.network;
    let before = ip[message..end].to_vec();
    let (mut old, mut new) = addresses(ip, End::Destination, backend.address)?;
    if backend.address.is_ipv4() {
        let checksum = adjust(get16(ip, 10)?, &old, &new);
        put(ip, 10, &checksum.to_be_bytes());
        // ICMP has no pseudo-header; ICMPv6 has (RFC 4443 §2.3).
        (old, new) = (Vec::new(), Vec::new());
    }
    let quote = &mut ip[message + QUOTE..end];
    let source = (backend.address, backend.port);
    readdress(quote, &quoted.packet, quoted.packet.transport, End::Source, source)?;
    let even = before.len() & !1;
    let old = [&before[QUOTE..even], &old].concat();
    let new = [&ip[message + QUOTE..message + even], &new].concat();
    let checksum = adjust(get16(ip, message + 2)?, &old, &new);
    put(ip, message + 2, &checksum.to_be_bytes());
    Some(())
}
