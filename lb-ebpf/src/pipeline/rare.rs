//! The lives of packets that are rare: later fragments, and ICMP.
//!
//! Each step is a function of its own, so that the path of all others stays short, and they do not
//! call each other, so that the stack suffices. What they give is one word, as the verifier wants
//! it.

use lb_common::{
    flow::{Choice, FlowKey},
    fragment::FragmentFlow,
    hash::flow_hash,
    service::{ForwardMode, Service},
    settings::Settings,
    slot::Index,
    verdict::Verdict,
};

use crate::{
    answer, backend, flow,
    forward::{self, Egress},
    fragment,
    frame::Buffer,
    icmp::{self, Embedded, Message},
    parse::{self, Packet, Part},
    reply, ring, service, settings, stats,
};

/// A later fragment: it goes where the first one went.
#[inline(always)]
pub(super) fn follow(buffer: &mut impl Buffer, packet: &Packet) -> Result<Egress, Verdict> {
    let Some(flow) = fragment::find(packet) else {
        return Egress::from_word(lost(packet));
    };
    Egress::from_word(if flow.is_reply() {
        replied(buffer, packet, flow)
    } else {
        delivered(buffer, packet, &flow.service, flow.backend, flow.hash)
    })
}

/// An ICMP message: an echo request is answered, an error goes to the backend of the flow that it
/// is about.
#[inline(always)]
pub(super) fn message(buffer: &mut impl Buffer, packet: &Packet) -> Result<Egress, Verdict> {
    let mut embedded = Embedded::NONE;
    let heard = heard(buffer, packet, &mut embedded);
    if heard != GO_ON {
        return Egress::from_word(heard);
    }
    let mut target = Target { service: None, place: 0, hash: 0 };
    let found = found(packet, &embedded, &mut target);
    if found != GO_ON {
        return Egress::from_word(found);
    }
    let service = target.service.ok_or(Verdict::Inconsistent)?;
    if service.mode == ForwardMode::NAT {
        translated(buffer, packet, &embedded, target.place);
    }
    Egress::from_word(delivered(buffer, packet, service, target.place, target.hash))
}

/// There is no outcome yet, and no outcome is this.
const GO_ON: u64 = u64::MAX;

/// Where an error goes.
#[repr(C, align(8))]
struct Target {
    service: Option<&'static Service>,
    place: u32,
    hash: u32,
}

/// A fragment whose first one was not seen.
#[inline(never)]
fn lost(packet: &Packet) -> u64 {
    let is_for_vip = settings::current().is_ok_and(|settings| is_for_vip(packet, settings));
    Egress::word(Err(fragment::lost(packet, is_for_vip)))
}

/// A later fragment of a NAT backend's answer.
#[inline(never)]
fn replied(buffer: &mut impl Buffer, packet: &Packet, flow: &FragmentFlow) -> u64 {
    let bytes = stats::bytes(&buffer.frame(), packet);
    let sent = reply::route(packet)
        .and_then(|next_hop| forward::to_client(buffer, packet, &flow.reply, next_hop));
    if sent.is_ok() {
        stats::replied(flow.reply.counter, bytes);
    }
    Egress::word(sent)
}

/// What an ICMP message says: an error goes on.
#[inline(never)]
fn heard(buffer: &mut impl Buffer, packet: &Packet, embedded: &mut Embedded) -> u64 {
    match hear(buffer, packet) {
        Ok(found) => {
            *embedded = found;
            GO_ON
        }
        Err(verdict) => Egress::word(Err(verdict)),
    }
}

#[inline(always)]
fn hear(buffer: &mut impl Buffer, packet: &Packet) -> Result<Embedded, Verdict> {
    let settings = settings::current()?;
    if packet.part != Part::Whole || !is_for_vip(packet, settings) {
        return Err(Verdict::NotTcpOrUdp);
    }
    match icmp::message(&buffer.frame(), packet)? {
        Message::EchoRequest => Err(answer::echo(buffer, packet, settings)),
        Message::Error => {
            let mut embedded = icmp::embedded(&buffer.frame(), packet)?;
            let zero = settings.answers.padding;
            embedded.l3 = parse::forget(embedded.l3, zero, parse::HEADERS);
            embedded.l4 = parse::forget(embedded.l4, zero, parse::HEADERS);
            Ok(embedded)
        }
        Message::Other => Err(Verdict::NotTcpOrUdp),
    }
}

/// Finds where an error goes.
#[inline(never)]
fn found(packet: &Packet, embedded: &Embedded, target: &mut Target) -> u64 {
    match find(packet, embedded) {
        Ok((service, place, hash)) => {
            *target = Target { service: Some(service), place, hash };
            GO_ON
        }
        Err(verdict) => Egress::word(Err(verdict)),
    }
}

#[inline(always)]
fn find(packet: &Packet, embedded: &Embedded) -> Result<(&'static Service, u32, u32), Verdict> {
    let &Embedded { client, client_port, service_port, protocol, .. } = embedded;
    let settings = settings::current()?;
    let service = service::find(&packet.destination, service_port, protocol, settings)
        .ok_or(Verdict::NotTcpOrUdp)?;
    let hash = flow_hash(&settings.hash_key, &client, client_port, service_port);
    let key = FlowKey { client, service: service.id, client_port, service_port };
    Ok((service, backend::place(service, owner(service, &key, hash)?), hash))
}

/// The backend of a flow; what only speaks of a flow is not remembered.
#[inline(always)]
fn owner(service: &Service, key: &FlowKey, hash: u32) -> Result<Index, Verdict> {
    let slot = ring::slot(service, hash)?;
    if slot.is_stable() {
        return slot.current().ok_or(Verdict::NoBackend);
    }
    match flow::look_up(service, key, slot) {
        Choice::Backend(index) => Ok(index),
        Choice::None => Err(Verdict::NoBackend),
        Choice::Refuse | Choice::Drop => Err(Verdict::BackendDown),
    }
}

/// Rewrites what an error speaks of for a NAT backend. Where that fails, the error is forwarded
/// nonetheless, and the backend makes nothing of it.
#[inline(never)]
fn translated(buffer: &mut impl Buffer, packet: &Packet, embedded: &Embedded, place: u32) {
    let _untouched: Result<(), Verdict> = backend::at(place).and_then(|backend| {
        forward::rewrite_embedded(&mut buffer.frame(), packet, embedded, backend)
    });
}

/// Sends a packet that must not be answered to a backend.
#[inline(never)]
fn delivered(
    buffer: &mut impl Buffer,
    packet: &Packet,
    service: &Service,
    place: u32,
    hash: u32,
) -> u64 {
    Egress::word(deliver(buffer, packet, service, place, hash))
}

#[inline(always)]
fn deliver(
    buffer: &mut impl Buffer,
    packet: &Packet,
    service: &Service,
    place: u32,
    hash: u32,
) -> Result<Egress, Verdict> {
    let settings = settings::current()?;
    let backend = backend::at(place)?;
    if packet.end - packet.l3 > forward::room(service, backend) {
        return Err(Verdict::Oversize);
    }
    let bytes = stats::bytes(&buffer.frame(), packet);
    let egress = forward::to_backend(buffer, packet, service, backend, hash, settings)?;
    stats::forwarded(backend.counter, bytes);
    Ok(egress)
}

#[inline(always)]
fn is_for_vip(packet: &Packet, settings: &Settings) -> bool {
    service::is_vip(&packet.destination, settings)
}
