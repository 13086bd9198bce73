use super::*;
use crate::{api::types::Change, config::change};

/// Both forms of arrays, with comments in all places.
const FILE: &str = r#"# The site.
[node] # this machine
interfaces = ["eth0"]
seed = "00112233445566778899aabbccddeeff"

[[service]]
name = "web"   # port 80
vip = "203.0.113.10"
port = 80
forward = "l2"
backend = [
  { name = "web1", address = "10.0.0.11", admin = "drain" }, # the old one
  { name = "web2", address = "10.0.0.12" }, # the new one
]

[[service]]
name = "app"
vip = "203.0.113.11"
port = 80
forward = "nat"

# The first machine.
[[service.backend]]
name = "app1"
address = "10.0.1.11"
port = 8080

[[service.backend]]
name = "app2" # goes away
address = "10.0.1.12"
port = 8080

[service.check]
type = "tcp"

[[service]]
name = "empty"
vip = "203.0.113.12"
port = 80
forward = "nat"

# The shop.
[[proxy]]
name = "shop"
listen = ["10.0.0.2:8080"] # by the switch
backend = [
  { name = "shop1", address = "10.0.1.21:8080", backup = true }, # the spare
  { address = "unix:/run/shop.sock" },
]

[[proxy]]
name = "db"
listen = ["10.0.0.2:3306"]

# The first server.
[[proxy.backend]]
name = "db1"
address = "10.0.1.61:3306"
max_connections = 50 # as many as it has threads

[[proxy.backend]]
name = "db2" # goes away
address = "10.0.1.62:3306"

[[proxy]]
name = "none"
listen = ["10.0.0.2:81"]
"#;

const SAVED: &str = r#"# The site.
[node] # this machine
interfaces = ["eth0"]
seed = "00112233445566778899aabbccddeeff"

[[service]]
name = "web"   # port 80
vip = "203.0.113.10"
port = 80
forward = "l2"
backend = [
  { name = "web1", address = "10.0.0.11" }, # the old one
  { name = "web2", address = "10.0.0.12", weight = 5, admin = "drain" }, # the new one
  { name = "10.0.0.13", address = "10.0.0.13" },
]

[[service]]
name = "app"
vip = "203.0.113.11"
port = 80
forward = "nat"

# The first machine.
[[service.backend]]
name = "app1"
address = "10.0.1.11"
port = 8080
admin = "maintenance"

[[service.backend]]
name = "app3"
address = "10.0.1.13"
port = 8080
weight = 2

[service.check]
type = "tcp"

[[service]]
name = "empty"
vip = "203.0.113.12"
port = 80
forward = "nat"

[[service.backend]]
name = "one"
address = "10.0.2.11"

# The shop.
[[proxy]]
name = "shop"
listen = ["10.0.0.2:8080"] # by the switch
backend = [
  { name = "shop1", address = "10.0.1.21:8080", backup = true, weight = 3 }, # the spare
  { address = "unix:/run/shop.sock", admin = "drain" },
  { name = "10.0.1.23:8080", address = "10.0.1.23:8080" },
]

[[proxy]]
name = "db"
listen = ["10.0.0.2:3306"]

# The first server.
[[proxy.backend]]
name = "db1"
address = "10.0.1.61:3306"
max_connections = 50 # as many as it has threads
admin = "maintenance"

[[proxy.backend]]
name = "db3"
address = "10.0.1.63:3306"
weight = 2

[[proxy]]
name = "none"
listen = ["10.0.0.2:81"]

[[proxy.backend]]
name = "10.0.1.71:81"
address = "10.0.1.71:81"
"#;

fn add(service: &str, address: [u8; 4], port: Option<u16>, weight: Option<u16>) -> Change {
    let name = match service {
        "app" => Some("app3".to_owned()),
        "empty" => Some("one".to_owned()),
        "db" => Some("db3".to_owned()),
        _ => None,
    };
    Change::Add { service: service.into(), name, address: address.into(), port, weight }
}

#[test]
fn what_runs_is_written_and_all_else_stays() {
    let file = file::parse(FILE, "lb.toml").unwrap().config;
    let service = None;
    let orders = [
        Change::Ready { backend: "web1".into(), service: service.clone() },
        Change::Weight { backend: "web2".into(), service: service.clone(), weight: 5 },
        Change::Drain {
            backend: "web2".into(),
            service: service.clone(),
            deadline_seconds: Some(9),
        },
        add("web", [10, 0, 0, 13], None, None),
        Change::Maintenance { backend: "app1".into(), service: service.clone() },
        Change::Remove { backend: "app2".into(), service: service.clone() },
        add("app", [10, 0, 1, 13], Some(8080), Some(2)),
        add("empty", [10, 0, 2, 11], None, None),
        Change::Weight { backend: "shop1".into(), service: service.clone(), weight: 3 },
        Change::Drain {
            backend: "unix:/run/shop.sock".into(),
            service: service.clone(),
            deadline_seconds: Some(9),
        },
        add("shop", [10, 0, 1, 23], Some(8080), None),
        Change::Maintenance { backend: "db1".into(), service: service.clone() },
        Change::Remove { backend: "db2".into(), service },
        add("db", [10, 0, 1, 63], Some(3306), Some(2)),
        add("none", [10, 0, 1, 71], Some(81), None),
    ];
    let running = orders.iter().fold(file.clone(), |config, order| {
        change(&config, order, 1_800_000_000).unwrap().unwrap().0
    });
    let saved = save(FILE, "lb.toml", &file, &running).unwrap();
    assert_eq!(saved, SAVED);
    let again = file::parse(&saved, "lb.toml").unwrap().config;
    assert_eq!(save(&saved, "lb.toml", &again, &running).unwrap(), saved, "once is enough");
}

#[test]
fn another_file_is_refused() {
    let file = file::parse(FILE, "lb.toml").unwrap().config;
    let (running, _) =
        change(&file, &add("empty", [10, 0, 2, 11], None, None), 0).unwrap().unwrap();
    let short = FILE.split_once("[[service]]\nname = \"empty\"").unwrap().0;
    assert!(matches!(save(short, "lb.toml", &file, &running), Err(Unsaved::Other(_))));
    let denied = format!("{FILE}[firewall]\ndeny = ['192.0.2.0/24']\n");
    let error = save(&denied, "lb.toml", &file, &running).unwrap_err();
    assert!(error.to_string().contains("firewall.deny"), "{error}");
}
