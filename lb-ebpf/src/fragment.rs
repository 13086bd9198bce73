//! Fragments follow the first one of their datagram, which has the ports.

use aya_ebpf::{btf_maps::LruHashMap, macros::btf_map};
use lb_common::{
    addr::Protocol,
    fragment::{FragmentFlow, FragmentKey},
    service::{Reply, Service},
    verdict::Verdict,
};

use crate::parse::{DESTINATION_OPTIONS, Family, Packet, Part};

/// Where datagrams go whose first fragment was seen.
#[btf_map]
static FRAGMENTS: LruHashMap<FragmentKey, FragmentFlow, 16384> = LruHashMap::new();

/// Remembers where the first fragment of a datagram goes.
#[inline(never)]
pub fn remember(packet: &Packet, service: &Service, place: u32, hash: u32) {
    put(packet, &FragmentFlow::request(service, place, hash));
}

/// Remembers that the first fragment of a datagram is a NAT backend's answer.
#[inline(never)]
pub fn remember_reply(packet: &Packet, reply: &Reply) {
    put(packet, &FragmentFlow::reply(reply));
}

#[inline(always)]
fn put(packet: &Packet, flow: &FragmentFlow) {
    // Where it cannot be remembered, the other fragments are lost, and counted as that.
    let _full: Result<(), i32> = FRAGMENTS.insert(key(packet), flow, 0);
}

/// Where the first fragment of a later one's datagram went.
#[inline(never)]
#[must_use]
pub fn find(packet: &Packet) -> Option<&'static FragmentFlow> {
    // SAFETY: an entry that is taken for another datagram meanwhile misleads one fragment.
    unsafe { FRAGMENTS.get(key(packet)) }
}

/// What becomes of a fragment whose first was not seen, by whether it is for a VIP. Behind an IPv6
/// fragment header may stand what was not walked.
#[inline(always)]
#[must_use]
pub fn lost(packet: &Packet, is_for_vip: bool) -> Verdict {
    match packet.protocol {
        Protocol::TCP | Protocol::UDP | Protocol(DESTINATION_OPTIONS) if is_for_vip => {
            Verdict::LostFragment
        }
        Protocol::TCP | Protocol::UDP => Verdict::NoService,
        _ => Verdict::NotTcpOrUdp,
    }
}

#[inline(always)]
fn key(packet: &Packet) -> FragmentKey {
    let identification = match packet.part {
        Part::Whole => [0; 4],
        Part::First(identification) | Part::Later(identification) => identification,
    };
    let protocol = match packet.family {
        Family::V4 => packet.protocol,
        Family::V6 => Protocol(0),
    };
    let (source, destination) = (packet.source, packet.destination);
    FragmentKey { source, destination, identification, protocol, padding: [0; 3] }
}
