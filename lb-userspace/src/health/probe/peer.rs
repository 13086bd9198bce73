//! Whom a check talks to, and by which socket: the one place where checks connect, but for clients
//! that do so themselves (`mysql`, `icmp`).

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use rustix::net::sockopt::{set_socket_linger, set_tcp_quickack};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use super::Failure;

/// The other end of a check.
#[derive(Clone, Copy, Debug)]
pub(in crate::health) struct Peer {
    pub(in crate::health) address: SocketAddr,
}

impl Peer {
    /// A connection.
    pub(in crate::health) async fn connect(self) -> Result<TcpStream, Failure> {
        let socket = self.socket().map_err(Failure::Connect)?;
        socket.connect(self.address).await.map_err(Failure::Connect)
    }

    /// Learns whether a connection would be accepted. The handshake's last acknowledgement waits for
    /// data that never come, so that the reset comes instead of it: the server's kernel answers, and its
    /// program is not bothered. As HAProxy's TCP checks do.
    pub(super) async fn knock(self) -> Result<(), Failure> {
        let socket = self.socket().map_err(Failure::Connect)?;
        set_tcp_quickack(&socket, false).map_err(|error| Failure::Connect(error.into()))?;
        socket.connect(self.address).await.map(drop).map_err(Failure::Connect)
    }

    fn socket(self) -> io::Result<TcpSocket> {
        let socket = match self.address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // Closing by a reset leaves no TIME_WAIT behind: checks would fill the table of ports.
        set_socket_linger(&socket, Some(Duration::ZERO))?;
        Ok(socket)
    }

    /// A UDP socket that is connected, so that it hears of refusals.
    pub(super) async fn udp(self) -> Result<UdpSocket, Failure> {
        let any = match self.address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any).await.map_err(Failure::Connect)?;
        socket.connect(self.address).await.map_err(Failure::Connect)?;
        Ok(socket)
    }
}
