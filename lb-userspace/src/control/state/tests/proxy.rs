//! Proxies beside the services.

use std::collections::BTreeMap;

use super::*;
use crate::{
    api::types::{At, Health},
    config::proxy::{HeaderVersion, Place},
    proxy,
};

/// A checked proxy with two backends and a backup, and one without a check.
const PROXIES: &str = r#"
        [[proxy]]
        name = "shop"
        listen = ["10.0.0.2:8080"]
        on_down = "close"
        send_proxy = "v2"
        check = { type = "tcp", slow_start = "10s" }
        backend = [
            { name = "shop1", address = "10.0.0.21:8080" },
            { name = "shop2", address = "unix:/run/shop2.sock" },
            { name = "spare", address = "10.0.0.23:8080", backup = true },
        ]
        [[proxy]]
        name = "mail"
        listen = ["10.0.0.2:25"]
        backend = [{ name = "mail1", address = "10.0.0.31:25" }]
    "#;

fn text() -> String {
    format!("{FILE}{PROXIES}")
}

fn started(store: Store) -> State<Fake> {
    let hops = topology(&[WEB1, WEB2]);
    let mut state = State::new(loaded(&text()), store, hops, Fake::new(Limits::default())).unwrap();
    assert!(state.sync().is_ok());
    state
}

fn key_of(proxy: &str, place: &str) -> TargetKey {
    TargetKey::Proxy { proxy: proxy.into(), backend: place.parse().unwrap() }
}

const SHOP1: &str = "10.0.0.21:8080";
const SHOP2: &str = "unix:/run/shop2.sock";
const SPARE: &str = "10.0.0.23:8080";

/// The shop's backends as they are found; the service's are up.
fn see(state: &mut State<Fake>, found: &[(&str, Finding)]) {
    let found = found.iter().map(|(place, it)| (key_of("shop", place), it.clone()));
    let services = [WEB1, WEB2].map(|it| (key(it), finding(true)));
    state.see_health(Arc::new(found.chain(services).collect()));
    assert!(state.sync().is_ok());
}

fn states(state: &State<Fake>, proxy: &str) -> BTreeMap<String, proxy::State> {
    let mut orders = state.forwarding().into_iter();
    orders.find(|it| it.settings.name == proxy).unwrap().states
}

fn is(up: bool, parts: u8) -> proxy::State {
    proxy::State { up, parts, ..proxy::State::default() }
}

const FULL: u8 = health::FULL;

#[test]
fn orders_say_what_is_configured_and_found() {
    let mut state = started(Store::default());
    let orders = state.forwarding();
    let names: Vec<_> = orders.iter().map(|it| it.settings.name.as_str()).collect();
    assert_eq!(names, ["shop", "mail"]);
    assert_eq!(orders.iter().map(|it| it.hold).collect::<Vec<_>>(), [None, None]);
    let all = |up| ["shop1", "shop2", "spare"].map(|it| (it.to_owned(), is(up, FULL))).into();
    assert_eq!(states(&state, "shop"), all(true), "until the checks say otherwise");
    assert_eq!(states(&state, "mail"), [("mail1".to_owned(), is(true, FULL))].into());

    let risen = Finding { parts: 3, ..finding(true) };
    see(&mut state, &[(SHOP1, finding(false)), (SHOP2, risen), (SPARE, finding(true))]);
    let expected = [("shop1", is(false, FULL)), ("shop2", is(true, 3)), ("spare", is(true, FULL))];
    assert_eq!(states(&state, "shop"), expected.map(|(name, it)| (name.to_owned(), it)).into());
}

#[test]
fn an_order_is_the_same_in_another_process() {
    let mut state = started(Store::default());
    see(&mut state, &[(SHOP1, finding(false))]);
    let orders = state.forwarding();
    let json = serde_json::to_string(&orders).unwrap();
    assert_eq!(serde_json::from_str::<Vec<proxy::Order>>(&json).unwrap(), orders);
    assert!(orders.iter().all(|it| it.settings.check.is_none()), "checks are not its business");
}

#[test]
fn backends_are_checked_at_their_own_places_and_with_a_header() {
    let state = started(Store::default());
    let targets = state.targets();
    let target = &targets[&key_of("shop", SHOP2)];
    assert_eq!(target.names, ("shop".into(), "shop2".into()));
    assert_eq!((target.alias, target.header), (None, Some(HeaderVersion::V2)));
    assert!(target.initially_up);
    assert!(!targets.contains_key(&key_of("mail", "10.0.0.31:25")), "it has no check");
    assert_eq!(targets.len(), 5, "the service's as well");
    assert_eq!(targets[&key(WEB1)].header, None);

    let tcp_only = text().replace(&format!("{SHOP2}\""), "10.0.0.22:8080\"");
    let other_port = tcp_only.replace("slow_start = \"10s\"", "port = 81");
    let mut state = started(Store::default());
    assert!(state.apply(loaded(&other_port)).is_ok());
    assert_eq!(state.targets()[&key_of("shop", SHOP1)].header, None, "nobody expects it there");
}

#[test]
fn what_is_added_proves_itself_first() {
    let mut state = started(Store::default());
    let add = |service: &str| Change::Add {
        service: service.into(),
        name: Some("new".into()),
        address: [10, 0, 0, 29].into(),
        port: Some(8080),
        weight: Some(5),
    };
    let changed = state.change(&add("shop")).unwrap();
    let expected = Changed { backend: "new".into(), services: vec!["shop".into()], slots_moved: 0 };
    assert_eq!(changed, expected);
    assert_eq!(states(&state, "shop")["new"], is(false, FULL));
    see(&mut state, &[("10.0.0.29:8080", Finding { parts: 1, ..finding(true) })]);
    assert_eq!(states(&state, "shop")["new"], is(true, 1));
    let order = state.forwarding().remove(0);
    let new = order.settings.backends.last().unwrap();
    assert_eq!((new.weight, &new.address), (5, &"10.0.0.29:8080".parse::<Place>().unwrap()));

    assert!(state.change(&add("mail")).is_ok());
    assert_eq!(states(&state, "mail")["new"], is(true, FULL), "nobody checks it");
}

#[test]
fn where_checks_begin_what_served_goes_on() {
    let mut state = started(Store::default());
    let listen = "listen = [\"10.0.0.2:25\"]";
    let checked = text().replace(listen, &format!("{listen}\ncheck = {{ type = \"tcp\" }}"));
    assert!(state.apply(loaded(&checked)).is_ok());
    assert_eq!(states(&state, "mail")["mail1"], is(true, FULL));
    assert!(state.targets()[&key_of("mail", "10.0.0.31:25")].initially_up);
}

#[test]
fn health_is_told_with_the_proxys_name() {
    let (mut state, mut since) = (started(Store::default()), 0);
    see(&mut state, &[(SHOP1, finding(false))]);
    assert_eq!(told(&mut state, &mut since), ["down shop/shop1"]);
    see(&mut state, &[(SHOP1, finding(true))]);
    assert_eq!(told(&mut state, &mut since), ["up shop/shop1"]);
}

#[test]
fn changes_are_kept_and_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::new(directory.path().join("changes.json"));
    let mut state = started(store.clone());
    let service = Some("shop".to_owned());
    for change in [
        Change::Weight { backend: "shop1".into(), service: service.clone(), weight: 9 },
        Change::Maintenance { backend: "shop2".into(), service: service.clone() },
        Change::Remove { backend: "spare".into(), service: service.clone() },
        Change::Drain { backend: "mail1".into(), service: None, deadline_seconds: None },
        Change::Add {
            service: "shop".into(),
            name: None,
            address: [10, 0, 0, 29].into(),
            port: Some(8080),
            weight: None,
        },
    ] {
        assert!(state.change(&change).is_ok(), "{change:?}");
    }
    assert!(!state.targets().contains_key(&key_of("shop", SHOP2)), "it is not checked");
    let settings = |state: &State<Fake>| {
        state.forwarding().into_iter().map(|order| order.settings).collect::<Vec<_>>()
    };
    let restarted = started(store);
    assert_eq!(restarted.complaint, None);
    assert_eq!(settings(&restarted), settings(&state));
    let shop = &restarted.config.proxies[0].backends;
    let shop: Vec<_> = shop.iter().map(|it| (it.name.as_str(), it.weight, it.admin)).collect();
    let expected = [
        ("shop1", 9, Admin::Ready),
        ("shop2", 1, Admin::Maintenance),
        ("10.0.0.29:8080", 1, Admin::Ready),
    ];
    assert_eq!(shop, expected);
    assert_eq!(restarted.config.proxies[1].backends[0].admin, Admin::DRAIN);
}

#[test]
fn a_drain_ends_at_its_deadline() {
    let (mut state, mut since) = (started(Store::default()), 0);
    let drain =
        Change::Drain { backend: "shop1".into(), service: None, deadline_seconds: Some(60) };
    assert!(state.change(&drain).is_ok());
    let admin = |state: &State<Fake>| state.forwarding()[0].settings.backends[0].admin;
    let now = unix_time();
    state.end_drains(now + 50);
    assert!(matches!(admin(&state), Admin::Drain { .. }));
    state.end_drains(now + 70);
    assert_eq!(admin(&state), Admin::Maintenance);
    assert_eq!(told(&mut state, &mut since), ["maintenance shop/shop1"]);
}

#[test]
fn sessions_that_are_cut_are_said() {
    let state = started(Store::default());
    let cut = |old: &str, new: &str| {
        assert!(text().contains(old), "{old}");
        state.plan(&loaded(&text().replace(old, new))).unwrap().cut
    };
    let reset = ["backend shop/shop1: its sessions are reset, by `on_down = \"close\"`"];
    assert_eq!(cut("10.0.0.21:8080\"", "10.0.0.22:8080\""), reset);
    assert_eq!(cut("10.0.0.21:8080\"", "10.0.0.21:8080\", admin = \"maintenance\""), reset);
    let none = [""; 0];
    assert_eq!(cut("10.0.0.21:8080\"", "10.0.0.21:8080\", admin = \"drain\""), none);
    assert_eq!(cut("name = \"shop\"", "name = \"other\""), none, "they go on");
    assert_eq!(cut("10.0.0.31:25", "10.0.0.32:25"), none, "`on_down` keeps them");
}

#[test]
fn backends_are_shown_beside_the_services() {
    let mut state = started(Store::default());
    let shown = |state: &State<Fake>| {
        let backends = state.backends().unwrap().into_iter().filter(|it| it.proxy);
        let shown = backends.map(|it| {
            (format!("{}/{}", it.service, it.name), it.at.to_string(), it.health, it.share)
        });
        shown.collect::<Vec<_>>()
    };
    let row = |name: &str, at: &str, health, share| (name.to_owned(), at.to_owned(), health, share);
    let expected = [
        row("shop/shop1", SHOP1, Health::Up, 0.5),
        row("shop/shop2", SHOP2, Health::Up, 0.5),
        row("shop/spare", SPARE, Health::Up, 0.0),
        row("mail/mail1", "10.0.0.31:25", Health::Unchecked, 1.0),
    ];
    assert_eq!(shown(&state), expected);
    assert_eq!(state.backends().unwrap().len(), 6);
    assert_eq!(state.services().unwrap().len(), 1);

    see(&mut state, &[(SHOP1, finding(false)), (SHOP2, finding(false)), (SPARE, finding(true))]);
    let found: Vec<_> =
        shown(&state).into_iter().map(|(.., health, share)| (health, share)).collect();
    let expected = [(Health::Down, 0.0), (Health::Down, 0.0), (Health::Up, 1.0)];
    assert_eq!(found[..3], expected);
    see(&mut state, &[(SHOP1, finding(false)), (SHOP2, finding(false)), (SPARE, finding(false))]);
    let problems = state.problems().unwrap();
    assert!(problems.contains(&"proxy shop: no backend is usable".to_owned()), "{problems:?}");
    assert!(problems.contains(&"backend shop/shop1 is down: by the test".to_owned()));

    let json = serde_json::to_value(state.backends().unwrap()).unwrap();
    assert_eq!(json[3]["path"], "/run/shop2.sock");
    assert_eq!((&json[2]["address"], &json[2]["port"]), (&"10.0.0.21".into(), &8080.into()));
    let back: Vec<crate::api::types::Backend> = serde_json::from_value(json).unwrap();
    assert_eq!(back[3].at, At::Socket { path: "/run/shop2.sock".into() });
}
