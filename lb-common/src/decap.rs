//! Decapsulation on a backend: what it is told, and what it made of a packet.

use crate::{addr::Port, verdict::verdicts};

/// What the decapsulation reads at run time: one entry of one map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecapSettings {
    /// The layout of the maps: [`Self::ABI`].
    pub abi: u32,
    /// The UDP port at which GUE arrives.
    pub gue_port: Port,
    /// Zero.
    pub padding: u16,
}

impl DecapSettings {
    /// The version of the maps' layout and of the order of the verdicts.
    pub const ABI: u32 = 1;

    /// Settings of this version.
    #[must_use]
    pub const fn new(gue_port: Port) -> Self {
        Self { abi: Self::ABI, gue_port, padding: 0 }
    }
}

/// What the kernel is told to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecapKind {
    /// The stack gets the packet that was inside.
    Unwrapped,
    /// The stack gets it, untouched.
    Passed,
    /// It ends here.
    Dropped,
}

verdicts! {
    /// What the decapsulation made of a packet, and why.
    DecapVerdict: DecapKind;
    /// IP in IP, undone.
    Ipip = "ipip", Unwrapped;
    /// Generic UDP Encapsulation, undone.
    Gue = "gue", Unwrapped;
    /// Neither IPv4 nor IPv6: ARP, LLDP.
    NotIp = "not-ip", Passed;
    /// No packet within a packet.
    NotTunnel = "not-tunnel", Passed;
    /// The outer header contradicts itself or the frame.
    BadOuter = "bad-outer", Passed;
    /// A fragment of the outer packet, which the stack reassembles.
    Fragment = "fragment", Passed;
    /// From a source that is not allowed.
    OtherSource = "other-source", Passed;
    /// A GUE variant, control message, flag or protocol that no node sends.
    OtherGue = "other-gue", Passed;
    /// The version of the packet inside contradicts the outer header.
    BadInnerVersion = "bad-inner-version", Dropped;
    /// The packet inside is too short for its header, or longer than what arrived.
    BadInnerLength = "bad-inner-length", Dropped;
    /// Congestion was experienced by a packet whose sender would not hear of it (RFC 6040 §4.2).
    Congestion = "congestion", Dropped;
    /// The frame cannot be changed.
    NoRoom = "no-room", Dropped;
    /// There are no settings: a fault of the loader.
    Inconsistent = "inconsistent", Dropped;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_follow_the_declaration_and_labels_are_unique() {
        for (position, verdict) in DecapVerdict::ALL.iter().enumerate() {
            assert_eq!(verdict.index() as usize, position);
            assert!(verdict.describe().ends_with('.'));
            let same = |other: &&DecapVerdict| other.as_str() == verdict.as_str();
            assert_eq!(DecapVerdict::ALL.iter().filter(same).count(), 1);
        }
    }
}
