//! Frames that tell a link which MAC address an address has now: gratuitous ARP and unsolicited
//! neighbour advertisements.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::packet::pseudo_header;

/// A MAC address.
pub type Mac = [u8; 6];

const BROADCAST: Mac = [0xff; 6];
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
/// Ethernet, IPv4, and the lengths of their addresses.
const ARP_OF_IPV4: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: Mac = [0x33, 0x33, 0, 0, 0, 1];
const ICMPV6: u8 = 58;
/// Version 6, traffic class 0xc0 (internetwork control), no flow label.
const IPV6_START: [u8; 4] = [0x6c, 0, 0, 0];
const ADVERTISEMENT: u8 = 136;
const ROUTER: u8 = 0x80;
const OVERRIDE: u8 = 0x20;
/// The option of two, in units of eight octets.
const TARGET_LINK_LAYER: [u8; 2] = [2, 1];

/// The form of a gratuitous ARP. Some hosts heed only one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arp {
    /// An ARP request for the own address: RFC 5227 §2.3, and what keepalived sends.
    Request,
    /// An ARP reply that nobody asked for: RFC 5944 §4.6.
    Reply,
}

/// A gratuitous ARP: 42 octets, to all hosts.
///
/// In the request, the target's MAC address is all ones as keepalived has it; hosts ignore it.
#[must_use]
pub fn gratuitous_arp(address: Ipv4Addr, mac: Mac, form: Arp) -> Vec<u8> {
    let (operation, target) = match form {
        Arp::Request => ([0, 1], BROADCAST),
        Arp::Reply => ([0, 2], mac),
    };
    let address = address.octets();
    [
        &BROADCAST[..],
        &mac,
        &ETHERTYPE_ARP,
        &ARP_OF_IPV4,
        &operation,
        &mac,
        &address,
        &target,
        &address,
    ]
    .concat()
}

/// An unsolicited neighbour advertisement (RFC 4861 §7.2.6): 86 octets, from the address itself to all
/// nodes, with the override flag. `router` says whether this node forwards packets of its neighbours: it
/// must say what the kernel's own answers say (RFC 9568 §6.4.2).
#[must_use]
pub fn neighbour_advertisement(address: Ipv6Addr, mac: Mac, router: bool) -> Vec<u8> {
    let flags = if router { ROUTER | OVERRIDE } else { OVERRIDE };
    let mut message = [
        &[ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0][..],
        &address.octets(),
        &TARGET_LINK_LAYER,
        &mac,
    ]
    .concat();
    let (source, destination) = (IpAddr::V6(address), IpAddr::V6(ALL_NODES));
    let sum = pseudo_header(source, destination, ICMPV6, message.len()).add_slice(&message);
    message[2..4].copy_from_slice(&sum.ones_complement().to_ne_bytes());
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
    [
        &ALL_NODES_MAC[..],
        &mac,
        &ETHERTYPE_IPV6,
        &IPV6_START,
        &length,
        &[ICMPV6, super::packet::HOP_LIMIT],
        &address.octets(),
        &ALL_NODES.octets(),
        &message,
    ]
    .concat()
}

/// The MAC address of a virtual router, by family (RFC 9568 §7.3).
#[must_use]
pub const fn virtual_mac(vrid: super::Vrid, six: bool) -> Mac {
    [0x00, 0x00, 0x5e, 0x00, if six { 2 } else { 1 }, vrid.number()]
}
