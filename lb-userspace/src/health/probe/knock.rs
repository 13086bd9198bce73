//! TCP checks: whether a connection would be accepted, by sockets that are used again.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    sync::{Mutex, PoisonError},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketFlags, SocketType, bind, connect, connect_unspec, socket_with,
        sockopt::set_tcp_quickack,
    },
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{Failure, Host};

/// Sockets of checks that have ended: to make one and to close it takes as long as a handshake.
#[derive(Debug, Default)]
pub(super) struct Knocks {
    v4: Mutex<Vec<OwnedFd>>,
    v6: Mutex<Vec<OwnedFd>>,
}

impl Knocks {
    /// Learns whether a connection would be accepted. The handshake's last acknowledgement waits for
    /// data that never come, so that the reset comes instead of it: the server's kernel answers, and its
    /// program is not bothered. As HAProxy's TCP checks do.
    pub(super) async fn knock(&self, host: Host) -> Result<(), Failure> {
        let knock = self.take(host.address).map_err(Failure::Connect)?;
        knock.connect(host).await.map_err(Failure::Connect)
    }

    fn take(&self, address: SocketAddr) -> io::Result<Knock<'_>> {
        let (idle, family) = match address {
            SocketAddr::V4(_) => (&self.v4, AddressFamily::INET),
            SocketAddr::V6(_) => (&self.v6, AddressFamily::INET6),
        };
        let used = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let socket = if let Some(socket) = used {
            socket
        } else {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            socket_with(family, SocketType::STREAM, flags, None)?
        };
        Ok(Knock { socket: Some(socket), idle })
    }
}

/// A socket under way; it goes back however the check ends.
struct Knock<'a> {
    socket: Option<OwnedFd>,
    idle: &'a Mutex<Vec<OwnedFd>>,
}

impl Knock<'_> {
    async fn connect(&self, host: Host) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        // The kernel forgets it with each connection.
        set_tcp_quickack(socket, false)?;
        if let Some(any) = host.port_of_its_own() {
            bind(socket, &any)?;
        }
        match connect(socket, &host.address) {
            Ok(()) => return Ok(()),
            Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        // Watched from here on only: tokio does not forget that an unconnected socket was hung up.
        // SAFETY: the descriptor is the socket's, which outlives the borrow.
        let watched =
            unsafe { AsyncFd::register_with_interest(socket.as_fd(), Interest::WRITABLE)? };
        loop {
            let mut ready = watched.writable().await?;
            match connect(socket, &host.address) {
                // Asked again, the kernel says how it went.
                Ok(()) | Err(Errno::ISCONN) => return Ok(()),
                Err(Errno::ALREADY) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Knock<'_> {
    /// Ends a connection by a reset, which leaves no `TIME_WAIT` behind.
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take()
            && connect_unspec(&socket).is_ok()
        {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
        }
    }
}
