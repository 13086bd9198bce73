//! What the task has to do with the forwarder.

use super::{Task, failed};
use crate::{
    api::{
        proxy::{Proxy, SessionTraffic},
        types::Backend,
    },
    control::Rejection,
    dataplane::{Counters, Dataplane},
    forwarder::message::{Holdings, Hosted},
};

impl<D: Dataplane + Counters> Task<D> {
    /// The proxies, with what the forwarder counts of them.
    pub(super) fn proxies(&self) -> Result<Vec<Proxy>, Rejection> {
        let mut proxies = self.state.proxies();
        if proxies.is_empty() {
            return Ok(proxies);
        }
        let silent = "the forwarder does not answer: look at the daemon's log";
        let holdings = self.forwarder.view().ok_or_else(|| Rejection::Failed(silent.into()))?;
        for proxy in &mut proxies {
            complete(proxy, &holdings);
        }
        Ok(proxies)
    }

    /// The backends of services and proxies, with what the forwarder knows of drains, and of who may serve.
    pub(super) fn backends(&self) -> Result<Vec<Backend>, Rejection> {
        let mut backends = self.state.backends().map_err(failed)?;
        let Some(holdings) = self.forwarder.view() else { return Ok(backends) };
        for backend in backends.iter_mut().filter(|it| it.proxy) {
            let report = holdings.proxies.get(&backend.service).and_then(|it| it.report.as_ref());
            let seen = report.and_then(|it| it.backends.iter().find(|it| it.name == backend.name));
            let Some(seen) = seen else { continue };
            if let Some(drain) = &mut backend.drain {
                drain.connections = seen.totals.sessions;
                // It may not have heard of the drain yet.
                drain.silent_seconds = u32::from(seen.open);
            }
            if !seen.open {
                backend.share = 0.0;
            }
        }
        spread(&mut backends);
        Ok(backends)
    }

    /// What keeps proxies from their work.
    pub(super) fn problems_of_forwarder(&self) -> Vec<String> {
        match self.proxies() {
            Err(silent) => vec![silent.to_string()],
            Ok(proxies) => (proxies.into_iter())
                .flat_map(|Proxy { name, problems, .. }| {
                    problems.into_iter().map(move |problem| format!("proxy {name}: {problem}"))
                })
                .collect(),
        }
    }
}

/// What one backend of a proxy does not get, the others do.
fn spread(backends: &mut [Backend]) {
    let of_one = |one: &Backend, other: &Backend| one.service == other.service;
    for pool in backends.chunk_by_mut(of_one).filter(|it| it.iter().all(|it| it.proxy)) {
        let sum: f64 = pool.iter().map(|it| it.share).sum();
        if sum > 0.0 {
            for backend in pool {
                backend.share /= sum;
            }
        }
    }
}

/// Adds what the forwarder knows. It may not have heard of the newest yet.
fn complete(proxy: &mut Proxy, holdings: &Holdings) {
    let Some(Hosted { report, primary, problems }) = holdings.proxies.get(&proxy.name) else {
        return;
    };
    proxy.primary.clone_from(primary);
    proxy.problems.extend(problems.iter().cloned());
    let Some(report) = report else { return };
    proxy.waiting = report.waiting;
    proxy.traffic = SessionTraffic::from(&report.totals);
    let ends = report.ends.iter().map(|(end, count)| (end.label().to_owned(), *count));
    proxy.ends = ends.collect();
    for backend in &mut proxy.backends {
        if let Some(seen) = report.backends.iter().find(|it| it.name == backend.name) {
            (backend.open, backend.ejected) = (seen.open, seen.ejected);
            backend.traffic = SessionTraffic::from(&seen.totals);
        }
    }
}
