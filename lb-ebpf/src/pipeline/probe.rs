//! The life of a health check: to its backend as a client's packet, and back to the daemon.
//!
//! The daemon connects to an alias, an address of a link of the node's own, and the program at the
//! far end of that link puts the VIP in its place. Nothing else tells the check from a client's packet, so that
//! a backend which lacks the VIP or the tunnel fails it.

use lb_common::{
    hash::flow_hash,
    probe::ProbeSettings,
    settings::{Settings, Stages},
    verdict::Verdict,
};

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

/// Whether there are checks whose answers may come.
#[inline(always)]
pub(super) fn are_checks_under_way() -> bool {
    settings::current().is_ok_and(|settings| settings.stages.contains(Stages::PROBES))
}

/// Takes the answer to a check back to the daemon; what is none keeps its verdict.
#[inline(always)]
pub(super) fn answer(buffer: &mut impl Buffer, otherwise: Verdict) -> Verdict {
    match Egress::from_word(called::answered(buffer)) {
        Err(Verdict::NoService) => otherwise,
        Err(verdict) => verdict,
        Ok(_) => Verdict::Inconsistent,
    }
}

/// [`Verdict::ProbeAnswer`], or [`Verdict::NoService`] for what is no answer.
#[inline(always)]
fn take_back(buffer: &mut impl Buffer) -> Result<Verdict, Verdict> {
    let mut packet = parse::packet(&buffer.frame())?;
    let settings = settings::current()?;
    packet.forget_offsets(settings.answers.padding);
    let now = buffer.now();
    let place = probe::answered(&buffer.frame(), &packet, now).ok_or(Verdict::NoService)?;
    let probe = probe::at(place).ok_or(Verdict::NoService)?;
    forward::to_daemon(buffer, &packet, place, probe, &settings.probes)?;
    Ok(Verdict::ProbeAnswer)
}

#[inline(always)]
fn word(buffer: &mut impl Buffer) -> u64 {
    let (Ok(verdict) | Err(verdict)) = take_back(buffer);
    Egress::word(Err(verdict))
}

#[cfg(target_arch = "bpf")]
mod called {
    use aya_ebpf::bindings::xdp_md;

    use crate::{frame::Buffer, received::Received};

    #[inline(always)]
    pub(super) fn answered(buffer: &mut impl Buffer) -> u64 {
        lb_answered(buffer.frame().context())
    }

    /// A function that the verifier knows by name: it walks it once, and not again for each way in
    /// which a packet turns out to be for no service.
    #[unsafe(no_mangle)]
    #[inline(never)]
    extern "C" fn lb_answered(context: *mut xdp_md) -> u64 {
        super::word(&mut Received(context))
    }
}

#[cfg(not(target_arch = "bpf"))]
mod called {
    use crate::frame::Buffer;

    pub(super) fn answered(buffer: &mut impl Buffer) -> u64 {
        super::word(buffer)
    }
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
