//! IP in IP and Generic UDP Encapsulation: a header of either family before a packet of either.
//!
//! DSCP and ECN are copied (RFC 2983 §4.1, RFC 6040 §4.1), "don't fragment" as well (RFC 2003
//! §3.1). The outer hop limit is fresh, the inner one was decremented: a loop of tunnels ends.

use lb_common::{
    addr::{Addr, Port, Protocol},
    backend::Backend,
    service::ForwardMode,
    settings::Settings,
    verdict::Verdict,
};
use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
};

use crate::{
    frame::Frame,
    gue::{GUE_LEN, GueHeader},
    parse::{Family, Packet},
};

/// What Linux gives its own tunnels' packets.
const HOPS: u8 = 64;
/// "Don't fragment" (RFC 791 §3.1), in the byte where it stands.
const DONT_FRAGMENT: u8 = 0x40;
/// The first of the dynamic ports (RFC 6335 §6), of which GUE's sources are.
const DYNAMIC_PORTS: u16 = 0xc000;

/// The bytes that a mode puts before a packet to this backend.
#[inline(always)]
pub(super) fn overhead(mode: ForwardMode, backend: &Backend) -> usize {
    let ip = if backend.address.is_v4() { Ipv4Hdr::LEN } else { Ipv6Hdr::LEN };
    match mode {
        ForwardMode::IPIP => ip,
        ForwardMode::GUE => ip + GUE_LEN,
        _ => 0,
    }
}

/// The headers to put before one packet.
#[repr(C, align(8))]
pub(super) struct Tunnel<'a> {
    destination: &'a Addr,
    source: &'a Addr,
    /// The last 32 bits of the source.
    source_low: u32,
    /// The port that backends receive GUE at.
    gue: Option<Port>,
    hash: u32,
    /// Of the packet inside: its family, length, traffic class, identification, and DF.
    inner: Inner,
}

/// Aligned as the verifier wants it on the stack.
#[repr(C, align(8))]
struct Inner {
    len: usize,
    family: Family,
    traffic_class: u8,
    identification: [u8; 2],
    dont_fragment: u8,
}

impl Inner {
    #[inline(always)]
    fn of(frame: &Frame, packet: &Packet) -> Result<Self, Verdict> {
        let (family, len) = (packet.family, packet.end - packet.l3);
        match family {
            Family::V4 => {
                let ip: &Ipv4Hdr = frame.header(packet.l3).ok_or(Verdict::ShortIp)?;
                let dont_fragment = ip.frags[0] & DONT_FRAGMENT;
                let (traffic_class, identification) = (ip.tos, ip.id);
                Ok(Self { len, family, traffic_class, identification, dont_fragment })
            }
            Family::V6 => {
                let ip: &Ipv6Hdr = frame.header(packet.l3).ok_or(Verdict::ShortIp)?;
                let traffic_class = ip.vcf[0] << 4 | ip.vcf[1] >> 4;
                // Nobody on the way fragments IPv6.
                let (identification, dont_fragment) = ([0; 2], DONT_FRAGMENT);
                Ok(Self { len, family, traffic_class, identification, dont_fragment })
            }
        }
    }

    #[inline(always)]
    const fn protocol(&self) -> Protocol {
        match self.family {
            Family::V4 => Protocol::IPV4,
            Family::V6 => Protocol::IPV6,
        }
    }
}

impl<'a> Tunnel<'a> {
    #[inline(always)]
    pub(super) fn new(
        frame: &Frame,
        packet: &Packet,
        backend: &'a Backend,
        gue: Option<Port>,
        hash: u32,
        settings: &'a Settings,
    ) -> Result<Self, Verdict> {
        let destination = &backend.address;
        let source = if destination.is_v4() { &settings.tunnel4 } else { &settings.tunnel6 };
        if source.base == Addr::UNSPECIFIED {
            return Err(Verdict::NoNextHop);
        }
        let inner = Inner::of(frame, packet)?;
        let source_low = source.low_word(hash);
        Ok(Self { destination, source: &source.base, source_low, gue, hash, inner })
    }

    /// The family of the outer header.
    #[inline(always)]
    pub(super) fn family(&self) -> Family {
        if self.destination.is_v4() { Family::V4 } else { Family::V6 }
    }

    /// The length of all headers.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.ip_len() + if self.gue.is_some() { GUE_LEN } else { 0 }
    }

    #[inline(always)]
    fn ip_len(&self) -> usize {
        match self.family() {
            Family::V4 => Ipv4Hdr::LEN,
            Family::V6 => Ipv6Hdr::LEN,
        }
    }

    /// Writes the headers from `start` on.
    #[inline(always)]
    pub(super) fn write(&self, frame: &mut Frame, start: usize) -> Result<(), Verdict> {
        let (protocol, payload) = match self.gue {
            None => (self.inner.protocol(), self.inner.len),
            Some(port) => {
                self.write_gue(frame, start + self.ip_len(), port)?;
                (Protocol::UDP, self.inner.len + GUE_LEN)
            }
        };
        match self.family() {
            Family::V4 => self.write_v4(frame, start, protocol, payload),
            Family::V6 => self.write_v6(frame, start, protocol, payload),
        }
    }

    /// Without a UDP checksum: the packet inside has its own (RFC 6935, RFC 6936 §4).
    #[inline(always)]
    fn write_gue(&self, frame: &mut Frame, start: usize, port: Port) -> Result<(), Verdict> {
        let udp: &mut UdpHdr = frame.header_mut(start).ok_or(Verdict::NoRoom)?;
        udp.src = (DYNAMIC_PORTS | self.hash as u16 & !DYNAMIC_PORTS).to_be_bytes();
        udp.dst = port.wire();
        udp.len = ((self.inner.len + GUE_LEN) as u16).to_be_bytes();
        udp.check = [0; 2];
        let gue: &mut GueHeader = frame.header_mut(start + UdpHdr::LEN).ok_or(Verdict::NoRoom)?;
        let protocol = self.inner.protocol().0;
        *gue = GueHeader { variant_and_len: 0, protocol, flags: [0; 2] };
        Ok(())
    }

    #[inline(always)]
    fn write_v4(
        &self,
        frame: &mut Frame,
        start: usize,
        protocol: Protocol,
        payload: usize,
    ) -> Result<(), Verdict> {
        let ip: &mut Ipv4Hdr = frame.header_mut(start).ok_or(Verdict::NoRoom)?;
        ip.vihl = 0x45;
        ip.tos = self.inner.traffic_class;
        ip.tot_len = ((Ipv4Hdr::LEN + payload) as u16).to_be_bytes();
        ip.id = self.inner.identification;
        ip.frags = [self.inner.dont_fragment, 0];
        ip.ttl = HOPS;
        ip.proto = protocol.0;
        ip.src_addr = self.source_low.to_ne_bytes();
        ip.dst_addr = self.destination.v4_octets();
        ip.check = [0; 2];
        ip.check = header_checksum(ip);
        Ok(())
    }

    #[inline(always)]
    fn write_v6(
        &self,
        frame: &mut Frame,
        start: usize,
        protocol: Protocol,
        payload: usize,
    ) -> Result<(), Verdict> {
        let ip: &mut Ipv6Hdr = frame.header_mut(start).ok_or(Verdict::NoRoom)?;
        let traffic_class = self.inner.traffic_class;
        // The flow label varies with the flow (RFC 6438).
        let [_, a, b, c] = self.hash.to_be_bytes();
        ip.vcf = [0x60 | traffic_class >> 4, traffic_class << 4 | a & 0xf, b, c];
        ip.payload_len = (payload as u16).to_be_bytes();
        ip.next_hdr = protocol.0;
        ip.hop_limit = HOPS;
        ip.src_addr = self.source.with_low_word(self.source_low).octets();
        ip.dst_addr = self.destination.octets();
        Ok(())
    }
}

/// The checksum of a header whose own field is zero (RFC 791 §3.1).
#[inline(always)]
fn header_checksum(ip: &Ipv4Hdr) -> [u8; 2] {
    let words = [
        [ip.vihl, ip.tos],
        ip.tot_len,
        ip.id,
        ip.frags,
        [ip.ttl, ip.proto],
        [ip.src_addr[0], ip.src_addr[1]],
        [ip.src_addr[2], ip.src_addr[3]],
        [ip.dst_addr[0], ip.dst_addr[1]],
        [ip.dst_addr[2], ip.dst_addr[3]],
    ];
    let mut sum = 0;
    for word in words {
        sum += u32::from(u16::from_ne_bytes(word));
    }
    lb_common::checksum::finish(sum)
}
