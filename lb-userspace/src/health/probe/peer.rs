//! Whom a check talks to, and by which socket: the one place where checks connect, but for clients
//! that do so themselves (`mysql`, `icmp`).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use rustix::net::sockopt::set_socket_linger;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use super::Failure;
use crate::health::{Target, TargetKey};

/// The other end of a check.
#[derive(Clone, Copy, Debug)]
pub(in crate::health) struct Peer {
    /// What to connect to.
    pub(in crate::health) address: SocketAddr,
    /// The backend's own address: its name, whatever is connected to.
    pub(super) name: IpAddr,
    /// Whether the packet path must tell this check from those of other backends.
    is_alias: bool,
}

impl Peer {
    /// The other end of a backend's checks.
    pub(super) fn of(key: TargetKey, target: &Target) -> Self {
        let name = key.backend.ip();
        let port = target.check.port.unwrap_or(key.backend.port());
        let address = SocketAddr::new(target.alias.unwrap_or(name), port);
        Self { address, name, is_alias: target.alias.is_some() }
    }

    /// Somebody who is asked by its own address.
    pub(in crate::health) fn direct(address: SocketAddr) -> Self {
        Self { address, name: address.ip(), is_alias: false }
    }

    /// A connection.
    pub(in crate::health) async fn connect(self) -> Result<TcpStream, Failure> {
        let socket = self.socket().map_err(Failure::Connect)?;
        socket.connect(self.address).await.map_err(Failure::Connect)
    }

    fn socket(self) -> io::Result<TcpSocket> {
        let socket = match self.address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // Closing by a reset leaves no TIME_WAIT behind: checks would fill the table of ports.
        set_socket_linger(&socket, Some(Duration::ZERO))?;
        if let Some(any) = self.port_of_its_own() {
            socket.bind(any)?;
        }
        Ok(socket)
    }

    /// What to bind a socket to whose port no other socket may have: from the VIP's side, all checks
    /// through the packet path are of one host.
    pub(super) fn port_of_its_own(self) -> Option<SocketAddr> {
        self.is_alias.then(|| self.any())
    }

    /// Any free port.
    fn any(self) -> SocketAddr {
        match self.address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        }
    }

    /// A UDP socket that is connected, so that it hears of refusals.
    pub(super) async fn udp(self) -> Result<UdpSocket, Failure> {
        let socket = UdpSocket::bind(self.any()).await.map_err(Failure::Connect)?;
        socket.connect(self.address).await.map_err(Failure::Connect)?;
        Ok(socket)
    }
}
