//! Routes: addresses that are on an interface while all is well, for a routing daemon to announce.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

use super::{
    message::{self, Noted, RouteState, What},
    sight::Sight,
    track::Tracking,
};
use crate::{
    companion::unix_now,
    config::{
        Route,
        vrrp::{Track, Tracked},
    },
    events::Who,
    topology::{
        netlink,
        vip::{Vips, host_length},
    },
};

/// Routes have no priority; what they track has no weight.
const PRIORITY: u8 = 0;

/// All routes, in the configuration's order.
#[derive(Default)]
pub(super) struct Routes(Vec<Entry>);

struct Entry {
    config: Route,
    tracking: Tracking,
    past: Past,
    /// Whether its addresses have been brought to its state.
    settled: bool,
    /// What the kernel refused last.
    failure: Option<String>,
}

/// What a route was in another process, or before its configuration changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Past {
    state: RouteState,
    since: u64,
    cause: String,
    /// Whether an operator lets it be announced.
    wanted: bool,
    /// What was seen of what it tracks.
    seen: Vec<(Tracked, bool)>,
}

/// How a look is counted: see [`Tracking::see`] and [`Tracking::glance`].
pub(super) type Take = fn(&mut Tracking, usize, bool);

impl Routes {
    /// What they are now, by name.
    pub(super) fn pasts(&self) -> BTreeMap<String, Past> {
        self.0.iter().map(|entry| (entry.config.name.clone(), entry.past())).collect()
    }

    /// The addresses of all, on interfaces or not.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().flat_map(|entry| entry.config.addresses.iter().copied())
    }

    /// Other routes from now on. Those that stay go on as they are; `pasts` are of another process.
    pub(super) async fn configure(
        &mut self,
        config: &[Route],
        mut pasts: BTreeMap<String, Past>,
        sight: &Sight<'_>,
        vips: &mut Vips,
    ) -> Vec<Noted> {
        pasts.extend(self.pasts());
        let mut notes = Vec::new();
        for mut entry in std::mem::take(&mut self.0) {
            let Route { name, interface, addresses, .. } = &entry.config;
            let after = config.iter().find(|it| it.name == *name);
            let stays = |it: &Route| it.interface == *interface;
            let kept = after.filter(|it| stays(it)).map_or(&[][..], |it| &it.addresses);
            let gone: Vec<_> = addresses.iter().filter(|it| !kept.contains(it)).copied().collect();
            entry.put(&gone, false, sight, vips).await;
            if after.is_none() && entry.past.state == RouteState::Announced {
                notes.push(entry.turn(RouteState::Withdrawn, "it is not configured any more"));
            }
        }
        self.0 = config.iter().map(|it| Entry::new(it.clone(), pasts.remove(&it.name))).collect();
        notes
    }

    /// Takes what the node and a daemon show of what is tracked, and does what follows from it.
    pub(super) async fn weigh(
        &mut self,
        sight: &Sight<'_>,
        take: Take,
        vips: &mut Vips,
    ) -> Vec<Noted> {
        let mut notes = Vec::new();
        for entry in &mut self.0 {
            for (index, Track { what, .. }) in entry.config.tracks.iter().enumerate() {
                if let Some(good) = sight.of(what) {
                    take(&mut entry.tracking, index, good);
                }
            }
            notes.extend(entry.decide(sight, &Who::lb()));
            entry.settle(sight, vips).await;
        }
        notes
    }

    /// The result of a script.
    pub(super) fn saw(&mut self, name: &str, index: usize, good: bool) {
        if let Some(entry) = self.0.iter_mut().find(|it| it.config.name == name) {
            entry.tracking.see(index, good);
        }
    }

    /// Does what an operator wants of one, or of all.
    pub(super) async fn order(
        &mut self,
        (name, wanted): (Option<&str>, bool),
        who: &Who,
        sight: &Sight<'_>,
        vips: &mut Vips,
    ) -> Vec<Noted> {
        let mut notes = Vec::new();
        let named = |it: &&mut Entry| name.is_none_or(|name| it.config.name == name);
        for entry in self.0.iter_mut().filter(named) {
            if std::mem::replace(&mut entry.past.wanted, wanted) == wanted {
                continue;
            }
            let note = entry.decide(sight, who);
            entry.settle(sight, vips).await;
            notes.push(note.unwrap_or_else(|| entry.note(who)));
        }
        notes
    }

    /// Withdraws all for good.
    pub(super) async fn end(&mut self, sight: &Sight<'_>, vips: &mut Vips) -> Vec<Noted> {
        let mut notes = Vec::new();
        for mut entry in std::mem::take(&mut self.0) {
            let addresses = entry.config.addresses.clone();
            entry.put(&addresses, false, sight, vips).await;
            if let Some(failure) = &entry.failure {
                tracing::warn!("{}: {failure}", entry.config.name);
            }
            if entry.past.state == RouteState::Announced {
                notes.push(entry.turn(RouteState::Withdrawn, "the speaker ends"));
            }
        }
        notes
    }

    /// How they are, for people and programs.
    pub(super) fn view(&self) -> Vec<message::Route> {
        self.0.iter().map(Entry::view).collect()
    }
}

impl Entry {
    /// A route that goes on from what it was; a new one is withdrawn until it is known to be well.
    fn new(config: Route, past: Option<Past>) -> Self {
        let past = past.unwrap_or_else(|| Past {
            state: RouteState::Withdrawn,
            since: unix_now(),
            cause: "nothing is known yet".into(),
            wanted: true,
            seen: Vec::new(),
        });
        let tracking = Tracking::resume(PRIORITY, &config.tracks, &past.seen);
        Self { config, tracking, past, settled: false, failure: None }
    }

    fn past(&self) -> Past {
        Past { seen: self.tracking.seen(&self.config.tracks), ..self.past.clone() }
    }

    /// Why it must not be announced.
    fn obstacle(&self, sight: &Sight<'_>) -> Option<String> {
        if !self.past.wanted {
            return Some("an operator wants it".into());
        }
        let interface = &self.config.interface;
        if sight.topology.interface(interface).is_none() {
            return Some(format!("there is no interface {interface}"));
        }
        if sight.report.is_none() {
            return Some("no daemon has said yet that its program is attached".into());
        }
        self.tracking.failing(&self.config.tracks).into_iter().next()
    }

    /// Brings its state to what is seen; gives what there is to tell.
    fn decide(&mut self, sight: &Sight<'_>, who: &Who) -> Option<Noted> {
        if sight.topology.links.is_empty() {
            // Before the first look.
            return None;
        }
        let (state, cause) = match self.obstacle(sight) {
            Some(obstacle) => (RouteState::Withdrawn, obstacle),
            None => (RouteState::Announced, "all that it needs is well".into()),
        };
        if state == self.past.state {
            self.past.cause = cause;
            return None;
        }
        let _ = self.turn(state, &cause);
        Some(self.note(who))
    }

    fn turn(&mut self, state: RouteState, cause: &str) -> Noted {
        self.past = Past { state, cause: cause.into(), since: unix_now(), ..self.past.clone() };
        self.settled = false;
        self.note(&Who::lb())
    }

    fn note(&self, who: &Who) -> Noted {
        let Past { state, cause, .. } = &self.past;
        let what = What::Route(*state, cause.clone(), who.clone());
        Noted { subject: self.config.name.clone(), what }
    }

    /// Brings its addresses to its state, also where somebody else has moved them.
    async fn settle(&mut self, sight: &Sight<'_>, vips: &mut Vips) {
        let wanted = self.past.state == RouteState::Announced;
        let is_wrong = |it: &IpAddr| sight.topology.addresses.contains(it) != wanted;
        let addresses = self.config.addresses.iter();
        let wrong: Vec<_> = addresses.filter(|it| !self.settled || is_wrong(it)).copied().collect();
        if !wrong.is_empty() {
            self.put(&wrong, wanted, sight, vips).await;
        }
        self.settled = self.failure.is_none();
    }

    /// Puts addresses on its interface, or takes them off; where there is none, there are none.
    async fn put(
        &mut self,
        addresses: &[IpAddr],
        wanted: bool,
        sight: &Sight<'_>,
        vips: &mut Vips,
    ) {
        let Some(link) = sight.topology.interface(&self.config.interface) else { return };
        let mut done: Result<(), netlink::Error> = Ok(());
        for &address in addresses {
            let length = host_length(address);
            let moved = if wanted {
                vips.add(link, address, length).await
            } else {
                vips.remove(link, address, length).await
            };
            done = done.and(moved);
        }
        self.failure = done.err().map(|error| error.to_string());
    }

    fn view(&self) -> message::Route {
        let Self { config, tracking, past, settled: _, failure } = self;
        let Route { name, addresses, interface, tracks } = config;
        let Past { state, since, cause, wanted, seen: _ } = past;
        let problems = failure.iter().cloned().chain(tracking.failing(tracks));
        message::Route {
            name: name.clone(),
            state: *state,
            since: *since,
            cause: cause.clone(),
            wanted: *wanted,
            interface: interface.clone(),
            addresses: addresses.clone(),
            problems: problems.collect(),
        }
    }
}

#[cfg(test)]
mod tests;
