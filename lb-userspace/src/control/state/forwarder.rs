//! What the forwarder is told, and the proxies as they are wanted.

use std::collections::BTreeMap;

use super::State;
use crate::{
    api::{
        proxy::{Proxy, ProxyBackend, SessionTraffic},
        types,
    },
    config::{self, Admin},
    dataplane::Dataplane,
    forwarder::message::Duties,
};

impl<D: Dataplane> State<D> {
    /// What the forwarder is there for.
    pub fn forwarder_duties(&self) -> Duties {
        let node = &self.config.node;
        Duties {
            seed: node.seed,
            threads: node.proxy_threads.map(|it| it as usize),
            busy_poll: node.proxy_busy_poll,
            drain: node.proxy_drain,
            proxies: self.forwarding(),
        }
    }

    /// The proxies, without what only the forwarder knows.
    pub fn proxies(&self) -> Vec<Proxy> {
        self.config.proxies.iter().map(|it| self.proxy(it)).collect()
    }

    fn proxy(&self, proxy: &config::proxy::Proxy) -> Proxy {
        Proxy {
            name: proxy.name.clone(),
            listen: proxy.listen.iter().map(ToString::to_string).collect(),
            balance: proxy.balance,
            role: proxy.mysql.as_ref().map(|it| it.role),
            primary: None,
            max_connections: proxy.max_connections,
            waiting: 0,
            traffic: SessionTraffic::default(),
            ends: BTreeMap::new(),
            backends: proxy.backends.iter().map(|it| self.proxy_backend(proxy, it)).collect(),
            problems: Vec::new(),
        }
    }

    fn proxy_backend(
        &self,
        proxy: &config::proxy::Proxy,
        backend: &config::proxy::Backend,
    ) -> ProxyBackend {
        let (health, health_reason) = self.health_in(proxy, backend);
        ProxyBackend {
            name: backend.name.clone(),
            address: backend.address.to_string(),
            weight: backend.weight,
            backup: backend.backup,
            admin: match backend.admin {
                Admin::Ready => types::Admin::Ready,
                Admin::Drain { .. } => types::Admin::Drain,
                Admin::Maintenance => types::Admin::Maintenance,
            },
            deadline_seconds: seconds_left(backend.admin),
            health,
            health_reason,
            open: false,
            ejected: false,
            traffic: SessionTraffic::default(),
        }
    }
}

/// In how many seconds a drain ends in maintenance, if it does.
pub(in crate::control) fn seconds_left(admin: Admin) -> Option<u64> {
    match admin {
        Admin::Drain { until } => until.map(|it| it.saturating_sub(super::unix_time())),
        Admin::Ready | Admin::Maintenance => None,
    }
}
