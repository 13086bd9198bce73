//! What the control task owns: the configuration in force, what was seen, and the writer of maps.

mod change;
pub(super) mod forwarder;
mod found;
mod noted;
mod proxy;
mod reload;
mod speaker;
mod store;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::SystemTime,
};

use found::Found;
use noted::Noted;

pub use self::store::Store;
use crate::{
    config::{self, Admin, Check, Config, file::Loaded},
    dataplane::Dataplane,
    desired::{Desired, Inputs, LastHops, Strength, Usage, derive, strength, usage},
    events::Events,
    health::{Finding, Target, TargetKey, Targets, View, agent},
    reconcile::{self, Outcome, Reconciler},
    topology::Topology,
};

/// The node's state.
pub struct State<D> {
    /// What runs: the file's configuration with the run-time changes.
    pub(super) config: Config,
    /// The file's.
    file: Loaded,
    store: Store,
    /// What became of the run-time changes, where it was not what was wanted.
    pub(super) complaint: Option<String>,
    pub(super) health: Arc<View>,
    pub(super) agents: Arc<agent::View>,
    pub(super) topology: Arc<Topology>,
    pub(super) reconciler: Reconciler<D>,
    /// Why the last round failed.
    pub(super) failure: Option<String>,
    /// Why the last tick failed.
    sweep_failure: Option<String>,
    /// Why the checks have no way into the packet path.
    pub(super) no_way: Option<String>,
    pub(super) events: Events,
    noted: Noted,
    last_hops: LastHops,
    /// The targets that count as up until their first results: those of the start, but for the ones
    /// that an earlier daemon found down. What is added later has to prove itself first.
    trusted: BTreeSet<TargetKey>,
}

impl<D: Dataplane> State<D> {
    /// The state over a packet path. What an earlier daemon left is gone on from: run-time changes,
    /// next hops, and which backends were down.
    pub fn new(
        file: Loaded,
        store: Store,
        topology: Arc<Topology>,
        dataplane: D,
    ) -> Result<Self, reconcile::Error> {
        let reconciler = Reconciler::new(dataplane);
        let (config, complaint) = change::restored(&file, &store);
        let found = Found::of(&config, &reconciler.actual()?);
        let mut state = Self {
            config,
            file,
            store,
            complaint,
            health: Arc::default(),
            agents: Arc::new(found.agents),
            topology,
            reconciler,
            failure: None,
            sweep_failure: None,
            no_way: None,
            events: Events::default(),
            noted: Noted::default(),
            last_hops: found.last_hops,
            trusted: BTreeSet::new(),
        };
        state.trusted = state.targets().into_keys().filter(|it| !found.down.contains(it)).collect();
        state.see_health(Arc::default());
        state.tell_complaint();
        Ok(state)
    }

    /// Where everything that happens to it is noted.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The packet path itself, for attaching.
    pub fn dataplane_mut(&mut self) -> &mut D {
        self.reconciler.dataplane_mut()
    }

    /// What the checks say now.
    pub fn see_health(&mut self, view: Arc<View>) {
        let used = self.usages();
        let before = std::mem::replace(&mut self.health, view);
        self.expect_findings();
        self.note_health(&before);
        self.note_usage(&used);
    }

    /// What the agents say now.
    pub fn see_agents(&mut self, view: Arc<agent::View>) {
        let used = self.usages();
        let before = std::mem::replace(&mut self.agents, view);
        self.note_agents(&before);
        self.note_usage(&used);
    }

    /// Which backends of a service take new connections.
    pub(super) fn usage(&self, service: &config::Service) -> Usage {
        usage(service, self.strength(service))
    }

    /// The backends of a service that may take connections.
    pub(super) fn strength(&self, service: &config::Service) -> Strength {
        strength(service, &self.health, &self.agents)
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

    /// What became of the way of the checks into the packet path; a failure is kept for the status.
    pub fn see_way_of_checks(&mut self, outcome: Result<(), String>) {
        let failure = outcome.err();
        if let Some(failure) = failure.iter().find(|_| failure != self.no_way) {
            tracing::error!("checks have no way into the packet path: {failure}");
        }
        self.no_way = failure;
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

    /// One second has passed: windows and drains end, and what is remembered of flows is swept.
    pub fn tick(&mut self) -> Result<(), reconcile::Error> {
        self.end_drains(unix_time());
        let tick = self.beat().and_then(|()| self.reconciler.tick(&self.desired()));
        self.sweep_failure = tick.as_ref().err().map(ToString::to_string);
        tick
    }

    /// Tells the packet path that the daemon lives, if it wants to know.
    pub fn beat(&mut self) -> Result<(), reconcile::Error> {
        let Some(watchdog) = self.config.node.watchdog else { return Ok(()) };
        self.reconciler.beat(watchdog.as_secs().try_into().unwrap_or(u32::MAX))
    }

    fn desired(&self) -> Desired {
        derive(Inputs {
            config: &self.config,
            health: &self.health,
            agents: &self.agents,
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

    /// What is to be checked.
    #[must_use]
    pub fn targets(&self) -> Targets {
        let target = |(service, backend, key): (&config::Service, &config::Backend, TargetKey)| {
            let check = service.check.clone()?;
            let names = (service.name.clone(), backend.name.clone());
            let alias = self.alias(service, backend.socket());
            let initially_up = self.trusted.contains(&key);
            Some((key, Target { names, check, alias, header: None, initially_up }))
        };
        self.members().filter_map(target).chain(self.targets_of_proxies()).collect()
    }

    /// What stands for the VIP on a backend, if its check goes through the packet path and can: a way
    /// that is missing must not take backends down, and they are asked directly.
    pub(super) fn alias(&self, service: &config::Service, backend: SocketAddr) -> Option<IpAddr> {
        let _: &Check = service.probe()?;
        self.reconciler.alias(&service.key(), backend.into()).map(|alias| alias.to_ip())
    }

    /// What is checked: the names of pool and backend, and the key.
    fn checked(&self) -> impl Iterator<Item = (&str, &str, TargetKey)> {
        let services = self.members().filter(|(service, ..)| service.check.is_some());
        let services =
            services.map(|(service, it, key)| (service.name.as_str(), it.name.as_str(), key));
        let proxies = self.config.proxies.iter().filter(|proxy| proxy.check.is_some());
        let proxies = proxies.flat_map(|proxy| {
            proxy::members(proxy).map(|(it, key)| (proxy.name.as_str(), it.name.as_str(), key))
        });
        services.chain(proxies)
    }

    /// The agents to ask.
    #[must_use]
    pub fn agents(&self) -> agent::Targets {
        let target = |(service, backend, key): (&config::Service, &config::Backend, TargetKey)| {
            let agent = service.agent.clone()?;
            let address = agent.address.unwrap_or(backend.address);
            let address = SocketAddr::new(address, agent.port);
            Some((key, agent::Target { address, agent }))
        };
        self.members().filter_map(target).collect()
    }

    /// What the agents are believed to have said.
    #[must_use]
    pub fn said(&self) -> &agent::View {
        &self.agents
    }

    /// All members of services' pools, but for those in maintenance.
    fn members(&self) -> impl Iterator<Item = (&config::Service, &config::Backend, TargetKey)> {
        self.config.services.iter().flat_map(|service| {
            let backends = service.backends.iter().filter(|it| it.admin != Admin::Maintenance);
            backends.map(move |backend| (service, backend, TargetKey::of(service, backend)))
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

/// Seconds of Unix time.
pub(super) fn unix_time() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
