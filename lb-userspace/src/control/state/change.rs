//! The ways from one configuration to another, but for files: all of them go through [`State::replace`].

use super::{State, Store, proxy, unix_time};
use crate::{
    api::types::{Change, Changed},
    config::{self, Admin, Config, Layer, file::Loaded, validate},
    control::Rejection,
    dataplane::Dataplane,
    events::{Event, Kind},
    health::TargetKey,
    reconcile::Outcome,
};

impl<D: Dataplane> State<D> {
    /// Makes a change, or leaves all as it was.
    pub fn change(&mut self, change: &Change) -> Result<Changed, Rejection> {
        let backend = config::subject_of(&self.config, change);
        let Some((config, services)) = config::change(&self.config, change, unix_time())? else {
            return Ok(Changed { backend, services: Vec::new(), slots_moved: 0 });
        };
        let Outcome { slots_moved, .. } = self.replace(config)?;
        self.keep();
        Ok(Changed { backend, services, slots_moved })
    }

    /// Puts another configuration in force, or leaves all as it was.
    pub(super) fn replace(&mut self, config: Config) -> Result<Outcome, Rejection> {
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
            backends.map(|backend| TargetKey::of(service, backend))
        });
        let forwarders = before.proxies.iter().filter(|proxy| proxy.check.is_none());
        let forwarded = forwarders.flat_map(proxy::members).map(|(_, key)| key);
        self.trusted.extend(served.chain(forwarded));
        let targets = self.targets();
        self.trusted.retain(|key| targets.contains_key(key));
        // What is known of others says nothing of them when they come back.
        std::sync::Arc::make_mut(&mut self.health).retain(|key, _| targets.contains_key(key));
    }

    /// Keeps the run-time changes for the next daemon.
    pub(super) fn keep(&mut self) {
        self.complaint = self.store.save(self.layer()).err();
        self.tell_complaint();
    }

    pub(super) fn tell_complaint(&self) {
        if let Some(complaint) = &self.complaint {
            self.events.note(Event::new(Kind::Lost, complaint));
        }
    }

    /// The run-time changes.
    pub(super) fn layer(&self) -> Layer {
        Layer::between(&self.file.config, &self.config)
    }

    /// Backends whose drain has come to its deadline are in maintenance from now on.
    pub(super) fn end_drains(&mut self, now: u64) {
        let Some((config, ended)) = config::end_drains(&self.config, now) else { return };
        // A failure is noted as one of the round, and the next tick tries again.
        if self.replace(config).is_ok() {
            for (pool, backend) in ended {
                let event = Event::new(Kind::Maintenance, "its drain has come to its deadline");
                self.events.note(event.of_backend(&pool, &backend));
            }
            self.keep();
        }
    }
}

/// What an earlier daemon ran: the file's configuration with the run-time changes that it kept; and what
/// has come to nothing of them.
pub(super) fn restored(file: &Loaded, store: &Store) -> (Config, Option<String>) {
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
