//! What a virtual router does to its link: adverts, addresses, announcements.

use std::{io, net::IpAddr};

use etherparse::{EtherType, Ethernet2Header, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header};

use super::socket::{Frames, Sender};
use crate::{
    config::{Vrrp, vrrp::VirtualAddress},
    topology::{Topology, netlink, vip::Vips},
    vrrp::{
        announce::{Arp, Mac, gratuitous_arp, neighbour_advertisement, virtual_mac},
        packet::{GROUP_V4, GROUP_V6, HOP_LIMIT, PROTOCOL, Vrid},
    },
};

/// Internetwork control, as routing protocols are marked (RFC 791 §3.1): the upper six bits.
const DSCP: u8 = 0xc0 >> 2;

/// What all virtual routers share.
pub(super) struct Tools {
    /// For whole frames.
    pub(super) frames: Frames,
    /// For addresses.
    pub(super) vips: Vips,
}

/// Why a virtual router cannot do its work, for people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no interface {0}")]
    NoInterface(String),
    #[error("{0} is down")]
    Down(String),
    #[error("{interface} has no {kind} address to send adverts from")]
    NoSource { interface: String, kind: &'static str },
    #[error("{source_address} is not an address of this node")]
    NotOwn { source_address: IpAddr },
    #[error("no socket for adverts (it takes CAP_NET_RAW): {0}")]
    Socket(io::Error),
    #[error(transparent)]
    Netlink(#[from] netlink::Error),
}

/// The link of a virtual router, while it can be used.
#[derive(Debug)]
pub(super) struct Wire {
    place: Place,
    sender: Sender,
    /// Where the addresses go: the interface, or the link with the virtual MAC.
    link: u32,
    mac: Mac,
    /// Whether the MAC is the virtual router's own.
    is_virtual: bool,
    group: IpAddr,
}

/// Where a virtual router speaks; if this changes, its wire is made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The interface's index.
    pub(crate) index: u32,
    /// The interface's own MAC.
    mac: Mac,
    /// Where its adverts come from.
    pub(crate) source: IpAddr,
}

/// Where a virtual router can speak as the node is now. `vips` are no addresses of the node's own.
pub(crate) fn place(config: &Vrrp, topology: &Topology, vips: &[IpAddr]) -> Result<Place, Error> {
    let name = || config.interface.clone();
    let index = topology.interface(&config.interface).ok_or_else(|| Error::NoInterface(name()))?;
    let link = topology.links.get(&index).ok_or_else(|| Error::NoInterface(name()))?;
    if !link.up {
        return Err(Error::Down(name()));
    }
    let is_v4 = config.is_ipv4();
    let source = match config.source {
        Some(source) if !topology.addresses.contains(&source) => {
            return Err(Error::NotOwn { source_address: source });
        }
        Some(source) => source,
        None => {
            let usable = |address: &&IpAddr| match address {
                IpAddr::V4(_) => is_v4 && !vips.contains(address),
                // Peers beyond the link have no use for an address of the link.
                IpAddr::V6(v6) => {
                    !is_v4
                        && v6.is_unicast_link_local() == config.peers.is_empty()
                        && !vips.contains(address)
                }
            };
            let kind = match (is_v4, config.peers.is_empty()) {
                (true, _) => "IPv4",
                (false, true) => "link-local IPv6",
                (false, false) => "global IPv6",
            };
            let found = link.addresses.iter().find(usable).copied();
            found.ok_or_else(|| Error::NoSource { interface: name(), kind })?
        }
    };
    Ok(Place { index, mac: link.mac.0, source })
}

impl Wire {
    /// Opens what it takes, without giving the link any address.
    pub(super) async fn open(
        config: &Vrrp,
        place: Place,
        tools: &mut Tools,
    ) -> Result<Self, Error> {
        let sender =
            Sender::open(&config.interface, place.index, place.source).map_err(Error::Socket)?;
        let is_v4 = config.is_ipv4();
        let group = if is_v4 { GROUP_V4.into() } else { GROUP_V6.into() };
        let (mut link, mut mac) = (place.index, place.mac);
        if let Some(id) = Vrid::new(config.id).filter(|_| config.virtual_mac) {
            mac = virtual_mac(id, !is_v4);
            let name = virtual_link(config, place.index);
            link = tools.vips.provide(&name, place.index, mac).await?;
            calm(&config.interface, &name);
        }
        Ok(Self { place, sender, link, mac, is_virtual: config.virtual_mac, group })
    }

    /// Where it is.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Where adverts of a configuration go.
    pub(super) fn destinations<'a>(&self, config: &'a Vrrp) -> impl Iterator<Item = IpAddr> + 'a {
        let group = config.peers.is_empty().then_some(self.group);
        config.peers.iter().copied().chain(group)
    }

    /// Sends a message.
    pub(super) fn send(&self, message: &[u8], to: IpAddr, tools: &Tools) -> io::Result<()> {
        if self.is_virtual && to == self.group {
            // Switches learn from it where the MAC is (RFC 9568 §7.3).
            let frame = frame(self.mac, self.place.source, message)?;
            return tools.frames.send(&frame, self.place.index);
        }
        self.sender.send(message, to)
    }

    /// Takes the addresses.
    pub(super) async fn take(
        &self,
        addresses: &[VirtualAddress],
        tools: &mut Tools,
    ) -> Result<(), Error> {
        if self.is_virtual {
            tools.vips.set_up(self.link, true).await?;
        }
        for VirtualAddress { address, prefix_length } in addresses {
            tools.vips.add(self.link, *address, *prefix_length).await?;
        }
        Ok(())
    }

    /// Gives all addresses up, or makes sure that they are not there.
    pub(super) async fn give_up(
        &self,
        addresses: &[VirtualAddress],
        tools: &mut Tools,
    ) -> Result<(), Error> {
        self.take_off(addresses, tools).await?;
        if self.is_virtual {
            tools.vips.set_up(self.link, false).await?;
        }
        Ok(())
    }

    /// Gives some addresses up.
    pub(super) async fn take_off(
        &self,
        addresses: &[VirtualAddress],
        tools: &mut Tools,
    ) -> Result<(), Error> {
        for VirtualAddress { address, prefix_length } in addresses {
            tools.vips.remove(self.link, *address, *prefix_length).await?;
        }
        Ok(())
    }

    /// Removes what [`Self::open`] made.
    pub(super) async fn close(self, tools: &mut Tools) -> Result<(), Error> {
        if self.is_virtual {
            tools.vips.discard(self.link).await?;
        }
        Ok(())
    }

    /// Tells the link which MAC the addresses have.
    pub(super) fn announce(
        &self,
        addresses: &[VirtualAddress],
        copies: u8,
        tools: &Tools,
    ) -> io::Result<()> {
        for _ in 0..copies {
            for frame in addresses.iter().flat_map(|it| announcements(it.address, self.mac)) {
                tools.frames.send(&frame, self.place.index)?;
            }
        }
        Ok(())
    }
}

fn announcements(address: IpAddr, mac: Mac) -> Vec<Vec<u8>> {
    match address {
        IpAddr::V4(v4) => [Arp::Request, Arp::Reply].map(|it| gratuitous_arp(v4, mac, it)).into(),
        IpAddr::V6(v6) => vec![neighbour_advertisement(v6, mac, forwards())],
    }
}

/// Whether this node's own answers to neighbours say that it is a router.
fn forwards() -> bool {
    let path = "/proc/sys/net/ipv6/conf/all/forwarding";
    std::fs::read_to_string(path).is_ok_and(|text| text.trim() != "0")
}

/// At most 15 characters, as the kernel has it.
pub(super) fn virtual_link(config: &Vrrp, index: u32) -> String {
    let family = if config.is_ipv4() { 4 } else { 6 };
    format!("vrrp{family}.{index}.{}", config.id)
}

/// Lets each of two links in one network answer for its own addresses alone, and the upper one take packets
/// whose sources the lower one has routes for.
fn calm(lower: &str, upper: &str) {
    let settings = [
        (lower, "arp_ignore", "1"),
        (upper, "arp_ignore", "1"),
        (upper, "rp_filter", "0"),
        (upper, "accept_local", "1"),
    ];
    for (link, key, value) in settings {
        let path = format!("/proc/sys/net/ipv4/conf/{link}/{key}");
        if let Err(error) = std::fs::write(&path, value) {
            tracing::warn!("{path} cannot be set to {value}: {error}");
        }
    }
}

/// An advert to the group, in a frame from a MAC that the link's own sockets would not use.
fn frame(mac: Mac, source: IpAddr, message: &[u8]) -> io::Result<Vec<u8>> {
    let mut frame = Vec::new();
    let ethernet =
        |destination, ether_type| Ethernet2Header { source: mac, destination, ether_type };
    match source {
        IpAddr::V4(source) => {
            let [_, a, b, c] = GROUP_V4.octets();
            ethernet([1, 0, 0x5e, a & 0x7f, b, c], EtherType::IPV4).write(&mut frame)?;
            let length = u16::try_from(message.len()).map_err(io::Error::other)?;
            let (source, group) = (source.octets(), GROUP_V4.octets());
            let header = Ipv4Header::new(length, HOP_LIMIT, IpNumber(PROTOCOL), source, group);
            let mut header = header.map_err(io::Error::other)?;
            header.dscp = DSCP.try_into().map_err(io::Error::other)?;
            header.header_checksum = header.calc_header_checksum();
            header.write(&mut frame)?;
        }
        IpAddr::V6(source) => {
            let [.., a, b, c, d] = GROUP_V6.octets();
            ethernet([0x33, 0x33, a, b, c, d], EtherType::IPV6).write(&mut frame)?;
            let header = Ipv6Header {
                traffic_class: DSCP << 2,
                flow_label: Ipv6FlowLabel::ZERO,
                payload_length: u16::try_from(message.len()).map_err(io::Error::other)?,
                next_header: IpNumber(PROTOCOL),
                hop_limit: HOP_LIMIT,
                source: source.octets(),
                destination: GROUP_V6.octets(),
            };
            header.write(&mut frame)?;
        }
    }
    frame.extend(message);
    Ok(frame)
}
