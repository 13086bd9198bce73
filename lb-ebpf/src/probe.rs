//! Probe: the daemon's health checks that go to the VIP on one backend.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, LruHashMap},
    macros::btf_map,
};
use lb_common::{
    addr::{Addr, Port, Protocol},
    probe::{Probe, ProbeKey, ProbeNote},
    settings::Settings,
    verdict::Verdict,
};
use network_types::{icmp::Icmpv4Hdr, tcp::TcpHdr};

use crate::{
    frame::Frame,
    parse::{Family, Packet, Part},
};

/// By the backend's place in the table of backends.
#[btf_map]
static PROBES: Array<Probe, 16384, { BPF_F_MMAPABLE as usize }> = Array::new();

/// The checks that wait for their answers.
#[btf_map]
static PROBE_FLOWS: LruHashMap<ProbeKey, ProbeNote, 16384> = LruHashMap::new();

/// The place of the backend that a check is for, and what becomes of the check.
///
/// # Errors
///
/// [`Verdict::ProbeLost`] if no backend is checked by that alias.
#[inline(always)]
pub fn find(packet: &Packet, settings: &Settings) -> Result<(u32, &'static Probe), Verdict> {
    let aliases = settings.probes.aliases(packet.family == Family::V4);
    let place = aliases.place(&packet.destination);
    let probe = PROBES.get(place).filter(|probe| !probe.is_free());
    let probe = probe.filter(|_| packet.source == aliases.own());
    probe.map(|probe| (place, probe)).ok_or(Verdict::ProbeLost)
}

/// What is there of a backend's checks.
#[inline(always)]
#[must_use]
pub fn at(place: u32) -> Option<&'static Probe> {
    PROBES.get(place).filter(|probe| !probe.is_free())
}

/// Notes whose check a packet is of, for its answers. A connection is over with a reset of the
/// daemon's, which sends one for each.
///
/// # Errors
///
/// [`Verdict::ProbeLost`] if the check of another backend waits for an answer that would look the
/// same: two programs that the daemon runs were given the same port.
#[inline(always)]
pub fn note(
    frame: &Frame,
    packet: &Packet,
    place: u32,
    probe: &Probe,
    now: u64,
) -> Result<(), Verdict> {
    let (port, node_port) = match packet.protocol {
        Protocol::TCP | Protocol::UDP => (packet.destination_port, packet.source_port),
        _ => echo(frame, packet, [8, 128]).ok_or(Verdict::ProbeLost)?,
    };
    let over = resets(frame, packet);
    let key = key(probe.vip, probe.source, port, node_port, packet.protocol);
    // SAFETY: two words that two CPUs may write at once; either of them is a note.
    let known = unsafe { PROBE_FLOWS.get(key) };
    if known.is_some_and(|note| note.place != place && note.until > now) {
        return Err(Verdict::ProbeLost);
    }
    if over {
        let _unknown: Result<(), i32> = PROBE_FLOWS.remove(key);
        return Ok(());
    }
    let until = now + u64::from(probe.patience) * 1_000_000;
    let note = ProbeNote { until, place, padding: 0 };
    PROBE_FLOWS.insert(key, note, 0).map_err(|_| Verdict::ProbeLost)
}

/// The place of the backend whose check a packet answers.
#[inline(always)]
#[must_use]
pub fn answered(frame: &Frame, packet: &Packet, now: u64) -> Option<u32> {
    if packet.part != Part::Whole {
        return None;
    }
    let (port, node_port) = match packet.protocol {
        Protocol::TCP | Protocol::UDP => (packet.source_port, packet.destination_port),
        _ => echo(frame, packet, [0, 129])?,
    };
    let key = key(packet.source, packet.destination, port, node_port, packet.protocol);
    // SAFETY: as above.
    unsafe { PROBE_FLOWS.get(key) }.filter(|note| note.until > now).map(|note| note.place)
}

#[inline(always)]
fn key(vip: Addr, node: Addr, port: Port, node_port: Port, protocol: Protocol) -> ProbeKey {
    ProbeKey { vip, node, port, node_port, protocol: protocol.0.into() }
}

/// Identifier and sequence number of an echo message of one of these types, ICMP's and ICMPv6's
/// (RFC 792, RFC 4443 §4).
#[inline(always)]
fn echo(frame: &Frame, packet: &Packet, [v4, v6]: [u8; 2]) -> Option<(Port, Port)> {
    let icmp: &Icmpv4Hdr = frame.header(packet.l4)?;
    let kind = if packet.family == Family::V4 { v4 } else { v6 };
    let [a, b, c, d] = icmp.data;
    (icmp.type_ == kind).then_some((Port::from_wire([a, b]), Port::from_wire([c, d])))
}

/// Whether a segment resets its connection.
#[inline(always)]
fn resets(frame: &Frame, packet: &Packet) -> bool {
    packet.protocol == Protocol::TCP
        && frame.header::<TcpHdr>(packet.l4).is_some_and(|tcp| tcp.rst() == 1)
}
