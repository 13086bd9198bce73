//! What the control task owns: the configuration in force, what was seen, and the writer of maps.

mod found;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use found::Found;

use super::Rejection;
use crate::{
    api::types::{Change, Changed},
    config::{self, Check, Config},
    dataplane::Dataplane,
    desired::{Desired, Drains, Inputs, LastHops, Usage, derive, strength, usage},
    health::{Finding, Target, TargetKey, Targets, View},
    reconcile::{self, Outcome, Reconciler},
    topology::Topology,
};

/// The node's state.
pub struct State<D> {
    pub(super) config: Config,
    pub(super) drains: Drains,
    pub(super) health: Arc<View>,
    pub(super) topology: Arc<Topology>,
    pub(super) reconciler: Reconciler<D>,
    /// Why the last round failed.
    pub(super) failure: Option<String>,
    last_hops: LastHops,
    /// The targets that count as up until their first results: those of the start, but for the ones
    /// that an earlier daemon found down. What is added later has to prove itself first.
    trusted: BTreeSet<TargetKey>,
}

impl<D: Dataplane> State<D> {
    /// The state over a packet path. What an earlier daemon left in it is gone on from: next hops,
    /// drains, and which backends were down.
    pub fn new(
        config: Config,
        topology: Arc<Topology>,
        dataplane: D,
    ) -> Result<Self, reconcile::Error> {
        let reconciler = Reconciler::new(dataplane);
        let found = Found::of(&config, &reconciler.actual()?);
        let mut state = Self {
            config,
            drains: found.drains,
            health: Arc::default(),
            topology,
            reconciler,
            failure: None,
            last_hops: found.last_hops,
            trusted: BTreeSet::new(),
        };
        state.trusted = state.targets().into_keys().filter(|it| !found.down.contains(it)).collect();
        state.see_health(Arc::default());
        Ok(state)
    }

    /// The packet path itself, for attaching.
    pub fn dataplane_mut(&mut self) -> &mut D {
        self.reconciler.dataplane_mut()
    }

    /// What the checks say now.
    pub fn see_health(&mut self, view: Arc<View>) {
        let before = std::mem::replace(&mut self.health, view);
        self.expect_findings();
        for (service, backend, key) in self.checked() {
            let [was, is] = [&before, &self.health].map(|view| view.get(&key));
            if let (Some(was), Some(Finding { up, reason, parts: _ })) = (was, is)
                && was.up != *up
            {
                let state = if *up { "up" } else { "down" };
                tracing::info!("backend {}/{} is {state}: {reason}", service.name, backend.name);
            }
        }
        for service in &self.config.services {
            let [was, is] = [&before, &self.health].map(|view| self.usage_by(view, service));
            if was != is {
                tracing::warn!(
                    "service {}: from {} to {}",
                    service.name,
                    was.as_str(),
                    is.as_str()
                );
            }
        }
    }

    /// Which backends of a service take new connections.
    pub(super) fn usage(&self, service: &config::Service) -> Usage {
        self.usage_by(&self.health, service)
    }

    fn usage_by(&self, health: &View, service: &config::Service) -> Usage {
        usage(service, strength(service, &self.drains, health))
    }

    /// What has no result yet is as it is believed to be.
    fn expect_findings(&mut self) {
        let targets = self.targets();
        let unseen = targets.into_iter().filter(|(key, _)| !self.health.contains_key(key));
        let expected: View =
            unseen.map(|(key, target)| (key, Finding::expected(&target))).collect();
        if !expected.is_empty() {
            Arc::make_mut(&mut self.health).extend(expected);
        }
    }

    /// What the kernel says of the network now.
    pub fn see_topology(&mut self, topology: Arc<Topology>) {
        self.topology = topology;
    }

    /// Brings the maps to the desired state; a failure is kept for the status.
    pub fn sync(&mut self) -> Result<Outcome, reconcile::Error> {
        let desired = self.desired();
        let outcome = self.reconciler.sync(&desired);
        self.failure = outcome.as_ref().err().map(ToString::to_string);
        self.remember_hops(&desired);
        outcome
    }

    /// Whether the maps are as desired, and nothing in them waits for its time.
    pub fn is_settled(&self) -> bool {
        self.failure.is_none() && self.reconciler.is_quiet()
    }

    /// Compares the next ring in turn on the next round, although it is believed to be in place.
    pub fn doubt(&mut self) {
        self.reconciler.forget_next();
    }

    /// One second has passed: windows end, and what is remembered of flows is swept.
    pub fn tick(&mut self) -> Result<(), reconcile::Error> {
        self.reconciler.tick(&self.desired())
    }

    fn desired(&self) -> Desired {
        derive(Inputs {
            config: &self.config,
            drains: &self.drains,
            health: &self.health,
            topology: &self.topology,
            last_hops: &self.last_hops,
            leaving: self.reconciler.leaving(),
        })
    }

    fn remember_hops(&mut self, desired: &Desired) {
        let ways = desired.services.values().flat_map(|service| {
            let stay = service.backends.iter().map(|(endpoint, backend)| (endpoint, &backend.way));
            stay.chain(&service.leaving)
        });
        self.last_hops = LastHops {
            backends: ways
                .filter(|(_, way)| way.next_hop.is_resolved())
                .map(|(endpoint, way)| (endpoint.address.to_ip(), way.next_hop))
                .collect(),
            routes: desired.routes.clone(),
        };
    }

    /// Makes a change, or leaves all as it was.
    pub fn change(&mut self, change: &Change) -> Result<Changed, Rejection> {
        let drains = self.drains.clone();
        let (services, config) = self.intend(change)?;
        if services.is_empty() {
            return Ok(Changed { services, slots_moved: 0 });
        }
        let targets = self.targets();
        self.trusted.retain(|key| targets.contains_key(key));
        self.expect_findings();
        match self.sync() {
            Ok(outcome) => Ok(Changed { services, slots_moved: outcome.slots_moved }),
            Err(error) => {
                self.drains = drains;
                if let Some(config) = config {
                    self.config = config;
                }
                if let Err(error) = self.sync() {
                    tracing::error!("going back to the state before the change: {error}");
                }
                Err(Rejection::Failed(error.to_string()))
            }
        }
    }

    /// Changes what is wanted; gives the names of the services it touches, and the configuration that
    /// it replaced, if it did.
    fn intend(&mut self, change: &Change) -> Result<(Vec<String>, Option<Config>), Rejection> {
        match change {
            Change::Drain { backend, service } => {
                Ok((self.drain(backend, service.as_deref(), true)?, None))
            }
            Change::Undrain { backend, service } => {
                Ok((self.drain(backend, service.as_deref(), false)?, None))
            }
            Change::Add { .. } | Change::Remove { .. } | Change::Weight { .. } => {
                let Some((config, services)) = config::change(&self.config, change)? else {
                    return Ok((Vec::new(), None));
                };
                let before = std::mem::replace(&mut self.config, config);
                let known: BTreeSet<_> = names(&self.config).collect();
                self.drains.retain(|drain| known.contains(drain));
                Ok((services, Some(before)))
            }
        }
    }

    fn drain(
        &mut self,
        backend: &str,
        service: Option<&str>,
        drained: bool,
    ) -> Result<Vec<String>, Rejection> {
        let found = config::find(&self.config, backend, service)?;
        let services = found.into_iter().map(|(index, _)| self.config.services[index].name.clone());
        Ok(services
            .filter(|service| {
                let drain = (service.clone(), backend.to_owned());
                if drained { self.drains.insert(drain) } else { self.drains.remove(&drain) }
            })
            .collect())
    }

    /// What is to be checked.
    #[must_use]
    pub fn targets(&self) -> Targets {
        let target = |(service, backend, key): (&config::Service, &config::Backend, TargetKey)| {
            let check = service.check.clone()?;
            let names = (service.name.clone(), backend.name.clone());
            let alias = self.alias(service, key.backend);
            let initially_up = self.trusted.contains(&key);
            Some((key, Target { names, check, alias, initially_up }))
        };
        self.checked().filter_map(target).collect()
    }

    /// What stands for the VIP on a backend, if its check goes through the packet path and can: a way
    /// that is missing must not take backends down, and they are asked directly.
    pub(super) fn alias(&self, service: &config::Service, backend: SocketAddr) -> Option<IpAddr> {
        let _: &Check = service.probe()?;
        self.reconciler.alias(&service.key(), backend.into()).map(|alias| alias.to_ip())
    }

    /// The backends of services that have a check.
    fn checked(&self) -> impl Iterator<Item = (&config::Service, &config::Backend, TargetKey)> {
        let services = self.config.services.iter().filter(|service| service.check.is_some());
        services.flat_map(|service| {
            service.backends.iter().map(move |backend| {
                let socket = SocketAddr::new(backend.address, backend.port);
                (service, backend, TargetKey { service: service.key(), backend: socket })
            })
        })
    }

    /// The addresses whose neighbours are to be kept resolved.
    #[must_use]
    pub fn wanted(&self) -> BTreeSet<IpAddr> {
        let stay = self.config.services.iter().flat_map(config::Service::machines);
        let leave = self.reconciler.leaving().values().flatten();
        let stay = stay.map(|backend| backend.address);
        stay.chain(leave.map(|endpoint| endpoint.address.to_ip())).collect()
    }
}

fn names(config: &Config) -> impl Iterator<Item = (String, String)> {
    config.services.iter().flat_map(|service| {
        service.backends.iter().map(|backend| (service.name.clone(), backend.name.clone()))
    })
}
