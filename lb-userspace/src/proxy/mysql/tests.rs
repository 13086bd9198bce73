//! One test for each rule.

mod identity;
mod lag;
mod promotion;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::*;
use crate::config::proxy::{Monitor, Mysql, Role};

const WAIT: Duration = Duration::from_secs(10);

/// An answer counts for 3.5 s: `fall` × `interval` + `timeout`.
pub(super) fn settings() -> Mysql {
    Mysql {
        role: Role::Primary,
        fallback: false,
        monitor: Monitor {
            user: "monitor".into(),
            password_file: None,
            tls: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(500),
            fall: 3,
        },
        promotion_wait: WAIT,
        max_lag: Some(Duration::from_secs(10)),
        lag_return: Duration::from_secs(5),
        close_lag: Some(Duration::from_secs(60)),
    }
}

fn names(names: &str) -> BTreeSet<String> {
    names.split_whitespace().map(str::to_owned).collect()
}

pub(super) fn writer(identity: &str) -> Said {
    Said {
        read_only: false,
        super_read_only: Some(false),
        identity: Identity::of_mysql(identity),
        replication: None,
    }
}

pub(super) fn replica(identity: &str, lag: Option<u64>) -> Said {
    let lag = lag.map(Duration::from_secs);
    Said {
        read_only: true,
        super_read_only: Some(true),
        replication: Some(Replication { running: true, lag }),
        ..writer(identity)
    }
}

/// A pool on a clock in milliseconds. A server's identity is its name, if nothing else is said.
struct Pool {
    roles: Roles,
    now: Instant,
    notes: Vec<Note>,
}

impl Pool {
    fn new(servers: &str) -> Self {
        Self::with(settings(), servers)
    }

    fn with(settings: Mysql, servers: &str) -> Self {
        let now = Instant::now();
        Self { roles: Roles::new(settings, &names(servers), now), now, notes: Vec::new() }
    }

    /// A primary, and replicas.
    fn running(servers: &str) -> Self {
        let mut pool = Self::new(servers);
        for (place, name) in servers.split_whitespace().enumerate() {
            pool.says(name, if place == 0 { writer(name) } else { replica(name, Some(0)) });
        }
        assert_eq!(pool.primary().as_deref(), servers.split_whitespace().next());
        pool.notes.clear();
        pool
    }

    fn says(&mut self, server: &str, said: Said) {
        self.notes.extend(self.roles.answered(server, said, self.now));
    }

    fn fails(&mut self, server: &str) {
        self.notes.extend(self.roles.failed(server, "connection refused", self.now));
    }

    fn wait(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.notes.extend(self.roles.elapsed(self.now));
    }

    fn view(&self, role: Role) -> View {
        self.roles.view(role, self.now)
    }

    /// The server that takes writes.
    fn primary(&self) -> Option<String> {
        let eligible = eligible(&self.view(Role::Primary));
        assert!(eligible.len() <= 1, "{eligible:?}");
        assert_eq!(self.view(Role::Primary).primary.as_ref(), eligible.first());
        eligible.into_iter().next()
    }

    fn readable(&self) -> Vec<String> {
        eligible(&self.view(Role::Replica))
    }

    /// The servers whose sessions are closed.
    fn closed(&self, role: Role) -> Vec<String> {
        let view = self.view(role);
        view.servers.iter().filter(|it| it.1.close).map(|it| it.0.clone()).collect()
    }

    fn noted(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }
}

fn eligible(view: &View) -> Vec<String> {
    view.servers.iter().filter(|it| it.1.eligible).map(|it| it.0.clone()).collect()
}

fn promoted(from: &str, to: &str) -> Note {
    Note::Promoted { from: Some(from.into()), to: to.into() }
}

fn silent(server: &str) -> Note {
    Note::Silent { server: server.into(), why: "connection refused".into() }
}

fn two(kept: Option<&str>, rivals: &str) -> Note {
    let rivals = names(rivals).into_iter().collect();
    Note::TwoPrimaries { kept: kept.map(str::to_owned), rivals }
}
