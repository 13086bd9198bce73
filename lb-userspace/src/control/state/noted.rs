//! What the control loop did, as events: each when it is seen first.

use std::{collections::BTreeSet, net::SocketAddr};

use lb_common::service::ServiceKey;

use super::State;
use crate::{
    config,
    dataplane::Dataplane,
    desired::Leaving,
    events::{Event, Kind},
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
        let drained = self.reconciler.drained().clone();
        for (service, backend) in self.pairs() {
            let member = (service.key(), endpoint(backend));
            if drained.contains(&member) && !self.noted.drained.contains(&member) {
                let event = Event::new(Kind::Drained, "it has no connections any more");
                self.events.note(event.of_backend(&service.name, &backend.name));
            }
        }
        self.noted.drained = drained;
    }

    fn note_left(&mut self) {
        let leaving = self.reconciler.leaving().clone();
        for service in &self.config.services {
            let key = service.key();
            let [before, now] = [&self.noted.leaving, &leaving].map(|it| it.get(&key));
            for gone in
                before.into_iter().flatten().filter(|it| now.is_none_or(|now| !now.contains(it)))
            {
                let is_back = service.machines().any(|it| endpoint(it) == *gone);
                if !is_back {
                    let address = gone.address.to_ip();
                    let cause =
                        format!("{address}, which was removed, has no connections any more");
                    self.events.note(Event::new(Kind::Left, cause).of_service(&service.name));
                }
            }
        }
        self.noted.leaving = leaving;
    }

    fn pairs(&self) -> impl Iterator<Item = (&config::Service, &config::Backend)> {
        let services = self.config.services.iter();
        services.flat_map(|it| it.backends.iter().map(move |backend| (it, backend)))
    }
}

fn endpoint(backend: &config::Backend) -> Endpoint {
    SocketAddr::new(backend.address, backend.port).into()
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
    *before = now.clone();
    state.events.note(match now {
        Some(error) => Event::new(Kind::Failing, format!("{what}: {error}")),
        None => Event::new(Kind::Recovered, format!("no longer so: {what}")),
    });
}
