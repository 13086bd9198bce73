//! What the daemon and the speaker say to each other over the speaker's socket: a line of JSON each.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    config::{self, Vrrp},
    events::Who,
    vrrp::{Cause, Counters, State},
};

/// The version of what they say; between daemons and speakers of different ones, only
/// [`Order::Replace`] and [`Said::Hello`](crate::companion::Said::Hello) are understood for sure.
pub const VERSION: u32 = 2;

/// What the daemon wants of the speaker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Hold these, and nothing else.
    Configure(Duties),
    /// What only the daemon knows of what is tracked.
    Report(Report),
    /// Give the addresses of a virtual router and its group, or of all, to another node.
    Failover(Option<String>),
    /// Announce a route, or all, as far as it is well; or do not.
    Announce {
        /// Which; `None`: all.
        route: Option<String>,
        /// Whether to announce it.
        wanted: bool,
        /// Who wants that.
        who: Who,
    },
    /// End for good: give up all addresses.
    Resign,
    /// Go on as another program, without giving up anything.
    Replace(PathBuf),
}

/// What a speaker is there for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duties {
    /// The virtual routers to speak for.
    pub routers: Vec<Vrrp>,
    /// The routes to announce.
    pub routes: Vec<config::Route>,
}

impl Duties {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { routers, routes } = self;
        routers.is_empty() && routes.is_empty()
    }
}

/// What the daemon knows of what is tracked. It speaks as soon as its program is attached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whether the program is attached and passes a packet of its own.
    pub datapath: bool,
    /// By service, whether it has a backend that takes connections; without those of which nothing is
    /// known yet.
    pub services: BTreeMap<String, bool>,
}

/// All that a speaker holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdings {
    /// The virtual routers.
    pub vrrp: View,
    /// The routes, in the configuration's order.
    pub routes: Vec<Route>,
}

/// All virtual routers of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// In the configuration's order.
    pub routers: Vec<Router>,
    /// Messages that were ignored, by reason, and on which interface.
    pub rejected: BTreeMap<String, BTreeMap<String, u64>>,
}

/// One virtual router, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Router {
    /// Its name.
    pub name: String,
    /// The group that it moves with.
    pub group: Option<String>,
    /// Where it speaks.
    pub interface: String,
    /// Its number.
    pub id: u8,
    /// The version that it speaks.
    pub version: u8,
    /// What it is.
    pub state: State,
    /// Since when, in seconds of Unix time.
    pub since: u64,
    /// Why.
    pub cause: Option<Cause>,
    /// Its priority after tracking.
    pub priority: u8,
    /// Its configured priority.
    pub configured_priority: u8,
    /// Between its adverts as master, in milliseconds.
    pub interval_ms: u64,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The other router that matters: for a backup the master, for a master its rival.
    pub peer: Option<Peer>,
    /// What has happened.
    pub counters: Counters,
    /// What is tracked and fails now, and what else keeps it from its work.
    pub problems: Vec<String>,
}

/// A route, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Whether it is announced.
    pub state: RouteState,
    /// Since when, in seconds of Unix time.
    pub since: u64,
    /// Why.
    pub cause: String,
    /// Whether an operator lets it be announced.
    pub wanted: bool,
    /// Where its addresses are while it is announced.
    pub interface: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// What is tracked and fails now, and what the kernel refused.
    pub problems: Vec<String>,
}

/// Whether the addresses of a route are there for a routing daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteState {
    /// They are on its interface.
    Announced,
    /// They are not.
    Withdrawn,
}

impl RouteState {
    /// As in JSON and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// Another node's router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Where it sends from.
    pub address: IpAddr,
    /// Its priority.
    pub priority: u8,
    /// Between its adverts, in milliseconds.
    pub interval_ms: u64,
}

/// Something that happened to a virtual router or a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// Its name.
    pub subject: String,
    /// What happened.
    pub what: What,
}

/// What happens to virtual routers and routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A virtual router is something else now.
    Became(State, Cause),
    /// There is another master that should not be one.
    Rival(Peer),
    /// That one has been silent for as long as a dead one.
    RivalGone(Peer),
    /// A route is announced or withdrawn, or stays so against an operator's wish: why, and whose doing.
    Route(RouteState, String, Who),
}

impl From<crate::vrrp::Peer> for Peer {
    fn from(peer: crate::vrrp::Peer) -> Self {
        let interval_ms = milliseconds(peer.interval);
        Self { address: peer.address, priority: peer.priority, interval_ms }
    }
}

/// A time in whole milliseconds.
#[must_use]
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
