//! The rules of checks.

use std::time::Duration;

use hyper::Method;
use lb_common::service::{ForwardMode, Ports};

use super::Problem;
use crate::config::{
    Agent, Check, CheckKind, Flap, Http, Mysql, Through, Udp,
    value::{Fault, not_a_port},
};

/// Longer than any sensible check, and far from what clocks can count.
const SPAN_MAX: Duration = Duration::from_secs(3600);
/// What fits into a datagram over IPv4 (RFC 791, RFC 768).
const DATAGRAM_MAX: usize = 65_507;

/// A rule that is broken: the key within the check, what is wrong, what to do.
type Broken = (&'static str, String, String);

/// Whose backends are checked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
    /// A service's, which packets reach by this mode at these ports.
    Service(ForwardMode, Ports),
    /// A proxy's, each of which has its own port.
    Proxy,
}

/// The rules of a check; `key` is its table.
pub(super) fn check(key: &str, check: &Check, whose: Whose) -> Vec<Problem> {
    let Check { kind, through, port, interval, fast_interval, timeout, .. } = check;
    let Check { rise, fall, slow_start, flap, .. } = check;
    let mut broken = self::kind(kind);
    broken.extend(self::through(*through, kind, whose));
    broken.extend(self::port(*port, kind, whose));
    broken.extend(times(*interval, *fast_interval, *timeout));
    for (name, number) in [("rise", rise), ("fall", fall)] {
        if *number == 0 {
            broken.push(say(name, "0 results cannot change anything", "use 1 or more"));
        }
    }
    broken.extend(at_most("slow_start", *slow_start));
    broken.extend(self::flap(*flap));
    let problem = |(name, message, remedy)| Problem::new(format!("{key}.{name}"), message, remedy);
    broken.into_iter().map(problem).collect()
}

/// The rules of an agent; `key` is its table.
pub(super) fn agent(key: &str, agent: &Agent) -> Vec<Problem> {
    let Agent { address, port, interval, timeout, send: _ } = agent;
    let address = address.and_then(|it| super::service::host(|| format!("{key}.address"), it));
    let port = (*port == 0).then(|| {
        let Fault { message, remedy } = not_a_port(&0);
        say("port", message, remedy)
    });
    let broken = port.into_iter().chain(times(*interval, *interval, *timeout));
    let problem = |(name, message, remedy)| Problem::new(format!("{key}.{name}"), message, remedy);
    address.into_iter().chain(broken.map(problem)).collect()
}

fn say(name: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Broken {
    (name, message.into(), remedy.into())
}

fn kind(kind: &CheckKind) -> Vec<Broken> {
    match kind {
        CheckKind::Tcp | CheckKind::Tls(_) | CheckKind::Icmp => Vec::new(),
        CheckKind::Http(check) => http(check),
        CheckKind::Udp(Udp { send, expect }) => {
            let rows = [("send", Some(send)), ("expect", expect.as_ref())];
            let too_long = |bytes: &&Vec<u8>| bytes.len() > DATAGRAM_MAX;
            let rows = rows.into_iter().filter_map(|(name, it)| Some((name, it.filter(too_long)?)));
            let problem = |(name, bytes): (_, &Vec<u8>)| {
                let message = format!("{} bytes do not fit a datagram", bytes.len());
                say(name, message, format!("use at most {DATAGRAM_MAX}"))
            };
            rows.map(problem).collect()
        }
        CheckKind::Mysql(Mysql { user, password_file, .. }) => {
            let nobody = user.is_empty().then(|| say("user", "nobody", "name a user"));
            let file = password_file.as_ref().filter(|file| !file.is_absolute());
            let relative = file.map(|_| say("password_file", NOT_ABSOLUTE, BEGIN));
            nobody.into_iter().chain(relative).collect()
        }
        CheckKind::Exec { command } => match command.first() {
            None => vec![say("command", "missing", "add `command = [\"/usr/local/bin/check\"]`")],
            Some(program) if program.starts_with('/') => Vec::new(),
            Some(_) => vec![say("command", NOT_ABSOLUTE, BEGIN)],
        },
    }
}

const NOT_ABSOLUTE: &str = "not an absolute path";
const BEGIN: &str = "begin it with `/`";

fn http(Http { method, path, body, .. }: &Http) -> Vec<Broken> {
    let mut broken = Vec::new();
    if !(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic())) {
        let message = format!("\"{}\" is not a path", path.escape_debug());
        let remedy = "begin it with `/`, and write other than visible ASCII as %XX";
        broken.push(say("path", message, remedy));
    }
    if *method == Method::HEAD && body.is_some() {
        broken.push(say("method", "the answer to HEAD has no body", "use \"GET\""));
    }
    broken
}

/// Behind nat, packets go to the backend's own address anyway, and its answers to all lead back
/// through the node. Errors of ICMP do not come back through the packet path.
fn through(through: Through, kind: &CheckKind, whose: Whose) -> Option<Broken> {
    let (message, remedy) = match whose {
        Whose::Service(ForwardMode::NAT, _) => {
            ("a nat backend has no VIP: its checks go to its own address", "remove it")
        }
        Whose::Proxy => {
            ("a proxy's backend has no VIP: its checks go to its own address", "remove it")
        }
        Whose::Service(..) if kind.takes_silence() => (
            "without `expect` only a refusal is a failure, and that does not come back this way",
            "add `expect`, or write \"direct\"",
        ),
        Whose::Service(..) => return None,
    };
    (through == Through::Datapath).then(|| say("through", message, remedy))
}

/// Of a service with every port, none is the backend's own.
fn port(port: Option<u16>, kind: &CheckKind, whose: Whose) -> Option<Broken> {
    let has_any = matches!(whose, Whose::Service(_, ports) if ports.is_any());
    let needed = has_any && !matches!(kind, CheckKind::Icmp | CheckKind::Exec { .. });
    match port {
        Some(0) => {
            let Fault { message, remedy } = not_a_port(&0);
            Some(say("port", message, remedy))
        }
        None if needed => Some(say(
            "port",
            "missing: a service with any port does not say which one to check",
            "add `port = 80`, for example",
        )),
        Some(_) | None => None,
    }
}

fn times(interval: Duration, fast_interval: Duration, timeout: Duration) -> Vec<Broken> {
    let mut broken: Vec<_> = at_most("interval", interval).into_iter().collect();
    if timeout.is_zero() {
        let message = "no check can succeed in no time";
        broken.push(say("timeout", message, "use \"500ms\", for example"));
    } else if timeout >= interval {
        let (timeout, interval) = (spell(timeout), spell(interval));
        let message = format!("{timeout} is not less than the interval of {interval}");
        broken.push(say("timeout", message, "shorten it, or lengthen `interval`"));
    }
    if fast_interval.is_zero() {
        let message = "checks cannot follow each other in no time";
        broken.push(say("fast_interval", message, "use \"200ms\", for example"));
    } else if fast_interval > interval {
        let (fast, interval) = (spell(fast_interval), spell(interval));
        let message = format!("{fast} is more than the interval of {interval}");
        broken.push(say("fast_interval", message, "shorten it, or remove it"));
    }
    broken
}

fn flap(Flap { falls: _, calm, hold, max_hold }: Flap) -> Vec<Broken> {
    let spans = [("flap.calm", calm), ("flap.hold", hold), ("flap.max_hold", max_hold)];
    let mut broken: Vec<_> =
        spans.into_iter().filter_map(|(name, span)| at_most(name, span)).collect();
    if max_hold < hold {
        let (most, hold) = (spell(max_hold), spell(hold));
        let message = format!("{most} is less than the hold of {hold}");
        broken.push(say("flap.max_hold", message, "lengthen it, or shorten `hold`"));
    }
    broken
}

fn at_most(name: &'static str, span: Duration) -> Option<Broken> {
    let too_long = span > SPAN_MAX;
    too_long.then(|| say(name, format!("{} is too long", spell(span)), "use at most \"1h\""))
}

fn spell(span: Duration) -> String {
    humantime::format_duration(span).to_string()
}
