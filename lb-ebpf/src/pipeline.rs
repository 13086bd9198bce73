//! A packet's life: the only module that knows the order of the stages.
//!
//! `parse → admit (firewall) → service → slot → backend → forward`. `Err` is not a failure: it is a
//! verdict reached early.

use lb_common::{settings::Stages, verdict::Verdict};

use crate::{
    backend, firewall,
    forward::{self, Egress},
    frame::Frame,
    parse, reply, ring, service, settings, stats,
};

/// Decides on a frame and, if it is for a service, rewrites it for its next hop.
#[inline(always)]
pub fn process(mut frame: Frame) -> Result<Egress, Verdict> {
    let packet = parse::packet(&frame)?;
    let settings = settings::current()?;
    if settings.stages.contains(Stages::FIREWALL) {
        firewall::admit(&packet)?;
    }
    let Some(service) = service::find(&packet) else {
        if !settings.stages.contains(Stages::REPLY) {
            return Err(Verdict::NoService);
        }
        let reply = reply::find(&packet)?;
        let egress = forward::to_client(&mut frame, &packet, reply, reply::route(&packet)?)?;
        stats::replied(reply.counter, &frame);
        return Ok(egress);
    };
    let slot = ring::slot(service, &packet, &settings.hash_key)?;
    let backend = backend::at(service, slot)?;
    let egress = forward::to_backend(&mut frame, &packet, service, backend)?;
    stats::forwarded(backend.counter, &frame);
    Ok(egress)
}
