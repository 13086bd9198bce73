//! Changes of proxies' pools.

use super::*;
use crate::config::proxy::{Backend, Place};

/// `one` is in both pools.
const FILE: &str = "
[node]
interfaces = ['eth0']
seed = '00112233445566778899aabbccddeeff'
[[service]]
name = 'web'
vip = '203.0.113.10'
port = 80
forward = 'nat'
backend = [{ name = 'one', address = '10.0.0.21' }, { name = 'two', address = '10.0.0.22' }]
[[proxy]]
name = 'shop'
listen = ['10.0.0.2:8080']
backend = [{ name = 'one', address = '10.0.0.21:8080' }, { name = 'sock', address = 'unix:/run/a' }]
";

fn config() -> Config {
    file::parse(FILE, "test").unwrap().config
}

fn add(port: Option<u16>) -> Change {
    let (service, address) = ("shop".into(), [10, 0, 0, 23].into());
    Change::Add { service, name: None, address, port, weight: Some(7) }
}

fn place(text: &str) -> Place {
    text.parse().unwrap()
}

#[test]
fn a_backend_is_added_with_its_port_once() {
    let (after, touched) = change(&config(), &add(Some(8080))).unwrap().unwrap();
    assert_eq!(touched, ["shop"]);
    let new = Backend {
        name: "10.0.0.23:8080".into(),
        address: place("10.0.0.23:8080"),
        weight: 7,
        backup: false,
        max_connections: None,
        admin: Admin::Ready,
    };
    let mut expected = config();
    expected.proxies[0].backends.push(new);
    assert_eq!(after, expected, "nothing else changes");
    assert_eq!(change(&after, &add(Some(8080))), Ok(None));
    let text = "10.0.0.23 has no port, and `shop` is a proxy: add --port";
    assert_eq!(change(&config(), &add(None)), Err(Rejection::Invalid(text.into())));
}

#[test]
fn a_name_stands_for_services_and_proxies_backends() {
    let (after, touched) = change(&config(), &weight("one", None, 5)).unwrap().unwrap();
    assert_eq!(touched, ["web", "shop"]);
    assert_eq!((after.services[0].backends[0].weight, after.proxies[0].backends[0].weight), (5, 5));
    let (after, touched) = change(&after, &weight("one", Some("shop"), 6)).unwrap().unwrap();
    assert_eq!(touched, ["shop"]);
    assert_eq!((after.services[0].backends[0].weight, after.proxies[0].backends[0].weight), (5, 6));

    let remove = Change::Remove { backend: "one".into(), service: Some("shop".into()) };
    let (after, touched) = change(&config(), &remove).unwrap().unwrap();
    assert_eq!(touched, ["shop"]);
    let left: Vec<_> = after.proxies[0].backends.iter().map(|it| it.name.as_str()).collect();
    assert_eq!((left, after.services), (vec!["sock"], config().services));
}

#[test]
fn an_operator_has_a_backend_in_one_of_three_states() {
    let (backend, service) = (String::from("sock"), None::<String>);
    let drain = Change::Drain {
        backend: backend.clone(),
        service: service.clone(),
        deadline_seconds: Some(600),
    };
    let maintenance = Change::Maintenance { backend: backend.clone(), service: service.clone() };
    let ready = Change::Ready { backend, service };
    let mut config = config();
    for (order, admin) in [
        (drain, Admin::Drain { until: Some(NOW + 600) }),
        (maintenance, Admin::Maintenance),
        (ready, Admin::Ready),
    ] {
        let (after, touched) = change(&config, &order).unwrap().unwrap();
        assert_eq!((&*touched, after.proxies[0].backends[1].admin), (&["shop".into()][..], admin));
        assert_eq!(change(&after, &order), Ok(None), "once");
        config = after;
    }
}

#[test]
fn what_breaks_a_rule_is_invalid() {
    let invalid = |order: &Change| match change(&config(), order) {
        Err(Rejection::Invalid(message)) => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        invalid(&weight("one", None, 1001)),
        "one in web, shop: 1001 is not a weight; use 0 to 1000"
    );
    let mut twin = add(Some(8080));
    if let Change::Add { address, .. } = &mut twin {
        *address = [10, 0, 0, 21].into();
    }
    assert_eq!(
        invalid(&twin),
        "10.0.0.21:8080 is in `shop` twice, as `one` and as `10.0.0.21:8080`; remove one, and use \
         `weight` for a larger share"
    );
    assert_eq!(invalid(&add(Some(0))), "10.0.0.23:0 in shop: 0 is not a port; use 1 to 65535");
    let (one_left, _) = change(&config(), &weight("sock", None, 0)).unwrap().unwrap();
    let last = change(&one_left, &weight("one", Some("shop"), 0));
    assert!(matches!(last, Err(Rejection::Invalid(_))), "{last:?}");
}

#[test]
fn unknown_names_are_answered_with_the_known() {
    let not_found = |text: &str| Err(Rejection::NotFound(text.into()));
    assert_eq!(
        change(&config(), &weight("one", Some("shpo"), 1)),
        not_found("there is no service or proxy `shpo`; the services and proxies are: shop, web")
    );
    assert_eq!(
        change(&config(), &weight("two", Some("shop"), 1)),
        not_found("there is no backend `two` in `shop`; the backends are: one, sock")
    );
    assert_eq!(
        change(&config(), &weight("three", None, 1)),
        not_found("there is no backend `three`; the backends are: one, sock, two")
    );
}
