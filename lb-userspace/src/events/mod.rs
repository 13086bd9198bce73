//! What happened on the node: a bounded ring of events, which the log repeats.
//!
//! Whoever changes the node's state notes it here, and only here: the log line comes with it.

mod change;
mod event;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use self::event::{Event, Kind, Who};

/// The events that are kept: some hundred kilobytes.
pub const KEPT: usize = 4096;

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number: the first event after the daemon's start has 1.
    pub sequence: u64,
    /// When, by the wall clock in UTC: RFC 3339 with milliseconds.
    pub time: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Only events with a larger number; a number that was not given yet is an earlier daemon's, and
    /// leaves nothing out.
    pub since: Option<u64>,
    /// Only events of this service.
    pub service: Option<String>,
    /// The latest so many; all if left out.
    pub count: Option<usize>,
    /// How long to wait for an event when there is none, in seconds.
    pub wait: Option<u64>,
}

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The events, the oldest first.
    pub events: Vec<Entry>,
    /// The number of the last event of the node, to go on from.
    pub last: u64,
    /// The events after `since`, of any service, that are not kept any more.
    pub forgotten: u64,
}

/// The node's events; clones share them.
#[derive(Clone, Debug)]
pub struct Events {
    ring: Arc<Mutex<Ring>>,
    /// The number of the last event.
    last: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Entry>,
    last: u64,
}

impl Default for Events {
    fn default() -> Self {
        Self { ring: Arc::default(), last: watch::Sender::new(0) }
    }
}

impl Events {
    /// Keeps an event, and logs it.
    pub fn note(&self, event: Event) {
        event.log();
        let last = self.ring().push(event, SystemTime::now());
        let _: u64 = self.last.send_replace(last);
    }

    /// What is asked for, at once.
    #[must_use]
    pub fn page(&self, query: &Query) -> Page {
        self.ring().page(query)
    }

    /// What is asked for, as soon as there is any of it or `query.wait` is over.
    pub async fn wait(&self, query: &Query) -> Page {
        let mut last = self.last.subscribe();
        let patience = Duration::from_secs(query.wait.unwrap_or(0));
        let some = async {
            loop {
                let page = self.page(query);
                if !page.events.is_empty() || last.changed().await.is_err() {
                    return page;
                }
            }
        };
        tokio::time::timeout(patience, some).await.unwrap_or_else(|_| self.page(query))
    }

    /// A panic between two statements of this module leaves nothing half done.
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, event: Event, now: SystemTime) -> u64 {
        self.last += 1;
        if self.entries.len() == KEPT {
            drop(self.entries.pop_front());
        }
        let time = humantime::format_rfc3339_millis(now).to_string();
        self.entries.push_back(Entry { sequence: self.last, time, event });
        self.last
    }

    fn page(&self, Query { since, service, count, wait: _ }: &Query) -> Page {
        let since = since.filter(|since| *since <= self.last).unwrap_or(0);
        let wanted = |entry: &&Entry| {
            entry.sequence > since
                && service.as_ref().is_none_or(|it| entry.event.service.as_ref() == Some(it))
        };
        let latest = self.entries.iter().rev().filter(wanted).take(count.unwrap_or(KEPT));
        let mut events: Vec<_> = latest.cloned().collect();
        events.reverse();
        let before = self.last - self.entries.len() as u64;
        Page { events, last: self.last, forgotten: before.saturating_sub(since) }
    }
}
