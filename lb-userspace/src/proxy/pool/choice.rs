//! Which of a pool's backends gets a session.

use std::{sync::Arc, time::Instant};

use super::{
    Inner,
    entry::{Entry, Member, endpoint},
};
use crate::proxy::{
    balance::{Candidate, Place},
    queue::Wish,
};

/// Backends that are considered together.
#[derive(Clone, Copy)]
struct Tier {
    backup: bool,
    ejected: bool,
}

/// An ejected backend is better than none: what connects to it finds out whether it is back.
const TIERS: [Tier; 4] = [
    Tier { backup: false, ejected: false },
    Tier { backup: true, ejected: false },
    Tier { backup: false, ejected: true },
    Tier { backup: true, ejected: true },
];

/// What a choice has led to.
pub(super) enum Pick {
    /// A backend, which counts the session already.
    Found(Arc<Member>),
    /// Backends that may take the session have no room.
    Full,
    /// No backend may take it.
    Nobody,
}

impl Inner {
    /// The members of the ring: the backups only if there is nobody else.
    pub(super) fn places(&self) -> Vec<Place> {
        let is_open = |entry: &Entry| entry.weight > 0 && !entry.backup;
        let backups = !self.entries.iter().any(is_open);
        let place = |entry: &Entry| Place {
            endpoint: endpoint(&entry.member.place),
            weight: if entry.backup == backups { entry.weight as u16 } else { 0 },
        };
        self.entries.iter().map(place).collect()
    }

    /// Chooses a backend, and counts the session there.
    pub(super) fn pick(&mut self, wish: &Wish) -> Pick {
        let now = Instant::now();
        for tier in TIERS {
            let full = self.consider(tier, &wish.tried, now);
            while let Some(at) = self.balancer.pick(&self.candidates, wish.hash) {
                let (Some(entry), Some(candidate)) =
                    (self.entries.get(at), self.candidates.get_mut(at))
                else {
                    break;
                };
                if entry.member.counters.sessions.enter(entry.limit) {
                    entry.member.counters.sessions.mark();
                    return Pick::Found(Arc::clone(&entry.member));
                }
                candidate.weight = 0;
            }
            if full {
                return Pick::Full;
            }
        }
        Pick::Nobody
    }

    /// Makes candidates of a tier's backends. Gives whether there is any, be it full.
    fn consider(&mut self, tier: Tier, tried: &[Arc<Member>], now: Instant) -> bool {
        let mut any = false;
        self.candidates.clear();
        for entry in &self.entries {
            let sessions = entry.member.counters.sessions.now();
            let usable = entry.weight > 0
                && entry.backup == tier.backup
                && entry.ejection.holds(now) == tier.ejected
                && !tried.iter().any(|it| Arc::ptr_eq(it, &entry.member));
            any |= usable;
            let weight = if usable && sessions < entry.limit { entry.weight } else { 0 };
            self.candidates.push(Candidate { weight, sessions });
        }
        any
    }
}
