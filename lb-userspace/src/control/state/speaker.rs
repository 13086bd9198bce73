//! What the VRRP speaker is told.

use std::{collections::BTreeSet, net::IpAddr};

use super::State;
use crate::{
    api::types::Interface,
    cluster::{Own, Rings},
    config::{Service, Vrrp},
    dataplane::{Dataplane, Trials},
    speaker::message::Report,
};

impl<D: Dataplane> State<D> {
    /// What to speak VRRP for.
    pub fn routers(&self) -> Vec<Vrrp> {
        self.config.vrrp.clone()
    }

    /// The rings that the other nodes should have as well: of the services whose VIPs can move there.
    pub fn shared_rings(&self) -> Rings {
        let addresses = self.config.vrrp.iter().flat_map(|it| &it.addresses);
        let moving: BTreeSet<IpAddr> = addresses.map(|it| it.address).collect();
        let shared = |it: &&Service| moving.contains(&it.vip);
        let ring = |service: &Service| {
            let digest = self.reconciler.rings().get(&service.key())?.digest;
            let (protocol, ports) = (service.protocol.as_str(), service.ports);
            let key = format!("{},{ports}/{protocol}", service.vip);
            Some((key, Own { service: service.name.clone(), digest }))
        };
        self.config.services.iter().filter(shared).filter_map(ring).collect()
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
