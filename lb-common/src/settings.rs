//! What the packet path reads at run time instead of being compiled for it.

use crate::hash::HashKey;

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
