//! A backend: one machine of a pool.

use std::net::{IpAddr, SocketAddr};

use lb_common::{addr::Port, service::Ports};
use serde::{Deserialize, Serialize};

use super::Service;

/// One real server of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// Its name, unique within the service; the same machine has the same name in all services.
    pub name: String,
    /// Its address; of the VIP's family, unless the packets travel in a tunnel.
    pub address: IpAddr,
    /// Its port: [`Service::default_port`] unless `nat` rewrites it.
    pub port: u16,
    /// Its share in relation to the others, 0 (no flows) to [`super::MAX_WEIGHT`].
    pub weight: u16,
    /// What the operator wants of it.
    pub admin: Admin,
}

/// What the operator wants of a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Admin {
    /// It takes its share.
    #[default]
    Ready,
    /// It gets no new connections and keeps those that it has.
    Drain {
        /// When [`Admin::Maintenance`] begins, in seconds of Unix time; never if absent.
        until: Option<u64>,
    },
    /// It gets nothing and is not checked; its connections follow the service's `on_down`.
    Maintenance,
}

impl Admin {
    /// A drain without an end.
    pub const DRAIN: Self = Self::Drain { until: None };

    /// `ready`, `drain` or `maintenance`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain { .. } => "drain",
            Self::Maintenance => "maintenance",
        }
    }
}

impl Backend {
    /// Where it is.
    #[must_use]
    pub const fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// Whether another one has the same address and port.
    #[must_use]
    pub fn is_at(&self, other: &Self) -> bool {
        (self.address, self.port) == (other.address, other.port)
    }

    /// The ports that it serves `service` at.
    #[must_use]
    pub fn ports(&self, service: &Service) -> Ports {
        if service.ports.is_one() { Ports::one(Port::new(self.port)) } else { service.ports }
    }
}
