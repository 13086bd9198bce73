//! A change of one backend on a live ring: from the call of the reconciler to the last slot
//! written.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Instant,
};

use anyhow::{Result, ensure};
use lb_common::{
    addr::{Mac, Protocol},
    backend::Condition,
    route::{NextHop, VlanTag},
    service::ForwardMode,
};
use lb_tests::packet_path;
use lb_userspace::{
    config::Limits,
    dataplane::kernel::Kernel,
    desired::{Backend, Desired, Way},
    reconcile::Reconciler,
    ring::Endpoint,
};
use serde::Serialize;

use super::Times;

/// The most that a change may take, in ms.
pub(super) const BAR_MS: f64 = 5.0;
pub(super) const BACKENDS: u32 = 1000;
const TURNS: usize = 40;
const VIP: &str = "203.0.113.10:80";

/// What a change took.
#[derive(Serialize)]
pub(super) struct Change {
    pub(super) backends: u32,
    #[serde(flatten)]
    pub(super) time: Times,
}

/// One backend is drained and taken back, in turns.
pub(super) fn measure() -> Result<Change> {
    let limits = Limits::default();
    let mut desired = desired(&limits);
    let mut reconciler = Reconciler::new(Kernel::load(limits, None)?);
    let _ = reconciler.sync(&desired)?;
    let mut times = Vec::new();
    for turn in 0..TURNS {
        let condition = if turn % 2 == 0 { Condition::DRAINING } else { Condition::UP };
        set(&mut desired, endpoint(BACKENDS / 2), condition);
        let start = Instant::now();
        let outcome = reconciler.sync(&desired)?;
        times.push(start.elapsed());
        ensure!(outcome.slots_moved > 0, "no slot moved");
    }
    Ok(Change { backends: BACKENDS, time: Times::of(times) })
}

fn desired(limits: &Limits) -> Desired {
    let mut desired = packet_path::nothing([7; 16]);
    desired.settings.service_mask = limits.service_lines() - 1;
    let next_hop = NextHop {
        interface: 1,
        destination: Mac([2, 0, 0, 0, 0, 1]),
        source: Mac([2, 0, 0, 0, 0, 0x1b]),
        tags: [VlanTag::NONE; 2],
    };
    let backend =
        Backend { weight: 1, condition: Condition::UP, way: Way { next_hop, mtu: u16::MAX } };
    let backends = (0..BACKENDS).map(|number| (endpoint(number), backend)).collect();
    let service = packet_path::service(ForwardMode::L2, super::rings::SIZE, backends);
    let _ = desired.services.insert(packet_path::key(Protocol::TCP, VIP), service);
    desired
}

fn endpoint(number: u32) -> Endpoint {
    SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0001 + number), 80)).into()
}

fn set(desired: &mut Desired, endpoint: Endpoint, condition: Condition) {
    let backends = desired.services.values_mut().flat_map(|service| &mut service.backends);
    for (_, backend) in backends.filter(|(name, _)| **name == endpoint) {
        backend.condition = condition;
    }
}
