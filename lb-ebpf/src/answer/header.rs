//! The headers of an answer: back the way that the packet came.

use lb_common::{
    addr::{Addr, Protocol},
    checksum,
};
use network_types::{
    eth::EthHdr,
    ip::{Ipv4Hdr, Ipv6Hdr},
};

use super::HOPS;
use crate::{
    frame::Frame,
    parse::{ETHERNET, Family, Packet, VLAN},
};

/// "Don't fragment" (RFC 791 §3.1): the identification of such a packet means nothing (RFC 6864).
const DONT_FRAGMENT: [u8; 2] = [0x40, 0];
/// Of an IPv4 packet's first word: the version, and a header of 20 bytes.
const PLAIN: u8 = 0x45;

/// The length of the IP header of an answer.
pub(super) const fn ip_len(family: Family) -> usize {
    match family {
        Family::V4 => Ipv4Hdr::LEN,
        Family::V6 => Ipv6Hdr::LEN,
    }
}

/// Where the IP header lies. All that is known of it is known from the parser; what the verifier
/// knows is this.
#[inline(always)]
pub(super) const fn l3(packet: &Packet) -> usize {
    packet.l3 & 0x1f
}

/// Copies the link's header from the offset `from`, with its tags, to the frame's start, and turns
/// it round.
#[inline(always)]
pub(super) fn link(frame: &mut Frame, packet: &Packet, from: usize) -> Option<()> {
    let old: &EthHdr = frame.header(from)?;
    let EthHdr { dst_addr, src_addr, ether_type } = *old;
    let new: &mut EthHdr = frame.header_mut(0)?;
    *new = EthHdr { dst_addr: src_addr, src_addr: dst_addr, ether_type };
    for offset in [ETHERNET, ETHERNET + VLAN] {
        if offset >= l3(packet) {
            break;
        }
        let tag: [u8; 4] = *frame.header(from + offset)?;
        *frame.header_mut(offset)? = tag;
    }
    Some(())
}

/// Writes an IP header from the VIP to the packet's sender, before `len` bytes.
#[inline(always)]
pub(super) fn ip(
    frame: &mut Frame,
    packet: &Packet,
    protocol: Protocol,
    traffic_class: u8,
    len: usize,
) -> Option<()> {
    match packet.family {
        Family::V4 => {
            let ip: &mut Ipv4Hdr = frame.header_mut(l3(packet))?;
            ip.vihl = PLAIN;
            ip.tos = traffic_class;
            ip.tot_len = ((Ipv4Hdr::LEN + len) as u16).to_be_bytes();
            ip.id = [0; 2];
            ip.frags = DONT_FRAGMENT;
            ip.ttl = HOPS;
            ip.proto = protocol.0;
            ip.src_addr = packet.destination.v4_octets();
            ip.dst_addr = packet.source.v4_octets();
            let words = [
                [ip.vihl, ip.tos, ip.tot_len[0], ip.tot_len[1]],
                [0, 0, DONT_FRAGMENT[0], DONT_FRAGMENT[1]],
                [ip.ttl, ip.proto, 0, 0],
                ip.src_addr,
                ip.dst_addr,
            ];
            let sum = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
            ip.check = checksum::finish_wide(sum);
        }
        Family::V6 => {
            let ip: &mut Ipv6Hdr = frame.header_mut(l3(packet))?;
            ip.vcf = [0x60 | traffic_class >> 4, traffic_class << 4, 0, 0];
            ip.payload_len = (len as u16).to_be_bytes();
            ip.next_hdr = protocol.0;
            ip.hop_limit = HOPS;
            ip.src_addr = packet.destination.octets();
            ip.dst_addr = packet.source.octets();
        }
    }
    Some(())
}

/// The sum of the pseudo-header before `len` bytes (RFC 9293 §3.1, RFC 8200 §8.1). Both families'
/// are alike but for the addresses, and of mapped addresses the mapping itself is left out.
#[inline(always)]
pub(super) fn pseudo(packet: &Packet, protocol: Protocol, len: usize) -> u64 {
    let both =
        addresses(packet.family, &packet.source) + addresses(packet.family, &packet.destination);
    both + u64::from((len as u32).to_be()) + u64::from(u32::from_ne_bytes([0, 0, 0, protocol.0]))
}

#[inline(always)]
fn addresses(family: Family, address: &Addr) -> u64 {
    let [a, b, c, d] = address.words().map(u64::from);
    match family {
        Family::V4 => d,
        Family::V6 => a + b + c + d,
    }
}
