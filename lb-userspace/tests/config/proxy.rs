//! Good proxies.
#![expect(clippy::expect_used, reason = "a test's helpers fail by panicking")]

use std::{path::PathBuf, time::Duration};

use lb_common::route::Prefix;
use lb_userspace::config::{
    Admin, CheckKind, Through,
    file::{self, Error, Loaded},
    proxy::{
        AcceptProxy, Backend, Balance, Eject, HeaderVersion, Monitor, MonitorTls, Mysql, OnDown,
        Place, Proxy, Queue, Role, Sockets, Timeouts,
    },
};

use crate::{NODE, PROXY};

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn load(pieces: &[&str]) -> Result<Loaded, Error> {
    file::parse(&[&[NODE], pieces].concat().concat(), "lb.toml")
}

fn one(pieces: &[&str]) -> Proxy {
    let text = pieces.concat();
    let mut proxies = load(pieces).map_err(|it| it.to_string()).expect(&text).config.proxies;
    proxies.remove(0)
}

fn at(text: &str) -> Place {
    text.parse().expect(text)
}

fn backend(name: &str, address: &str) -> Backend {
    Backend {
        name: name.into(),
        address: at(address),
        weight: 1,
        backup: false,
        max_connections: None,
        admin: Admin::Ready,
    }
}

fn short() -> Proxy {
    Proxy {
        name: "fwd".into(),
        listen: vec![at("10.0.0.2:8080")],
        balance: Balance::RoundRobin,
        max_connections: 10_000,
        queue: Queue { length: 1000, timeout: seconds(5) },
        timeouts: Timeouts {
            connect: seconds(5),
            client_idle: seconds(3600),
            backend_idle: seconds(3600),
            half_closed: seconds(30),
            session: None,
        },
        retries: 3,
        sockets: Sockets { nodelay: true, keepalive: None, source: Vec::new() },
        accept_proxy: None,
        send_proxy: None,
        on_down: OnDown::Keep,
        eject: Eject { failures: 3, hold: seconds(10), max_hold: seconds(300) },
        check: None,
        mysql: None,
        backends: Vec::new(),
    }
}

#[test]
fn defaults_are_those_of_the_documentation() {
    assert_eq!(one(&[PROXY]), short());
    let tables =
        "accept_proxy = { from = ['10.0.0.0/24'] }\nbackend = [{ address = '[::1]:80' }]\n";
    let prefix = Prefix::new([10, 0, 0, 0].into(), 24).expect("valid");
    let expected = Proxy {
        accept_proxy: Some(AcceptProxy { from: vec![prefix], timeout: seconds(3) }),
        backends: vec![backend("[::1]:80", "[::1]:80")],
        ..short()
    };
    assert_eq!(one(&[PROXY, tables]), expected);

    let check = one(&[PROXY, "check.type = 'udp'\n"]).check.expect("a check");
    assert_eq!((check.through, check.port, check.interval), (Through::Direct, None, seconds(1)));
    assert!(matches!(check.kind, CheckKind::Udp(_)));
}

#[test]
fn defaults_of_roles_are_those_of_the_documentation() {
    let role = |keys: &str| {
        let monitor = "[proxy.monitor]\nuser = 'lb'\n";
        one(&[PROXY, "protocol = 'mysql'\n", keys, monitor]).mysql.expect("roles")
    };
    let primary = Mysql {
        role: Role::Primary,
        fallback: false,
        monitor: Monitor {
            user: "lb".into(),
            password_file: None,
            tls: None,
            interval: seconds(1),
            timeout: Duration::from_millis(500),
            fall: 3,
        },
        promotion_wait: seconds(10),
        max_lag: None,
        lag_return: Duration::ZERO,
        close_lag: None,
    };
    assert_eq!(role("role = 'primary'\n"), primary);
    let replica = Mysql { role: Role::Replica, ..primary };
    assert_eq!(role("role = 'replica'\n"), replica);
    let half = Mysql { max_lag: Some(seconds(5)), lag_return: seconds(5) / 2, ..replica };
    assert_eq!(role("role = 'replica'\nmax_lag = '5s'\n"), half);
    assert_eq!(one(&[PROXY, "protocol = 'tcp'\n"]).mysql, None);
}

const EVERY_KEY: &str = "
[[proxy]]
name = 'db-read'
listen = ['10.0.0.2:3307', '[2001:db8::2]:3307', 'unix:/run/lb/db.sock']
balance = 'least-connections'
max_connections = 500
retries = 0
nodelay = false
keepalive = '1m'
source = ['10.0.0.2', '2001:db8::2']
send_proxy = 'v2'
on_down = 'close'
protocol = 'mysql'
role = 'replica'
fallback = true
promotion_wait = '20s'
max_lag = '5s'
lag_return = '1s'
close_lag = '1m'
[proxy.queue]
length = 0
timeout = '2s'
[proxy.timeout]
connect = '1s'
client = '10m'
backend = '20m'
half_closed = '5s'
session = '1day'
[proxy.accept_proxy]
from = ['10.0.0.0/24', '2001:db8::/64']
timeout = '1s'
[proxy.eject]
failures = 0
hold = '1s'
max_hold = '1s'
[proxy.check]
type = 'tcp'
[proxy.monitor]
user = 'lb'
password_file = '/etc/lb/pw'
tls = { verify = false, ca = '/etc/lb/ca.pem' }
interval = '200ms'
timeout = '100ms'
fall = 1
[[proxy.backend]]
name = 'db1'
address = '10.0.0.61:3306'
weight = 1000
backup = true
max_connections = 100
admin = 'drain'
[[proxy.backend]]
address = 'unix:/run/db.sock'
weight = 0
";

fn of_every_key() -> Proxy {
    let prefix = |ip: &str, length| Prefix::new(ip.parse().expect(ip), length).expect(ip);
    Proxy {
        name: "db-read".into(),
        listen: ["10.0.0.2:3307", "[2001:db8::2]:3307", "unix:/run/lb/db.sock"].map(at).into(),
        balance: Balance::LeastConnections,
        max_connections: 500,
        queue: Queue { length: 0, timeout: seconds(2) },
        timeouts: Timeouts {
            connect: seconds(1),
            client_idle: seconds(600),
            backend_idle: seconds(1200),
            half_closed: seconds(5),
            session: Some(seconds(86_400)),
        },
        retries: 0,
        sockets: Sockets {
            nodelay: false,
            keepalive: Some(seconds(60)),
            source: ["10.0.0.2", "2001:db8::2"].map(|it| it.parse().expect(it)).into(),
        },
        accept_proxy: Some(AcceptProxy {
            from: vec![prefix("10.0.0.0", 24), prefix("2001:db8::", 64)],
            timeout: seconds(1),
        }),
        send_proxy: Some(HeaderVersion::V2),
        on_down: OnDown::Close,
        eject: Eject { failures: 0, hold: seconds(1), max_hold: seconds(1) },
        check: None,
        mysql: Some(of_roles()),
        backends: vec![
            Backend {
                weight: 1000,
                backup: true,
                max_connections: Some(100),
                admin: Admin::DRAIN,
                ..backend("db1", "10.0.0.61:3306")
            },
            Backend { weight: 0, ..backend("unix:/run/db.sock", "unix:/run/db.sock") },
        ],
    }
}

fn of_roles() -> Mysql {
    Mysql {
        role: Role::Replica,
        fallback: true,
        monitor: Monitor {
            user: "lb".into(),
            password_file: Some(PathBuf::from("/etc/lb/pw")),
            tls: Some(MonitorTls { verify: false, ca: Some(PathBuf::from("/etc/lb/ca.pem")) }),
            interval: Duration::from_millis(200),
            timeout: Duration::from_millis(100),
            fall: 1,
        },
        promotion_wait: seconds(20),
        max_lag: Some(seconds(5)),
        lag_return: seconds(1),
        close_lag: Some(seconds(60)),
    }
}

#[test]
fn every_key_can_be_configured() {
    let read = one(&[EVERY_KEY]);
    assert!(read.check.as_ref().is_some_and(|check| check.kind == CheckKind::Tcp));
    let without_check = Proxy { check: None, ..read };
    assert_eq!(without_check, of_every_key());
    // Another process gets them as JSON, but for the check.
    let json = serde_json::to_string(&without_check).expect("JSON");
    assert_eq!(serde_json::from_str::<Proxy>(&json).expect(&json), without_check);
}

#[test]
fn balances_and_headers_have_names() {
    for (name, balance) in [
        ("round-robin", Balance::RoundRobin),
        ("least-connections", Balance::LeastConnections),
        ("random-two", Balance::RandomTwo),
        ("source", Balance::Source),
        ("hash", Balance::Hash),
    ] {
        assert_eq!(one(&[PROXY, &format!("balance = '{name}'\n")]).balance, balance);
    }
    assert_eq!(one(&[PROXY, "send_proxy = 'v1'\n"]).send_proxy, Some(HeaderVersion::V1));
}

#[test]
fn listeners_of_a_port_may_be_at_several_addresses() {
    let text = "[[proxy]]\nname = 'a'\nlisten = ['127.0.0.1:80', '[::1]:80', '0.0.0.0:81']\n\
                backend = [{ address = '127.0.0.1:8080' }, { address = '10.0.0.9:81' }]\n\
                [[proxy]]\nname = 'b'\nlisten = ['127.0.0.2:80', '[::]:81', 'unix:/run/b']\n\
                backend = [{ address = '127.0.0.1:80' }]\n";
    assert_eq!(load(&[text]).map_err(|it| it.to_string()).expect("valid").warnings, []);
}

#[test]
fn what_is_probably_not_meant_is_warned_of() {
    let loaded = load(&[PROXY]).expect("valid");
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    let expected = "lb.toml:4: proxy[0]: `fwd` has no backends: its sessions are refused; add \
                    [[proxy.backend]] tables, or use `lb backend add`";
    assert_eq!(warnings, [expected]);
}
