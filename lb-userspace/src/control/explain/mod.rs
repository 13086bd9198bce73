//! What the node does with a packet, step by step.
//!
//! The verdict, the backend and the bytes are the program's own: it is run on the packet. Between
//! them stands what it reads on its way.

mod frame;

use std::net::{IpAddr, SocketAddr};

use lb_common::{
    addr::{Addr, Port},
    backend::{Backend, Condition},
    flow::{Flow, FlowKey, Phase},
    hash::{flow_hash, slot_index},
    service::{ForwardMode, Service as Line, ServiceKey},
    slot::{Index, Slot, State as SlotState},
};

use super::{Rejection, state::State};
use crate::{
    api::explain::{Explanation, Question, Step},
    config,
    dataplane::{Actual, Counters, Dataplane, Error, Known, Trial, Trials},
};

/// A service that the packet is for.
struct Target<'a> {
    line: Line,
    config: Option<&'a config::Service>,
    actual: &'a Actual,
}

impl<'a> Target<'a> {
    /// The backends, by their index.
    fn pool(&self) -> impl Iterator<Item = (Index, &'a Backend)> + use<'a> {
        let base = self.line.backend_base;
        let lines = self.actual.backends.range(self.line.block());
        lines.map(move |(place, line)| ((place - base) as Index, line))
    }

    /// A backend by its configured name, or by its address if it is not configured any more.
    fn name(&self, index: Index) -> String {
        let Some((_, line)) = self.pool().find(|(of, _)| *of == index) else {
            return format!("backend {index}, which is gone");
        };
        let end = SocketAddr::new(line.address.to_ip(), line.port.get());
        let is_it =
            |backend: &&config::Backend| backend.address == end.ip() && backend.port == end.port();
        let named = self.config.and_then(|service| service.backends.iter().find(is_it));
        named.map_or_else(|| end.to_string(), |backend| backend.name.clone())
    }
}

impl<D: Dataplane + Counters + Trials> State<D> {
    /// Explains a packet that comes in by `interface`.
    pub fn explain(&self, question: &Question, interface: u32) -> Result<Explanation, Rejection> {
        let sent = frame::of(question).map_err(Rejection::Invalid)?;
        let actual = self.reconciler.actual().map_err(|it| Rejection::Failed(it.to_string()))?;
        let failed = |error: Error| Rejection::Failed(error.to_string());
        let mut steps = vec![
            step("parse", frame::summary(&sent)),
            step("firewall", firewall(&actual, question.source.ip())),
        ];
        let target = self.target(&actual, question);
        steps.push(step("service", service_step(target.as_ref(), question)));
        let mut trial = Trial { frame: &sent, interface, known: None, counters: Vec::new() };
        if let Some(target) = &target {
            let (key, slot) = self.slot_steps(target, question, &mut steps)?;
            let known = self.reconciler.dataplane().known(&key).map_err(failed)?;
            steps.push(step("memory", self.memory_step(target, slot, known)));
            trial.known = Some((key, known));
            trial.counters = target.pool().map(|(_, line)| line.counter).collect();
        }
        let tried = self.reconciler.dataplane().try_out(&trial).map_err(failed)?;
        if let (Some(target), Some(counter)) = (&target, tried.counter) {
            steps.extend(self.way(target, counter));
        }
        if tried.frame != sent {
            steps.push(step("packet", frame::summary(&tried.frame)));
        }
        Ok(Explanation {
            steps,
            verdict: tried.verdict.as_str().into(),
            meaning: tried.verdict.describe().trim().into(),
            received: frame::hex(&sent),
            sent: (tried.frame != sent).then(|| frame::hex(&tried.frame)),
        })
    }

    /// The service of a packet: that of the exact port, then of a range, then of all ports.
    fn target<'a>(&'a self, actual: &'a Actual, question: &Question) -> Option<Target<'a>> {
        let to = question.destination;
        let (vip, protocol) = (Addr::from(to.ip()), question.protocol.number());
        let is_for = |key: &&ServiceKey| {
            key.vip == vip && key.protocol == protocol && key.ports.contains(Port::new(to.port()))
        };
        let width = |key: &&ServiceKey| key.ports.last.get() - key.ports.first.get();
        let key = actual.services.keys().filter(is_for).min_by_key(width)?;
        let config = self.config.services.iter().find(|service| service.key() == *key);
        Some(Target { line: *actual.services.get(key)?, config, actual })
    }

    /// The steps up to the slot; gives what names the flow, and the slot.
    fn slot_steps(
        &self,
        target: &Target<'_>,
        question: &Question,
        steps: &mut Vec<Step>,
    ) -> Result<(FlowKey, Slot), Rejection> {
        let failed = |what: &str| Rejection::Failed(format!("the maps have no {what} yet"));
        let settings = target.actual.settings.ok_or_else(|| failed("settings"))?;
        let client = Addr::from(question.source.ip());
        let [client_port, service_port] =
            [question.source, question.destination].map(|end| Port::new(end.port()));
        let hash = flow_hash(&settings.hash_key, &client, client_port, service_port);
        let Line { ring_base, ring_size, id, .. } = target.line;
        let offset = slot_index(hash, ring_size);
        let slots = self.reconciler.dataplane().slots(ring_base + offset, 1);
        let slot = slots.ok().and_then(|slots| slots.first().copied());
        let slot = slot.ok_or_else(|| failed("such slot"))?;
        steps.push(step("hash", format!("{hash:#010x}, slot {offset} of {ring_size}")));
        steps.push(step("slot", slot_step(target, slot)));
        Ok((FlowKey { client, service: id, client_port, service_port }, slot))
    }

    fn memory_step(&self, target: &Target<'_>, slot: Slot, Known { flow, noted }: Known) -> String {
        if slot.is_stable() {
            return "not asked: the slot is stable".into();
        }
        let now = self.reconciler.dataplane().tick().unwrap_or_default();
        match (flow, noted) {
            (Some(Flow { backend, phase, seen }), _) => format!(
                "remembered: {}{}, last seen {} s ago",
                target.name(backend),
                if phase == Phase::CLOSING { ", closing" } else { "" },
                now.wrapping_sub(seen)
            ),
            (None, Some(noted)) => match noted.fresh(now) {
                Some(index) => format!("its SYN went to {}", target.name(index)),
                None => "nothing: its SYN was too long ago".into(),
            },
            (None, None) => "nothing is remembered of this flow".into(),
        }
    }

    /// The backend that the program chose, and the way to it.
    fn way(&self, target: &Target<'_>, counter: u32) -> Vec<Step> {
        let Some((index, line)) = target.pool().find(|(_, line)| line.counter == counter) else {
            return Vec::new();
        };
        let states = [
            (Condition::DOWN, "down"),
            (Condition::DRAINING, "draining"),
            (Condition::LEAVING, "being removed"),
            (Condition::WITHDRAWN, "drained by its agent"),
        ];
        let states = states.iter().filter(|(state, _)| line.condition.contains(*state));
        let states = states.map(|(_, word)| *word).collect::<Vec<_>>();
        let address = line.address.to_ip();
        let at = match target.line.mode {
            ForwardMode::NAT => SocketAddr::new(address, line.port.get()).to_string(),
            _ => address.to_string(),
        };
        vec![
            step(
                "backend",
                [vec![format!("{} ({at})", target.name(index)).as_str()], states]
                    .concat()
                    .join(", "),
            ),
            step("next hop", self.way_of(&line.next_hop)),
        ]
    }
}

fn service_step(target: Option<&Target<'_>>, question: &Question) -> String {
    let Some(Target { config, line, .. }) = target else {
        let to = question.destination;
        return format!("none has {to} by {}", question.protocol.number().as_str());
    };
    let name = config.map_or("one that is being removed", |service| service.name.as_str());
    format!("{name}, forwarded by {}", line.mode.as_str())
}

fn slot_step(target: &Target<'_>, slot: Slot) -> String {
    let name = |index: Index| target.name(index);
    let current = |current: Option<Index>| current.map_or("nobody".to_owned(), name);
    match slot.state() {
        SlotState::Stable { current: to } => format!("stable: {}", current(to)),
        SlotState::Moving { current: to, previous } => {
            format!("moving: new flows to {}, older ones to {}", current(to), name(previous))
        }
        SlotState::Settled { current: to } => {
            format!("settled: {}, but for the flows that are remembered", current(to))
        }
    }
}

/// The longest prefix that holds the source decides, if it is of the same family.
fn firewall(actual: &Actual, source: IpAddr) -> String {
    let source = Addr::from(source);
    let holding = actual.denied.iter().filter(|prefix| prefix.contains(&source));
    match holding.max_by_key(|prefix| prefix.length) {
        Some(prefix) if prefix.address.version() == source.version() => {
            let bits =
                if source.is_v4() { prefix.length.saturating_sub(96) } else { prefix.length };
            format!("{}/{bits} is denied", prefix.address.to_ip())
        }
        _ => "the source is not denied".into(),
    }
}

fn step(stage: &str, finding: String) -> Step {
    Step { stage: stage.into(), finding }
}
