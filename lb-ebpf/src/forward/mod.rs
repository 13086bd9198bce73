//! Forward: rewrites a frame for its next hop.

mod embedded;
mod hop;
mod rewrite;
mod tunnel;

use lb_common::{
    addr::Port,
    backend::Backend,
    checksum::Delta,
    probe::{Probe, ProbeSettings},
    route::NextHop,
    service::{ForwardMode, Reply, Service},
    settings::Settings,
    verdict::Verdict,
};

use crate::{
    frame::Buffer,
    parse::{Family, Packet},
};
use hop::Payload;
use rewrite::{End, Endpoint};
use tunnel::Tunnel;

pub use self::{embedded::rewrite_embedded, rewrite::readdress};

/// The interface that a rewritten frame leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Its index.
    pub interface: u32,
}

impl Egress {
    /// Marks a word that holds a verdict; interfaces have 32 bits.
    const VERDICT: u64 = 1 << 32;

    /// An outcome in one word.
    #[inline(always)]
    #[must_use]
    pub fn word(outcome: Result<Self, Verdict>) -> u64 {
        match outcome {
            Ok(Self { interface }) => interface.into(),
            Err(verdict) => Self::VERDICT | u64::from(verdict.index()),
        }
    }

    /// The outcome of a word that [`Egress::word`] made.
    #[inline(always)]
    pub fn from_word(word: u64) -> Result<Self, Verdict> {
        if word < Self::VERDICT {
            return Ok(Self { interface: word as u32 });
        }
        Err(Verdict::from_index(word as u32).unwrap_or(Verdict::Inconsistent))
    }
}

/// The longest packet that the way to a backend takes without what the mode adds to it, in bytes.
#[inline(always)]
#[must_use]
pub fn room(service: &Service, backend: &Backend) -> usize {
    usize::from(backend.mtu).saturating_sub(tunnel::overhead(service.mode, backend))
}

/// Sends a packet to its backend, in the service's mode.
#[inline(always)]
pub fn to_backend(
    buffer: &mut impl Buffer,
    packet: &Packet,
    service: &Service,
    backend: &Backend,
    hash: u32,
    settings: &Settings,
) -> Result<Egress, Verdict> {
    let next_hop = &backend.next_hop;
    if !next_hop.is_resolved() {
        return Err(Verdict::NoNextHop);
    }
    let frame = &mut buffer.frame();
    match service.mode {
        ForwardMode::L2 => hop::decrement(frame, packet, Delta::NONE)?,
        ForwardMode::NAT => {
            hop::decrement(frame, packet, backend.address_delta)?;
            let (address, port) = (&backend.address, backend.port);
            let new = Endpoint { address, port, delta: backend.endpoint_delta };
            rewrite::endpoint(frame, packet, End::Destination, &new)?;
        }
        ForwardMode::IPIP | ForwardMode::GUE => {
            hop::decrement(frame, packet, Delta::NONE)?;
            let gue = if service.mode == ForwardMode::GUE { Some(service.gue_port) } else { None };
            return through_tunnel(buffer, packet, backend, gue, hash, settings);
        }
        _ => return Err(Verdict::Inconsistent),
    }
    hop::address(buffer, packet, next_hop, &Payload::of(packet.family))
}

#[inline(always)]
fn through_tunnel(
    buffer: &mut impl Buffer,
    packet: &Packet,
    backend: &Backend,
    gue: Option<Port>,
    hash: u32,
    settings: &Settings,
) -> Result<Egress, Verdict> {
    let tunnel = Tunnel::new(&buffer.frame(), packet, backend, gue, hash, settings)?;
    let payload = Payload { family: tunnel.family(), growth: tunnel.len() };
    let egress = hop::address(buffer, packet, &backend.next_hop, &payload)?;
    let start = hop::header_len(&backend.next_hop);
    tunnel.write(&mut buffer.frame(), start)?;
    Ok(egress)
}

/// Sends a NAT backend's answer to the client, from the VIP.
#[inline(always)]
pub fn to_client(
    buffer: &mut impl Buffer,
    packet: &Packet,
    reply: &Reply,
    next_hop: &NextHop,
) -> Result<Egress, Verdict> {
    let frame = &mut buffer.frame();
    hop::decrement(frame, packet, reply.address_delta)?;
    let new = Endpoint { address: &reply.vip, port: reply.port, delta: reply.endpoint_delta };
    rewrite::endpoint(frame, packet, End::Source, &new)?;
    hop::address(buffer, packet, next_hop, &Payload::of(packet.family))
}

/// Sends the answer to a health check back to where the daemon awaits it.
#[inline(always)]
pub fn to_daemon(
    buffer: &mut impl Buffer,
    packet: &Packet,
    place: u32,
    probe: &Probe,
    probes: &ProbeSettings,
) -> Result<(), Verdict> {
    let aliases = probes.aliases(packet.family == Family::V4);
    let (from, to) = (aliases.of(place), aliases.own());
    readdress(&mut buffer.frame(), packet, &from, &to, probe.delta.reversed())?;
    let Egress { interface: _ } =
        hop::address(buffer, packet, &probes.answers, &Payload::of(packet.family))?;
    Ok(())
}

/// The family of the header that follows the link's, and what was put before the packet.
impl Payload {
    #[inline(always)]
    const fn of(family: Family) -> Self {
        Self { family, growth: 0 }
    }
}
