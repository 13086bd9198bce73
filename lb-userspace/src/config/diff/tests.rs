use super::*;
use crate::config::file;

const OLD: &str = r#"
[node]
interfaces = ["eth0"]
seed = "00112233445566778899aabbccddeeff"
[firewall]
deny = ["192.0.2.0/24", "2001:db8::/32"]
[[service]]
name = "web"
vip = "203.0.113.10"
port = 80
forward = "l2"
backend = [{ name = "web1", address = "10.0.0.11" }, { name = "web2", address = "10.0.0.12" }]
[[service]]
name = "old"
vip = "203.0.113.11"
port = "8000-8100"
forward = "l2"
backend = [{ name = "one", address = "10.0.0.13" }]
[[vrrp]]
name = "same"
interface = "eth0"
id = 50
addresses = ["203.0.113.9"]
[[vrrp]]
name = "out"
interface = "eth0"
id = 51
addresses = ["203.0.113.10/24", "203.0.113.11"]
[[vrrp]]
name = "off"
interface = "eth0"
id = 52
addresses = ["203.0.113.12"]
[[route]]
name = "gone"
addresses = ["203.0.113.13"]
[[route]]
name = "stays"
addresses = ["203.0.113.14"]
[[proxy]]
name = "closed"
listen = ["10.0.0.2:81"]
backend = [{ address = "10.0.0.31:80" }]
[[proxy]]
name = "shop"
listen = ["10.0.0.2:8080"]
backend = [{ name = "a", address = "10.0.0.31:80" }, { name = "b", address = "unix:/run/b" }]
[[proxy]]
name = "still"
listen = ["10.0.0.2:82"]
backend = [{ name = "a", address = "10.0.0.31:80" }]
"#;

const NEW: &str = r#"
[node]
interfaces = ["eth1"]
proxy_threads = 4
proxy_busy_poll = "0us"
proxy_drain = "1h"
seed = "ff112233445566778899aabbccddeeff"
tunnel_source = ["10.0.0.64/26"]
[limits]
flows = 1000
[answers]
echo = 0
[firewall]
deny = ["192.0.2.0/24", "198.51.100.7/32"]
[[service]]
name = "web"
vip = "203.0.113.10"
port = 443
forward = "ipip"
ring_size = 1021
window = "10m"
panic = "30%"
sorry = { address = "10.0.0.99" }
check = { type = "tcp" }
backend = [
  { name = "web2", address = "10.0.0.22", weight = 3, admin = "drain" },
  { name = "web3", address = "10.0.0.13", admin = "maintenance" },
]
[[service]]
name = "dns"
vip = "2001:db8::10"
protocol = "udp"
port = 53
forward = "l2"
[[vrrp]]
name = "on"
interface = "eth1"
id = 51
priority = 200
addresses = ["2001:db8::10/64", "2001:db8::11"]
[[vrrp]]
name = "out"
interface = "eth0"
id = 51
addresses = ["203.0.113.10/24"]
preempt = false
checksum = "plain"
announce.copies = 1
[[vrrp.track]]
interface = "eth1"
[[vrrp]]
name = "same"
interface = "eth0"
id = 50
addresses = ["203.0.113.9"]
[[route]]
name = "stays"
addresses = ["203.0.113.14", "203.0.113.15"]
[[route.track]]
datapath = true
[[route]]
name = "new"
interface = "vips"
addresses = ["203.0.113.16", "2001:db8::16"]
[[proxy]]
name = "still"
listen = ["10.0.0.2:82"]
backend = [{ name = "a", address = "10.0.0.31:80", backup = true }]
[[proxy]]
name = "opened"
listen = ["10.0.0.2:83", "unix:/run/opened"]
[[proxy]]
name = "shop"
listen = ["10.0.0.2:8081"]
balance = "hash"
max_connections = 7
queue.length = 7
timeout.connect = "7s"
retries = 7
nodelay = false
accept_proxy.from = ["10.0.0.0/24"]
send_proxy = "v1"
on_down = "close"
eject.failures = 7
check.type = "tcp"
protocol = "mysql"
role = "primary"
monitor.user = "lb"
backend = [
  { name = "a", address = "10.0.0.32:80", weight = 2, admin = "maintenance", max_connections = 7 },
  { name = "c", address = "unix:/run/c", admin = "drain" },
]
"#;

fn config(text: &str) -> Config {
    file::parse(text, "test").unwrap().config
}

#[test]
fn all_that_differs_is_said_once() {
    let found = diff(&config(OLD), &config(NEW));
    let sign = |kind| match kind {
        Kind::Added => '+',
        Kind::Changed => '~',
        Kind::Removed => '-',
    };
    let lines: Vec<_> =
        found.iter().map(|it| format!("{} {}: {}", sign(it.kind), it.subject, it.detail)).collect();
    let expected = [
        "~ node.seed: another one",
        "~ node.proxy_threads: one per CPU → 4",
        "~ node.proxy_busy_poll: 50us → 0s",
        "~ node.proxy_drain: 10m → 1h",
        "~ node.tunnel_source: none → 10.0.0.64/26",
        "~ answers.echo: 1000 → 0",
        "- firewall.deny: 2001:db8::/32",
        "+ firewall.deny: 198.51.100.7/32",
        "- service old: 203.0.113.11 port 8000-8100/tcp, l2, 1 backend",
        "~ service web: 203.0.113.10 port 80/tcp → 203.0.113.10 port 443/tcp",
        "~ service web forward: l2 → ipip",
        "~ service web window: 1h → 10m",
        "~ service web ring_size: 65537 → 1021",
        "~ service web panic: 0% → 30%",
        "~ service web sorry: none → sorry (10.0.0.99 port 443)",
        "~ service web check: checks begin",
        "- backend web/web1: 10.0.0.11 port 80",
        "~ backend web/web2: 10.0.0.12 port 80 → 10.0.0.22 port 443",
        "~ backend web/web2 weight: 1 → 3",
        "~ backend web/web2 admin: ready → drain",
        "+ backend web/web3: 10.0.0.13 port 443, weight 1, maintenance",
        "+ service dns: 2001:db8::10 port 53/udp, l2, 0 backends",
        "- proxy closed: 10.0.0.2:81, 1 backend",
        "~ proxy still: changed in backend.backup or backend.max_connections",
        "+ proxy opened: 10.0.0.2:83, unix:/run/opened, 0 backends",
        "~ proxy shop: changed in listen, balance, max_connections, queue, timeout, retries, nodelay, \
         keepalive or source, accept_proxy, send_proxy, on_down, eject, check, protocol, role or \
         monitor, backend.backup or backend.max_connections",
        "- backend shop/b: unix:/run/b",
        "~ backend shop/a: 10.0.0.31:80 → 10.0.0.32:80",
        "~ backend shop/a weight: 1 → 2",
        "~ backend shop/a admin: ready → maintenance",
        "+ backend shop/c: unix:/run/c, weight 1, drain",
        "- vrrp off: 203.0.113.12, id 52 on eth0, priority 100",
        "+ vrrp on: 2001:db8::10/64, 2001:db8::11, id 51 on eth1, priority 200",
        "~ vrrp out: changed in addresses, preempt, checksum, announce, track",
        "- route gone: 203.0.113.13 on lo",
        "~ route stays: changed in addresses, track",
        "+ route new: 203.0.113.16, 2001:db8::16 on vips",
    ];
    assert_eq!(lines, expected);
    assert_eq!(diff(&config(NEW), &config(NEW)), []);
    let keys: Vec<_> = fixed(&config(OLD), &config(NEW)).into_iter().map(|it| it.key).collect();
    assert_eq!(keys, ["node.interfaces", "limits"]);
}
