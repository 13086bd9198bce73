//! The writer against the fake: it converges from anywhere, in an order that never lies.

use std::collections::BTreeMap;

use lb_common::{
    addr::{Addr, Mac, Port, Protocol},
    backend::Condition,
    flow::{Choice, Moment},
    hash::HashKey,
    layout,
    probe::ProbeSettings,
    route::{NextHop, VlanTag},
    service::{DownPolicy, ForwardMode, ReplyKey, ServiceKey},
    settings::{AnswerRates, Settings, Stages, TunnelSource},
    slot::{Slot, State},
};
use proptest::prelude::*;

use super::*;
use crate::{
    config::Limits,
    dataplane::fake::{Fake, Packet},
    desired::{Backend, Service, Way},
    ring::Endpoint,
};

pub(super) const LIMITS: Limits = Limits {
    services: 8,
    backends: 256,
    slots: 8 * 1021,
    routes: 8,
    denied: 8,
    flows: 1024,
    pending: 1024,
};

fn vip(number: u8) -> ServiceKey {
    ServiceKey::new(Addr::from_v4([203, 0, 113, number]), Port::new(80), Protocol::TCP)
}

fn endpoint(host: u8, mode: ForwardMode) -> Endpoint {
    let port = if mode == ForwardMode::NAT { 8080 } else { 80 };
    Endpoint { address: Addr::from_v4([10, 0, 0, host]), port: Port::new(port) }
}

pub(super) fn backend(weight: u16, condition: Condition) -> Backend {
    let next_hop = NextHop {
        interface: 2,
        destination: Mac([2; 6]),
        source: Mac([1; 6]),
        tags: [VlanTag::NONE; 2],
    };
    Backend { weight, condition, way: Way { next_hop, mtu: u16::MAX } }
}

pub(super) fn desired(services: BTreeMap<ServiceKey, Service>) -> Desired {
    Desired {
        settings: Settings {
            hash_key: HashKey::from_seed([1; 16]),
            abi: layout::ABI,
            stages: Stages::REPLY,
            service_mask: LIMITS.service_lines() - 1,
            answers: AnswerRates { echo: 0, error: 0, reset: 0, padding: 0 },
            tunnel4: TunnelSource::NONE,
            tunnel6: TunnelSource::NONE,
            probes: ProbeSettings::NONE,
        },
        services,
        routes: BTreeMap::new(),
        denied: [].into(),
        devices: [2].into(),
    }
}

/// A pool of equal backends.
fn service(hosts: impl IntoIterator<Item = u8>) -> Service {
    let pool = hosts.into_iter();
    let pool = pool.map(|host| (endpoint(host, ForwardMode::L2), backend(1, Condition::UP)));
    service_of(ForwardMode::L2, 1021, pool.collect())
}

pub(super) fn service_of(
    mode: ForwardMode,
    ring_size: u32,
    backends: BTreeMap<Endpoint, Backend>,
) -> Service {
    Service {
        mode,
        ring_size,
        on_down: DownPolicy::RST,
        window: 100,
        flow_limit: 500,
        gue_port: Port::new(6080),
        backends,
        leaving: BTreeMap::new(),
        probes: BTreeMap::new(),
    }
}

fn any_service() -> impl Strategy<Value = Service> {
    let condition =
        prop_oneof![Just(Condition::UP), Just(Condition::DOWN), Just(Condition::DRAINING)];
    let pool = prop::collection::btree_map(1u8..40, (0u16..4, condition), 0..20);
    let mode = prop_oneof![Just(ForwardMode::L2), Just(ForwardMode::NAT)];
    (mode, pool).prop_map(|(mode, pool)| {
        let pool = pool
            .into_iter()
            .map(|(host, (weight, condition))| (endpoint(host, mode), backend(weight, condition)));
        service_of(mode, 1021, pool.collect())
    })
}

/// Services on a few VIPs; NAT backends are shared by none, as the configuration check enforces.
fn any_desired() -> impl Strategy<Value = Desired> {
    prop::collection::btree_map(1u8..5, any_service(), 0..4).prop_map(|services| {
        let mut nat_seen = false;
        let services = services
            .into_iter()
            .filter(|(_, service)| {
                service.mode != ForwardMode::NAT || !std::mem::replace(&mut nat_seen, true)
            })
            .map(|(number, service)| (vip(number), service))
            .collect();
        desired(services)
    })
}

/// What a packet may meet at any moment: slots, flows and notes of a service name backends in its
/// block.
pub(super) fn consistent(dataplane: &Fake) {
    let actual = dataplane.read().unwrap();
    for (key, service) in &actual.services {
        let check = |what: &str, index: u16| {
            assert!(index <= service.backend_capacity, "{key:?}: {what} {index} out of its block");
            let place = service.backend_base + u32::from(index);
            assert!(actual.backends.contains_key(&place), "{key:?}: {what} names free {place}");
        };
        for slot in dataplane.slots(service.ring_base, service.ring_size).unwrap() {
            slot.current().into_iter().for_each(|index| check("a slot", index));
            if let State::Moving { previous, .. } = slot.state() {
                check("a moving slot", previous);
            }
        }
        for (_, index) in dataplane.named().filter(|(flow, _)| flow.service == service.id) {
            check("a flow", index);
        }
    }
}

/// Whether the maps do what is desired, service by service, and hold nothing else but backends that
/// leave.
fn reached(dataplane: &Fake, desired: &Desired) {
    let actual = dataplane.read().unwrap();
    assert_eq!(actual.settings, Some(desired.settings));
    assert!(actual.services.keys().eq(desired.services.keys()));
    let counters: std::collections::BTreeSet<u32> =
        actual.backends.values().map(|backend| backend.counter).collect();
    assert_eq!(counters.len(), actual.backends.len(), "every backend counts for itself");
    for (key, wanted) in &desired.services {
        let service = &actual.services[key];
        let mut slots: BTreeMap<Endpoint, u32> = BTreeMap::new();
        for slot in dataplane.slots(service.ring_base, service.ring_size).unwrap() {
            if let Some(index) = slot.current() {
                let line = &actual.backends[&(service.backend_base + u32::from(index))];
                let endpoint = Endpoint { address: line.address, port: line.port };
                *slots.entry(endpoint).or_default() += 1;
            }
        }
        for (endpoint, backend) in &wanted.backends {
            assert_eq!(slots.contains_key(endpoint), backend.share() > 0, "{endpoint:?}");
            let reply = ReplyKey::new(endpoint.address, endpoint.port, key.protocol);
            let vip = actual.replies.get(&reply).map(|reply| reply.vip);
            assert_eq!(vip, (wanted.mode == ForwardMode::NAT).then_some(key.vip));
        }
        for (endpoint, (_, line)) in actual.pool(key) {
            let wanted = wanted.backends.get(&endpoint).map(|backend| backend.condition);
            let leaves = line.condition.contains(Condition::LEAVING);
            assert_eq!(wanted, (!leaves).then_some(line.condition), "{endpoint:?}");
        }
    }
}

/// A connection of a client of each number is opened with every service.
fn connect(dataplane: &mut Fake, clients: std::ops::Range<u8>) {
    for key in dataplane.read().unwrap().services.keys() {
        for client in clients.clone() {
            for moment in [Moment::Opening, Moment::Amid] {
                let _: Choice = dataplane.receive(&Packet {
                    service: *key,
                    client: Addr::from_v4([192, 0, 2, client]),
                    client_port: Port::new(40_000),
                    service_port: key.ports.first,
                    moment,
                });
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_converges_and_every_step_is_consistent(
            states in prop::collection::vec(any_desired(), 1..6), ticks in 0u8..120,
        ) {
        let mut reconciler = Reconciler::new(Fake::new(LIMITS));
        for state in &states {
            // One write more each time, so that it stops after every kind of write.
            for budget in 0.. {
                reconciler.dataplane_mut().budget = Some(budget);
                let done = reconciler.sync(state).is_ok();
                consistent(reconciler.dataplane());
                connect(reconciler.dataplane_mut(), 0..20);
                if done {
                    break;
                }
            }
            reached(reconciler.dataplane(), state);
            reconciler.dataplane_mut().budget = None;
            let again = reconciler.sync(state).unwrap();
            prop_assert_eq!(again, Outcome::default(), "a second round finds nothing to do");
            for _ in 0..ticks {
                prop_assert!(reconciler.tick(state).is_ok());
                connect(reconciler.dataplane_mut(), 10..15);
                consistent(reconciler.dataplane());
            }
            reached(reconciler.dataplane(), state);
        }
    }

    #[test]
    fn it_goes_on_after_a_failure_anywhere(
        before in any_desired(), after in any_desired(), budget in 0usize..60,
    ) {
        let mut reconciler = Reconciler::new(Fake::new(LIMITS));
        prop_assert!(reconciler.sync(&before).is_ok());
        reconciler.dataplane_mut().budget = Some(budget);
        let failed = reconciler.sync(&after).is_err();
        consistent(reconciler.dataplane());
        reconciler.dataplane_mut().budget = None;
        let outcome = reconciler.sync(&after).unwrap();
        prop_assert_eq!(outcome.writes > 0, failed);
        reached(reconciler.dataplane(), &after);
    }
}

fn one(hosts: impl IntoIterator<Item = u8>) -> Desired {
    desired([(vip(1), service(hosts))].into())
}

#[test]
fn a_restarted_daemon_writes_nothing() {
    let mut reconciler = Reconciler::new(Fake::new(LIMITS));
    let state = one(1..10);
    assert!(reconciler.sync(&state).unwrap().writes > 0);
    let mut restarted = Reconciler::new(reconciler.dataplane().clone());
    assert_eq!(restarted.sync(&state).unwrap(), Outcome::default());
}

#[test]
fn one_backend_more_leaves_the_others_in_place() {
    let mut reconciler = Reconciler::new(Fake::new(LIMITS));
    assert!(reconciler.sync(&one(1..=8)).is_ok());
    let before = reconciler.dataplane().read().unwrap();
    // The ninth does not fit into the block of eight: the block moves, the indexes and counters stay.
    let outcome = reconciler.sync(&one(1..=9)).unwrap();
    let after = reconciler.dataplane().read().unwrap();
    let (old, new) = (before.services[&vip(1)], after.services[&vip(1)]);
    assert_ne!(old.backend_base, new.backend_base);
    assert_eq!((old.backend_capacity, new.backend_capacity), (8, 16));
    for (place, line) in &before.backends {
        let index = place - old.backend_base;
        assert_eq!(after.backends.get(&(new.backend_base + index)), Some(line));
    }
    let share = 1021 / 9;
    assert!(outcome.slots_moved >= share && outcome.slots_moved < 2 * share, "{outcome:?}");
}

#[test]
fn a_new_next_hop_touches_one_line_and_no_slot() {
    let mut reconciler = Reconciler::new(Fake::new(LIMITS));
    let mut state = one(1..=3);
    assert!(reconciler.sync(&state).is_ok());
    let pool = &mut state.services.get_mut(&vip(1)).unwrap().backends;
    pool.get_mut(&endpoint(2, ForwardMode::L2)).unwrap().way.next_hop.destination = Mac([9; 6]);
    reconciler.dataplane_mut().log.clear();
    assert_eq!(reconciler.sync(&state).unwrap(), Outcome { writes: 1, slots_moved: 0 });
    assert!(matches!(reconciler.dataplane().log[..], [Op::PutBackend(..)]));
}

#[test]
fn another_seed_rebuilds_the_rings() {
    let mut reconciler = Reconciler::new(Fake::new(LIMITS));
    let mut state = one(1..=3);
    assert!(reconciler.sync(&state).is_ok());
    state.settings.hash_key = HashKey::from_seed([2; 16]);
    assert!(reconciler.sync(&state).unwrap().slots_moved > 1021 / 3);
}

#[test]
fn a_ring_that_was_tampered_with_is_mended_when_the_knowledge_is_forgotten() {
    let mut reconciler = Reconciler::new(Fake::new(LIMITS));
    let state = one(1..=3);
    assert!(reconciler.sync(&state).is_ok());
    let base = reconciler.dataplane().read().unwrap().services[&vip(1)].ring_base;
    let tamper = Op::WriteSlots(vec![(base, Slot::EMPTY)]);
    assert!(reconciler.dataplane_mut().apply(&tamper).is_ok());
    assert_eq!(reconciler.sync(&state).unwrap().slots_moved, 0, "it is believed to be in place");
    reconciler.forget();
    assert_eq!(reconciler.sync(&state).unwrap().slots_moved, 1);
}

#[test]
fn rings_are_doubted_in_turn() {
    let mut reconciler = Reconciler::new(Fake::new(LIMITS));
    let state = desired((1..=3).map(|number| (vip(number), service([number]))).collect());
    assert!(reconciler.sync(&state).is_ok());
    let bases = reconciler.dataplane().read().unwrap().services;
    for service in bases.values() {
        let tamper = Op::WriteSlots(vec![(service.ring_base, Slot::EMPTY)]);
        assert!(reconciler.dataplane_mut().apply(&tamper).is_ok());
    }
    for _ in 0..3 {
        reconciler.forget_next();
        assert_eq!(reconciler.sync(&state).unwrap().slots_moved, 1);
    }
    reconciler.forget_next();
    assert_eq!(reconciler.sync(&state).unwrap().slots_moved, 0);
}

#[test]
fn what_does_not_fit_is_refused_before_any_write() {
    let small = Limits { slots: 1500, ..LIMITS };
    let mut reconciler = Reconciler::new(Fake::new(small));
    let state = desired([(vip(1), service([1])), (vip(2), service([2]))].into());
    let error = reconciler.sync(&state).unwrap_err();
    assert_eq!(
        error.to_string(),
        "service 203.0.113.2 port 80/tcp needs 1021 free slots in a row, the largest gap has 479: \
         raise limits.slots"
    );
    assert!(reconciler.dataplane().log.is_empty());
}

#[test]
fn an_alias_follows_its_backend_and_goes_with_it() {
    let source = Addr::from_v4([10, 0, 0, 1]);
    let aliases = lb_common::probe::Aliases(Addr::from_v4([240, 0, 0, 0]));
    let probed = |hosts: std::ops::Range<u8>| {
        let mut service = service(hosts);
        let probe = crate::desired::Probe { source, patience: 500 };
        service.probes = service.backends.keys().map(|endpoint| (*endpoint, probe)).collect();
        let mut desired = desired([(vip(1), service)].into());
        desired.settings.probes = ProbeSettings {
            aliases4: aliases,
            answers: NextHop { interface: 9, ..NextHop::UNRESOLVED },
            ..ProbeSettings::NONE
        };
        desired
    };
    let mut reconciler = Reconciler::new(Fake::new(LIMITS));
    // The block of eight is left for a larger one.
    for hosts in [1..3, 1..20, 2..20, 5..6] {
        let _ = reconciler.sync(&probed(hosts.clone())).unwrap();
        let actual = reconciler.actual().unwrap();
        assert_eq!(actual.probes.len(), hosts.len());
        for host in hosts {
            let endpoint = endpoint(host, ForwardMode::L2);
            let (place, _) = actual.pool(&vip(1))[&endpoint];
            assert_eq!(reconciler.alias(&vip(1), endpoint), Some(aliases.of(place)));
            let probe = actual.probes[&place];
            assert_eq!((probe.vip, probe.source, probe.patience), (vip(1).vip, source, 500));
            assert_eq!(probe.service, actual.services[&vip(1)]);
        }
    }
    let _ = reconciler.sync(&desired([(vip(1), service(2..3))].into())).unwrap();
    assert_eq!(reconciler.actual().unwrap().probes, BTreeMap::new());
    assert_eq!(reconciler.alias(&vip(1), endpoint(2, ForwardMode::L2)), None);
}
