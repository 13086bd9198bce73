//! Fragments: what the first one tells of the others.

use crate::{
    addr::{Addr, Protocol},
    service::{Reply, Service},
};

/// What the fragments of one datagram have in common (RFC 791 §3.2, RFC 8200 §4.5).
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentKey {
    /// The source.
    pub source: Addr,
    /// The destination.
    pub destination: Addr,
    /// The identification, as it lies on the wire; IPv4's 16 bits come first.
    pub identification: [u8; 4],
    /// The protocol; zero for IPv6, whose identification does without.
    pub protocol: Protocol,
    /// Zero.
    pub padding: [u8; 3],
}

/// Where the fragments of one datagram go. In an order that puts both structures on 8 bytes.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentFlow {
    /// What an answer is rewritten to.
    pub reply: Reply,
    /// The backend's place in the table; 0: it is a NAT backend's answer.
    pub backend: u32,
    /// The service that the datagram is for.
    pub service: Service,
    /// The hash of the flow.
    pub hash: u32,
}

impl FragmentFlow {
    /// Of a client's packet to a backend.
    #[inline(always)]
    #[must_use]
    pub const fn request(service: &Service, backend: u32, hash: u32) -> Self {
        Self { reply: Reply::NONE, backend, service: *service, hash }
    }

    /// Of a NAT backend's answer.
    #[inline(always)]
    #[must_use]
    pub const fn reply(reply: &Reply) -> Self {
        Self { reply: *reply, backend: 0, service: Service::NONE, hash: 0 }
    }

    /// Whether it is a NAT backend's answer.
    #[inline(always)]
    #[must_use]
    pub const fn is_reply(&self) -> bool {
        self.backend == 0
    }
}
