//! What a backend needs, one thing at a time.

mod check;
mod list;
#[cfg(test)]
mod tests;

use std::{fmt, net::IpAddr};

use super::{Step, decap, machine::Machine, prefix_text};

pub use self::{check::Finding, list::requirements};

/// One thing that must be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// The interface is there, and up.
    Interface {
        /// Its name.
        name: String,
    },
    /// A setting has a value that serves.
    Sysctl {
        /// Its path under `/proc/sys`.
        path: String,
        /// What it is set to.
        value: i64,
        /// What else would do.
        accepted: &'static [i64],
        /// What it is for.
        why: &'static str,
    },
    /// A VIP is on the loopback.
    Vip {
        /// The address.
        address: IpAddr,
    },
    /// The program that undoes tunnels is attached.
    Decap {
        /// Where.
        interface: String,
        /// What it undoes.
        options: decap::Options,
        /// Whether GUE is among it, so that the port matters.
        gue: bool,
    },
    /// A tunnel device of the kernel exists, and is up.
    Device {
        /// The device that takes what no other tunnel is for.
        device: TunnelDevice,
    },
    /// Packets that arrive by a tunnel device are not dropped for their source.
    ReversePath {
        /// The device.
        device: TunnelDevice,
    },
    /// The kernel takes GUE.
    Fou {
        /// The UDP port.
        port: u16,
        /// Over IPv6.
        v6: bool,
    },
    /// Answers go through the node.
    Gateway {
        /// The node's address.
        address: IpAddr,
    },
    /// Packets of full size fit into the tunnel.
    Mtu {
        /// The interface that they arrive at.
        interface: String,
        /// What the tunnel adds, in bytes.
        overhead: u32,
    },
}

/// The kernel's own tunnel devices, by the families inside and outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TunnelDevice {
    /// IPv4 in IPv4.
    Tunl0,
    /// IPv6 in IPv4.
    Sit0,
    /// Either in IPv6.
    Ip6tnl0,
}

impl TunnelDevice {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tunl0 => "tunl0",
            Self::Sit0 => "sit0",
            Self::Ip6tnl0 => "ip6tnl0",
        }
    }

    /// The module that makes it.
    const fn module(self) -> &'static str {
        match self {
            Self::Tunl0 => "ipip",
            Self::Sit0 => "sit",
            Self::Ip6tnl0 => "ip6_tunnel",
        }
    }
}

/// What clients' packets have at most, nearly everywhere.
const ETHERNET_MTU: u32 = 1500;

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface { name } => write!(f, "the interface {name} is up"),
            Self::Sysctl { path, value, why, .. } => write!(f, "{path} is {value}: {why}"),
            Self::Vip { address } => write!(f, "the VIP {address} is on lo"),
            Self::Decap { interface, options, .. } => {
                let sources: Vec<_> = options.sources.iter().map(prefix_text).collect();
                let sources = sources.join(", ");
                write!(f, "tunnels from {sources} to {interface} are undone by `lb decap`")
            }
            Self::Device { device } => write!(f, "the tunnel device {} is up", device.name()),
            Self::ReversePath { device } => {
                write!(f, "the source of a packet out of {} need not be behind it", device.name())
            }
            Self::Fou { port, v6 } => {
                let version = if *v6 { 6 } else { 4 };
                write!(f, "the kernel takes GUE over IPv{version} at port {port}")
            }
            Self::Gateway { address } => {
                write!(f, "a default route leads through the node, {address}")
            }
            Self::Mtu { interface, overhead } => {
                let mtu = ETHERNET_MTU + overhead;
                write!(f, "{interface} has an MTU of {mtu}, for {ETHERNET_MTU} bytes in a tunnel")
            }
        }
    }
}

impl Requirement {
    /// How it is made so. None: it is not this command's to make.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        match self {
            Self::Interface { .. } | Self::Mtu { .. } | Self::Gateway { .. } => Vec::new(),
            Self::Sysctl { path, value, .. } => {
                vec![Step::Sysctl { path: path.clone(), value: *value }]
            }
            Self::Vip { address: IpAddr::V4(address) } => {
                vec![Step::run(&format!("ip address replace {address}/32 dev lo"))]
            }
            // Never the source of the backend's own connections.
            Self::Vip { address: IpAddr::V6(address) } => vec![Step::run(&format!(
                "ip address replace {address}/128 dev lo preferred_lft 0 nodad"
            ))],
            Self::Decap { interface, options, .. } => {
                let (interface, options) = (interface.clone(), options.clone());
                vec![Step::Decap { interface, options }]
            }
            Self::Device { device } => device_steps(*device),
            Self::ReversePath { device } => {
                vec![Step::Sysctl { path: reverse_path(device.name()), value: 2 }]
            }
            Self::Fou { port, v6 } => {
                let (module, family) = if *v6 { ("fou6", "-6 ") } else { ("fou", "") };
                vec![
                    Step::run(&format!("modprobe {module}")),
                    Step::run(&format!("ip {family}fou add port {port} gue")),
                ]
            }
        }
    }

    /// How it is made so on a machine: what the decapsulation there undoes for others stays.
    #[must_use]
    pub fn steps_on(&self, machine: &Machine) -> Vec<Step> {
        match (self, &machine.decap) {
            (Self::Decap { interface, options, gue }, Some(attached)) => {
                let mut options = options.clone();
                options.sources.extend(&attached.options.sources);
                options.sources.sort_unstable();
                options.sources.dedup();
                if !gue {
                    options.gue_port = attached.options.gue_port;
                }
                vec![Step::Decap { interface: interface.clone(), options }]
            }
            _ => self.steps(),
        }
    }

    /// What to do where there are no steps.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Interface { name } => Some(format!("ip link set dev {name} up")),
            Self::Gateway { address } => Some(format!(
                "ip route replace default via {address}    # or a rule for the service's answers"
            )),
            Self::Mtu { interface, overhead } => {
                let mtu = ETHERNET_MTU + overhead;
                Some(format!("ip link set dev {interface} mtu {mtu}    # on the nodes as well"))
            }
            Self::Sysctl { .. }
            | Self::Vip { .. }
            | Self::Decap { .. }
            | Self::Device { .. }
            | Self::ReversePath { .. }
            | Self::Fou { .. } => None,
        }
    }
}

fn device_steps(device: TunnelDevice) -> Vec<Step> {
    let mut steps = vec![Step::run(&format!("modprobe {}", device.module()))];
    if device == TunnelDevice::Ip6tnl0 {
        // As it comes, it takes IPv6 alone.
        steps.push(Step::run("ip -6 tunnel change ip6tnl0 mode any"));
    }
    steps.push(Step::run(&format!("ip link set dev {} up", device.name())));
    steps
}

fn reverse_path(device: &str) -> String {
    format!("net/ipv4/conf/{device}/rp_filter")
}
