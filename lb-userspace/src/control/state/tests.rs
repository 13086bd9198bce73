//! The node's state over a packet path in memory.

use std::net::IpAddr;

use lb_common::{
    addr::{Mac, Port},
    route::{NextHop, Prefix},
};

use super::*;
use crate::{
    api::types::{Change, Changed},
    config::{Limits, file},
    control::Rejection,
    dataplane::fake::Fake,
    events::Query,
    health,
    ring::Endpoint,
    topology::{Link, Route},
};

const WEB1: [u8; 4] = [10, 0, 0, 11];
const WEB2: [u8; 4] = [10, 0, 0, 12];
const NEW: [u8; 4] = [10, 0, 0, 19];

/// One checked service with two backends, on a ring of 1021 slots.
const FILE: &str = r#"
        [node]
        interfaces = ["eth0"]
        seed = "00112233445566778899aabbccddeeff"
        [[service]]
        name = "web"
        vip = "203.0.113.10"
        port = 80
        forward = "l2"
        ring_size = 1021
        check = { type = "tcp" }
        [[service.backend]]
        name = "web1"
        address = "10.0.0.11"
        [[service.backend]]
        name = "web2"
        address = "10.0.0.12"
    "#;

fn loaded(text: &str) -> Loaded {
    file::parse(text, "test").unwrap()
}

fn config() -> Config {
    loaded(FILE).config
}

/// A node with one link; the given hosts are resolved.
fn topology(resolved: &[[u8; 4]]) -> Arc<Topology> {
    let link = Link {
        name: "eth0".into(),
        mac: Mac([1; 6]),
        up: true,
        mtu: 1500,
        vlan: None,
        addresses: Vec::new(),
    };
    let prefix = Prefix::new([10, 0, 0, 0].into(), 24).unwrap();
    Arc::new(Topology {
        links: [(2, link)].into(),
        routes: vec![Route { prefix, gateway: None, interface: 2, metric: 0, mtu: None }],
        neighbours: resolved.iter().map(|&ip| ((2, IpAddr::from(ip)), mac(ip))).collect(),
        addresses: BTreeSet::new(),
    })
}

fn mac([a, b, c, d]: [u8; 4]) -> Mac {
    Mac([2, 0, a, b, c, d])
}

fn key(backend: [u8; 4]) -> TargetKey {
    let backend = SocketAddr::from((backend, 80));
    TargetKey::Service { service: config().services[0].key(), backend }
}

fn finding(up: bool) -> Finding {
    Finding { up, confirmed: true, parts: health::FULL, reason: "by the test".into() }
}

fn view(findings: &[([u8; 4], bool)]) -> Arc<View> {
    Arc::new(findings.iter().map(|&(ip, up)| (key(ip), finding(up))).collect())
}

fn node(dataplane: Fake, store: Store, resolved: &[[u8; 4]]) -> State<Fake> {
    let mut state = State::new(loaded(FILE), store, topology(resolved), dataplane).unwrap();
    assert!(state.sync().is_ok());
    state
}

fn fresh() -> State<Fake> {
    node(Fake::new(Limits::default()), Store::default(), &[WEB1, WEB2, NEW])
}

/// The share of a backend in per cent, rounded.
fn share(state: &State<Fake>, backend: [u8; 4]) -> u8 {
    let endpoint = Endpoint { address: IpAddr::from(backend).into(), port: Port::new(80) };
    let ring = &state.reconciler.rings()[&config().services[0].key()];
    let per_cent = ring.share(&endpoint) * 100.0;
    (0..=100).find(|&whole| (f64::from(whole) - per_cent).abs() <= 0.5).unwrap()
}

fn next_hop(state: &State<Fake>, backend: [u8; 4]) -> Option<NextHop> {
    let actual = state.reconciler.actual().unwrap();
    let pool = actual.pool(&config().services[0].key());
    pool.get(&SocketAddr::from((backend, 80)).into()).map(|(_, line)| line.next_hop)
}

fn drain(backend: &str) -> Change {
    Change::Drain { backend: backend.into(), service: None, deadline_seconds: None }
}

fn add(address: [u8; 4]) -> Change {
    let address = address.into();
    Change::Add { service: "web".into(), name: None, address, port: None, weight: None }
}

#[test]
fn what_is_configured_counts_as_up_until_its_checks_say_otherwise() {
    let mut state = fresh();
    assert_eq!((share(&state, WEB1), share(&state, WEB2)), (50, 50));
    state.see_health(view(&[(WEB1, true), (WEB2, false)]));
    assert!(state.sync().is_ok());
    assert_eq!((share(&state, WEB1), share(&state, WEB2)), (100, 0));
}

#[test]
fn what_is_added_proves_itself_first() {
    let mut state = fresh();
    let changed = state.change(&add(NEW)).unwrap();
    assert_eq!((changed.services, changed.slots_moved), (vec!["web".to_owned()], 0));
    // The checks have not heard of it yet.
    state.see_health(view(&[(WEB1, true), (WEB2, true)]));
    assert!(state.sync().is_ok());
    assert_eq!(share(&state, NEW), 0);
    state.see_health(view(&[(WEB1, true), (WEB2, true), (NEW, true)]));
    assert!(state.sync().is_ok());
    assert_eq!(share(&state, NEW), 33);
}

#[test]
fn a_drain_moves_the_share_and_its_end_moves_it_back() {
    let mut state = fresh();
    assert!(state.change(&drain("web2")).unwrap().slots_moved > 500);
    assert_eq!(share(&state, WEB2), 0);
    let again = state.change(&drain("web2")).unwrap();
    let nothing = Changed { backend: "web2".into(), services: Vec::new(), slots_moved: 0 };
    assert_eq!(again, nothing);
    let ready = Change::Ready { backend: "web2".into(), service: Some("web".into()) };
    assert!(state.change(&ready).unwrap().slots_moved > 500);
    assert_eq!(share(&state, WEB2), 50);
    assert!(matches!(state.change(&drain("web3")), Err(Rejection::NotFound(_))));
}

#[test]
fn a_change_that_the_packet_path_refuses_leaves_all_as_it_was() {
    let mut state = fresh();
    let before = state.reconciler.actual().unwrap();
    state.dataplane_mut().budget = Some(0);
    let refused = state.change(&drain("web2"));
    assert!(matches!(refused, Err(Rejection::Failed(_))), "{refused:?}");
    state.dataplane_mut().budget = None;
    assert!(state.sync().is_ok());
    assert_eq!(state.reconciler.actual().unwrap(), before);
    assert_eq!(state.config, config());
    assert_eq!(share(&state, WEB2), 50);
}

#[test]
fn a_restarted_daemon_goes_on_from_what_it_finds() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::new(directory.path().join("changes.json"));
    let mut state = node(Fake::new(Limits::default()), store.clone(), &[WEB1, WEB2]);
    assert!(state.change(&drain("web1")).is_ok());
    state.see_health(view(&[(WEB1, true), (WEB2, false)]));
    assert!(state.sync().is_ok());
    let found = state.reconciler.actual().unwrap();

    // The kernel has forgotten the neighbours; nothing has been checked yet.
    let restarted = node(state.reconciler.dataplane().clone(), store, &[]);
    assert_eq!(restarted.reconciler.actual().unwrap(), found);
    assert_eq!((share(&restarted, WEB1), share(&restarted, WEB2)), (0, 0));
    assert!(!restarted.targets()[&key(WEB2)].initially_up);
}

#[test]
fn a_next_hop_stays_until_a_better_one_is_known() {
    let mut state = fresh();
    let before = next_hop(&state, WEB1);
    assert!(before.is_some_and(|hop| hop.is_resolved()));
    state.see_topology(topology(&[]));
    assert!(state.sync().is_ok());
    assert_eq!(next_hop(&state, WEB1), before);
    // Without a route there is no way, old or new.
    state.see_topology(Arc::default());
    assert!(state.sync().is_ok());
    assert_eq!(next_hop(&state, WEB1), Some(NextHop::UNRESOLVED));
}

#[test]
fn a_removed_backend_is_kept_reachable_until_its_flows_are_over() {
    let mut state = fresh();
    let remove = Change::Remove { backend: "web2".into(), service: None };
    assert!(state.change(&remove).is_ok());
    assert!(state.wanted().contains(&IpAddr::from(WEB2)), "its neighbour stays resolved");
    let mut moved = Arc::unwrap_or_clone(topology(&[WEB1, WEB2]));
    let _ = moved.neighbours.insert((2, WEB2.into()), Mac([9; 6]));
    state.see_topology(Arc::new(moved));
    assert!(state.sync().is_ok());
    assert_eq!(next_hop(&state, WEB2).map(|hop| hop.destination), Some(Mac([9; 6])));

    let window = state.config.services[0].window.as_secs();
    for _ in 0..window + 200 {
        assert!(state.tick().is_ok());
    }
    assert!(state.sync().is_ok());
    assert_eq!(next_hop(&state, WEB2), None, "its line is free");
    assert!(!state.wanted().contains(&IpAddr::from(WEB2)));
    let memory = state.reconciler.memory(&state.config.services[0].key()).unwrap();
    assert_eq!(memory, reconcile::Memory::default());
}

/// What was noted since the last call, without the words.
fn told(state: &mut State<Fake>, since: &mut u64) -> Vec<String> {
    state.note_progress();
    let page = state.events().page(&Query { since: Some(*since), ..Query::default() });
    *since = page.last;
    let told = page.events.into_iter();
    told.map(|it| format!("{} {}", it.event.kind.as_str(), it.event.subject())).collect()
}

#[test]
fn a_drain_is_told_from_its_moves_to_its_last_flow() {
    let mut state = fresh();
    let mut since = 0;
    assert!(told(&mut state, &mut since).is_empty(), "a start moves nothing");
    assert!(state.change(&drain("web2")).is_ok());
    assert_eq!(told(&mut state, &mut since), ["slots-moved web"]);
    let window = state.config.services[0].window.as_secs();
    for _ in 0..window - 1 {
        assert!(state.tick().is_ok());
    }
    assert!(told(&mut state, &mut since).is_empty(), "old connections may be idle");
    for _ in 0..100 {
        assert!(state.tick().is_ok());
    }
    assert_eq!(told(&mut state, &mut since), ["slots-stable web", "drained web/web2"]);
    assert!(state.is_settled());
}

#[test]
fn a_drained_backend_without_slots_is_told_to_be_free_as_well() {
    let mut state = fresh();
    let mut since = 0;
    state.see_health(view(&[(WEB1, true), (WEB2, false)]));
    assert!(state.sync().is_ok());
    for _ in 0..state.config.services[0].window.as_secs() + 100 {
        assert!(state.tick().is_ok());
    }
    assert_eq!(told(&mut state, &mut since), ["down web/web2", "slots-moved web"]);
    assert!(state.is_settled());
    assert!(state.change(&drain("web2")).is_ok());
    for _ in 0..100 {
        assert!(state.tick().is_ok());
    }
    assert_eq!(told(&mut state, &mut since), ["drained web/web2"]);
}

#[test]
fn the_end_of_a_removal_and_failures_are_told_once() {
    let mut state = fresh();
    let mut since = 0;
    let remove = Change::Remove { backend: "web2".into(), service: None };
    assert!(state.change(&remove).is_ok());
    assert_eq!(told(&mut state, &mut since), ["slots-moved web"]);
    for _ in 0..state.config.services[0].window.as_secs() + 200 {
        assert!(state.tick().is_ok());
    }
    assert!(state.sync().is_ok());
    assert_eq!(told(&mut state, &mut since), ["slots-stable web", "left web"]);

    state.see_health(view(&[(WEB1, false)]));
    state.dataplane_mut().budget = Some(0);
    assert!(state.sync().is_err());
    assert_eq!(told(&mut state, &mut since), ["down web/web1", "failing "]);
    assert!(state.sync().is_err());
    assert!(told(&mut state, &mut since).is_empty());
    state.dataplane_mut().budget = None;
    assert!(state.sync().is_ok());
    assert_eq!(told(&mut state, &mut since), ["recovered ", "slots-moved web"]);
}
mod proxy;
mod reload;
