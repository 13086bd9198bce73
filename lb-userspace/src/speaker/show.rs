//! What people and programs are told of a virtual router.

use super::{
    member::Member,
    message::{Router, milliseconds},
};
use crate::{config::Vrrp, vrrp::Machine};

impl Member {
    /// How it is, for people and programs.
    pub(super) fn view(&self, machine: &Machine) -> Router {
        let Vrrp { name, group, interface, id, version, interval, priority, .. } = &self.config;
        let failing = self.tracking.failing(&self.config.tracks);
        let problems = self.missing.iter().chain(&self.failure).cloned();
        Router {
            name: name.clone(),
            group: group.clone(),
            interface: interface.clone(),
            id: *id,
            version: *version,
            state: machine.state(),
            since: self.since,
            cause: self.cause,
            priority: machine.priority(),
            configured_priority: *priority,
            interval_ms: milliseconds(*interval),
            addresses: self.config.addresses.iter().map(|it| it.address).collect(),
            peer: machine.peer().map(Into::into),
            counters: machine.counters(),
            problems: problems.chain(failing).collect(),
        }
    }
}
