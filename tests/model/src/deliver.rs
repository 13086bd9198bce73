//! The frame towards a backend, and the one back to a client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lb_common::{settings::TunnelSource, verdict::Verdict};

use crate::{
    node::{Backend, Hop, Mode, Node, Service, Way},
    parse::{IPV4, IPV6, Packet},
    rewrite::{End, hop, readdress},
    wire::sum,
};

/// The longest IP packet that gets to a backend as it is.
pub(crate) fn room(service: &Service, backend: &Backend) -> u16 {
    let outer = if backend.address.is_ipv4() { 20 } else { 40 };
    match service.mode {
        Mode::L2 | Mode::Nat => backend.mtu,
        Mode::Ipip => backend.mtu.saturating_sub(outer),
        // UDP (RFC 768) and GUE (draft-ietf-intarea-gue-09 §3.2).
        Mode::Gue(_) => backend.mtu.saturating_sub(outer + 8 + 4),
    }
}

/// The frame that a packet becomes on its way to a backend, with the interface. `ip` is what the
/// frame has from the IP header on.
pub(crate) fn to_backend(
    node: &Node,
    mut ip: Vec<u8>,
    packet: &Packet,
    (service, backend): (&Service, &Backend),
    hash: u32,
) -> Result<(Vec<u8>, u32), Verdict> {
    let way = backend.hop.as_ref().ok_or(Verdict::NoNextHop)?;
    hop(&mut ip).ok_or(Verdict::HopLimit)?;
    match service.mode {
        Mode::L2 => {}
        Mode::Nat => {
            let transport = packet.transport - packet.network;
            let end = (backend.address, backend.port);
            readdress(&mut ip, packet, transport, End::Destination, end)
                .ok_or(Verdict::Inconsistent)?;
        }
        Mode::Ipip | Mode::Gue(_) => {
            let len = packet.end - packet.network;
            ip = encapsulate(node, &ip, len, service.mode, backend.address, hash)?;
        }
    }
    Ok((frame(way, &ip), way.interface))
}

/// The neighbour that an answer goes to.
pub(crate) fn route<'a>(node: &'a Node, packet: &Packet) -> Result<&'a Hop, Verdict> {
    match node.route(packet.destination) {
        Some(Way::Local) => Err(Verdict::Local),
        Some(Way::Hop(way)) => Ok(way),
        Some(Way::Unresolved) | None => Err(Verdict::NoRoute),
    }
}

/// The frame of a NAT backend's answer to a client.
pub(crate) fn to_client(
    node: &Node,
    mut ip: Vec<u8>,
    packet: &Packet,
    service: &Service,
) -> Result<(Vec<u8>, u32), Verdict> {
    let way = route(node, packet)?;
    hop(&mut ip).ok_or(Verdict::HopLimit)?;
    let transport = packet.transport - packet.network;
    readdress(&mut ip, packet, transport, End::Source, (service.vip, *service.ports.start()))
        .ok_or(Verdict::Inconsistent)?;
    Ok((frame(way, &ip), way.interface))
}

fn frame(way: &Hop, ip: &[u8]) -> Vec<u8> {
    let ether_type = if ip[0] >> 4 == 4 { IPV4 } else { IPV6 };
    let Hop { interface: _, destination, source, tags } = way;
    [destination, source, tags.concat().as_slice(), &ether_type.to_be_bytes(), ip].concat()
}

/// What the outer header says because the inner one does.
struct Inner {
    /// TOS or traffic class: DSCP and ECN (RFC 6040 §4.1, normal mode).
    class: u8,
    identification: [u8; 2],
    dont_fragment: bool,
    /// The protocol number of its family.
    protocol: u8,
}

fn inner(ip: &[u8]) -> Inner {
    if ip[0] >> 4 == 4 {
        Inner {
            class: ip[1],
            identification: [ip[4], ip[5]],
            dont_fragment: ip[6] & 0x40 != 0,
            protocol: 4,
        }
    } else {
        // IPv6 routers do not fragment (RFC 8200 §5).
        let class = ip[0] << 4 | ip[1] >> 4;
        Inner { class, identification: [0; 2], dont_fragment: true, protocol: 41 }
    }
}

/// RFC 2003, RFC 2473, RFC 4213; draft-ietf-intarea-gue-09 §3. `len` is the packet's length; the
/// bytes may have padding behind it.
fn encapsulate(
    node: &Node,
    ip: &[u8],
    len: usize,
    mode: Mode,
    destination: IpAddr,
    hash: u32,
) -> Result<Vec<u8>, Verdict> {
    let inner = inner(ip);
    let (protocol, between) = match mode {
        Mode::Gue(port) => (17, gue(hash, port, len, inner.protocol)),
        Mode::L2 | Mode::Nat | Mode::Ipip => (inner.protocol, Vec::new()),
    };
    let payload = (len + between.len()) as u16;
    let outer = match destination {
        IpAddr::V4(to) => {
            let source = node.tunnel4.ok_or(Verdict::NoNextHop)?;
            outer4(&inner, protocol, payload, source4(source, hash), to)
        }
        IpAddr::V6(to) => {
            let source = node.tunnel6.ok_or(Verdict::NoNextHop)?;
            outer6(&inner, protocol, payload, source6(source, hash), to, hash)
        }
    };
    Ok([&outer[..], &between, ip].concat())
}

fn source4(source: TunnelSource, hash: u32) -> Ipv4Addr {
    source.base.with_low_word(source.low_word(hash)).v4_octets().into()
}

fn source6(source: TunnelSource, hash: u32) -> Ipv6Addr {
    source.base.with_low_word(source.low_word(hash)).octets().into()
}

/// The UDP header without a checksum (RFC 768; RFC 6935 for IPv6), and the GUE header of variant 0:
/// a data message without options.
fn gue(hash: u32, port: u16, len: usize, protocol: u8) -> Vec<u8> {
    let source = 0xc000 | (hash & 0x3fff) as u16;
    let udp_len = (8 + 4 + len) as u16;
    let udp = [source, port, udp_len, 0].map(u16::to_be_bytes).concat();
    [&udp[..], &[0, protocol, 0, 0]].concat()
}

fn outer4(inner: &Inner, protocol: u8, payload: u16, from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let total = (payload + 20).to_be_bytes();
    let flags = if inner.dont_fragment { 0x40 } else { 0 };
    let [id0, id1] = inner.identification;
    let start = [0x45, inner.class, total[0], total[1], id0, id1, flags, 0, 64, protocol, 0, 0];
    let mut header = [&start[..], &from.octets(), &to.octets()].concat();
    let checksum = !sum(&[&header]);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header
}

fn outer6(
    inner: &Inner,
    protocol: u8,
    payload: u16,
    from: Ipv6Addr,
    to: Ipv6Addr,
    hash: u32,
) -> Vec<u8> {
    let first = 6 << 28 | u32::from(inner.class) << 20 | hash & 0xf_ffff;
    let [p0, p1] = payload.to_be_bytes();
    let rest = [p0, p1, protocol, 64];
    [&first.to_be_bytes()[..], &rest, &from.octets(), &to.octets()].concat()
}
