//! What an agent on a backend says of it, by HAProxy's protocol: its share of the weight, whether it is
//! to be drained, whether it is down. It works beside the check: what either takes out is out.

pub mod line;
pub mod supervisor;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use self::line::{Admin, Health, Line};
use super::TargetKey;
use crate::config::Agent;

/// An agent to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it is asked.
    pub agent: Arc<Agent>,
}

/// The agents to ask, by what they speak for.
pub type Targets = BTreeMap<TargetKey, Target>;

/// What the agents say; one that has said nothing yet is missing.
pub type View = BTreeMap<TargetKey, Said>;

/// What an agent has said up to now: what a line does not mention stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What it wants of the backend.
    pub admin: Admin,
    /// Whether the backend works, as far as the agent knows.
    pub health: Health,
    /// The part of its weight that it takes, in percent.
    pub share: u16,
    /// What it said that has no meaning, the last time.
    pub unknown: Option<String>,
}

impl Default for Said {
    fn default() -> Self {
        Self { admin: Admin::Ready, health: Health::Up, share: 100, unknown: None }
    }
}

impl Said {
    /// Takes up what a line says.
    pub fn hear(&mut self, Line { admin, health, share, unknown }: Line) {
        self.admin = admin.unwrap_or(self.admin);
        if let Some(health) = health {
            self.health = health;
        }
        self.share = share.unwrap_or(self.share);
        self.unknown = unknown;
    }

    /// Whether it says that the backend does not work.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.health != Health::Up
    }

    /// Whether it wants no new connections for the backend.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.admin != Admin::Ready
    }
}

/// In its own words.
impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { admin, health, share, unknown } = self;
        write!(f, "{} {} {share}%", health.word(), admin.word())?;
        if let Health::Down { reason, .. } = health
            && !reason.is_empty()
        {
            write!(f, " #{reason}")?;
        }
        unknown.as_ref().map_or(Ok(()), |word| write!(f, "; it says `{word}`, which means nothing"))
    }
}
