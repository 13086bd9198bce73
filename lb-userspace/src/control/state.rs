//! What the control task owns: the configuration in force, what was seen, and the writer of maps.

mod found;
mod noted;
mod reload;
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
use super::Rejection;
use crate::{
    api::types::{Change, Changed},
    config::{self, Admin, Config, Layer, file::Loaded, validate},
    dataplane::Dataplane,
    desired::{Desired, Inputs, LastHops, Strength, Usage, derive, strength, usage},
    events::{Event, Events, Kind},
    health::{Finding, Target, TargetKey, Targets, View},
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
    pub(super) topology: Arc<Topology>,
    pub(super) reconciler: Reconciler<D>,
    /// Why the last round failed.
    pub(super) failure: Option<String>,
    /// Why the last tick failed.
    sweep_failure: Option<String>,
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
        let (config, complaint) = restored(&file, &store);
        let found = Found::of(&config, &reconciler.actual()?);
        let mut state = Self {
            config,
            file,
            store,
            complaint,
            health: Arc::default(),
            topology,
            reconciler,
            failure: None,
            sweep_failure: None,
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
        let before = std::mem::replace(&mut self.health, view);
        self.expect_findings();
        for (service, backend, key) in self.checked() {
            let [was, is] = [&before, &self.health].map(|view| view.get(&key));
            if let (Some(was), Some(Finding { up, reason, parts: _ })) = (was, is)
                && was.up != *up
            {
                let kind = if *up { Kind::Up } else { Kind::Down };
                let event = Event::new(kind, reason).of_backend(&service.name, &backend.name);
                self.events.note(event);
            }
        }
        for service in &self.config.services {
            let [was, is] = [&before, &self.health].map(|view| self.usage_by(view, service));
            if was != is {
                let kind = match is {
                    Usage::Normal => Kind::Normal,
                    Usage::Panic => Kind::Panic,
                    Usage::Sorry => Kind::Sorry,
                };
                let Strength { up, of } = strength(service, &self.health);
                let cause = format!("{up} of {of} backends are up; was {}", was.as_str());
                self.events.note(Event::new(kind, cause).of_service(&service.name));
            }
        }
    }

    /// Which backends of a service take new connections.
    pub(super) fn usage(&self, service: &config::Service) -> Usage {
        self.usage_by(&self.health, service)
    }

    fn usage_by(&self, health: &View, service: &config::Service) -> Usage {
        usage(service, strength(service, health))
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

    /// One second has passed: windows and drains end, and what is remembered of flows is swept.
    pub fn tick(&mut self) -> Result<(), reconcile::Error> {
        self.end_drains(unix_time());
        let tick = self.reconciler.tick(&self.desired());
        self.sweep_failure = tick.as_ref().err().map(ToString::to_string);
        tick
    }

    /// Backends whose drain has come to its deadline are in maintenance from now on.
    fn end_drains(&mut self, now: u64) {
        let (mut config, mut ended) = (None, Vec::new());
        for (index, service) in self.config.services.iter().enumerate() {
            for (position, backend) in service.backends.iter().enumerate() {
                if matches!(backend.admin, Admin::Drain { until: Some(until) } if until <= now) {
                    let config = config.get_or_insert_with(|| self.config.clone());
                    config.services[index].backends[position].admin = Admin::Maintenance;
                    let event = Event::new(Kind::Maintenance, "its drain has come to its deadline");
                    ended.push(event.of_backend(&service.name, &backend.name));
                }
            }
        }
        // A failure is noted as one of the round, and the next tick tries again.
        if let Some(Ok(_)) = config.map(|config| self.replace(config)) {
            ended.into_iter().for_each(|event| self.events.note(event));
            self.keep();
        }
    }

    fn desired(&self) -> Desired {
        derive(Inputs {
            config: &self.config,
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
        let Some((config, services)) = config::change(&self.config, change, unix_time())? else {
            return Ok(Changed { services: Vec::new(), slots_moved: 0 });
        };
        let Outcome { slots_moved, .. } = self.replace(config)?;
        self.keep();
        Ok(Changed { services, slots_moved })
    }

    /// Puts another configuration in force, or leaves all as it was.
    fn replace(&mut self, config: Config) -> Result<Outcome, Rejection> {
        let before = std::mem::replace(&mut self.config, config);
        self.trust_those_of(&before);
        self.expect_findings();
        self.sync().map_err(|error| {
            self.config = before;
            if let Err(error) = self.sync() {
                tracing::error!("going back to the state before the change: {error}");
            }
            Rejection::Failed(error.to_string())
        })
    }

    /// Where checks begin, what has served without them is believed to be up until they say otherwise;
    /// what is not checked any more is forgotten.
    fn trust_those_of(&mut self, before: &Config) {
        let unchecked = before.services.iter().filter(|service| service.check.is_none());
        let served = unchecked.flat_map(|service| {
            let backends = service.backends.iter().filter(|it| it.admin != Admin::Maintenance);
            backends.map(|backend| target_key(service, backend))
        });
        self.trusted.extend(served);
        let targets = self.targets();
        self.trusted.retain(|key| targets.contains_key(key));
        // What is known of others says nothing of them when they come back.
        Arc::make_mut(&mut self.health).retain(|key, _| targets.contains_key(key));
    }

    /// Keeps the run-time changes for the next daemon.
    fn keep(&mut self) {
        self.complaint = self.store.save(self.layer()).err();
        self.tell_complaint();
    }

    fn tell_complaint(&self) {
        if let Some(complaint) = &self.complaint {
            self.events.note(Event::new(Kind::Lost, complaint));
        }
    }

    /// The run-time changes.
    fn layer(&self) -> Layer {
        Layer::between(&self.file.config, &self.config)
    }

    /// What is to be checked.
    #[must_use]
    pub fn targets(&self) -> Targets {
        let target = |(service, backend, key): (&config::Service, &config::Backend, _)| {
            let check = service.check.clone()?;
            let names = (service.name.clone(), backend.name.clone());
            Some((key, Target { names, check, initially_up: self.trusted.contains(&key) }))
        };
        self.checked().filter_map(target).collect()
    }

    /// The backends of services that have a check, but for those in maintenance.
    fn checked(&self) -> impl Iterator<Item = (&config::Service, &config::Backend, TargetKey)> {
        let services = self.config.services.iter().filter(|service| service.check.is_some());
        services.flat_map(|service| {
            let backends = service.backends.iter().filter(|it| it.admin != Admin::Maintenance);
            backends.map(move |backend| (service, backend, target_key(service, backend)))
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

/// What an earlier daemon ran: the file's configuration with the run-time changes that it kept; and what
/// has come to nothing of them.
fn restored(file: &Loaded, store: &Store) -> (Config, Option<String>) {
    let (config, complaint) = match store.load() {
        Err(complaint) => (file.config.clone(), Some(complaint)),
        Ok(layer) => {
            let (config, lost) = layer.over(&file.config);
            let problems = validate::check(&config);
            if problems.is_empty() {
                (config, (!lost.is_empty()).then(|| lost.join("; ")))
            } else {
                let why = config::sentences(&config, &problems).replace('\n', "; ");
                let complaint = format!("the run-time changes do not fit the file any more: {why}");
                (file.config.clone(), Some(complaint))
            }
        }
    };
    (config, complaint)
}

fn target_key(service: &config::Service, backend: &config::Backend) -> TargetKey {
    let backend = SocketAddr::new(backend.address, backend.port);
    TargetKey { service: service.key(), backend }
}

/// Seconds of Unix time.
pub(super) fn unix_time() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
