//! Forward: rewrites a frame for its next hop.

mod hop;
mod rewrite;

use lb_common::{
    backend::Backend,
    checksum::Delta,
    route::NextHop,
    service::{ForwardMode, Reply, Service},
    verdict::Verdict,
};

use crate::{frame::Frame, parse::Packet};
use rewrite::{End, Endpoint};

/// The interface that a rewritten frame leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Its index.
    pub interface: u32,
}

/// Sends a packet to its backend, in the service's mode.
#[inline(always)]
pub fn to_backend(
    frame: &mut Frame,
    packet: &Packet,
    service: &Service,
    backend: &Backend,
) -> Result<Egress, Verdict> {
    match service.mode {
        ForwardMode::L2 => hop::decrement(frame, packet.family, Delta::NONE)?,
        ForwardMode::NAT => {
            hop::decrement(frame, packet.family, backend.address_delta)?;
            rewrite::endpoint(
                frame,
                packet,
                End::Destination,
                &Endpoint {
                    address: &backend.address,
                    port: backend.port,
                    delta: backend.endpoint_delta,
                },
            )?;
        }
        _ => return Err(Verdict::Inconsistent),
    }
    hop::address(frame, &backend.next_hop)
}

/// Sends a NAT backend's answer to the client, from the VIP.
#[inline(always)]
pub fn to_client(
    frame: &mut Frame,
    packet: &Packet,
    reply: &Reply,
    next_hop: &NextHop,
) -> Result<Egress, Verdict> {
    hop::decrement(frame, packet.family, reply.address_delta)?;
    rewrite::endpoint(
        frame,
        packet,
        End::Source,
        &Endpoint { address: &reply.vip, port: reply.port, delta: reply.endpoint_delta },
    )?;
    hop::address(frame, next_hop)
}
