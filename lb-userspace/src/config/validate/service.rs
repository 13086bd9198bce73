//! The rules within one service.

use std::{net::IpAddr, time::Duration};

use lb_common::{
    service::{ForwardMode, Ports},
    slot::INDEX_MAX,
};

use super::{Problem, check::Whose, repeated};
use crate::config::{
    Backend, MAX_WEIGHT, RING_SIZES, Service,
    value::{Fault, not_a_port, not_a_weight},
};

const NAME_MAX: usize = 64;
const WINDOW_MIN: Duration = Duration::from_secs(1);
const WINDOW_MAX: Duration = Duration::from_secs(24 * 3600);

pub(super) fn check(index: usize, service: &Service) -> Vec<Problem> {
    let Service {
        name,
        vip,
        protocol: _,
        ports,
        forward,
        gue_port,
        ring_size,
        window,
        flow_table,
        on_down: _,
        check,
        agent,
        panic: _,
        sorry: _,
        backends,
    } = service;
    let key = |key: &str| format!("service[{index}].{key}");
    let mut problems = Vec::new();
    problems.extend(named(|| key("name"), name));
    problems.extend(host(|| key("vip"), *vip));
    problems.extend(self::ports(key("port"), *ports, *forward));
    if *gue_port == 0 {
        problems.push(at(key("gue_port"), not_a_port(gue_port)));
    }
    problems.extend(self::window(key("window"), *window));
    if *flow_table == 0 {
        problems.push(Problem::new(
            key("flow_table"),
            "0 is out of range",
            format!("use 1 to {}", u32::MAX),
        ));
    }
    if !RING_SIZES.contains(ring_size) {
        let sizes: Vec<_> = RING_SIZES.iter().map(u32::to_string).collect();
        problems.push(Problem::new(
            key("ring_size"),
            format!("{ring_size} is not a ring size"),
            format!("use one of {}", sizes.join(", ")),
        ));
    }
    let whose = Whose::Service(*forward, *ports);
    problems.extend(check.iter().flat_map(|it| super::check::check(&key("check"), it, whose)));
    problems.extend(agent.iter().flat_map(|it| super::check::agent(&key("agent"), it)));
    problems.extend(emergency(key, service));
    for (position, backend) in backends.iter().enumerate() {
        let key = |field: &str| key(&format!("backend[{position}].{field}"));
        problems.extend(self::backend(key, service, backend));
    }
    problems.extend(pool(&key("backend"), service));
    problems
}

fn ports(key: String, ports: Ports, forward: ForwardMode) -> Option<Problem> {
    if ports.is_one() && ports.first.get() == 0 {
        return Some(at(key, not_a_port(&0)));
    }
    (!ports.is_one() && forward == ForwardMode::NAT).then(|| {
        Problem::new(
            key,
            format!("nat rewrites one port to another, and `{ports}` are several"),
            "use one port, or another `forward`",
        )
    })
}

fn window(key: String, window: Duration) -> Option<Problem> {
    let fits = (WINDOW_MIN..=WINDOW_MAX).contains(&window) && window.subsec_nanos() == 0;
    (!fits).then(|| {
        let window = humantime::format_duration(window);
        Problem::new(key, format!("{window} is no window"), "use whole seconds, \"1s\" to \"24h\"")
    })
}

/// What is to happen when few backends are up.
fn emergency(key: impl Fn(&str) -> String, service: &Service) -> Vec<Problem> {
    let Service { name, check, agent, panic, sorry, backends, .. } = service;
    let mut problems = Vec::new();
    let mut unchecked = |name: &str| {
        let message = "without a check all backends count as up, always";
        problems.push(Problem::new(key(name), message, "add a `check`, or remove it"));
    };
    let unsupervised = check.is_none() && agent.is_none();
    if unsupervised && *panic > 0 {
        unchecked("panic");
    }
    let Some(sorry) = sorry else { return problems };
    if unsupervised {
        unchecked("sorry");
    }
    problems.extend(backend(|field| key(&format!("sorry.{field}")), service, sorry));
    if let Some(twin) = backends.iter().find(|it| it.name == sorry.name) {
        problems.push(Problem::new(
            key("sorry.name"),
            format!("a backend of `{name}` is named `{}` as well", twin.name),
            "give it another name",
        ));
    }
    let place = |backend: &Backend| (backend.address, backend.port);
    if let Some(twin) = backends.iter().find(|it| place(it) == place(sorry)) {
        problems.push(Problem::new(
            key("sorry.address"),
            format!("{} is the backend `{}` of `{name}`", sorry.address, twin.name),
            "use a machine that is not in the pool",
        ));
    }
    problems
}

fn at(key: String, Fault { message, remedy }: Fault) -> Problem {
    Problem { key, message, remedy }
}

/// `key` names a field: thousands of backends are checked with every change, and nearly all are good.
fn backend(key: impl Fn(&str) -> String, service: &Service, backend: &Backend) -> Vec<Problem> {
    let Backend { name, address, port, weight, admin: _ } = backend;
    let mut problems = Vec::new();
    problems.extend(named(|| key("name"), name));
    problems.extend(host(|| key("address"), *address));
    if address.is_ipv4() != service.vip.is_ipv4() && !service.forward.is_tunnel() {
        problems.push(other_family(key("address"), service, backend));
    }
    if *port == service.default_port() {
        // A port that is taken over from the service is judged there.
    } else if *port == 0 {
        problems.push(at(key("port"), not_a_port(port)));
    } else if service.forward != ForwardMode::NAT {
        problems.push(other_port(key("port"), service, *port));
    }
    if *weight > MAX_WEIGHT {
        problems.push(at(key("weight"), not_a_weight(weight)));
    }
    problems
}

fn other_family(key: String, service: &Service, backend: &Backend) -> Problem {
    let family = |address: &IpAddr| if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let Backend { name, address, .. } = backend;
    let vip = &service.vip;
    let (theirs, ours) = (family(address), family(vip));
    Problem::new(
        key,
        format!("{address} of backend `{name}` is {theirs}, but the VIP {vip} is {ours}"),
        format!(
            "use the backend's {ours} address, make a service with an {theirs} VIP, or set \
             `forward = \"ipip\"` or \"gue\""
        ),
    )
}

fn other_port(key: String, service: &Service, port: u16) -> Problem {
    let (ports, mode) = (service.ports, service.forward.as_str());
    let (message, remedy) = if ports.is_one() {
        (
            format!("{port} differs from the service's port {ports}, which {mode} cannot rewrite"),
            "remove it, or set the service's `forward = \"nat\"`",
        )
    } else {
        (
            format!(
                "{port} is not needed: the service's ports are `{ports}`, and so the backend's"
            ),
            "remove it",
        )
    };
    Problem::new(key, message, remedy)
}

/// The rules of a service's backends together; `key` is the array's.
fn pool(key: &str, service: &Service) -> Vec<Problem> {
    let Service { name, backends, .. } = service;
    let mut problems = Vec::new();
    if backends.len() > usize::from(INDEX_MAX) {
        problems.push(Problem::new(
            key,
            format!("`{name}` has {} backends, a ring names at most {INDEX_MAX}", backends.len()),
            "spread them over several services",
        ));
    }
    if !backends.is_empty() && backends.iter().all(|backend| backend.weight == 0) {
        problems.push(Problem::new(
            format!("{key}[0].weight"),
            format!("all backends of `{name}` have weight 0: none takes connections"),
            "give at least one of them a weight above 0",
        ));
    }
    problems.extend(repeated(backends, |backend| backend.name.as_str()).map(|(index, first)| {
        Problem::new(
            format!("{key}[{index}].name"),
            format!("backend[{first}] of `{name}` is named `{}` as well", backends[index].name),
            "give each backend of a service its own name",
        )
    }));
    let same = repeated(backends, |backend| (backend.address, backend.port));
    problems.extend(same.map(|(index, first)| {
        let Backend { name: this, address, port, .. } = &backends[index];
        let first = &backends[first].name;
        Problem::new(
            format!("{key}[{index}].address"),
            match port {
                0 => format!("{address} is in `{name}` twice, as `{first}` and as `{this}`"),
                port => format!(
                    "{address} port {port} is in `{name}` twice, as `{first}` and as `{this}`"
                ),
            },
            "remove one, and use `weight` for a larger share",
        )
    }));
    problems
}

/// Names go into tables, metrics and command lines.
pub(super) fn named(key: impl FnOnce() -> String, name: &str) -> Option<Problem> {
    let fits = (1..=NAME_MAX).contains(&name.len())
        && !name.contains(|c: char| c.is_whitespace() || c.is_control())
        && !name.starts_with('-');
    (!fits).then(|| {
        Problem::new(
            key(),
            format!("\"{}\" cannot be a name", name.escape_debug()),
            format!("use 1 to {NAME_MAX} bytes without spaces, beginning with other than `-`"),
        )
    })
}

/// An address that packets can be sent to and that names one host.
pub(super) fn host(key: impl FnOnce() -> String, address: IpAddr) -> Option<Problem> {
    let kind = match address {
        _ if address.is_unspecified() => "unspecified",
        _ if address.is_multicast() => "a multicast address",
        _ if address.is_loopback() => "a loopback address",
        IpAddr::V4(v4) if v4.is_broadcast() => "the broadcast address",
        IpAddr::V4(v4) if v4.octets()[0] == 0 => "of \"this network\" (RFC 1122)",
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => "an IPv4-mapped address",
        IpAddr::V6(v6) if v6.is_unicast_link_local() => "a link-local address",
        IpAddr::V4(_) | IpAddr::V6(_) => return None,
    };
    let remedy = match kind {
        "an IPv4-mapped address" => "write it as an IPv4 address",
        _ => "use a unicast address that is routed to one host",
    };
    Some(Problem::new(key(), format!("{address} is {kind}"), remedy))
}
