//! The IPv6 header (RFC 8200 §3).

use lb_common::{addr::Addr, verdict::Verdict};
use network_types::ip::Ipv6Hdr;

use super::{Family, IP, Network};
use crate::frame::Frame;

/// The fragment header (RFC 8200 §4.5).
const FRAGMENT: u8 = 44;

#[inline(always)]
pub(super) fn header(frame: &Frame) -> Result<Network, Verdict> {
    let ip: &Ipv6Hdr = frame.header(IP).ok_or(Verdict::ShortIp)?;
    if ip.vcf[0] >> 4 != 6 {
        return Err(Verdict::BadIpVersion);
    }
    let payload_len = usize::from(u16::from_be_bytes(ip.payload_len));
    if IP + Ipv6Hdr::LEN + payload_len > frame.len() {
        return Err(Verdict::BadIpLength);
    }
    if ip.next_hdr == FRAGMENT {
        return Err(Verdict::Fragment);
    }
    Ok(Network {
        family: Family::V6,
        source: Addr::from_v6(ip.src_addr),
        destination: Addr::from_v6(ip.dst_addr),
        protocol: ip.next_hdr,
        l4: IP + Ipv6Hdr::LEN,
        l4_len: payload_len,
    })
}
