//! ICMP and ICMPv6 errors about a client's packet (RFC 792, RFC 4443 §3).

use lb_common::{addr::Protocol, checksum};
use network_types::icmp::Icmpv4Hdr;

use super::{header, sum};
use crate::{
    frame::{Buffer, Frame},
    parse::{Family, Packet},
};

/// Type, code, checksum, and four bytes whose meaning is the type's: the same in both families.
const ICMP: usize = 8;
/// The longest error: RFC 1812 §4.3.2.3, RFC 4443 §2.4(c).
const LONGEST_V4: usize = 576;
const LONGEST_V6: usize = 1280;
/// No IPv6 link takes less (RFC 8200 §5), so that a smaller MTU would be taken for this one.
const LEAST_V6: usize = 1280;
/// "Internetwork control" (RFC 1812 §4.3.2.5).
const PRECEDENCE: u8 = 0xc0;

/// What an error says.
#[derive(Clone, Copy)]
pub(super) struct Message {
    kind: u8,
    code: u8,
    data: [u8; 4],
}

impl Message {
    /// "Fragmentation needed" with the MTU (RFC 1191 §4), or "packet too big" (RFC 4443 §3.2).
    #[inline(always)]
    pub(super) fn too_big(family: Family, room: usize) -> Self {
        match family {
            Family::V4 => {
                let [high, low] = (room as u16).to_be_bytes();
                Self { kind: 3, code: 4, data: [0, 0, high, low] }
            }
            Family::V6 => {
                let mtu = if room > LEAST_V6 { room } else { LEAST_V6 };
                Self { kind: 2, code: 0, data: (mtu as u32).to_be_bytes() }
            }
        }
    }

    /// "Port unreachable" (RFC 792, RFC 4443 §3.1).
    #[inline(always)]
    pub(super) const fn port_unreachable(family: Family) -> Self {
        match family {
            Family::V4 => Self { kind: 3, code: 3, data: [0; 4] },
            Family::V6 => Self { kind: 1, code: 4, data: [0; 4] },
        }
    }
}

/// Turns the packet into an error about itself. Gives whether it could be.
#[inline(always)]
pub(super) fn send(buffer: &mut impl Buffer, packet: &Packet, message: Message) -> bool {
    let Message { kind, code, data } = message;
    made(buffer, packet, u16::from_ne_bytes([kind, code]).into(), u32::from_ne_bytes(data))
}

/// A function of its own for all errors; in words, as the verifier wants what functions take.
#[inline(never)]
fn made(buffer: &mut impl Buffer, packet: &Packet, kind_and_code: u32, data: u32) -> bool {
    let [kind, code] = (kind_and_code as u16).to_ne_bytes();
    let told = told(packet);
    let growth = header::ip_len(packet.family) + ICMP;
    let surplus = buffer.frame().total_len().wrapping_sub(header::l3(packet) + told);
    if !buffer.cut(surplus) || !buffer.grow(growth) {
        return false;
    }
    let message = Icmpv4Hdr { type_: kind, code, check: [0; 2], data: data.to_ne_bytes() };
    write(&mut buffer.frame(), packet, message, told).is_some()
}

/// The bytes of the packet that an error has room for.
#[inline(always)]
fn told(packet: &Packet) -> usize {
    let longest = match packet.family {
        Family::V4 => LONGEST_V4,
        Family::V6 => LONGEST_V6,
    };
    let room = longest - header::ip_len(packet.family) - ICMP;
    let len = packet.end - packet.l3;
    if len > room { room } else { len }
}

#[inline(always)]
fn write(frame: &mut Frame, packet: &Packet, message: Icmpv4Hdr, told: usize) -> Option<()> {
    let ip_len = header::ip_len(packet.family);
    let (protocol, traffic_class) = match packet.family {
        Family::V4 => (Protocol::ICMP, PRECEDENCE),
        Family::V6 => (Protocol::ICMPV6, 0),
    };
    header::link(frame, packet, ip_len + ICMP)?;
    header::ip(frame, packet, protocol, traffic_class, ICMP + told)?;
    let start = header::l3(packet) + ip_len;
    *frame.header_mut(start)? = message;
    let mut sum = sum::words(frame, start, ICMP + told)?;
    if packet.family == Family::V6 {
        sum += header::pseudo(packet, protocol, ICMP + told);
    }
    let icmp: &mut Icmpv4Hdr = frame.header_mut(start)?;
    icmp.check = checksum::finish_wide(sum);
    Some(())
}
