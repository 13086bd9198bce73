//! What a forwarder leaves to the program that goes on for it.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
};

use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};

use super::message::Duties;
use crate::{
    config::proxy::Place,
    proxy::{Listener, mysql::Past},
};

/// All of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Legacy {
    /// What it was there for.
    pub(super) duties: Duties,
    /// Where it listened, and the numbers of the open sockets.
    listeners: Vec<(Place, RawFd)>,
    /// The primaries of its database servers.
    #[serde(default)]
    pub(super) primaries: BTreeMap<String, Past>,
}

impl Legacy {
    /// The sockets are those of [`Legacy::listeners`]; they must stay open until the other program has them.
    pub(super) fn new(
        duties: Duties,
        sockets: &[Listener],
        primaries: BTreeMap<String, Past>,
    ) -> io::Result<Self> {
        let pass = |Listener { place, socket }: &Listener| {
            fcntl_setfd(socket, FdFlags::empty())?;
            Ok((place.clone(), socket.as_raw_fd()))
        };
        let listeners = sockets.iter().map(pass).collect::<io::Result<_>>()?;
        Ok(Self { duties, listeners, primaries })
    }

    /// The sockets, in the program that has inherited them. To be called once.
    pub(super) fn take_listeners(&mut self) -> io::Result<Vec<Listener>> {
        let take = |(place, number)| {
            let socket = take(number);
            fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
            Ok(Listener { place, socket })
        };
        self.listeners.drain(..).map(take).collect()
    }
}

/// The open socket of this number.
fn take(number: RawFd) -> OwnedFd {
    // SAFETY: the forwarder before left it open for this one, and nothing else has the number.
    unsafe { OwnedFd::from_raw_fd(number) }
}
