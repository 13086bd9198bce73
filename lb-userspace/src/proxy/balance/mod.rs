//! The choice among a pool's backends: pure, and ignorant of why one cannot be chosen.

mod random;
mod ring;
mod round_robin;
#[cfg(test)]
mod tests;

use lb_common::hash::HashKey;

pub(super) use self::ring::Place;
use self::ring::Ring;
use crate::config::proxy::Balance;

/// A backend as a choice sees it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Candidate {
    /// Its share in relation to the others; 0: it cannot be chosen now.
    pub(super) weight: u32,
    /// The sessions that it has.
    pub(super) sessions: u32,
}

impl Candidate {
    const fn is_open(self) -> bool {
        self.weight > 0
    }

    /// Whether it has fewer sessions than another, in relation to their weights.
    fn has_less(self, other: Self) -> bool {
        self.cross(other) < other.cross(self)
    }

    fn cross(self, other: Self) -> u64 {
        u64::from(self.sessions) * u64::from(other.weight)
    }
}

/// What a pool remembers between choices.
#[derive(Debug)]
pub(super) struct Balancer {
    balance: Balance,
    members: Vec<Place>,
    turns: Vec<i64>,
    ring: Ring,
}

impl Balancer {
    /// For the members of a pool, in the order in which they are candidates.
    pub(super) fn new(balance: Balance, members: Vec<Place>, key: &HashKey) -> Self {
        let ring = match balance {
            Balance::Source | Balance::Hash => Ring::new(&members, key),
            Balance::RoundRobin | Balance::LeastConnections | Balance::RandomTwo => Ring::default(),
        };
        Self { balance, turns: vec![0; members.len()], members, ring }
    }

    /// Whether it is the one for these members.
    pub(super) fn is_for(&self, balance: Balance, members: &[Place]) -> bool {
        self.balance == balance && self.members == members
    }

    /// The position of the candidate that gets a session with this hash; `None` if none is open.
    pub(super) fn pick(&mut self, candidates: &[Candidate], hash: u32) -> Option<usize> {
        match self.balance {
            Balance::RoundRobin => self.turn(candidates, |_| true),
            Balance::LeastConnections => {
                let open = candidates.iter().copied().filter(|it| it.is_open());
                let least = open.reduce(|best, it| if it.has_less(best) { it } else { best })?;
                self.turn(candidates, |it| !least.has_less(it))
            }
            Balance::RandomTwo => random::pick(candidates, fastrand::u32),
            // The ring knows the members of one tier only: others take turns.
            Balance::Source | Balance::Hash => {
                self.ring.pick(candidates, hash).or_else(|| self.turn(candidates, |_| true))
            }
        }
    }

    fn turn(
        &mut self,
        candidates: &[Candidate],
        among: impl Fn(Candidate) -> bool,
    ) -> Option<usize> {
        round_robin::pick(&mut self.turns, candidates, |it| it.is_open() && among(it))
    }
}
