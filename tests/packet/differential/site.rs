//! Random nodes: described for the model, and written into the maps of the packet path.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use fastrand::Rng;
use lb_common::{
    addr::{Addr, Mac, Port, Protocol},
    backend::Condition,
    hash::HashKey,
    route::{NextHop, Prefix, VlanTag},
    service::{DownPolicy, ForwardMode, Ports, ServiceKey},
    settings::{Settings, Stages, TunnelSource},
    slot::{Slot, State},
};
use lb_model::node::{Backend, Hop, Mode, Network, Node, Service, Way};
use lb_tests::packet_path::{self, PacketPath};
use lb_userspace::{
    dataplane::{Dataplane as _, Op},
    desired,
};

use crate::site::{LOOPBACK, NODE};

const RING: u32 = 251;

/// A random node. `lan` is an interface beside the one that packets come in by.
pub(super) fn node(rng: &mut Rng, lan: u32, seed: [u8; 16]) -> Node {
    let services = services(rng, lan);
    let mut denied = some(rng, &["192.0.2.64/28", "198.51.100.128/26", "2001:db8:bad::/48"]);
    if rng.u8(..8) == 0 {
        denied.push(network("::/0"));
    }
    let tunnel = |rng: &mut Rng, text: &str, length: u8| {
        let prefix = Prefix::new(text.parse().unwrap(), length).unwrap();
        (rng.u8(..10) > 0).then_some(TunnelSource::new(prefix))
    };
    let length4 = *rng.choice(&[32, 30, 24, 16]).unwrap();
    let length6 = *rng.choice(&[128, 112, 96, 64]).unwrap();
    Node {
        hash_key: HashKey::from_seed(seed),
        ingress: LOOPBACK,
        devices: [lan].into(),
        denied,
        routes: routes(rng, lan),
        tunnel4: tunnel(rng, "100.64.0.0", length4),
        tunnel6: tunnel(rng, "fd00:100::", length6),
        answers: rng.u8(..4) > 0,
        services,
    }
}

/// Any of some networks.
fn some(rng: &mut Rng, texts: &[&str]) -> Vec<Network> {
    texts.iter().filter(|_| rng.bool()).map(|text| network(text)).collect()
}

fn network(text: &str) -> Network {
    let (address, length) = text.split_once('/').unwrap();
    Network { address: address.parse().unwrap(), length: length.parse().unwrap() }
}

fn routes(rng: &mut Rng, lan: u32) -> Vec<(Network, Way)> {
    let texts = ["0.0.0.0/0", "::/0", "198.51.100.0/24", "198.51.100.64/27", "2001:db8:c::/64"];
    let mut routes: Vec<_> = some(rng, &texts)
        .into_iter()
        .map(|network| (network, hop(rng, lan).map_or(Way::Unresolved, Way::Hop)))
        .collect();
    for own in ["198.51.100.1/32", "2001:db8:c::1/128"] {
        routes.push((network(own), Way::Local));
    }
    routes
}

/// A neighbour that is mostly known and mostly behind the interface that packets come in by.
fn hop(rng: &mut Rng, lan: u32) -> Option<Hop> {
    let interface = match rng.u8(..20) {
        0 => return None,
        1 => lan + 100,
        2..7 => lan,
        _ => LOOPBACK,
    };
    let tags = (0..[0, 0, 1, 2][rng.usize(..4)])
        .map(|_| {
            let [high, low] = rng.u16(1..4095).to_be_bytes();
            let protocol = if rng.bool() { [0x81, 0x00] } else { [0x88, 0xa8] };
            [protocol[0], protocol[1], high, low]
        })
        .collect();
    let destination = [2, 0, 0, 0, rng.u8(..), rng.u8(..)];
    Some(Hop { interface, destination, source: NODE.0, tags })
}

fn services(rng: &mut Rng, lan: u32) -> Vec<Service> {
    let mut services: Vec<Service> = Vec::new();
    for number in 0..rng.u8(4..20) {
        let six = rng.bool();
        let vip: IpAddr = match (six, rng.u8(1..4)) {
            (false, host) => [203, 0, 113, host].into(),
            (true, host) => format!("2001:db8:113::{host}").parse().unwrap(),
        };
        let protocol = *rng.choice(&[6, 17]).unwrap();
        let mode = match rng.u8(..4) {
            0 => Mode::L2,
            1 => Mode::Nat,
            2 => Mode::Ipip,
            _ => Mode::Gue(*rng.choice(&[6080, 6081, 1]).unwrap()),
        };
        let ports = [80..=80, 443..=443, 8050..=8050, 65535..=65535];
        let ranges = [8000..=8100, 9000..=9001, 20000..=29999, 0..=65535];
        let any = [&ports[..], &ranges].concat();
        let choice = if mode == Mode::Nat { &ports[..] } else { &any };
        let ports = rng.choice(choice).unwrap().clone();
        let backends = backends(rng, lan, number, mode, six);
        let on_down =
            *rng.choice(&[DownPolicy::RST, DownPolicy::REHASH, DownPolicy::DROP]).unwrap();
        let service = Service { vip, protocol, ports, mode, backends, ring: Vec::new(), on_down };
        if !services.iter().any(|other| key(other) == key(&service)) {
            services.push(service);
        }
    }
    services
}

fn backends(rng: &mut Rng, lan: u32, service: u8, mode: Mode, six: bool) -> Vec<Backend> {
    (0..rng.u8(..6))
        .map(|number| {
            let six = if mode == Mode::Nat { six } else { rng.bool() };
            let address: IpAddr = if six {
                format!("fd00:{service:x}::{:x}", number + 1).parse().unwrap()
            } else {
                [10, 0, service, number + 1].into()
            };
            let mtu = match mode {
                Mode::L2 | Mode::Nat => u16::MAX,
                Mode::Ipip | Mode::Gue(_) => *rng.choice(&[1500, 1280, 576, u16::MAX]).unwrap(),
            };
            let port = *rng.choice(&[80, 8443]).unwrap();
            Backend { address, port, hop: hop(rng, lan), mtu, down: false }
        })
        .collect()
}

fn key(service: &Service) -> ServiceKey {
    let (first, last) = (Port::new(*service.ports.start()), Port::new(*service.ports.end()));
    ServiceKey::with_ports(service.vip.into(), Ports { first, last }, Protocol(service.protocol))
}

/// Loads the packet path and fills its maps; completes the description by what userspace computes:
/// the order of the backends, and the rings.
pub(super) fn load(rng: &mut Rng, node: &mut Node, seed: [u8; 16]) -> PacketPath {
    let mut path = PacketPath::load(desired(node, seed));
    let actual = path.reconciler().actual().unwrap();
    for service in &mut node.services {
        let key = key(service);
        let entry = actual.services[&key];
        let pool = actual.pool(&key);
        let place =
            |backend: &Backend| pool[&SocketAddr::new(backend.address, backend.port).into()].0;
        service.backends.sort_by_key(place);
        for (backend, index) in service.backends.iter_mut().zip(1..) {
            let mut line = actual.backends[&(entry.backend_base + index)];
            assert_eq!(line.address, backend.address.into(), "indexes count from 1 without a gap");
            backend.down = rng.u8(..4) == 0;
            let condition = if backend.down { Condition::DOWN } else { Condition::UP };
            line = lb_common::backend::Backend { mtu: backend.mtu, condition, ..line };
            path.apply(&Op::PutBackend(entry.backend_base + index, line));
        }
        let gue_port =
            if let Mode::Gue(port) = service.mode { Port::new(port) } else { Port::ZERO };
        let entry = lb_common::service::Service { gue_port, on_down: service.on_down, ..entry };
        path.apply(&Op::PutService(key, entry));
        let mut slots =
            path.reconciler().dataplane().slots(entry.ring_base, entry.ring_size).unwrap();
        move_some(rng, &mut slots, service.backends.len() as u16);
        path.apply(&Op::WriteSlots((entry.ring_base..).zip(slots.iter().copied()).collect()));
        service.ring = slots.iter().map(|slot| slot.state()).collect();
    }
    path
}

/// Some slots have changed, or have no backend.
fn move_some(rng: &mut Rng, slots: &mut [Slot], backends: u16) {
    for slot in slots {
        let current = slot.current();
        *slot = Slot::new(match rng.u8(..20) {
            0 => State::Stable { current: None },
            1 | 2 if backends > 0 => State::Moving { current, previous: rng.u16(1..=backends) },
            3 => State::Settled { current },
            _ => State::Stable { current },
        });
    }
}

fn desired(node: &Node, seed: [u8; 16]) -> desired::Desired {
    let mut desired = packet_path::nothing(seed);
    let prefix = |network: &Network| Prefix::new(network.address, network.length).unwrap();
    let rate = if node.answers { u32::MAX } else { 0 };
    let settings = &mut desired.settings;
    *settings = Settings {
        stages: stages(node),
        answers: lb_common::settings::AnswerRates {
            echo: rate,
            error: rate,
            reset: rate,
            padding: 0,
        },
        tunnel4: node.tunnel4.unwrap_or(TunnelSource::NONE),
        tunnel6: node.tunnel6.unwrap_or(TunnelSource::NONE),
        ..*settings
    };
    desired.denied = node.denied.iter().map(prefix).collect();
    desired.devices.clone_from(&node.devices);
    desired.routes = node
        .routes
        .iter()
        .map(|(network, way)| {
            let hop = match way {
                Way::Local => NextHop::LOCAL,
                Way::Unresolved => NextHop::UNRESOLVED,
                Way::Hop(hop) => next_hop(Some(hop)),
            };
            (prefix(network), hop)
        })
        .collect();
    // As the daemon derives them.
    let unrouted = Prefix { length: 96, address: Addr::from_v4([0; 4]) };
    let _ = desired.routes.entry(unrouted).or_insert(NextHop::UNRESOLVED);
    desired.services = node.services.iter().map(|service| (key(service), pool(service))).collect();
    desired
}

/// The stages that have something to do.
fn stages(node: &Node) -> Stages {
    let firewall = !node.denied.is_empty();
    let reply = node.services.iter().any(|service| service.mode == Mode::Nat);
    let ranges = node.services.iter().any(|service| service.ports.start() != service.ports.end());
    [(firewall, Stages::FIREWALL), (reply, Stages::REPLY), (ranges, Stages::RANGES)]
        .into_iter()
        .filter(|(wanted, _)| *wanted)
        .fold(Stages::NONE, |stages, (_, stage)| stages.with(stage))
}

fn pool(service: &Service) -> desired::Service {
    let mode = match service.mode {
        Mode::L2 => ForwardMode::L2,
        Mode::Nat => ForwardMode::NAT,
        Mode::Ipip => ForwardMode::IPIP,
        Mode::Gue(_) => ForwardMode::GUE,
    };
    let backends: BTreeMap<_, _> = service
        .backends
        .iter()
        .map(|backend| {
            let endpoint = SocketAddr::new(backend.address, backend.port).into();
            let way = desired::Way { next_hop: next_hop(backend.hop.as_ref()), mtu: u16::MAX };
            (endpoint, desired::Backend { weight: 1, condition: Condition::UP, way })
        })
        .collect();
    packet_path::service(mode, RING, backends)
}

fn next_hop(hop: Option<&Hop>) -> NextHop {
    let Some(Hop { interface, destination, source, tags }) = hop else {
        return NextHop::UNRESOLVED;
    };
    let tag = |at: usize| {
        tags.get(at)
            .map_or(VlanTag::NONE, |&[a, b, c, d]| VlanTag { protocol: [a, b], control: [c, d] })
    };
    NextHop {
        interface: *interface,
        destination: Mac(*destination),
        source: Mac(*source),
        tags: [tag(0), tag(1)],
    }
}
