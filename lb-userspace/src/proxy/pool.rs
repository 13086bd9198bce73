//! A pool at work: who takes sessions, who has how many, and who waits.

mod choice;
mod entry;

use std::{
    sync::{Arc, Mutex, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use lb_common::hash::HashKey;

pub(super) use self::entry::Member;
use self::{
    choice::Pick,
    entry::{Entry, close},
};
use super::{
    Order,
    balance::{Balancer, Candidate},
    counters::{BackendReport, Gauge},
    end::End,
    lock,
    mail::{Message, Team},
    queue::{Address, Line, Wish},
};
use crate::config::proxy::{Eject, OnDown, Queue};

/// What a pool has for a session.
pub(super) enum Sought {
    /// A backend, which counts the session already.
    Found(Arc<Member>),
    /// A place in the line, for so long; then the session ends with the reason.
    Wait(Duration, End),
}

/// The backends of a proxy.
pub(super) struct Pool {
    inner: Mutex<Inner>,
    /// The length of the line, for those who need not look further.
    waiting: Gauge,
    key: HashKey,
}

struct Inner {
    entries: Vec<Entry>,
    balancer: Balancer,
    /// Made anew by each choice; kept for its memory.
    candidates: Vec<Candidate>,
    line: Line,
    queue: Queue,
    hold: Option<Duration>,
    eject: Eject,
}

impl Pool {
    pub(super) fn new(order: &Order, key: HashKey) -> Self {
        let inner = Inner {
            entries: Vec::new(),
            balancer: Balancer::new(order.settings.balance, Vec::new(), &key),
            candidates: Vec::new(),
            line: Line::default(),
            queue: order.settings.queue,
            hold: order.hold,
            eject: order.settings.eject,
        };
        Self { inner: Mutex::new(inner), waiting: Gauge::default(), key }
    }

    /// Takes an order. Gives the backends whose sessions must end, and why.
    pub(super) fn configure(&self, order: &Order, team: &Team) -> Vec<(Arc<Member>, End)> {
        let Order { settings, states, hold } = order;
        let mut inner = lock(&self.inner);
        let mut before = std::mem::take(&mut inner.entries);
        let mut closing = Vec::new();
        for backend in &settings.backends {
            let state = states.get(&backend.name).copied().unwrap_or_default();
            let entry = Entry::new(backend, state, &mut before);
            if let Some(end) = close(backend, state, settings.on_down) {
                closing.push((Arc::clone(&entry.member), end));
            }
            inner.entries.push(entry);
        }
        if settings.on_down == OnDown::Close {
            closing.extend(before.into_iter().map(|gone| (gone.member, End::BackendDown)));
        }
        closing.retain(|(member, _)| member.counters.sessions.now() > 0);
        let places = inner.places();
        // Orders that change nothing here leave the turns as they are.
        if !inner.balancer.is_for(settings.balance, &places) {
            inner.balancer = Balancer::new(settings.balance, places, &self.key);
        }
        (inner.queue, inner.hold, inner.eject) = (settings.queue, *hold, settings.eject);
        self.dispatch(&mut inner, team);
        closing
    }

    /// A backend for a session, or a place in the line.
    pub(super) fn seek(&self, wish: Wish) -> Result<Sought, End> {
        let mut inner = lock(&self.inner);
        let (time, end) = match inner.pick(&wish) {
            Pick::Found(member) => return Ok(Sought::Found(member)),
            Pick::Full if inner.line.len() < inner.queue.length as usize => {
                (inner.queue.timeout, End::QueueTimeout)
            }
            Pick::Full => return Err(End::QueueFull),
            Pick::Nobody if !wish.tried.is_empty() => return Err(End::ConnectFailed),
            Pick::Nobody => (inner.hold.ok_or(End::NoBackend)?, End::NoBackend),
        };
        let _unlimited = self.waiting.enter(u32::MAX);
        // Who leaves looks at the line only where somebody waits: one may have left meanwhile.
        if let Pick::Found(member) = inner.pick(&wish) {
            self.waiting.leave();
            return Ok(Sought::Found(member));
        }
        self.waiting.mark();
        inner.line.push(wish);
        Ok(Sought::Wait(time, end))
    }

    /// Takes a session out of the line, where it no longer is if it was granted a backend.
    pub(super) fn give_up(&self, session: Address) {
        if lock(&self.inner).line.remove(session) {
            self.waiting.leave();
        }
    }

    /// A backend has one session less.
    pub(super) fn release(&self, member: &Member, team: &Team) {
        member.counters.sessions.leave();
        if self.waiting.now() > 0 {
            self.dispatch(&mut lock(&self.inner), team);
        }
    }

    /// A backend was connected to.
    pub(super) fn succeeded(&self, member: &Arc<Member>) {
        if member.troubled.load(Relaxed) {
            member.troubled.store(false, Relaxed);
            if let Some(entry) = lock(&self.inner).entry(member) {
                entry.ejection.succeeded();
            }
        }
    }

    /// A backend could not be connected to. Gives for how long it is passed over, if that begins now.
    pub(super) fn failed(&self, member: &Arc<Member>) -> Option<Duration> {
        member.troubled.store(true, Relaxed);
        let mut inner = lock(&self.inner);
        let rules = inner.eject;
        inner.entry(member)?.ejection.failed(&rules, Instant::now())
    }

    pub(super) fn waiting(&self) -> &Gauge {
        &self.waiting
    }

    pub(super) fn report(&self) -> Vec<BackendReport> {
        let now = Instant::now();
        let report = |entry: &Entry| BackendReport {
            name: entry.member.name.clone(),
            totals: entry.member.counters.totals(),
            open: entry.weight > 0,
            ejected: entry.ejection.holds(now),
        };
        lock(&self.inner).entries.iter().map(report).collect()
    }

    fn dispatch(&self, inner: &mut Inner, team: &Team) {
        let mut line = std::mem::take(&mut inner.line);
        line.grant(|wish| match inner.pick(wish) {
            Pick::Found(member) => {
                self.waiting.leave();
                let (session, proxy) = (wish.session, Arc::clone(&wish.proxy));
                team.tell(session.worker, Message::Grant { session, proxy, member });
                true
            }
            Pick::Full | Pick::Nobody => false,
        });
        inner.line = line;
    }
}

impl Inner {
    fn entry(&mut self, member: &Arc<Member>) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| Arc::ptr_eq(&entry.member, member))
    }
}
