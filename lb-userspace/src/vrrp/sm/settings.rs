//! What one virtual router is configured with, and the times that follow from it.

use std::{net::IpAddr, time::Duration};

use crate::vrrp::packet::{Advert, OWNER, Unsendable, Version, Vrid};

/// How many of its master's adverts a backup may miss (RFC 9568 §6.1).
const MISSED: u32 = 3;

/// One virtual router on one interface, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its number.
    pub vrid: Vrid,
    /// The version that it speaks; adverts of the other are ignored.
    pub version: Version,
    /// 1 to 254, or 255 for the owner of the addresses, who starts as master and always preempts.
    pub priority: u8,
    /// Between two adverts as master: see [`Advert::interval`].
    pub interval: Duration,
    /// Whether to take over from a master of lower priority.
    pub preempt: bool,
    /// How long such a master is left alone, from when it is first heard.
    pub preempt_delay: Duration,
    /// The own address, from which adverts are sent: the higher one wins among equal priorities.
    pub source: IpAddr,
    /// The addresses of the virtual router, all of the family of `source`.
    pub addresses: Vec<IpAddr>,
    /// How the link is told who has the addresses.
    pub announcements: Announcements,
}

/// How often the link is told who has the addresses, besides once when that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcements {
    /// How many frames of a kind for each address, at the change and at the repetition.
    pub copies: u8,
    /// From the change to its repetition; 0 for none.
    pub repeat_after: Duration,
    /// From one refreshment, of one frame each, to the next.
    pub refresh: Option<Duration>,
}

/// What keepalived does: 5 at once, 5 after 5 s, no refreshment.
impl Default for Announcements {
    fn default() -> Self {
        Self { copies: 5, repeat_after: Duration::from_secs(5), refresh: None }
    }
}

impl Settings {
    /// What a master sends.
    #[must_use]
    pub fn advert(&self, priority: u8) -> Advert {
        Advert {
            version: self.version,
            vrid: self.vrid,
            priority,
            interval: self.interval,
            addresses: self.addresses.clone(),
        }
    }

    /// Whether adverts can say this: what passes here, [`super::Machine`] can run and `encode` can send.
    pub fn check(&self) -> Result<(), Unsendable> {
        self.advert(self.priority).check(self.source)
    }

    pub(super) const fn is_owner(&self) -> bool {
        self.priority == OWNER
    }

    /// The priority that tracking leaves: an owner stays the owner, and nobody becomes one by it.
    pub(super) fn tracked(&self, priority: u8) -> u8 {
        if self.is_owner() { OWNER } else { priority.clamp(1, OWNER - 1) }
    }

    /// How much longer a backup waits for being of lower priority (RFC 9568 §6.1, RFC 3768 §6.1).
    pub(super) fn skew(&self, priority: u8, masters_interval: Duration) -> Duration {
        let unit = match self.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => masters_interval,
        };
        unit * (256 - u32::from(priority)) / 256
    }

    /// How long a master may be silent (RFC 9568 §6.1: `Active_Down_Interval`).
    pub(super) fn master_down(&self, priority: u8, masters_interval: Duration) -> Duration {
        masters_interval * MISSED + self.skew(priority, masters_interval)
    }
}
