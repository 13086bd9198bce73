//! Files and layers.

use super::*;
use crate::api::plan::{Kind, Ring};

/// The file with one text instead of another.
fn file_with(old: &str, new: &str) -> Loaded {
    assert!(FILE.contains(old), "{old}");
    loaded(&FILE.replace(old, new))
}

const THIRD: &str = r#"address = "10.0.0.12"
        [[service.backend]]
        name = "new"
        address = "10.0.0.19""#;

fn subjects(plan: &crate::api::plan::Plan) -> Vec<(Kind, &str)> {
    plan.differences.iter().map(|it| (it.kind, &*it.subject)).collect()
}

fn found_up(state: &mut State<Fake>) {
    state.see_health(view(&[(WEB1, true), (WEB2, true)]));
    assert!(state.sync().is_ok());
}

#[test]
fn what_does_not_differ_is_not_touched() {
    let mut state = fresh();
    found_up(&mut state);
    let before = state.reconciler.actual().unwrap();
    // Any write would fail.
    state.dataplane_mut().budget = Some(0);
    let plan = state.apply(loaded(FILE)).unwrap();
    assert_eq!((plan.differences, plan.rings, plan.cut), Default::default());
    let other_words = FILE.replace("[[service]]", "# A comment.\n[[service]]");
    assert!(state.apply(loaded(&other_words)).unwrap().differences.is_empty());
    assert_eq!(state.reconciler.actual().unwrap(), before);
}

#[test]
fn a_new_weight_writes_slots_of_its_ring_alone() {
    let mut state = fresh();
    found_up(&mut state);
    let before = state.reconciler.actual().unwrap();
    let heavier = file_with("address = \"10.0.0.12\"", "address = \"10.0.0.12\"\nweight = 3");
    let planned = state.plan(&heavier).unwrap();
    assert_eq!(subjects(&planned), [(Kind::Changed, "backend web/web2 weight")]);
    let [Ring { slots: 1021, moved: 200..300, connections: 0, .. }] = &planned.rings[..] else {
        panic!("{planned:?}");
    };
    assert_eq!(state.reconciler.actual().unwrap(), before, "a plan changes nothing");
    // The slots are one write.
    state.dataplane_mut().budget = Some(1);
    assert_eq!(state.apply(heavier).unwrap(), planned);
    state.dataplane_mut().budget = None;
    assert_eq!(share(&state, WEB2), 75);
    assert_eq!(state.reconciler.actual().unwrap(), before, "but for the slots nothing is written");
}

#[test]
fn health_survives_and_what_is_new_proves_itself() {
    let mut state = fresh();
    state.see_health(view(&[(WEB1, true), (WEB2, false)]));
    assert!(state.sync().is_ok());
    let file = file_with("address = \"10.0.0.12\"", THIRD);
    let [ring] = &state.plan(&file).unwrap().rings[..] else { panic!("one ring") };
    assert!((400..650).contains(&ring.moved), "as if it were up: {ring:?}");
    let plan = state.apply(file).unwrap();
    assert_eq!(subjects(&plan), [(Kind::Added, "backend web/new")]);
    assert_eq!([WEB1, WEB2, NEW].map(|it| share(&state, it)), [100, 0, 0]);
    assert!(!state.targets()[&key(NEW)].initially_up);
}

#[test]
fn where_checks_begin_what_served_goes_on() {
    let unchecked = FILE.replace("check = { type = \"tcp\" }", "");
    let dataplane = Fake::new(Limits::default());
    let store = Store::default();
    let hops = topology(&[WEB1, WEB2, NEW]);
    let mut state = State::new(loaded(&unchecked), store, hops, dataplane).unwrap();
    assert!(state.sync().is_ok());
    assert!(state.apply(file_with("address = \"10.0.0.12\"", THIRD)).is_ok());
    assert_eq!([WEB1, WEB2, NEW].map(|it| share(&state, it)), [50, 50, 0]);
}

#[test]
fn run_time_changes_stay_over_a_new_file_and_are_dropped_at_will() {
    let mut state = fresh();
    found_up(&mut state);
    assert!(state.change(&drain("web2")).is_ok());
    assert!(state.change(&add(NEW)).is_ok());
    let subject =
        |state: &State<Fake>| state.diff().into_iter().map(|it| it.subject).collect::<Vec<_>>();
    let expected = ["backend web/web2 admin", "backend web/10.0.0.19"];
    assert_eq!(subject(&state), expected);

    let window = file_with("ring_size = 1021", "ring_size = 1021\nwindow = \"5m\"");
    let plan = state.apply(window).unwrap();
    assert_eq!(subjects(&plan), [(Kind::Changed, "service web window")]);
    assert_eq!(subject(&state), expected);
    assert_eq!(share(&state, WEB2), 0);

    let without = file_with("name = \"web2\"", "name = \"other\"");
    let plan = state.apply(without).unwrap();
    assert_eq!(plan.forgotten, ["web/web2, changed, is forgotten: the file has no such backend"]);
    assert_eq!(share(&state, WEB2), 50, "it is the same machine, and not drained");

    let plan = state.revert().unwrap();
    assert_eq!(subjects(&plan), [(Kind::Removed, "backend web/10.0.0.19")]);
    assert_eq!(subject(&state), [""; 0]);
}

#[test]
fn what_cannot_change_or_does_not_fit_is_refused_and_changes_nothing() {
    let mut state = fresh();
    assert!(state.change(&add(NEW)).is_ok());
    let before = (state.config.clone(), state.reconciler.actual().unwrap());
    for (old, new, reason) in [
        ("\"eth0\"", "\"eth1\"", "test:3: node.interfaces: it cannot change while the daemon runs"),
        ("[node]", "[limits]\nflows = 7\n[node]", "test:2: limits: it cannot change"),
        ("\"10.0.0.12\"", "\"10.0.0.19\"", "is in `web` twice"),
        ("\"203.0.113.10\"", "\"10.0.0.19\"", "is a VIP of this node"),
    ] {
        let file = file_with(old, new);
        for answer in [state.plan(&file).map(drop), state.apply(file.clone()).map(drop)] {
            let Err(Rejection::Invalid(message)) = answer else { panic!("{answer:?}") };
            assert!(message.contains(reason), "{message}");
        }
    }
    let late = file_with("address = \"10.0.0.12\"", "address = \"10.0.0.12\"\nweight = 3");
    state.dataplane_mut().budget = Some(0);
    assert!(matches!(state.apply(late), Err(Rejection::Failed(_))));
    state.dataplane_mut().budget = None;
    assert!(state.sync().is_ok());
    assert_eq!((state.config.clone(), state.reconciler.actual().unwrap()), before);
    assert_eq!(state.file.text(), FILE);
}

#[test]
fn what_is_cut_is_said() {
    let mut state = fresh();
    for (old, new, cut) in [
        ("00112233", "ff112233", "all connections may change their backends"),
        ("1021", "2039", "the ring has another size"),
        ("port = 80", "port = 81", "service web: its connections end"),
        (
            "address = \"10.0.0.12\"",
            "address = \"10.0.0.12\"\nadmin = \"maintenance\"",
            "backend web/web2: its connections follow `on_down = \"rst\"`",
        ),
        ("\"10.0.0.12\"", "\"10.0.0.22\"", ""),
    ] {
        let plan = state.plan(&file_with(old, new)).unwrap();
        assert_eq!(plan.cut.is_empty(), cut.is_empty(), "{plan:?}");
        assert!(plan.cut.iter().all(|it| it.contains(cut)), "{plan:?}");
    }
    assert!(state.change(&Change::Maintenance { backend: "web2".into(), service: None }).is_ok());
    let line = |state: &State<Fake>| {
        let actual = state.reconciler.actual().unwrap();
        actual.pool(&config().services[0].key())[&SocketAddr::from((WEB2, 80)).into()].1.condition
    };
    assert_eq!(line(&state), lb_common::backend::Condition::DOWN);
    assert!(!state.targets().contains_key(&key(WEB2)), "it is not checked");
    assert!(state.change(&Change::Ready { backend: "web2".into(), service: None }).is_ok());
    assert_eq!(share(&state, WEB2), 0, "it has to prove itself");
}

#[test]
fn changes_are_written_into_the_file_that_was_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lb.toml");
    std::fs::write(&path, FILE).unwrap();
    let kept = directory.path().join("changes.json");
    let store = Store::new(kept.clone());
    let mut state = node(Fake::new(Limits::default()), store, &[WEB1, WEB2]);
    assert!(state.change(&drain("web2")).is_ok());
    assert!(kept.exists());
    assert_eq!(state.save(&path).unwrap().len(), 1);
    let says = file::load(&path).unwrap().config;
    assert_eq!((&says, state.diff()), (&state.config, Vec::new()));
    assert!(!kept.exists(), "nothing is left to be kept");

    std::fs::write(&path, FILE).unwrap();
    assert!(state.change(&drain("web1")).is_ok());
    let refused = state.save(&path);
    assert!(matches!(refused, Err(Rejection::Invalid(_))), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), FILE);
}

#[test]
fn a_drain_ends_at_its_deadline() {
    let mut state = fresh();
    found_up(&mut state);
    let drain = Change::Drain { backend: "web2".into(), service: None, deadline_seconds: Some(60) };
    assert!(state.change(&drain).is_ok());
    let now = unix_time();
    state.end_drains(now + 50);
    assert!(matches!(state.config.services[0].backends[1].admin, Admin::Drain { .. }));
    state.end_drains(now + 70);
    assert_eq!(state.config.services[0].backends[1].admin, Admin::Maintenance);
    assert!(!state.targets().contains_key(&key(WEB2)));
}

#[test]
fn what_is_left_of_a_drain_is_counted() {
    let mut state = fresh();
    found_up(&mut state);
    assert!(state.change(&drain("web2")).is_ok());
    let left = |state: &State<Fake>| {
        let service = &state.config.services[0];
        let actual = state.reconciler.actual().unwrap();
        let (place, _) = actual.pool(&service.key())[&SocketAddr::from((WEB2, 80)).into()];
        state.drain(service, &service.backends[1], Some(place)).unwrap().unwrap()
    };
    let window = u32::try_from(state.config.services[0].window.as_secs()).unwrap();
    assert_eq!((left(&state).connections, left(&state).silent_seconds), (0, window));
    for _ in 0..window + 200 {
        assert!(state.tick().is_ok());
    }
    assert!(left(&state).is_over());
}
