//! Parse: from bytes to a flow, and to a named verdict for everything that is none.

mod extension;
mod icmp;
mod ipv4;
mod ipv6;
mod l4;
mod link;
#[cfg(test)]
mod tests;

use lb_common::{
    addr::{Addr, Port, Protocol},
    flow::Moment,
    verdict::Verdict,
};

use crate::frame::Frame;

pub use self::{
    extension::DESTINATION_OPTIONS,
    link::{ETHERNET, IPV4, IPV6, VLAN},
};

/// What the stages need to know of a packet: values and offsets, never references.
///
/// Addresses come first, eight bytes apart: it may live on the stack, where the verifier takes no
/// access across the words.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The IP source.
    pub source: Addr,
    /// The IP destination.
    pub destination: Addr,
    /// The offset of the IP header.
    pub l3: usize,
    /// The offset of the header behind it: TCP's, UDP's, ICMP's.
    pub l4: usize,
    /// The offset of the packet's end, by the IP header; the frame may have padding behind.
    pub end: usize,
    /// The source port; zero for ICMP and for later fragments.
    pub source_port: Port,
    /// The destination port; likewise.
    pub destination_port: Port,
    /// The IP version of the packet.
    pub family: Family,
    /// TCP, UDP, or the family's ICMP.
    pub protocol: Protocol,
    /// What it says of its connection.
    pub moment: Moment,
    /// Which part of a datagram it is.
    pub part: Part,
}

/// The two families part where bytes are touched, and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// RFC 791.
    V4,
    /// RFC 8200.
    V6,
}

impl Family {
    /// The number that an IP header has, and a prefix in the maps.
    #[inline(always)]
    #[must_use]
    pub const fn version(self) -> u32 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }
}

/// Which part of a datagram a packet is. The identification stands as in
/// [`lb_common::fragment::FragmentKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The first fragment, with the ports.
    First([u8; 4]),
    /// Another fragment: it has no ports.
    Later([u8; 4]),
}

/// What an IP header says of the flow and of the place of the next header.
pub(crate) struct Network {
    pub(crate) family: Family,
    pub(crate) source: Addr,
    destination: Addr,
    pub(crate) protocol: Protocol,
    pub(crate) part: Part,
    pub(crate) l4: usize,
    pub(crate) end: usize,
}

/// Parses a frame up to the header behind IP's; gives the offset of the IP header first.
///
/// # Errors
///
/// As [`packet`].
#[inline(always)]
pub(crate) fn network(frame: &Frame) -> Result<(usize, Network), Verdict> {
    let (ether_type, l3) = link::header(frame)?;
    let network = match ether_type {
        IPV4 => ipv4::header(frame, l3)?,
        IPV6 => ipv6::header(frame, l3)?,
        _ => return Err(Verdict::NotIp),
    };
    Ok((l3, network))
}

/// Walks the chain of extension headers of an IPv6 packet that may be cut off at `end`: gives the
/// protocol behind it, its offset, and which part of a datagram it is.
///
/// # Errors
///
/// A verdict, where the chain leaves the packet or cannot be walked.
#[inline(always)]
pub fn chain(
    frame: &Frame,
    next_header: u8,
    start: usize,
    end: usize,
) -> Result<(Protocol, usize, Part), Verdict> {
    let extension::Chain { protocol, offset, part } =
        extension::walk(frame, next_header, start, end)?;
    Ok((protocol, offset, part))
}

impl Packet {
    /// A copy, for a function that is called and not inlined: what it is given a pointer to lies on
    /// the stack. All others know the packet by its parts, which registers hold, and only they are
    /// on the way of most packets.
    #[inline(always)]
    #[must_use]
    pub const fn copy(&self) -> Self {
        *self
    }

    /// Makes the verifier forget all of the offsets but how large they may be: it walks what
    /// follows once, and not once for each place that a header may have.
    #[inline(always)]
    pub fn forget_offsets(&mut self, zero: u32) {
        self.l3 = forget(self.l3, zero, 0x1f);
        self.l4 = forget(self.l4, zero, HEADERS);
        self.end = forget(self.end, zero, 0x1_ffff);
    }
}

/// No header lies further behind than this: five extension headers of 2048 bytes, twice in an ICMP
/// error.
pub const HEADERS: usize = 0x7fff;

/// A number of which the verifier knows nothing but its bits. `zero` is a word that only the
/// verifier does not know.
#[inline(always)]
#[must_use]
pub const fn forget(number: usize, zero: u32, bits: usize) -> usize {
    (number ^ zero as usize) & bits
}

/// Parses a frame.
///
/// # Errors
///
/// A verdict: what cannot be a flow of a service passes; what contradicts itself is dropped.
#[inline(always)]
pub fn packet(frame: &Frame) -> Result<Packet, Verdict> {
    let (l3, network) = network(frame)?;
    let Network { family, source, destination, protocol, part, l4, end } = network;
    let none = (Port::ZERO, Port::ZERO, Moment::Amid);
    let len = end - l4;
    let (source_port, destination_port, moment) = match (protocol, family, part) {
        // What follows an IPv6 fragment header may be another extension header.
        (Protocol::TCP | Protocol::UDP, _, Part::Later(_)) | (_, Family::V6, Part::Later(_)) => {
            none
        }
        (Protocol::TCP, _, part) => l4::tcp(frame, l4, len, part)?,
        (Protocol::UDP, _, part) => l4::udp(frame, l4, len, part)?,
        (Protocol::ICMP, Family::V4, part) | (Protocol::ICMPV6, Family::V6, part) => {
            icmp::check(frame, l4, len, part)?;
            none
        }
        _ => return Err(Verdict::NotTcpOrUdp),
    };
    Ok(Packet {
        source,
        destination,
        l3,
        l4,
        end,
        source_port,
        destination_port,
        family,
        protocol,
        moment,
        part,
    })
}
