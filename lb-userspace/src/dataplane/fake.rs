//! A packet path in memory, which can be told to fail.

use std::collections::BTreeMap;

use lb_common::{
    addr::{Addr, Port},
    backend::Condition,
    flow::{Choice, Flow, FlowKey, Memory, Moment, Pending, Phase, choose},
    hash::{flow_hash, slot_index},
    service::{Service, ServiceKey},
    slot::{Index, Slot},
    stats::Traffic,
    verdict::Verdict,
};

use super::{Actual, Counters, Dataplane, Error, FlowSlice, Op};
use crate::config::Limits;

/// The parts in which the flow table is read.
const BUCKETS: u32 = 3;

/// Maps in memory.
#[derive(Clone, Debug)]
pub struct Fake {
    limits: Limits,
    actual: Actual,
    slots: BTreeMap<u32, Slot>,
    tick: u32,
    /// What the last beat allowed, in seconds.
    pub grace: u32,
    flows: BTreeMap<FlowKey, Flow>,
    pending: BTreeMap<FlowKey, Pending>,
    /// The writes made, in order.
    pub log: Vec<Op>,
    /// How many more writes succeed; `None`: all.
    pub budget: Option<usize>,
}

/// A client's packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The service that it is for.
    pub service: ServiceKey,
    /// The client's address.
    pub client: Addr,
    /// The client's port.
    pub client_port: Port,
    /// The port that the client talks to.
    pub service_port: Port,
    /// What it says of its flow.
    pub moment: Moment,
}

impl Fake {
    /// Empty maps.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            actual: Actual::default(),
            slots: BTreeMap::new(),
            tick: 0,
            grace: 0,
            flows: BTreeMap::new(),
            pending: BTreeMap::new(),
            log: Vec::new(),
            budget: None,
        }
    }

    /// All that the maps hold, as [`Dataplane::read`] gives it.
    #[must_use]
    pub fn maps(&self) -> &Actual {
        &self.actual
    }

    /// The remembered flows.
    #[must_use]
    pub fn remembered(&self) -> &BTreeMap<FlowKey, Flow> {
        &self.flows
    }

    /// The backends that flows and fresh notes name.
    pub fn named(&self) -> impl Iterator<Item = (FlowKey, Index)> {
        let flows = self.flows.iter().map(|(key, flow)| (*key, flow.backend));
        let notes = self.pending.iter();
        flows.chain(notes.filter_map(|(key, note)| Some((*key, note.fresh(self.tick)?))))
    }

    /// Decides on a packet as the packet path does.
    pub fn receive(&mut self, packet: &Packet) -> Choice {
        self.decide(packet, false)
    }

    /// Decides on a packet, and remembers nothing of it.
    pub fn peek(&mut self, packet: &Packet) -> Choice {
        self.decide(packet, true)
    }

    fn decide(&mut self, packet: &Packet, read_only: bool) -> Choice {
        let Packet { service, client, client_port, service_port, moment } = *packet;
        let (Some(settings), Some(&service)) =
            (self.actual.settings, self.actual.services.get(&service))
        else {
            return Choice::None;
        };
        let hash = flow_hash(&settings.hash_key, &client, client_port, service_port);
        let place = service.ring_base + slot_index(hash, service.ring_size);
        let slot = self.slots.get(&place).copied().unwrap_or(Slot::EMPTY);
        let key = FlowKey { client, service: service.id, client_port, service_port };
        let mut memory = Maps { fake: self, service, key, read_only };
        choose(slot.state(), moment, service.on_down, &mut memory)
    }
}

/// The fake's maps as memory of one flow.
struct Maps<'a> {
    fake: &'a mut Fake,
    service: Service,
    key: FlowKey,
    read_only: bool,
}

impl Memory for Maps<'_> {
    fn flow(&mut self) -> Option<Flow> {
        self.fake.flows.get(&self.key).copied()
    }

    fn pending(&mut self) -> Option<Index> {
        self.fake.pending.get(&self.key).and_then(|note| note.fresh(self.fake.tick))
    }

    fn touch(&mut self, closing: bool) {
        let Some(flow) = self.fake.flows.get_mut(&self.key).filter(|_| !self.read_only) else {
            return;
        };
        flow.seen = self.fake.tick;
        if closing {
            flow.phase = Phase::CLOSING;
        }
    }

    fn remember(&mut self, backend: Index, closing: bool) -> bool {
        if self.read_only {
            return false;
        }
        let phase = if closing { Phase::CLOSING } else { Phase::OPEN };
        let counts = self.fake.actual.flow_counts.entry(self.service.id).or_default();
        let [held, refused] = counts;
        if !self.fake.flows.contains_key(&self.key) {
            if *held >= self.service.flow_limit {
                *refused += 1;
                return false;
            }
            *held += 1;
        }
        let flow = Flow { backend, phase, seen: self.fake.tick };
        let _: Option<Flow> = self.fake.flows.insert(self.key, flow);
        true
    }

    fn note(&mut self, backend: Index) {
        if !self.read_only {
            let note = Pending { backend, padding: 0, noted: self.fake.tick };
            let _: Option<Pending> = self.fake.pending.insert(self.key, note);
        }
    }

    fn forget_pending(&mut self) {
        let _: Option<Pending> = self.fake.pending.remove(&self.key);
    }

    fn is_down(&mut self, index: Index) -> bool {
        let line = self.fake.actual.backends.get(&(self.service.backend_base + u32::from(index)));
        line.is_some_and(|line| line.condition.contains(Condition::DOWN))
    }
}

impl Dataplane for Fake {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn read(&self) -> Result<Actual, Error> {
        Ok(self.actual.clone())
    }

    fn read_pools(&self) -> Result<Actual, Error> {
        let Actual { settings, services, backends, flow_counts, .. } = self.actual.clone();
        Ok(Actual { settings, services, backends, flow_counts, ..Actual::default() })
    }

    fn tick(&self) -> Result<u32, Error> {
        Ok(self.tick)
    }

    fn flows(&self, from: Option<u32>, _: u32) -> Result<FlowSlice, Error> {
        let bucket = from.unwrap_or(0);
        let flows = self.flows.iter().map(|(key, flow)| (*key, *flow));
        let within = flows.filter(|(key, _)| u32::from(key.client_port.get()) % BUCKETS == bucket);
        Ok((within.collect(), Some(bucket + 1).filter(|&next| next < BUCKETS)))
    }

    fn flow_count(&self, id: u32) -> Result<[u32; 2], Error> {
        Ok(self.actual.flow_counts.get(&id).copied().unwrap_or_default())
    }

    fn slots(&self, base: u32, size: u32) -> Result<Vec<Slot>, Error> {
        Ok((base..base + size)
            .map(|place| self.slots.get(&place).copied().unwrap_or(Slot::EMPTY))
            .collect())
    }

    fn apply(&mut self, op: &Op) -> Result<(), Error> {
        match &mut self.budget {
            Some(0) => return Err(Error::Injected),
            Some(left) => *left -= 1,
            None => {}
        }
        self.log.push(op.clone());
        let Actual {
            settings,
            services,
            backends,
            probes,
            replies,
            routes,
            denied,
            devices,
            flow_counts,
        } = &mut self.actual;
        match op.clone() {
            Op::PutSettings(new) => *settings = Some(new),
            Op::PutBackend(place, backend) => drop(backends.insert(place, backend)),
            Op::FreeBackend(place) => drop(backends.remove(&place)),
            Op::PutProbe(place, probe) => drop(probes.insert(place, probe)),
            Op::RemoveProbe(place) => drop(probes.remove(&place)),
            Op::ResetTraffic(_) => {}
            Op::WriteSlots(words) => self.slots.extend(words),
            Op::PutService(key, service) => drop(services.insert(key, service)),
            Op::RemoveService(key) => drop(services.remove(&key)),
            Op::PutReply(key, reply) => drop(replies.insert(key, reply)),
            Op::RemoveReply(key) => drop(replies.remove(&key)),
            Op::PutRoute(prefix, hop) => drop(routes.insert(prefix, hop)),
            Op::RemoveRoute(prefix) => drop(routes.remove(&prefix)),
            Op::Deny(prefix) => _ = denied.insert(prefix),
            Op::Allow(prefix) => _ = denied.remove(&prefix),
            Op::PutDevice(interface) => _ = devices.insert(interface),
            Op::RemoveDevice(interface) => _ = devices.remove(&interface),
            Op::SetTick(now) => self.tick = now,
            Op::Beat(grace) => self.grace = grace,
            Op::RemoveFlows(flows) => {
                for (key, flow) in flows {
                    if self.flows.get(&key) == Some(&flow) {
                        let _: Option<Flow> = self.flows.remove(&key);
                    }
                }
            }
            Op::SetFlowCount(id, count) => flow_counts.entry(id).or_default()[0] = count,
            Op::ResetFlowCount(id) => drop(flow_counts.remove(&id)),
        }
        flow_counts.retain(|_, counts| *counts != [0, 0]);
        Ok(())
    }
}

/// Nothing passes it.
impl Counters for Fake {
    fn verdicts(&self) -> Result<Vec<(Verdict, u64)>, Error> {
        Ok(Vec::new())
    }

    fn traffic(&self, _counter: u32) -> Result<Traffic, Error> {
        Ok(Traffic::default())
    }
}
