//! Frames to packets: IEEE 802.3 and 802.1Q, RFC 791, RFC 8200, RFC 9293, RFC 768, RFC 792,
//! RFC 4443.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lb_common::{flow::Moment, verdict::Verdict};

use crate::wire::{get, get16};

/// TCP's number.
pub const TCP: u8 = 6;
/// UDP's number.
pub const UDP: u8 = 17;
/// ICMP's number.
pub const ICMP: u8 = 1;
/// Its number for IPv6.
pub const ICMPV6: u8 = 58;

pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const IPV6: u16 = 0x86dd;
const TAGS: [u16; 2] = [0x8100, 0x88a8];

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
pub(crate) const DESTINATION_OPTIONS: u8 = 60;
const CHAIN: usize = 5;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where the IP header is.
    pub network: usize,
    /// Where the header behind it is.
    pub transport: usize,
    /// Where the packet ends, by its IP header.
    pub end: usize,
    /// The IP source.
    pub source: IpAddr,
    /// The IP destination.
    pub destination: IpAddr,
    /// What follows the IP headers.
    pub protocol: u8,
    /// Source and destination port, where there are any.
    pub ports: (u16, u16),
    /// Which part of a datagram it is.
    pub part: Part,
    /// What it says of its connection.
    pub moment: Moment,
}

/// Which part of a datagram a packet is, with the identification as it lies on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The first fragment of several.
    First([u8; 4]),
    /// Another one.
    Later([u8; 4]),
}

/// What the IP headers say.
struct Network {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    part: Part,
    transport: usize,
    end: usize,
}

/// Parses a frame.
///
/// # Errors
///
/// The verdict on what is not to be balanced.
pub fn parse(frame: &[u8]) -> Result<Packet, Verdict> {
    let mut network = 14;
    for _ in 0..2 {
        let kind = get16(frame, network - 2).ok_or(Verdict::ShortEthernet)?;
        if TAGS.contains(&kind) {
            network += 4;
        }
    }
    let headers = match get16(frame, network - 2).ok_or(Verdict::ShortEthernet)? {
        IPV4 => ipv4(frame, network)?,
        IPV6 => ipv6(frame, network)?,
        _ => return Err(Verdict::NotIp),
    };
    let Network { source, destination, protocol, part, transport, end } = headers;
    let (ports, moment) = self::transport(frame, &headers)?;
    Ok(Packet { network, transport, end, source, destination, protocol, ports, part, moment })
}

/// RFC 791 §3.1.
fn ipv4(frame: &[u8], at: usize) -> Result<Network, Verdict> {
    let header: [u8; 20] = get(frame, at).ok_or(Verdict::ShortIp)?;
    if header[0] >> 4 != 4 {
        return Err(Verdict::BadIpVersion);
    }
    let header_len = usize::from(header[0] & 0xf) * 4;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header_len < 20 || header_len > total {
        return Err(Verdict::BadIpHeaderLength);
    }
    if at + total > frame.len() {
        return Err(Verdict::BadIpLength);
    }
    let flags = u16::from_be_bytes([header[6], header[7]]);
    let (more, offset) = (flags & 0x2000 != 0, flags & 0x1fff);
    let identification = [header[4], header[5], 0, 0];
    Ok(Network {
        source: Ipv4Addr::new(header[12], header[13], header[14], header[15]).into(),
        destination: Ipv4Addr::new(header[16], header[17], header[18], header[19]).into(),
        protocol: header[9],
        part: part(more, offset, identification),
        transport: at + header_len,
        end: at + total,
    })
}

fn part(more: bool, offset: u16, identification: [u8; 4]) -> Part {
    match (more, offset) {
        (false, 0) => Part::Whole,
        (true, 0) => Part::First(identification),
        _ => Part::Later(identification),
    }
}

/// RFC 8200 §3 and §4.
fn ipv6(frame: &[u8], at: usize) -> Result<Network, Verdict> {
    let header: [u8; 40] = get(frame, at).ok_or(Verdict::ShortIp)?;
    if header[0] >> 4 != 6 {
        return Err(Verdict::BadIpVersion);
    }
    let end = at + 40 + usize::from(u16::from_be_bytes([header[4], header[5]]));
    if end > frame.len() {
        return Err(Verdict::BadIpLength);
    }
    let address = |at| get::<16>(&header, at).map(Ipv6Addr::from).ok_or(Verdict::ShortIp);
    let (source, destination) = (address(8)?, address(24)?);
    // No packet may carry one (draft-itojun-v6ops-v4mapped-harmful), so no service has it.
    if [source, destination].iter().any(|ip| ip.to_ipv4_mapped().is_some()) {
        return Err(Verdict::NoService);
    }
    let (source, destination) = (source.into(), destination.into());
    let Chain { protocol, transport, part } = walk(frame, header[6], at + 40, end)?;
    Ok(Network { source, destination, protocol, part, transport, end })
}

/// What stands behind a chain of extension headers.
pub(crate) struct Chain {
    pub(crate) protocol: u8,
    pub(crate) transport: usize,
    pub(crate) part: Part,
}

/// Walks the extension headers from `transport` on, in a packet up to `end`.
pub(crate) fn walk(
    frame: &[u8],
    mut protocol: u8,
    mut transport: usize,
    end: usize,
) -> Result<Chain, Verdict> {
    let (mut part, mut walked) = (Part::Whole, 0);
    while matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS) {
        if walked == CHAIN {
            return Err(Verdict::ExtensionChain);
        }
        walked += 1;
        let extension: [u8; 8] = get(&frame[..end], transport).ok_or(Verdict::BadExtension)?;
        // A source route is not ours to follow, however long it is.
        if protocol == ROUTING && extension[3] != 0 {
            return Err(Verdict::ExtensionChain);
        }
        let kind = std::mem::replace(&mut protocol, extension[0]);
        transport += if kind == FRAGMENT { 8 } else { 8 * (usize::from(extension[1]) + 1) };
        if transport > end {
            return Err(Verdict::BadExtension);
        }
        if kind == FRAGMENT {
            let field = u16::from_be_bytes([extension[2], extension[3]]);
            let identification = [extension[4], extension[5], extension[6], extension[7]];
            match self::part(field & 1 != 0, field >> 3, identification) {
                // An atomic fragment within a fragment does not make it whole.
                Part::Whole => {}
                first @ Part::First(_) => part = first,
                later @ Part::Later(_) => {
                    part = later;
                    break;
                }
            }
        }
    }
    Ok(Chain { protocol, transport, part })
}

/// The ports and the moment. A later fragment has neither.
fn transport(frame: &[u8], headers: &Network) -> Result<((u16, u16), Moment), Verdict> {
    let &Network { source, protocol, part, transport, end, .. } = headers;
    let none = ((0, 0), Moment::Amid);
    let v4 = source.is_ipv4();
    if matches!(part, Part::Later(_)) {
        let balanced = !v4 || matches!(protocol, TCP | UDP | ICMP);
        return if balanced { Ok(none) } else { Err(Verdict::NotTcpOrUdp) };
    }
    let segment = frame.get(transport..end).unwrap_or_default();
    match protocol {
        TCP => tcp(segment, part),
        UDP => udp(segment, part),
        ICMP if v4 => icmp(segment, none),
        ICMPV6 if !v4 => icmp(segment, none),
        _ => Err(Verdict::NotTcpOrUdp),
    }
}

/// RFC 9293 §3.1.
fn tcp(segment: &[u8], part: Part) -> Result<((u16, u16), Moment), Verdict> {
    let header: [u8; 20] = get(segment, 0).ok_or(Verdict::ShortTcp)?;
    let offset = usize::from(header[12] >> 4) * 4;
    if offset < 20 || part == Part::Whole && offset > segment.len() {
        return Err(Verdict::BadTcpOffset);
    }
    let flags = header[13];
    let (fin, syn, rst, ack) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0, flags & 16 != 0);
    // A segment that says both opens nothing that lasts.
    let moment = match (fin || rst, syn && !ack) {
        (true, _) => Moment::Closing,
        (false, true) => Moment::Opening,
        (false, false) => Moment::Amid,
    };
    Ok((ports(&header), moment))
}

/// RFC 768.
fn udp(datagram: &[u8], part: Part) -> Result<((u16, u16), Moment), Verdict> {
    let header: [u8; 8] = get(datagram, 0).ok_or(Verdict::ShortUdp)?;
    let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if len < 8 || part == Part::Whole && len > datagram.len() {
        return Err(Verdict::BadUdpLength);
    }
    Ok((ports(&header), Moment::Amid))
}

fn icmp<T>(message: &[u8], none: T) -> Result<T, Verdict> {
    if message.len() < 8 { Err(Verdict::ShortIcmp) } else { Ok(none) }
}

fn ports(header: &[u8]) -> (u16, u16) {
    (u16::from_be_bytes([header[0], header[1]]), u16::from_be_bytes([header[2], header[3]]))
}
