//! What the control loop did, as events: each when it is seen first.

use std::collections::BTreeSet;

use lb_common::service::ServiceKey;

use super::State;
use crate::{
    config,
    dataplane::Dataplane,
    desired::{Leaving, Strength, Usage},
    events::{Event, Kind},
    health::{Finding, View, agent},
    ring::Endpoint,
};

/// What was so when events were noted last.
#[derive(Debug, Default)]
pub(super) struct Noted {
    failure: Option<String>,
    sweep_failure: Option<String>,
    /// The services with slots that are not stable.
    unrest: BTreeSet<ServiceKey>,
    drained: BTreeSet<(ServiceKey, Endpoint)>,
    leaving: Leaving,
}

impl<D: Dataplane> State<D> {
    /// Notes what rounds and ticks have changed since this was called last.
    pub fn note_progress(&mut self) {
        let failure = self.failure.clone();
        note_failure(self, "the maps lag behind", |noted| &mut noted.failure, failure);
        let sweep_failure = self.sweep_failure.clone();
        let what = "the flow table is not swept";
        note_failure(self, what, |noted| &mut noted.sweep_failure, sweep_failure);
        self.note_moves();
        self.note_drained();
        self.note_left();
    }

    pub(super) fn note_health(&self, before: &View) {
        for (pool, backend, key) in self.checked() {
            let [was, is] = [before, &self.health].map(|view| view.get(&key));
            if let (Some(was), Some(Finding { up, reason, .. })) = (was, is)
                && was.up != *up
            {
                let kind = if *up { Kind::Up } else { Kind::Down };
                self.events.note(Event::new(kind, reason).of_backend(pool, backend));
            }
        }
    }

    pub(super) fn note_agents(&self, before: &agent::View) {
        for (service, backend, key) in self.members() {
            let [was, is] = [before, &self.agents].map(|view| view.get(&key).cloned());
            if let Some(said) = is
                && was.unwrap_or_default() != said
            {
                let event = Event::new(Kind::Agent, said.to_string());
                self.events.note(event.of_backend(&service.name, &backend.name));
            }
        }
    }

    /// How each service uses its backends, in the configuration's order.
    pub(super) fn usages(&self) -> Vec<Usage> {
        self.config.services.iter().map(|service| self.usage(service)).collect()
    }

    pub(super) fn note_usage(&self, before: &[Usage]) {
        for (service, was) in self.config.services.iter().zip(before) {
            let kind = match self.usage(service) {
                is if is == *was => continue,
                Usage::Normal => Kind::Normal,
                Usage::Panic => Kind::Panic,
                Usage::Sorry => Kind::Sorry,
            };
            let Strength { up, of } = self.strength(service);
            let cause = format!("{up} of {of} backends are up; was {}", was.as_str());
            self.events.note(Event::new(kind, cause).of_service(&service.name));
        }
    }

    fn note_moves(&mut self) {
        let moved = self.reconciler.take_moved();
        let mut unrest = BTreeSet::new();
        for service in &self.config.services {
            let key = service.key();
            if let Some(slots) = moved.get(&key) {
                let cause = format!("{slots} of {} slots changed hands", service.ring_size);
                self.events.note(Event::new(Kind::SlotsMoved, cause).of_service(&service.name));
            }
            if !self.reconciler.is_stable(&key) {
                let _: bool = unrest.insert(key);
            } else if self.noted.unrest.contains(&key) {
                let event =
                    Event::new(Kind::SlotsStable, "no connection depends on a move any more");
                self.events.note(event.of_service(&service.name));
            }
        }
        self.noted.unrest = unrest;
    }

    fn note_drained(&mut self) {
        if *self.reconciler.drained() == self.noted.drained {
            return;
        }
        let drained = self.reconciler.drained().clone();
        for (service, backend, _) in self.members() {
            let member = (service.key(), endpoint(backend));
            if drained.contains(&member) && !self.noted.drained.contains(&member) {
                let event = Event::new(Kind::Drained, "it has no connections any more");
                self.events.note(event.of_backend(&service.name, &backend.name));
            }
        }
        self.noted.drained = drained;
    }

    fn note_left(&mut self) {
        if *self.reconciler.leaving() == self.noted.leaving {
            return;
        }
        let leaving = self.reconciler.leaving().clone();
        for service in &self.config.services {
            let key = service.key();
            let [before, now] = [&self.noted.leaving, &leaving].map(|it| it.get(&key));
            for gone in before.into_iter().flatten() {
                let stays = now.is_some_and(|now| now.contains(gone))
                    || service.machines().any(|backend| endpoint(backend) == *gone);
                if !stays {
                    let address = gone.address.to_ip();
                    let cause =
                        format!("{address}, which was removed, has no connections any more");
                    self.events.note(Event::new(Kind::Left, cause).of_service(&service.name));
                }
            }
        }
        self.noted.leaving = leaving;
    }
}

fn endpoint(backend: &config::Backend) -> Endpoint {
    backend.socket().into()
}

/// Notes a failure that is another one than before, and its end.
fn note_failure<D>(
    state: &mut State<D>,
    what: &str,
    noted: impl Fn(&mut Noted) -> &mut Option<String>,
    now: Option<String>,
) {
    let before = noted(&mut state.noted);
    if *before == now {
        return;
    }
    before.clone_from(&now);
    state.events.note(match now {
        Some(error) => Event::new(Kind::Failing, format!("{what}: {error}")),
        None => Event::new(Kind::Recovered, format!("no longer so: {what}")),
    });
}
