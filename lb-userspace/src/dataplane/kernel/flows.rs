//! The flow table, what is counted of it, and the node's clock.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use aya::{
    Ebpf,
    maps::{HashMap, Map, MapData, MapError},
};
use lb_common::{
    flow::{Flow, FlowKey, Pending},
    names,
};

use rustix::time::{ClockId, clock_gettime};

use super::{Error, FlowSlice, Known, beyond, collect, map, mapped::Mapped, mmap, take};

/// The maps of per-flow memory that userspace reads and writes.
pub(super) struct Table {
    flows: HashMap<MapData, FlowKey, Flow>,
    pending: HashMap<MapData, FlowKey, Pending>,
    fd: OwnedFd,
    counts: Mapped<[u32; 2]>,
    clock: Mapped<[u32; 2]>,
}

impl Table {
    /// Over the object's maps, with the number of services that are counted.
    pub(super) fn take(ebpf: &mut Ebpf, services: u32) -> Result<Self, Error> {
        let name = names::FLOWS;
        let Some(Map::HashMap(data)) = ebpf.take_map(name) else {
            return Err(Error::Missing(name));
        };
        let fd = data.fd().as_fd().try_clone_to_owned();
        Ok(Self {
            fd: fd.map_err(|cause| Error::Io { what: format!("map {name}"), cause })?,
            flows: HashMap::try_from(Map::HashMap(data)).map_err(map(name))?,
            pending: take(ebpf, names::PENDING)?,
            counts: mmap(ebpf, names::FLOW_COUNTS, services.saturating_add(1))?,
            clock: mmap(ebpf, names::CLOCK, 1)?,
        })
    }

    /// The node's tick.
    pub(super) fn tick(&self) -> Result<u32, Error> {
        self.clock.load(0).map(|[tick, _]| tick).ok_or_else(|| beyond(names::CLOCK))
    }

    /// Advances the node's clock.
    pub(super) fn set_tick(&self, tick: u32) -> Result<(), Error> {
        self.clock.store_word(0, 0, tick).ok_or_else(|| beyond(names::CLOCK))
    }

    /// Lets packets be balanced without the daemon for so many seconds from now on.
    pub(super) fn beat(&self, grace: u32) -> Result<(), Error> {
        // The clock of the packet path's `bpf_ktime_get_coarse_ns`, whose seconds may wrap.
        let now = clock_gettime(ClockId::Monotonic).tv_sec.cast_unsigned() as u32;
        let written = self.clock.store_word(0, 1, now.wrapping_add(grace));
        written.ok_or_else(|| beyond(names::CLOCK))
    }

    /// What is counted of the services, by number.
    pub(super) fn counts(&self) -> impl Iterator<Item = (u32, [u32; 2])> {
        (0..self.counts.len()).filter_map(|id| Some((id, self.counts.load(id)?)))
    }

    /// What is counted of one service.
    pub(super) fn count(&self, id: u32) -> Result<[u32; 2], Error> {
        self.counts.load(id).ok_or_else(|| beyond(names::FLOW_COUNTS))
    }

    /// Writes the number of a service's flows.
    pub(super) fn set_count(&self, id: u32, held: u32) -> Result<(), Error> {
        self.counts.store_word(id, 0, held).ok_or_else(|| beyond(names::FLOW_COUNTS))
    }

    /// Zeroes what is counted of a service.
    pub(super) fn reset_count(&self, id: u32) -> Result<(), Error> {
        self.counts.store(id, &[0; 2]).ok_or_else(|| beyond(names::FLOW_COUNTS))
    }

    /// What is known of one flow.
    pub(super) fn known(&self, key: &FlowKey) -> Result<Known, Error> {
        let flow = found(self.flows.get(key, 0)).map_err(map(names::FLOWS))?;
        let noted = found(self.pending.get(key, 0)).map_err(map(names::PENDING))?;
        Ok(Known { flow, noted })
    }

    /// About `most` flows, from the beginning or from where another part ended.
    pub(super) fn slice(&self, from: Option<u32>, most: u32) -> Result<FlowSlice, Error> {
        match (self.batch(from, most), from) {
            (Ok(slice), _) => Ok(slice),
            (Err(cause), None) => {
                tracing::debug!("map {}: no reading in batches: {cause}", names::FLOWS);
                let flows = collect(self.flows.iter(), names::FLOWS)?;
                Ok((flows.into_iter().collect(), None))
            }
            (Err(cause), Some(_)) => {
                Err(Error::Io { what: format!("map {}", names::FLOWS), cause })
            }
        }
    }

    /// Reads whole buckets of the kernel's table (Linux 5.6).
    fn batch(&self, from: Option<u32>, most: u32) -> std::io::Result<FlowSlice> {
        let mut keys: Vec<FlowKey> = Vec::with_capacity(most as usize);
        let mut values: Vec<Flow> = Vec::with_capacity(most as usize);
        let (begin, mut next) = (from.unwrap_or(0), 0u32);
        let mut attributes = LookupBatch {
            in_batch: if from.is_some() { address(&raw const begin) } else { 0 },
            out_batch: address(&raw mut next),
            keys: address(keys.as_mut_ptr()),
            values: address(values.as_mut_ptr()),
            count: most,
            map: self.fd.as_raw_fd().cast_unsigned(),
            flags: [0; 2],
        };
        // SAFETY: all addresses are of live memory: four bytes for the positions, as hash tables
        // have them, and room for `count` keys and values of the map's own sizes.
        let done = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_MAP_LOOKUP_BATCH,
                &raw mut attributes,
                size_of::<LookupBatch>(),
            )
        };
        let last = match done {
            0 => false,
            _ => match std::io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ENOENT) => true,
                error => return Err(error),
            },
        };
        let count = attributes.count.min(most) as usize;
        // SAFETY: the kernel has written `count` keys and values, of which every bit pattern is one.
        unsafe {
            keys.set_len(count);
            values.set_len(count);
        }
        Ok((keys.into_iter().zip(values).collect(), (!last).then_some(next)))
    }

    /// Removes flows, but for those that have changed since they were read: a packet may have come.
    pub(super) fn remove(&mut self, flows: &[(FlowKey, Flow)]) -> Result<(), Error> {
        for (key, flow) in flows {
            match self.flows.get(key, 0) {
                Ok(now) if now == *flow => {}
                Ok(_) | Err(MapError::KeyNotFound) => continue,
                Err(error) => return Err(map(names::FLOWS)(error)),
            }
            match self.flows.remove(key) {
                Ok(()) | Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(map(names::FLOWS)(error)),
            }
        }
        Ok(())
    }
}

fn found<T>(entry: Result<T, MapError>) -> Result<Option<T>, MapError> {
    match entry {
        Ok(entry) => Ok(Some(entry)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `enum bpf_cmd` of Linux's `include/uapi/linux/bpf.h`.
const BPF_MAP_LOOKUP_BATCH: libc::c_int = 24;

/// The `batch` member of `union bpf_attr`.
#[repr(C)]
struct LookupBatch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    flags: [u64; 2],
}

fn address<T>(of: *const T) -> u64 {
    of as u64
}
