//! Echo replies (RFC 792, RFC 4443 §4.2), made of the request in its place.

use core::mem::swap;

use lb_common::checksum::{self, Delta};
use network_types::{
    icmp::Icmpv4Hdr,
    ip::{Ipv4Hdr, Ipv6Hdr},
};

use super::{HOPS, header};
use crate::{
    frame::Frame,
    parse::{Family, Packet},
};

/// The types of replies.
const REPLY_V4: u8 = 0;
const REPLY_V6: u8 = 129;

/// Whether there is nothing between the IP header and the request.
#[inline(always)]
pub(super) fn is_plain(packet: &Packet) -> bool {
    packet.l4 == packet.l3 + header::ip_len(packet.family)
}

/// Turns the request round. Swapped addresses leave all checksums as they are.
#[inline(always)]
pub(super) fn reply(frame: &mut Frame, packet: &Packet) -> Option<()> {
    header::link(frame, packet, 0)?;
    let l3 = header::l3(packet);
    let kind = match packet.family {
        Family::V4 => {
            let ip: &mut Ipv4Hdr = frame.header_mut(l3)?;
            swap(&mut ip.src_addr, &mut ip.dst_addr);
            let delta = Delta::word([ip.ttl, ip.proto], [HOPS, ip.proto]);
            ip.ttl = HOPS;
            ip.check = checksum::update(ip.check, delta);
            REPLY_V4
        }
        Family::V6 => {
            let ip: &mut Ipv6Hdr = frame.header_mut(l3)?;
            swap(&mut ip.src_addr, &mut ip.dst_addr);
            ip.hop_limit = HOPS;
            REPLY_V6
        }
    };
    let icmp: &mut Icmpv4Hdr = frame.header_mut(l3 + header::ip_len(packet.family))?;
    let delta = Delta::word([icmp.type_, icmp.code], [kind, icmp.code]);
    icmp.type_ = kind;
    icmp.check = checksum::update(icmp.check, delta);
    Some(())
}
