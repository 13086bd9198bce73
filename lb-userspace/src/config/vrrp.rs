//! The virtual routers that this node is one of, as they are configured.

use std::{fmt, net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::vrrp::{Settings, Version, Vrid, sm::Announcements};

/// The priority of a router that configures none (RFC 9568 §6.1).
pub const DEFAULT_PRIORITY: u8 = 100;
/// The priority of the router whose own addresses the virtual ones are (RFC 9568 §5.2.4).
pub const OWNER: u8 = 255;
/// Between the refreshments of a router that configures none. keepalived has none by default; who missed the
/// announcement would then stay with a dead master for as long as the entry in its table lives.
pub const DEFAULT_REFRESH: Duration = Duration::from_secs(60);
/// The largest weight of a track, either way: from the lowest priority past the highest (as keepalived's).
pub const MAX_TRACK_WEIGHT: i16 = 254;

/// One virtual router on one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vrrp {
    /// Its name, unique.
    pub name: String,
    /// The interface that its adverts go over and that has its addresses; not necessarily an attached one.
    pub interface: String,
    /// Its number on the link, 1 to 255, unique for interface and family (RFC 9568 §5.2.3: VRID).
    pub id: u8,
    /// The version of the protocol: 2 (RFC 3768, IPv4 only) or 3 (RFC 9568).
    pub version: u8,
    /// What it is there for: at least one address, all of one family, none of another virtual router.
    pub addresses: Vec<VirtualAddress>,
    /// 1 to 254, or [`OWNER`]; the highest holds the addresses.
    pub priority: u8,
    /// Between two adverts: 10 ms to 40.95 s by 10 ms (RFC 9568 §5.2.7), with version 2 whole seconds up to
    /// 255 (RFC 3768 §5.3.7).
    pub interval: Duration,
    /// Whether to take the addresses from a router of lower priority (RFC 9568 §6.1).
    pub preempt: bool,
    /// How long such a router is left alone first; zero: not at all.
    pub preempt_delay: Duration,
    /// Where adverts are sent from; `None`: the interface's first address of the family, over IPv6 its
    /// link-local one (RFC 9568 §5.1.2.1).
    pub source: Option<IpAddr>,
    /// The other routers, which adverts are sent to one by one; none: they are sent to the group.
    pub peers: Vec<IpAddr>,
    /// Whether the addresses have the virtual router's own MAC address (RFC 9568 §7.3), not the interface's.
    pub virtual_mac: bool,
    /// What the checksums of its adverts cover.
    pub checksum: Checksum,
    /// The group of virtual routers that hold their addresses all together or not at all.
    pub group: Option<String>,
    /// How the link is told who has the addresses.
    pub announce: Announce,
    /// What changes the priority, or forbids to hold the addresses.
    pub tracks: Vec<Track>,
}

/// An address of a virtual router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// Of the network that it is added with: 1 to 32, or to 128; all bits where the file says nothing.
    pub prefix_length: u8,
}

/// As in the file: without a prefix length where it is that of a single address.
impl fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, prefix_length } = self;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        if *prefix_length == bits {
            write!(f, "{address}")
        } else {
            write!(f, "{address}/{prefix_length}")
        }
    }
}

/// What the checksum of an advert of version 3 over IPv4 covers; others have no choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checksum {
    /// What the last peer's covered; the pseudo-header as long as none was heard.
    #[default]
    Auto,
    /// The IPv4 pseudo-header as well, as keepalived has it (RFC 5798 §5.2.8).
    PseudoHeader,
    /// The message alone (RFC 9568 §5.2.8).
    Plain,
}

/// How the link is told who has the addresses: by gratuitous ARP, and unsolicited neighbour advertisements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announce {
    /// The frames of a kind for each address, when they have been taken and at the repetition; at least 1.
    pub copies: u8,
    /// From the first time to the repetition; zero: there is none.
    pub repeat_after: Duration,
    /// From one refreshment, of a single frame each, to the next; `None`: there are none.
    pub refresh: Option<Duration>,
}

impl Default for Announce {
    fn default() -> Self {
        let Announcements { copies, repeat_after, refresh: _ } = Announcements::default();
        Self { copies, repeat_after, refresh: Some(DEFAULT_REFRESH) }
    }
}

impl From<Announce> for Announcements {
    fn from(Announce { copies, repeat_after, refresh }: Announce) -> Self {
        Self { copies, repeat_after, refresh }
    }
}

/// Something that the priority follows, with keepalived's meaning of weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// What it is.
    pub what: Tracked,
    /// Below 0: what is added to the priority while it fails. Above 0: while it does not. 0: while it fails,
    /// the addresses are not held. Up to [`MAX_TRACK_WEIGHT`] either way; the sum is kept within 1 to 254.
    pub weight: i16,
    /// Successes in a row that end a failure; at least 1.
    pub rise: u32,
    /// Failures in a row that begin one; at least 1.
    pub fall: u32,
}

/// What can be tracked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tracked {
    /// An interface: it is there, up, and has a carrier.
    Interface(String),
    /// A program: it ends with status 0.
    Script {
        /// Its absolute path, and its arguments.
        command: Vec<String>,
        /// From one start to the next.
        interval: Duration,
        /// How long it may take; at most the interval.
        timeout: Duration,
    },
    /// The packet path: the program is attached and passes a packet of its own.
    Datapath,
    /// A service, by its name: it has a healthy backend.
    Service(String),
}

impl Vrrp {
    /// Whether its addresses are IPv4, and so all that it sends.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.addresses.first().is_some_and(|it| it.address.is_ipv4())
    }

    /// For the state machine, which sends from `source`; `None` where id or version are none.
    #[must_use]
    pub fn settings(&self, source: IpAddr) -> Option<Settings> {
        let version =
            [Version::V2, Version::V3].into_iter().find(|it| it.number() == self.version)?;
        Some(Settings {
            vrid: Vrid::new(self.id)?,
            version,
            priority: self.priority,
            interval: self.interval,
            preempt: self.preempt,
            preempt_delay: self.preempt_delay,
            source,
            addresses: self.addresses.iter().map(|it| it.address).collect(),
            announcements: self.announce.into(),
        })
    }
}
