//! Fragments follow the first one of their datagram, which has the ports.

use lb_common::{
    service::{Reply, Service},
    settings::Settings,
    verdict::Verdict,
};

use crate::{forward::Egress, frame::Buffer, parse::Packet};

/// Remembers where the first fragment of a datagram goes.
#[inline(never)]
pub fn remember(packet: &Packet, service: &Service, place: u32, hash: u32) {
    let _ = (packet, service, place, hash);
}

/// Remembers that the first fragment of a datagram is a NAT backend's answer.
#[inline(never)]
pub fn remember_reply(packet: &Packet, reply: &Reply) {
    let _ = (packet, reply);
}

/// Sends another fragment after the first.
#[inline(never)]
pub fn follow(
    buffer: &mut impl Buffer,
    packet: &Packet,
    settings: &Settings,
) -> Result<Egress, Verdict> {
    let _ = (buffer, packet, settings);
    Err(Verdict::NoService)
}
