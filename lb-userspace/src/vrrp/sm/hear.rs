//! What an advert of another router does.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{Action, Cause, Machine, Peer, Role, Settings, State, backup::Backup};
use crate::vrrp::packet::{Advert, RESIGNED, Reject, Version};

/// No version can say a longer interval.
const LONGEST_INTERVAL: Duration = Duration::from_secs(255);

impl Machine {
    /// An advert for this virtual router came from another one's address.
    pub fn received(
        &mut self,
        advert: &Advert,
        from: IpAddr,
        now: Instant,
    ) -> Result<Vec<Action>, Reject> {
        self.judge(advert, from)?;
        self.counters.received += 1;
        self.counters.resignations_received += u64::from(advert.priority == RESIGNED);
        self.counters.other_addresses += u64::from(!self.has_addresses_of(advert));
        let (priority, interval) = (advert.priority, advert.interval.min(LONGEST_INTERVAL));
        let peer = Peer { address: from, priority, interval, heard: now };
        let own = self.priority();
        Ok(match &mut self.role {
            Role::Fault => Vec::new(),
            Role::Backup(backup) => {
                backup.hear(&self.settings, own, peer, now);
                Vec::new()
            }
            Role::Master(_) if (priority, from) > (own, self.settings.source) => {
                self.give_way(peer, now)
            }
            Role::Master(_) => self.stand_firm(peer, now),
        })
    }

    fn judge(&self, advert: &Advert, from: IpAddr) -> Result<(), Reject> {
        let Settings { version, interval, source, .. } = self.settings;
        if advert.version != version {
            Err(Reject::OtherVersion)
        } else if from == source {
            Err(Reject::OwnAddress)
        } else if version == Version::V2 && advert.interval != interval {
            Err(Reject::OtherInterval)
        } else {
            Ok(())
        }
    }

    fn has_addresses_of(&self, advert: &Advert) -> bool {
        let own = &self.settings.addresses;
        // In any order, which is rarely another.
        advert.addresses == *own
            || advert.addresses.len() == own.len()
                && advert.addresses.iter().all(|address| own.contains(address))
    }

    fn give_way(&mut self, peer: Peer, now: Instant) -> Vec<Action> {
        let own = self.priority();
        let cause = if peer.priority > own { Cause::HigherPriority } else { Cause::Rival };
        // The winner cannot know that there were two of them unless it hears this one once more: it then
        // tells the link again who has the addresses (keepalived: `higher_prio_send_advert`).
        let farewell = self.advert();
        let backup = self.waiting(peer.interval, now);
        self.leave(Backup { master: Some(peer), ..backup });
        vec![farewell, Action::Become(State::Backup, cause)]
    }

    /// Hears a master that resigns or that must give way, and answers with an advert.
    fn stand_firm(&mut self, peer: Peer, now: Instant) -> Vec<Action> {
        let (own, settings) = (self.priority(), &self.settings);
        let Role::Master(master) = &mut self.role else { return Vec::new() };
        if peer.priority == RESIGNED {
            master.sent(settings, now);
        }
        let new = master.challenged(settings, own, peer, now);
        let others = master.elapsed(now);
        self.counters.rivals += u64::from(new);
        let rival = new.then_some(Action::Rival(peer));
        [self.advert()].into_iter().chain(rival).chain(others).collect()
    }
}
