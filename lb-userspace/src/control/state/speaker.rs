//! What the VRRP speaker is told.

use super::State;
use crate::{
    api::types::Interface,
    config::Vrrp,
    dataplane::{Dataplane, Trials},
    speaker::message::Report,
};

impl<D: Dataplane> State<D> {
    /// What to speak VRRP for.
    pub fn routers(&self) -> Vec<Vrrp> {
        self.config.vrrp.clone()
    }
}

impl<D: Dataplane + Trials> State<D> {
    /// What is seen of what is tracked. The packet path is well while its interfaces are those that the
    /// program was attached to, and the program takes a packet.
    pub fn speaker_report(&self, attached: &[Interface]) -> Report {
        let is_there = |it: &Interface| self.topology.interface(&it.name) == Some(it.index);
        let takes = self.reconciler.dataplane().takes_a_packet();
        let takes = takes.unwrap_or_else(|error| {
            tracing::error!("the packet path takes no packet: {error}");
            false
        });
        let healthy = |service| self.strength(service).up > 0;
        let services = self.config.services.iter();
        Report {
            datapath: takes && attached.iter().all(is_there),
            services: services.map(|it| (it.name.clone(), healthy(it))).collect(),
        }
    }
}
