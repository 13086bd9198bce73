//! One service: its block of backends, its ring, its entry.

use std::collections::{BTreeMap, BTreeSet};

use lb_common::{
    backend::{Backend, Condition},
    checksum::Delta,
    hash::HashKey,
    service::{self, Reply, ReplyKey, ServiceKey},
    slot::{self, Slot},
};

use super::{Error, Ring, no_room, reply};
use crate::{
    dataplane::{self, Actual, Op},
    desired::{self, Way},
    reconcile::{layout::Layout, transition},
    ring::{self, Digest, Endpoint, Member},
};

/// A new block has room for growth: a power of two, at least this.
const SMALLEST_BLOCK: u16 = 8;

/// One service on its way to the desired state.
pub(super) struct Pool {
    pub(super) ops: Vec<Op>,
    pub(super) frees: Vec<Op>,
    pub(super) slots_moved: u64,
    pub(super) key: ServiceKey,
    /// The entry as it is, if the service exists.
    old: Option<service::Service>,
    /// The entry as it will be.
    new: service::Service,
    /// All backends, those that leave too.
    backends: BTreeMap<slot::Index, Backend>,
    members: Vec<(Member, slot::Index)>,
    /// The lines to be written after the slots: nothing is to point at a backend that is down.
    late: Vec<Op>,
    /// The slots that are not stable, by offset, once the ring was compared.
    pub(super) unstable: Option<Vec<(u32, Slot)>>,
}

impl Pool {
    /// Gives every backend its index, kept where it has one, and the service its places.
    pub(super) fn lay_out(
        key: &ServiceKey,
        service: &desired::Service,
        actual: &Actual,
        layout: &mut Layout,
    ) -> Result<Self, Error> {
        let old = actual.services.get(key).copied();
        let present = present(key, actual);
        let indexes = assign(service.backends.keys(), &present);
        let new = entry(key, service, old.as_ref(), &indexes, layout)?;
        let mut pool = Self {
            ops: Vec::new(),
            frees: Vec::new(),
            slots_moved: 0,
            key: *key,
            old,
            new,
            backends: leaving(service, &present),
            members: Vec::new(),
            late: Vec::new(),
            unstable: None,
        };
        if old.is_none() {
            pool.ops.push(Op::ResetFlowCount(new.id));
        }
        for (endpoint, backend) in &service.backends {
            let Some(&index) = indexes.get(endpoint) else { continue };
            let counter = match present.get(endpoint) {
                Some((_, existing)) => existing.counter,
                None => pool.fresh_counter(key, layout)?,
            };
            let line = line(key, endpoint, backend, counter);
            let _: Option<Backend> = pool.backends.insert(index, line);
            if backend.share() > 0 {
                let member = Member { endpoint: *endpoint, weight: backend.share() };
                pool.members.push((member, index));
            }
        }
        pool.write_backends(actual);
        Ok(pool)
    }

    fn fresh_counter(&mut self, key: &ServiceKey, layout: &mut Layout) -> Result<u32, Error> {
        let counter = layout.counter().ok_or_else(|| no_room(key, "backends", 1, 0))?;
        self.ops.push(Op::ResetTraffic(counter));
        Ok(counter)
    }

    /// Writes what differs in the block, and notes what is to be freed in the old one. A backend
    /// goes down only after its slots went to others.
    fn write_backends(&mut self, actual: &Actual) {
        let place = |index: slot::Index| self.new.backend_base + u32::from(index);
        for (&index, line) in &self.backends {
            let before = actual.backends.get(&place(index));
            if before == Some(line) {
                continue;
            }
            let write = Op::PutBackend(place(index), *line);
            let falls = line.condition.contains(Condition::DOWN)
                && before.is_some_and(|before| !before.condition.contains(Condition::DOWN));
            if falls { self.late.push(write) } else { self.ops.push(write) }
        }
        let used: BTreeSet<u32> = self.backends.keys().map(|&index| place(index)).collect();
        let stale =
            self.old.iter().flat_map(service::Service::block).filter(|place| !used.contains(place));
        self.frees
            .extend(stale.filter(|place| actual.backends.contains_key(place)).map(Op::FreeBackend));
    }

    /// The service's entry as it will be.
    pub(super) fn entry(&self) -> &service::Service {
        &self.new
    }

    /// The backends' lines as they will be, by place.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u32, &Backend)> {
        let base = self.new.backend_base;
        self.backends.iter().map(move |(&index, line)| (base + u32::from(index), line))
    }

    /// The backends that leave.
    pub(super) fn leaving(&self) -> impl Iterator<Item = ((ServiceKey, slot::Index), Endpoint)> {
        let leaves = |line: &Backend| line.condition.contains(Condition::LEAVING);
        let leaving = self.backends.iter().filter(move |(_, line)| leaves(line));
        leaving.map(|(index, line)| ((self.key, *index), line.into()))
    }

    /// What the answers of the service's NAT backends become.
    pub(super) fn replies(
        &self,
        key: &ServiceKey,
        service: &desired::Service,
    ) -> impl Iterator<Item = (ReplyKey, Reply)> {
        let stay = |line: &&Backend| !line.condition.contains(Condition::LEAVING);
        let lines = self.backends.values().filter(stay);
        lines.filter_map(move |line| reply(key, service, line))
    }

    /// What the answers of NAT backends that leave become, as it was.
    pub(super) fn leaving_replies(
        &self,
        actual: &Actual,
    ) -> impl Iterator<Item = (ReplyKey, Reply)> {
        let leave = |line: &&Backend| line.condition.contains(Condition::LEAVING);
        self.backends.values().filter(leave).filter_map(move |line| {
            let key = ReplyKey::new(line.address, line.port, self.key.protocol);
            let reply = actual.replies.get(&key).filter(|reply| reply.counter == line.counter)?;
            Some((key, *reply))
        })
    }

    /// Builds the ring and writes what differs from the one in place, and the service's entry.
    pub(super) fn build_ring(
        &mut self,
        hash_key: &HashKey,
        fresh: bool,
        slots: &impl Fn(u32, u32) -> Result<Vec<Slot>, dataplane::Error>,
    ) -> Result<Ring, dataplane::Error> {
        let service::Service { ring_base: base, ring_size: size, id, backend_base, .. } = self.new;
        let members: Vec<Member> = self.members.iter().map(|(member, _)| *member).collect();
        let table = ring::build(size, &members, hash_key);
        let digest = Digest::of(&table, &members);
        let fresh = fresh || !self.in_use();
        let lives = self.alive();
        let lives = |index: slot::Index| lives.get(usize::from(index)) == Some(&true);
        let mut counts: Vec<(Member, u32)> = members.iter().map(|member| (*member, 0)).collect();
        let (mut words, mut unstable) = (Vec::new(), Vec::new());
        for ((offset, owner), before) in (0..).zip(table).zip(slots(base, size)?) {
            let owner = owner.map(usize::from);
            if let Some(position) = owner {
                counts[position].1 += 1;
            }
            let owner = owner.map(|position| self.members[position].1);
            let slot = if fresh {
                Slot::stable(owner)
            } else {
                transition::owned_by(before, owner, lives)
            };
            if slot != before {
                words.push((base + offset, slot));
                self.slots_moved += u64::from(slot.current() != before.current());
            }
            if !slot.is_stable() {
                unstable.push((offset, slot));
            }
        }
        self.point(words);
        self.unstable = Some(unstable);
        let (hash_key, members) = (*hash_key, self.members.clone());
        Ok(Ring { base, size, id, backend_base, hash_key, members, counts, digest })
    }

    /// Whether packets already follow the ring.
    fn in_use(&self) -> bool {
        let place = |service: service::Service| (service.ring_base, service.ring_size);
        self.old.map(place) == Some(place(self.new))
    }

    /// Whether a backend stands behind an index, for all of them.
    fn alive(&self) -> Vec<bool> {
        let mut alive = vec![false; usize::from(self.new.backend_capacity) + 1];
        for index in self.backends.keys() {
            alive[usize::from(*index)] = true;
        }
        alive
    }

    /// A ring that nothing points at yet is filled before the service points at it; one that is
    /// in use is changed after the service points at the block that the new slots count in.
    fn point(&mut self, words: Vec<(u32, Slot)>) {
        let words = (!words.is_empty()).then_some(Op::WriteSlots(words));
        let entry = (self.old != Some(self.new)).then_some(Op::PutService(self.key, self.new));
        if self.in_use() {
            self.ops.extend(entry.into_iter().chain(words));
        } else {
            self.slots_moved = 0;
            self.ops.extend(words.into_iter().chain(entry));
        }
    }

    /// The writes, in order.
    pub(super) fn take_ops(&mut self) -> impl Iterator<Item = Op> {
        std::mem::take(&mut self.ops).into_iter().chain(std::mem::take(&mut self.late))
    }
}

impl Ring {
    /// Whether the ring stands as `pool` wants it, so that only backends' lines may differ.
    pub(super) fn matches(&self, pool: &Pool, key: &HashKey) -> bool {
        let Self { base, size, hash_key, members, .. } = self;
        hash_key == key
            && pool.old == Some(pool.new)
            && (pool.new.ring_base, pool.new.ring_size) == (*base, *size)
            && pool.members == *members
    }
}

/// The backends that are not configured any more: they keep their lines until nothing names them.
fn leaving(
    service: &desired::Service,
    present: &BTreeMap<Endpoint, (slot::Index, Backend)>,
) -> BTreeMap<slot::Index, Backend> {
    let gone = present.iter().filter(|(endpoint, _)| !service.backends.contains_key(endpoint));
    let leave = |endpoint: &Endpoint, line: &Backend| {
        let down = line.condition.contains(Condition::DOWN);
        let down = if down { Condition::DOWN } else { Condition::UP };
        let known = Way { next_hop: line.next_hop, mtu: line.mtu };
        let way = service.leaving.get(endpoint).filter(|way| way.next_hop.is_resolved());
        let Way { next_hop, mtu } = *way.unwrap_or(&known);
        Backend { condition: Condition::LEAVING.with(down), next_hop, mtu, ..*line }
    };
    gone.map(|(endpoint, (index, line))| (*index, leave(endpoint, line))).collect()
}

/// The backends that the service has now.
fn present(key: &ServiceKey, actual: &Actual) -> BTreeMap<Endpoint, (slot::Index, Backend)> {
    let base = actual.services.get(key).map_or(0, |service| service.backend_base);
    let index = |place| (place - base) as slot::Index;
    let pool = actual.pool(key).into_iter();
    pool.map(|(endpoint, (place, line))| (endpoint, (index(place), *line))).collect()
}

/// A backend keeps its index while it has a line; a new one takes an index that nobody has, not even
/// one that leaves: slots and flows may still name it.
fn assign<'a>(
    wanted: impl Iterator<Item = &'a Endpoint>,
    present: &BTreeMap<Endpoint, (slot::Index, Backend)>,
) -> BTreeMap<Endpoint, slot::Index> {
    let taken: BTreeSet<slot::Index> = present.values().map(|(index, _)| *index).collect();
    let mut free = (1..=slot::INDEX_MAX).filter(|index| !taken.contains(index));
    wanted
        .filter_map(|endpoint| {
            let kept = present.get(endpoint).map(|(index, _)| *index);
            Some((*endpoint, kept.or_else(|| free.next())?))
        })
        .collect()
}

/// The service's entry: its places are kept while they fit.
fn entry(
    key: &ServiceKey,
    service: &desired::Service,
    old: Option<&service::Service>,
    indexes: &BTreeMap<Endpoint, slot::Index>,
    layout: &mut Layout,
) -> Result<service::Service, Error> {
    let needed = indexes.values().copied().max().unwrap_or(0);
    let (backend_base, backend_capacity) = match old {
        Some(old) if old.backend_capacity >= needed => (old.backend_base, old.backend_capacity),
        _ => {
            let capacity = needed.checked_next_power_of_two().unwrap_or(slot::INDEX_MAX);
            let capacity = capacity.max(SMALLEST_BLOCK);
            let first = layout
                .block(capacity)
                .map_err(|largest| no_room(key, "backends", capacity.into(), largest))?;
            (first - 1, capacity)
        }
    };
    let ring_size = service.ring_size;
    let ring_base = match old {
        Some(old) if old.ring_size == ring_size => old.ring_base,
        _ => layout.ring(ring_size).map_err(|largest| no_room(key, "slots", ring_size, largest))?,
    };
    Ok(service::Service {
        ring_base,
        ring_size,
        backend_base,
        backend_capacity,
        mode: service.mode,
        on_down: service.on_down,
        id: old.map_or_else(|| layout.id(), |old| old.id),
        flow_limit: service.flow_limit,
        gue_port: service.gue_port,
        padding: 0,
    })
}

/// A backend's line of the table.
fn line(
    key: &ServiceKey,
    endpoint: &Endpoint,
    backend: &desired::Backend,
    counter: u32,
) -> Backend {
    let Endpoint { address, port } = *endpoint;
    Backend {
        address,
        next_hop: backend.way.next_hop,
        port,
        address_delta: Delta::address(&key.vip, &address),
        endpoint_delta: Delta::endpoint((&key.vip, key.ports.first), (&address, port)),
        condition: backend.condition,
        counter,
        mtu: backend.way.mtu,
        ..Backend::FREE
    }
}
