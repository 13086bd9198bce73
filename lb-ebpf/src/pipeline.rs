//! A packet's life: the only module that knows the order of the stages.
//!
//! `parse → admit (firewall) → service → slot → (flow) → backend → forward`. `Err` is not a failure:
//! it is a verdict reached early.

pub mod probe;
mod rare;

use lb_common::{
    addr::Protocol,
    flow::Choice,
    hash::flow_hash,
    service::Service,
    settings::{Settings, Stages},
    slot::Index,
    verdict::Verdict,
};

use crate::{
    answer, backend, clock, firewall, flow,
    forward::{self, Egress},
    fragment,
    frame::Buffer,
    parse::{self, Packet, Part},
    reply, ring, service, settings, stats,
};

/// Whether the kernel is to have all frames, since the daemon has been silent for too long. Asked before
/// anything else: the answer takes a call, and later there is no stack to keep what is known of a packet.
#[inline(always)]
pub fn is_unattended(buffer: &impl Buffer) -> bool {
    settings::current().is_ok_and(|settings| settings.stages.contains(Stages::WATCHDOG))
        && clock::is_overdue(buffer.second())
}

/// Decides on a frame and, if it is for a service, rewrites it for its next hop.
#[inline(always)]
pub fn process(buffer: &mut impl Buffer) -> Result<Egress, Verdict> {
    let mut packet = parse::packet(&buffer.frame())?;
    let settings = settings::current()?;
    packet.forget_offsets(settings.answers.padding);
    if settings.stages.contains(Stages::FIREWALL) {
        firewall::admit(&packet)?;
    }
    if let Part::Later(_) = packet.part {
        return rare::follow(buffer, &packet.copy());
    }
    if !matches!(packet.protocol, Protocol::TCP | Protocol::UDP) {
        return rare::message(buffer, &packet.copy());
    }
    let (vip, port) = (&packet.destination, packet.destination_port);
    match service::find(vip, port, packet.protocol, settings) {
        Some(service) => request(buffer, &packet, service, settings),
        None => answer(buffer, &packet, settings),
    }
}

/// A client's packet.
#[inline(always)]
fn request(
    buffer: &mut impl Buffer,
    packet: &Packet,
    service: &Service,
    settings: &Settings,
) -> Result<Egress, Verdict> {
    let (from, to) = (packet.source_port, packet.destination_port);
    let hash = flow_hash(&settings.hash_key, &packet.source, from, to);
    let index = choose(buffer, packet, service, hash, settings)?;
    let place = backend::place(service, index);
    let backend = backend::at(place)?;
    if let Part::First(_) = packet.part {
        fragment::remember(&packet.copy(), service, place, hash);
    }
    let room = forward::room(service, backend);
    if packet.end - packet.l3 > room {
        return Err(answer::too_big(buffer, &packet.copy(), settings, room));
    }
    let bytes = stats::bytes(&buffer.frame(), packet);
    let egress = forward::to_backend(buffer, packet, service, backend, hash, settings)?;
    stats::forwarded(backend.counter, bytes);
    Ok(egress)
}

/// The backend of a client's packet, by the ring, and by memory where the ring has changed.
#[inline(always)]
fn choose(
    buffer: &mut impl Buffer,
    packet: &Packet,
    service: &Service,
    hash: u32,
    settings: &Settings,
) -> Result<Index, Verdict> {
    let slot = ring::slot(service, hash)?;
    if slot.is_stable() {
        return slot.current().ok_or(Verdict::NoBackend);
    }
    match flow::decide(service, &flow::key(service, packet), slot, packet.moment) {
        Choice::Backend(index) => Ok(index),
        Choice::None => Err(Verdict::NoBackend),
        Choice::Refuse => Err(answer::refuse(buffer, &packet.copy(), settings)),
        Choice::Drop => Err(Verdict::BackendDown),
    }
}

/// A NAT backend's packet, or nobody's.
#[inline(always)]
fn answer(
    buffer: &mut impl Buffer,
    packet: &Packet,
    settings: &Settings,
) -> Result<Egress, Verdict> {
    if !settings.stages.contains(Stages::REPLY) {
        return Err(Verdict::NoService);
    }
    let reply = reply::find(packet)?;
    let next_hop = reply::route(packet)?;
    if let Part::First(_) = packet.part {
        fragment::remember_reply(&packet.copy(), reply);
    }
    let bytes = stats::bytes(&buffer.frame(), packet);
    let egress = forward::to_client(buffer, packet, reply, next_hop)?;
    stats::replied(reply.counter, bytes);
    Ok(egress)
}
