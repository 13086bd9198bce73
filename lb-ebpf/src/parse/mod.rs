//! Parse: from bytes to a flow, and to a named verdict for everything that is none.

mod extension;
mod ipv4;
mod ipv6;
mod l4;
#[cfg(test)]
mod tests;

use lb_common::{
    addr::{Addr, Port, Protocol},
    verdict::Verdict,
};
use network_types::eth::{EthHdr, EtherType};

use crate::frame::Frame;

/// What the stages need to know of a packet: values and offsets, never references.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The IP version of the packet.
    pub family: Family,
    /// The offset of the TCP or UDP header.
    pub l4: usize,
    /// The IP source.
    pub source: Addr,
    /// The IP destination.
    pub destination: Addr,
    /// The source port.
    pub source_port: Port,
    /// The destination port.
    pub destination_port: Port,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// The two families part where bytes are touched, and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// RFC 791.
    V4,
    /// RFC 8200.
    V6,
}

/// The offset of the IP header.
pub const IP: usize = EthHdr::LEN;

/// What an IP header says of the flow and of the place of the next header.
struct Network {
    family: Family,
    source: Addr,
    destination: Addr,
    protocol: u8,
    l4: usize,
    /// The bytes from the transport header to the end of the packet, by the IP length field.
    l4_len: usize,
}

/// Parses a frame.
///
/// # Errors
///
/// A verdict: what cannot be a flow of a service passes; what contradicts itself is dropped.
#[inline(always)]
pub fn packet(frame: &Frame) -> Result<Packet, Verdict> {
    const IPV4: u16 = EtherType::Ipv4 as u16;
    const IPV6: u16 = EtherType::Ipv6 as u16;
    let ethernet: &EthHdr = frame.header(0).ok_or(Verdict::ShortEthernet)?;
    let network = match ethernet.ether_type {
        IPV4 => ipv4::header(frame)?,
        IPV6 => ipv6::header(frame)?,
        _ => return Err(Verdict::NotIp),
    };
    let Network { family, source, destination, protocol, l4, l4_len } = network;
    let protocol = Protocol(protocol);
    let (source_port, destination_port) = match protocol {
        Protocol::TCP => l4::tcp(frame, l4, l4_len)?,
        Protocol::UDP => l4::udp(frame, l4, l4_len)?,
        _ => return Err(Verdict::NotTcpOrUdp),
    };
    Ok(Packet { family, l4, source, destination, source_port, destination_port, protocol })
}
