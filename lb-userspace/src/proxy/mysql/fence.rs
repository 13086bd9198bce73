//! One primary or none.
//!
//! * The last known primary stays the primary for as long as its last answer counts and says so.
//! * If it does not answer, and one other has become a writer since it last did, that is a promotion.
//! * If it is gone, and exactly one other is a writer, that one is the primary.
//! * If several are and none of them is the last known one, nobody is: to guess would split the data.
//!
//! Nothing is known at the start: nobody is chosen before every server has answered or had its time. Only
//! the last known primary of an earlier process ([`Past`]) need not wait for the others.

use std::{
    collections::BTreeMap,
    mem,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    note::{Loss, Note},
    server::{Identity, Server},
};

/// The last known primary, for the process that goes on after this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Its name.
    pub server: String,
    /// Who it was.
    pub identity: Identity,
}

/// The servers of a pool, by their names.
pub(super) type Servers = BTreeMap<String, Server>;

/// Chooses the primary of a pool, and remembers it.
#[derive(Clone, Debug)]
pub(super) struct Fence {
    known: Option<Known>,
    /// Who takes writes but must not.
    rivals: Vec<String>,
    /// Since when there is no primary.
    vacant: Option<Instant>,
}

/// The last known primary.
#[derive(Clone, Debug)]
struct Known {
    name: String,
    identity: Identity,
    since: Instant,
    /// Whether an earlier process knew it, and this one has not met it yet.
    resumed: bool,
}

impl Known {
    fn is(&self, name: &str, identity: &Identity) -> bool {
        self.name == name && self.identity == *identity
    }
}

/// A server that looks like a primary.
type Writer<'a> = (&'a str, &'a Server, &'a Identity);

/// What is to be.
struct Choice<'a> {
    primary: Option<(&'a str, &'a Identity)>,
    rivals: Vec<&'a str>,
}

impl<'a> Choice<'a> {
    /// Nobody is known to be the primary.
    fn only(writers: &[Writer<'a>]) -> Self {
        match writers {
            [] => Self { primary: None, rivals: Vec::new() },
            [(name, _, identity)] => Self { primary: Some((name, identity)), rivals: Vec::new() },
            several => Self { primary: None, rivals: several.iter().map(|it| it.0).collect() },
        }
    }

    /// One of the writers has been the primary since then.
    fn beside(
        (name, server, identity): Writer<'a>,
        since: Instant,
        writers: &[Writer<'a>],
    ) -> Self {
        let others: Vec<_> = writers.iter().filter(|it| it.0 != name).collect();
        if let [(successor, other, identity)] = others.as_slice()
            && server.is_silent()
            && other.turned_after(server)
        {
            return Self { primary: Some((successor, identity)), rivals: Vec::new() };
        }
        // A replica that has just become a writer may be the planned successor of a primary that is
        // asked next. Who last answered before this one was chosen may be dead.
        let rivals = others.iter().filter(|(_, other, _)| {
            !other.turned_after(server) && other.heard().is_some_and(|at| at >= since)
        });
        let rivals = rivals.map(|it| it.0).collect();
        Self { primary: Some((name, identity)), rivals }
    }
}

impl Fence {
    /// Knows nobody.
    pub(super) fn new(now: Instant) -> Self {
        Self { known: None, rivals: Vec::new(), vacant: Some(now) }
    }

    /// Takes over what an earlier process knew.
    pub(super) fn resume(&mut self, Past { server: name, identity }: Past, now: Instant) {
        self.known = Some(Known { name, identity, since: now, resumed: true });
    }

    /// What the next process is to know.
    pub(super) fn past(&self) -> Option<Past> {
        let Known { name, identity, since: _, resumed: _ } = self.known.as_ref()?;
        Some(Past { server: name.clone(), identity: identity.clone() })
    }

    /// Chooses anew, after anything has changed.
    pub(super) fn settle(&mut self, servers: &Servers, now: Instant) -> Vec<Note> {
        let Choice { primary, rivals } = self.choose(servers, now);
        let mut notes = Vec::new();
        match primary {
            Some((name, identity)) => notes.extend(self.take(name, identity, now)),
            None => notes.extend(self.lose(servers, now)),
        }
        let alarm = !rivals.is_empty() && self.rivals != rivals;
        self.rivals = rivals.into_iter().map(str::to_owned).collect();
        if alarm {
            let kept = primary.map(|(name, _)| name.to_owned());
            notes.push(Note::TwoPrimaries { kept, rivals: self.rivals.clone() });
        }
        notes
    }

    /// The primary, if there is one.
    pub(super) fn primary(&self, servers: &Servers, now: Instant) -> Option<&str> {
        let known = self.known.as_ref().filter(|_| self.vacant.is_none())?;
        let server = servers.get(&known.name)?;
        (server.writer(now) == Some(&known.identity)).then_some(&known.name)
    }

    /// The primary that there was last.
    pub(super) fn last_known(&self) -> Option<&str> {
        self.known.as_ref().map(|it| it.name.as_str())
    }

    /// Who takes writes but must not.
    pub(super) fn rivals(&self) -> &[String] {
        &self.rivals
    }

    /// For how long there has been no primary.
    pub(super) fn vacancy(&self, servers: &Servers, now: Instant) -> Option<Duration> {
        if self.primary(servers, now).is_some() {
            return None;
        }
        let since = self.vacant.unwrap_or_else(|| self.end(servers, now));
        Some(now.saturating_duration_since(since))
    }

    /// Since when there is no primary, as far as the servers have been settled.
    pub(super) fn vacant_since(&self) -> Option<Instant> {
        self.vacant
    }

    fn choose<'a>(&self, servers: &'a Servers, now: Instant) -> Choice<'a> {
        let writers: Vec<Writer<'_>> = servers
            .iter()
            .filter_map(|(name, server)| Some((name.as_str(), server, server.writer(now)?)))
            .collect();
        let known = self.known.as_ref();
        let kept = known.and_then(|known| {
            let kept = writers.iter().find(|it| known.is(it.0, it.2))?;
            Some(Choice::beside(*kept, known.since, &writers))
        });
        kept.unwrap_or_else(|| {
            let starting = known.is_none_or(|it| it.resumed);
            let undecided = starting && servers.values().any(|it| it.is_undecided(now));
            Choice::only(if undecided { &[] } else { &writers })
        })
    }

    fn take(&mut self, name: &str, identity: &Identity, now: Instant) -> Option<Note> {
        let vacant = self.vacant.take();
        match &mut self.known {
            Some(known) if known.is(name, identity) => {
                let met = mem::take(&mut known.resumed);
                vacant.filter(|_| !met).map(|_| Note::PrimaryBack { server: name.to_owned() })
            }
            Some(_) | None => {
                let (to, identity) = (name.to_owned(), identity.clone());
                let known = Known { name: to.clone(), identity, since: now, resumed: false };
                let from = self.known.replace(known).map(|it| it.name);
                Some(Note::Promoted { from, to })
            }
        }
    }

    fn lose(&mut self, servers: &Servers, now: Instant) -> Option<Note> {
        if self.vacant.is_some() {
            return None;
        }
        self.vacant = Some(self.end(servers, now));
        let Known { name, identity, since: _, resumed: _ } = self.known.as_ref()?;
        let why = servers.get(name).map_or(Loss::Removed, |it| it.loss(identity));
        Some(Note::PrimaryLost { server: name.clone(), why })
    }

    /// When the last known primary was lost: by its answer's age before anybody looked, or now.
    fn end(&self, servers: &Servers, now: Instant) -> Instant {
        let server = self.last_known().and_then(|it| servers.get(it));
        server.and_then(Server::expires).map_or(now, |it| it.min(now))
    }
}
