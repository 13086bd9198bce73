//! What a speaker leaves to the program that goes on for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{member, message::Report, routes};
use crate::config::{Route, Vrrp};

/// All of it. A program of another version reads it: what is new has a default, and what it does not know
/// it skips.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Legacy {
    /// The virtual routers.
    pub(super) config: Vec<Vrrp>,
    /// What they were, by name.
    pub(super) pasts: BTreeMap<String, member::Past>,
    /// The routes.
    #[serde(default)]
    pub(super) routes: Vec<Route>,
    /// What they were, by name.
    #[serde(default)]
    pub(super) route_pasts: BTreeMap<String, routes::Past>,
    /// What a daemon said last, if one did.
    #[serde(default)]
    pub(super) report: Option<Report>,
}

/// What virtual routers and routes were in another process, by name.
#[derive(Debug, Default)]
pub(super) struct Pasts {
    pub(super) routers: BTreeMap<String, member::Past>,
    pub(super) routes: BTreeMap<String, routes::Past>,
}

impl Pasts {
    pub(super) fn is_empty(&self) -> bool {
        let Self { routers, routes } = self;
        routers.is_empty() && routes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_version_without_routes_has_left_is_understood() {
        let legacy: Legacy = serde_json::from_str(r#"{"config":[],"pasts":{}}"#).unwrap();
        assert!(legacy.routes.is_empty() && legacy.report.is_none());
    }
}
