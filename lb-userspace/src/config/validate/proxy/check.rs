//! The rules of proxies' checks: they go where sessions go.

use super::{Broken, Problem, say};
use crate::config::{
    Check, CheckKind,
    proxy::{Place, Proxy},
    validate::check::{self, Whose},
};

/// `key` is the check's.
pub(super) fn check(key: &str, proxy: &Proxy) -> Vec<Problem> {
    let Some(check) = &proxy.check else { return Vec::new() };
    let mut problems = check::check(key, check, Whose::Proxy);
    let broken = at_unix_socket(check, proxy).into_iter().chain(without_header(check, proxy));
    problems.extend(
        broken.map(|(at, message, remedy)| Problem::new(format!("{key}.{at}"), message, remedy)),
    );
    problems
}

/// What a Unix socket cannot be tried with.
fn at_unix_socket(check: &Check, proxy: &Proxy) -> Option<Broken> {
    let backend = proxy.backends.iter().find(|it| matches!(it.address, Place::Unix(_)))?;
    let fits = match &check.kind {
        CheckKind::Tcp | CheckKind::Exec { .. } => true,
        CheckKind::Http(http) => http.tls.is_none(),
        CheckKind::Tls(_) | CheckKind::Udp(_) | CheckKind::Icmp | CheckKind::Mysql(_) => false,
    };
    let place = format!("`{}` is at {}", backend.name, backend.address);
    if !fits {
        let remedy = "use \"tcp\", \"http\" or \"exec\", or a backend at an address";
        return Some(say("type", format!("{place}, where this cannot be tried"), remedy));
    }
    let message = format!("{place}, which has no ports");
    check.port.map(|_| say("port", message, "remove it, or use a backend at an address"))
}

/// The library that logs in says nothing of its own before.
fn without_header(check: &Check, proxy: &Proxy) -> Option<Broken> {
    let is_wanted = proxy.send_proxy.is_some() && check.port.is_none();
    (is_wanted && matches!(check.kind, CheckKind::Mysql(_))).then(|| {
        let message =
            "a mysql check has no PROXY header, and `send_proxy` says that backends need one";
        say("type", message, "use \"tcp\" or \"exec\", or a `port` that needs none")
    })
}
