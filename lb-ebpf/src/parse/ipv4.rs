//! The IPv4 header (RFC 791 §3.1).

use lb_common::{addr::Addr, verdict::Verdict};
use network_types::ip::Ipv4Hdr;

use super::{Family, IP, Network};
use crate::frame::Frame;

/// "More fragments" and the fragment offset, without "don't fragment".
const FRAGMENT: u16 = 0x3fff;

#[inline(always)]
pub(super) fn header(frame: &Frame) -> Result<Network, Verdict> {
    let ip: &Ipv4Hdr = frame.header(IP).ok_or(Verdict::ShortIp)?;
    if ip.vihl >> 4 != 4 {
        return Err(Verdict::BadIpVersion);
    }
    let header_len = usize::from(ip.vihl & 0xf) * 4;
    let total_len = usize::from(u16::from_be_bytes(ip.tot_len));
    if header_len < Ipv4Hdr::LEN || header_len > total_len {
        return Err(Verdict::BadIpHeaderLength);
    }
    if IP + total_len > frame.len() {
        return Err(Verdict::BadIpLength);
    }
    if u16::from_be_bytes(ip.frags) & FRAGMENT != 0 {
        return Err(Verdict::Fragment);
    }
    Ok(Network {
        family: Family::V4,
        source: Addr::from_v4(ip.src_addr),
        destination: Addr::from_v4(ip.dst_addr),
        protocol: ip.proto,
        l4: IP + header_len,
        l4_len: total_len - header_len,
    })
}
