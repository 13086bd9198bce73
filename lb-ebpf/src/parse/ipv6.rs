//! The IPv6 header (RFC 8200 §3).

use lb_common::{addr::Addr, verdict::Verdict};
use network_types::ip::Ipv6Hdr;

use super::{
    Family, Network,
    extension::{self, Chain},
};
use crate::frame::Frame;

#[inline(always)]
pub(super) fn header(frame: &Frame, l3: usize) -> Result<Network, Verdict> {
    let ip: &Ipv6Hdr = frame.header(l3).ok_or(Verdict::ShortIp)?;
    if ip.vcf[0] >> 4 != 6 {
        return Err(Verdict::BadIpVersion);
    }
    let payload_len = usize::from(u16::from_be_bytes(ip.payload_len));
    let start = l3 + Ipv6Hdr::LEN;
    let end = start + payload_len;
    if !frame.has(end) {
        return Err(Verdict::BadIpLength);
    }
    let (source, destination) = (Addr::from_v6(ip.src_addr), Addr::from_v6(ip.dst_addr));
    // The maps know IPv4 addresses in their mapped form, which no packet may carry
    // (draft-itojun-v6ops-v4mapped-harmful): it would be taken for the IPv4 address.
    if source.is_v4() | destination.is_v4() {
        return Err(Verdict::NoService);
    }
    let Chain { protocol, offset, part } = extension::walk(frame, ip.next_hdr, start, end)?;
    Ok(Network { family: Family::V6, source, destination, protocol, part, l4: offset, end })
}
