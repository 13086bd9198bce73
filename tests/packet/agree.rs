//! Userspace and kernel agree on hash, slot and layout, for random flows and pools.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use lb_common::{
    addr::{Mac, Protocol},
    backend::Condition,
    hash::{flow_hash, slot_index},
    route::NextHop,
    service::ForwardMode,
};
use lb_tests::{
    packet::{Packet, Transport},
    packet_path::{self, PacketPath},
};
use lb_userspace::{
    config::RING_SIZES,
    dataplane::Dataplane,
    desired::{Backend, Service, Way},
};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::site::HOP;

#[derive(Clone, Debug)]
struct Pool {
    vip: SocketAddr,
    ring_size: u32,
    weights: Vec<u16>,
}

fn any_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|ip| IpAddr::from(Ipv4Addr::from(ip | 1))),
        any::<u128>().prop_map(|ip| IpAddr::from(Ipv6Addr::from(ip | 1 << 125))),
    ]
}

fn any_pool() -> impl Strategy<Value = Pool> {
    let ring_size = prop::sample::select(&RING_SIZES[..4]);
    let weights = prop::collection::vec(1u16..10, 1..40);
    (any_ip(), 1u16.., ring_size, weights).prop_map(|(vip, port, ring_size, weights)| Pool {
        vip: SocketAddr::new(vip, port),
        ring_size,
        weights,
    })
}

/// Each backend has a MAC that tells which it is.
fn service(pool: &Pool) -> Service {
    let backends = pool.weights.iter().zip(1u8..).map(|(&weight, number)| {
        let address: IpAddr = match pool.vip {
            SocketAddr::V4(_) => [10, 0, 0, number].into(),
            SocketAddr::V6(_) => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()).into(),
        };
        let next_hop = NextHop { destination: mac(number), ..HOP };
        let backend =
            Backend { weight, condition: Condition::UP, way: Way { next_hop, mtu: u16::MAX } };
        (SocketAddr::new(address, pool.vip.port()).into(), backend)
    });
    packet_path::service(ForwardMode::L2, pool.ring_size, backends.collect())
}

fn mac(number: u8) -> Mac {
    Mac([2, 0, 0, 0, 0xbb, number])
}

#[test]
fn the_kernel_picks_the_backend_that_userspace_computes() {
    let mut runner = TestRunner::new(ProptestConfig::with_cases(16));
    let sources = prop::collection::vec((any_ip(), 1u16..), 200);
    runner
        .run(&(any_pool(), any::<[u8; 16]>(), sources), |(pool, seed, sources)| {
            compare(&pool, seed, &sources)
        })
        .unwrap();
}

fn compare(pool: &Pool, seed: [u8; 16], sources: &[(IpAddr, u16)]) -> Result<(), TestCaseError> {
    let key = packet_path::key(Protocol::TCP, &pool.vip.to_string());
    let mut desired = packet_path::nothing(seed);
    let _ = desired.services.insert(key, service(pool));
    let mut path = PacketPath::load(desired);
    let actual = path.reconciler().actual().unwrap();
    let entry = actual.services[&key];
    let ring = path.reconciler().dataplane().slots(entry.ring_base, entry.ring_size).unwrap();
    for &(source, port) in sources.iter().filter(|(ip, _)| ip.is_ipv4() == pool.vip.is_ipv4()) {
        let source = SocketAddr::new(source, port);
        let hash = flow_hash(
            &path.desired().settings.hash_key,
            &source.ip().into(),
            lb_common::addr::Port::new(port),
            key.ports.first,
        );
        let slot = ring[slot_index(hash, entry.ring_size) as usize];
        let place = entry.backend_base + u32::from(slot.current().unwrap());
        let packet = Packet::new(Transport::TcpAck, &source.to_string(), &pool.vip.to_string());
        let (_, frame) = path.run_only(&packet.bytes());
        prop_assert_eq!(&frame[..6], &actual.backends[&place].next_hop.destination.0);
    }
    Ok(())
}
