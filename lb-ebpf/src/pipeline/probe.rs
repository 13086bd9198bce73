//! The life of a health check: to its backend as a client's packet, and back to the daemon.
//!
//! The daemon connects to an alias, an address of a link of the node's own, and the program at the
//! far end of that link puts the VIP in its place. Nothing else tells the check from a client's packet, so that
//! a backend which lacks the VIP or the tunnel fails it.

use lb_common::{hash::flow_hash, settings::Stages, verdict::Verdict};

use crate::{
    backend,
    forward::{self, Egress},
    frame::Buffer,
    parse::{self, Part},
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

/// Takes the answer to a check back to the daemon: gives the interface by which it goes there.
///
/// # Errors
///
/// The verdict so far on what is no answer, [`Verdict::Inconsistent`] on one that finds no way.
#[inline(always)]
pub fn answer(buffer: &mut impl Buffer, otherwise: Verdict) -> Result<u32, Verdict> {
    if !matches!(otherwise, Verdict::NoService | Verdict::NotTcpOrUdp) {
        return Err(otherwise);
    }
    let settings = settings::current()?;
    if !settings.stages.contains(Stages::PROBES) {
        return Err(otherwise);
    }
    match called::answered(buffer) {
        NONE => Err(otherwise),
        ANSWER => Ok(settings.probes.answers.interface),
        _ => Err(Verdict::Inconsistent),
    }
}

const NONE: u32 = 0;
const ANSWER: u32 = 1;
const ASTRAY: u32 = 2;

#[inline(always)]
fn take_back(buffer: &mut impl Buffer) -> Option<Result<(), Verdict>> {
    let mut packet = parse::packet(&buffer.frame()).ok()?;
    let settings = settings::current().ok()?;
    packet.forget_offsets(settings.answers.padding);
    let now = buffer.now();
    let place = probe::answered(&buffer.frame(), &packet, now)?;
    let probe = probe::at(place)?;
    Some(forward::to_daemon(buffer, &packet, place, probe, &settings.probes))
}

#[inline(always)]
fn word(buffer: &mut impl Buffer) -> u32 {
    match take_back(buffer) {
        None => NONE,
        Some(Ok(())) => ANSWER,
        Some(Err(_)) => ASTRAY,
    }
}

#[cfg(target_arch = "bpf")]
mod called {
    use aya_ebpf::bindings::xdp_md;

    use crate::{frame::Buffer, received::Received};

    #[inline(always)]
    pub(super) fn answered(buffer: &mut impl Buffer) -> u32 {
        lb_answered(buffer.frame().context())
    }

    /// A function that the verifier knows by name: it walks it once, and not again for each way in
    /// which a packet turns out to be for no service.
    #[unsafe(no_mangle)]
    #[inline(never)]
    extern "C" fn lb_answered(context: *mut xdp_md) -> u32 {
        super::word(&mut Received(context))
    }
}

#[cfg(not(target_arch = "bpf"))]
mod called {
    use crate::frame::Buffer;

    pub(super) fn answered(buffer: &mut impl Buffer) -> u32 {
        super::word(buffer)
    }
}
