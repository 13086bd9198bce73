//! The rules of `[node]`, `[limits]` and `[firewall]`.

use std::{path::Path, time::Duration};

use lb_common::route::Prefix;

use super::{Problem, repeated, service::host};
use crate::{
    config::{Firewall, Limits, Node},
    proxy::SessionId,
};

/// `IFNAMSIZ` of the kernel, without its final NUL.
const INTERFACE_NAME_MAX: usize = 15;
const WATCHDOG_MIN: Duration = Duration::from_secs(3);
const WATCHDOG_MAX: Duration = Duration::from_secs(3600);
const BUSY_POLL_MAX: Duration = Duration::from_millis(1);
const DRAIN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// `sun_path` (unix(7)), without its final NUL.
const SOCKET_PATH_MAX: usize = 107;

pub(super) fn check(node: &Node) -> Vec<Problem> {
    let mut problems = interfaces(&node.interfaces);
    problems.extend(prefixes("tunnel_source", &node.tunnel_source));
    problems.extend(prefixes("probe_aliases", &node.probe_aliases));
    problems.extend(node.watchdog.and_then(watchdog));
    problems.extend(node.proxy_threads.and_then(proxy_threads));
    problems.extend(proxy_busy_poll(node.proxy_busy_poll));
    problems.extend(proxy_drain(node.proxy_drain));
    for (key, path) in [("node.runtime_dir", &node.runtime_dir), ("node.pin_dir", &node.pin_dir)] {
        problems.extend(directory(key, path));
    }
    let socket = node.socket();
    if socket.as_os_str().len() > SOCKET_PATH_MAX {
        problems.push(Problem::new(
            "node.runtime_dir",
            format!("the socket's path {} is over {SOCKET_PATH_MAX} bytes", socket.display()),
            "use a shorter directory",
        ));
    }
    problems
}

/// The daemon gives a sign of life each second, unless a large change takes it longer.
fn watchdog(limit: Duration) -> Option<Problem> {
    let fits = (WATCHDOG_MIN..=WATCHDOG_MAX).contains(&limit) && limit.subsec_nanos() == 0;
    (!fits).then(|| {
        let message = format!("{} is no limit for silence", humantime::format_duration(limit));
        Problem::new("node.watchdog", message, "use whole seconds, \"3s\" to \"1h\", or remove it")
    })
}

fn proxy_threads(count: u32) -> Option<Problem> {
    let fits = usize::try_from(count).is_ok_and(|it| (1..=SessionId::WORKERS).contains(&it));
    (!fits).then(|| {
        let remedy = format!("use 1 to {}, or remove it", SessionId::WORKERS);
        Problem::new("node.proxy_threads", format!("{count} is out of range"), remedy)
    })
}

/// A sleep takes no longer.
fn proxy_busy_poll(span: Duration) -> Option<Problem> {
    (span > BUSY_POLL_MAX).then(|| {
        let message = format!("{} is too long", humantime::format_duration(span));
        Problem::new("node.proxy_busy_poll", message, "use at most \"1ms\", or \"0us\" for none")
    })
}

fn proxy_drain(span: Duration) -> Option<Problem> {
    (span > DRAIN_MAX).then(|| {
        let message = format!("{} is too long", humantime::format_duration(span));
        Problem::new("node.proxy_drain", message, "use at most \"7days\"")
    })
}

fn interfaces(names: &[String]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if names.is_empty() {
        let remedy =
            "name the interfaces that packets arrive at, such as `interfaces = [\"eth0\"]`";
        problems.push(Problem::new("node.interfaces", "no interface is named", remedy));
    }
    for (index, name) in names.iter().enumerate() {
        problems.extend(interface(|| format!("node.interfaces[{index}]"), name));
    }
    problems.extend(repeated(names, String::clone).map(|(index, _)| {
        Problem::new(
            format!("node.interfaces[{index}]"),
            format!("`{}` is named twice", names[index]),
            "name each interface once",
        )
    }));
    problems
}

/// The name of an interface: `dev_valid_name` of the kernel (net/core/dev.c).
pub(super) fn interface(key: impl FnOnce() -> String, name: &str) -> Option<Problem> {
    let is_valid = (1..=INTERFACE_NAME_MAX).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.contains(|c: char| c == '/' || c == ':' || c == '\0' || c.is_whitespace());
    (!is_valid).then(|| {
        Problem::new(
            key(),
            format!("`{}` cannot be the name of an interface", name.escape_debug()),
            format!("use a name that `ip link` shows, of 1 to {INTERFACE_NAME_MAX} bytes"),
        )
    })
}

/// At most one prefix of each family, of hosts' addresses.
fn prefixes(key: &str, prefixes: &[Prefix]) -> Vec<Problem> {
    let key = |index: usize| format!("node.{key}[{index}]");
    let mut problems = Vec::new();
    for (index, prefix) in prefixes.iter().enumerate() {
        problems.extend(host(|| key(index), prefix.address.to_ip()));
    }
    problems.extend(repeated(prefixes, |prefix| prefix.address.is_v4()).map(|(index, first)| {
        let family = if prefixes[first].address.is_v4() { "IPv4" } else { "IPv6" };
        Problem::new(
            key(index),
            format!("another {family} prefix stands before it"),
            "name at most one of each family",
        )
    }));
    problems
}

fn directory(key: &str, path: &Path) -> Option<Problem> {
    let wrong = !path.is_absolute() || path.as_os_str().as_encoded_bytes().contains(&0);
    wrong.then(|| {
        let message = format!("{:?} is not an absolute path", path.display().to_string());
        Problem::new(key, message, "begin it with `/`")
    })
}

pub(super) fn check_limits(limits: &Limits, firewall: &Firewall) -> Vec<Problem> {
    let Limits { services, backends, slots, routes, denied, flows, pending } = *limits;
    let rows = [
        ("limits.services", services),
        ("limits.backends", backends),
        ("limits.slots", slots),
        ("limits.routes", routes),
        ("limits.denied", denied),
        ("limits.flows", flows),
        ("limits.pending", pending),
    ];
    let zeros = rows.into_iter().filter(|(_, limit)| *limit == 0);
    let mut problems: Vec<_> = zeros
        .map(|(key, _)| Problem::new(key, "0 is out of range", format!("use 1 to {}", u32::MAX)))
        .collect();
    let listed = firewall.deny.len();
    if listed > denied as usize {
        problems.push(Problem::new(
            "firewall.deny",
            format!("{listed} prefixes are denied, {denied} are allowed"),
            format!("set `limits.denied` to {listed} or more"),
        ));
    }
    problems
}
