//! Virtual routers that move together.

use std::{net::IpAddr, time::Instant};

use super::{
    member::{Member, Past},
    message::{Noted, What},
    wire::{self, Tools, Wire},
};
use crate::{
    companion::unix_now,
    config::{
        Vrrp,
        vrrp::{Checksum, VirtualAddress},
    },
    topology::Topology,
    vrrp::{
        Action, Advert, Dialect, Group, Handover, Machine, Reject, State, Unsendable,
        packet::RESIGNED,
    },
};

/// Some virtual routers that move together.
pub(super) struct Team {
    group: Group,
    members: Vec<Member>,
    /// Whether their links have been looked for: until then, nobody knows how they stand.
    looked: bool,
}

impl Team {
    /// A team of these, which go on from what they were as soon as [`Self::see`] finds their links.
    pub(super) fn new(
        members: Vec<(Vrrp, Option<Past>)>,
        now: Instant,
    ) -> Result<Self, Unsendable> {
        let handovers: Vec<_> =
            members.iter().map(|(_, past)| past.as_ref().map(|it| it.handover)).collect();
        let members: Vec<_> =
            members.into_iter().map(|(config, past)| Member::new(config, past.as_ref())).collect();
        let mut team = Self { group: Group::new([])?, members, looked: false };
        // What is to be done is done then.
        let _actions = team.regroup(handovers.into_iter(), now)?;
        Ok(team)
    }

    /// Makes the machines anew, since what they were made with is otherwise.
    fn regroup(
        &mut self,
        handovers: impl Iterator<Item = Option<Handover>>,
        now: Instant,
    ) -> Result<Vec<(usize, Action)>, Unsendable> {
        let settings: Vec<_> =
            self.members.iter().map(Member::settings).collect::<Result<_, _>>()?;
        let (group, actions) = Group::resume(settings.into_iter().zip(handovers), now)?;
        self.group = group;
        Ok(actions)
    }

    /// The members, with their machines.
    pub(super) fn members(&self) -> impl Iterator<Item = (&Member, &Machine)> {
        self.members.iter().zip(self.group.machines())
    }

    pub(super) fn members_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.members.iter_mut()
    }

    /// What they are now, for whoever goes on for them.
    pub(super) fn pasts(&self) -> Vec<(String, Past)> {
        let past = |(member, machine): (&Member, &Machine)| {
            let (handover, dialect) = (machine.handover(), Some(member.dialect));
            let Member { config, tracking, since, cause, .. } = member;
            let (since, cause, seen) = (*since, *cause, tracking.seen(&config.tracks));
            (config.name.clone(), Past { handover, since, cause, dialect, seen })
        };
        self.members().map(past).collect()
    }

    /// When [`Self::elapse`] is to be called.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.group.next_deadline()
    }

    /// Brings the wires to where the node is now.
    pub(super) async fn see(
        &mut self,
        topology: &Topology,
        vips: &[IpAddr],
        tools: &mut Tools,
        notes: &mut Vec<Noted>,
    ) {
        let mut moved = !std::mem::replace(&mut self.looked, true);
        for member in &mut self.members {
            let missing = match wire::place(&member.config, topology, vips) {
                Ok(place) if member.wire.as_ref().map(Wire::place) == Some(&place) => Ok(()),
                Ok(place) => {
                    moved = true;
                    let opened = Wire::open(&member.config, place, tools).await;
                    opened.map(|wire| member.wire = Some(wire))
                }
                // The wire stays, so that the addresses can be taken from it.
                Err(error) => Err(error),
            };
            member.missing = missing.err().map(|error| error.to_string());
        }
        if moved {
            let handovers: Vec<_> = self.group.machines().map(|it| Some(it.handover())).collect();
            let now = Instant::now();
            match self.regroup(handovers.into_iter(), now) {
                Ok(actions) => self.carry_out(actions, tools, notes).await,
                Err(error) => tracing::error!(%error, "a virtual router cannot be run"),
            }
            self.sweep(tools).await;
        }
    }

    /// Takes away what an earlier process may have left where this node is not master. Where it is, the
    /// addresses or their MAC may be others than before: the link is told.
    async fn sweep(&mut self, tools: &mut Tools) {
        for (member, machine) in self.members.iter_mut().zip(self.group.machines()) {
            member.enter(machine.state(), tools).await;
            if machine.state() == State::Master {
                member.announce(member.config.announce.copies, tools);
            }
        }
    }

    /// Tells the machines what is left of the members now.
    pub(super) async fn weigh(&mut self, tools: &mut Tools, notes: &mut Vec<Noted>) {
        if !self.looked {
            return;
        }
        for index in 0..self.members.len() {
            let standing = self.members[index].standing();
            let actions = self.group.set_standing(index, standing, Instant::now());
            self.carry_out(actions, tools, notes).await;
        }
    }

    /// An advert has been heard on the link of a member.
    pub(super) async fn hear(
        &mut self,
        index: usize,
        (advert, dialect): (&Advert, Dialect),
        from: IpAddr,
        tools: &mut Tools,
        notes: &mut Vec<Noted>,
    ) -> Result<(), Reject> {
        let member = &mut self.members[index];
        if !member.config.peers.is_empty() && !member.config.peers.contains(&from) {
            return Err(Reject::UnknownInstance);
        }
        let actions = self.group.received(index, advert, from, Instant::now())?;
        if member.config.checksum == Checksum::Auto {
            member.dialect = dialect;
        }
        self.carry_out(actions, tools, notes).await;
        Ok(())
    }

    /// Time has passed.
    pub(super) async fn elapse(&mut self, tools: &mut Tools, notes: &mut Vec<Noted>) {
        let actions = self.group.elapsed(Instant::now());
        self.carry_out(actions, tools, notes).await;
    }

    /// Gives the addresses up by order.
    pub(super) async fn release(&mut self, tools: &mut Tools, notes: &mut Vec<Noted>) {
        let actions = self.group.release(Instant::now());
        self.carry_out(actions, tools, notes).await;
    }

    /// Ends for good.
    pub(super) async fn end(mut self, tools: &mut Tools, notes: &mut Vec<Noted>) {
        self.release(tools, notes).await;
        self.retire(|_| None, &[], tools).await;
    }

    /// Ends those without a successor; of the others, the addresses that are not kept on the same link.
    pub(super) async fn retire<'a>(
        mut self,
        successor: impl Fn(&Vrrp) -> Option<&'a Vrrp>,
        kept: &[VirtualAddress],
        tools: &mut Tools,
    ) {
        for (member, machine) in self.members.iter_mut().zip(self.group.machines()) {
            let successor = successor(&member.config);
            if successor.is_none() && machine.state() == State::Master {
                member.send(&machine.settings().advert(RESIGNED), tools);
            }
            let Some(wire) = member.wire.take() else { continue };
            let stays = successor.is_some_and(|it| it.virtual_mac == member.config.virtual_mac);
            let mut gone = member.config.addresses.clone();
            gone.retain(|address| !stays || !kept.contains(address));
            let retired = match wire.take_off(&gone, tools).await {
                Ok(()) if !stays => wire.close(tools).await,
                other => other,
            };
            if let Err(error) = retired {
                tracing::warn!("{}: {error}", member.config.name);
            }
        }
    }

    pub(super) async fn carry_out(
        &mut self,
        actions: Vec<(usize, Action)>,
        tools: &mut Tools,
        notes: &mut Vec<Noted>,
    ) {
        for (index, action) in actions {
            let settings = self.group.machines().nth(index).map(Machine::settings);
            let (Some(settings), Some(member)) = (settings, self.members.get_mut(index)) else {
                continue;
            };
            let mut note = |what| {
                notes.push(Noted { subject: member.config.name.clone(), what });
            };
            match action {
                Action::Send { priority } => {
                    let advert = settings.advert(priority);
                    member.send(&advert, tools);
                }
                Action::Become(state, cause) => {
                    note(What::Became(state, cause));
                    (member.since, member.cause) = (unix_now(), Some(cause));
                    member.enter(state, tools).await;
                }
                Action::Announce { copies } => member.announce(copies, tools),
                Action::Rival(peer) => note(What::Rival(peer.into())),
                Action::RivalGone(peer) => note(What::RivalGone(peer.into())),
            }
        }
    }
}

/// The virtual routers by what moves together, in the configuration's order.
pub(super) fn teams(config: &[Vrrp]) -> Vec<Vec<Vrrp>> {
    let mut teams: Vec<Vec<Vrrp>> = Vec::new();
    for router in config {
        let mate = |team: &&mut Vec<Vrrp>| router.group.is_some() && team[0].group == router.group;
        match teams.iter_mut().find(mate) {
            Some(team) => team.push(router.clone()),
            None => teams.push(vec![router.clone()]),
        }
    }
    teams
}
