//! The kernel's maps and the attached program.

pub(crate) mod attach;
mod drop_log;
mod flows;
pub(crate) mod load;
mod mapped;
pub mod pins;
mod replies;
mod services;
mod trial;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use aya::{
    Ebpf,
    maps::{Array, DevMapHash, LpmTrie, Map, MapData, PerCpuArray, PerCpuValues, lpm_trie},
    programs::Xdp,
};
use lb_common::{
    addr::Addr,
    backend::Backend,
    flow::FlowKey,
    names,
    probe::Probe,
    route::{NextHop, Prefix},
    settings::Settings,
    slot::Slot,
    stats::Traffic,
    verdict::Verdict,
};

use self::mapped::Mapped;
use super::{Actual, Counters, Dataplane, Error, FlowSlice, Known, Op, Trial, Trials, Tried};
use crate::{config::Limits, error::with_causes};

pub use self::{attach::Interface, drop_log::DropLog};

/// The packet path in the kernel. Dropping it leaves pinned state and traffic as they are.
pub struct Kernel {
    limits: Limits,
    /// Where the maps are pinned.
    pins: Option<PathBuf>,
    took_over: bool,
    ebpf: Ebpf,
    /// The program's name: it depends on the kernel.
    program: &'static str,
    settings: Array<MapData, Settings>,
    denied: LpmTrie<MapData, Addr, u32>,
    services: services::Table,
    rings: Mapped<u32>,
    backends: Mapped<Backend>,
    probes: Mapped<Probe>,
    replies: replies::Table,
    routes: LpmTrie<MapData, Addr, NextHop>,
    devices: DevMapHash<MapData>,
    flows: flows::Table,
    verdicts: PerCpuArray<MapData, u64>,
    traffic: PerCpuArray<MapData, Traffic>,
    attached: Option<attach::Place>,
}

impl Kernel {
    /// Loads the program; with a directory on a bpffs, over the maps pinned there.
    pub fn load(limits: Limits, pins: Option<&Path>) -> Result<Self, Error> {
        let load::Loaded { mut ebpf, program } = load::object(&limits, pins)?;
        let settings: Array<_, Settings> = take(&mut ebpf, names::SETTINGS)?;
        let found = settings.get(&0, 0).map_err(map(names::SETTINGS))?;
        let took_over = load::took_over(&found, pins)?;
        let lines = mmap(&mut ebpf, names::SERVICES, limits.service_lines())?;
        Ok(Self {
            limits,
            pins: pins.map(Path::to_path_buf),
            program,
            took_over,
            settings,
            denied: take(&mut ebpf, names::DENIED)?,
            services: services::Table::new(lines).map_err(|services::Full| full())?,
            rings: mmap(&mut ebpf, names::RINGS, limits.slots)?,
            backends: mmap(&mut ebpf, names::BACKENDS, limits.backends.saturating_add(1))?,
            probes: mmap(&mut ebpf, names::PROBES, limits.backends.saturating_add(1))?,
            replies: replies::Table::take(&mut ebpf)?,
            routes: take(&mut ebpf, names::ROUTES)?,
            devices: take(&mut ebpf, names::DEVICES)?,
            flows: flows::Table::take(&mut ebpf, limits.services)?,
            verdicts: take(&mut ebpf, names::VERDICTS)?,
            traffic: take(&mut ebpf, names::TRAFFIC)?,
            attached: None,
            ebpf,
        })
    }

    /// Whether the maps held the state of an earlier daemon.
    #[must_use]
    pub fn took_over(&self) -> bool {
        self.took_over
    }

    /// The loaded program, for `BPF_PROG_TEST_RUN`.
    pub fn program(&mut self) -> Result<&mut Xdp, Error> {
        let name = self.program;
        let refused = |cause| Error::Program { name, cause: Box::new(cause) };
        let program = self.ebpf.program_mut(name).ok_or(Error::Missing(name))?;
        program.try_into().map_err(refused)
    }

    /// The program's own messages, once; to be run beside the node.
    pub fn drop_log(&mut self) -> Result<DropLog, Error> {
        DropLog::of(&mut self.ebpf)
    }

    /// The program of the probe link's far end, verified with the first call, for
    /// `BPF_PROG_TEST_RUN`.
    pub fn probe_program(&mut self) -> Result<&mut Xdp, Error> {
        load::program(&mut self.ebpf, names::PROBE_PROGRAM)
    }
}

impl Dataplane for Kernel {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn read_pools(&self) -> Result<Actual, Error> {
        let settings = self.settings.get(&0, 0).map_err(map(names::SETTINGS))?;
        let occupied = |index| {
            self.backends.load(index).filter(|backend| !backend.is_free()).map(|b| (index, b))
        };
        Ok(Actual {
            settings: (settings.abi != 0).then_some(settings),
            services: self.services.read(),
            backends: (1..self.backends.len()).filter_map(occupied).collect(),
            flow_counts: self.flows.counts().filter(|(_, counts)| *counts != [0, 0]).collect(),
            ..Actual::default()
        })
    }

    fn read(&self) -> Result<Actual, Error> {
        let used = |place| self.probes.load(place).filter(|it| !it.is_free()).map(|it| (place, it));
        Ok(Actual {
            probes: (1..self.probes.len()).filter_map(used).collect(),
            replies: self.replies.read()?,
            routes: collect(
                self.routes.iter().map(|entry| entry.map(|(key, hop)| (prefix(&key), hop))),
                names::ROUTES,
            )?,
            denied: self
                .denied
                .keys()
                .map(|key| key.map(|key| prefix(&key)).map_err(map(names::DENIED)))
                .collect::<Result<_, _>>()?,
            devices: self.devices.keys().collect::<Result<_, _>>().map_err(map(names::DEVICES))?,
            ..self.read_pools()?
        })
    }

    fn tick(&self) -> Result<u32, Error> {
        self.flows.tick()
    }

    fn flows(&self, from: Option<u32>, most: u32) -> Result<FlowSlice, Error> {
        self.flows.slice(from, most)
    }

    fn flow_count(&self, id: u32) -> Result<[u32; 2], Error> {
        self.flows.count(id)
    }

    fn slots(&self, base: u32, size: u32) -> Result<Vec<Slot>, Error> {
        (base..base.saturating_add(size))
            .map(|place| self.rings.load(place).map(Slot::from_word))
            .collect::<Option<_>>()
            .ok_or_else(|| beyond(names::RINGS))
    }

    fn apply(&mut self, op: &Op) -> Result<(), Error> {
        match op {
            Op::PutSettings(settings) => {
                self.settings.set(0, settings, 0).map_err(map(names::SETTINGS))
            }
            Op::PutBackend(place, backend) => {
                self.backends.store(*place, backend).ok_or_else(|| beyond(names::BACKENDS))
            }
            Op::FreeBackend(place) => {
                self.backends.store(*place, &Backend::FREE).ok_or_else(|| beyond(names::BACKENDS))
            }
            Op::PutProbe(place, probe) => {
                self.probes.store(*place, probe).ok_or_else(|| beyond(names::PROBES))
            }
            Op::RemoveProbe(place) => {
                self.probes.store(*place, &Probe::FREE).ok_or_else(|| beyond(names::PROBES))
            }
            Op::ResetTraffic(counter) => self.reset_traffic(*counter),
            Op::WriteSlots(slots) => slots.iter().try_for_each(|(place, slot)| {
                self.rings.store(*place, &slot.word()).ok_or_else(|| beyond(names::RINGS))
            }),
            Op::PutService(key, service) => {
                self.services.put(key, service).map_err(|services::Full| full())
            }
            Op::RemoveService(key) => {
                self.services.remove(key);
                Ok(())
            }
            Op::PutReply(key, reply) => self.replies.put(key, reply),
            Op::RemoveReply(key) => self.replies.remove(key),
            Op::PutRoute(prefix, hop) => {
                self.routes.insert(&trie(prefix), hop, 0).map_err(map(names::ROUTES))
            }
            Op::RemoveRoute(prefix) => {
                self.routes.remove(&trie(prefix)).map_err(map(names::ROUTES))
            }
            Op::Deny(prefix) => {
                let version = prefix.address.version();
                self.denied.insert(&trie(prefix), version, 0).map_err(map(names::DENIED))
            }
            Op::Allow(prefix) => self.denied.remove(&trie(prefix)).map_err(map(names::DENIED)),
            Op::PutDevice(interface) => self
                .devices
                .insert(*interface, *interface, None, 0)
                .map_err(|error| io(names::DEVICES, &error)),
            Op::RemoveDevice(interface) => {
                self.devices.remove(*interface).map_err(map(names::DEVICES))
            }
            Op::SetTick(now) => self.flows.set_tick(*now),
            Op::Beat(grace) => self.flows.beat(*grace),
            Op::RemoveFlows(flows) => self.flows.remove(flows),
            Op::SetFlowCount(id, held) => self.flows.set_count(*id, *held),
            Op::ResetFlowCount(id) => self.flows.reset_count(*id),
        }
    }
}

impl Kernel {
    fn reset_traffic(&mut self, counter: u32) -> Result<(), Error> {
        let cpus = self.traffic.get(&counter, 0).map_err(map(names::TRAFFIC))?.len();
        let zero = PerCpuValues::try_from(vec![Traffic::default(); cpus])
            .map_err(|cause| Error::Io { what: format!("map {}", names::TRAFFIC), cause })?;
        self.traffic.set(counter, zero, 0).map_err(map(names::TRAFFIC))
    }
}

impl Trials for Kernel {
    fn known(&self, key: &FlowKey) -> Result<Known, Error> {
        self.flows.known(key)
    }

    fn try_out(&self, trial: &Trial<'_>) -> Result<Tried, Error> {
        let pins = self.pins.as_deref().ok_or(Error::Missing("pinned maps"))?;
        trial::run(&self.limits, pins, trial)
    }

    fn takes_a_packet(&self) -> Result<bool, Error> {
        let name = self.program;
        let program = self.ebpf.program(name).ok_or(Error::Missing(name))?;
        let failed = |cause| Error::Program { name, cause: Box::new(cause) };
        let program: &Xdp = program.try_into().map_err(failed)?;
        trial::passes(program).map_err(failed)
    }
}

impl Counters for Kernel {
    fn verdicts(&self) -> Result<Vec<(Verdict, u64)>, Error> {
        Verdict::ALL
            .iter()
            .map(|&verdict| {
                let cpus = self.verdicts.get(&verdict.index(), 0).map_err(map(names::VERDICTS))?;
                Ok((verdict, cpus.iter().copied().fold(0, u64::wrapping_add)))
            })
            .collect()
    }

    fn traffic(&self, counter: u32) -> Result<Traffic, Error> {
        let cpus = self.traffic.get(&counter, 0).map_err(map(names::TRAFFIC))?;
        Ok(cpus.iter().copied().fold(Traffic::default(), |sum, cpu| sum + cpu))
    }
}

pub(crate) fn take<M: TryFrom<Map, Error = aya::maps::MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<M, Error> {
    M::try_from(ebpf.take_map(name).ok_or(Error::Missing(name))?).map_err(map(name))
}

fn mmap<T: aya::Pod>(
    ebpf: &mut Ebpf,
    name: &'static str,
    entries: u32,
) -> Result<Mapped<T>, Error> {
    let Map::Array(data) = ebpf.take_map(name).ok_or(Error::Missing(name))? else {
        return Err(Error::Missing(name));
    };
    Mapped::new(data, entries)
        .map_err(|cause| Error::Io { what: format!("mmap the map {name}"), cause })
}

fn collect<K: Ord, V>(
    entries: impl Iterator<Item = Result<(K, V), aya::maps::MapError>>,
    name: &'static str,
) -> Result<BTreeMap<K, V>, Error> {
    entries.collect::<Result<_, _>>().map_err(map(name))
}

pub(crate) fn map(name: &'static str) -> impl Fn(aya::maps::MapError) -> Error {
    move |cause| Error::Map { name, cause: Box::new(cause) }
}

fn io(name: &'static str, cause: &dyn std::error::Error) -> Error {
    Error::Io { what: format!("map {name}"), cause: std::io::Error::other(with_causes(cause)) }
}

fn full() -> Error {
    let what = format!(
        "map {}: no line near the service's own is free; raise limits.services",
        names::SERVICES
    );
    Error::Io { what, cause: std::io::ErrorKind::StorageFull.into() }
}

fn beyond(name: &'static str) -> Error {
    Error::Io { what: format!("map {name}"), cause: std::io::ErrorKind::OutOfMemory.into() }
}

pub(crate) fn trie(prefix: &Prefix) -> lpm_trie::Key<Addr> {
    lpm_trie::Key::new(prefix.length, prefix.address)
}

pub(crate) fn prefix(key: &lpm_trie::Key<Addr>) -> Prefix {
    Prefix { length: key.prefix_len(), address: key.data() }
}
