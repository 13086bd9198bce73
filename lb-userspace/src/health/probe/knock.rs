//! TCP checks: whether a connection would be accepted, by sockets that are used again.

use std::{
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
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

use super::{Failure, Peer};

/// Sockets of checks that have ended: to make one, to watch it and to close it takes as long as a
/// handshake.
#[derive(Debug, Default)]
pub(super) struct Knocks {
    v4: Mutex<Vec<AsyncFd<OwnedFd>>>,
    v6: Mutex<Vec<AsyncFd<OwnedFd>>>,
}

impl Knocks {
    /// Learns whether a connection would be accepted. The handshake's last acknowledgement waits for
    /// data that never come, so that the reset comes instead of it: the server's kernel answers, and its
    /// program is not bothered. As HAProxy's TCP checks do.
    pub(super) async fn knock(&self, peer: Peer) -> Result<(), Failure> {
        let knock = self.take(peer.address).map_err(Failure::Connect)?;
        knock.connect(peer).await.map_err(Failure::Connect)
    }

    fn take(&self, address: SocketAddr) -> io::Result<Knock<'_>> {
        let (idle, family) = match address {
            SocketAddr::V4(_) => (&self.v4, AddressFamily::INET),
            SocketAddr::V6(_) => (&self.v6, AddressFamily::INET6),
        };
        let used = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let socket = match used {
            Some(socket) => socket,
            None => {
                let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
                let socket = socket_with(family, SocketType::STREAM, flags, None)?;
                // SAFETY: the descriptor is the socket's own, open until the `AsyncFd` ends.
                unsafe { AsyncFd::register_with_interest(socket, Interest::WRITABLE)? }
            }
        };
        Ok(Knock { socket: Some(socket), idle })
    }
}

/// A socket under way; it goes back however the check ends.
struct Knock<'a> {
    socket: Option<AsyncFd<OwnedFd>>,
    idle: &'a Mutex<Vec<AsyncFd<OwnedFd>>>,
}

impl Knock<'_> {
    async fn connect(&self, peer: Peer) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        // The kernel forgets it with each connection.
        set_tcp_quickack(socket, false)?;
        if let Some(any) = peer.port_of_its_own() {
            bind(socket, &any)?;
        }
        loop {
            match connect(socket, &peer.address) {
                // Asked again, the kernel says how it went.
                Ok(()) | Err(Errno::ISCONN) => return Ok(()),
                Err(Errno::INPROGRESS | Errno::ALREADY) => {}
                Err(error) => return Err(error.into()),
            }
            // What was so before the question says nothing of the answer.
            let mut ready = socket.writable().await?;
            ready.clear_ready();
        }
    }
}

impl Drop for Knock<'_> {
    /// Ends a connection by a reset, which leaves no TIME_WAIT behind.
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take()
            && connect_unspec(&socket).is_ok()
        {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
        }
    }
}
