//! Which drained backends still have flows: those that a slot, a remembered flow or a note names.

use std::collections::{BTreeMap, BTreeSet};

use lb_common::{backend::Condition, service::ServiceKey, slot::Index};

use super::{sweep::Pass, upkeep::expired, view::View};
use crate::{dataplane::Actual, ring::Endpoint};

/// A backend of a service.
type Member = (ServiceKey, Endpoint);

/// What is remembered of drained backends from tick to tick.
#[derive(Debug, Default)]
pub(super) struct Draining {
    /// Those that no slot names, and since when.
    unnamed: BTreeMap<Member, (Index, u32)>,
    /// Those that have no flow left.
    pub(super) done: BTreeSet<Member>,
}

impl Draining {
    /// Takes note of what the slots name at a tick.
    pub(super) fn see(&mut self, views: &[View], actual: &Actual, now: u32) {
        let unnamed = views.iter().flat_map(|view| {
            let drained = drained(view, actual);
            let unnamed = view.unnamed(&drained.values().copied().collect::<Vec<_>>());
            let members = drained.into_iter().filter(move |(_, index)| unnamed.contains(index));
            members.map(|(endpoint, index)| ((view.key, endpoint), index))
        });
        let since = |member: &Member, index| {
            let known = self.unnamed.get(member).filter(|(known, _)| *known == index);
            known.map_or(now, |(_, since)| *since)
        };
        self.unnamed =
            unnamed.map(|(member, index)| (member, (index, since(&member, index)))).collect();
        self.done.retain(|member| self.unnamed.contains_key(member));
    }

    /// Draws the conclusions from a pass over the flow table.
    pub(super) fn conclude(&mut self, pass: &Pass, views: &[View]) {
        let ids: BTreeMap<_, _> = views.iter().map(|view| (view.key, view.service.id)).collect();
        let is_done = |(key, _): &Member, (index, since): (Index, u32)| {
            let id = ids.get(key);
            expired(since, pass.started) && id.is_some_and(|id| !pass.names(*id, index))
        };
        let done = self.unnamed.iter().filter(|(member, at)| is_done(member, **at));
        self.done = done.map(|(member, _)| *member).collect();
    }

    /// Whether nothing is left to be found out, as long as no slot changes.
    pub(super) fn is_over(&self) -> bool {
        self.unnamed.keys().all(|member| self.done.contains(member))
    }
}

fn drained(view: &View, actual: &Actual) -> BTreeMap<Endpoint, Index> {
    let lines = actual.backends.range(view.service.block());
    lines
        .filter(|(_, line)| line.condition.is_drained())
        .filter(|(_, line)| !line.condition.contains(Condition::LEAVING))
        .map(|(place, line)| (line.into(), (place - view.service.backend_base) as Index))
        .collect()
}
