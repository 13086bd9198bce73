//! Stream sockets, TCP or Unix: making, reading, writing and ending them. None blocks.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::Duration,
};

use nix::sys::socket::sockopt::IpBindAddressNoPort;
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, Shutdown, SocketFlags, sockopt},
};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::header::Ends;
use crate::config::proxy::{Place, Sockets};

/// As many as the kernel allows (`net.core.somaxconn`).
const BACKLOG: i32 = i32::MAX;

/// A connected socket, or one that is being connected.
#[derive(Debug)]
pub(super) struct Stream(OwnedFd);

impl Stream {
    /// Reads what is there, as far as there is room; 0: the peer has ended.
    pub(super) fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        retry(|| rustix::net::recv(&self.0, &mut *buffer, RecvFlags::empty()).map(|(read, _)| read))
    }

    /// Sends as much as the kernel takes. If its end follows at once, the last packet waits for that, so that
    /// one packet says both.
    pub(super) fn send(&self, bytes: &[u8], end_follows: bool) -> Result<usize, Errno> {
        let more = if end_follows { SendFlags::MORE } else { SendFlags::empty() };
        retry(|| rustix::net::send(&self.0, bytes, SendFlags::NOSIGNAL | more))
    }

    /// Ends the own direction.
    pub(super) fn end(&self) -> Result<(), Errno> {
        rustix::net::shutdown(&self.0, Shutdown::Write)
    }

    /// How connecting has ended, or what else has happened.
    pub(super) fn outcome(&self) -> Result<(), Errno> {
        sockopt::socket_error(&self.0)?
    }

    /// Makes closing it a reset: the peer sees that the stream was not complete. What the kernel has
    /// not sent yet is lost. A Unix socket has no such end.
    pub(super) fn reset_on_close(&self) {
        if let Err(error) = sockopt::set_socket_linger(&self.0, Some(Duration::ZERO)) {
            tracing::debug!(%error, "a connection ends without a reset");
        }
    }

    /// Both addresses, on TCP.
    pub(super) fn ends(&self) -> Option<Ends> {
        let socket = SockRef::from(&self.0);
        let source = socket.peer_addr().ok()?.as_socket()?;
        Some(Ends { source, destination: socket.local_addr().ok()?.as_socket()? })
    }

    pub(super) fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

/// Accepts a connection, with the client's address on TCP. It has the listening socket's options.
pub(super) fn accept(listener: BorrowedFd<'_>) -> Result<(Stream, Option<SocketAddr>), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, address) = retry(|| rustix::net::acceptfrom_with(listener, flags))?;
    Ok((Stream(socket), address.and_then(|it| it.try_into().ok())))
}

/// Begins to connect. Gives whether it is done.
pub(super) fn connect(to: &Place, options: &Sockets) -> io::Result<(Stream, bool)> {
    let (domain, address) = address(to)?;
    let socket = Socket::new(domain, Type::STREAM.nonblocking(), None)?;
    if let Place::Tcp(to) = to {
        set_options(socket.as_fd(), options)?;
        if let Some(from) = options.source.iter().find(|it| it.is_ipv4() == to.is_ipv4()) {
            bind_source(&socket, *from)?;
        }
    }
    let done = match socket.connect(&address) {
        Ok(()) => true,
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => false,
        Err(error) => return Err(error),
    };
    Ok((Stream(socket.into()), done))
}

/// The port is chosen by connecting, so that it need not differ from those to other places.
fn bind_source(socket: &Socket, from: IpAddr) -> io::Result<()> {
    nix::sys::socket::setsockopt(socket, IpBindAddressNoPort, &true)?;
    socket.bind(&SocketAddr::new(from, 0).into())
}

/// Makes a listening socket. On TCP, others can be bound to the same address.
pub(super) fn listen(at: &Place) -> io::Result<OwnedFd> {
    let (domain, address) = address(at)?;
    let socket = Socket::new(domain, Type::STREAM.nonblocking(), None)?;
    match at {
        Place::Tcp(at) => {
            socket.set_reuse_address(true)?;
            socket.set_reuse_port(true)?;
            if at.is_ipv6() {
                socket.set_only_v6(true)?;
            }
        }
        Place::Unix(path) => remove_stale(path)?,
    }
    socket.bind(&address)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Sets a listening socket, from whatever it was, to what is configured: its connections inherit it.
pub(super) fn set_listener(at: &Place, fd: BorrowedFd<'_>, options: &Sockets) -> io::Result<()> {
    rustix::io::ioctl_fionbio(fd, true)?;
    if matches!(at, Place::Tcp(_)) {
        // It may come from a process or a configuration that wanted them.
        sockopt::set_tcp_nodelay(fd, options.nodelay)?;
        sockopt::set_socket_keepalive(fd, options.keepalive.is_some())?;
        set_options(fd, options)?;
    }
    Ok(())
}

fn set_options(fd: BorrowedFd<'_>, options: &Sockets) -> io::Result<()> {
    if options.nodelay {
        sockopt::set_tcp_nodelay(fd, true)?;
    }
    if let Some(idle) = options.keepalive {
        sockopt::set_socket_keepalive(fd, true)?;
        sockopt::set_tcp_keepidle(fd, idle)?;
    }
    Ok(())
}

fn address(place: &Place) -> io::Result<(Domain, SockAddr)> {
    match place {
        Place::Tcp(socket) => Ok((Domain::for_address(*socket), (*socket).into())),
        Place::Unix(path) => Ok((Domain::UNIX, SockAddr::unix(path)?)),
    }
}

/// Removes a socket's file if nobody listens there any more.
fn remove_stale(path: &Path) -> io::Result<()> {
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // A living socket or another file is in the way: binding says so.
        Ok(_) | Err(_) => Ok(()),
    }
}
