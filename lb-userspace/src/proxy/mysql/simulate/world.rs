//! Servers, who asks them, and the clock.

use std::time::{Duration, Instant};

use super::{Roles, watch::Watch};
use crate::{
    config::proxy::{Mysql, Role},
    proxy::mysql::{
        Note, Replication, Said, View,
        tests::{replica, writer},
    },
};

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Writer,
    ReadOnly,
    /// How far behind, in seconds.
    Replica(Option<u64>),
    /// It follows a source, but nobody has made it read-only.
    WritableReplica,
}

#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) mode: Mode,
    pub(super) identity: u32,
    pub(super) alive: bool,
    pub(super) asked: bool,
    pub(super) slow: u64,
    /// When it is asked next, and what arrives when; in milliseconds.
    next: u64,
    coming: Option<(u64, Option<Said>)>,
}

pub(super) struct World {
    start: Instant,
    now: u64,
    settings: Mysql,
    punctual: bool,
    pub(super) roles: Roles,
    pub(super) servers: Vec<Server>,
    pub(super) watch: Watch,
    /// Everything that came out.
    pub(super) trace: Vec<(u64, View, View, Vec<Note>)>,
}

impl Server {
    fn new(place: usize, mode: Mode) -> Self {
        let (identity, alive, asked, slow, coming) = (100 * place as u32, true, true, 0, None);
        Self { mode, identity, alive, asked, slow, next: 130 * place as u64, coming }
    }

    fn said(&self) -> Said {
        let identity = self.identity.to_string();
        let running = Replication { running: true, lag: Some(Duration::ZERO) };
        match self.mode {
            Mode::Writer => writer(&identity),
            Mode::ReadOnly => Said { read_only: true, ..writer(&identity) },
            Mode::Replica(lag) => replica(&identity, lag),
            Mode::WritableReplica => Said { replication: Some(running), ..writer(&identity) },
        }
    }

    /// It is asked: what arrives, and when.
    fn ask(&mut self, settings: &Mysql) {
        let (at, timeout) = (self.next, settings.monitor.timeout.as_millis() as u64);
        self.next += settings.monitor.interval.as_millis() as u64;
        if self.asked {
            let answers = self.alive && self.slow <= timeout;
            let said = answers.then(|| self.said());
            self.coming = Some((at + if answers { self.slow } else { timeout }, said));
        }
    }
}

impl World {
    pub(super) fn new(settings: Mysql, modes: &[Mode], punctual: bool) -> Self {
        let start = Instant::now();
        let names = (0..modes.len()).map(|it| it.to_string()).collect();
        let roles = Roles::new(settings.clone(), &names, start);
        let servers = modes.iter().enumerate().map(|(place, mode)| Server::new(place, *mode));
        let watch = Watch::new(settings.clone(), punctual, modes.len());
        let servers = servers.collect();
        Self { start, now: 0, settings, punctual, roles, servers, watch, trace: Vec::new() }
    }

    /// Runs until then.
    pub(super) fn run(&mut self, until: u64) {
        loop {
            let next =
                |it: &Server| it.coming.as_ref().map_or(it.next, |coming| coming.0.min(it.next));
            let due = self.servers.iter().map(next).min().unwrap_or(until);
            let due = self.deadline().into_iter().chain([due, until]).min().unwrap_or(until);
            // Views are also asked for between the steps.
            self.now = self.now.midpoint(due);
            self.look(Vec::new());
            self.now = due;
            self.arrive();
            if self.punctual {
                let notes = self.roles.elapsed(self.at());
                self.look(notes);
            }
            if self.now >= until {
                return;
            }
        }
    }

    fn arrive(&mut self) {
        for place in 0..self.servers.len() {
            let (now, name) = (self.at(), place.to_string());
            let server = &mut self.servers[place];
            let coming = server.coming.take_if(|it| it.0 <= self.now);
            if server.next <= self.now {
                server.ask(&self.settings);
            }
            let notes = match coming {
                None => continue,
                Some((_, Some(said))) => {
                    self.watch.answered(place, &said, self.now);
                    self.roles.answered(&name, said, now)
                }
                Some((_, None)) => {
                    self.watch.failed(place);
                    self.roles.failed(&name, "timeout", now)
                }
            };
            self.look(notes);
        }
    }

    fn look(&mut self, notes: Vec<Note>) {
        let views = [Role::Primary, Role::Replica].map(|role| self.roles.view(role, self.at()));
        let [writes, reads] = views;
        self.watch.look(&writes, &reads, &notes, self.now);
        self.trace.push((self.now, writes, reads, notes));
    }

    fn at(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    /// When the machine wants to be called, in whole milliseconds from then on.
    fn deadline(&self) -> Option<u64> {
        let deadline = self.roles.next_deadline(self.at()).filter(|_| self.punctual)?;
        Some((deadline - self.start).as_millis() as u64)
    }
}
