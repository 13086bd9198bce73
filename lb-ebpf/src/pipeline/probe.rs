//! The life of a health check: to its backend as a client's packet, and back to the daemon.
//!
//! The daemon connects to an alias, an address of a link of the node's own, and the program at the
//! far end of that link puts the VIP in its place. Nothing else tells the check from a client's packet, so that
//! a backend which lacks the VIP or the tunnel fails it.

use lb_common::{
    addr::Protocol, hash::flow_hash, probe::ProbeSettings, settings::Settings, verdict::Verdict,
};

use crate::{
    backend,
    forward::{self, Egress},
    frame::Buffer,
    parse::{self, Packet, Part},
    probe, settings,
};

/// Sends a check to its backend.
///
/// # Errors
///
/// A verdict on a client's packet in its stead, or [`Verdict::ProbeLost`].
#[inline(always)]
pub fn send(buffer: &mut impl Buffer) -> Result<Egress, Verdict> {
    let mut packet = parse::packet(&buffer.frame())?;
    let settings = settings::current()?;
    packet.forget_offsets(settings.answers.padding);
    if packet.part != Part::Whole {
        return Err(Verdict::ProbeLost);
    }
    let (place, probe) = probe::find(&packet, settings)?;
    let backend = backend::at(place)?;
    let now = buffer.now();
    probe::note(&buffer.frame(), &packet, place, probe, now)?;
    let frame = &mut buffer.frame();
    forward::readdress(frame, &packet, &probe.source, &probe.vip, probe.delta)?;
    (packet.source, packet.destination) = (probe.source, probe.vip);
    if packet.end - packet.l3 > forward::room(&probe.service, backend) {
        return Err(Verdict::Oversize);
    }
    let (from, to) = (packet.source_port, packet.destination_port);
    let hash = flow_hash(&settings.hash_key, &packet.source, from, to);
    forward::to_backend(buffer, &packet, &probe.service, backend, hash, settings)
}

/// Takes the answer to a check back to the daemon; what is none stays as it is.
#[inline(always)]
pub(super) fn answer(buffer: &mut impl Buffer, packet: &Packet) -> Verdict {
    match Egress::from_word(answered(buffer, packet)) {
        Ok(_) => Verdict::Inconsistent,
        Err(verdict) => verdict,
    }
}

#[inline(never)]
fn answered(buffer: &mut impl Buffer, packet: &Packet) -> u64 {
    let (Ok(verdict) | Err(verdict)) =
        settings::current().and_then(|settings| take_back(buffer, packet, settings));
    Egress::word(Err(verdict))
}

#[inline(always)]
fn take_back(
    buffer: &mut impl Buffer,
    packet: &Packet,
    settings: &Settings,
) -> Result<Verdict, Verdict> {
    let others = match packet.protocol {
        Protocol::TCP | Protocol::UDP => Verdict::NoService,
        _ => Verdict::NotTcpOrUdp,
    };
    let now = buffer.now();
    let place = probe::answered(&buffer.frame(), packet, now).ok_or(others)?;
    let probe = probe::at(place).ok_or(others)?;
    forward::to_daemon(buffer, packet, place, probe, &settings.probes)?;
    Ok(Verdict::ProbeAnswer)
}

/// The interface by which the answers to checks reach the daemon.
///
/// # Errors
///
/// [`Verdict::Inconsistent`] if there are no settings.
#[inline(always)]
pub fn home() -> Result<u32, Verdict> {
    settings::current()
        .map(|Settings { probes: ProbeSettings { answers, .. }, .. }| answers.interface)
}
