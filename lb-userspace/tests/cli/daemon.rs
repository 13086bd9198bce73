//! A daemon without a data plane: the real API over a control task that only keeps the books.

use std::{collections::BTreeMap, path::PathBuf, thread::JoinHandle};

use lb_common::verdict::Verdict;
use lb_userspace::{
    api::{
        explain::{Explanation, Question, Step},
        plan::{Difference, File, Plan, Ring, Saved},
        proxy::{Proxy, ProxyBackend, SessionTraffic},
        server,
        sessions::Forwarders,
        types::{
            Admin, At, Backend, Change, Changed, Drain, Health, Interface, Memory, Routers,
            Service, Stats, Status, Traffic,
        },
    },
    cluster,
    config::{
        self, Config, file,
        proxy::{Balance, Role},
    },
    control::{Handle, Rejection, Request},
    events::Events,
    speaker::message::{Route, RouteState, Router, View},
    vrrp::{Cause, Counters, State},
};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// It serves the embedded configuration until it is dropped.
pub(crate) struct Daemon {
    directory: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (listening, listens) = std::sync::mpsc::channel();
        let socket = directory.path().join("lb.sock");
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = server::bind(&socket).unwrap();
                listening.send(()).unwrap();
                let (handle, mut requests) = Handle::new();
                let books = Books::new();
                let events = books.events.clone();
                let books = tokio::spawn(async move {
                    let mut books = books;
                    while let Some(request) = requests.recv().await {
                        books.answer(request);
                    }
                });
                let shutdown = async move { stopped.await.unwrap_or_default() };
                let forwarders = Forwarders { socket: socket.with_file_name("proxy.sock"), events };
                server::serve(listener, handle, forwarders, shutdown).await.unwrap();
                books.abort();
            });
        });
        listens.recv().unwrap();
        Self { directory, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("lb.sock")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

fn explanation(question: &Question) -> Explanation {
    let finding = format!("{} > {}", question.source, question.destination);
    Explanation {
        steps: vec![Step { stage: "parse".into(), finding }],
        verdict: "no-service".into(),
        meaning: Verdict::NoService.describe().trim().into(),
        received: "0200".into(),
        sent: None,
    }
}

/// What a node shares with another, which has another ring for one of two services.
fn routers() -> Routers {
    let ring = |service: &str, there: &str, differs| cluster::Ring {
        service: service.into(),
        digest: "0123456789abcdef".into(),
        others: vec![cluster::Other { node: "lb-2".into(), digest: Some(there.into()), differs }],
    };
    let node = cluster::Node { name: "lb-2".into(), address: "10.0.0.3".parse().unwrap() };
    let rings = vec![ring("app", "0123456789abcdef", false), ring("web", "fedcba9876543210", true)];
    Routers { view: view(), cluster: cluster::View { nodes: vec![node], rings } }
}

/// A virtual router of which this node is master.
fn view() -> View {
    let router = Router {
        name: "web".into(),
        group: None,
        interface: "eth0".into(),
        id: 51,
        version: 3,
        state: State::Master,
        since: 1_790_000_000,
        cause: Some(Cause::MasterDown),
        priority: 70,
        configured_priority: 100,
        interval_ms: 100,
        addresses: vec!["203.0.113.10".parse().unwrap()],
        peer: None,
        counters: Counters { became_master: 1, sent: 12, received: 7, ..Counters::default() },
        problems: vec!["interface eth1 fails".into()],
    };
    let rejected = [("eth0".into(), [("checksum".into(), 3)].into())].into();
    View { routers: vec![router], rejected }
}

/// Routes, of which one is announced.
fn routes() -> Vec<Route> {
    let announced = Route {
        name: "web".into(),
        state: RouteState::Announced,
        since: 1_790_000_000,
        cause: "all that it needs is well".into(),
        wanted: true,
        interface: "lo".into(),
        addresses: ["203.0.113.10", "2001:db8::10"].map(|it| it.parse().unwrap()).into(),
        problems: Vec::new(),
    };
    let withdrawn = Route {
        name: "dns".into(),
        state: RouteState::Withdrawn,
        cause: "service dns fails".into(),
        addresses: vec!["203.0.113.53".parse().unwrap()],
        problems: vec!["service dns fails".into(), "interface eth1 fails".into()],
        ..announced.clone()
    };
    vec![announced, withdrawn]
}

/// A proxy of database servers, of which the second is passed over.
fn proxy() -> Proxy {
    let backend = |name: &str, address: &str, is_well: bool| ProxyBackend {
        name: name.into(),
        address: address.into(),
        weight: 1,
        backup: false,
        admin: Admin::Ready,
        deadline_seconds: None,
        health: if is_well { Health::Up } else { Health::Down },
        health_reason: if is_well { "connected" } else { "connection refused" }.into(),
        open: is_well,
        ejected: false,
        traffic: SessionTraffic { sessions: 7, sessions_total: 1200, ..SessionTraffic::default() },
    };
    Proxy {
        name: "db-write".into(),
        listen: vec!["10.0.0.2:3306".into()],
        balance: Balance::LeastConnections,
        role: Some(Role::Primary),
        primary: Some("db1".into()),
        max_connections: 1000,
        waiting: 0,
        traffic: SessionTraffic::default(),
        ends: BTreeMap::from([("client_closed".into(), 1193)]),
        backends: vec![
            backend("db1", "10.0.2.11:3306", true),
            backend("db2", "unix:/run/db2.sock", false),
        ],
        problems: vec!["db2 must not take writes: make it read-only".into()],
    }
}

fn announce(route: Option<&str>) -> Result<(), Rejection> {
    match route {
        None | Some("web" | "dns") => Ok(()),
        Some(other) => Err(Rejection::NotFound(format!("there is no route `{other}`"))),
    }
}

fn failover(router: Option<&str>) -> Result<(), Rejection> {
    match router {
        None | Some("web") => Ok(()),
        Some(other) => Err(Rejection::NotFound(format!("there is no virtual router `{other}`"))),
    }
}

struct Books {
    config: Config,
    samples: u64,
    events: Events,
}

impl Books {
    fn new() -> Self {
        let config = file::embedded().unwrap().config;
        Self { config, samples: 0, events: Events::default() }
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::Status(answer) => drop(answer.send(Ok(self.status()))),
            Request::Services(answer) => drop(answer.send(Ok(self.services()))),
            Request::Backends(answer) => drop(answer.send(Ok(self.backends()))),
            Request::Stats(answer) => drop(answer.send(Ok(self.stats()))),
            Request::Explain(question, answer) => drop(answer.send(Ok(explanation(&question)))),
            Request::Change(change, who, answer) => {
                let changed = self.change(&change);
                if let Ok(changed) = &changed {
                    self.events.note_change(&change, changed, &who);
                }
                drop(answer.send(changed));
            }
            Request::Diff(answer) => drop(answer.send(Ok(self.diff()))),
            Request::Plan(file, answer) => drop(answer.send(self.plan(file))),
            Request::Apply(file, _, answer) => drop(answer.send(self.apply(file))),
            Request::Save(_, answer) => drop(answer.send(Ok(self.save()))),
            Request::Revert(_, answer) => drop(answer.send(self.apply(None))),
            Request::Routers(answer) => drop(answer.send(Ok(routers()))),
            Request::Failover(router, _, answer) => drop(answer.send(failover(router.as_deref()))),
            Request::Routes(answer) => drop(answer.send(Ok(routes()))),
            Request::Announce(route, _, _, answer) => drop(answer.send(announce(route.as_deref()))),
            Request::Proxies(answer) => drop(answer.send(Ok(vec![proxy()]))),
        }
    }

    fn status(&self) -> Status {
        Status {
            version: "0.1.0".into(),
            pid: 4711,
            uptime_seconds: 3723,
            took_over: true,
            interfaces: vec![Interface { name: "eth0".into(), index: 2, mode: "native".into() }],
            services: self.config.services.len(),
            backends: self.backends().len(),
            backends_up: self.backends().iter().filter(|it| it.health == Health::Up).count(),
            ring_bytes: 4 * 4 * 65_537,
            config: "/etc/lb/lb.toml".into(),
            changes: self.diff().len(),
            problems: vec!["web3 of web is down".into(), "eth0 has no carrier".into()],
        }
    }

    fn services(&self) -> Vec<Service> {
        let service = |service: &config::Service| Service {
            name: service.name.clone(),
            vip: service.vip,
            protocol: service.protocol.as_str().into(),
            port: service.ports,
            forward: service.forward.as_str().into(),
            window_seconds: service.window.as_secs(),
            on_down: service.on_down.as_str().into(),
            ring_size: service.ring_size,
            backends: service.backends.len(),
            backends_up: 2,
            panic_percent: service.panic,
            usage: "normal".into(),
            memory: Memory { moving: 410, settled: 3, flows: 1234, limit: 65_536, refused: 0 },
            traffic: self.traffic(),
        };
        self.config.services.iter().map(service).collect()
    }

    fn backends(&self) -> Vec<Backend> {
        let mut backends = Vec::new();
        for service in &self.config.services {
            for (position, backend) in service.backends.iter().enumerate() {
                let down = position == 2;
                backends.push(Backend {
                    service: service.name.clone(),
                    proxy: false,
                    name: backend.name.clone(),
                    at: At::Host { address: backend.address, port: backend.ports(service) },
                    weight: backend.weight,
                    admin: match backend.admin {
                        config::Admin::Ready => Admin::Ready,
                        config::Admin::Drain { .. } => Admin::Drain,
                        config::Admin::Maintenance => Admin::Maintenance,
                    },
                    drain: match backend.admin {
                        config::Admin::Drain { until } => Some(Drain {
                            connections: 3,
                            silent_seconds: 1800,
                            deadline_seconds: until.map(|until| until - 1_800_000_000),
                        }),
                        config::Admin::Ready | config::Admin::Maintenance => None,
                    },
                    health: if down { Health::Down } else { Health::Up },
                    health_reason: if down { "connection refused" } else { "200 OK" }.into(),
                    share: if down { 0.0 } else { 0.5 },
                    next_hop: (!down).then(|| format!("eth0 02:00:00:00:00:1{position}")),
                    traffic: self.traffic(),
                });
            }
        }
        backends
    }

    /// 500 packets more with every sample, half a second apart.
    fn stats(&mut self) -> Stats {
        self.samples += 1;
        let mut verdicts = Verdict::ALL.iter().map(|it| (it.as_str().to_owned(), 0)).collect();
        let counted: &mut std::collections::BTreeMap<_, _> = &mut verdicts;
        let _zero = counted.insert("transmitted".into(), self.traffic().packets);
        Stats { at_ms: 500 * self.samples, verdicts, backends: self.backends() }
    }

    fn traffic(&self) -> Traffic {
        let packets = 1_000_000 + 500 * self.samples;
        Traffic { packets, bytes: 100 * packets, ..Traffic::default() }
    }

    fn change(&mut self, change: &Change) -> Result<Changed, Rejection> {
        let backend = config::subject_of(&self.config, change);
        let services = match config::change(&self.config, change, 1_800_000_000)? {
            Some((config, services)) => {
                self.config = config;
                services
            }
            None => Vec::new(),
        };
        Ok(Changed { backend, slots_moved: 21_845 * services.len() as u64, services })
    }

    fn diff(&self) -> Vec<Difference> {
        config::diff(&file::embedded().unwrap().config, &self.config)
    }

    /// What a file would change, and something of everything else.
    fn plan(&self, file: Option<File>) -> Result<Plan, Rejection> {
        let File { name, text } = file.unwrap_or(File {
            name: "/etc/lb/lb.toml".into(),
            text: file::embedded().unwrap().text().into(),
        });
        let loaded = file::parse(&text, &name);
        let loaded = loaded.map_err(|error| Rejection::Invalid(error.to_string()))?;
        let differences = config::diff(&self.config, &loaded.config);
        let changes = !differences.is_empty();
        let ring = Ring { service: "web".into(), slots: 65_537, moved: 21_845, connections: 12 };
        let note = |text: &str| Vec::from_iter(changes.then(|| text.to_owned()));
        Ok(Plan {
            file: name,
            differences,
            rings: Vec::from_iter(changes.then_some(ring)),
            cut: note("service old: its connections end: nothing answers for them"),
            forgotten: note("web/web9, changed, is forgotten: the file has no such backend"),
            warnings: Vec::new(),
        })
    }

    fn apply(&mut self, file: Option<File>) -> Result<Plan, Rejection> {
        let text = file.as_ref().map(|file| file.text.clone());
        let plan = self.plan(file)?;
        let loaded = text.map_or_else(file::embedded, |text| file::parse(&text, ""));
        self.config = loaded.unwrap().config;
        Ok(plan)
    }

    fn save(&self) -> Saved {
        Saved { file: "/etc/lb/lb.toml".into(), differences: self.diff() }
    }
}
