//! The addresses of virtual routers, and the links that have their MAC addresses.

use std::{io, net::IpAddr};

use rtnetlink::{
    LinkMacVlan, LinkUnspec,
    packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE},
    packet_route::{
        RouteNetlinkMessage::{DelAddress, DelLink, NewAddress, NewLink, SetLink},
        address::AddressScope,
        link::MacVlanMode,
    },
};

use super::{Topology, netlink::Error, probe::address, requests::Requests};

/// The prefix length of a single host's address.
#[must_use]
pub const fn host_length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Gives links addresses and takes them away.
pub struct Vips(Requests);

impl Vips {
    /// With a netlink socket of its own.
    pub fn open() -> Result<Self, Error> {
        Requests::open().map(Self)
    }

    /// Gives a link an address, which it may have already.
    pub async fn add(&mut self, link: u32, vip: IpAddr, length: u8) -> Result<(), Error> {
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
        let message = address(link, vip, length, AddressScope::Universe);
        self.0.change("add a virtual address", flags, NewAddress(message)).await
    }

    /// Takes an address from a link, which may not have it.
    pub async fn remove(&mut self, link: u32, vip: IpAddr, length: u8) -> Result<(), Error> {
        let message = address(link, vip, length, AddressScope::Universe);
        let what = "remove a virtual address";
        match self.0.change(what, NLM_F_ACK, DelAddress(message)).await {
            Err(Error::Refused { cause, .. })
                if matches!(cause.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::ENODEV)) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Makes a link above another one that has a MAC address of its own; gives its index. One of that name
    /// is taken as it is, if it stands on that link.
    pub async fn provide(&mut self, name: &str, lower: u32, mac: [u8; 6]) -> Result<u32, Error> {
        let what = "make a link with a virtual MAC address";
        let missing = || Error::Refused { what, cause: io::ErrorKind::NotFound.into() };
        let found = self.0.dump().await?.topology;
        if let Some(index) = found.interface(name) {
            return Ok(index);
        }
        let new = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        // In other modes, what another node multicasts from this MAC does not reach the link below
        // (`macvlan_handle_frame` of drivers/net/macvlan.c).
        let link = LinkMacVlan::new(name, lower, MacVlanMode::Bridge).address(mac.into()).build();
        self.0.change(what, new, NewLink(link)).await?;
        let made: Topology = self.0.dump().await?.topology;
        let index = made.interface(name).ok_or_else(missing)?;
        let quiet = super::probe::quiet(index);
        if let Err(error) = self.0.change(what, NLM_F_ACK, SetLink(quiet)).await {
            tracing::debug!("{name}: {error}");
        }
        Ok(index)
    }

    /// Sets a link up or down.
    pub async fn set_up(&mut self, link: u32, up: bool) -> Result<(), Error> {
        let link = LinkUnspec::new_with_index(link);
        let link = if up { link.up() } else { link.down() }.build();
        self.0.change("set a link of a virtual router up or down", NLM_F_ACK, SetLink(link)).await
    }

    /// Removes a link.
    pub async fn discard(&mut self, link: u32) -> Result<(), Error> {
        let link = LinkUnspec::new_with_index(link).build();
        self.0.change("remove the link of a virtual router", NLM_F_ACK, DelLink(link)).await
    }
}
