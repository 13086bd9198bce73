//! Whom a check talks to, and by which socket: the one place where checks connect, but for clients
//! that do so themselves (`mysql`, `icmp`).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use rustix::net::sockopt::set_socket_linger;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream, UdpSocket, UnixStream},
};

use super::Failure;
use crate::{
    config::proxy::{HeaderVersion, Place},
    health::{Target, TargetKey},
    proxy::header,
};

/// The other end of a check.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    end: End,
    header: Option<HeaderVersion>,
}

#[derive(Clone, Debug)]
enum End {
    Host(Host),
    Socket(PathBuf),
}

/// A connection of a check, by either kind of socket.
pub(super) type Stream = Box<dyn Duplex>;

/// What a stream does.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Peer {
    /// The other end of a backend's checks.
    pub(super) fn of(key: &TargetKey, target: &Target) -> Self {
        let end = match key {
            TargetKey::Service { backend, .. }
            | TargetKey::Proxy { backend: Place::Tcp(backend), .. } => {
                End::Host(Host::of(*backend, target))
            }
            TargetKey::Proxy { backend: Place::Unix(path), .. } => End::Socket(path.clone()),
        };
        Self { end, header: target.header }
    }

    /// The machine, for what a Unix socket cannot be tried with.
    pub(super) fn host(&self) -> Result<Host, Failure> {
        match self.end {
            End::Host(host) => Ok(host),
            End::Socket(_) => Err(Failure::NoAddress),
        }
    }

    /// Where it is.
    pub(super) fn place(&self) -> Place {
        match &self.end {
            End::Host(host) => Place::Tcp(host.address),
            End::Socket(path) => Place::Unix(path.clone()),
        }
    }

    /// A connection, which has begun as it must.
    pub(super) async fn connect(&self) -> Result<Stream, Failure> {
        let mut stream: Stream = match &self.end {
            End::Host(host) => Box::new(host.connect().await?),
            End::Socket(path) => {
                Box::new(UnixStream::connect(path).await.map_err(Failure::Connect)?)
            }
        };
        if let Some(version) = self.header {
            stream.write_all(&header::local(version)).await.map_err(Failure::Connect)?;
        }
        Ok(stream)
    }
}

/// A machine, by an address.
#[derive(Clone, Copy, Debug)]
pub(in crate::health) struct Host {
    /// What to connect to.
    pub(super) address: SocketAddr,
    /// The backend's own address: its name, whatever is connected to.
    pub(super) name: IpAddr,
    /// Whether the packet path must tell this check from those of other backends.
    is_alias: bool,
}

impl Host {
    fn of(backend: SocketAddr, target: &Target) -> Self {
        let name = backend.ip();
        let port = target.check.port.unwrap_or(backend.port());
        let address = SocketAddr::new(target.alias.unwrap_or(name), port);
        Self { address, name, is_alias: target.alias.is_some() }
    }

    /// One that is asked by its own address.
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
