//! The pools of a configuration, be they services' or proxies': what commands change.

use serde::{Deserialize, Serialize};

use super::{Admin, Backend, Config, proxy};

/// A pool, by its place in [`Config::services`] or [`Config::proxies`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pool {
    /// A service's.
    Service(usize),
    /// A proxy's.
    Proxy(usize),
}

/// A backend of either kind of pool. They differ in their keys, so that they can be told apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum AnyBackend {
    /// A service's.
    Service(Backend),
    /// A proxy's.
    Proxy(proxy::Backend),
}

/// What commands know of a backend.
pub(super) trait Member: Clone + PartialEq {
    /// Its name, unique within the pool.
    fn name(&self) -> &str;
    /// Where it is, for people.
    fn place(&self) -> String;
    /// Whether another one is at the same place.
    fn is_at(&self, other: &Self) -> bool;
    /// Its share, and what the operator wants of it.
    fn standing(&self) -> (u16, Admin);
    /// The same, to be changed.
    fn standing_mut(&mut self) -> (&mut u16, &mut Admin);
    /// One of this kind.
    fn of(any: &AnyBackend) -> Option<&Self>;
    /// One of any kind.
    fn any(&self) -> AnyBackend;
}

impl Member for Backend {
    fn name(&self) -> &str {
        &self.name
    }

    fn place(&self) -> String {
        let Self { address, port, .. } = self;
        if *port == 0 { address.to_string() } else { format!("{address} port {port}") }
    }

    fn is_at(&self, other: &Self) -> bool {
        self.is_at(other)
    }

    fn standing(&self) -> (u16, Admin) {
        (self.weight, self.admin)
    }

    fn standing_mut(&mut self) -> (&mut u16, &mut Admin) {
        (&mut self.weight, &mut self.admin)
    }

    fn of(any: &AnyBackend) -> Option<&Self> {
        match any {
            AnyBackend::Service(it) => Some(it),
            AnyBackend::Proxy(_) => None,
        }
    }

    fn any(&self) -> AnyBackend {
        AnyBackend::Service(self.clone())
    }
}

impl Member for proxy::Backend {
    fn name(&self) -> &str {
        &self.name
    }

    fn place(&self) -> String {
        self.address.to_string()
    }

    fn is_at(&self, other: &Self) -> bool {
        self.address == other.address
    }

    fn standing(&self) -> (u16, Admin) {
        (self.weight, self.admin)
    }

    fn standing_mut(&mut self) -> (&mut u16, &mut Admin) {
        (&mut self.weight, &mut self.admin)
    }

    fn of(any: &AnyBackend) -> Option<&Self> {
        match any {
            AnyBackend::Service(_) => None,
            AnyBackend::Proxy(it) => Some(it),
        }
    }

    fn any(&self) -> AnyBackend {
        AnyBackend::Proxy(self.clone())
    }
}

impl Config {
    /// All pools, with their names: the services' first.
    pub(super) fn pools(&self) -> impl Iterator<Item = (Pool, &str)> {
        let services = self.services.iter().enumerate();
        let proxies = self.proxies.iter().enumerate();
        services
            .map(|(place, it)| (Pool::Service(place), it.name.as_str()))
            .chain(proxies.map(|(place, it)| (Pool::Proxy(place), it.name.as_str())))
    }

    /// The names of a pool's backends, in order.
    pub(super) fn members(&self, pool: Pool) -> Vec<&str> {
        fn names<B: Member>(backends: &[B]) -> Vec<&str> {
            backends.iter().map(Member::name).collect()
        }
        match pool {
            Pool::Service(place) => self.services.get(place).map(|it| names(&it.backends)),
            Pool::Proxy(place) => self.proxies.get(place).map(|it| names(&it.backends)),
        }
        .unwrap_or_default()
    }

    /// The shares of a pool's backends, and what the operator wants of them, in order.
    pub(super) fn standings(&self, pool: Pool) -> Vec<(u16, Admin)> {
        fn standings<B: Member>(backends: &[B]) -> Vec<(u16, Admin)> {
            backends.iter().map(Member::standing).collect()
        }
        match pool {
            Pool::Service(place) => self.services.get(place).map(|it| standings(&it.backends)),
            Pool::Proxy(place) => self.proxies.get(place).map(|it| standings(&it.backends)),
        }
        .unwrap_or_default()
    }

    /// What can be changed of a backend, by its place in its pool.
    pub(super) fn standing_mut(
        &mut self,
        pool: Pool,
        place: usize,
    ) -> Option<(&mut u16, &mut Admin)> {
        match pool {
            Pool::Service(it) => {
                self.services.get_mut(it)?.backends.get_mut(place).map(Member::standing_mut)
            }
            Pool::Proxy(it) => {
                self.proxies.get_mut(it)?.backends.get_mut(place).map(Member::standing_mut)
            }
        }
    }

    /// Takes a backend away, by its place in its pool.
    pub(super) fn remove(&mut self, pool: Pool, place: usize) {
        match pool {
            Pool::Service(it) => drop(self.services[it].backends.remove(place)),
            Pool::Proxy(it) => drop(self.proxies[it].backends.remove(place)),
        }
    }
}
