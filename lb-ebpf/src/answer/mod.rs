//! Answers that the node gives in a backend's place, each kind at a limited rate.
//!
//! All go back the way that the packet came: from the VIP, to the MAC that sent the frame, in the
//! VLAN that it came in.

mod echo;
mod error;
mod header;
mod reset;
mod sum;

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use lb_common::{
    addr::Protocol,
    answer::{Answer, Bucket},
    settings::Settings,
    verdict::Verdict,
};

use self::error::Message;
use crate::{
    frame::{Buffer, Frame},
    parse::{Family, Packet, Part},
};

/// What Linux gives its own packets.
const HOPS: u8 = 64;

/// What is left of the answers that this CPU may give.
#[btf_map]
static ANSWERS: PerCpuArray<Bucket, { Answer::COUNT }> = PerCpuArray::new();

/// Tells the client that its packet is longer than `room`, the longest that the way to the backend
/// takes, in bytes (RFC 1191, RFC 8201). Also where IPv4 would let routers fragment the packet: the
/// node does not.
#[inline(never)]
pub fn too_big(
    buffer: &mut impl Buffer,
    packet: &Packet,
    settings: &Settings,
    room: usize,
) -> Verdict {
    if !may_be_answered(&buffer.frame(), packet) {
        return Verdict::Oversize;
    }
    if !take(buffer, Answer::Error, settings.answers.error) {
        return Verdict::RateLimited;
    }
    let sent = error::send(buffer, packet, Message::too_big(packet.family, room));
    if sent { Verdict::TooBig } else { Verdict::NoRoom }
}

/// Tells the client that its flow's backend is down: by a TCP reset (RFC 9293 §3.5.2) or by "port
/// unreachable" (RFC 1122 §4.1.3.1).
#[inline(always)]
pub fn refuse(buffer: &mut impl Buffer, packet: &Packet, settings: &Settings) -> Verdict {
    if packet.protocol == Protocol::TCP {
        reset(buffer, packet, settings)
    } else {
        port_unreachable(buffer, packet, settings)
    }
}

#[inline(never)]
fn reset(buffer: &mut impl Buffer, packet: &Packet, settings: &Settings) -> Verdict {
    if !may_be_answered(&buffer.frame(), packet) {
        return Verdict::BackendDown;
    }
    let Some(reset) = reset::of(&buffer.frame(), packet) else { return Verdict::BackendDown };
    if !take(buffer, Answer::Reset, settings.answers.reset) {
        return Verdict::RateLimited;
    }
    if reset.send(buffer, packet) { Verdict::Reset } else { Verdict::NoRoom }
}

#[inline(never)]
fn port_unreachable(buffer: &mut impl Buffer, packet: &Packet, settings: &Settings) -> Verdict {
    if !may_be_answered(&buffer.frame(), packet) {
        return Verdict::BackendDown;
    }
    if !take(buffer, Answer::Error, settings.answers.error) {
        return Verdict::RateLimited;
    }
    let sent = error::send(buffer, packet, Message::port_unreachable(packet.family));
    if sent { Verdict::PortUnreachable } else { Verdict::NoRoom }
}

/// Answers an echo request. One with IPv4 options or extension headers is left to the kernel, which
/// answers these as well (RFC 1122 §3.2.2.6).
#[inline(never)]
pub fn echo(buffer: &mut impl Buffer, packet: &Packet, settings: &Settings) -> Verdict {
    if !echo::is_plain(packet) || !may_be_answered(&buffer.frame(), packet) {
        return Verdict::NotTcpOrUdp;
    }
    if !take(buffer, Answer::Echo, settings.answers.echo) {
        return Verdict::RateLimited;
    }
    match echo::reply(&mut buffer.frame(), packet) {
        Some(()) => Verdict::EchoReply,
        None => Verdict::NoRoom,
    }
}

/// Nothing is answered that went to many or came from nobody, nor a later fragment (RFC 1122
/// §3.2.2, RFC 4443 §2.4(e)).
#[inline(always)]
fn may_be_answered(frame: &Frame, packet: &Packet) -> bool {
    let Some([first, ..]) = frame.header::<[u8; 4]>(0) else { return false };
    first & 1 == 0 && is_host(packet) && !matches!(packet.part, Part::Later(_))
}

/// Whether the source names one host elsewhere.
#[inline(always)]
fn is_host(packet: &Packet) -> bool {
    let [a, b, c, d] = packet.source.words();
    match packet.family {
        // "This network", loopback, multicast, and class E with the broadcast address.
        Family::V4 => !matches!(d.to_ne_bytes()[0], 0 | 127 | 224..),
        Family::V6 => {
            let loopback_or_unspecified = a | b | c == 0 && u32::from_be(d) <= 1;
            a.to_ne_bytes()[0] != 0xff && !loopback_or_unspecified
        }
    }
}

/// Takes one from what this CPU may answer.
#[inline(always)]
fn take(buffer: &impl Buffer, answer: Answer, rate: u32) -> bool {
    match ANSWERS.get_ptr_mut(answer as u32) {
        // SAFETY: the entry is this CPU's own, and XDP programs on one CPU do not interleave.
        Some(bucket) => unsafe { &mut *bucket }.take(rate, buffer.now()),
        None => false,
    }
}
