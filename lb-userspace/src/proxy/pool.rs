//! A pool at work: who takes sessions, who has how many, and who waits.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use lb_common::hash::HashKey;

use super::{
    Order, State,
    balance::{self, Balancer, Candidate},
    counters::{BackendReport, Counters, Gauge},
    eject::Ejection,
    end::End,
    lock,
    mail::{Message, Team},
    queue::{Address, Line, Wish},
};
use crate::{
    config::{
        Admin,
        proxy::{Backend, Eject, OnDown, Place, Queue},
    },
    ring::Endpoint,
};

/// A backend, as long as it is configured or has sessions.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) counters: Counters,
    /// Whether connecting to it has failed since it last succeeded.
    troubled: AtomicBool,
}

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

/// A backend, as the last order has it.
struct Entry {
    member: Arc<Member>,
    /// Of new sessions; 0: it gets none.
    weight: u32,
    backup: bool,
    limit: u32,
    ejection: Ejection,
}

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

enum Pick {
    Found(Arc<Member>),
    Full,
    Nobody,
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

    /// The members of the ring: the backups only if there is nobody else.
    fn places(&self) -> Vec<balance::Place> {
        let is_open = |entry: &Entry| entry.weight > 0 && !entry.backup;
        let backups = !self.entries.iter().any(is_open);
        let place = |entry: &Entry| balance::Place {
            endpoint: endpoint(&entry.member.place),
            weight: if entry.backup == backups { entry.weight as u16 } else { 0 },
        };
        self.entries.iter().map(place).collect()
    }

    /// Chooses a backend, and counts the session there.
    fn pick(&mut self, wish: &Wish) -> Pick {
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
                    entry.member.counters.sessions_total.add(1);
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

impl Entry {
    /// As ordered, with what is known of it from before.
    fn new(backend: &Backend, state: State, before: &mut Vec<Self>) -> Self {
        let is_same =
            |it: &Self| it.member.name == backend.name && it.member.place == backend.address;
        let known = before.iter().position(is_same).map(|at| before.swap_remove(at));
        let known = known.map(|it| (it.member, it.ejection));
        let (member, ejection) = known.unwrap_or_else(|| {
            let member = Member {
                name: backend.name.clone(),
                place: backend.address.clone(),
                counters: Counters::default(),
                troubled: AtomicBool::new(false),
            };
            (Arc::new(member), Ejection::default())
        });
        let open = state.up && state.eligible && !state.close && backend.admin == Admin::Ready;
        Self {
            member,
            weight: if open { u32::from(backend.weight) * u32::from(state.parts) } else { 0 },
            backup: backend.backup,
            limit: backend.max_connections.unwrap_or(u32::MAX),
            ejection,
        }
    }
}

/// Why a backend's sessions must end, if they must.
fn close(backend: &Backend, state: State, on_down: OnDown) -> Option<End> {
    let is_down = !state.up || backend.admin == Admin::Maintenance;
    if state.close {
        Some(End::Withdrawn)
    } else {
        (is_down && on_down == OnDown::Close).then_some(End::BackendDown)
    }
}

/// What stands for a backend on the ring. A Unix socket is the hash of its path there.
fn endpoint(place: &Place) -> Endpoint {
    match place {
        Place::Tcp(socket) => (*socket).into(),
        Place::Unix(path) => {
            // FNV-1a, 128 bits: equal on all nodes, which std's hasher does not promise.
            let step = |hash: u128, byte: &u8| {
                (hash ^ u128::from(*byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
            };
            let bytes = path.as_os_str().as_encoded_bytes();
            let hash = bytes.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, step);
            std::net::SocketAddr::from((std::net::Ipv6Addr::from(hash), 0)).into()
        }
    }
}
