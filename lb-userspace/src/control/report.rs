//! The node's state in the API's words.

mod proxy;

use std::{collections::BTreeMap, net::IpAddr};

use lb_common::{
    route::NextHop,
    service::{ForwardMode, ServiceKey},
    settings::TunnelSource,
};

use super::state::{State, unix_time};
use crate::{
    api::types::{Admin, At, Backend, Drain, Health, Memory, Service, Traffic},
    config,
    dataplane::{Actual, Counters, Dataplane},
    desired::{
        Strength, Usage,
        tunnel::{self, Family},
    },
    health::{FULL, Finding, TargetKey},
    reconcile::{self, Left},
    ring::Endpoint,
    topology::probe::NEAR,
};

/// The backends' lines with their places, by what names them.
type Lines = BTreeMap<(ServiceKey, Endpoint), (u32, lb_common::backend::Backend)>;

impl<D: Dataplane> State<D> {
    /// What a backend still has, if it drains.
    pub(super) fn drain(
        &self,
        service: &config::Service,
        backend: &config::Backend,
        place: Option<u32>,
    ) -> Result<Option<Drain>, reconcile::Error> {
        let (config::Admin::Drain { until }, Some(place)) = (backend.admin, place) else {
            return Ok(None);
        };
        let window = service.window.as_secs().try_into().unwrap_or(u32::MAX);
        let Left { flows, silent } = self.reconciler.left(&service.key(), place, window)?;
        Ok(Some(Drain {
            connections: flows,
            silent_seconds: silent,
            deadline_seconds: until.map(|until| until.saturating_sub(unix_time())),
        }))
    }
}

impl<D: Dataplane + Counters> State<D> {
    /// The backends, in the configuration's order: those of services first.
    pub fn backends(&self) -> Result<Vec<Backend>, reconcile::Error> {
        let mut backends = self.backends_of_services()?;
        backends.extend(self.config.proxies.iter().flat_map(|proxy| self.backends_of(proxy)));
        Ok(backends)
    }

    /// The backends of services, which packets are counted of.
    pub fn backends_of_services(&self) -> Result<Vec<Backend>, reconcile::Error> {
        let lines = lines(&self.reconciler.actual()?);
        let pairs = self
            .config
            .services
            .iter()
            .flat_map(|service| service.machines().map(move |backend| (service, backend)));
        pairs.map(|(service, backend)| self.backend(service, backend, &lines)).collect()
    }

    fn backend(
        &self,
        service: &config::Service,
        backend: &config::Backend,
        lines: &Lines,
    ) -> Result<Backend, reconcile::Error> {
        let endpoint = Endpoint::from(backend.socket());
        let found = lines.get(&(service.key(), endpoint));
        let (place, line) = (found.map(|(place, _)| *place), found.map(|(_, line)| line));
        let is_sorry = service.sorry.as_ref() == Some(backend);
        let (health, health_reason) = if is_sorry {
            (Health::Unchecked, "the sorry backend is not checked".into())
        } else if backend.admin == config::Admin::Maintenance {
            (Health::Unchecked, "in maintenance".into())
        } else {
            self.health_of(service, backend)
        };
        Ok(Backend {
            service: service.name.clone(),
            proxy: false,
            name: backend.name.clone(),
            at: At::Host { address: backend.address, port: backend.ports(service) },
            weight: backend.weight,
            admin: match backend.admin {
                config::Admin::Ready if is_sorry => Admin::Sorry,
                config::Admin::Ready => Admin::Ready,
                config::Admin::Drain { .. } => Admin::Drain,
                config::Admin::Maintenance => Admin::Maintenance,
            },
            drain: self.drain(service, backend, place)?,
            health,
            health_reason,
            share: self.share(service.key(), endpoint),
            next_hop: line
                .map(|line| line.next_hop)
                .filter(NextHop::is_resolved)
                .map(|hop| self.way_of(&hop)),
            traffic: match line {
                Some(line) => traffic(self.reconciler.dataplane().traffic(line.counter)?),
                None => Traffic::default(),
            },
        })
    }

    /// Interface, VLANs from the outer to the inner, and MAC.
    pub(super) fn way_of(&self, hop: &NextHop) -> String {
        let link = self.topology.links.get(&hop.interface);
        let name = link.map_or_else(|| hop.interface.to_string(), |it| it.name.clone());
        let tags = hop.tags.iter().filter(|tag| tag.is_some());
        let vlans = tags.map(|tag| format!(" vlan {}", u16::from_be_bytes(tag.control)));
        format!("{name}{} {}", vlans.collect::<String>(), hop.destination)
    }

    /// What the check and the agent say, and why.
    fn health_of(&self, service: &config::Service, backend: &config::Backend) -> (Health, String) {
        let key = TargetKey::of(service, backend);
        let (health, reason) = self.checked_health_of(service, &key);
        let Some(said) = service.agent.as_ref().and_then(|_| self.agents.get(&key)) else {
            return (health, reason);
        };
        let health = if said.is_down() { Health::Down } else { health };
        (health, format!("{reason}; agent: {said}"))
    }

    fn checked_health_of(&self, service: &config::Service, key: &TargetKey) -> (Health, String) {
        if service.check.is_none() {
            return (Health::Unchecked, "the service has no check".into());
        }
        told(self.health.get(key))
    }

    fn share(&self, key: ServiceKey, endpoint: Endpoint) -> f64 {
        let ring = self.reconciler.rings().get(&key);
        ring.map_or(0.0, |ring| ring.share(&endpoint))
    }

    /// The services, in the configuration's order.
    pub fn services(&self) -> Result<Vec<Service>, reconcile::Error> {
        let backends = self.backends_of_services()?;
        let pools = by_service(&backends);
        let services = self.config.services.iter().map(|service| {
            let pool = pools.get(service.name.as_str()).map_or(&[][..], Vec::as_slice);
            Ok(Service {
                name: service.name.clone(),
                vip: service.vip,
                protocol: service.protocol.as_str().into(),
                port: service.ports,
                forward: service.forward.as_str().into(),
                window_seconds: service.window.as_secs(),
                on_down: service.on_down.as_str().into(),
                ring_size: service.ring_size,
                backends: pool.iter().filter(|it| it.admin != Admin::Sorry).count(),
                backends_up: pool.iter().filter(|it| it.counts_as_up()).count(),
                panic_percent: service.panic,
                usage: self.usage(service).as_str().into(),
                memory: self.memory(service)?,
                traffic: pool.iter().map(|it| it.traffic).fold(Traffic::default(), sum),
            })
        });
        services.collect()
    }

    fn memory(&self, service: &config::Service) -> Result<Memory, reconcile::Error> {
        let reconcile::Memory { moving, settled, flows, refused } =
            self.reconciler.memory(&service.key())?;
        Ok(Memory { moving, settled, flows, limit: service.flow_table, refused })
    }

    /// The packets by verdict.
    pub fn verdicts(&self) -> Result<BTreeMap<String, u64>, reconcile::Error> {
        let verdicts = self.reconciler.dataplane().verdicts()?;
        Ok(verdicts.into_iter().map(|(verdict, n)| (verdict.as_str().into(), n)).collect())
    }

    /// What is wrong at the moment, in sentences.
    pub fn problems(&self) -> Result<Vec<String>, reconcile::Error> {
        let told = self.failure.iter().chain(&self.complaint);
        let mut problems: Vec<String> = told.cloned().collect();
        let backends = self.backends()?;
        let pools = by_service(&backends);
        let pool = |service: &config::Service| {
            let pool = pools.get(service.name.as_str());
            pool.into_iter().flatten().copied()
        };
        for service in &self.config.services {
            if pool(service).all(|backend| backend.share == 0.0) {
                problems.push(format!("service {}: no backend is usable", service.name));
            }
        }
        problems.extend(self.problems_of_proxies(&backends));
        problems.extend(self.config.services.iter().filter_map(|it| self.emergency(it)));
        for Backend { service, name, health_reason, .. } in
            backends.iter().filter(|backend| backend.health == Health::Down)
        {
            problems.push(format!("backend {service}/{name} is down: {health_reason}"));
        }
        for service in &self.config.services {
            let lost = |it: &&Backend| it.next_hop.is_none();
            for Backend { name, at, .. } in pool(service).filter(lost) {
                let At::Host { address, .. } = at else { continue };
                let why = self.unreachable(service.forward, *address);
                let service = &service.name;
                problems.push(format!("backend {service}/{name}: no packet reaches it: {why}"));
            }
        }
        problems.extend(self.without_tunnel_source());
        problems.extend(self.without_way_for_checks());
        for service in &self.config.services {
            let Memory { flows, limit, refused, .. } = self.memory(service)?;
            if flows >= limit {
                problems.push(format!(
                    "service {}: its table of {limit} flows is full, {refused} did not fit and may \
                     change their backends: raise its flow_table",
                    service.name
                ));
            }
        }
        Ok(problems)
    }

    /// That a service does not use the backends that are up, and why.
    fn emergency(&self, service: &config::Service) -> Option<String> {
        let config::Service { name, panic, sorry, .. } = service;
        let Strength { up, of } = self.strength(service);
        let few = format!("{up} of {of} backends are up, the least is {panic}%");
        match (self.usage(service), sorry) {
            (Usage::Normal, _) => None,
            (Usage::Panic, _) => {
                Some(format!("service {name}: panic: {few}: all of them are used"))
            }
            (Usage::Sorry, sorry) => {
                let sorry = sorry.as_ref().map(|it| it.name.as_str()).unwrap_or_default();
                let few = if up == 0 { format!("none of {of} backends is up") } else { few };
                Some(format!("service {name}: sorry: {few}: only {name}/{sorry} is used"))
            }
        }
    }

    fn without_tunnel_source(&self) -> Vec<String> {
        let without = |&family: &Family| {
            tunnel::source(&self.config, &self.topology, family) == TunnelSource::NONE
        };
        let needs = |service: &config::Service, family| {
            let mut addresses = service.machines().map(|backend| backend.address);
            service.forward.is_tunnel() && addresses.any(|address| Family::of(address) == family)
        };
        let services = |family| {
            let services = self.config.services.iter().filter(move |it| needs(it, family));
            services.map(move |config::Service { name, .. }| {
                let family = family.as_str();
                format!(
                    "service {name}: its tunnels have no {family} source, since no attached \
                     interface has a global {family} address: set node.tunnel_source"
                )
            })
        };
        [Family::V4, Family::V6].into_iter().filter(without).flat_map(services).collect()
    }

    /// The services whose checks go to the backends' own addresses, although they should not.
    fn without_way_for_checks(&self) -> Vec<String> {
        let lacks = |service: &&config::Service| {
            let mut sockets = service.backends.iter().map(config::Backend::socket);
            service.probe().is_some() && sockets.any(|it| self.alias(service, it).is_none())
        };
        let sentence = |service: &config::Service| {
            let (name, family) = (&service.name, Family::of(service.vip).as_str());
            let why = if let Some(failure) = &self.no_way {
                format!("the link {NEAR} cannot be made: {failure}")
            } else if self.topology.interface(NEAR).is_none() {
                format!("the link {NEAR} is not there yet")
            } else {
                format!("the node has no global {family} address on an attached interface")
            };
            format!(
                "service {name}: checks go to backends' own addresses, not to the VIP, since {why}"
            )
        };
        self.config.services.iter().filter(lacks).map(sentence).collect()
    }

    fn unreachable(&self, mode: ForwardMode, backend: IpAddr) -> String {
        match self.topology.path(backend) {
            None => format!("no route leads to {backend}"),
            Some(path) if mode == ForwardMode::L2 && !path.on_link => format!(
                "{backend} is behind the router {}, and l2 needs it on the node's own link",
                path.neighbour
            ),
            Some(path) if self.topology.egress(path.interface).is_none() => {
                let link = self.topology.links.get(&path.interface);
                let name = link.map_or("", |link| link.name.as_str());
                format!(
                    "{name} stands on a link that is down or in another namespace, or on more \
                     than two VLANs"
                )
            }
            Some(path) => format!("the MAC address of {} is not known yet", path.neighbour),
        }
    }

    /// The memory of the rings in use, in bytes.
    pub fn ring_bytes(&self) -> u64 {
        self.config.services.iter().map(|service| u64::from(service.ring_size) * 4).sum()
    }
}

/// What a check has found, and why.
fn told(finding: Option<&Finding>) -> (Health, String) {
    match finding {
        Some(Finding { up: true, parts, reason, .. }) if *parts < FULL => {
            let reason = format!("{reason}; slow start: {parts} of {FULL} parts of its weight");
            (Health::Up, reason)
        }
        Some(Finding { up: true, reason, .. }) => (Health::Up, reason.clone()),
        Some(Finding { up: false, reason, .. }) => (Health::Down, reason.clone()),
        None => (Health::Up, "not checked yet".into()),
    }
}

fn by_service(backends: &[Backend]) -> BTreeMap<&str, Vec<&Backend>> {
    let mut pools = BTreeMap::<_, Vec<_>>::new();
    for backend in backends {
        pools.entry(backend.service.as_str()).or_default().push(backend);
    }
    pools
}

fn lines(actual: &Actual) -> Lines {
    let pool = |key: &ServiceKey| {
        let pool = actual.pool(key).into_iter();
        pool.map(|(endpoint, (place, line))| ((*key, endpoint), (place, *line))).collect::<Vec<_>>()
    };
    actual.services.keys().flat_map(pool).collect()
}

fn traffic(counted: lb_common::stats::Traffic) -> Traffic {
    let lb_common::stats::Traffic { packets, bytes, reply_packets, reply_bytes } = counted;
    Traffic { packets, bytes, reply_packets, reply_bytes }
}

fn sum(a: Traffic, b: Traffic) -> Traffic {
    Traffic {
        packets: a.packets + b.packets,
        bytes: a.bytes + b.bytes,
        reply_packets: a.reply_packets + b.reply_packets,
        reply_bytes: a.reply_bytes + b.reply_bytes,
    }
}
