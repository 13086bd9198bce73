//! The names of maps and programs, as they stand in the object, in bpffs and in `bpftool`.

/// The XDP program of a node.
pub const PROGRAM: &str = "lb";
/// The XDP program that passes everything: for the far end of a veth, which must have a program
/// before it takes frames from `XDP_TX`.
pub const PASS_PROGRAM: &str = "lb_pass";

/// `Settings`, one entry.
pub const SETTINGS: &str = "SETTINGS";
/// Denied source prefixes.
pub const DENIED: &str = "DENIED";
/// `ServiceKey` → `Service`.
pub const SERVICES: &str = "SERVICES";
/// All rings, one after another: two `Slot` words an entry; mmapped.
pub const RINGS: &str = "RINGS";
/// All backends; mmapped.
pub const BACKENDS: &str = "BACKENDS";
/// `ReplyKey` → `Reply`.
pub const REPLIES: &str = "REPLIES";
/// Destination prefixes → `NextHop`, for the answers of NAT backends.
pub const ROUTES: &str = "ROUTES";
/// Interfaces that packets may leave by.
pub const DEVICES: &str = "DEVICES";
/// One counter a verdict, per CPU.
pub const VERDICTS: &str = "VERDICTS";
/// One `Traffic` a backend, per CPU.
pub const TRAFFIC: &str = "TRAFFIC";

/// All maps that outlive the daemon.
pub const PINNED: &[&str] =
    &[SETTINGS, DENIED, SERVICES, RINGS, BACKENDS, REPLIES, ROUTES, DEVICES, VERDICTS, TRAFFIC];
