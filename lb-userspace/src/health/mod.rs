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

use crate::config::{Backend, Check, Service};

/// What names a checked backend: the same address may serve two services with different checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey {
    /// The service.
    pub service: ServiceKey,
    /// The backend's address and port.
    pub backend: SocketAddr,
}

impl TargetKey {
    /// That of a service's backend.
    #[must_use]
    pub fn of(service: &Service, backend: &Backend) -> Self {
        Self { service: service.key(), backend: backend.socket() }
    }
}

/// A backend to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The names of service and backend.
    pub names: (String, String),
    /// How.
    pub check: Arc<Check>,
    /// What its checks connect to instead of its own address: what stands for the VIP on it.
    pub alias: Option<IpAddr>,
    /// What to believe until the first results: a restarted daemon goes on from what it finds.
    pub initially_up: bool,
}

impl Target {
    /// Whether another one is checked in the same way.
    #[must_use]
    pub fn is_checked_as(&self, other: &Self) -> bool {
        let Self { names, check, alias, initially_up: _ } = self;
        *names == other.names && *check == other.check && *alias == other.alias
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
