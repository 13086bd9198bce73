//! ICMP errors about a service's packets: RFC 792, RFC 4443 §2.4, RFC 5508 §4.2 for NAT.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lb_common::{flow::Moment, verdict::Verdict};

use crate::{
    deliver,
    node::{Backend, Mode, Node, Service},
    parse::{Chain, ICMP, Packet, Part, TCP, UDP, walk},
    rewrite::{End, addresses, readdress},
    wire::{adjust, get, get16, put},
};

/// Where the quoted packet begins in the message.
pub const QUOTE: usize = 8;

/// Whether a message is an error: unreachable, time exceeded, parameter problem, and with ICMPv6 too
/// big.
#[must_use]
pub fn is_error(message: &[u8], v4: bool) -> bool {
    if v4 { matches!(message[0], 3 | 11 | 12) } else { matches!(message[0], 1..=4) }
}

/// The packet that an error quotes, which must be TCP or UDP and sent by the error's receiver. Its
/// offsets count within the quote, of which it takes all.
///
/// # Errors
///
/// The verdict on an error that does not say so much, or quotes another packet.
pub fn quoted(message: &[u8], outer: &Packet) -> Result<Packet, Verdict> {
    let quote = &message[QUOTE..];
    let network = if outer.protocol == ICMP { quoted4(quote) } else { quoted6(quote) }?;
    let Network { source, destination, protocol, transport } = network;
    if source != outer.destination || !matches!(protocol, TCP | UDP) {
        return Err(Verdict::NotTcpOrUdp);
    }
    // At least 8 bytes of what follows the IP header are quoted (RFC 792).
    let first: [u8; 8] = get(quote, transport).ok_or(Verdict::ShortIcmp)?;
    let port = |at: usize| u16::from_be_bytes([first[at], first[at + 1]]);
    Ok(Packet {
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

/// What the quoted IP header says.
struct Network {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    transport: usize,
}

fn quoted4(quote: &[u8]) -> Result<Network, Verdict> {
    let header: [u8; 20] = get(quote, 0).ok_or(Verdict::ShortIcmp)?;
    let transport = usize::from(header[0] & 0xf) * 4;
    let is_first = u16::from_be_bytes([header[6] & 0x1f, header[7]]) == 0;
    if header[0] >> 4 != 4 || transport < 20 || !is_first {
        return Err(Verdict::NotTcpOrUdp);
    }
    let address = |at: usize| {
        Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]).into()
    };
    Ok(Network { source: address(12), destination: address(16), protocol: header[9], transport })
}

fn quoted6(quote: &[u8]) -> Result<Network, Verdict> {
    let header: [u8; 40] = get(quote, 0).ok_or(Verdict::ShortIcmp)?;
    if header[0] >> 4 != 6 {
        return Err(Verdict::NotTcpOrUdp);
    }
    let address = |at| get::<16>(&header, at).map(Ipv6Addr::from).ok_or(Verdict::ShortIcmp);
    let (source, destination) = (address(8)?.into(), address(24)?.into());
    match walk(quote, header[6], 40, quote.len()) {
        Ok(Chain { part: Part::Later(_), .. }) => Err(Verdict::NotTcpOrUdp),
        Ok(Chain { protocol, transport, .. }) => {
            Ok(Network { source, destination, protocol, transport })
        }
        // The quote ends within an extension header.
        Err(Verdict::BadExtension) => Err(Verdict::ShortIcmp),
        Err(_) => Err(Verdict::NotTcpOrUdp),
    }
}

/// The frame that an error becomes on its way to the backend that sent what it quotes.
pub(crate) fn to_backend(
    node: &Node,
    frame: &[u8],
    packet: &Packet,
    quoted: &Packet,
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
fn translate(ip: &mut [u8], packet: &Packet, quoted: &Packet, backend: &Backend) -> Option<()> {
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
    readdress(quote, quoted, quoted.transport, End::Source, source)?;
    let even = before.len() & !1;
    let old = [&before[QUOTE..even], &old].concat();
    let new = [&ip[message + QUOTE..message + even], &new].concat();
    let checksum = adjust(get16(ip, message + 2)?, &old, &new);
    put(ip, message + 2, &checksum.to_be_bytes());
    Some(())
}
