//! What one server says of itself, and how long that counts.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{
    lag::{Change, Gate, Limits},
    note::Loss,
};
use crate::config::proxy::Monitor;

/// What a server answers when it is asked what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// `@@global.read_only`.
    pub read_only: bool,
    /// `@@global.super_read_only`; `MariaDB` has none.
    pub super_read_only: Option<bool>,
    /// Who answers.
    pub identity: Identity,
    /// What `SHOW REPLICA STATUS` says; absent if it says nothing. With several channels, the worst of them.
    pub replication: Option<Replication>,
}

/// A replica's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replication {
    /// Whether it is to replicate. A thread that waits for its source (`Connecting`) or that an error stopped
    /// (`Last_IO_Errno`, `Last_SQL_Errno`) counts: the primary's death must not make a writable replica look
    /// promoted. False only where somebody has stopped it.
    pub running: bool,
    /// `Seconds_Behind_Source`, or a finer measure; absent if NULL: it does not replicate.
    pub lag: Option<Duration>,
}

/// What tells one server from another, also at the same address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(String);

impl Identity {
    /// By `@@server_uuid`, which lies in the data directory.
    #[must_use]
    pub fn of_mysql(server_uuid: &str) -> Self {
        Self(server_uuid.to_owned())
    }

    /// `MariaDB` has no `server_uuid`, and the GTID domain is the same on all servers of a topology. By
    /// `@@server_id`, which replication wants to be unique, and by `@@hostname` and `@@port`, which tell
    /// apart the copies of one configuration.
    #[must_use]
    pub fn of_mariadb(server_id: u64, hostname: &str, port: u16) -> Self {
        Self(format!("{server_id}@{hostname}:{port}"))
    }
}

impl Said {
    /// Whether it looks like a primary.
    pub(super) fn is_writer(&self) -> bool {
        !self.is_read_only() && !self.replicates()
    }

    fn is_read_only(&self) -> bool {
        self.read_only || self.super_read_only == Some(true)
    }

    fn replicates(&self) -> bool {
        self.replication.is_some_and(|it| it.running)
    }
}

/// How long an answer counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    fall: u32,
    span: Duration,
}

impl Terms {
    /// An answer counts until that many questions have failed. Its age matters only if nobody asks any more:
    /// it outlasts these questions, and the time that the answer to the last of them may take.
    pub(super) fn of(monitor: &Monitor) -> Self {
        let Monitor { interval, timeout, fall, .. } = monitor;
        let span = interval.saturating_mul(*fall).saturating_add(*timeout);
        Self { fall: *fall, span }
    }
}

/// One server, as its monitor sees it.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) terms: Terms,
    added: Instant,
    last: Option<Answer>,
    failures: u32,
    why: String,
    gate: Gate,
}

#[derive(Clone, Debug)]
struct Answer {
    said: Said,
    at: Instant,
    /// When the server, as one that was none before, became a writer.
    turned: Option<Instant>,
    /// Whether the answer before came from another server.
    replaced: bool,
}

impl Server {
    pub(super) fn new(terms: Terms, now: Instant) -> Self {
        let (last, failures, why, gate) = (None, 0, String::new(), Gate::default());
        Self { terms, added: now, last, failures, why, gate }
    }

    /// It has answered. Says how its lag has changed.
    pub(super) fn answered(&mut self, said: Said, limits: Limits, now: Instant) -> Option<Change> {
        let before = self.last.take();
        let replaced = before.as_ref().is_some_and(|it| it.said.identity != said.identity);
        let before = before.filter(|_| !replaced);
        let turned = match before {
            Some(before) if said.is_writer() && before.said.is_writer() => before.turned,
            Some(_) if said.is_writer() => Some(now),
            Some(_) | None => None,
        };
        if replaced || said.is_writer() {
            self.gate = Gate::default();
        }
        let change =
            if said.is_writer() { None } else { self.gate.judge(limits, said.replication) };
        (self.failures, self.why) = (0, String::new());
        self.last = Some(Answer { said, at: now, turned, replaced });
        change
    }

    /// It could not be asked, or did not answer. Says whether nothing is known of it now that was before.
    pub(super) fn failed(&mut self, why: &str) -> bool {
        self.failures = self.failures.saturating_add(1);
        why.clone_into(&mut self.why);
        self.failures == self.terms.fall
    }

    /// Whether so many questions have failed that nothing is known of it.
    pub(super) fn is_lost(&self) -> bool {
        self.failures >= self.terms.fall
    }

    /// Whether it has not answered the last question.
    pub(super) fn is_silent(&self) -> bool {
        self.failures > 0
    }

    /// Whether it may still turn out to be a primary that was there before the monitor was.
    pub(super) fn is_undecided(&self, now: Instant) -> bool {
        let unheard = self.last.as_ref().is_none_or(|it| it.replaced);
        unheard && self.counts(self.added, now)
    }

    /// Its last answer, if that still counts and the answer before did not come from another server.
    pub(super) fn said(&self, now: Instant) -> Option<&Said> {
        let Answer { said, at, turned: _, replaced } = self.last.as_ref()?;
        (!replaced && self.counts(*at, now)).then_some(said)
    }

    /// Who it is, if it looks like a primary.
    pub(super) fn writer(&self, now: Instant) -> Option<&Identity> {
        self.said(now).filter(|it| it.is_writer()).map(|it| &it.identity)
    }

    /// Whether it was a writer when it last answered, however long ago.
    pub(super) fn was_writer(&self) -> bool {
        self.last.as_ref().is_some_and(|it| it.said.is_writer() && !it.replaced)
    }

    /// Whether another server answered before; its sessions must end before it gets new ones.
    pub(super) fn was_replaced(&self) -> bool {
        self.last.as_ref().is_some_and(|it| it.replaced)
    }

    /// Whether it has ever answered.
    pub(super) fn was_heard(&self) -> bool {
        self.last.is_some()
    }

    /// When it last answered.
    pub(super) fn heard(&self) -> Option<Instant> {
        self.last.as_ref().map(|it| it.at)
    }

    /// Whether it became a writer after another one had last answered.
    pub(super) fn turned_after(&self, other: &Self) -> bool {
        let turned = self.last.as_ref().and_then(|it| it.turned);
        turned.is_some_and(|turned| other.heard().is_none_or(|heard| heard < turned))
    }

    /// Its lag.
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// When what is known of it ends; absent if nothing is.
    pub(super) fn expires(&self) -> Option<Instant> {
        let since = self.last.as_ref().map_or(self.added, |it| it.at);
        since.checked_add(self.terms.span).filter(|_| !self.is_lost())
    }

    /// Why it, who was the primary with this identity, is not any more.
    pub(super) fn loss(&self, identity: &Identity) -> Loss {
        match self.last.as_ref().map(|it| &it.said) {
            Some(said) if said.identity != *identity => Loss::Replaced,
            Some(said) if said.is_read_only() => Loss::ReadOnly,
            Some(said) if said.replicates() => Loss::Replicates,
            Some(_) | None => Loss::Silent(self.why.clone()),
        }
    }

    fn counts(&self, since: Instant, now: Instant) -> bool {
        !self.is_lost() && now.saturating_duration_since(since) < self.terms.span
    }
}
