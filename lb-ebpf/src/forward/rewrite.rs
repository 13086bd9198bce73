//! Other addresses: of one end of a flow, with its port, for NAT; of both for health checks.

use lb_common::{
    addr::{Addr, Port, Protocol},
    checksum::{self, Delta},
    verdict::Verdict,
};
use network_types::{
    icmp::Icmpv4Hdr,
    ip::{Ipv4Hdr, Ipv6Hdr},
    tcp::TcpHdr,
    udp::UdpHdr,
};

use crate::{
    frame::Frame,
    parse::{Family, Packet, Part},
};

/// Which end of the flow is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
}

/// What it is replaced by.
pub(super) struct Endpoint<'a> {
    pub(super) address: &'a Addr,
    pub(super) port: Port,
    pub(super) delta: Delta,
}

/// Replaces one end. The IPv4 header checksum is the caller's, with the hop limit.
#[inline(always)]
pub(super) fn endpoint(
    frame: &mut Frame,
    packet: &Packet,
    end: End,
    new: &Endpoint<'_>,
) -> Result<(), Verdict> {
    match (packet.part, packet.protocol) {
        // The checksum, over all fragments, stands in the first.
        (Part::Later(_), _) => {}
        (_, Protocol::TCP) => {
            let tcp: &mut TcpHdr = frame.header_mut(packet.l4).ok_or(Verdict::ShortTcp)?;
            *pick(end, &mut tcp.source, &mut tcp.dest) = new.port.wire();
            tcp.check = checksum::update(tcp.check, new.delta);
        }
        (_, Protocol::UDP) => {
            let udp: &mut UdpHdr = frame.header_mut(packet.l4).ok_or(Verdict::ShortUdp)?;
            *pick(end, &mut udp.src, &mut udp.dst) = new.port.wire();
            udp.check = checksum::update_udp(udp.check, new.delta);
        }
        // An ICMP error has no ports of its own.
        _ => {}
    }
    match packet.family {
        Family::V4 => {
            let ip: &mut Ipv4Hdr = frame.header_mut(packet.l3).ok_or(Verdict::ShortIp)?;
            *pick(end, &mut ip.src_addr, &mut ip.dst_addr) = new.address.v4_octets();
        }
        Family::V6 => {
            let ip: &mut Ipv6Hdr = frame.header_mut(packet.l3).ok_or(Verdict::ShortIp)?;
            *pick(end, &mut ip.src_addr, &mut ip.dst_addr) = new.address.octets();
        }
    }
    Ok(())
}

/// Replaces both addresses, with all checksums; the ports stay.
#[inline(always)]
pub fn readdress(
    frame: &mut Frame,
    packet: &Packet,
    source: &Addr,
    destination: &Addr,
    delta: Delta,
) -> Result<(), Verdict> {
    match packet.protocol {
        Protocol::TCP => {
            let tcp: &mut TcpHdr = frame.header_mut(packet.l4).ok_or(Verdict::ShortTcp)?;
            tcp.check = checksum::update(tcp.check, delta);
        }
        Protocol::UDP => {
            let udp: &mut UdpHdr = frame.header_mut(packet.l4).ok_or(Verdict::ShortUdp)?;
            udp.check = checksum::update_udp(udp.check, delta);
        }
        Protocol::ICMPV6 => {
            let icmp: &mut Icmpv4Hdr = frame.header_mut(packet.l4).ok_or(Verdict::ShortIcmp)?;
            icmp.check = checksum::update(icmp.check, delta);
        }
        // ICMP's checksum does not cover addresses.
        _ => {}
    }
    match packet.family {
        Family::V4 => {
            let ip: &mut Ipv4Hdr = frame.header_mut(packet.l3).ok_or(Verdict::ShortIp)?;
            (ip.src_addr, ip.dst_addr) = (source.v4_octets(), destination.v4_octets());
            ip.check = checksum::update(ip.check, delta);
        }
        Family::V6 => {
            let ip: &mut Ipv6Hdr = frame.header_mut(packet.l3).ok_or(Verdict::ShortIp)?;
            (ip.src_addr, ip.dst_addr) = (source.octets(), destination.octets());
        }
    }
    Ok(())
}

#[inline(always)]
fn pick<'a, T>(end: End, source: &'a mut T, destination: &'a mut T) -> &'a mut T {
    match end {
        End::Source => source,
        End::Destination => destination,
    }
}
