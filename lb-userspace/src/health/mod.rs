//! Health checks: they publish what they see and never touch maps.

pub mod agent;
mod flap;
pub mod probe;
mod ramp;
pub mod sm;
pub mod supervisor;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use lb_common::service::ServiceKey;

pub use self::ramp::FULL;

use crate::config::{
    Backend, Check, Service,
    proxy::{self, HeaderVersion, Place, Proxy},
};

/// What names a checked backend: the same place may be in several pools with different checks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKey {
    /// A service's.
    Service {
        /// The service.
        service: ServiceKey,
        /// The backend's address and port.
        backend: SocketAddr,
    },
    /// A proxy's.
    Proxy {
        /// The proxy's name.
        proxy: String,
        /// Where the backend is.
        backend: Place,
    },
}

impl TargetKey {
    /// That of a service's backend.
    #[must_use]
    pub fn of(service: &Service, backend: &Backend) -> Self {
        Self::Service { service: service.key(), backend: backend.socket() }
    }

    /// That of a proxy's backend.
    #[must_use]
    pub fn of_proxy(proxy: &Proxy, backend: &proxy::Backend) -> Self {
        Self::Proxy { proxy: proxy.name.clone(), backend: backend.address.clone() }
    }
}

/// A backend to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The names of service or proxy, and backend.
    pub names: (String, String),
    /// How.
    pub check: Arc<Check>,
    /// What its checks connect to instead of its own address: what stands for the VIP on it.
    pub alias: Option<IpAddr>,
    /// The PROXY header that its connections begin with: one that says that they are nobody's.
    pub header: Option<HeaderVersion>,
    /// What to believe until the first results: a restarted daemon goes on from what it finds.
    pub initially_up: bool,
}

impl Target {
    /// Whether another one is checked in the same way.
    #[must_use]
    pub fn is_checked_as(&self, other: &Self) -> bool {
        let Self { names, check, alias, header, initially_up: _ } = self;
        let same_way = *alias == other.alias && *header == other.header;
        *names == other.names && *check == other.check && same_way
    }
}

/// All backends to check.
pub type Targets = BTreeMap<TargetKey, Target>;

/// What the checks of one backend say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it may take connections.
    pub up: bool,
    /// Whether a check has said so; otherwise it is what was believed before, and none has contradicted it
    /// often enough.
    pub confirmed: bool,
    /// How many parts of its weight it has, of [`FULL`]: fewer for a while after it came back.
    pub parts: u8,
    /// Why, in the last check's words.
    pub reason: String,
}

impl Finding {
    /// What is believed of a target before its first results.
    #[must_use]
    pub fn expected(target: &Target) -> Self {
        let up = target.initially_up;
        Self { up, confirmed: false, parts: FULL, reason: "not checked yet".into() }
    }
}

/// What the checks say.
pub type View = BTreeMap<TargetKey, Finding>;
