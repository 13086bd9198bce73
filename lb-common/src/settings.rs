//! What the packet path reads at run time instead of being compiled for it.

use crate::{addr::Addr, hash::HashKey, probe::ProbeSettings, route::Prefix};

/// The node's settings: one entry of one map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The secret of the flow hash.
    pub hash_key: HashKey,
    /// The layout of the maps: [`crate::layout::ABI`].
    pub abi: u32,
    /// Which stages have anything to do.
    pub stages: Stages,
    /// The lines of the table of services, a power of two, minus one.
    pub service_mask: u32,
    /// The answers that the node itself may give.
    pub answers: AnswerRates,
    /// Where tunnel packets over IPv4 come from.
    pub tunnel4: TunnelSource,
    /// Where tunnel packets over IPv6 come from.
    pub tunnel6: TunnelSource,
    /// How health checks go through the packet path.
    pub probes: ProbeSettings,
}

/// The answers that each CPU may give, per second; as many may come at once after silence.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerRates {
    /// Echo replies.
    pub echo: u32,
    /// ICMP errors: too big, port unreachable.
    pub error: u32,
    /// TCP resets.
    pub reset: u32,
    /// Zero: a word that the verifier does not know, and the packet path does.
    pub padding: u32,
}

/// The source of tunnel packets: it varies with the flow within a prefix, so that the backends'
/// receive queues all get their share.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelSource {
    /// The first address; unspecified where there is none.
    pub base: Addr,
    /// The bits of the last 32 that vary, in the wire's order.
    pub varying: u32,
}

impl TunnelSource {
    /// There is none: no tunnel of the family works.
    pub const NONE: Self = Self { base: Addr::UNSPECIFIED, varying: 0 };

    /// The sources of a prefix, of which at most the last 32 bits vary.
    #[must_use]
    pub fn new(prefix: Prefix) -> Self {
        let varying = u32::MAX.checked_shr(prefix.length.saturating_sub(96)).unwrap_or(0);
        Self { base: prefix.address, varying: varying.to_be() }
    }

    /// The last 32 bits of the source of a flow.
    #[inline(always)]
    #[must_use]
    pub const fn low_word(&self, hash: u32) -> u32 {
        self.base.words()[3] | hash & self.varying
    }
}

/// The stages that a packet may skip because their maps are empty.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stages(pub u32);

impl Stages {
    /// All stages may be skipped.
    pub const NONE: Self = Self(0);
    /// There are denied prefixes.
    pub const FIREWALL: Self = Self(1);
    /// There are NAT backends, whose answers come back through the node.
    pub const REPLY: Self = Self(2);
    /// There are services of several ports.
    pub const RANGES: Self = Self(4);
    /// Health checks go through the packet path, and their answers come back.
    pub const PROBES: Self = Self(8);
    /// Packets are passed when the daemon has been silent for too long.
    pub const WATCHDOG: Self = Self(16);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    #[inline(always)]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
