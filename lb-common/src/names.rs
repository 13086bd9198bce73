//! The names of maps and programs, as they stand in the object, in bpffs and in `bpftool`.

/// The XDP program of a node.
pub const PROGRAM: &str = "lb";
/// The same for frames in several buffers (`BPF_F_XDP_HAS_FRAGS`, Linux 5.18).
pub const FRAGS_PROGRAM: &str = "lb_frags";
/// The XDP program that passes everything: for the far end of a veth, which must have a program
/// before it takes frames from `XDP_TX`.
pub const PASS_PROGRAM: &str = "lb_pass";

/// The XDP program of the probe link, which sends health checks on the way of clients' packets.
pub const PROBE_PROGRAM: &str = "lb_probe";

/// The XDP program of a backend, which undoes tunnels.
pub const DECAP_PROGRAM: &str = "lb_decap";
/// The same for frames in several buffers.
pub const DECAP_FRAGS_PROGRAM: &str = "lb_decap_frags";
/// `DecapSettings`, one entry.
pub const DECAP_SETTINGS: &str = "DECAP_SETTINGS";
/// The prefixes of the nodes: tunnels of other sources are not undone.
pub const DECAP_SOURCES: &str = "DECAP_SOURCES";
/// One counter a verdict of the decapsulation, per CPU.
pub const DECAP_VERDICTS: &str = "DECAP_VERDICTS";

/// `Settings`, one entry.
pub const SETTINGS: &str = "SETTINGS";
/// Denied source prefixes.
pub const DENIED: &str = "DENIED";
/// The table of services: `ServiceLine`s, by open addressing; mmapped.
pub const SERVICES: &str = "SERVICES";
/// All rings, one after another: two `Slot` words an entry; mmapped.
pub const RINGS: &str = "RINGS";
/// All backends; mmapped.
pub const BACKENDS: &str = "BACKENDS";
/// `ReplyKey` → `Reply`.
pub const REPLIES: &str = "REPLIES";
/// Which keys of [`REPLIES`] there may be: two `u32` of bits an entry; mmapped.
pub const REPLY_FILTER: &str = "REPLY_FILTER";
/// Destination prefixes → `NextHop`, for the answers of NAT backends.
pub const ROUTES: &str = "ROUTES";
/// Interfaces that packets may leave by.
pub const DEVICES: &str = "DEVICES";
/// `FlowKey` → `Flow`: the flows of slots that have changed.
pub const FLOWS: &str = "FLOWS";
/// `FlowKey` → `Pending`: connections that are being opened in slots that have changed.
pub const PENDING: &str = "PENDING";
/// The number of remembered flows by service, two `u32` an entry: remembered, and refused for lack
/// of room; mmapped.
pub const FLOW_COUNTS: &str = "FLOW_COUNTS";
/// The node's tick, which userspace advances once a second, and the second of the monotonic clock until
/// which packets may be balanced without it: two `u32`; mmapped.
pub const CLOCK: &str = "CLOCK";
/// `FragmentKey` → `FragmentFlow`.
pub const FRAGMENTS: &str = "FRAGMENTS";
/// What is left of the answers that each CPU may give.
pub const ANSWERS: &str = "ANSWERS";
/// By the places of [`BACKENDS`]: `Probe`, what becomes of a backend's health checks; mmapped.
pub const PROBES: &str = "PROBES";
/// `ProbeKey` → `ProbeNote`: the health checks that wait for their answers.
pub const PROBE_FLOWS: &str = "PROBE_FLOWS";
/// One counter a verdict, per CPU.
pub const VERDICTS: &str = "VERDICTS";
/// One `Traffic` a backend, per CPU.
pub const TRAFFIC: &str = "TRAFFIC";

/// All maps that outlive the daemon.
pub const PINNED: &[&str] = &[
    SETTINGS,
    DENIED,
    SERVICES,
    RINGS,
    BACKENDS,
    REPLIES,
    REPLY_FILTER,
    ROUTES,
    DEVICES,
    FLOWS,
    PENDING,
    FLOW_COUNTS,
    CLOCK,
    FRAGMENTS,
    ANSWERS,
    PROBES,
    PROBE_FLOWS,
    VERDICTS,
    TRAFFIC,
];
