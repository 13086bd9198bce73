//! What the workers share of a proxy.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use lb_common::hash::HashKey;

use super::{
    Order,
    counters::{Counters, Ends, Report},
    end::End,
    mail::{Message, Team},
    pool::{Member, Pool},
};
use crate::config::proxy::Proxy;

/// A proxy at work.
pub(super) struct Live {
    pub(super) name: String,
    pub(super) pool: Pool,
    pub(super) counters: Counters,
    pub(super) ends: Ends,
    pub(super) key: HashKey,
    settings: RwLock<Arc<Proxy>>,
    /// Whether a listener has stopped because there are as many sessions as there may be.
    full: AtomicBool,
}

impl Live {
    pub(super) fn new(order: &Order, key: HashKey) -> Self {
        Self {
            name: order.settings.name.clone(),
            pool: Pool::new(order, key),
            counters: Counters::default(),
            ends: Ends::default(),
            key,
            settings: RwLock::new(Arc::new(order.settings.clone())),
            full: AtomicBool::new(false),
        }
    }

    pub(super) fn settings(&self) -> Arc<Proxy> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes an order. Gives the backends whose sessions must end, and why.
    pub(super) fn configure(&self, order: &Order, team: &Team) -> Vec<(Arc<Member>, End)> {
        let settings = Arc::new(order.settings.clone());
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        self.pool.configure(order, team)
    }

    /// Whether an order has other timeouts.
    pub(super) fn differs_in_time(&self, Order { settings: new, .. }: &Order) -> bool {
        let old = self.settings();
        old.timeouts != new.timeouts || old.accept_proxy != new.accept_proxy
    }

    /// One session more, if there is room.
    pub(super) fn enter(&self, limit: u32) -> bool {
        if self.counters.sessions.enter(limit) {
            return true;
        }
        self.full.store(true, SeqCst);
        // One may have left before it could see that somebody waits.
        self.counters.sessions.enter(limit)
    }

    /// One session less.
    pub(super) fn leave(&self, team: &Team) {
        self.counters.sessions.leave();
        if self.full.load(SeqCst) && self.full.swap(false, SeqCst) {
            team.tell_all(|| Message::Resume);
        }
    }

    /// Counts how a session ended that lasted so long.
    pub(super) fn ended(&self, end: End, time: Duration) {
        self.ends.count(end);
        self.counters.session_time.add_time(time);
    }

    pub(super) fn report(&self) -> Report {
        Report {
            name: self.name.clone(),
            totals: self.counters.totals(),
            waiting: self.pool.waiting().now(),
            waiting_max: self.pool.waiting().most(),
            ends: self.ends.read(),
            backends: self.pool.report(),
        }
    }
}
