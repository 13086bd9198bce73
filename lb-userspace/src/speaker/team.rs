//! Virtual routers that move together, with what their orders do to the node.

use std::{net::IpAddr, time::Instant};

use serde::{Deserialize, Serialize};

use super::{
    message::{Noted, What, unix_now},
    track::Tracking,
    wire::{self, Tools, Wire},
};
use crate::{
    config::{
        Vrrp,
        vrrp::{Checksum, Tracked, VirtualAddress},
    },
    topology::Topology,
    vrrp::{
        Action, Advert, Cause, Dialect, Group, Handover, Machine, Reject, Settings, Standing,
        State, Unsendable,
        packet::{RESIGNED, encode},
    },
};

/// Some virtual routers that move together.
pub(super) struct Team {
    group: Group,
    members: Vec<Member>,
    /// Whether their links have been looked for: until then, nobody knows how they stand.
    looked: bool,
}

/// One virtual router.
pub(super) struct Member {
    pub(super) config: Vrrp,
    pub(super) tracking: Tracking,
    wire: Option<Wire>,
    /// Why its link cannot be used.
    pub(super) missing: Option<String>,
    /// What the kernel refused last.
    pub(super) failure: Option<String>,
    dialect: Dialect,
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
    fn new(config: Vrrp, past: Option<&Past>) -> Self {
        let usual = match config.checksum {
            Checksum::Auto | Checksum::PseudoHeader => Dialect::PseudoHeader,
            Checksum::Plain => Dialect::Plain,
        };
        let heard = past.and_then(|past| past.dialect);
        let dialect = heard.filter(|_| config.checksum == Checksum::Auto).unwrap_or(usual);
        let mut tracking = Tracking::new(config.priority, &config.tracks);
        for (what, good) in past.iter().flat_map(|past| &past.seen) {
            let places = config.tracks.iter().enumerate().filter(|(_, it)| it.what == *what);
            places.for_each(|(place, _)| tracking.see(place, *good));
        }
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

    fn settings(&self) -> Result<Settings, Unsendable> {
        let unspecified = if self.config.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let source = self.wire.as_ref().map_or(unspecified, |wire| wire.place().source);
        self.config.settings(source).ok_or(Unsendable::NoAddresses)
    }

    /// What is left of it by tracking, and by its link.
    fn standing(&self) -> Standing {
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

    fn send(&mut self, advert: &Advert, tools: &Tools) {
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
            let seen =
                config.tracks.iter().enumerate().filter_map(|(index, track)| {
                    Some((track.what.clone(), tracking.is_good(index)?))
                });
            let (since, cause, seen) = (*since, *cause, seen.collect());
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

    /// Takes away what an earlier process may have left where this node is not master.
    async fn sweep(&mut self, tools: &mut Tools) {
        for (member, machine) in self.members.iter_mut().zip(self.group.machines()) {
            let Some(wire) = member.wire.as_ref() else { continue };
            let swept = match machine.state() {
                State::Master => wire.take(&member.config.addresses, tools).await,
                State::Backup | State::Fault => wire.give_up(&member.config.addresses, tools).await,
            };
            member.failure = swept.err().map(|error| error.to_string());
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
        self.retire(|_| false, &[], tools).await;
    }

    /// Ends those that do not stay; of the others, the addresses that are not kept.
    pub(super) async fn retire(
        mut self,
        stays: impl Fn(&Vrrp) -> bool,
        kept: &[VirtualAddress],
        tools: &mut Tools,
    ) {
        for (member, machine) in self.members.iter_mut().zip(self.group.machines()) {
            let stays = stays(&member.config);
            if !stays && machine.state() == State::Master {
                member.send(&machine.settings().advert(RESIGNED), tools);
            }
            let Some(wire) = member.wire.take() else { continue };
            let mut gone = member.config.addresses.clone();
            gone.retain(|address| !kept.contains(address));
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
                notes.push(Noted { router: member.config.name.clone(), what });
            };
            match action {
                Action::Send { priority } => {
                    let advert = settings.advert(priority);
                    member.send(&advert, tools);
                }
                Action::Become(state, cause) => {
                    note(What::Became(state, cause));
                    (member.since, member.cause) = (unix_now(), Some(cause));
                    member.become_(state, tools).await;
                }
                Action::Announce { copies } => member.announce(copies, tools),
                Action::Rival(peer) => note(What::Rival(peer.into())),
                Action::RivalGone(peer) => note(What::RivalGone(peer.into())),
            }
        }
    }
}

impl Member {
    /// Takes the addresses, or gives them up.
    async fn become_(&mut self, state: State, tools: &mut Tools) {
        let Some(wire) = &self.wire else { return };
        let done = match state {
            State::Master => wire.take(&self.config.addresses, tools).await,
            State::Backup | State::Fault => wire.give_up(&self.config.addresses, tools).await,
        };
        self.failure = done.err().map(|error| error.to_string());
    }

    fn announce(&mut self, copies: u8, tools: &Tools) {
        let Some(wire) = &self.wire else { return };
        if let Err(error) = wire.announce(&self.config.addresses, copies, tools) {
            self.failure = Some(format!("the announcement of its addresses: {error}"));
        }
    }
}
