//! A router that holds the addresses (RFC 9568 §6.4.3).

use std::time::Instant;

use super::{Action, Peer, Settings, schedule::Schedule};
use crate::vrrp::packet::RESIGNED;

#[derive(Clone, Debug)]
pub(super) struct Master {
    /// Until when it may still hear from whom it took over, once more.
    taken_over: Option<Instant>,
    /// When the next advert is due.
    due: Instant,
    schedule: Schedule,
    rival: Option<Rival>,
}

#[derive(Clone, Debug)]
struct Rival {
    peer: Peer,
    /// When it counts as gone.
    until: Instant,
}

impl Master {
    /// Has sent an advert and announced itself now.
    pub(super) fn begin(settings: &Settings, now: Instant) -> Self {
        let schedule = Schedule::begin(settings.announcements, now);
        let next = now + settings.interval;
        Self { taken_over: Some(next), due: next, schedule, rival: None }
    }

    /// Has sent an advert now, and announced itself long ago.
    pub(super) fn resume(settings: &Settings, now: Instant) -> Self {
        let schedule = Schedule::resume(settings.announcements, now);
        Self { schedule, taken_over: None, ..Self::begin(settings, now) }
    }

    pub(super) fn rival(&self) -> Option<Peer> {
        self.rival.as_ref().map(|rival| rival.peer)
    }

    pub(super) fn next_deadline(&self) -> Instant {
        let rival = self.rival.as_ref().map(|rival| rival.until);
        [rival, self.schedule.next_deadline()].into_iter().flatten().fold(self.due, Instant::min)
    }

    /// An advert has been sent out of turn, and counts as the one that was due.
    pub(super) fn sent(&mut self, settings: &Settings, now: Instant) {
        self.due = now + settings.interval;
    }

    /// Whether an advert is due. A late one does not shift those after it, unless it is as late as they.
    pub(super) fn is_due(&mut self, settings: &Settings, now: Instant) -> bool {
        if self.due > now {
            return false;
        }
        self.due += settings.interval;
        if self.due <= now {
            self.sent(settings, now);
        }
        true
    }

    /// Another master was heard, which must give way or has resigned. Returns whether it is a new rival.
    pub(super) fn challenged(
        &mut self,
        settings: &Settings,
        priority: u8,
        peer: Peer,
        now: Instant,
    ) -> bool {
        if self.taken_over.is_some_and(|end| now <= end) {
            return false;
        }
        // The other may have told the link that the addresses are its own.
        self.schedule.ask(now);
        if peer.priority == RESIGNED {
            if let Some(rival) = self.rival.as_mut().filter(|it| it.peer.address == peer.address) {
                rival.until = now;
            }
            return false;
        }
        let until = now + settings.master_down(priority, peer.interval);
        self.rival.replace(Rival { peer, until }).is_none()
    }

    /// What is due besides adverts.
    pub(super) fn elapsed(&mut self, now: Instant) -> Vec<Action> {
        let gone = self.rival.take_if(|rival| rival.until <= now);
        if gone.is_some() {
            self.schedule.ask(now);
        }
        let announcement = self.schedule.elapsed(now).map(|copies| Action::Announce { copies });
        gone.map(|rival| Action::RivalGone(rival.peer)).into_iter().chain(announcement).collect()
    }
}
