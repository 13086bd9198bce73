//! What every hop changes: the link's header and the hop limit.

use lb_common::{
    checksum::{self, Delta},
    route::{NextHop, VlanTag},
    verdict::Verdict,
};
use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

use super::Egress;
use crate::{
    frame::{Buffer, Frame, Header, distance},
    parse::{ETHERNET, Family, IPV4, IPV6, Packet, VLAN},
};

/// What the link's header is put before.
pub(super) struct Payload {
    /// The family of the outermost IP header.
    pub(super) family: Family,
    /// The bytes to make room for before the packet.
    pub(super) growth: usize,
}

impl Payload {
    #[inline(always)]
    const fn ether_type(&self) -> [u8; 2] {
        match self.family {
            Family::V4 => IPV4.to_ne_bytes(),
            Family::V6 => IPV6.to_ne_bytes(),
        }
    }
}

/// Decrements TTL or hop limit, so that no loop of nodes goes on for ever, and applies a rewrite
/// of the addresses to the IPv4 header checksum.
#[inline(always)]
pub(super) fn decrement(frame: &mut Frame, packet: &Packet, delta: Delta) -> Result<(), Verdict> {
    match packet.family {
        Family::V4 => {
            let ip: &mut Ipv4Hdr = frame.header_mut(packet.l3).ok_or(Verdict::ShortIp)?;
            ip.ttl = usable(ip.ttl)? - 1;
            ip.check = checksum::update(ip.check, Delta::TTL_DECREMENT);
            ip.check = checksum::update(ip.check, delta);
        }
        Family::V6 => {
            let ip: &mut Ipv6Hdr = frame.header_mut(packet.l3).ok_or(Verdict::ShortIp)?;
            ip.hop_limit = usable(ip.hop_limit)? - 1;
        }
    }
    Ok(())
}

/// A router drops what would leave it with zero (RFC 1812 §5.3.1, RFC 8200 §3).
#[inline(always)]
fn usable(hops: u8) -> Result<u8, Verdict> {
    if hops <= 1 { Err(Verdict::HopLimit) } else { Ok(hops) }
}

/// The length of the link's header towards a next hop.
#[inline(always)]
pub(super) fn header_len(next_hop: &NextHop) -> usize {
    let [outer, inner] = &next_hop.tags;
    match (outer.is_some(), inner.is_some()) {
        (false, _) => ETHERNET,
        (true, false) => ETHERNET + VLAN,
        (true, true) => ETHERNET + 2 * VLAN,
    }
}

/// Puts a link's header towards the next hop before the payload, in place of the one there is.
#[inline(always)]
pub(super) fn address(
    buffer: &mut impl Buffer,
    packet: &Packet,
    next_hop: &NextHop,
    payload: &Payload,
) -> Result<Egress, Verdict> {
    let moved = distance(packet.l3) - distance(header_len(next_hop) + payload.growth);
    if moved != 0 && !buffer.move_start(moved) {
        return Err(Verdict::NoRoom);
    }
    let frame = &mut buffer.frame();
    let ethernet: &mut Ethernet = frame.header_mut(0).ok_or(Verdict::ShortEthernet)?;
    ethernet.addresses = next_hop.addresses();
    let [outer, inner] = &next_hop.tags;
    if !outer.is_some() {
        ethernet.ether_type = u16::from_ne_bytes(payload.ether_type());
        return Ok(Egress { interface: next_hop.interface });
    }
    ethernet.ether_type = u16::from_ne_bytes(outer.protocol);
    if inner.is_some() {
        tag(frame, ETHERNET, outer, inner.protocol)?;
        tag(frame, ETHERNET + VLAN, inner, payload.ether_type())?;
    } else {
        tag(frame, ETHERNET, outer, payload.ether_type())?;
    }
    Ok(Egress { interface: next_hop.interface })
}

/// The header with its addresses in words: of bytes, the compiler makes calls of a copying loop.
#[repr(C, packed(2))]
struct Ethernet {
    addresses: [u32; 3],
    ether_type: u16,
}

// SAFETY: `repr(C)` integers.
unsafe impl Header for Ethernet {}

/// A tag as it lies on the wire, without the protocol that announces it.
#[repr(C)]
struct Tag {
    control: [u8; 2],
    ether_type: [u8; 2],
}

// SAFETY: `repr(C)` bytes.
unsafe impl Header for Tag {}

#[inline(always)]
fn tag(
    frame: &mut Frame,
    offset: usize,
    tag: &VlanTag,
    ether_type: [u8; 2],
) -> Result<(), Verdict> {
    let place: &mut Tag = frame.header_mut(offset).ok_or(Verdict::ShortEthernet)?;
    *place = Tag { control: tag.control, ether_type };
    Ok(())
}
