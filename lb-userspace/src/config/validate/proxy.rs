//! The rules of proxies.

mod mysql;
mod several;

use std::{net::IpAddr, path::Path, time::Duration};

use lb_common::service::{ForwardMode, Ports};

pub(super) use several::check as several;

use super::{
    Problem, repeated,
    service::{host, named},
};
use crate::config::{
    Check, CheckKind, MAX_WEIGHT,
    proxy::{AcceptProxy, Backend, Eject, Place, Proxy, Queue, Sockets, Timeouts},
    value::{not_a_port, not_a_weight},
};

/// A week: longer than any session lasts, and far from what clocks can count.
const SPAN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// What a socket's address has room for (`struct sockaddr_un`), without the end.
const PATH_MAX: usize = 107;

/// A rule that is broken: the key within the proxy, what is wrong, what to do.
type Broken = (String, String, String);

/// The rules within one.
pub(super) fn check(index: usize, proxy: &Proxy) -> Vec<Problem> {
    let Proxy { name, listen, backends, .. } = proxy;
    let key = |key: &str| format!("proxy[{index}].{key}");
    let mut problems = Vec::new();
    problems.extend(named(|| key("name"), name));
    if listen.is_empty() {
        let remedy = "name one, such as \"10.0.0.2:8080\"";
        problems.push(Problem::new(key("listen"), "there is none", remedy));
    }
    for (position, place) in listen.iter().enumerate() {
        let broken = self::place(place).into_iter();
        problems.extend(broken.map(|(message, remedy)| {
            Problem::new(key(&format!("listen[{position}]")), message, remedy)
        }));
    }
    let broken = spans(proxy).into_iter().chain(counts(proxy)).chain(header(proxy));
    let broken = broken.chain(sources(&proxy.sockets)).chain(mysql::check(proxy));
    problems.extend(broken.map(|(at, message, remedy)| Problem::new(key(&at), message, remedy)));
    problems.extend(checked(&key("check"), proxy));
    for (position, backend) in backends.iter().enumerate() {
        problems.extend(self::backend(|it| key(&format!("backend[{position}].{it}")), backend));
    }
    problems.extend(pool(&key("backend"), proxy));
    problems
}

fn say(key: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Broken {
    (key.into(), message.into(), remedy.into())
}

/// What is wrong with an address, and what to do.
fn place(place: &Place) -> Option<(String, String)> {
    match place {
        Place::Tcp(socket) if socket.port() == 0 => {
            let fault = not_a_port(&0);
            Some((fault.message, fault.remedy))
        }
        Place::Tcp(_) => None,
        Place::Unix(path) => {
            let length = path.as_os_str().len();
            (length > PATH_MAX).then(|| {
                let message = format!("the path has {length} bytes, a socket's at most {PATH_MAX}");
                (message, "use a shorter one".into())
            })
        }
    }
}

/// Times that must be some, and not for ever.
fn spans(proxy: &Proxy) -> Vec<Broken> {
    let Timeouts { connect, client_idle, backend_idle, half_closed, session } = proxy.timeouts;
    let Queue { timeout: queue, .. } = proxy.queue;
    let Eject { hold, max_hold, .. } = proxy.eject;
    let spans = [
        ("timeout.connect", Some(connect)),
        ("timeout.client", Some(client_idle)),
        ("timeout.backend", Some(backend_idle)),
        ("timeout.half_closed", Some(half_closed)),
        ("timeout.session", session),
        ("queue.timeout", Some(queue)),
        ("eject.hold", Some(hold)),
        ("eject.max_hold", Some(max_hold)),
        ("keepalive", proxy.sockets.keepalive),
        ("accept_proxy.timeout", proxy.accept_proxy.as_ref().map(|it| it.timeout)),
    ];
    let mut broken: Vec<_> =
        spans.into_iter().filter_map(|(key, span)| some_time(key, span?)).collect();
    if max_hold < hold {
        let (most, hold) = (spell(max_hold), spell(hold));
        let message = format!("{most} is less than the hold of {hold}");
        broken.push(say("eject.max_hold", message, "lengthen it, or shorten `hold`"));
    }
    if proxy.sockets.keepalive.is_some_and(|it| it.subsec_nanos() != 0) {
        let message = "the kernel counts whole seconds";
        broken.push(say("keepalive", message, "use \"1m\", for example"));
    }
    broken
}

fn some_time(key: &str, span: Duration) -> Option<Broken> {
    if span.is_zero() {
        return Some(say(key, "nothing can be done in no time", "use \"5s\", for example"));
    }
    let too_long = span > SPAN_MAX;
    too_long.then(|| say(key, format!("{} is too long", spell(span)), "use at most \"7days\""))
}

fn counts(proxy: &Proxy) -> Option<Broken> {
    (proxy.max_connections == 0).then(|| {
        let message = "0 is out of range";
        say("max_connections", message, format!("use 1 to {}", u32::MAX))
    })
}

fn header(proxy: &Proxy) -> Option<Broken> {
    let Some(AcceptProxy { from, .. }) = &proxy.accept_proxy else { return None };
    from.is_empty().then(|| {
        let message = "nobody would send a header";
        say("accept_proxy.from", message, "name the networks of those who do, or remove the table")
    })
}

fn sources(Sockets { source, .. }: &Sockets) -> Vec<Broken> {
    let key = |place: usize| format!("source[{place}]");
    let wrong = source.iter().enumerate().filter_map(|(place, address)| {
        let problem = host(|| key(place), *address).filter(|_| !address.is_loopback())?;
        Some((problem.key, problem.message, problem.remedy))
    });
    let second = repeated(source, IpAddr::is_ipv4).map(|(place, _)| {
        let message = format!("{} is a second address of its family", source[place]);
        say(key(place), message, "name one of each family at most")
    });
    wrong.chain(second).collect()
}

/// Checks go where sessions go.
fn checked(key: &str, proxy: &Proxy) -> Vec<Problem> {
    let Some(check) = &proxy.check else { return Vec::new() };
    let mut problems = super::check::check(key, check, ForwardMode::NAT, Ports::ANY);
    // Each backend has its own port.
    problems.retain(|it| check.port.is_some() || it.key != format!("{key}.port"));
    if let Some(message) = unfit(check, proxy) {
        let remedy = "use \"tcp\", \"http\" or \"exec\", or a backend at an address";
        problems.push(Problem::new(format!("{key}.type"), message, remedy));
    }
    problems
}

/// Why checks cannot be made.
fn unfit(check: &Check, proxy: &Proxy) -> Option<String> {
    let unix = proxy.backends.iter().find(|it| matches!(it.address, Place::Unix(_)))?;
    let fits = matches!(check.kind, CheckKind::Tcp | CheckKind::Http(_) | CheckKind::Exec { .. });
    let at = &unix.address;
    (!fits).then(|| format!("`{}` is at {at}, where this cannot be tried", unix.name))
}

fn backend(key: impl Fn(&str) -> String, backend: &Backend) -> Vec<Problem> {
    let Backend { name, address, weight, backup: _, max_connections, admin: _ } = backend;
    let mut problems = Vec::new();
    problems.extend(named(|| key("name"), name));
    let broken = place(address).into_iter();
    problems.extend(broken.map(|(message, remedy)| Problem::new(key("address"), message, remedy)));
    if let Place::Tcp(socket) = address
        && !socket.ip().is_loopback()
    {
        problems.extend(host(|| key("address"), socket.ip()));
    }
    if *weight > MAX_WEIGHT {
        let fault = not_a_weight(weight);
        problems.push(Problem::new(key("weight"), fault.message, fault.remedy));
    }
    if *max_connections == Some(0) {
        let remedy = "use 1 or more; `weight = 0` keeps sessions away";
        problems.push(Problem::new(key("max_connections"), "0 is out of range", remedy));
    }
    problems
}

/// The rules of a pool's backends together; `key` is the array's.
fn pool(key: &str, proxy: &Proxy) -> Vec<Problem> {
    let Proxy { name, backends, .. } = proxy;
    let mut problems = Vec::new();
    problems.extend(repeated(backends, |it| it.name.as_str()).map(|(index, first)| {
        Problem::new(
            format!("{key}[{index}].name"),
            format!("backend[{first}] of `{name}` is named `{}` as well", backends[index].name),
            "give each backend of a proxy its own name",
        )
    }));
    problems.extend(repeated(backends, |it| &it.address).map(|(index, first)| {
        let (this, first) = (&backends[index], &backends[first].name);
        Problem::new(
            format!("{key}[{index}].address"),
            format!("{} is in `{name}` twice, as `{first}` and as `{}`", this.address, this.name),
            "remove one, and use `weight` for a larger share",
        )
    }));
    problems
}

fn absolute(key: &str, path: Option<&Path>) -> Option<Broken> {
    let relative = path.filter(|it| !it.is_absolute());
    relative.map(|_| say(key, "not an absolute path", "begin it with `/`"))
}

fn spell(span: Duration) -> String {
    humantime::format_duration(span).to_string()
}
