//! One virtual router on one interface as a state machine, without I/O and clock: RFC 9568 §6.4, with what
//! users of keepalived expect besides.

mod backup;
mod hear;
mod master;
mod schedule;
mod settings;
#[cfg(test)]
mod tests;
mod words;

use std::time::{Duration, Instant};

use self::{backup::Backup, master::Master};
pub use self::{
    settings::{Announcements, Settings},
    words::{Action, Cause, Counters, Handover, Peer, Standing, State},
};
use super::packet::{RESIGNED, Unsendable};

/// One virtual router on one interface. A driver runs it in a [`super::Group`], if only of one.
#[derive(Clone, Debug)]
pub struct Machine {
    settings: Settings,
    standing: Standing,
    /// Whether it has taken part before.
    started: bool,
    role: Role,
    counters: Counters,
}

#[derive(Clone, Debug)]
enum Role {
    Fault,
    Backup(Backup),
    Master(Master),
}

impl Machine {
    /// A machine in [`State::Fault`], until [`Self::set_standing`] says what tracking leaves of it: thus it
    /// cannot take the addresses before that is known.
    pub fn new(settings: Settings) -> Result<Self, Unsendable> {
        settings.check()?;
        Ok(Self {
            settings,
            standing: Standing::Fault,
            started: false,
            role: Role::Fault,
            counters: Counters::default(),
        })
    }

    /// Goes on for another machine, whose process ends or whose settings were others. A master sends an
    /// advert at once and does not announce itself; a backup gives the master the whole time to be heard.
    pub fn resume(
        settings: Settings,
        handover: Handover,
        now: Instant,
    ) -> Result<(Self, Vec<Action>), Unsendable> {
        let Handover { state, standing, started, released, counters } = handover;
        let mut machine = Self { standing, counters, ..Self::new(settings)? };
        machine.started = started;
        let (state, mut actions) =
            (if standing == Standing::Fault { State::Fault } else { state }, vec![]);
        match state {
            State::Fault => {}
            State::Backup => {
                let backup = machine.waiting(machine.settings.interval, now);
                machine.role = Role::Backup(Backup { released, ..backup });
            }
            State::Master => {
                machine.role = Role::Master(Master::resume(&machine.settings, now));
                actions.push(machine.advert());
            }
        }
        Ok((machine, actions))
    }

    /// What [`Self::resume`] needs.
    #[must_use]
    pub fn handover(&self) -> Handover {
        let released = match &self.role {
            Role::Backup(backup) => backup.released,
            Role::Fault | Role::Master(_) => false,
        };
        let (state, standing, counters) = (self.state(), self.standing, self.counters);
        Handover { state, standing, started: self.started, released, counters }
    }

    /// What it is configured with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What it is.
    #[must_use]
    pub fn state(&self) -> State {
        match self.role {
            Role::Fault => State::Fault,
            Role::Backup(_) => State::Backup,
            Role::Master(_) => State::Master,
        }
    }

    /// The priority that it has or would have: the configured one after tracking.
    #[must_use]
    pub fn priority(&self) -> u8 {
        match self.standing {
            Standing::Fault => self.settings.priority,
            Standing::Priority(priority) => self.settings.tracked(priority),
        }
    }

    /// The other router that matters: for a backup the master, for a master its rival.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        match &self.role {
            Role::Fault => None,
            Role::Backup(backup) => backup.master,
            Role::Master(master) => master.rival(),
        }
    }

    /// What has happened.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// When [`Self::elapsed`] is to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        match &self.role {
            Role::Fault => None,
            Role::Backup(backup) => Some(backup.until),
            Role::Master(master) => Some(master.next_deadline()),
        }
    }

    /// Time has passed.
    ///
    /// Whatever the socket holds is to be given to [`Self::received`] first, for every machine on it: a
    /// process that was not scheduled for a while finds its deadline passed and the adverts that would
    /// have moved it waiting. A backup that looked at the clock first would become a second master.
    pub fn elapsed(&mut self, now: Instant) -> Vec<Action> {
        let (advert_due, others) = match &mut self.role {
            Role::Backup(backup) if backup.until <= now => return self.take_over(now),
            Role::Fault | Role::Backup(_) => return Vec::new(),
            Role::Master(master) => (master.is_due(&self.settings, now), master.elapsed(now)),
        };
        advert_due.then(|| self.advert()).into_iter().chain(others).collect()
    }

    /// Tracking says what it leaves of this router. A master whose priority changes goes on, and says the
    /// new one at once: who may take over by it decides so.
    pub fn set_standing(&mut self, standing: Standing, now: Instant) -> Vec<Action> {
        self.stand(standing, Cause::Fault, now)
    }

    /// Gives the addresses up by order, if it has them, until whoever takes them is lost: it does not
    /// preempt. If nobody takes them, it takes them back after an advert interval more than others need.
    pub fn release(&mut self, now: Instant) -> Vec<Action> {
        if self.state() != State::Master {
            return Vec::new();
        }
        let backup = self.waiting(self.settings.interval, now);
        let until = backup.until + self.settings.interval;
        let resignation = self.send(RESIGNED);
        self.leave(Backup { until, released: true, ..backup });
        vec![resignation, Action::Become(State::Backup, Cause::Ordered)]
    }

    /// Ends for good.
    #[must_use]
    pub fn stop(mut self, now: Instant) -> Vec<Action> {
        self.release(now)
    }

    /// Becomes master.
    pub(super) fn take_over(&mut self, now: Instant) -> Vec<Action> {
        let Role::Backup(Backup { cause, .. }) = self.role else { return Vec::new() };
        self.role = Role::Master(Master::begin(&self.settings, now));
        self.counters.became_master += 1;
        // The advert first: the sooner others hear it, the fewer take over as well.
        let copies = self.settings.announcements.copies;
        vec![self.advert(), Action::Become(State::Master, cause), Action::Announce { copies }]
    }

    /// Gives the addresses up, if it has them, because its group does, and waits longer by `extra`.
    pub(super) fn follow_group(&mut self, extra: Duration, now: Instant) -> Vec<Action> {
        if self.state() != State::Master {
            return Vec::new();
        }
        let backup = self.waiting(self.settings.interval, now);
        let until = backup.until + extra;
        let resignation = self.send(RESIGNED);
        self.leave(Backup { until, ..backup });
        vec![resignation, Action::Become(State::Backup, Cause::Group)]
    }

    /// [`Self::set_standing`], with the cause of a fault.
    pub(super) fn stand(&mut self, standing: Standing, fault: Cause, now: Instant) -> Vec<Action> {
        let before = self.priority();
        self.standing = standing;
        match (standing, self.state()) {
            (Standing::Fault, State::Fault) | (Standing::Priority(_), State::Backup) => Vec::new(),
            (Standing::Fault, state) => {
                let resigns = state == State::Master;
                let resignation = resigns.then(|| self.send(RESIGNED));
                self.counters.left_master += u64::from(resigns);
                self.role = Role::Fault;
                let action = Action::Become(State::Fault, fault);
                resignation.into_iter().chain([action]).collect()
            }
            (Standing::Priority(_), State::Fault) => self.start(now),
            (Standing::Priority(_), State::Master) if self.priority() == before => Vec::new(),
            (Standing::Priority(_), State::Master) => {
                if let Role::Master(master) = &mut self.role {
                    master.sent(&self.settings, now);
                }
                vec![self.advert()]
            }
        }
    }

    fn start(&mut self, now: Instant) -> Vec<Action> {
        let cause = if self.started { Cause::Recovered } else { Cause::Started };
        self.started = true;
        let mut backup = self.waiting(self.settings.interval, now);
        if self.settings.is_owner() {
            (backup.until, backup.cause) = (now, cause);
        }
        self.role = Role::Backup(backup);
        vec![Action::Become(State::Backup, cause)]
    }

    /// A backup that has heard nothing yet of a master with this interval.
    fn waiting(&self, interval: Duration, now: Instant) -> Backup {
        Backup::new(&self.settings, self.priority(), interval, now)
    }

    fn leave(&mut self, backup: Backup) {
        self.counters.left_master += 1;
        self.role = Role::Backup(backup);
    }

    fn advert(&mut self) -> Action {
        self.send(self.priority())
    }

    fn send(&mut self, priority: u8) -> Action {
        self.counters.sent += 1;
        self.counters.resignations_sent += u64::from(priority == RESIGNED);
        Action::Send { priority }
    }
}
