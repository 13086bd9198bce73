//! What is remembered: flows of unstable slots, and the first fragments of datagrams.
//!
//! The decision between ring and memory is a pure function of the shared crate, which has a model
//! test of its own; this is a memory for it that never runs out of room.

use std::{collections::HashMap, net::IpAddr};

use lb_common::{
    flow::{self, Choice, Flow, Memory, Moment, Phase},
    slot::{Index, State},
};

use crate::{
    node::Service,
    parse::{Packet, Part},
};

/// What names a flow: the service's position, the client, both ports.
pub(crate) type FlowKey = (usize, IpAddr, u16, u16);

/// The flows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flows {
    remembered: HashMap<FlowKey, Flow>,
    pending: HashMap<FlowKey, Index>,
}

impl Flows {
    /// Where a packet of a flow goes, by its slot and by what is remembered.
    pub(crate) fn choose(
        &mut self,
        key: FlowKey,
        service: &Service,
        state: State,
        moment: Moment,
    ) -> Choice {
        flow::choose(state, moment, service.on_down, &mut OneFlow { flows: self, key, service })
    }

    /// The same for what only speaks of a flow, which is not remembered.
    pub(crate) fn look_up(&self, key: FlowKey, service: &Service, state: State) -> Choice {
        let mut flows = Self::default();
        if let Some(flow) = self.remembered.get(&key) {
            let _: Option<Flow> = flows.remembered.insert(key, *flow);
        }
        if let Some(index) = self.pending.get(&key) {
            let _: Option<Index> = flows.pending.insert(key, *index);
        }
        flows.choose(key, service, state, Moment::Amid)
    }
}

struct OneFlow<'a> {
    flows: &'a mut Flows,
    key: FlowKey,
    service: &'a Service,
}

const fn phase(closing: bool) -> Phase {
    if closing { Phase::CLOSING } else { Phase::OPEN }
}

impl Memory for OneFlow<'_> {
    fn flow(&mut self) -> Option<Flow> {
        self.flows.remembered.get(&self.key).copied()
    }

    fn pending(&mut self) -> Option<Index> {
        self.flows.pending.get(&self.key).copied()
    }

    fn touch(&mut self, closing: bool) {
        if let Some(flow) = self.flows.remembered.get_mut(&self.key).filter(|_| closing) {
            flow.phase = Phase::CLOSING;
        }
    }

    fn remember(&mut self, backend: Index, closing: bool) -> bool {
        let flow = Flow { backend, phase: phase(closing), seen: 0 };
        let _: Option<Flow> = self.flows.remembered.insert(self.key, flow);
        true
    }

    fn note(&mut self, backend: Index) {
        let _: Option<Index> = self.flows.pending.insert(self.key, backend);
    }

    fn forget_pending(&mut self) {
        let _: Option<Index> = self.flows.pending.remove(&self.key);
    }

    fn is_down(&mut self, backend: Index) -> bool {
        self.service.backends[usize::from(backend) - 1].down
    }
}

/// Where the packets of a flow go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To a backend.
    Backend {
        /// The service's position.
        service: usize,
        /// The backend's.
        backend: usize,
        /// The flow's hash.
        hash: u32,
    },
    /// To a client: it is the answer of a NAT backend.
    Client {
        /// The service's position.
        service: usize,
    },
}

impl Target {
    /// The backend of a slot's index.
    pub(crate) fn new(service: usize, index: Index, hash: u32) -> Self {
        Self::Backend { service, backend: usize::from(index) - 1, hash }
    }
}

/// What the fragments of a datagram have in common (RFC 791 §3.2, RFC 8200 §4.5).
type Datagram = (IpAddr, IpAddr, [u8; 4], u8);

/// The first fragments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Firsts(HashMap<Datagram, Target>);

impl Firsts {
    /// Remembers where a first fragment goes.
    pub(crate) fn remember(&mut self, packet: &Packet, target: Target) {
        if let Part::First(identification) = packet.part {
            let _: Option<Target> = self.0.insert(datagram(packet, identification), target);
        }
    }

    /// Where the first fragment went.
    pub(crate) fn target(&self, packet: &Packet, identification: [u8; 4]) -> Option<Target> {
        self.0.get(&datagram(packet, identification)).copied()
    }
}

fn datagram(packet: &Packet, identification: [u8; 4]) -> Datagram {
    let protocol = if packet.source.is_ipv4() { packet.protocol } else { 0 };
    (packet.source, packet.destination, identification, protocol)
}
