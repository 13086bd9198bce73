//! What a machine is told, and what it says.

use std::{
    fmt,
    net::IpAddr,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// What a router is to a virtual router, in keepalived's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It takes no part: not started yet, or tracking forbids it. RFC 9568 §6.4.1: initialize.
    Fault,
    /// It listens for the master. RFC 9568 §6.4.2.
    Backup,
    /// It holds the addresses. RFC 9568 §6.4.3: active.
    Master,
}

/// What tracking leaves of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It must not hold the addresses.
    Fault,
    /// It may, with this priority: 1 to 254. An owner stays at 255, and nobody else gets there.
    Priority(u8),
}

/// Why a state was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It began to take part for the first time.
    Started,
    /// The master was silent for too long.
    MasterDown,
    /// The master had a lower priority.
    Preempted,
    /// The master said that it goes.
    Resigned,
    /// Another master has a higher priority.
    HigherPriority,
    /// Another master has the same priority and the higher address: no preemption, but a split that heals.
    Rival,
    /// Tracking forbids to hold the addresses.
    Fault,
    /// Tracking allows it again.
    Recovered,
    /// An operator said so.
    Ordered,
    /// Another member of its group entered the state.
    Group,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Started => "it takes part from now on",
            Self::MasterDown => "the master was silent for too long",
            Self::Preempted => "the master had a lower priority",
            Self::Resigned => "the master resigned",
            Self::HigherPriority => "another master has a higher priority",
            Self::Rival => "another master has the same priority and a higher address",
            Self::Fault => "what it depends on fails",
            Self::Recovered => "what it depends on works again",
            Self::Ordered => "an operator wants it",
            Self::Group => "its group moves",
        })
    }
}

impl State {
    /// As it is shown: `master`, `backup` or `fault`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Backup => "backup",
            Self::Master => "master",
        }
    }
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send an advert of this priority.
    Send {
        /// 0 to resign.
        priority: u8,
    },
    /// Take the addresses, or give them up.
    Become(State, Cause),
    /// Tell the link who has the addresses.
    Announce {
        /// How many frames of a kind for each address.
        copies: u8,
    },
    /// Another master has been heard that should not be one: the link is split, or was. It is told once.
    Rival(Peer),
    /// That master has been silent for as long as a dead one.
    RivalGone(Peer),
}

/// Another router, by its last advert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where it sends from.
    pub address: IpAddr,
    /// Its priority.
    pub priority: u8,
    /// Between its adverts.
    pub interval: Duration,
    /// When the advert came.
    pub heard: Instant,
}

/// What has happened since the machine was made, or since the one that it goes on for was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// How often it has become master.
    pub became_master: u64,
    /// How often it has ceased to be master.
    pub left_master: u64,
    /// Adverts that it had sent.
    pub sent: u64,
    /// Those among them that resigned.
    pub resignations_sent: u64,
    /// Adverts that it has heard and not rejected.
    pub received: u64,
    /// Those among them that resigned.
    pub resignations_received: u64,
    /// Those among them with other addresses than its own. They count nevertheless, as with keepalived:
    /// two masters would be worse.
    pub other_addresses: u64,
    /// How often another master was seen that should not be one.
    pub rivals: u64,
}

/// What a machine leaves to the one that goes on for it, in another process or with other settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// Its state.
    pub state: State,
    /// What tracking said last.
    pub standing: Standing,
    /// Whether it has taken part before.
    pub started: bool,
    /// Whether it gave the addresses up by order, and waits for their master to be lost.
    pub released: bool,
    /// What has happened.
    pub counters: Counters,
}
