//! The rules of a proxy's backends together.

use std::net::SocketAddr;

use super::{Problem, repeated};
use crate::config::proxy::{Backend, Place, Proxy};

/// `key` is the array's.
pub(super) fn check(key: &str, proxy: &Proxy) -> Vec<Problem> {
    let Proxy { name, backends, .. } = proxy;
    let mut problems = Vec::new();
    if !backends.is_empty() && backends.iter().all(|backend| backend.weight == 0) {
        problems.push(Problem::new(
            format!("{key}[0].weight"),
            format!("all backends of `{name}` have weight 0: none takes sessions"),
            "give at least one of them a weight above 0",
        ));
    }
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
    problems.extend(backends.iter().enumerate().filter_map(|(index, backend)| {
        let problem = circle(proxy, backend)?;
        Some(Problem { key: format!("{key}[{index}].address"), ..problem })
    }));
    problems
}

/// A proxy that connects to itself does so again and again.
fn circle(Proxy { name, listen, .. }: &Proxy, backend: &Backend) -> Option<Problem> {
    let place = listen.iter().find(|place| takes(place, &backend.address))?;
    let message = format!("`{name}` itself listens at {place}: sessions would come back to it");
    Some(Problem::new("", message, "use the backend's own address"))
}

/// Whether what connects to `address` from this node comes to a listener.
fn takes(listener: &Place, address: &Place) -> bool {
    // A listener at [::] has IPv4 as well.
    let all = |it: &SocketAddr, of: &SocketAddr| {
        it.ip().is_unspecified() && (it.is_ipv6() || of.is_ipv4()) && of.ip().is_loopback()
    };
    match (listener, address) {
        (Place::Tcp(listener), Place::Tcp(address)) => {
            listener == address || listener.port() == address.port() && all(listener, address)
        }
        (Place::Tcp(_) | Place::Unix(_), _) => listener == address,
    }
}
