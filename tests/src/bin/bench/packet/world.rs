//! A node to measure: the shipped program over maps of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, ensure};
use aya::programs::ProgramFd;
use lb_common::{
    addr::{Addr, Mac, Port, Protocol},
    backend::Backend,
    checksum::Delta,
    hash::HashKey,
    layout,
    probe::ProbeSettings,
    route::{NextHop, Prefix, VlanTag},
    service::{DownPolicy, ForwardMode, Reply, ReplyKey, Service, ServiceKey},
    settings::{AnswerRates, Settings, Stages, TunnelSource},
    slot::{Slot, State},
    verdict::Verdict,
};
use lb_userspace::{
    config::Limits,
    dataplane::{Counters as _, Dataplane as _, Op, kernel::Kernel},
    ring::{self, Endpoint, Member},
};

use super::row::Family;

/// The port of all services.
pub(super) const PORT: Port = Port::new(80);
/// The VIP of the first service; the others follow.
const VIP4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 0);
const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x113, 0, 0, 0, 0, 0);
/// Where test runs come in by, so that packets leave by it: the loopback.
const LOOPBACK: u32 = 1;
const SEED: [u8; 16] = [7; 16];

/// The first service is large, the others are as many small ones.
const LARGE: Pool = Pool { ring_size: 65_537, backends: 100 };
const SMALL: Pool = Pool { ring_size: 1021, backends: 16 };

struct Pool {
    ring_size: u32,
    backends: u16,
}

/// Which node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spec {
    pub(super) mode: ForwardMode,
    pub(super) family: Family,
    pub(super) protocol: Protocol,
    pub(super) services: u32,
    /// Hundredths of the slots.
    pub(super) moving: u32,
    /// Whether all that comes are SYNs.
    pub(super) opening: bool,
}

/// The VIP of a service.
pub(super) fn vip(family: Family, service: u32) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_bits(VIP4.to_bits() + service).into(),
        Family::V6 => Ipv6Addr::from_bits(VIP6.to_bits() + u128::from(service)).into(),
    }
}

/// The node.
pub(super) struct World {
    kernel: Kernel,
}

impl World {
    pub(super) fn load(spec: &Spec) -> Result<Self> {
        let others = spec.services - 1;
        let limits = Limits {
            services: spec.services.max(1024),
            backends: u32::from(LARGE.backends) + others * u32::from(SMALL.backends),
            slots: LARGE.ring_size + others * SMALL.ring_size,
            flows: 1 << 21,
            ..Limits::default()
        };
        let mut kernel = Kernel::load(limits, None)?;
        kernel.apply(&Op::PutSettings(settings(spec, &limits)))?;
        let mut next = Next { ring: 0, backend: 0 };
        for number in 0..spec.services {
            let pool = if number == 0 { &LARGE } else { &SMALL };
            service(&mut kernel, spec, number, pool, &mut next)?;
        }
        Ok(Self { kernel })
    }

    /// The program to run.
    pub(super) fn target(&mut self) -> Result<&ProgramFd> {
        Ok(self.kernel.program()?.fd()?)
    }

    /// Makes sure that all packets of `run` get a verdict.
    pub(super) fn expect(&self, verdict: Verdict, run: impl FnOnce() -> Result<u32>) -> Result<()> {
        let before = self.kernel.verdicts()?;
        let packets = run()?;
        let after = self.kernel.verdicts()?;
        let moved: Vec<(&str, u64)> = before
            .into_iter()
            .zip(after)
            .map(|((verdict, before), (_, after))| (verdict.as_str(), after - before))
            .filter(|(_, count)| *count > 0)
            .collect();
        let right = moved.iter().find(|(name, _)| *name == verdict.as_str());
        ensure!(
            right.is_some_and(|(_, count)| *count >= packets.into()) && moved.len() == 1,
            "{packets} packets should be {}, but were counted as {moved:?}",
            verdict.as_str()
        );
        Ok(())
    }
}

/// The places not yet taken.
struct Next {
    ring: u32,
    backend: u32,
}

fn settings(spec: &Spec, limits: &Limits) -> Settings {
    let source = |address: IpAddr, length| {
        Prefix::new(address, length).map_or(TunnelSource::NONE, TunnelSource::new)
    };
    Settings {
        hash_key: HashKey::from_seed(SEED),
        abi: layout::ABI,
        stages: if spec.mode == ForwardMode::NAT { Stages::REPLY } else { Stages::NONE },
        service_mask: limits.service_lines() - 1,
        answers: AnswerRates { echo: 1000, error: 1000, reset: 1000, padding: 0 },
        tunnel4: source([10, 255, 0, 0].into(), 16),
        tunnel6: source([0xfd00, 0xff, 0, 0, 0, 0, 0, 0].into(), 64),
        probes: ProbeSettings::NONE,
    }
}

fn service(
    kernel: &mut Kernel,
    spec: &Spec,
    number: u32,
    pool: &Pool,
    next: &mut Next,
) -> Result<()> {
    let vip = vip(spec.family, number).into();
    for index in 1..=u32::from(pool.backends) {
        let place = next.backend + index;
        let line = backend(spec, &vip, place);
        kernel.apply(&Op::PutBackend(place, line))?;
        if spec.mode == ForwardMode::NAT {
            let key = ReplyKey::new(line.address, line.port, spec.protocol);
            kernel.apply(&Op::PutReply(key, reply(&vip, &line)))?;
        }
    }
    kernel.apply(&Op::WriteSlots(slots(spec, pool, next)))?;
    let service = Service {
        ring_base: next.ring,
        ring_size: pool.ring_size,
        backend_base: next.backend,
        backend_capacity: pool.backends,
        mode: spec.mode,
        on_down: DownPolicy::RST,
        id: number + 1,
        flow_limit: 1 << 21,
        gue_port: Port::new(6080),
        padding: 0,
    };
    kernel.apply(&Op::PutService(ServiceKey::new(vip, PORT, spec.protocol), service))?;
    next.ring += pool.ring_size;
    next.backend += u32::from(pool.backends);
    Ok(())
}

fn reply(vip: &Addr, backend: &Backend) -> Reply {
    Reply {
        vip: *vip,
        port: PORT,
        address_delta: Delta::address(&backend.address, vip),
        endpoint_delta: Delta::endpoint((&backend.address, backend.port), (vip, PORT)),
        counter: backend.counter,
        ..Reply::NONE
    }
}

fn slots(spec: &Spec, pool: &Pool, next: &Next) -> Vec<(u32, Slot)> {
    let members: Vec<Member> = (1..=u32::from(pool.backends))
        .map(|index| Member {
            endpoint: Endpoint {
                address: address(spec.family, next.backend + index),
                port: Port::new(8080),
            },
            weight: 1,
        })
        .collect();
    let table = ring::build(pool.ring_size, &members, &HashKey::from_seed(SEED));
    table
        .into_iter()
        .zip(next.ring..)
        .map(|(position, place)| {
            let current = position.map(|position| position + 1);
            let previous = current.map_or(1, |index| index % pool.backends + 1);
            let moves = place % 100 < spec.moving;
            let state =
                if moves { State::Moving { current, previous } } else { State::Stable { current } };
            (place, Slot::new(state))
        })
        .collect()
}

fn address(family: Family, place: u32) -> Addr {
    match family {
        Family::V4 => IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + place)).into(),
        Family::V6 => IpAddr::from(Ipv6Addr::from_bits(0xfd00 << 112 | u128::from(place))).into(),
    }
}

fn backend(spec: &Spec, vip: &Addr, place: u32) -> Backend {
    let address = address(spec.family, place);
    let port = if spec.mode == ForwardMode::NAT { Port::new(8080) } else { PORT };
    let [_, b, c, d] = place.to_be_bytes();
    Backend {
        address,
        next_hop: NextHop {
            interface: LOOPBACK,
            destination: Mac([2, 0, 1, b, c, d]),
            source: Mac([2, 0, 0, 0, 0, 0x1b]),
            tags: [VlanTag::NONE; 2],
        },
        port,
        address_delta: Delta::address(vip, &address),
        endpoint_delta: Delta::endpoint((vip, PORT), (&address, port)),
        counter: place,
        mtu: if spec.mode.is_tunnel() { 1500 } else { u16::MAX },
        ..Backend::FREE
    }
}
