//! Waiting for sockets that have something to read.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::Errno,
};

/// Waiting ends after 20 ms, so that whoever waits can see whether it is to end.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// Sockets at once.
const EVENTS: usize = 256;

/// Sockets, each with a key. One that is closed is not waited for any more.
pub(super) struct Readable {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Readable {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS) })
    }

    pub(super) fn add(&self, socket: impl AsFd, key: usize) -> io::Result<()> {
        let data = EventData::new_u64(key as u64);
        Ok(epoll::add(&self.epoll, socket, data, EventFlags::IN)?)
    }

    /// Adds the keys of those that can be read; none if that takes too long.
    pub(super) fn wait(&mut self, keys: &mut Vec<usize>) -> io::Result<()> {
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&PATIENCE)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        keys.extend(self.events.drain(..).map(|Event { data, .. }| data.u64() as usize));
        Ok(())
    }
}
