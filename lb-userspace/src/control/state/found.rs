//! What a daemon finds in the maps when it starts.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use lb_common::backend::{Backend as Line, Condition};

use crate::{
    config::{self, Config},
    dataplane::Actual,
    desired::LastHops,
    health::TargetKey,
};

/// What an earlier daemon left in the maps.
pub(super) struct Found {
    pub(super) down: BTreeSet<TargetKey>,
    pub(super) last_hops: LastHops,
}

impl Found {
    pub(super) fn of(config: &Config, actual: &Actual) -> Self {
        let last_hops = LastHops { backends: BTreeMap::new(), routes: actual.routes.clone() };
        let mut found = Self { down: BTreeSet::new(), last_hops };
        for service in &config.services {
            let pool = actual.pool(&service.key());
            let ways = pool.iter().map(|(endpoint, (_, line))| (endpoint, line.next_hop));
            let resolved = ways.filter(|(_, hop)| hop.is_resolved());
            found
                .last_hops
                .backends
                .extend(resolved.map(|(endpoint, hop)| (endpoint.address.to_ip(), hop)));
            for backend in &service.backends {
                let socket = SocketAddr::new(backend.address, backend.port);
                if let Some((_, line)) = pool.get(&socket.into()) {
                    found.note(service, backend, line);
                }
            }
        }
        found
    }

    fn note(&mut self, service: &config::Service, backend: &config::Backend, line: &Line) {
        if line.condition.contains(Condition::DOWN) {
            let backend = SocketAddr::new(backend.address, backend.port);
            let _: bool = self.down.insert(TargetKey { service: service.key(), backend });
        }
    }
}
