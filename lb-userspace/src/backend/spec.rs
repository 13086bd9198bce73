//! The backend to be set up, valid by construction.

use std::net::IpAddr;

use lb_common::{route::Prefix, service::ForwardMode};

use super::{Error, decap};
use crate::config::{AttachMode, Node, Service};

/// The largest set of prefixes that the program takes.
const SOURCES_MAX: usize = 1024;

/// What a backend is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The interface that the node's packets arrive at.
    pub interface: String,
    /// How they arrive.
    pub arrival: Arrival,
}

/// How packets reach a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// As the client sent them, to the VIPs.
    L2 {
        /// At least one.
        vips: Vec<IpAddr>,
    },
    /// Inside others.
    Tunnel {
        /// At least one.
        vips: Vec<IpAddr>,
        /// `ipip`, or `gue` at this port.
        gue_port: Option<u16>,
        /// Who takes them out.
        end: TunnelEnd,
    },
    /// To the backend's own address; the answers must pass the node.
    Nat {
        /// The node's address, to which answers are routed.
        gateway: IpAddr,
    },
}

/// Who undoes a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TunnelEnd {
    /// Tunnel devices of the kernel.
    Kernel {
        /// Whether the outer packets are IPv4, IPv6.
        outer: [bool; 2],
    },
    /// The program of `lb decap`.
    Decap(decap::Options),
}

/// The pieces of a [`Spec`], from the command line or a node's configuration.
#[derive(Clone, Debug)]
pub struct Pieces {
    /// How the service forwards.
    pub mode: ForwardMode,
    /// The VIPs.
    pub vips: Vec<IpAddr>,
    /// The interface that the node's packets arrive at.
    pub interface: String,
    /// Whether the kernel's devices undo tunnels, and not `lb decap`.
    pub kernel_tunnel: bool,
    /// The prefixes that tunnels come from.
    pub from: Vec<Prefix>,
    /// The UDP port of GUE.
    pub gue_port: u16,
    /// How `lb decap` is attached.
    pub attach: AttachMode,
    /// The node's address, for `nat`.
    pub gateway: Option<IpAddr>,
}

impl Pieces {
    /// Takes what the node's configuration says of a service; sources that were given stay.
    #[must_use]
    pub fn with_service(self, node: &Node, service: &Service) -> Self {
        let from = if self.from.is_empty() { node.tunnel_source.clone() } else { self.from };
        let vips = vec![service.vip];
        Self { mode: service.forward, vips, gue_port: service.gue_port, from, ..self }
    }

    /// The whole, if the pieces fit together.
    ///
    /// # Errors
    ///
    /// What is missing, and by which option it is given.
    pub fn fit(self) -> Result<Spec, Error> {
        let interface = self.interface.clone();
        let arrival = match self.mode {
            ForwardMode::NAT => self.nat()?,
            ForwardMode::L2 => Arrival::L2 { vips: self.vips()? },
            ForwardMode::IPIP | ForwardMode::GUE => self.tunnel()?,
            other => return Err(Error::Spec(format!("mode {other:?} is not known here"))),
        };
        Ok(Spec { interface, arrival })
    }

    fn nat(self) -> Result<Arrival, Error> {
        let missing = "nat needs --gateway: the node's address in the backends' network, through \
                       which the answers go back";
        let gateway = self.gateway.ok_or_else(|| Error::Spec(missing.into()))?;
        Ok(Arrival::Nat { gateway })
    }

    fn vips(&self) -> Result<Vec<IpAddr>, Error> {
        let mode = self.mode.as_str();
        if self.vips.is_empty() {
            return Err(Error::Spec(format!("{mode} needs --vip: the address of the service")));
        }
        Ok(self.vips.clone())
    }

    fn tunnel(self) -> Result<Arrival, Error> {
        let vips = self.vips()?;
        let gue_port = (self.mode == ForwardMode::GUE).then_some(self.gue_port);
        let end = if self.kernel_tunnel {
            TunnelEnd::Kernel { outer: self.outer_families(&vips) }
        } else {
            let options =
                decap::Options { sources: self.from, gue_port: self.gue_port, mode: self.attach };
            TunnelEnd::Decap(check_sources(options)?)
        };
        Ok(Arrival::Tunnel { vips, gue_port, end })
    }

    /// A tunnel's family is that of its source; where none is given, that of the VIPs.
    fn outer_families(&self, vips: &[IpAddr]) -> [bool; 2] {
        let sources: Vec<_> = self.from.iter().map(|source| source.address.is_v4()).collect();
        let vips = || vips.iter().map(IpAddr::is_ipv4).collect();
        let v4: Vec<bool> = if sources.is_empty() { vips() } else { sources };
        [v4.contains(&true), v4.contains(&false)]
    }
}

/// Refuses a decapsulation of everybody's tunnels, or of too many prefixes'.
///
/// # Errors
///
/// See above.
pub fn check_sources(options: decap::Options) -> Result<decap::Options, Error> {
    match options.sources.len() {
        0 => Err(Error::Spec(
            "`lb decap` needs --from: the prefix of the nodes' tunnel addresses, such as \
             10.0.0.0/24"
                .into(),
        )),
        1..=SOURCES_MAX => Ok(options),
        many => Err(Error::Spec(format!(
            "{many} prefixes are too many: at most {SOURCES_MAX} fit; write them as fewer, shorter \
             ones"
        ))),
    }
}
