//! The rules of proxies.

mod check;
mod mysql;
mod pool;
mod several;

use std::{net::IpAddr, path::Path, time::Duration};

pub(super) use several::check as several;

use super::{
    Problem, repeated,
    service::{host, named},
};
use crate::config::{
    MAX_WEIGHT,
    proxy::{AcceptProxy, Backend, Eject, Place, Proxy, Queue, Sockets, Timeouts},
    value::{not_a_port, not_a_weight},
};

/// A week: longer than any session lasts, and far from what clocks can count.
const SPAN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
const KEEPALIVE_MIN: Duration = Duration::from_secs(1);
/// `MAX_TCP_KEEPIDLE` of the kernel (include/net/tcp.h).
const KEEPALIVE_MAX: Duration = Duration::from_secs(32_767);
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
        problems.extend(self::listen(key(&format!("listen[{position}]")), place));
    }
    let broken = spans(proxy).into_iter().chain(counts(proxy)).chain(header(proxy));
    let broken = broken.chain(sources(&proxy.sockets)).chain(mysql::check(proxy));
    problems.extend(broken.map(|(at, message, remedy)| Problem::new(key(&at), message, remedy)));
    problems.extend(check::check(&key("check"), proxy));
    for (position, backend) in backends.iter().enumerate() {
        problems.extend(self::backend(|it| key(&format!("backend[{position}].{it}")), backend));
    }
    problems.extend(pool::check(&key("backend"), proxy));
    problems
}

fn say(key: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Broken {
    (key.into(), message.into(), remedy.into())
}

/// Where sessions come in: an address of this node, or all of them.
fn listen(key: String, place: &Place) -> Option<Problem> {
    if let Some((message, remedy)) = self::place(place) {
        return Some(Problem::new(key, message, remedy));
    }
    let Place::Tcp(socket) = place else { return None };
    let fits = |ip: IpAddr| ip.is_unspecified() || ip.is_loopback();
    Some(socket.ip()).filter(|ip| !fits(*ip)).and_then(|ip| host(|| key, ip))
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
        ("accept_proxy.timeout", proxy.accept_proxy.as_ref().map(|it| it.timeout)),
    ];
    let mut broken: Vec<_> =
        spans.into_iter().filter_map(|(key, span)| some_time(key, span?)).collect();
    if max_hold < hold {
        let (most, hold) = (spell(max_hold), spell(hold));
        let message = format!("{most} is less than the hold of {hold}");
        broken.push(say("eject.max_hold", message, "lengthen it, or shorten `hold`"));
    }
    broken.extend(proxy.sockets.keepalive.and_then(keepalive));
    broken
}

fn keepalive(span: Duration) -> Option<Broken> {
    let fits = (KEEPALIVE_MIN..=KEEPALIVE_MAX).contains(&span) && span.subsec_nanos() == 0;
    (!fits).then(|| {
        let message = format!("the kernel cannot wait for {}", spell(span));
        say("keepalive", message, "use whole seconds, \"1s\" to \"9h\", or remove it")
    })
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

fn absolute(key: &str, path: Option<&Path>) -> Option<Broken> {
    let relative = path.filter(|it| !it.is_absolute());
    relative.map(|_| say(key, "not an absolute path", "begin it with `/`"))
}

fn spell(span: Duration) -> String {
    humantime::format_duration(span).to_string()
}
