//! A ring that changes remembers the flows that it would otherwise move, in the kernel's own maps.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
};

use lb_common::{
    addr::{Mac, Protocol},
    backend::Condition,
    route::NextHop,
    service::{DownPolicy, ForwardMode, ServiceKey},
    slot::Slot,
};
use lb_tests::{
    packet::{Packet, Transport},
    packet_path::{self, PacketPath},
};
use lb_userspace::{
    dataplane::Dataplane,
    desired::{Backend, Service, Way},
    reconcile::Memory,
    ring::Endpoint,
};

use crate::site::HOP;

const VIP: &str = "203.0.113.10:80";
const WINDOW: u32 = 100;
const CLIENTS: u32 = 300;

fn key() -> ServiceKey {
    packet_path::key(Protocol::TCP, VIP)
}

fn endpoint(number: u8) -> Endpoint {
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, number), 80)).into()
}

/// A backend whose MAC tells which it is.
fn backend(number: u8) -> Backend {
    let next_hop = NextHop { destination: Mac([2, 0, 0, 0, 0xbb, number]), ..HOP };
    Backend { weight: 1, condition: Condition::UP, way: Way { next_hop, mtu: u16::MAX } }
}

/// Three backends, of which some flows will move.
struct Site {
    path: PacketPath,
}

impl Site {
    fn new(on_down: DownPolicy) -> Self {
        let pool = (1..=3).map(|number| (endpoint(number), backend(number)));
        let service = packet_path::service(ForwardMode::L2, 1021, pool.collect());
        let mut desired = packet_path::nothing([3; 16]);
        let _ = desired
            .services
            .insert(key(), Service { window: WINDOW, flow_limit: 1 << 18, on_down, ..service });
        Self { path: PacketPath::load(desired) }
    }

    /// Changes the third backend.
    fn change(&mut self, third: Option<Backend>) {
        let mut desired = self.path.desired().clone();
        for service in desired.services.values_mut() {
            let _ = service.backends.remove(&endpoint(3));
            service.backends.extend(third.map(|backend| (endpoint(3), backend)));
        }
        self.path.reach(desired);
    }

    /// The backend that a client's packet reaches, if it leaves.
    fn send(&mut self, transport: Transport, client: u32) -> Option<u8> {
        const XDP_TX: u32 = 3;
        let address = Ipv4Addr::from_bits(0xc633_6407 + (client >> 14));
        let client = format!("{address}:{}", 40_000 + (client & 0x3fff));
        let frame = Packet::new(transport, &client, VIP).bytes();
        let (action, frame) = self.path.run_only(&frame);
        (action == XDP_TX).then(|| frame[5])
    }

    /// Opens connections; gives their backends.
    fn connect(&mut self, clients: std::ops::Range<u32>) -> BTreeMap<u32, Option<u8>> {
        let mut backends = BTreeMap::new();
        for client in clients {
            let backend = self.send(Transport::TcpSyn, client);
            assert_eq!(self.send(Transport::TcpAck, client), backend, "client {client}");
            let _ = backends.insert(client, backend);
        }
        backends
    }

    fn assert_unmoved(&mut self, connections: &BTreeMap<u32, Option<u8>>) {
        for (&client, &backend) in connections {
            assert_eq!(self.send(Transport::TcpAck, client), backend, "client {client}");
        }
    }

    fn memory(&self) -> Memory {
        self.path.reconciler().memory(&key()).unwrap()
    }

    fn slots(&self) -> Vec<Slot> {
        let service = self.path.reconciler().actual().unwrap().services[&key()];
        let dataplane = self.path.reconciler().dataplane();
        dataplane.slots(service.ring_base, service.ring_size).unwrap()
    }
}

#[test]
fn connections_stay_while_a_backend_leaves_and_comes_back() {
    let mut site = Site::new(DownPolicy::RST);
    let old = site.connect(0..CLIENTS);
    assert_eq!(site.memory(), Memory::default(), "a stable ring remembers nothing");
    site.change(None);
    let moving = site.memory().moving;
    assert!((300..600).contains(&moving), "{moving} of 1021 slots move");
    let new = site.connect(CLIENTS..2 * CLIENTS);
    assert!(new.values().all(|backend| *backend != Some(3)), "nobody new reaches who leaves");
    site.change(Some(backend(3)));
    site.assert_unmoved(&old);
    site.assert_unmoved(&new);
    let Memory { flows, refused, .. } = site.memory();
    assert!((50..400).contains(&flows) && refused == 0, "{flows} flows, {refused} refused");
}

#[test]
fn what_is_over_is_swept_and_the_ring_becomes_stable() {
    let mut site = Site::new(DownPolicy::RST);
    let old = site.connect(0..CLIENTS);
    site.change(None);
    for _ in 0..3 {
        site.assert_unmoved(&old);
        site.path.tick(WINDOW - 1);
    }
    let Memory { moving, settled, flows, .. } = site.memory();
    assert!(moving == 0 && settled > 50 && flows > 50, "live flows outlive the window");
    assert_eq!(site.path.reconciler().actual().unwrap().backends.len(), 3);
    site.path.tick(2 * WINDOW);
    assert_eq!(site.memory(), Memory::default());
    assert!(site.slots().iter().all(|slot| slot.is_stable()));
    assert_eq!(site.path.reconciler().actual().unwrap().backends.len(), 2, "who left is gone");
}

#[test]
fn a_table_of_several_slices_is_swept_whole() {
    let mut site = Site::new(DownPolicy::RST);
    let connections = site.connect(0..400_000);
    site.change(None);
    // Only those that fall on slots that move are remembered.
    site.assert_unmoved(&connections);
    let flows = site.memory().flows;
    assert!((100_000..200_000).contains(&flows), "{flows} flows");
    site.path.tick(WINDOW / 2);
    site.assert_unmoved(&connections);
    site.path.tick(WINDOW - 20);
    assert_eq!(site.memory().flows, flows, "all were seen within the window");
    site.path.tick(3 * WINDOW);
    assert_eq!(site.memory(), Memory::default());
    assert!(site.slots().iter().all(|slot| slot.is_stable()));
}

#[test]
fn the_policy_decides_on_the_flows_of_a_backend_that_is_down() {
    for policy in [DownPolicy::REHASH, DownPolicy::DROP] {
        let mut site = Site::new(policy);
        let old = site.connect(0..CLIENTS);
        site.change(Some(Backend { condition: Condition::DOWN, ..backend(3) }));
        for (&client, &backend) in &old {
            let now = site.send(Transport::TcpAck, client);
            match (backend, policy) {
                (Some(3), DownPolicy::REHASH) => assert!(matches!(now, Some(1 | 2)), "{now:?}"),
                (Some(3), _) => assert_eq!(now, None, "client {client}"),
                _ => assert_eq!(now, backend, "client {client}"),
            }
        }
        site.change(Some(backend(3)));
        let orphans = old.iter().filter(|(_, backend)| **backend == Some(3));
        for (&client, _) in orphans {
            let back = site.send(Transport::TcpAck, client) == Some(3);
            assert_eq!(back, policy == DownPolicy::DROP, "client {client}");
        }
    }
}
