//! The proxies of a process: orders and the roles of database servers in, the engine's orders out.

use std::{collections::BTreeMap, io, num::NonZero, os::fd::OwnedFd, thread, time::Instant};

use tokio::sync::mpsc;

use super::{
    desk::{Answer, Question},
    legacy::Legacy,
    message::{Duties, Holdings, Hosted, Noted},
};
use crate::{
    config::proxy::{Mysql, Place},
    proxy::{
        self, Engine, EngineError, Listener,
        mysql::{
            View,
            monitor::{Monitors, Pool, Told},
        },
    },
};

/// Proxies, and what is known of their backends.
pub(super) struct Host {
    duties: Duties,
    engine: Option<Engine>,
    monitors: Monitors,
    /// What the monitors say, by proxy.
    views: BTreeMap<String, View>,
    /// Sockets of the process before, until they are used.
    taken: Vec<Listener>,
    /// Where proxies listen.
    places: BTreeMap<String, Vec<Place>>,
    /// What keeps proxies from their work.
    problems: BTreeMap<String, String>,
    is_draining: bool,
}

impl Host {
    /// One that hosts nothing, and what its monitors tell.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Told>) {
        let (sender, told) = mpsc::unbounded_channel();
        let host = Self {
            duties: Duties::default(),
            engine: None,
            monitors: Monitors::new(sender),
            views: BTreeMap::new(),
            taken: Vec::new(),
            places: BTreeMap::new(),
            problems: BTreeMap::new(),
            is_draining: false,
        };
        (host, told)
    }

    /// Goes on for another process.
    pub(super) fn take_over(&mut self, mut legacy: Legacy) -> anyhow::Result<()> {
        self.taken = legacy.take_listeners()?;
        self.monitors.resume(legacy.primaries);
        let _another: bool = self.configure(legacy.duties)?;
        self.taken.clear();
        Ok(())
    }

    /// Hosts what is wanted now. Gives whether that takes another process: threads and the hash's secret stay
    /// as they are in this one.
    pub(super) fn configure(&mut self, duties: Duties) -> Result<bool, EngineError> {
        let stays = (duties.threads, duties.seed) == (self.duties.threads, self.duties.seed);
        self.duties = duties;
        if self.engine.is_some() && !stays {
            return Ok(true);
        }
        if self.engine.is_none() {
            let threads = self.duties.threads.unwrap_or_else(cpus);
            self.engine = Some(Engine::start(threads, self.duties.seed)?);
        }
        if let Some(engine) = &self.engine {
            engine.set_busy_poll(self.duties.busy_poll);
        }
        let pools: Vec<_> = self.duties.proxies.iter().filter_map(pool).collect();
        self.views.retain(|name, _| pools.iter().any(|it| it.proxy == *name));
        self.monitors.configure(pools);
        self.apply();
        Ok(false)
    }

    /// What is ordered of its proxies.
    pub(super) fn orders(&self) -> &[proxy::Order] {
        &self.duties.proxies
    }

    /// Heeds what a monitor has found out; gives what is to be told of it.
    pub(super) fn hear(&mut self, told: Told) -> Option<Noted> {
        match told {
            Told::Note { proxy, note } => Some(Noted { proxy, note }),
            Told::View { proxy, view } => {
                drop(self.views.insert(proxy, view));
                self.apply();
                None
            }
        }
    }

    /// Tries again what has failed.
    pub(super) fn retry(&mut self) {
        if !self.problems.is_empty() {
            self.apply();
        }
    }

    /// What a program needs to go on for this one, and the sockets, which must be open meanwhile.
    pub(super) fn bequeath(&self) -> io::Result<(Legacy, Vec<Listener>)> {
        let sockets = self.engine.as_ref().map_or_else(|| Ok(Vec::new()), Engine::listeners)?;
        let legacy = Legacy::new(self.duties.clone(), &sockets, self.monitors.pasts())?;
        Ok((legacy, sockets))
    }

    /// Accepts no more; sessions have their time.
    pub(super) fn drain(&mut self) {
        self.is_draining = true;
        if let Some(engine) = &mut self.engine {
            let deadline = Instant::now().checked_add(self.duties.drain);
            engine.drain(deadline.unwrap_or_else(Instant::now));
        }
    }

    /// Waits for the threads to end, after [`Host::drain`]: one may have accepted somebody just now.
    pub(super) fn finish(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.finish();
        }
    }

    /// How many sessions there are.
    pub(super) fn load(&self) -> u32 {
        self.engine.as_ref().map_or(0, Engine::load)
    }

    pub(super) fn answer(&mut self, question: Question) -> Answer {
        let engine = self.engine.as_ref();
        match question {
            Question::Sessions => {
                Answer::Sessions(engine.map(Engine::sessions).unwrap_or_default())
            }
            Question::Kill(id) => Answer::Killed(engine.is_some_and(|it| it.kill(id))),
            Question::Heed(orders) => {
                self.heed(orders);
                Answer::Heeded
            }
            Question::End => Answer::Ending,
        }
    }

    /// What is ordered of the process that goes on is true of the backends of sessions that are left here. Where
    /// that has no such proxy any more, what was known last holds.
    fn heed(&mut self, orders: Vec<proxy::Order>) {
        if !self.is_draining {
            return;
        }
        for order in orders {
            let mut known = self.duties.proxies.iter_mut();
            if let Some(known) = known.find(|it| it.settings.name == order.settings.name) {
                *known = order;
            }
        }
        self.apply();
    }

    pub(super) fn holdings(&self) -> Holdings {
        let mut reports: BTreeMap<_, _> = (self.engine.iter().flat_map(Engine::report))
            .map(|report| (report.name.clone(), report))
            .collect();
        let hosted = |order: &proxy::Order| {
            let name = &order.settings.name;
            let view = self.views.get(name);
            let rivals = view.filter(|it| !it.rivals.is_empty()).map(|it| {
                format!("{} must not take writes: make it read-only", it.rivals.join(", "))
            });
            let is_vacant =
                order.settings.mysql.is_some() && view.is_none_or(|it| it.primary.is_none());
            let vacancy = is_vacant.then(|| "no database server is known to be the primary".into());
            let problems =
                self.problems.get(name).cloned().into_iter().chain(rivals).chain(vacancy);
            let hosted = Hosted {
                report: reports.remove(name),
                primary: view.and_then(|it| it.primary.clone()),
                problems: problems.collect(),
            };
            (name.clone(), hosted)
        };
        Holdings { proxies: self.duties.proxies.iter().map(hosted).collect() }
    }

    /// Tells the engine all. A proxy that cannot listen keeps none of the others from their changes: it
    /// stays where it listened, if it did.
    fn apply(&mut self) {
        let mut orders: Vec<_> = self.duties.proxies.iter().map(|it| self.completed(it)).collect();
        let Some(engine) = &mut self.engine else { return };
        if self.is_draining {
            engine.judge(&orders);
            return;
        }
        let before = std::mem::take(&mut self.problems);
        while let Err(error) = again(&self.taken).and_then(|taken| engine.configure(&orders, taken))
        {
            let EngineError::Listen { proxy, .. } = &error else {
                tracing::error!("{error}");
                return;
            };
            let settled = self.places.get(proxy);
            orders.retain_mut(|order| {
                if order.settings.name != *proxy {
                    return true;
                }
                let moves = settled.is_some_and(|it| *it != order.settings.listen);
                order.settings.listen = settled.cloned().unwrap_or_default();
                moves
            });
            let text = error.to_string();
            if before.get(proxy) != Some(&text) {
                tracing::error!("{text}");
            }
            drop(self.problems.insert(proxy.clone(), text));
        }
        let placed = |order: proxy::Order| (order.settings.name, order.settings.listen);
        self.places = orders.into_iter().map(placed).collect();
    }

    /// An order with what the monitors know. Nobody is a primary before they know.
    fn completed(&self, order: &proxy::Order) -> proxy::Order {
        let mut order = order.clone();
        let Some(Mysql { promotion_wait, .. }) = order.settings.mysql else { return order };
        let view = self.views.get(&order.settings.name);
        order.hold = view.map_or(Some(promotion_wait), |it| it.hold);
        for backend in &order.settings.backends {
            let access = view.and_then(|it| it.servers.get(&backend.name));
            let access = access.copied().unwrap_or_default();
            let state = order.states.entry(backend.name.clone()).or_default();
            state.eligible &= access.eligible;
            state.close |= access.close;
        }
        order
    }
}

/// The database servers whose roles a proxy wants to know.
fn pool(order: &proxy::Order) -> Option<Pool> {
    let settings = order.settings.mysql.clone()?;
    let servers = order.settings.backends.iter().map(|it| (it.name.clone(), it.address.clone()));
    Some(Pool { proxy: order.settings.name.clone(), settings, servers: servers.collect() })
}

fn again(sockets: &[Listener]) -> Result<Vec<Listener>, EngineError> {
    let copy = |it: &Listener| {
        let socket: io::Result<OwnedFd> = it.socket.try_clone();
        socket.map(|socket| Listener { place: it.place.clone(), socket })
    };
    sockets.iter().map(copy).collect::<io::Result<_>>().map_err(EngineError::Start)
}

fn cpus() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}
