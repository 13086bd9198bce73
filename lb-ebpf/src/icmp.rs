//! ICMP and ICMPv6 that concern a service: errors about its packets, and echo requests to its VIP.

use lb_common::{settings::Settings, verdict::Verdict};

use crate::{forward::Egress, frame::Buffer, parse::Packet};

/// Answers, forwards or passes an ICMP message.
#[inline(never)]
pub fn handle(
    buffer: &mut impl Buffer,
    packet: &Packet,
    settings: &Settings,
) -> Result<Egress, Verdict> {
    let _ = (buffer, packet, settings);
    Err(Verdict::NotTcpOrUdp)
}
