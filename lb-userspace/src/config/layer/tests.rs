use proptest::{prelude::*, sample::select};

use super::*;
use crate::{
    api::types::Change,
    config::{Backend, change, file, proxy, proxy::Proxy},
};

/// The demo site, and a proxy before its servers.
fn config() -> Config {
    let mut config = file::embedded().unwrap().config;
    config.proxies.push(shop());
    config
}

fn shop() -> Proxy {
    let text = "[node]\ninterfaces = ['eth0']\n[[proxy]]\nname = 'shop'\nlisten = ['10.0.0.2:8080']\n\
                backend = [{ name = 'web1', address = '10.0.0.11:8080' },\n\
                { name = 'web2', address = 'unix:/run/web2', backup = true }]\n";
    file::parse(text, "test").unwrap().config.proxies.remove(0)
}

fn after(config: &Config, orders: &[Change]) -> Config {
    orders.iter().fold(config.clone(), |config, order| {
        // An order that is refused changes nothing.
        change(&config, order, 1_800_000_000).ok().flatten().map_or(config, |(config, _)| config)
    })
}

fn order() -> impl Strategy<Value = Change> {
    let service = || select(vec!["web", "app", "shop"]);
    let backend = || select(vec!["web1", "web2", "web3", "10.0.0.99", "extra"]);
    let address = select(vec![[10, 0, 0, 11], [10, 0, 0, 98], [10, 0, 0, 99]]);
    let target = || (service(), backend()).prop_map(|(s, b)| (Some(s.to_owned()), b.to_owned()));
    prop_oneof![
        (service(), proptest::option::of(Just("extra".to_owned())), address, any::<bool>())
            .prop_map(|(service, name, address, heavy)| Change::Add {
                service: service.into(),
                name,
                address: address.into(),
                port: (service == "shop").then_some(8080),
                weight: heavy.then_some(5),
            }),
        target().prop_map(|(service, backend)| Change::Remove { backend, service }),
        (target(), 0u16..4).prop_map(|((service, backend), weight)| Change::Weight {
            backend,
            service,
            weight
        }),
        (target(), proptest::option::of(1u64..100)).prop_map(
            |((service, backend), deadline_seconds)| Change::Drain {
                backend,
                service,
                deadline_seconds
            }
        ),
        target().prop_map(|(service, backend)| Change::Maintenance { backend, service }),
        target().prop_map(|(service, backend)| Change::Ready { backend, service }),
    ]
}

/// Pools have no order.
fn sorted(mut config: Config) -> Config {
    for service in &mut config.services {
        service.backends.sort_by(|a, b| a.name.cmp(&b.name));
    }
    for proxy in &mut config.proxies {
        proxy.backends.sort_by(|a, b| a.name.cmp(&b.name));
    }
    config
}

proptest! {
    #[test]
    fn a_layer_over_its_file_is_what_ran(orders in prop::collection::vec(order(), 0..12)) {
        let file = config();
        let running = after(&file, &orders);
        let layer = Layer::between(&file, &running);
        let written = serde_json::to_string(&layer).unwrap();
        let read: Layer = serde_json::from_str(&written).unwrap();
        let (again, lost) = read.over(&file);
        prop_assert_eq!(sorted(again), sorted(running));
        prop_assert!(lost.is_empty(), "{:?}", lost);
    }
}

fn drain(backend: &str) -> Change {
    Change::Drain { backend: backend.into(), service: Some("web".into()), deadline_seconds: None }
}

#[test]
fn it_lies_over_a_new_file_as_far_as_that_has_its_objects() {
    let add = |address: [u8; 4], name: &str| Change::Add {
        service: "web".into(),
        name: Some(name.into()),
        address: address.into(),
        port: None,
        weight: None,
    };
    let orders = [
        drain("web1"),
        Change::Weight { backend: "web2".into(), service: Some("web".into()), weight: 7 },
        Change::Remove { backend: "web3".into(), service: Some("app".into()) },
        add([10, 0, 0, 98], "web4"),
        drain("web4"),
        add([10, 0, 0, 99], "web5"),
    ];
    let old = config();
    let layer = Layer::between(&old, &after(&old, &orders));

    let mut new = config();
    // The file has taken web4 over, has another web5, and has no web2 and no `app` any more.
    let twin = |name: &str, host| Backend {
        name: name.into(),
        address: [10, 0, 0, host].into(),
        ..new.services[0].backends[0].clone()
    };
    let (web4, web5) = (twin("web4", 98), twin("web5", 97));
    new.services[0].backends.extend([web4, web5]);
    drop(new.services[0].backends.remove(1));
    drop(new.services.remove(2));
    let (running, lost) = layer.over(&new);
    let pool: Vec<_> =
        running.services[0].backends.iter().map(|it| (&*it.name, it.weight, it.admin)).collect();
    let expected = [
        ("web1", 1, Admin::DRAIN),
        ("web3", 1, Admin::Ready),
        ("web4", 1, Admin::DRAIN),
        ("web5", 1, Admin::Ready),
    ];
    assert_eq!(pool, expected);
    let expected = [
        "web/web2, changed, is forgotten: the file has no such backend",
        "web/web5, added, is forgotten: the file has another backend of that name",
        "app/web3, removed, is forgotten: the file has no such service or proxy",
    ];
    assert_eq!(lost, expected);
}

#[test]
fn it_lies_over_a_new_file_as_far_as_that_has_its_proxies() {
    let service = || Some("shop".to_owned());
    let add = |host, port| Change::Add {
        service: "shop".into(),
        name: None,
        address: [10, 0, 0, host].into(),
        port: Some(port),
        weight: None,
    };
    let orders = [
        Change::Weight { backend: "web1".into(), service: service(), weight: 7 },
        Change::Remove { backend: "web2".into(), service: service() },
        add(98, 8080),
        add(99, 8080),
        Change::Maintenance { backend: "10.0.0.99:8080".into(), service: service() },
    ];
    let old = config();
    let layer = Layer::between(&old, &after(&old, &orders));

    // The file has taken a backend over, as a backup, and has a new one.
    let mut new = config();
    let mut taken = proxy_backend("10.0.0.98:8080");
    taken.backup = true;
    new.proxies[0].backends.extend([taken, proxy_backend("10.0.0.97:8080")]);
    let (running, lost) = layer.over(&new);
    let pool = running.proxies[0].backends.iter();
    let pool: Vec<_> = pool.map(|it| (&*it.name, it.weight, it.backup, it.admin)).collect();
    let expected = [
        ("web1", 7, false, Admin::Ready),
        ("10.0.0.98:8080", 1, true, Admin::Ready),
        ("10.0.0.97:8080", 1, false, Admin::Ready),
        ("10.0.0.99:8080", 1, false, Admin::Maintenance),
    ];
    assert_eq!((pool, lost), (expected.to_vec(), Vec::new()));

    // It has a service of that name.
    let mut new = config();
    drop(new.proxies.remove(0));
    new.services[0].name = "shop".into();
    new.services[0].backends.retain(|it| it.name != "web1");
    let (_, lost) = layer.over(&new);
    let expected = [
        "shop/web1, changed, is forgotten: the file has no such backend",
        "shop/10.0.0.98:8080, added, is forgotten: the file has a pool of another kind",
        "shop/10.0.0.99:8080, added, is forgotten: the file has a pool of another kind",
    ];
    assert_eq!(lost, expected);
    drop(new.services.remove(0));
    let (_, lost) = layer.over(&new);
    assert!(
        lost.iter().all(|it| it.ends_with("the file has no such service or proxy")),
        "{lost:?}"
    );
}

fn proxy_backend(address: &str) -> proxy::Backend {
    let (name, address) = (address.to_owned(), address.parse().unwrap());
    let (max_connections, admin) = (None, Admin::Ready);
    proxy::Backend { name, address, weight: 1, backup: false, max_connections, admin }
}
