//! Changes to a packet, with every checksum that covers them (RFC 1624).

use std::net::IpAddr;

use crate::{
    parse::{Packet, Part, TCP, UDP},
    wire::{adjust, adjust_udp, get, get16, put},
};

/// The end of a flow that is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Destination,
}

/// Takes one from the TTL or hop limit of the IP packet that begins the bytes (RFC 791 §3.2,
/// RFC 8200 §3). `None`: it is used up.
pub(crate) fn hop(bytes: &mut [u8]) -> Option<()> {
    if bytes[0] >> 4 == 6 {
        bytes[7] = bytes[7].checked_sub(1).filter(|left| *left > 0)?;
        return Some(());
    }
    let old: [u8; 2] = get(bytes, 8)?;
    let new = [old[0].checked_sub(1).filter(|left| *left > 0)?, old[1]];
    put(bytes, 8, &new);
    let checksum = adjust(get16(bytes, 10)?, &old, &new);
    put(bytes, 10, &checksum.to_be_bytes());
    Some(())
}

/// Gives the IP packet that begins the bytes another address at one end, of the same family; its
/// transport begins at `transport` and is touched if the packet has one. `None`: the bytes do not
/// hold what is to be changed.
pub(crate) fn readdress(
    bytes: &mut [u8],
    packet: &Packet,
    transport: usize,
    end: End,
    (address, port): (IpAddr, u16),
) -> Option<()> {
    let (old, new) = addresses(bytes, end, address)?;
    if let (IpAddr::V4(_), checksum) = (address, get16(bytes, 10)?) {
        put(bytes, 10, &adjust(checksum, &old, &new).to_be_bytes());
    }
    if matches!(packet.part, Part::Later(_)) {
        return Some(());
    }
    let port_at = transport + if end == End::Source { 0 } else { 2 };
    let old = [&old[..], &get::<2>(bytes, port_at)?].concat();
    let new = [&new[..], &port.to_be_bytes()].concat();
    put(bytes, port_at, &port.to_be_bytes());
    let at = match packet.protocol {
        TCP => transport + 16,
        UDP => transport + 6,
        _ => return Some(()),
    };
    // An ICMP error may quote the ports without the checksum.
    if let Some(checksum) = get16(bytes, at) {
        let adjust = if packet.protocol == TCP { adjust } else { adjust_udp };
        put(bytes, at, &adjust(checksum, &old, &new).to_be_bytes());
    }
    Some(())
}

/// Writes an address; gives the old bytes and the new ones.
pub(crate) fn addresses(bytes: &mut [u8], end: End, address: IpAddr) -> Option<(Vec<u8>, Vec<u8>)> {
    let (at, new) = match (address, end) {
        (IpAddr::V4(ip), End::Source) => (12, ip.octets().to_vec()),
        (IpAddr::V4(ip), End::Destination) => (16, ip.octets().to_vec()),
        (IpAddr::V6(ip), End::Source) => (8, ip.octets().to_vec()),
        (IpAddr::V6(ip), End::Destination) => (24, ip.octets().to_vec()),
    };
    let old = bytes.get(at..at + new.len())?.to_vec();
    put(bytes, at, &new);
    Some((old, new))
}
