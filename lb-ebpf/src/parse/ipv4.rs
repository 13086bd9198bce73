//! The IPv4 header (RFC 791 §3.1).

use lb_common::{
    addr::{Addr, Protocol},
    verdict::Verdict,
};
use network_types::ip::Ipv4Hdr;

use super::{Family, Network, Part};
use crate::frame::Frame;

const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;

#[inline(always)]
pub(super) fn header(frame: &Frame, l3: usize) -> Result<Network, Verdict> {
    let ip: &Ipv4Hdr = frame.header(l3).ok_or(Verdict::ShortIp)?;
    if ip.vihl >> 4 != 4 {
        return Err(Verdict::BadIpVersion);
    }
    let header_len = usize::from(ip.vihl & 0xf) * 4;
    let total_len = usize::from(u16::from_be_bytes(ip.tot_len));
    if header_len < Ipv4Hdr::LEN || header_len > total_len {
        return Err(Verdict::BadIpHeaderLength);
    }
    if !frame.has(l3 + total_len) {
        return Err(Verdict::BadIpLength);
    }
    Ok(Network {
        family: Family::V4,
        source: Addr::from_v4(ip.src_addr),
        destination: Addr::from_v4(ip.dst_addr),
        protocol: Protocol(ip.proto),
        part: part(u16::from_be_bytes(ip.frags), ip.id),
        l4: l3 + header_len,
        end: l3 + total_len,
    })
}

#[inline(always)]
fn part(flags: u16, [a, b]: [u8; 2]) -> Part {
    let identification = [a, b, 0, 0];
    match flags & (MORE_FRAGMENTS | FRAGMENT_OFFSET) {
        0 => Part::Whole,
        MORE_FRAGMENTS => Part::First(identification),
        _ => Part::Later(identification),
    }
}
