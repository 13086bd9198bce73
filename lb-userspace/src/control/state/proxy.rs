//! What is checked of proxies, and what their forwarders are told.

use super::State;
use crate::{
    config::{
        Admin,
        proxy::{Backend, Proxy},
    },
    dataplane::Dataplane,
    health::{FULL, Finding, Target, TargetKey},
    proxy::{self, Order},
};

/// The members of a proxy's pool, but for those in maintenance.
pub(super) fn members(proxy: &Proxy) -> impl Iterator<Item = (&Backend, TargetKey)> {
    let backends = proxy.backends.iter().filter(|it| it.admin != Admin::Maintenance);
    backends.map(|backend| (backend, TargetKey::of_proxy(proxy, backend)))
}

impl<D: Dataplane> State<D> {
    /// What is to be checked for proxies.
    pub(super) fn targets_of_proxies(&self) -> impl Iterator<Item = (TargetKey, Target)> {
        let checked = self.config.proxies.iter().filter_map(|it| Some((it, it.check.as_ref()?)));
        checked.flat_map(move |(proxy, check)| {
            members(proxy).map(move |(backend, key)| {
                let names = (proxy.name.clone(), backend.name.clone());
                // Who listens at another port need not be told who the client is.
                let header = proxy.send_proxy.filter(|_| check.port.is_none());
                let (check, alias) = (check.clone(), None);
                let initially_up = self.trusted.contains(&key);
                (key, Target { names, check, alias, header, initially_up })
            })
        })
    }

    /// All that the forwarders are to be, in the configuration's order. The sessions of a backend that is
    /// down or in maintenance follow its proxy's `on_down` without a further word.
    #[must_use]
    pub fn forwarding(&self) -> Vec<Order> {
        let order = |proxy: &Proxy| {
            let state = |it: &Backend| (it.name.clone(), self.state_of(proxy, it));
            let states = proxy.backends.iter().map(state).collect();
            Order { settings: Proxy { check: None, ..proxy.clone() }, states, hold: None }
        };
        self.config.proxies.iter().map(order).collect()
    }

    /// What is known of a backend, but for what its forwarder sees.
    pub(in crate::control) fn state_of(&self, proxy: &Proxy, backend: &Backend) -> proxy::State {
        let finding = self.finding(proxy, backend);
        proxy::State {
            up: finding.is_none_or(|it| it.up),
            parts: finding.map_or(FULL, |it| it.parts),
            eligible: true,
            close: false,
        }
    }

    /// What its checks say of a proxy's backend, if it is checked.
    pub(in crate::control) fn finding(&self, proxy: &Proxy, backend: &Backend) -> Option<&Finding> {
        let finding = self.health.get(&TargetKey::of_proxy(proxy, backend));
        // The checks that have just ended may still be in the view.
        finding.filter(|_| proxy.check.is_some())
    }
}
