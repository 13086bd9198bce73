//! What an ICMP error speaks of, as the NAT backend sent it.

use lb_common::{
    addr::Protocol,
    backend::Backend,
    checksum::{self, Delta},
    verdict::Verdict,
};
use network_types::{
    icmp::Icmpv4Hdr,
    ip::{Ipv4Hdr, Ipv6Hdr},
};

use crate::{
    frame::Frame,
    icmp::Embedded,
    parse::{Family, Packet},
};

/// The offsets of the checksums within their headers.
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;

/// Replaces the service's end of the embedded packet by the backend's, with all checksums. The
/// error's own destination is the caller's; its part of ICMPv6's pseudo-header is done here.
#[inline(always)]
pub fn rewrite_embedded(
    frame: &mut Frame,
    packet: &Packet,
    embedded: &Embedded,
    backend: &Backend,
) -> Result<(), Verdict> {
    let mut delta = backend.address_delta;
    match packet.family {
        Family::V4 => {
            let ip: &mut Ipv4Hdr = frame.header_mut(embedded.l3).ok_or(Verdict::ShortIcmp)?;
            ip.src_addr = backend.address.v4_octets();
            let check = checksum::update(ip.check, backend.address_delta);
            delta = delta.and(Delta::word(ip.check, check));
            ip.check = check;
        }
        Family::V6 => {
            let ip: &mut Ipv6Hdr = frame.header_mut(embedded.l3).ok_or(Verdict::ShortIcmp)?;
            ip.src_addr = backend.address.octets();
            delta = delta.and(backend.address_delta);
        }
    }
    let port: &mut [u8; 2] = frame.header_mut(embedded.l4).ok_or(Verdict::ShortIcmp)?;
    delta = delta.and(Delta::word(*port, backend.port.wire()));
    *port = backend.port.wire();
    delta = delta.and(rewrite_checksum(frame, packet, embedded, backend)?);
    let icmp: &mut Icmpv4Hdr = frame.header_mut(packet.l4).ok_or(Verdict::ShortIcmp)?;
    icmp.check = checksum::update(icmp.check, delta);
    Ok(())
}

/// The transport's checksum, if the error goes on so far.
#[inline(always)]
fn rewrite_checksum(
    frame: &mut Frame,
    packet: &Packet,
    embedded: &Embedded,
    backend: &Backend,
) -> Result<Delta, Verdict> {
    let is_tcp = embedded.protocol == Protocol::TCP;
    let offset = embedded.l4 + if is_tcp { TCP_CHECKSUM } else { UDP_CHECKSUM };
    if offset + 2 > packet.end {
        return Ok(Delta::NONE);
    }
    let check: &mut [u8; 2] = frame.header_mut(offset).ok_or(Verdict::ShortIcmp)?;
    let old = *check;
    *check = if is_tcp {
        checksum::update(old, backend.endpoint_delta)
    } else {
        checksum::update_udp(old, backend.endpoint_delta)
    };
    Ok(Delta::word(old, *check))
}
