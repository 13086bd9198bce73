//! The one task that owns the state: it takes requests and news in turn.

mod forwarder;
mod probe;
mod speaker;

use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot, watch};

use super::{Rejection, Request, state::State};
use crate::{
    api::{
        plan::{self, File, Plan, Saved},
        types::{Admin, Interface, Stats, Status},
    },
    cluster,
    config::file::{self, Loaded},
    dataplane::{Attach, Counters, Dataplane, Trials},
    events::{Event, Kind, Who},
    forwarder::{client::Forwarder, message::Duties as Forwarding},
    health::{Targets, View, agent},
    speaker::{
        client::Speaker,
        message::{Duties, Holdings, Report},
    },
    topology::Topology,
};

/// A tick of the node.
const ROUND: Duration = Duration::from_secs(1);
/// The rounds until all maps are compared, and one ring, the next in turn, is built anew, so that a
/// lost event or a stray write heals itself: some milliseconds' work.
const DOUBT: u32 = 10;

/// What does not change while the daemon runs.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When the daemon started.
    pub started: Instant,
    /// Whether it took over pinned state.
    pub took_over: bool,
    /// The interfaces that the program is attached to.
    pub interfaces: Vec<Interface>,
    /// The configuration file that the daemon was started with, if it was.
    pub config: Option<PathBuf>,
}

/// What the task hears from the watchers.
pub struct News {
    /// What the checks say.
    pub health: watch::Receiver<Arc<View>>,
    /// What the agents say.
    pub agents: watch::Receiver<Arc<agent::View>>,
    /// What the kernel says of the network.
    pub topology: watch::Receiver<Arc<Topology>>,
}

/// What the task tells the watchers.
pub struct Orders {
    /// What to check.
    pub targets: watch::Sender<Arc<Targets>>,
    /// Which agents to ask.
    pub agents: watch::Sender<Arc<agent::Targets>>,
    /// Whose neighbours to keep resolved.
    pub wanted: watch::Sender<BTreeSet<IpAddr>>,
    /// What the speaker is there for.
    pub duties: watch::Sender<Duties>,
    /// What the forwarder is there for.
    pub forwarding: watch::Sender<Forwarding>,
    /// The rings that other nodes should have as well.
    pub rings: watch::Sender<cluster::Rings>,
    /// What the speaker cannot see of what it tracks, as soon as it is known.
    pub report: watch::Sender<Option<Report>>,
}

/// The control task.
pub struct Task<D> {
    /// The state that it owns.
    pub state: State<D>,
    /// What does not change.
    pub facts: Facts,
    /// What it tells the watchers.
    pub orders: Orders,
    /// The speaker.
    pub speaker: Speaker,
    /// The forwarder.
    pub forwarder: Forwarder,
    /// What is known of the other nodes.
    pub cluster: watch::Receiver<cluster::View>,
}

impl<D: Dataplane + Counters + Trials + Attach> Task<D> {
    /// Runs until all handles are gone.
    pub async fn run(mut self, mut requests: mpsc::Receiver<Request>, mut news: News) {
        let mut round = tokio::time::interval(ROUND);
        round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut rounds = 0u32;
        loop {
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => if self.answer(request) {
                        // Whoever asked hears of it first.
                        tokio::task::yield_now().await;
                        self.provide_probe_link().await;
                        self.tell();
                    },
                    None => return,
                },
                Ok(()) = news.health.changed() => {
                    self.state.see_health(news.health.borrow_and_update().clone());
                    self.sync();
                    self.report();
                }
                Ok(()) = news.agents.changed() => {
                    self.state.see_agents(news.agents.borrow_and_update().clone());
                    self.sync();
                }
                Ok(()) = news.topology.changed() => {
                    self.state.see_topology(news.topology.borrow_and_update().clone());
                    self.provide_probe_link().await;
                    self.sync();
                    // Checks may have to take another way.
                    self.tell();
                }
                _ = round.tick() => {
                    self.tick();
                    self.provide_probe_link().await;
                    rounds = rounds.wrapping_add(1);
                    if rounds.is_multiple_of(DOUBT) {
                        self.state.doubt();
                        self.sync();
                    } else if !self.state.is_settled() {
                        self.sync();
                    } else {
                        self.state.note_progress();
                    }
                    self.tell();
                    self.report();
                }
            }
        }
    }

    fn tick(&mut self) {
        // A failure is kept, and noted as an event.
        drop(self.state.tick());
    }

    fn sync(&mut self) {
        if let Ok(outcome) = self.state.sync() {
            tracing::debug!(writes = outcome.writes, slots = outcome.slots_moved, "in sync");
        }
        self.state.note_progress();
    }

    /// Tells the watchers what is wanted now. Backends that leave are kept resolved until the last of
    /// their flows is over.
    fn tell(&self) {
        tell(&self.orders.targets, Arc::new(self.state.targets()));
        tell(&self.orders.agents, Arc::new(self.state.agents()));
        tell(&self.orders.wanted, self.state.wanted());
        tell(&self.orders.duties, self.state.duties());
        tell(&self.orders.forwarding, self.state.forwarder_duties());
        tell(&self.orders.rings, self.state.shared_rings());
    }

    /// Gives whether anything was changed.
    fn answer(&mut self, request: Request) -> bool {
        match request {
            Request::Status(to) => send(to, self.status()),
            Request::Services(to) => send(to, self.state.services().map_err(failed)),
            Request::Backends(to) => send(to, self.backends()),
            Request::Stats(to) => send(to, self.stats()),
            Request::Explain(question, to) => {
                let interface = self.facts.interfaces.first().map_or(0, |it| it.index);
                send(to, self.state.explain(&question, interface));
            }
            Request::Change(change, who, to) => {
                let answer = self.state.change(&change);
                if let Ok(changed) = &answer {
                    self.state.events().note_change(&change, changed, &who);
                }
                self.state.note_progress();
                send(to, answer);
                return true;
            }
            Request::Diff(to) => send(to, Ok(self.state.diff())),
            Request::Plan(file, to) => {
                send(to, self.load(file).and_then(|file| self.state.plan(&file)));
            }
            Request::Apply(file, who, to) => {
                let answer = self.load(file).and_then(|file| self.state.apply(file));
                self.note(Kind::Applied, &answer, &who);
                send(to, answer);
                return true;
            }
            Request::Save(who, to) => send(to, self.save(&who)),
            Request::Routers(to) => send(to, self.routers()),
            Request::Failover(router, who, to) => send(to, self.fail_over(router, &who)),
            Request::Routes(to) => send(to, self.routes()),
            Request::Announce(route, wanted, who, to) => {
                send(to, self.announce(route, wanted, who));
            }
            Request::Proxies(to) => send(to, self.proxies()),
            Request::Revert(who, to) => {
                let answer = self.state.revert();
                self.note(Kind::Reverted, &answer, &who);
                send(to, answer);
                return true;
            }
        }
        false
    }

    /// A configuration file; the daemon's own if no other is given.
    fn load(&self, other: Option<File>) -> Result<Loaded, Rejection> {
        let loaded = match other {
            Some(File { name, text }) => file::parse(&text, &name),
            None => file::load(self.own_file()?),
        };
        loaded.map_err(|error| Rejection::Invalid(error.to_string()))
    }

    fn own_file(&self) -> Result<&Path, Rejection> {
        self.facts.config.as_deref().ok_or_else(|| {
            let message = "the daemon runs its built-in configuration and has no file: start it with \
                           `lb run --config FILE`, or use `lb apply FILE`";
            Rejection::Invalid(message.into())
        })
    }

    fn save(&mut self, who: &Who) -> Result<Saved, Rejection> {
        let path = self.own_file()?.to_owned();
        let differences = self.state.save(&path)?;
        let saved = Saved { file: path.display().to_string(), differences };
        let cause = format!("{}: {}", saved.file, plan::count(&saved.differences));
        self.state.events().note(Event::new(Kind::Saved, cause).by(who));
        Ok(saved)
    }

    fn note(&mut self, kind: Kind, answer: &Result<Plan, Rejection>, who: &Who) {
        match answer {
            Ok(plan) => {
                self.state.events().note_plan(kind, plan, who);
                self.state.note_progress();
            }
            Err(why) => {
                self.state.events().note(Event::new(Kind::Refused, why.to_string()).by(who));
            }
        }
    }

    fn status(&self) -> Result<Status, Rejection> {
        let backends = self.state.backends().map_err(failed)?;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime_seconds: self.facts.started.elapsed().as_secs(),
            took_over: self.facts.took_over,
            interfaces: self.facts.interfaces.clone(),
            services: self.state.config.services.len(),
            backends: backends.iter().filter(|it| it.admin != Admin::Sorry).count(),
            backends_up: backends.iter().filter(|it| it.counts_as_up()).count(),
            ring_bytes: self.state.ring_bytes(),
            config: self.state.file_name().to_owned(),
            changes: self.state.diff().len(),
            problems: self.problems()?,
        })
    }

    fn problems(&self) -> Result<Vec<String>, Rejection> {
        let mut problems = self.state.problems().map_err(failed)?;
        match self.holdings() {
            Err(silent) => problems.push(silent.to_string()),
            Ok(Holdings { vrrp, routes }) => {
                let routers =
                    vrrp.routers.into_iter().map(|it| ("virtual router", it.name, it.problems));
                let routes = routes.into_iter().map(|it| ("route", it.name, it.problems));
                problems.extend(routers.chain(routes).flat_map(|(kind, name, problems)| {
                    problems.into_iter().map(move |problem| format!("{kind} {name}: {problem}"))
                }));
                problems.extend(self.cluster.borrow().problems());
            }
        }
        problems.extend(self.problems_of_forwarder());
        Ok(problems)
    }

    fn stats(&self) -> Result<Stats, Rejection> {
        Ok(Stats {
            at_ms: u64::try_from(self.facts.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            verdicts: self.state.verdicts().map_err(failed)?,
            backends: self.state.backends_of_services().map_err(failed)?,
        })
    }
}

fn tell<T: PartialEq>(to: &watch::Sender<T>, news: T) {
    let _: bool = to.send_if_modified(|told| {
        let differs = *told != news;
        *told = news;
        differs
    });
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: crate::reconcile::Error) -> Rejection {
    Rejection::Failed(error.to_string())
}

/// A client that has gone away needs no answer.
fn send<T>(to: oneshot::Sender<T>, answer: T) {
    if to.send(answer).is_err() {
        tracing::debug!("the client did not wait for its answer");
    }
}
