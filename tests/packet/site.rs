//! The site that the tables speak of.

use std::{collections::BTreeMap, net::SocketAddr};

use lb_common::{
    addr::{Addr, Mac, Protocol},
    backend::Condition,
    route::{NextHop, Prefix, VlanTag},
    service::ForwardMode,
};
use lb_tests::packet_path::{self, PacketPath};
use lb_userspace::desired::{Backend, Desired, Service, Way};

/// The interface that test runs come in by: the loopback's index in every namespace.
pub(crate) const LOOPBACK: u32 = 1;
pub(crate) const NODE: Mac = Mac([0x02, 0, 0, 0, 0, 0x1b]);
pub(crate) const WEB: Mac = Mac([0x02, 0, 0, 0, 0, 0x01]);
pub(crate) const ROUTER: Mac = Mac([0x02, 0, 0, 0, 0, 0xfe]);

pub(crate) const CLIENT4: &str = "198.51.100.7:40000";
pub(crate) const CLIENT6: &str = "[2001:db8:c::7]:40000";

pub(crate) const L2_VIP4: &str = "203.0.113.10:80";
pub(crate) const L2_VIP6: &str = "[2001:db8:113::10]:80";
pub(crate) const L2_WEB4: &str = "10.0.0.11:80";
pub(crate) const L2_WEB6: &str = "[fd00::11]:80";

pub(crate) const NAT_VIP4: &str = "203.0.113.20:443";
pub(crate) const NAT_VIP6: &str = "[2001:db8:113::20]:443";
pub(crate) const NAT_WEB4: &str = "10.0.1.11:8443";
pub(crate) const NAT_WEB6: &str = "[fd00:1::11]:8443";

pub(crate) const EMPTY_VIP: &str = "203.0.113.30:80";
pub(crate) const LOST_VIP: &str = "203.0.113.40:80";
pub(crate) const DENIED4: &str = "192.0.2.66:40000";
pub(crate) const DENIED6: &str = "[2001:db8:bad::66]:40000";
/// An address of the node itself, from which it checks its backends.
pub(crate) const OWN4: &str = "10.0.1.2:50000";

pub(crate) const HOP: NextHop =
    NextHop { interface: LOOPBACK, destination: WEB, source: NODE, tags: [VlanTag::NONE; 2] };

/// A service of equal backends that are all up.
pub(crate) fn pool(mode: ForwardMode, backends: &[&str], next_hop: NextHop) -> Service {
    let backend =
        Backend { weight: 1, condition: Condition::UP, way: Way { next_hop, mtu: u16::MAX } };
    let endpoint = |text: &&str| text.parse::<SocketAddr>().unwrap().into();
    let backends: BTreeMap<_, _> = backends.iter().map(|text| (endpoint(text), backend)).collect();
    packet_path::service(mode, 1021, backends)
}

/// One service of each kind, over TCP and over UDP, each with one backend.
pub(crate) fn desired() -> Desired {
    let mut desired = packet_path::nothing([7; 16]);
    for protocol in [Protocol::TCP, Protocol::UDP] {
        for (vip, mode, backends, hop) in [
            (L2_VIP4, ForwardMode::L2, &[L2_WEB4][..], HOP),
            (L2_VIP6, ForwardMode::L2, &[L2_WEB6], HOP),
            (NAT_VIP4, ForwardMode::NAT, &[NAT_WEB4], HOP),
            (NAT_VIP6, ForwardMode::NAT, &[NAT_WEB6], HOP),
            (EMPTY_VIP, ForwardMode::L2, &[], HOP),
            (LOST_VIP, ForwardMode::L2, &["10.0.0.14:80"], NextHop::UNRESOLVED),
        ] {
            // Each protocol has its own backend, so that its counters are its own.
            let backends: Vec<String> = backends.iter().map(|b| host(b, protocol)).collect();
            let backends: Vec<&str> = backends.iter().map(String::as_str).collect();
            let _ = desired
                .services
                .insert(packet_path::key(protocol, vip), pool(mode, &backends, hop));
        }
    }
    let clients = NextHop { interface: LOOPBACK, destination: ROUTER, ..HOP };
    desired.routes = [
        (prefix("198.51.100.0", 24), clients),
        (prefix("2001:db8:c::", 64), clients),
        (Prefix::host(ip(OWN4)), NextHop::LOCAL),
    ]
    .into();
    desired.denied = [prefix("192.0.2.64", 28), prefix("2001:db8:bad::", 48)].into();
    desired
}

/// The backend of a service over one protocol: the named one over TCP, its neighbour over UDP.
pub(crate) fn host(backend: &str, protocol: Protocol) -> String {
    if protocol == Protocol::TCP {
        return backend.to_owned();
    }
    backend.replace("11:8", "12:8").replace("11]:8", "12]:8").replace("14:8", "15:8")
}

pub(crate) fn load() -> PacketPath {
    PacketPath::load(desired())
}

/// A route of a prefix.
pub(crate) fn route(ip: &str, length: u8, next_hop: NextHop) -> (Prefix, NextHop) {
    (prefix(ip, length), next_hop)
}

fn prefix(ip: &str, length: u8) -> Prefix {
    Prefix::new(ip.parse().unwrap(), length).unwrap()
}

fn ip(endpoint: &str) -> Addr {
    endpoint.parse::<SocketAddr>().unwrap().ip().into()
}
