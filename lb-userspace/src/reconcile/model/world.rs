//! The node, its pools and its clients.

use lb_common::{
    addr::{Addr, Port, Protocol},
    backend::Condition,
    flow::{Choice, HANDSHAKE},
    service::{DownPolicy, ForwardMode, ServiceKey},
};

use super::{
    super::tests::{LIMITS, backend, consistent, desired, service_of},
    Change, FLOWS, HOSTS, Setting, Step,
    flows::{Client, Life},
};
use crate::{
    config::Limits,
    dataplane::{
        Dataplane,
        fake::{Fake, Packet},
    },
    desired::Desired,
    reconcile::Reconciler,
    ring::Endpoint,
};

/// A machine that may be a backend.
#[derive(Clone, Copy, Debug)]
struct Host {
    configured: bool,
    weight: u16,
    down: bool,
    drained: bool,
}

/// What a backend may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Everything.
    Usable,
    /// What it already has.
    Kept,
    /// Nothing.
    Down,
}

/// All of it.
pub(super) struct World {
    pub(super) setting: Setting,
    node: Reconciler<Fake>,
    hosts: Vec<Host>,
    clients: Vec<Client>,
    pub(super) now: u32,
    /// When the windows of all moves begin at the latest.
    pub(super) changed: u32,
}

pub(super) fn service(protocol: Protocol) -> ServiceKey {
    ServiceKey::new(Addr::from_v4([203, 0, 113, 1]), Port::new(80), protocol)
}

fn endpoint(host: u8) -> Endpoint {
    Endpoint { address: Addr::from_v4([10, 0, 0, host + 1]), port: Port::new(80) }
}

impl World {
    pub(super) fn new(setting: Setting) -> Self {
        let host = |number| Host { configured: number < 3, weight: 1, down: false, drained: false };
        let limits = Limits { flows: 10_000, ..LIMITS };
        let mut world = Self {
            setting,
            node: Reconciler::new(Fake::new(limits)),
            hosts: (0..HOSTS).map(host).collect(),
            clients: (0..2 * FLOWS).map(Client::new).collect(),
            now: 0,
            changed: 0,
        };
        world.sync();
        world
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Change(change, dies) => self.change(change, dies),
            Step::Ticks(ticks) => (0..ticks).for_each(|_| self.tick(true)),
            Step::Send(flow) => self.with(flow, Client::send),
            Step::SendAll => (0..2 * FLOWS).for_each(|flow| self.with(flow, Client::send)),
            Step::Repeat(flow) => self.with(flow, Client::repeat),
            Step::Close(flow) => self.with(flow, Client::close),
            Step::Restart => self.restart(),
        }
        consistent(self.node.dataplane());
        self.all_find_their_way();
    }

    /// After enough silence nothing is remembered.
    pub(super) fn comes_to_rest(&mut self) {
        let longest = self.setting.tcp_window.max(self.setting.udp_window);
        (0..longest.max(HANDSHAKE) + HANDSHAKE + 40).for_each(|_| self.tick(false));
        let actual = self.node.actual().unwrap();
        for service in actual.services.values() {
            let slots = self.node.dataplane().slots(service.ring_base, service.ring_size).unwrap();
            assert!(slots.iter().all(|slot| slot.is_stable()), "all slots are stable");
        }
        assert!(self.node.dataplane().remembered().is_empty(), "no flow is remembered");
        assert!(actual.flow_counts.is_empty(), "no flow is counted");
        let leaving = |line: &&_| Self::condition(line).contains(Condition::LEAVING);
        assert_eq!(actual.backends.values().filter(leaving).count(), 0, "nobody is leaving");
        assert!(self.node.upkeep.quiet, "there is nothing to do");
    }

    fn condition(line: &lb_common::backend::Backend) -> Condition {
        line.condition
    }

    fn change(&mut self, change: Change, dies: Option<u8>) {
        let before = self.hosts.clone();
        match change {
            Change::Add(host) => {
                let host = &mut self.hosts[usize::from(host)];
                if !host.configured {
                    *host = Host { configured: true, weight: 1, down: false, drained: false };
                }
            }
            Change::Remove(host) => self.hosts[usize::from(host)].configured = false,
            Change::Weight(host, weight) => self.configured(host, |host| host.weight = weight),
            Change::Down(host, down) => self.configured(host, |host| host.down = down),
            Change::Drain(host, drained) => self.configured(host, |host| host.drained = drained),
        }
        self.changed = self.now;
        if let Some(writes) = dies {
            self.node.dataplane_mut().budget = Some(writes.into());
            // It ends where its writes do, or comes through.
            drop(self.node.sync(&self.desired()));
            self.node.dataplane_mut().budget = None;
            consistent(self.node.dataplane());
            // The packet path may not know yet who has come back.
            self.find_their_way(|host| before[usize::from(host)].down);
            self.restart();
        }
        self.sync();
    }

    fn configured(&mut self, host: u8, change: impl Fn(&mut Host)) {
        let host = &mut self.hosts[usize::from(host)];
        if host.configured {
            change(host);
        }
    }

    /// Another daemon takes over.
    fn restart(&mut self) {
        self.node = Reconciler::new(self.node.dataplane().clone());
        self.changed = self.now;
        self.sync();
    }

    fn sync(&mut self) {
        let desired = self.desired();
        assert!(self.node.sync(&desired).is_ok());
        self.node.dataplane_mut().log.clear();
    }

    /// A second, as the control task spends it.
    fn tick(&mut self, busy: bool) {
        let desired = self.desired();
        assert!(self.node.tick(&desired).is_ok());
        self.now += 1;
        self.all_find_their_way();
        self.node.forget_next();
        self.sync();
        if busy {
            (0..2 * FLOWS).step_by(3).for_each(|flow| self.with(flow, Client::keep_alive));
        }
    }

    fn desired(&self) -> Desired {
        let configured = (0..).zip(&self.hosts).filter(|(_, host)| host.configured);
        let pool: std::collections::BTreeMap<_, _> = configured
            .map(|(number, host)| {
                let down = if host.down { Condition::DOWN } else { Condition::UP };
                let drained = if host.drained { Condition::DRAINING } else { Condition::UP };
                (endpoint(number), backend(host.weight, down.with(drained)))
            })
            .collect();
        let service_of = |protocol| {
            let mut made = service_of(ForwardMode::L2, self.setting.ring_size, pool.clone());
            made.window = self.window(protocol);
            made.on_down = self.setting.on_down;
            made.flow_limit = 10_000;
            (service(protocol), made)
        };
        desired([service_of(Protocol::TCP), service_of(Protocol::UDP)].into())
    }

    pub(super) fn window(&self, protocol: Protocol) -> u32 {
        let Setting { tcp_window, udp_window, .. } = self.setting;
        if protocol == Protocol::TCP { tcp_window } else { udp_window }
    }

    fn with(&mut self, flow: usize, act: impl Fn(&mut Client, &mut Self)) {
        let mut client = self.clients[flow];
        act(&mut client, self);
        self.clients[flow] = client;
    }

    /// Sends a packet; gives its backend.
    pub(super) fn send(&mut self, packet: &Packet) -> Result<u8, Choice> {
        let choice = self.node.dataplane_mut().receive(packet);
        self.host(packet, choice)
    }

    fn host(&self, packet: &Packet, choice: Choice) -> Result<u8, Choice> {
        let Choice::Backend(index) = choice else { return Err(choice) };
        let actual = self.node.dataplane().maps();
        let place = actual.services[&packet.service].backend_base + u32::from(index);
        let line = actual.backends.get(&place).expect("a backend's place is not free");
        Ok(line.address.v4_octets()[3] - 1)
    }

    pub(super) fn standing(&self, host: u8) -> Standing {
        match self.hosts[usize::from(host)] {
            Host { down: true, .. } => Standing::Down,
            Host { configured: true, drained: false, weight: 1.., .. } => Standing::Usable,
            _ => Standing::Kept,
        }
    }

    pub(super) fn any(&self, standing: Standing) -> bool {
        (0..HOSTS).any(|host| self.standing(host) == standing)
    }

    pub(super) fn on_down(&self) -> DownPolicy {
        self.setting.on_down
    }

    /// The next packet of every live flow would reach the flow's backend, unless that is down.
    fn all_find_their_way(&mut self) {
        self.find_their_way(|_| false);
    }

    fn find_their_way(&mut self, excused: impl Fn(u8) -> bool) {
        for client in self.clients.clone() {
            if let Some((packet, backend)) = client.expects(self)
                && self.standing(backend) != Standing::Down
                && !excused(backend)
            {
                let choice = self.node.dataplane_mut().peek(&packet);
                let host = self.host(&packet, choice);
                assert_eq!(host, Ok(backend), "at {}: the next packet of {client:?}", self.now);
            }
        }
    }
}

impl Life {
    /// The backend of a flow that lives.
    pub(super) fn backend(self) -> Option<u8> {
        match self {
            Self::Opening { backend, .. }
            | Self::Open { backend, .. }
            | Self::Closing { backend, .. } => Some(backend),
            Self::Over { .. } | Self::Lost => None,
        }
    }
}
