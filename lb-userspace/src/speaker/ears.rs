//! All sockets that adverts are heard by, as one thing to wait for.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    os::fd::OwnedFd,
};

use rustix::event::epoll;
use tokio::io::{Interest, unix::AsyncFd};

use super::socket::{LONGEST, Receiver};
use crate::vrrp::{Advert, Dialect, Reject, packet::parse};

/// The receivers, by interface and family. What they have is read without waiting for each: the clock must
/// not come before what waits in any of them.
pub(super) struct Ears {
    poll: AsyncFd<OwnedFd>,
    receivers: BTreeMap<(u32, bool), (Receiver, String)>,
}

/// A message that has been heard.
pub(super) struct Heard {
    /// The interface's index.
    pub(super) index: u32,
    /// Its name.
    pub(super) interface: String,
    /// Who sent it.
    pub(super) from: IpAddr,
    /// What it says, and in which dialect.
    pub(super) advert: Result<(Advert, Dialect), Reject>,
}

impl Ears {
    pub(super) fn new() -> io::Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // SAFETY: the descriptor is owned, and stays open and the same for as long as it is registered.
        let poll = unsafe { AsyncFd::register_with_interest(poll, Interest::READABLE) }?;
        Ok(Self { poll, receivers: BTreeMap::new() })
    }

    /// Hears on these interfaces and families, by index, family (whether IPv4) and name.
    pub(super) fn set(&mut self, wanted: &BTreeSet<(u32, bool, &str)>) {
        let keys: BTreeSet<_> = wanted.iter().map(|(index, is_v4, _)| (*index, *is_v4)).collect();
        self.receivers.retain(|key, _| keys.contains(key));
        for &(index, is_v4, name) in wanted {
            if self.receivers.contains_key(&(index, is_v4)) {
                continue;
            }
            match self.open(index, is_v4, name) {
                Ok(receiver) => {
                    let _ = self.receivers.insert((index, is_v4), (receiver, name.to_owned()));
                }
                Err(error) => tracing::error!("no adverts are heard on {name}: {error}"),
            }
        }
    }

    fn open(&self, index: u32, is_v4: bool, name: &str) -> io::Result<Receiver> {
        let receiver = Receiver::open(name, index, is_v4)?;
        let data = epoll::EventData::new_u64(0);
        // A socket leaves the set when it is closed.
        epoll::add(self.poll.get_ref(), &receiver, data, epoll::EventFlags::IN)?;
        Ok(receiver)
    }

    /// Ready when there may be something to hear.
    pub(super) async fn ready(&self) {
        match self.poll.readable().await {
            Ok(mut guard) => guard.clear_ready(),
            Err(error) => {
                tracing::error!(%error, "adverts cannot be waited for");
                std::future::pending::<()>().await;
            }
        }
    }

    /// The next message that waits.
    pub(super) fn next(&self) -> Option<Heard> {
        let mut buffer = [0; LONGEST];
        self.receivers.iter().find_map(|(&(index, _), (receiver, name))| {
            let heard = receiver.next(&mut buffer);
            let (message, received) = heard.unwrap_or_else(|error| {
                tracing::debug!("{name}: {error}");
                None
            })?;
            let (interface, from) = (name.clone(), received.source);
            Some(Heard { index, interface, from, advert: parse(message, &received) })
        })
    }
}
