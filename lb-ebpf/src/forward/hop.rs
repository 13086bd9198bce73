//! What every hop changes: the Ethernet addresses and the hop limit.

use lb_common::{
    checksum::{self, Delta},
    route::NextHop,
    verdict::Verdict,
};
use network_types::{
    eth::EthHdr,
    ip::{Ipv4Hdr, Ipv6Hdr},
};

use super::Egress;
use crate::{
    frame::Frame,
    parse::{Family, IP},
};

/// Decrements TTL or hop limit, so that no loop of nodes goes on for ever, and applies a rewrite
/// of the addresses to the IPv4 header checksum.
#[inline(always)]
pub(super) fn decrement(frame: &mut Frame, family: Family, delta: Delta) -> Result<(), Verdict> {
    match family {
        Family::V4 => {
            let ip: &mut Ipv4Hdr = frame.header_mut(IP).ok_or(Verdict::ShortIp)?;
            ip.ttl = usable(ip.ttl)? - 1;
            ip.check = checksum::update(ip.check, Delta::TTL_DECREMENT);
            ip.check = checksum::update(ip.check, delta);
        }
        Family::V6 => {
            let ip: &mut Ipv6Hdr = frame.header_mut(IP).ok_or(Verdict::ShortIp)?;
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

/// Addresses the frame to its next hop.
#[inline(always)]
pub(super) fn address(frame: &mut Frame, next_hop: &NextHop) -> Result<Egress, Verdict> {
    if !next_hop.is_resolved() {
        return Err(Verdict::NoNextHop);
    }
    let ethernet: &mut EthHdr = frame.header_mut(0).ok_or(Verdict::ShortEthernet)?;
    ethernet.dst_addr = next_hop.destination.0;
    ethernet.src_addr = next_hop.source.0;
    Ok(Egress { interface: next_hop.interface })
}
