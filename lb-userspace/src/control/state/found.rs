//! What a daemon finds in the maps when it starts.

use std::collections::{BTreeMap, BTreeSet};

use lb_common::backend::{Backend as Line, Condition};

use crate::{
    config::{self, Config},
    dataplane::Actual,
    desired::LastHops,
    health::{
        TargetKey,
        agent::{self, Said, line::Admin},
    },
};

/// What an earlier daemon left in the maps.
pub(super) struct Found {
    pub(super) down: BTreeSet<TargetKey>,
    pub(super) agents: agent::View,
    pub(super) last_hops: LastHops,
}

impl Found {
    pub(super) fn of(config: &Config, actual: &Actual) -> Self {
        let (down, agents) = (BTreeSet::new(), agent::View::new());
        let last_hops = LastHops { backends: BTreeMap::new(), routes: actual.routes.clone() };
        let mut found = Self { down, agents, last_hops };
        for service in &config.services {
            let pool = actual.pool(&service.key());
            let ways = pool.iter().map(|(endpoint, (_, line))| (endpoint, line.next_hop));
            let resolved = ways.filter(|(_, hop)| hop.is_resolved());
            found
                .last_hops
                .backends
                .extend(resolved.map(|(endpoint, hop)| (endpoint.address.to_ip(), hop)));
            for backend in &service.backends {
                if let Some((_, line)) = pool.get(&backend.socket().into()) {
                    found.note(service, backend, line);
                }
            }
        }
        found
    }

    fn note(&mut self, service: &config::Service, backend: &config::Backend, line: &Line) {
        let down = line.condition.contains(Condition::DOWN);
        let key = TargetKey::of(service, backend);
        if line.condition.contains(Condition::WITHDRAWN) && service.agent.is_some() {
            // Either ends with the agent's `ready`.
            let admin = if down { Admin::Maint } else { Admin::Drain };
            let _: Option<_> = self.agents.insert(key.clone(), Said { admin, ..Said::default() });
        }
        if down {
            let _: bool = self.down.insert(key);
        }
    }
}
