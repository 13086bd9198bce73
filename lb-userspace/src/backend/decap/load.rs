//! The loaded program and its maps.

use std::borrow::Borrow;

use aya::{
    Ebpf,
    maps::{Array, LpmTrie, Map, MapData, PerCpuArray},
    programs::Xdp,
};
use lb_common::{
    addr::{Addr, Port},
    decap::{DecapSettings, DecapVerdict},
    names,
};

use super::{Error, Options};
use crate::dataplane::{
    self,
    kernel::{self, load},
};

/// What the aya-log ring is at least: a page, on any machine.
const LOG_BYTES: u32 = 1 << 16;

/// The maps of the program.
pub(super) const MAPS: [&str; 3] =
    [names::DECAP_SETTINGS, names::DECAP_SOURCES, names::DECAP_VERDICTS];

/// The program, loaded over maps of its own that are filled.
pub struct Decap {
    ebpf: Ebpf,
    program: &'static str,
}

impl Decap {
    /// Loads it. All maps of the object are made: those of a node's program as small as they can be.
    ///
    /// # Errors
    ///
    /// If the kernel refuses, or takes no more sources.
    pub fn load(options: &Options) -> Result<Self, Error> {
        let programs = [names::DECAP_FRAGS_PROGRAM, names::DECAP_PROGRAM];
        let load::Loaded { ebpf, program } = load::either(programs, &|loader| {
            for map in names::PINNED {
                let _: &mut aya::EbpfLoader<'_> = loader.map_max_entries(map, 1);
            }
            let _: &mut aya::EbpfLoader<'_> = loader.map_max_entries("AYA_LOGS", LOG_BYTES);
        })?;
        let mut decap = Self { ebpf, program };
        decap.fill(options)?;
        Ok(decap)
    }

    fn fill(&mut self, options: &Options) -> Result<(), Error> {
        let failed = kernel::map(names::DECAP_SETTINGS);
        let settings = DecapSettings::new(Port::new(options.gue_port));
        let mut map: Array<&mut MapData, DecapSettings> = self.map_mut(names::DECAP_SETTINGS)?;
        map.set(0, settings, 0).map_err(failed)?;
        let failed = kernel::map(names::DECAP_SOURCES);
        let mut map: LpmTrie<&mut MapData, Addr, u32> = self.map_mut(names::DECAP_SOURCES)?;
        for source in &options.sources {
            map.insert(&kernel::trie(source), source.address.version(), 0).map_err(&failed)?;
        }
        Ok(())
    }

    fn map_mut<'a, M>(&'a mut self, name: &'static str) -> Result<M, Error>
    where
        M: TryFrom<&'a mut Map, Error = aya::maps::MapError>,
    {
        let map = self.ebpf.map_mut(name).ok_or(dataplane::Error::Missing(name))?;
        Ok(M::try_from(map).map_err(kernel::map(name))?)
    }

    /// The program, to be attached, or for `BPF_PROG_TEST_RUN`.
    ///
    /// # Errors
    ///
    /// If the object is not this crate's.
    pub fn program(&mut self) -> Result<&mut Xdp, Error> {
        let name = self.program;
        let program = self.ebpf.program_mut(name).ok_or(dataplane::Error::Missing(name))?;
        let refused = |cause| dataplane::Error::Program { name, cause: Box::new(cause) };
        Ok(program.try_into().map_err(refused)?)
    }

    /// The maps by name.
    pub(super) fn maps(&self) -> impl Iterator<Item = (&'static str, &Map)> {
        MAPS.iter().filter_map(|name| Some((*name, self.ebpf.map(name)?)))
    }

    /// The packets by verdict, over all CPUs.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn verdicts(&self) -> Result<Vec<(DecapVerdict, u64)>, Error> {
        let name = names::DECAP_VERDICTS;
        let map = self.ebpf.map(name).ok_or(dataplane::Error::Missing(name))?;
        let counters = PerCpuArray::try_from(map).map_err(kernel::map(name))?;
        sum(&counters)
    }
}

/// The counters, over all CPUs.
pub(super) fn sum<T: Borrow<MapData>>(
    counters: &PerCpuArray<T, u64>,
) -> Result<Vec<(DecapVerdict, u64)>, Error> {
    let failed = kernel::map(names::DECAP_VERDICTS);
    let count = |&verdict: &DecapVerdict| {
        let cpus = counters.get(&verdict.index(), 0).map_err(&failed)?;
        Ok((verdict, cpus.iter().copied().fold(0, u64::wrapping_add)))
    };
    DecapVerdict::ALL.iter().map(count).collect()
}
