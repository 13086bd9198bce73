//! The probe link: a veth pair of the node's own, by which health checks enter the packet path.
//!
//! The daemon connects to an alias, whose route leads into the near end; the program at the far end
//! puts the VIP in the alias's place. Answers take the same link back, so that filters for the
//! reverse path find nothing odd about them.

use std::{collections::BTreeSet, io, net::IpAddr};

use lb_common::{probe::Aliases, route::Prefix};
use rtnetlink::{
    LinkUnspec, LinkVeth,
    packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE},
    packet_route::{
        AddressFamily,
        RouteNetlinkMessage::{
            DelAddress, DelLink, DelRoute, NewAddress, NewLink, NewRoute, SetLink,
        },
        address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope, CacheInfo},
        link::{
            AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoVeth, LinkAttribute,
            LinkMessage,
        },
        route::{RouteAttribute, RouteHeader, RouteMessage, RouteScope, RouteType},
    },
};
use rustix::{
    io::Errno,
    ioctl::{Updater, ioctl},
    net::{AddressFamily as SocketFamily, SocketType, netdevice::name_to_index, socket},
};

use super::{Route, Topology, dump::PROTOCOL, netlink::Error, requests::Requests};

/// The end that the daemon's checks leave by.
pub const NEAR: &str = "lb-probe0";
/// The end that has the program.
pub const FAR: &str = "lb-probe1";

/// The least that IPv6 takes (RFC 8200 §5): no tunnel makes it too long for Ethernet.
const MTU: u32 = 1280;

/// Makes sure that the link is there, with the routes to these blocks of aliases and nothing else;
/// without any blocks, that it is not. Gives the index of the far end.
///
/// What is right already goes on undisturbed.
pub async fn provide(blocks: &[Prefix]) -> Result<Option<u32>, Error> {
    let mut requests = Requests::open()?;
    let mut found = requests.dump().await?.topology;
    if blocks.is_empty() {
        return take_away(&mut requests, &found).await.map(|_| None);
    }
    if ends(&found).is_none() {
        let _: bool = take_away(&mut requests, &found).await?;
        make(&mut requests).await?;
        found = requests.dump().await?.topology;
    }
    // Somebody else may have taken it away.
    let Some((near, far)) = ends(&found) else { return Ok(None) };
    let (wanted, given) = (wanted(blocks), given(&found, near));
    for block in given.difference(&wanted) {
        withdraw(&mut requests, near, block).await?;
    }
    for block in wanted.difference(&given) {
        give(&mut requests, near, block).await?;
    }
    tune()?;
    Ok(Some(far))
}

/// Whether the link is as [`provide`] leaves it.
#[must_use]
pub fn is_provided(found: &Topology, blocks: &[Prefix]) -> bool {
    match ends(found) {
        _ if blocks.is_empty() => found.interface(NEAR).is_none(),
        Some((near, _)) => given(found, near) == wanted(blocks),
        None => false,
    }
}

/// Removes the link; gives whether it was there.
pub async fn remove() -> Result<bool, Error> {
    let mut requests = Requests::open()?;
    let found = requests.dump().await?.topology;
    take_away(&mut requests, &found).await
}

/// Whether the link is there now. If that cannot be known, it is.
#[must_use]
pub fn is_there() -> bool {
    let Ok(socket) = socket(SocketFamily::INET, SocketType::DGRAM, None) else { return true };
    name_to_index(&socket, NEAR) != Err(Errno::NODEV)
}

/// One end goes with the other.
async fn take_away(requests: &mut Requests, found: &Topology) -> Result<bool, Error> {
    let Some(index) = [NEAR, FAR].into_iter().find_map(|name| found.interface(name)) else {
        return Ok(false);
    };
    let link = LinkUnspec::new_with_index(index).build();
    requests.change("remove the probe link", NLM_F_ACK, DelLink(link)).await?;
    Ok(true)
}

/// The indexes of both ends, if they are there and up.
fn ends(found: &Topology) -> Option<(u32, u32)> {
    let up = |name| {
        let index = found.interface(name)?;
        found.links.get(&index).filter(|link| link.up).map(|_| index)
    };
    Some((up(NEAR)?, up(FAR)?))
}

fn wanted(blocks: &[Prefix]) -> BTreeSet<Prefix> {
    blocks.iter().copied().collect()
}

/// The blocks that the near end has all for.
fn given(found: &Topology, near: u32) -> BTreeSet<Prefix> {
    let routes = found.routes.iter().filter(|it| it.interface == near);
    let is_whole = |it: &&Route| {
        let router = Aliases(it.prefix.address).router().to_ip();
        it.gateway == Some(router) && found.addresses.contains(&own(&it.prefix))
    };
    routes.filter(is_whole).map(|it| it.prefix).collect()
}

fn own(block: &Prefix) -> IpAddr {
    Aliases(block.address).own().to_ip()
}

async fn make(requests: &mut Requests) -> Result<(), Error> {
    let new = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    requests.change("make the probe link", new, NewLink(pair())).await?;
    let made = requests.dump().await?.topology;
    for index in [NEAR, FAR].into_iter().filter_map(|name| made.interface(name)) {
        // A kernel without IPv6 refuses: it gives no addresses of its own either.
        if let Err(error) = requests
            .change("keep the probe link from having addresses", NLM_F_ACK, SetLink(quiet(index)))
            .await
        {
            tracing::debug!("{error}");
        }
        let up = LinkUnspec::new_with_index(index).up().build();
        requests.change("set the probe link up", NLM_F_ACK, SetLink(up)).await?;
    }
    Ok(())
}

/// What the near end has for a block: an address, the way to the router on the link, and that to the
/// block by it.
fn parts(near: u32, block: &Prefix) -> (AddressMessage, RouteMessage, RouteMessage) {
    let aliases = Aliases(block.address);
    let (own, router) = (aliases.own().to_ip(), aliases.router().to_ip());
    let length = if own.is_ipv4() { 32 } else { 128 };
    (
        address(near, own, length, AddressScope::Link),
        route(near, &Prefix::host(router.into()), own, None),
        route(near, block, own, Some(router)),
    )
}

/// What is there already of the parts stays.
async fn give(requests: &mut Requests, near: u32, block: &Prefix) -> Result<(), Error> {
    let (own, on_link, all) = parts(near, block);
    let put = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
    requests.change("give the probe link an address", put, NewAddress(own)).await?;
    requests.change("add the probe link's own route", put, NewRoute(on_link)).await?;
    requests.change("add the route to the aliases of checks", put, NewRoute(all)).await
}

async fn withdraw(requests: &mut Requests, near: u32, block: &Prefix) -> Result<(), Error> {
    let (own, on_link, all) = parts(near, block);
    let old = NLM_F_ACK;
    requests.change("remove the route to the aliases of checks", old, DelRoute(all)).await?;
    requests.change("remove the probe link's own route", old, DelRoute(on_link)).await?;
    requests.change("take an address from the probe link", old, DelAddress(own)).await
}

/// Both ends. Nobody is asked for the MACs of others on it.
fn pair() -> LinkMessage {
    let far = LinkUnspec::new_with_name(FAR).mtu(MTU).arp(false).build();
    let near = LinkVeth::new(NEAR, FAR).mtu(MTU).arp(false);
    near.set_info_data(InfoData::Veth(InfoVeth::Peer(far))).build()
}

/// Without a link-local address, which the kernel would speak from.
pub(super) fn quiet(index: u32) -> LinkMessage {
    let none = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
    LinkUnspec::new_with_index(index)
        .append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![none]))
        .build()
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

/// An address of a link with a prefix of `length` bits, that for IPv6 is deprecated (RFC 4862 §5.5.4): it is
/// never the source of what does not ask for it.
pub(super) fn address(index: u32, own: IpAddr, length: u8, scope4: AddressScope) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(own);
    message.header.index = index;
    message.header.prefix_len = length;
    message.header.scope = if own.is_ipv4() { scope4 } else { AddressScope::Universe };
    message.attributes = vec![AddressAttribute::Local(own), AddressAttribute::Address(own)];
    if own.is_ipv6() {
        message.header.flags = AddressHeaderFlags::Nodad;
        let mut lifetime = CacheInfo::default();
        (lifetime.ifa_preferred, lifetime.ifa_valid) = (0, u32::MAX);
        message.attributes.push(AddressAttribute::CacheInfo(lifetime));
    }
    message
}

fn route(index: u32, to: &Prefix, from: IpAddr, router: Option<IpAddr>) -> RouteMessage {
    let network = to.address.to_ip();
    let mut message = RouteMessage::default();
    message.header.address_family = family(network);
    let shared = if network.is_ipv4() { 96 } else { 0 };
    message.header.destination_prefix_length = u8::try_from(to.length - shared).unwrap_or(128);
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = PROTOCOL;
    message.header.kind = RouteType::Unicast;
    message.header.scope = if router.is_none() { RouteScope::Link } else { RouteScope::Universe };
    message.attributes = vec![
        RouteAttribute::Destination(network.into()),
        RouteAttribute::Oif(index),
        RouteAttribute::PrefSource(from.into()),
    ];
    message.attributes.extend(router.map(|it| RouteAttribute::Gateway(it.into())));
    message
}

/// `struct ifreq` of `include/uapi/linux/if.h`, with a pointer.
#[repr(C)]
struct Request {
    name: [u8; 16],
    data: *mut Feature,
    rest: [u8; 16],
}

/// `struct ethtool_value` of `include/uapi/linux/ethtool.h`.
#[repr(C)]
struct Feature {
    command: u32,
    on: u32,
}

const SIOCETHTOOL: u32 = 0x8946;
/// Checksums in hardware. A frame that still waits for its checksum loses the note of that when XDP
/// sends it on. Without checksums, the kernel does not join segments either.
const ETHTOOL_STXCSUM: u32 = 0x17;
/// Generic receive offload. With it, or with a program of its own, a veth takes frames that XDP sends
/// it (kernel commit d3256efd8e8b, Linux 5.13).
const ETHTOOL_SGRO: u32 = 0x2c;

/// Makes the near end fit for frames from XDP, and for frames to XDP.
fn tune() -> Result<(), Error> {
    let refused = |cause: Errno| Error::Refused {
        what: "tune the probe link",
        cause: io::Error::from(cause),
    };
    let socket = socket(SocketFamily::INET, SocketType::DGRAM, None).map_err(refused)?;
    for (command, on) in [(ETHTOOL_STXCSUM, 0), (ETHTOOL_SGRO, 1)] {
        let mut feature = Feature { command, on };
        let mut request = Request { name: [0; 16], data: &raw mut feature, rest: [0; 16] };
        request.name[..NEAR.len()].copy_from_slice(NEAR.as_bytes());
        // SAFETY: what the kernel takes for these commands, alive during the call.
        unsafe { ioctl(&socket, Updater::<SIOCETHTOOL, Request>::new(&mut request)) }
            .map_err(refused)?;
    }
    Ok(())
}
