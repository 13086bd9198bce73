//! What a speaker that was killed has left on the interfaces.

use crate::{
    config::{Config, vrrp::VirtualAddress},
    topology::{
        netlink::{self, Error},
        vip::{Vips, host_length},
    },
};

use super::wire::virtual_link;

/// Takes away the addresses of a configuration's virtual routers and routes, and the links with virtual MAC
/// addresses; gives the number of addresses. No speaker may run meanwhile.
pub async fn clear(Config { vrrp, routes, .. }: &Config) -> Result<usize, Error> {
    let topology = netlink::snapshot().await?;
    let mut vips = Vips::open()?;
    let (mut found, mut links) = (Vec::new(), Vec::new());
    for router in vrrp {
        let Some(interface) = topology.interface(&router.interface) else { continue };
        let own = topology.interface(&virtual_link(router, interface));
        links.extend(own.filter(|_| router.virtual_mac));
        let link = if router.virtual_mac { own } else { Some(interface) };
        let addresses = router.addresses.iter();
        found.extend(addresses.filter_map(|&VirtualAddress { address, prefix_length }| {
            Some((link?, address, prefix_length))
        }));
    }
    for route in routes {
        let link = topology.interface(&route.interface);
        let addresses = route.addresses.iter();
        found.extend(addresses.filter_map(|it| Some((link?, *it, host_length(*it)))));
    }
    found.retain(|(_, address, _)| topology.addresses.contains(address));
    for &(link, address, length) in &found {
        vips.remove(link, address, length).await?;
    }
    for link in links {
        vips.discard(link).await?;
    }
    Ok(found.len())
}
