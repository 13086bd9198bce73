//! Decapsulation on a backend: undoes a node's `ipip` and `gue` before the stack sees the packet.
//!
//! `parse → tunnel → source → inner → congestion → unwrap`. Only tunnels from the nodes' prefixes are
//! undone: whoever can put a packet into another would otherwise choose its source. Whatever is not
//! for this program passes untouched.

use aya_ebpf::{
    btf_maps::{Array, LpmTrie, PerCpuArray},
    macros::btf_map,
};
use lb_common::{
    addr::{Addr, Protocol},
    checksum::{self, Delta},
    decap::{DecapSettings, DecapVerdict},
    verdict::Verdict,
};
use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
};

use crate::{
    frame::{Buffer, Frame},
    gue::{GUE_LEN, GueHeader},
    lpm,
    parse::{self, ETHERNET, Family, IPV4, IPV6, Network, Part, VLAN},
};

#[btf_map]
static DECAP_SETTINGS: Array<DecapSettings, 1> = Array::new();

/// The nodes' prefixes, with their [`Addr::version`].
#[btf_map]
static DECAP_SOURCES: LpmTrie<Addr, u32, 1024> = LpmTrie::new();

#[btf_map]
static DECAP_VERDICTS: PerCpuArray<u64, { DecapVerdict::COUNT }> = PerCpuArray::new();

/// Counts a verdict.
#[inline(always)]
pub fn count(verdict: DecapVerdict) {
    if let Some(counter) = DECAP_VERDICTS.get_ptr_mut(verdict.index()) {
        // SAFETY: the entry is this CPU's own, and XDP programs on one CPU do not interleave.
        unsafe { *counter += 1 };
    }
}

/// Takes a packet out of its tunnel, if it is in one of a node's.
///
/// # Errors
///
/// A verdict reached early: why it stays as it is, or ends here.
#[inline(always)]
pub fn process(buffer: &mut impl Buffer) -> Result<DecapVerdict, DecapVerdict> {
    let frame = &mut buffer.frame();
    let (l3, outer) = parse::network(frame).map_err(outer_fault)?;
    let tunnel = Tunnel::find(frame, &outer)?;
    let version = DECAP_SOURCES.get(&lpm::Host::new(outer.source).key);
    if version.is_none_or(|version| *version != outer.family.version()) {
        return Err(DecapVerdict::OtherSource);
    }
    tunnel.check_inner(frame)?;
    tunnel.hand_down_congestion(frame, l3, outer.family)?;
    unwrap(buffer, l3, &tunnel).ok_or(DecapVerdict::NoRoom)?;
    Ok(tunnel.kind)
}

/// What the stack is better at telling.
#[inline(always)]
fn outer_fault(verdict: Verdict) -> DecapVerdict {
    if verdict == Verdict::NotIp { DecapVerdict::NotIp } else { DecapVerdict::BadOuter }
}

/// A packet within a packet.
struct Tunnel {
    /// The offset of the packet inside.
    start: usize,
    /// The offset of the end of what it may take.
    end: usize,
    /// Its family, by the header before it.
    family: Family,
    kind: DecapVerdict,
}

impl Tunnel {
    #[inline(always)]
    fn find(frame: &Frame, outer: &Network) -> Result<Self, DecapVerdict> {
        let family = family(outer.protocol);
        if family.is_none() && outer.protocol != Protocol::UDP {
            return Err(DecapVerdict::NotTunnel);
        }
        if outer.part != Part::Whole {
            return Err(DecapVerdict::Fragment);
        }
        match family {
            Some(family) => {
                Ok(Self { start: outer.l4, end: outer.end, family, kind: DecapVerdict::Ipip })
            }
            None => Self::in_udp(frame, outer),
        }
    }

    /// The UDP checksum is not looked at: nodes send none, and the packet inside has its own.
    #[inline(always)]
    fn in_udp(frame: &Frame, outer: &Network) -> Result<Self, DecapVerdict> {
        let settings = DECAP_SETTINGS.get(0).ok_or(DecapVerdict::Inconsistent)?;
        let udp: &UdpHdr = frame.header(outer.l4).ok_or(DecapVerdict::BadOuter)?;
        if udp.dst != settings.gue_port.wire() {
            return Err(DecapVerdict::NotTunnel);
        }
        let end = outer.l4 + usize::from(u16::from_be_bytes(udp.len));
        if end > outer.end {
            return Err(DecapVerdict::BadOuter);
        }
        let gue: &GueHeader = frame.header(outer.l4 + UdpHdr::LEN).ok_or(DecapVerdict::BadOuter)?;
        let extensions = gue.extensions().ok_or(DecapVerdict::OtherGue)?;
        let family = family(Protocol(gue.protocol)).ok_or(DecapVerdict::OtherGue)?;
        let start = outer.l4 + GUE_LEN + extensions;
        Ok(Self { start, end, family, kind: DecapVerdict::Gue })
    }

    /// The lengths are those that the header claims; padding behind them is the stack's to cut off.
    #[inline(always)]
    fn check_inner(&self, frame: &Frame) -> Result<(), DecapVerdict> {
        let (version, is_sound, len) = match self.family {
            Family::V4 => {
                let ip: &Ipv4Hdr = frame.header(self.start).ok_or(DecapVerdict::BadInnerLength)?;
                let header_len = usize::from(ip.vihl & 0xf) * 4;
                let len = usize::from(u16::from_be_bytes(ip.tot_len));
                (ip.vihl >> 4, Ipv4Hdr::LEN <= header_len && header_len <= len, len)
            }
            Family::V6 => {
                let ip: &Ipv6Hdr = frame.header(self.start).ok_or(DecapVerdict::BadInnerLength)?;
                let payload_len = usize::from(u16::from_be_bytes(ip.payload_len));
                (ip.vcf[0] >> 4, true, Ipv6Hdr::LEN + payload_len)
            }
        };
        if u32::from(version) != self.family.version() {
            return Err(DecapVerdict::BadInnerVersion);
        }
        if !is_sound || self.start + len > self.end {
            return Err(DecapVerdict::BadInnerLength);
        }
        Ok(())
    }

    /// Tells the packet inside what the tunnel's way experienced.
    #[inline(always)]
    fn hand_down_congestion(
        &self,
        frame: &mut Frame,
        l3: usize,
        outer: Family,
    ) -> Result<(), DecapVerdict> {
        let outer = traffic_class(frame, outer, l3).ok_or(DecapVerdict::BadOuter)?;
        let class = traffic_class(frame, self.family, self.start);
        let class = class.ok_or(DecapVerdict::BadInnerLength)?;
        let ecn = decapsulated_ecn(outer, class).ok_or(DecapVerdict::Congestion)?;
        let new = class & !ECN | ecn;
        if new == class {
            return Ok(());
        }
        match self.family {
            Family::V4 => {
                let ip: &mut Ipv4Hdr =
                    frame.header_mut(self.start).ok_or(DecapVerdict::BadInnerLength)?;
                ip.tos = new;
                ip.check = checksum::update(ip.check, Delta::word([0, class], [0, new]));
            }
            Family::V6 => {
                let ip: &mut Ipv6Hdr =
                    frame.header_mut(self.start).ok_or(DecapVerdict::BadInnerLength)?;
                ip.vcf[1] = ip.vcf[1] & 0xf | new << 4;
            }
        }
        Ok(())
    }
}

/// The family of what an IP protocol carries.
#[inline(always)]
fn family(protocol: Protocol) -> Option<Family> {
    match protocol {
        Protocol::IPV4 => Some(Family::V4),
        Protocol::IPV6 => Some(Family::V6),
        _ => None,
    }
}

#[inline(always)]
fn traffic_class(frame: &Frame, family: Family, offset: usize) -> Option<u8> {
    Some(match family {
        Family::V4 => frame.header::<Ipv4Hdr>(offset)?.tos,
        Family::V6 => {
            let [a, b, ..] = frame.header::<Ipv6Hdr>(offset)?.vcf;
            a << 4 | b >> 4
        }
    })
}

/// The bits of a traffic class that congestion is told in (RFC 3168 §5), and their values.
const ECN: u8 = 3;
const NOT_ECT: u8 = 0;
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CE: u8 = 3;

/// The codepoint that a packet leaves its tunnel with; `None` if it is to be dropped (RFC 6040 §4.2,
/// figure 4).
#[inline(always)]
const fn decapsulated_ecn(outer: u8, inner: u8) -> Option<u8> {
    match (outer & ECN, inner & ECN) {
        (CE, NOT_ECT) => None,
        (CE, _) => Some(CE),
        (ECT_1, ECT_0) => Some(ECT_1),
        (_, inner) => Some(inner),
    }
}

/// Removes the tunnel's headers from between the link's header and the packet inside. Gives `None`
/// where the frame cannot be changed.
#[inline(always)]
fn unwrap(buffer: &mut impl Buffer, l3: usize, tunnel: &Tunnel) -> Option<()> {
    let link = LinkHeader::read(&buffer.frame())?;
    if !buffer.move_start(i32::from((tunnel.start - l3) as u16)) {
        return None;
    }
    link.write(&mut buffer.frame(), l3, tunnel.family)
}

/// MACs and up to two tags, in words of four bytes.
struct LinkHeader {
    macs: [[u8; 4]; 3],
    tags: [[u8; 4]; 2],
}

/// The offset of the first tag, or of the EtherType.
const TAGS: usize = ETHERNET - 2;

impl LinkHeader {
    /// Where there are no tags, their words are parts of the IP header.
    #[inline(always)]
    fn read(frame: &Frame) -> Option<Self> {
        let word = |offset| frame.header(offset).copied();
        Some(Self { macs: [word(0)?, word(4)?, word(8)?], tags: [word(TAGS)?, word(TAGS + VLAN)?] })
    }

    /// Writes the header before an IP header at `l3`, whose family its EtherType announces.
    #[inline(always)]
    fn write(&self, frame: &mut Frame, l3: usize, family: Family) -> Option<()> {
        for (offset, word) in [0, 4, 8].into_iter().zip(self.macs) {
            *frame.header_mut(offset)? = word;
        }
        if l3 >= ETHERNET + VLAN {
            *frame.header_mut(TAGS)? = self.tags[0];
        }
        if l3 >= ETHERNET + 2 * VLAN {
            *frame.header_mut(TAGS + VLAN)? = self.tags[1];
        }
        let ether_type: &mut u16 = frame.header_mut(l3 - 2)?;
        *ether_type = match family {
            Family::V4 => IPV4,
            Family::V6 => IPV6,
        };
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn congestion_is_handed_down_as_in_figure_4_of_rfc_6040() {
        let all = [NOT_ECT, ECT_0, ECT_1, CE];
        for (inner, expected) in [
            (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
            (ECT_0, [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)]),
            (ECT_1, [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)]),
            (CE, [Some(CE); 4]),
        ] {
            // DSCP has no part in it.
            assert_eq!(all.map(|outer| decapsulated_ecn(outer | 0x88, inner | 0xb8)), expected);
        }
    }

    #[test]
    fn only_plain_data_of_variant_0_is_known() {
        let of =
            |variant_and_len, flags| GueHeader { variant_and_len, protocol: 4, flags }.extensions();
        assert_eq!(of(0, [0, 0]), Some(0));
        assert_eq!(of(0x1f, [0, 0]), Some(124));
        for (first, flags) in [(0x20, [0, 0]), (0x40, [0, 0]), (0x80, [0, 0]), (0, [0, 1])] {
            assert_eq!(of(first, flags), None);
        }
    }
}
