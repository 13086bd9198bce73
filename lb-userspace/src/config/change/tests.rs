mod proxy;

use super::*;
use crate::config::file;

const NOW: u64 = 1_800_000_000;

fn change(config: &Config, order: &Change) -> Result<Option<(Config, Vec<String>)>, Rejection> {
    super::change(config, order, NOW)
}

fn config() -> Config {
    file::embedded().unwrap().config
}

fn add(service: &str, address: &str) -> Change {
    let (name, port, weight) = (None, None, None);
    Change::Add { service: service.into(), name, address: address.parse().unwrap(), port, weight }
}

fn weight(backend: &str, service: Option<&str>, weight: u16) -> Change {
    Change::Weight { backend: backend.into(), service: service.map(Into::into), weight }
}

#[test]
fn a_backend_is_added_with_defaults_once() {
    let (after, touched) = change(&config(), &add("web", "10.0.0.14")).unwrap().unwrap();
    assert_eq!(touched, ["web"]);
    let new = Backend {
        name: "10.0.0.14".into(),
        address: [10, 0, 0, 14].into(),
        port: 80,
        weight: 1,
        admin: Admin::Ready,
    };
    assert_eq!(after.services[0].backends.last(), Some(&new));
    let mut expected = config();
    expected.services[0].backends.push(new);
    assert_eq!(after, expected, "nothing else changes");
    assert_eq!(change(&after, &add("web", "10.0.0.14")), Ok(None));
}

#[test]
fn a_change_touches_all_services_of_a_name_or_one() {
    let (after, touched) = change(&config(), &weight("web2", None, 5)).unwrap().unwrap();
    assert_eq!(touched, ["web", "web6", "app", "app6"]);
    assert!(after.services.iter().all(|service| service.backends[1].weight == 5));
    let (_, touched) = change(&after, &weight("web2", Some("app"), 7)).unwrap().unwrap();
    assert_eq!(touched, ["app"]);
    assert_eq!(change(&after, &weight("web2", None, 5)), Ok(None));

    let remove = Change::Remove { backend: "web1".into(), service: Some("web6".into()) };
    let (after, touched) = change(&config(), &remove).unwrap().unwrap();
    assert_eq!(touched, ["web6"]);
    let counts: Vec<_> = after.services.iter().map(|it| it.backends.len()).collect();
    assert_eq!(counts, [3, 2, 3, 3]);
}

#[test]
fn an_operator_has_a_backend_in_one_of_three_states() {
    let (backend, service) = (String::from("web1"), Some(String::from("web")));
    let orders = |backend: String, service: Option<String>| {
        let drain = |deadline_seconds| {
            let (backend, service) = (backend.clone(), service.clone());
            Change::Drain { backend, service, deadline_seconds }
        };
        [
            (drain(None), Admin::DRAIN),
            (drain(Some(600)), Admin::Drain { until: Some(NOW + 600) }),
            (
                Change::Maintenance { backend: backend.clone(), service: service.clone() },
                Admin::Maintenance,
            ),
            (Change::Ready { backend, service }, Admin::Ready),
        ]
    };
    let mut config = config();
    for (order, admin) in orders(backend, service) {
        let (after, touched) = change(&config, &order).unwrap().unwrap();
        assert_eq!((&*touched, after.services[0].backends[0].admin), (&["web".into()][..], admin));
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
        invalid(&add("web", "fd00::99")),
        "fd00::99 in web: fd00::99 of backend `fd00::99` is IPv6, but the VIP 10.0.0.10 is IPv4; use the \
         backend's IPv4 address, make a service with an IPv6 VIP, or set `forward = \"ipip\"` or \
         \"gue\""
    );
    assert_eq!(
        invalid(&weight("web1", None, 1001)),
        "web1 in web, web6, app, app6: 1001 is not a weight; use 0 to 1000"
    );
    assert_eq!(
        invalid(&add("app", "10.0.0.20")),
        "10.0.0.20 in app: 10.0.0.20 of backend `10.0.0.20` is a VIP of this node; use the \
         backend's own address"
    );
    assert_eq!(
        invalid(&add("web", "10.0.0.11")),
        "10.0.0.11 port 80 is in `web` twice, as `web1` and as `10.0.0.11`; remove one, and \
         use `weight` for a larger share"
    );
    let one_left = ["web2", "web3"]
        .iter()
        .fold(config(), |config, name| change(&config, &weight(name, None, 0)).unwrap().unwrap().0);
    let last = Change::Remove { backend: "web1".into(), service: Some("web".into()) };
    assert!(matches!(change(&one_left, &last), Err(Rejection::Invalid(_))));
}

#[test]
fn unknown_names_are_answered_with_the_known() {
    let drain = |backend: &str, service: Option<&str>| {
        let (backend, service) = (backend.into(), service.map(Into::into));
        change(&config(), &Change::Drain { backend, service, deadline_seconds: None })
    };
    let not_found = |text: &str| Err(Rejection::NotFound(text.into()));
    assert_eq!(
        drain("web9", Some("app")),
        not_found("there is no backend `web9` in `app`; the backends are: web1, web2, web3")
    );
    assert_eq!(
        drain("web1", Some("wbe")),
        not_found("there is no service `wbe`; the services are: app, app6, web, web6")
    );
}
