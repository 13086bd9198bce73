//! What the speaker is told.

use std::{collections::BTreeSet, net::IpAddr};

use super::State;
use crate::{
    api::types::Interface,
    cluster::{Own, Rings},
    config::{Admin, Service},
    dataplane::{Dataplane, Trials},
    health::TargetKey,
    speaker::message::{Duties, Report},
};

impl<D: Dataplane> State<D> {
    /// What it is there for.
    pub fn duties(&self) -> Duties {
        Duties { routers: self.config.vrrp.clone(), routes: self.config.routes.clone() }
    }

    /// Whether a service has a backend that takes connections; `None` if that depends on checks that have
    /// not ended yet.
    fn is_served(&self, service: &Service) -> Option<bool> {
        let mut backends = service.backends.iter().filter(|it| it.admin == Admin::Ready);
        let is_found_up = |backend| {
            let found = self.health.get(&TargetKey::of(service, backend));
            found.is_some_and(|it| it.up && it.confirmed)
        };
        if self.strength(service).up == 0 {
            return Some(false);
        }
        (service.check.is_none() || backends.any(is_found_up)).then_some(true)
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
        let services = self.config.services.iter();
        let served = services.filter_map(|it| Some((it.name.clone(), self.is_served(it)?)));
        Report { datapath: takes && attached.iter().all(is_there), services: served.collect() }
    }
}
