//! The packet path's maps behind one trait: the kernel's, or a fake for tests.

pub mod fake;
pub mod kernel;

use std::collections::{BTreeMap, BTreeSet};

use lb_common::{
    backend::Backend,
    flow::{Flow, FlowKey, Pending},
    probe::Probe,
    route::{NextHop, Prefix},
    service::{Reply, ReplyKey, Service, ServiceKey},
    settings::Settings,
    slot::Slot,
    stats::Traffic,
    verdict::Verdict,
};

use crate::{config::Limits, error::with_causes, ring::Endpoint};

/// The eBPF object with the node's programs.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/lb.o"));

/// Why the packet path could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object could not be loaded.
    #[error("the kernel does not load the packet path: {}", with_causes(.0))]
    Load(Box<aya::EbpfError>),
    /// The object lacks something: it was built from other sources.
    #[error("the eBPF object has no {0}; rebuild with `cargo xtask build`")]
    Missing(&'static str),
    /// The verifier or the kernel refused a program.
    #[error("the kernel refuses the program {name}: {}", with_causes(cause))]
    Program {
        /// The program.
        name: &'static str,
        /// The kernel's words, with the verifier's log.
        cause: Box<aya::programs::ProgramError>,
    },
    /// A map could not be read or written.
    #[error("map {name}: {}", with_causes(cause))]
    Map {
        /// The map.
        name: &'static str,
        /// The kernel's words.
        cause: Box<aya::maps::MapError>,
    },
    /// A map could not be mapped into memory, or a pin not be made.
    #[error("{what}: {cause}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// The kernel's words.
        cause: std::io::Error,
    },
    /// The program could not be attached.
    #[error("{interface}: cannot attach the XDP program: {reason}")]
    Attach {
        /// The interface.
        interface: String,
        /// What the kernel said, and what to do.
        reason: String,
    },
    /// The pinned state was made with other limits.
    #[error(
        "limits.{key} differs from the one that the pinned state in {dir} was made with: it gives \
         {map} {configured} entries, the pinned map has {pinned}; restore the old value, or delete \
         that directory to start anew (this interrupts traffic)"
    )]
    OtherLimits {
        /// The key.
        key: &'static str,
        /// The map.
        map: &'static str,
        /// What the configuration gives it.
        configured: u32,
        /// What the pinned map has.
        pinned: u32,
        /// Where it is pinned.
        dir: String,
    },
    /// The pinned state was made by a version with another layout.
    #[error(
        "the pinned state in {dir} has {}, this version needs layout {}; run the version that made \
         it, or delete that directory to start anew (this interrupts traffic)",
        pinned.map_or_else(|| "another layout".to_owned(), |pinned| format!("layout {pinned}")),
        lb_common::layout::ABI
    )]
    OtherLayout {
        /// The layout found, if it says.
        pinned: Option<u32>,
        /// Where it is pinned.
        dir: String,
    },
    /// A fake was told to fail.
    #[error("injected failure")]
    Injected,
}

/// All that the maps hold, but for the rings and the flows, which are read piece by piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actual {
    /// The settings, once written.
    pub settings: Option<Settings>,
    /// The services.
    pub services: BTreeMap<ServiceKey, Service>,
    /// The entries of the backend table that are not free, by place.
    pub backends: BTreeMap<u32, Backend>,
    /// How backends are checked through the packet path, by place.
    pub probes: BTreeMap<u32, Probe>,
    /// The NAT backends' answers.
    pub replies: BTreeMap<ReplyKey, Reply>,
    /// The mirrored routes.
    pub routes: BTreeMap<Prefix, NextHop>,
    /// The denied prefixes.
    pub denied: BTreeSet<Prefix>,
    /// The interfaces that packets may leave by.
    pub devices: BTreeSet<u32>,
    /// The flows that are remembered and those that were refused, by the service's number, where
    /// there are any.
    pub flow_counts: BTreeMap<u32, [u32; 2]>,
}

impl Actual {
    /// The backends of a service with their places in the table.
    #[must_use]
    pub fn pool(&self, key: &ServiceKey) -> BTreeMap<Endpoint, (u32, &Backend)> {
        let blocks = self.services.get(key).map(Service::block);
        let lines = blocks.into_iter().flat_map(|block| self.backends.range(block));
        lines.map(|(place, line)| (line.into(), (*place, line))).collect()
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Replaces the settings.
    PutSettings(Settings),
    /// Writes a place of the backend table.
    PutBackend(u32, Backend),
    /// Frees a place of the backend table.
    FreeBackend(u32),
    /// Lets a backend be checked through the packet path, by place.
    PutProbe(u32, Probe),
    /// No longer.
    RemoveProbe(u32),
    /// Zeroes a backend's counters before a new one uses them.
    ResetTraffic(u32),
    /// Stores words into the rings, by absolute place.
    WriteSlots(Vec<(u32, Slot)>),
    /// Adds or replaces a service.
    PutService(ServiceKey, Service),
    /// Removes a service.
    RemoveService(ServiceKey),
    /// Adds or replaces what a NAT backend's answers become.
    PutReply(ReplyKey, Reply),
    /// Removes it.
    RemoveReply(ReplyKey),
    /// Adds or replaces a route.
    PutRoute(Prefix, NextHop),
    /// Removes a route.
    RemoveRoute(Prefix),
    /// Denies a prefix.
    Deny(Prefix),
    /// No longer denies it.
    Allow(Prefix),
    /// Lets packets leave by an interface.
    PutDevice(u32),
    /// No longer.
    RemoveDevice(u32),
    /// Advances the node's clock.
    SetTick(u32),
    /// Lets packets be balanced without the daemon for so many seconds from now on.
    Beat(u32),
    /// Removes remembered flows, but for those that have changed since they were read.
    RemoveFlows(Vec<(FlowKey, Flow)>),
    /// Writes the number of flows that are remembered of a service, by the service's number.
    SetFlowCount(u32, u32),
    /// Zeroes what is counted of a service, by the service's number.
    ResetFlowCount(u32),
}

/// A part of the flow table, and where the next one begins, unless this was the last.
pub type FlowSlice = (Vec<(FlowKey, Flow)>, Option<u32>);

/// The packet path's maps.
pub trait Dataplane {
    /// How much fits.
    fn limits(&self) -> Limits;
    /// All that the maps hold.
    fn read(&self) -> Result<Actual, Error>;
    /// As [`Dataplane::read`], but only the settings, the services, their backends, and the numbers
    /// of flows, which are read without many system calls.
    fn read_pools(&self) -> Result<Actual, Error>;
    /// The node's tick.
    fn tick(&self) -> Result<u32, Error>;
    /// A part of the flow table of about `most` entries, from its beginning or from where another
    /// part ended. Entries that come while it is read part by part may be missing.
    fn flows(&self, from: Option<u32>, most: u32) -> Result<FlowSlice, Error>;
    /// The flows that are remembered of a service and those that were refused, by the service's
    /// number.
    fn flow_count(&self, id: u32) -> Result<[u32; 2], Error>;
    /// `size` slots from the place `base` on.
    fn slots(&self, base: u32, size: u32) -> Result<Vec<Slot>, Error>;
    /// Makes one write.
    fn apply(&mut self, op: &Op) -> Result<(), Error>;
}

/// What is known of one flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What is remembered of it.
    pub flow: Option<Flow>,
    /// What was noted at its SYN.
    pub noted: Option<Pending>,
}

/// A packet to try the packet path with.
#[derive(Clone, Debug)]
pub struct Trial<'a> {
    /// The frame.
    pub frame: &'a [u8],
    /// The interface that it comes in by.
    pub interface: u32,
    /// The flow that it belongs to, if it is of a service, and what is known of that.
    pub known: Option<(FlowKey, Known)>,
    /// The traffic counters of the backends that it may go to.
    pub counters: Vec<u32>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The verdict.
    pub verdict: Verdict,
    /// The frame afterwards.
    pub frame: Vec<u8>,
    /// The counter of the backend that it went to.
    pub counter: Option<u32>,
}

/// A packet path that packets can be tried on.
pub trait Trials {
    /// What is known of a flow.
    fn known(&self, key: &FlowKey) -> Result<Known, Error>;
    /// Runs the program on a packet; no map and no counter of the node changes.
    fn try_out(&self, trial: &Trial<'_>) -> Result<Tried, Error>;
    /// Runs the program itself on a frame that is nobody's business; gives whether it passes it on. It is
    /// counted like any other.
    fn takes_a_packet(&self) -> Result<bool, Error>;
}

/// A packet path whose programs are attached while it runs.
pub trait Attach {
    /// Attaches the program of the probe link to its far end, which may be another than before.
    fn attach_probe(&mut self, far: u32) -> Result<(), Error>;
}

/// The packet path's counters, which metrics read.
pub trait Counters {
    /// Packets by verdict, over all CPUs.
    fn verdicts(&self) -> Result<Vec<(Verdict, u64)>, Error>;
    /// One backend's traffic, over all CPUs.
    fn traffic(&self, counter: u32) -> Result<Traffic, Error>;
}
