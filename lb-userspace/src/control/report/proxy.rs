//! Proxies in the API's words, as far as the daemon knows them: what passes, their forwarders count.

use lb_common::{addr::Port, service::Ports};

use super::told;
use crate::{
    api::types::{Admin, At, Backend, Drain, Health, Traffic},
    config::{
        self,
        proxy::{self, Place, Proxy},
    },
    control::state::{State, forwarder::seconds_left},
    dataplane::Dataplane,
};

impl<D: Dataplane> State<D> {
    /// The backends of a proxy, in order.
    pub(super) fn backends_of(&self, proxy: &Proxy) -> Vec<Backend> {
        let shares = self.shares(proxy);
        let backend = |(it, share): (&proxy::Backend, f64)| {
            let (health, health_reason) = self.health_in(proxy, it);
            Backend {
                service: proxy.name.clone(),
                proxy: true,
                name: it.name.clone(),
                at: match &it.address {
                    Place::Tcp(socket) => {
                        let port = Ports::one(Port::new(socket.port()));
                        At::Host { address: socket.ip(), port }
                    }
                    Place::Unix(path) => At::Socket { path: path.clone() },
                },
                weight: it.weight,
                admin: match it.admin {
                    config::Admin::Ready => Admin::Ready,
                    config::Admin::Drain { .. } => Admin::Drain,
                    config::Admin::Maintenance => Admin::Maintenance,
                },
                // How far it is, the forwarder knows.
                drain: matches!(it.admin, config::Admin::Drain { .. }).then(|| Drain {
                    connections: 0,
                    silent_seconds: 1,
                    deadline_seconds: seconds_left(it.admin),
                }),
                health,
                health_reason,
                share,
                next_hop: None,
                traffic: Traffic::default(),
            }
        };
        proxy.backends.iter().zip(shares).map(backend).collect()
    }

    pub(in crate::control) fn health_in(
        &self,
        proxy: &Proxy,
        backend: &proxy::Backend,
    ) -> (Health, String) {
        if backend.admin == config::Admin::Maintenance {
            (Health::Unchecked, "in maintenance".into())
        } else if proxy.check.is_none() {
            (Health::Unchecked, "the proxy has no check".into())
        } else {
            told(self.finding(proxy, backend))
        }
    }

    /// What each backend gets of new sessions by the weights: backups where there is nobody else.
    fn shares(&self, proxy: &Proxy) -> Vec<f64> {
        let weight = |it: &proxy::Backend, backup: bool| {
            let state = self.state_of(proxy, it);
            let open = state.up && it.admin == config::Admin::Ready && it.backup == backup;
            if open { u32::from(it.weight) * u32::from(state.parts) } else { 0 }
        };
        let weights =
            |backup| -> Vec<u32> { proxy.backends.iter().map(|it| weight(it, backup)).collect() };
        let first = weights(false);
        let weights = if first.iter().any(|it| *it > 0) { first } else { weights(true) };
        let sum = weights.iter().copied().map(f64::from).sum::<f64>().max(1.0);
        weights.into_iter().map(|it| f64::from(it) / sum).collect()
    }

    /// Proxies that nobody serves.
    pub(super) fn problems_of_proxies(&self, backends: &[Backend]) -> Vec<String> {
        let idle = |proxy: &&Proxy| {
            let mut pool = backends.iter().filter(|it| it.service == proxy.name);
            pool.all(|it| it.share == 0.0)
        };
        let proxies = self.config.proxies.iter().filter(idle);
        proxies.map(|proxy| format!("proxy {}: no backend is usable", proxy.name)).collect()
    }
}
