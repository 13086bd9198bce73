//! A router that listens for the master (RFC 9568 §6.4.2).

use std::time::{Duration, Instant};

use super::{Cause, Peer, Settings};
use crate::vrrp::packet::RESIGNED;

#[derive(Clone, Debug)]
pub(super) struct Backup {
    /// When it takes over if it hears nothing that forbids it, and why it would.
    pub(super) until: Instant,
    pub(super) cause: Cause,
    /// Between the master's adverts: one's own interval until one has been heard.
    pub(super) interval: Duration,
    /// Who was heard last.
    pub(super) master: Option<Peer>,
    /// Whether it gave the addresses up by order, and therefore leaves any master alone.
    pub(super) released: bool,
    /// Since when the master has had a lower priority.
    pub(super) lower_since: Option<Instant>,
}

impl Backup {
    /// Waits for as long as a master may be silent.
    pub(super) fn new(settings: &Settings, priority: u8, interval: Duration, now: Instant) -> Self {
        Self {
            until: now + settings.master_down(priority, interval),
            cause: Cause::MasterDown,
            interval,
            master: None,
            released: false,
            lower_since: None,
        }
    }

    /// An advert, while its own priority is `priority`.
    pub(super) fn hear(&mut self, settings: &Settings, priority: u8, peer: Peer, now: Instant) {
        if peer.priority == RESIGNED {
            self.until = now + settings.skew(priority, self.interval);
            self.cause = Cause::Resigned;
            self.master = None;
            return;
        }
        self.master = Some(peer);
        let lower = peer.priority < priority;
        self.lower_since = lower.then(|| self.lower_since.unwrap_or(now));
        if self.preempts(settings, now) {
            // Not heeding the advert is all: the time that it had would have restarted.
            self.cause = Cause::Preempted;
            return;
        }
        self.interval = peer.interval;
        self.until = now + settings.master_down(priority, peer.interval);
        self.cause = Cause::MasterDown;
    }

    fn preempts(&self, settings: &Settings, now: Instant) -> bool {
        let Some(since) = self.lower_since.filter(|_| !self.released) else { return false };
        let patience = now.saturating_duration_since(since);
        settings.is_owner() || settings.preempt && patience >= settings.preempt_delay
    }
}
