//! The difference between what is and what should be, as an ordered list of writes. Pure.
//!
//! The order keeps every moment consistent for packets in flight: what is pointed at is written
//! before what points at it, and freed after nothing points at it any more.

mod pool;
mod probe;

use std::{collections::BTreeMap, net::IpAddr};

use lb_common::{
    addr::Addr,
    checksum::Delta,
    hash::HashKey,
    probe::{Probe, ProbeSettings},
    service::{self, ForwardMode, Ports, Reply, ReplyKey, ServiceKey},
    slot::{self, Slot},
};

use self::pool::Pool;
use super::layout::Layout;
use crate::{
    config::Limits,
    dataplane::{self, Actual, Op},
    desired::{Desired, Service},
    ring::{Digest, Endpoint, Member},
};

/// The state does not fit into the maps.
#[derive(Debug, thiserror::Error)]
#[error(
    "service {vip} port {ports}/{protocol} needs {needed} free {what} in a row, the largest gap has \
     {largest}: raise limits.{what}"
)]
pub struct Error {
    vip: IpAddr,
    ports: Ports,
    protocol: &'static str,
    what: &'static str,
    needed: u32,
    largest: u32,
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The number of writes.
    pub writes: usize,
    /// The slots of existing rings that changed hands.
    pub slots_moved: u64,
}

/// What the rings were built from, and who has how many slots.
pub type Rings = BTreeMap<ServiceKey, Ring>;

/// One ring as it stands in the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    base: u32,
    size: u32,
    /// The service's number.
    pub(super) id: u32,
    /// The place that the service's indexes count from.
    pub(super) backend_base: u32,
    hash_key: HashKey,
    /// The members and their indexes: the ring need not be built again while they are the same.
    members: Vec<(Member, u16)>,
    /// The slots of each member, in the order of their endpoints.
    pub counts: Vec<(Member, u32)>,
    /// What tells it from other rings.
    pub digest: Digest,
}

impl Ring {
    /// A backend's share of the slots, 0 to 1.
    #[must_use]
    pub fn share(&self, endpoint: &Endpoint) -> f64 {
        let place = self.counts.binary_search_by_key(endpoint, |(member, _)| member.endpoint);
        place.map_or(0.0, |place| f64::from(self.counts[place].1) / f64::from(self.size))
    }
}

/// The addresses that stand for the VIP on one backend.
pub type Aliases = BTreeMap<(ServiceKey, Endpoint), Addr>;

/// The writes of one round.
#[derive(Debug)]
pub struct Plan {
    /// The writes, in order.
    pub ops: Vec<Op>,
    /// What the rings will be then.
    pub rings: Rings,
    /// The slots that will not be stable, by offset, of the rings that were compared.
    pub unstable: BTreeMap<ServiceKey, Vec<(u32, Slot)>>,
    /// The backends that leave.
    pub leaving: BTreeMap<(ServiceKey, slot::Index), Endpoint>,
    /// By what addresses backends are checked through the packet path.
    pub aliases: Aliases,
    /// The slots that change hands, by service; without those of new rings.
    pub moved: BTreeMap<ServiceKey, u64>,
}

/// Plans one round. `known` are the rings as the last round left them; what is not known is read
/// through `slots`.
pub fn plan(
    desired: &Desired,
    actual: &Actual,
    limits: &Limits,
    known: &Rings,
    slots: impl Fn(u32, u32) -> Result<Vec<Slot>, dataplane::Error>,
) -> Result<Plan, super::Error> {
    let hash_key = &desired.settings.hash_key;
    // Under another hash the flows fall on other slots: nothing can be known of them.
    let rehashed = actual.settings.is_some_and(|settings| settings.hash_key != *hash_key);
    let mut draft = Draft::default();
    draft.surroundings(desired, actual);
    let kept = draft.remove_services(desired, actual);
    let mut layout = Layout::of(&kept, limits);
    let (mut replies, mut leaving_replies) = (BTreeMap::new(), BTreeMap::new());
    for (key, service) in &desired.services {
        let mut pool = Pool::lay_out(key, service, &kept, &mut layout)?;
        replies.extend(pool.replies(key, service));
        leaving_replies.extend(pool.leaving_replies(actual));
        let ring = match known.get(key) {
            Some(ring) if ring.matches(&pool, hash_key) => ring.clone(),
            _ => pool.build_ring(hash_key, rehashed, &slots)?,
        };
        draft.probe(&pool, service, &desired.settings.probes);
        draft.append(&mut pool);
        let _: Option<Ring> = draft.rings.insert(*key, ring);
    }
    // A backend that has gone over to another service answers for that one.
    for (key, reply) in leaving_replies {
        let _: &mut Reply = replies.entry(key).or_insert(reply);
    }
    Ok(draft.finish(&replies, &kept))
}

#[derive(Default)]
struct Draft {
    /// Written first: what others point at.
    first: Vec<Op>,
    /// The services and what they point at.
    services: Vec<Op>,
    /// Freed last.
    last: Vec<Op>,
    rings: Rings,
    unstable: BTreeMap<ServiceKey, Vec<(u32, Slot)>>,
    leaving: BTreeMap<(ServiceKey, slot::Index), Endpoint>,
    probes: BTreeMap<u32, Probe>,
    aliases: Aliases,
    moved: BTreeMap<ServiceKey, u64>,
}

impl Draft {
    /// Settings, firewall, routes and devices.
    fn surroundings(&mut self, desired: &Desired, actual: &Actual) {
        let Desired { settings, services: _, routes, denied, devices } = desired;
        if actual.settings != Some(*settings) {
            self.first.push(Op::PutSettings(*settings));
        }
        self.first.extend(denied.difference(&actual.denied).copied().map(Op::Deny));
        self.last.extend(actual.denied.difference(denied).copied().map(Op::Allow));
        self.first.extend(devices.difference(&actual.devices).copied().map(Op::PutDevice));
        self.last.extend(actual.devices.difference(devices).copied().map(Op::RemoveDevice));
        for (prefix, hop) in changed(routes, &actual.routes) {
            self.first.push(Op::PutRoute(*prefix, *hop));
        }
        for prefix in gone(routes, &actual.routes) {
            self.last.push(Op::RemoveRoute(*prefix));
        }
    }

    /// Removes the services that are not wanted and all backends in no service's block. Gives what
    /// is left, whose places are taken.
    fn remove_services(&mut self, desired: &Desired, actual: &Actual) -> Actual {
        let mut kept = actual.clone();
        kept.services.retain(|key, _| desired.services.contains_key(key));
        for key in gone(&desired.services, &actual.services) {
            let id = actual.services[key].id;
            // The number stays taken until no flow and no note has it.
            if !actual.flow_counts.contains_key(&id) {
                self.first.push(Op::SetFlowCount(id, 1));
            }
            self.first.push(Op::RemoveService(*key));
        }
        let blocks: Vec<_> = kept.services.values().map(service::Service::block).collect();
        kept.backends.retain(|place, _| blocks.iter().any(|block| block.contains(place)));
        for place in gone(&kept.backends, &actual.backends) {
            self.first.push(Op::FreeBackend(*place));
        }
        kept
    }

    fn append(&mut self, pool: &mut Pool) {
        if pool.slots_moved > 0 {
            let _: Option<u64> = self.moved.insert(pool.key, pool.slots_moved);
        }
        self.leaving.extend(pool.leaving());
        self.unstable.extend(pool.unstable.take().map(|slots| (pool.key, slots)));
        self.services.extend(pool.take_ops());
        self.last.append(&mut pool.frees);
    }

    fn probe(&mut self, pool: &Pool, service: &Service, settings: &ProbeSettings) {
        for probe::Probed { endpoint, place, alias, probe } in probe::all(pool, service, settings) {
            let _: Option<Probe> = self.probes.insert(place, probe);
            let _: Option<Addr> = self.aliases.insert((pool.key, endpoint), alias);
        }
    }

    fn finish(mut self, replies: &BTreeMap<ReplyKey, Reply>, kept: &Actual) -> Plan {
        for (key, reply) in changed(replies, &kept.replies) {
            self.first.push(Op::PutReply(*key, *reply));
        }
        for key in gone(replies, &kept.replies) {
            self.last.push(Op::RemoveReply(*key));
        }
        let Self { first: mut ops, mut services, mut last, probes, .. } = self;
        ops.append(&mut services);
        ops.extend(changed(&probes, &kept.probes).map(|(place, it)| Op::PutProbe(*place, *it)));
        ops.extend(gone(&probes, &kept.probes).copied().map(Op::RemoveProbe));
        ops.append(&mut last);
        let Self { rings, unstable, leaving, aliases, moved, .. } = self;
        Plan { ops, rings, unstable, leaving, aliases, moved }
    }
}

/// The entries of `wanted` that `actual` lacks or has otherwise.
fn changed<'a, K: Ord, V: PartialEq>(
    wanted: &'a BTreeMap<K, V>,
    actual: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    wanted.iter().filter(|(key, value)| actual.get(key) != Some(value))
}

/// The keys of `actual` that are not wanted.
fn gone<'a, K: Ord, V, W>(
    wanted: &'a BTreeMap<K, W>,
    actual: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = &'a K> {
    actual.keys().filter(|key| !wanted.contains_key(key))
}

/// What a NAT backend's answers are rewritten to.
fn reply(
    key: &ServiceKey,
    service: &Service,
    backend: &lb_common::backend::Backend,
) -> Option<(ReplyKey, Reply)> {
    (service.mode == ForwardMode::NAT).then(|| {
        let vip = (&key.vip, key.ports.first);
        let source = (&backend.address, backend.port);
        let reply = Reply {
            vip: key.vip,
            port: key.ports.first,
            address_delta: Delta::address(&backend.address, &key.vip),
            endpoint_delta: Delta::endpoint(source, vip),
            padding: 0,
            counter: backend.counter,
        };
        (ReplyKey::new(backend.address, backend.port, key.protocol), reply)
    })
}

fn no_room(key: &ServiceKey, what: &'static str, needed: u32, largest: u32) -> Error {
    let service::ServiceKey { vip, ports, protocol, padding: _ } = *key;
    Error { vip: vip.to_ip(), ports, protocol: protocol.as_str(), what, needed, largest }
}
