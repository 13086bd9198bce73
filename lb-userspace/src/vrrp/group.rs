//! Virtual routers that move together (keepalived: `vrrp_sync_group`).
//!
//! Three rules make them one:
//!
//! * A member in fault puts all in fault, until none is.
//! * A member that gives way makes all give way.
//! * They take over when the last of them may: each has lost its master, or has one to preempt. If the
//!   first took over for all, then two routers that fail to hear each other on one of several links would
//!   throw the addresses back and forth for ever: each time that one takes over because of that link, it
//!   gives way because of the others.
//!
//! A virtual router by itself is a group of one, for which all this says nothing.

#[cfg(test)]
mod tests;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{
    packet::{Advert, Reject, Unsendable},
    sm::{Action, Cause, Handover, Machine, Settings, Standing, State},
};

/// What is to be done, in this order, each by the member of this index.
pub type Actions = Vec<(usize, Action)>;

/// Virtual routers that move together.
#[derive(Clone, Debug)]
pub struct Group {
    members: Vec<Member>,
    /// How often it has given way.
    yields: u32,
}

#[derive(Clone, Debug)]
struct Member {
    machine: Machine,
    /// What tracking leaves of this member by itself, if that is known.
    standing: Option<Standing>,
}

impl Group {
    /// A group whose members are in fault until all their standings are set.
    pub fn new(members: impl IntoIterator<Item = Settings>) -> Result<Self, Unsendable> {
        let new = |settings| Ok(Member { machine: Machine::new(settings)?, standing: None });
        let members = members.into_iter().map(new).collect::<Result<_, _>>()?;
        Ok(Self { members, yields: 0 })
    }

    /// Goes on for the machines of another group, see [`Machine::resume`]. A member without a handover is
    /// new: when its standing has been set, it follows a group that is master as soon as it finds no
    /// better master on its own link.
    pub fn resume(
        members: impl IntoIterator<Item = (Settings, Option<Handover>)>,
        now: Instant,
    ) -> Result<(Self, Actions), Unsendable> {
        let mut group = Self { members: Vec::new(), yields: 0 };
        let mut all = Actions::new();
        for (index, (settings, handover)) in members.into_iter().enumerate() {
            let (machine, standing, actions) = match handover {
                Some(handover) => {
                    let (machine, actions) = Machine::resume(settings, handover, now)?;
                    (machine, Some(handover.standing), actions)
                }
                None => (Machine::new(settings)?, None, Vec::new()),
            };
            group.members.push(Member { machine, standing });
            all.extend(of(index, actions));
        }
        Ok((group, all))
    }

    /// The members, in the order of their settings.
    #[must_use]
    pub fn machines(&self) -> impl ExactSizeIterator<Item = &Machine> {
        self.members.iter().map(|member| &member.machine)
    }

    /// When [`Self::elapsed`] is to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let masters = self.machines().filter(|it| it.state() == State::Master);
        masters.filter_map(Machine::next_deadline).chain(self.may_take_over()).min()
    }

    /// An advert for the member came from another one's address.
    ///
    /// # Errors
    ///
    /// As [`Machine::received`]; there being no such member is [`Reject::UnknownInstance`].
    pub fn received(
        &mut self,
        index: usize,
        advert: &Advert,
        from: IpAddr,
        now: Instant,
    ) -> Result<Actions, Reject> {
        let member = self.members.get_mut(index).ok_or(Reject::UnknownInstance)?;
        let actions = member.machine.received(advert, from, now)?;
        let gave_way = actions.iter().any(|it| matches!(it, Action::Become(State::Backup, _)));
        let mut actions: Actions = of(index, actions).collect();
        if gave_way {
            actions.extend(self.give_way(now));
        }
        Ok(actions)
    }

    /// Time has passed. What [`Machine::elapsed`] says of waiting adverts holds for all members together.
    pub fn elapsed(&mut self, now: Instant) -> Actions {
        let take_over = self.may_take_over().is_some_and(|moment| moment <= now);
        self.each(|machine| match machine.state() {
            State::Backup if take_over => machine.take_over(now),
            State::Fault | State::Backup => Vec::new(),
            State::Master => machine.elapsed(now),
        })
    }

    /// Tracking says what it leaves of a member: see [`Machine::set_standing`].
    pub fn set_standing(&mut self, index: usize, standing: Standing, now: Instant) -> Actions {
        if let Some(member) = self.members.get_mut(index) {
            member.standing = Some(standing);
        }
        let fault = self.members.iter().any(|member| member.standing == Some(Standing::Fault));
        let known = self.members.iter().all(|member| member.standing.is_some());
        let mut all = Actions::new();
        for (index, Member { machine, standing }) in self.members.iter_mut().enumerate() {
            let cause = match standing {
                Some(Standing::Fault) => Cause::Fault,
                Some(Standing::Priority(_)) | None => Cause::Group,
            };
            let starts = machine.state() == State::Fault;
            let standing = match *standing {
                _ if fault => Standing::Fault,
                Some(standing) if known || !starts => standing,
                Some(_) | None => continue,
            };
            all.extend(of(index, machine.stand(standing, cause, now)));
        }
        all
    }

    /// Gives all addresses up by order: see [`Machine::release`].
    pub fn release(&mut self, now: Instant) -> Actions {
        self.each(|machine| machine.release(now))
    }

    /// Ends for good.
    #[must_use]
    pub fn stop(mut self, now: Instant) -> Actions {
        self.release(now)
    }

    /// When every member that is not master yet may become it; `None` if there is none such.
    fn may_take_over(&self) -> Option<Instant> {
        let waiting = self.machines().filter(|it| it.state() == State::Backup);
        waiting.filter_map(Machine::next_deadline).max()
    }

    /// All others follow one that gave way.
    ///
    /// Two routers may each be the better one on another link, by priority or by address. If both heard
    /// that at the same time, both would give way, wait equally long, take over together, and so on: so
    /// they wait for a while besides that differs by router and by time.
    fn give_way(&mut self, now: Instant) -> Actions {
        self.yields = self.yields.wrapping_add(1);
        let mut hasher = DefaultHasher::new();
        self.machines().for_each(|machine| machine.settings().source.hash(&mut hasher));
        self.yields.hash(&mut hasher);
        let fraction = (hasher.finish() >> 56) as u32;
        self.each(|machine| {
            let extra: Duration = machine.settings().interval * fraction / 256;
            machine.follow_group(extra, now)
        })
    }

    fn each(&mut self, mut act: impl FnMut(&mut Machine) -> Vec<Action>) -> Actions {
        let members = self.members.iter_mut().enumerate();
        members.flat_map(|(index, member)| of(index, act(&mut member.machine))).collect()
    }
}

fn of(index: usize, actions: Vec<Action>) -> impl Iterator<Item = (usize, Action)> {
    actions.into_iter().map(move |action| (index, action))
}
