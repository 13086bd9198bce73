//! What the maps hold of the kernel's memory, as the kernel counts it.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
};

use anyhow::{Context as _, Result};
use aya::maps::{HashMap, Map, MapData, MapInfo};
use lb_common::{
    addr::{Addr, Port},
    flow::{Flow, FlowKey, Phase},
    names,
};
use lb_userspace::{config::Limits, dataplane::kernel::Kernel};
use serde::Serialize;

const FLOWS: u32 = 1_000_000;
const SERVICES: u32 = 64;

/// In bytes.
#[derive(Serialize)]
pub(super) struct Memory {
    pub(super) service: u64,
    pub(super) million_flows: u64,
    pub(super) default_limits: u64,
}

pub(super) fn measure() -> Result<Memory> {
    Ok(Memory {
        service: (total(SERVICES)? - total(0)?) / u64::from(SERVICES),
        million_flows: flows()?,
        default_limits: sum(&mut Kernel::load(Limits::default(), None)?)?,
    })
}

/// The memory of a node that has room for so many services and their pools, besides one.
fn total(services: u32) -> Result<u64> {
    let limits = Limits {
        services: 64 + services,
        backends: 100 * (1 + services),
        slots: super::rings::SIZE * (1 + services),
        ..Limits::default()
    };
    sum(&mut Kernel::load(limits, None)?)
}

fn sum(kernel: &mut Kernel) -> Result<u64> {
    maps(kernel)?.iter().map(memory).sum()
}

fn maps(kernel: &mut Kernel) -> Result<Vec<MapInfo>> {
    let ids = kernel.program()?.info()?.map_ids()?.context("the kernel names no maps")?;
    Ok(ids.into_iter().map(MapInfo::from_id).collect::<Result<_, _>>()?)
}

/// `memlock` of the map's `fdinfo`: since Linux 6.4 what is really held.
fn memory(map: &MapInfo) -> Result<u64> {
    let descriptor = map.fd()?;
    let file = format!("/proc/self/fdinfo/{}", descriptor.as_fd().as_raw_fd());
    let text = fs::read_to_string(&file).with_context(|| file.clone())?;
    let memlock = text.lines().find_map(|line| line.strip_prefix("memlock:"));
    Ok(memlock.context("no memlock")?.trim().parse()?)
}

/// The memory of a full table of remembered flows.
fn flows() -> Result<u64> {
    let mut kernel = Kernel::load(Limits { flows: FLOWS, ..Limits::default() }, None)?;
    let maps = maps(&mut kernel)?;
    let table = maps.into_iter().find(|map| map.name_as_str() == Some(names::FLOWS));
    let table = table.context("no flow table")?;
    let map = Map::HashMap(MapData::from_id(table.id())?);
    let mut map: HashMap<MapData, FlowKey, Flow> = HashMap::try_from(map)?;
    for number in 0..FLOWS {
        let key = FlowKey {
            client: Addr::from_v4(number.to_be_bytes()),
            service: 1,
            client_port: Port::new(40_000),
            service_port: Port::new(80),
        };
        map.insert(key, Flow { backend: 1, phase: Phase::OPEN, seen: 0 }, 0)?;
    }
    memory(&table)
}
