//! The way of clients to sessions.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
};

use mio::{Interest, Token, unix::SourceFd};

use super::{LISTENER, Worker};
use crate::{
    config::proxy::Place,
    proxy::{
        listener::{Listener, Stop},
        live::Live,
        mail::Message,
        session::{Client, Session},
    },
};

/// How many clients a listener takes before it is the turn of sessions.
const BATCH: usize = 32;

impl Worker {
    /// Accepts from a socket from now on.
    pub(super) fn listen(&mut self, proxy: Arc<Live>, place: Place, socket: OwnedFd) {
        let (entry, fd) = (self.listeners.vacant_entry(), socket.as_raw_fd());
        let token = Token(LISTENER | entry.key());
        match self.core.registry.register(&mut SourceFd(&fd), token, Interest::READABLE) {
            Ok(()) => {
                let at = entry.key();
                let _listener = entry.insert(Listener { proxy, place, socket });
                self.crowds.push(at);
            }
            Err(error) => {
                let proxy = &proxy.name;
                tracing::error!(proxy, %place, %error, "a worker cannot wait for clients");
            }
        }
    }

    /// Accepts no more where `is_meant`. Those who wait already are served.
    pub(super) fn unlisten(&mut self, is_meant: impl Fn(&Listener) -> bool) {
        let meant = self.listeners.iter().filter(|(_, listener)| is_meant(listener));
        for at in meant.map(|(at, _)| at).collect::<Vec<_>>() {
            while let Stop::Turn = self.take_arrivals(at) {}
            let Some(listener) = self.listeners.try_remove(at) else { continue };
            let fd = listener.socket.as_raw_fd();
            // Closing it is not enough: other descriptors may stand for the same socket (epoll(7)).
            if let Err(error) = self.core.registry.deregister(&mut SourceFd(&fd)) {
                tracing::error!(%error, "a worker goes on to hear of a socket");
            }
        }
    }

    pub(super) fn accept(&mut self, at: usize) {
        match self.take_arrivals(at) {
            Stop::Turn => self.crowds.push(at),
            Stop::Exhausted => self.shortage.begin(self.core.now),
            Stop::Empty | Stop::Full => {}
        }
    }

    /// Tries all listeners again.
    pub(super) fn resume(&mut self) {
        for at in self.listeners.iter().map(|(at, _)| at).collect::<Vec<_>>() {
            self.accept(at);
        }
    }

    pub(super) fn look_for_descriptors(&mut self) {
        if std::mem::take(&mut self.core.exhausted) {
            self.shortage.begin(self.core.now);
        }
        if self.shortage.is_over(self.core.now) {
            for key in std::mem::take(&mut self.core.lacking) {
                self.drive(key, Session::seek_again);
            }
            self.resume();
        }
    }

    fn take_arrivals(&mut self, at: usize) -> Stop {
        let Some(listener) = self.listeners.get(at) else { return Stop::Empty };
        let proxy = Arc::clone(&listener.proxy);
        let limit = proxy.settings().max_connections;
        for _ in 0..BATCH {
            let Some(listener) = self.listeners.get(at) else { return Stop::Empty };
            match listener.accept(limit, &self.core.team) {
                Ok(client) => self.receive(&proxy, client),
                Err(stop) => return stop,
            }
            // Each needs another one for its backend before the next is accepted.
            if self.core.exhausted {
                return Stop::Exhausted;
            }
        }
        Stop::Turn
    }

    /// Serves a client, or leaves it to a worker that has less to do.
    fn receive(&mut self, proxy: &Arc<Live>, client: Client) {
        let (team, own) = (&self.core.team, self.core.worker);
        let chosen = team.idler(own).unwrap_or(own);
        team.gained(chosen);
        if chosen == own {
            return self.adopt(Arc::clone(proxy), client);
        }
        let message = Message::Adopt { proxy: Arc::clone(proxy), client };
        if let Some(Message::Adopt { proxy, client }) = team.post(chosen, message) {
            team.lost(chosen);
            team.gained(own);
            self.adopt(proxy, client);
        }
    }

    /// Serves a client that is counted.
    pub(super) fn adopt(&mut self, proxy: Arc<Live>, client: Client) {
        let id = self.next_id();
        let entry = self.sessions.vacant_entry();
        let key = entry.key();
        let session = Session::new(id, key, proxy, client, self.core.now);
        let _session = entry.insert(Box::new(session));
        self.drive(key, Session::begin);
    }
}
