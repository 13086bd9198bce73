//! One virtual router, with what its orders do to the node.

use serde::{Deserialize, Serialize};

use super::{
    track::Tracking,
    wire::{Tools, Wire},
};
use crate::{
    companion::unix_now,
    config::{
        Vrrp,
        vrrp::{Checksum, Tracked},
    },
    vrrp::{
        Advert, Cause, Dialect, Handover, Settings, Standing, State, Unsendable, packet::encode,
    },
};

/// One virtual router.
pub(super) struct Member {
    pub(super) config: Vrrp,
    pub(super) tracking: Tracking,
    pub(super) wire: Option<Wire>,
    /// Why its link cannot be used.
    pub(super) missing: Option<String>,
    /// What the kernel refused last.
    pub(super) failure: Option<String>,
    pub(super) dialect: Dialect,
    pub(super) since: u64,
    pub(super) cause: Option<Cause>,
}

/// What a virtual router was in another process, or before its configuration changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Past {
    pub(super) handover: Handover,
    pub(super) since: u64,
    pub(super) cause: Option<Cause>,
    pub(super) dialect: Option<Dialect>,
    /// What was seen of what it tracks.
    pub(super) seen: Vec<(Tracked, bool)>,
}

impl Member {
    pub(super) fn new(config: Vrrp, past: Option<&Past>) -> Self {
        let usual = match config.checksum {
            Checksum::Auto | Checksum::PseudoHeader => Dialect::PseudoHeader,
            Checksum::Plain => Dialect::Plain,
        };
        let heard = past.and_then(|past| past.dialect);
        let dialect = heard.filter(|_| config.checksum == Checksum::Auto).unwrap_or(usual);
        let seen = past.map_or(&[][..], |past| &past.seen);
        let tracking = Tracking::resume(config.priority, &config.tracks, seen);
        Self {
            tracking,
            config,
            wire: None,
            missing: None,
            failure: None,
            dialect,
            since: past.map_or_else(unix_now, |past| past.since),
            cause: past.and_then(|past| past.cause),
        }
    }

    pub(super) fn settings(&self) -> Result<Settings, Unsendable> {
        let unspecified = if self.config.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let source = self.wire.as_ref().map_or(unspecified, |wire| wire.place().source);
        self.config.settings(source).ok_or(Unsendable::NoAddresses)
    }

    /// What is left of it by tracking, and by its link.
    pub(super) fn standing(&self) -> Standing {
        if self.missing.is_some() { Standing::Fault } else { self.tracking.standing() }
    }

    /// Where it speaks.
    pub(super) fn hears(&self, index: u32, advert: &Advert, is_v4: bool) -> bool {
        let here = self.wire.as_ref().is_some_and(|wire| wire.place().index == index);
        here && self.config.id == advert.vrid.number() && self.config.is_ipv4() == is_v4
    }

    /// The interface and family that it must be heard on.
    pub(super) fn ear(&self) -> Option<(u32, bool, &str)> {
        let index = self.wire.as_ref()?.place().index;
        Some((index, self.config.is_ipv4(), &self.config.interface))
    }

    pub(super) fn send(&mut self, advert: &Advert, tools: &Tools) {
        let Some(wire) = &self.wire else { return };
        for to in wire.destinations(&self.config) {
            let message = encode(advert, wire.place().source, to, self.dialect);
            let sent = message
                .map_err(std::io::Error::other)
                .and_then(|message| wire.send(&message, to, tools));
            match sent {
                Ok(()) => self.failure = None,
                Err(error) => self.failure = Some(format!("an advert to {to}: {error}")),
            }
        }
    }

    /// Takes the addresses, or gives them up.
    pub(super) async fn enter(&mut self, state: State, tools: &mut Tools) {
        let Some(wire) = &self.wire else { return };
        let done = match state {
            State::Master => wire.take(&self.config.addresses, tools).await,
            State::Backup | State::Fault => wire.give_up(&self.config.addresses, tools).await,
        };
        self.failure = done.err().map(|error| error.to_string());
    }

    pub(super) fn announce(&mut self, copies: u8, tools: &Tools) {
        let Some(wire) = &self.wire else { return };
        if let Err(error) = wire.announce(&self.config.addresses, copies, tools) {
            self.failure = Some(format!("the announcement of its addresses: {error}"));
        }
    }
}
