//! The roles of a pool's servers: events in, views out.

use std::{collections::BTreeSet, time::Instant};

use super::{
    fence::{Fence, Past, Servers},
    lag::{Change, Limits},
    note::Note,
    server::{Said, Server, Terms},
    view::{Sight, View},
};
use crate::config::proxy::{Mysql, Role};

/// The roles of the servers of one pool. Whatever its driver tells it, the driver then asks for the
/// [`View`] and applies it whole. What an event changes comes after what time has changed before it.
#[derive(Clone, Debug)]
pub struct Roles {
    settings: Mysql,
    servers: Servers,
    fence: Fence,
}

impl Roles {
    /// A pool of which nothing is known. The names of its servers are those of the backends.
    #[must_use]
    pub fn new(settings: Mysql, names: &BTreeSet<String>, now: Instant) -> Self {
        let terms = Terms::of(&settings.monitor);
        let servers = names.iter().map(|it| (it.clone(), Server::new(terms, now))).collect();
        Self { settings, servers, fence: Fence::new(now) }
    }

    /// Takes over what an earlier process knew, before anything else is told.
    pub fn resume(&mut self, past: Past, now: Instant) {
        self.fence.resume(past, now);
    }

    /// What the process after this one is to know; nothing if there has never been a primary.
    #[must_use]
    pub fn past(&self) -> Option<Past> {
        self.fence.past()
    }

    /// The configuration has changed. What is known of servers that stay is kept.
    pub fn configure(
        &mut self,
        settings: Mysql,
        names: &BTreeSet<String>,
        now: Instant,
    ) -> Vec<Note> {
        let mut notes = self.elapsed(now);
        let terms = Terms::of(&settings.monitor);
        self.settings = settings;
        self.servers.retain(|name, _| names.contains(name));
        for name in names {
            let server =
                self.servers.entry(name.clone()).or_insert_with(|| Server::new(terms, now));
            server.terms = terms;
        }
        notes.extend(self.elapsed(now));
        notes
    }

    /// A server has answered. One that is not of the pool (any more) is ignored.
    pub fn answered(&mut self, server: &str, said: Said, now: Instant) -> Vec<Note> {
        let limits = Limits::of(&self.settings);
        let mut notes = self.elapsed(now);
        let name = || server.to_owned();
        let known = self.servers.get_mut(server);
        if known.as_ref().is_some_and(|it| it.is_lost()) {
            notes.push(Note::Answers { server: name() });
        }
        let change = known.and_then(|it| it.answered(said, limits, now));
        notes.extend(self.elapsed(now));
        notes.extend(change.map(|change| match change {
            Change::Lagging(lag) => Note::Lagging { server: name(), lag },
            Change::CaughtUp(lag) => Note::CaughtUp { server: name(), lag },
            Change::Stopped => Note::NotReplicating { server: name() },
        }));
        notes
    }

    /// A server could not be asked or has not answered in time, and why. One that is not of the pool (any
    /// more) is ignored.
    pub fn failed(&mut self, server: &str, why: &str, now: Instant) -> Vec<Note> {
        let mut notes = self.elapsed(now);
        if let Some(failed) = self.servers.get_mut(server)
            && failed.failed(why)
        {
            notes.push(Note::Silent { server: server.to_owned(), why: why.to_owned() });
        }
        notes.extend(self.elapsed(now));
        notes
    }

    /// Time has passed.
    pub fn elapsed(&mut self, now: Instant) -> Vec<Note> {
        self.fence.settle(&self.servers, now)
    }

    /// When [`Self::elapsed`] is due, and a new view with it, if no event comes first.
    #[must_use]
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let wait = self.settings.promotion_wait;
        let hold = self.fence.vacant_since().and_then(|it| it.checked_add(wait));
        let expiries = self.servers.values().filter_map(Server::expires);
        expiries.chain(hold).filter(|it| *it > now).min()
    }

    /// What is to be, for a proxy of this role.
    #[must_use]
    pub fn view(&self, role: Role, now: Instant) -> View {
        let Self { settings, servers, fence } = self;
        Sight { settings, servers, fence, now }.view(role)
    }
}
