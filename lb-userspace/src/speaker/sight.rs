//! What the node and the daemon show of what is tracked.

use super::message::Report;
use crate::{config::vrrp::Tracked, topology::Topology};

/// One moment.
pub(super) struct Sight<'a> {
    /// The node's links.
    pub(super) topology: &'a Topology,
    /// What a daemon said last, if one did.
    pub(super) report: Option<&'a Report>,
}

impl Sight<'_> {
    /// Whether it is well; `None` if that is not to be seen here, or not yet.
    pub(super) fn of(&self, what: &Tracked) -> Option<bool> {
        match what {
            Tracked::Interface(name) => {
                let index = self.topology.interface(name);
                let link = index.and_then(|it| self.topology.links.get(&it));
                Some(link.is_some_and(|it| it.up))
            }
            Tracked::Datapath => Some(self.report?.datapath),
            Tracked::Service(name) => self.report?.services.get(name).copied(),
            Tracked::Script { .. } => None,
        }
    }
}
