//! Which sockets are opened, kept and closed when orders change.

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use super::{Engine, EngineError, Hosted, Listener};
use crate::{
    config::proxy::{Place, Proxy},
    proxy::{
        Order,
        mail::{Message, Team},
        stream,
    },
};

/// A listening socket, whose copy a worker has.
pub(super) struct Bound {
    place: Place,
    socket: OwnedFd,
}

/// A socket that is to be listened at.
pub(super) struct Fresh {
    pub(super) proxy: String,
    bound: Bound,
    /// The worker's.
    copy: OwnedFd,
}

impl Bound {
    pub(super) fn try_clone(&self) -> io::Result<Listener> {
        Ok(Listener { place: self.place.clone(), socket: self.socket.try_clone()? })
    }
}

impl Engine {
    /// Opens what the orders want and is not there.
    pub(super) fn open(
        &self,
        orders: &[Order],
        mut taken: Vec<Listener>,
    ) -> Result<Vec<Fresh>, EngineError> {
        let mut fresh = Vec::new();
        for Order { settings, .. } in orders {
            for place in &settings.listen {
                let hosted = self.proxies.get(&settings.name);
                if hosted.is_some_and(|it| it.bound.iter().any(|it| it.place == *place)) {
                    continue;
                }
                let sockets = self.sockets_at(place, settings, &mut taken);
                let pairs = sockets.and_then(|them| them.into_iter().map(pair).collect());
                let pairs: Vec<_> = pairs.map_err(|error| EngineError::Listen {
                    proxy: settings.name.clone(),
                    place: place.clone(),
                    error,
                })?;
                fresh.extend(pairs.into_iter().map(|(socket, copy)| Fresh {
                    proxy: settings.name.clone(),
                    bound: Bound { place: place.clone(), socket },
                    copy,
                }));
            }
        }
        Ok(fresh)
    }

    /// Sockets for a place: those that were taken over, those of a proxy that had it until now, or
    /// new ones.
    fn sockets_at(
        &self,
        place: &Place,
        settings: &Proxy,
        taken: &mut Vec<Listener>,
    ) -> io::Result<Vec<OwnedFd>> {
        let theirs = taken.extract_if(.., |it| it.place == *place);
        let mut sockets: Vec<OwnedFd> = theirs.map(|listener| listener.socket).collect();
        let others = self.proxies.values().flat_map(|hosted| &hosted.bound);
        for bound in others.filter(|it| it.place == *place) {
            sockets.push(bound.socket.try_clone()?);
        }
        if sockets.is_empty() {
            // The kernel spreads clients over the TCP sockets of one address; a path has one socket.
            let count = if matches!(place, Place::Tcp(_)) { self.team.len() } else { 1 };
            let listen = |_| stream::listen(place);
            sockets = (0..count).map(listen).collect::<io::Result<_>>()?;
        }
        for socket in &sockets {
            stream::set_listener(place, socket.as_fd(), &settings.sockets)?;
        }
        Ok(sockets)
    }

    /// Closes what the orders no longer want.
    pub(super) fn close(&mut self, orders: &[Order]) {
        let wanted_by = |name: &str| orders.iter().find(|it| it.settings.name == name);
        let wanted_at = |place: &Place| orders.iter().any(|it| it.settings.listen.contains(place));
        for (name, hosted) in &mut self.proxies {
            let wants = |place: &Place| {
                wanted_by(name).is_some_and(|order| order.settings.listen.contains(place))
            };
            for Bound { place, .. } in hosted.bound.extract_if(.., |it| !wants(&it.place)) {
                let proxy = &hosted.live;
                self.team.tell_all(|| Message::Unlisten {
                    proxy: Arc::clone(proxy),
                    place: place.clone(),
                });
                if let Place::Unix(path) = &place
                    && !wanted_at(&place)
                    && let Err(error) = fs::remove_file(path)
                {
                    tracing::warn!(%place, %error, "a socket that nobody listens at stays");
                }
            }
        }
        self.proxies.retain(|name, _| wanted_by(name).is_some());
    }
}

impl Hosted {
    /// Lets a worker accept from a new socket.
    pub(super) fn listen(&mut self, fresh: Fresh, team: &Team) {
        let Fresh { bound, copy, .. } = fresh;
        let (proxy, place) = (Arc::clone(&self.live), bound.place.clone());
        let worker = self.bound.len() % team.len();
        team.tell(worker, Message::Listen { proxy, place, socket: copy });
        self.bound.push(bound);
    }

    /// Sets what connections inherit from the sockets that stay.
    pub(super) fn set_options(&self, settings: &Proxy) {
        for Bound { place, socket } in &self.bound {
            if let Err(error) = stream::set_listener(place, socket.as_fd(), &settings.sockets) {
                let proxy = &settings.name;
                tracing::warn!(proxy, %place, %error, "socket options stay as they were");
            }
        }
    }
}

fn pair(socket: OwnedFd) -> io::Result<(OwnedFd, OwnedFd)> {
    let copy = socket.try_clone()?;
    Ok((socket, copy))
}
