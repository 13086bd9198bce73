//! The addresses of the site.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How a VIP's services forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// By MAC; the web server answers the client directly.
    L2,
    /// By address; the answer returns through the node.
    Nat,
}

/// One of the site's services, all TCP on port 80.
#[derive(Clone, Copy, Debug)]
pub struct Vip {
    /// The service's name in the default configuration.
    pub service: &'static str,
    /// The virtual IP address.
    pub address: IpAddr,
    /// How it forwards.
    pub forward: Forward,
}

impl Vip {
    /// The URL of a path, which starts with `/`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", url_host(self.address))
    }

    /// Where the service listens.
    #[must_use]
    pub fn socket_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, 80)
    }
}

/// The site's services, by the names of the default configuration.
pub const VIPS: [Vip; 4] = [
    Vip { service: "web", address: v4(10), forward: Forward::L2 },
    Vip { service: "web6", address: v6(0x10), forward: Forward::L2 },
    Vip { service: "app", address: v4(20), forward: Forward::Nat },
    Vip { service: "app6", address: v6(0x20), forward: Forward::Nat },
];

const fn v4(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, host))
}

const fn v6(host: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, host))
}

/// An address as it stands in a URL.
#[must_use]
pub fn url_host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The addresses of a web server on the two networks, of both families.
#[must_use]
pub fn web_addresses(number: usize) -> [IpAddr; 4] {
    let host = 10 + number as u8;
    // The same digits, read as hexadecimal.
    let host6 = 0x10 + number as u16;
    [
        [10, 0, 0, host].into(),
        [10, 0, 1, host].into(),
        [0xfd00, 0, 0, 1, 0, 0, 0, host6].into(),
        [0xfd00, 0, 0, 2, 0, 0, 0, host6].into(),
    ]
}
