//! Health checks: they publish what they see and never touch maps.

pub mod probe;
pub mod sm;
pub mod supervisor;

use std::{collections::BTreeMap, net::SocketAddr};

use lb_common::service::ServiceKey;

use crate::config::Check;

/// What names a checked backend: the same address may serve two services with different checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey {
    /// The service.
    pub service: ServiceKey,
    /// The backend's address and port.
    pub backend: SocketAddr,
}

/// A backend to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// How.
    pub check: Check,
    /// What to believe until the first results: a restarted daemon goes on from what it finds.
    pub initially_up: bool,
}

/// All backends to check.
pub type Targets = BTreeMap<TargetKey, Target>;

/// What the checks of one backend say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it may take connections.
    pub up: bool,
    /// Why, in the last check's words.
    pub reason: String,
}

/// What the checks say.
pub type View = BTreeMap<TargetKey, Finding>;
