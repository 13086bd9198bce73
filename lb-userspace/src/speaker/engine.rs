//! The speaker's loop: adverts, clocks, what is tracked, and what the daemon says.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, sync::Arc, time::Instant};

use tokio::{
    sync::{mpsc, watch},
    time::sleep_until,
};

use super::{
    ears::Ears,
    member::{Member, Past},
    message::{Noted, Order, Report, View},
    script::Scripts,
    socket::Frames,
    team::Team,
    track::Tracking,
    wire::{Error, Tools},
};
use crate::{
    config::{Vrrp, vrrp::Tracked},
    topology::{Topology, vip::Vips},
    vrrp::Reject,
};

/// The messages that are taken in between two looks at the clock: whoever floods the link must not stop
/// this node's own adverts.
const AT_ONCE: usize = 256;

/// How a speaker ends.
#[derive(Debug)]
pub(super) enum End {
    /// For good: its addresses are given up.
    Resigned,
    /// Another program goes on for it.
    Replaced(PathBuf, Vec<Vrrp>, BTreeMap<String, Past>),
}

/// All that the speaker has.
pub(super) struct Engine {
    config: Vec<Vrrp>,
    teams: Vec<Team>,
    ears: Ears,
    tools: Tools,
    scripts: Scripts,
    topology: watch::Receiver<Arc<Topology>>,
    report: Option<Report>,
    rejected: BTreeMap<String, BTreeMap<Reject, u64>>,
    /// Whether more may wait in the sockets.
    behind: bool,
    view: watch::Sender<View>,
    notes: mpsc::UnboundedSender<Noted>,
}

impl Engine {
    pub(super) fn new(
        topology: watch::Receiver<Arc<Topology>>,
        view: watch::Sender<View>,
        notes: mpsc::UnboundedSender<Noted>,
    ) -> Result<Self, Error> {
        let tools = Tools { frames: Frames::open().map_err(Error::Socket)?, vips: Vips::open()? };
        Ok(Self {
            config: Vec::new(),
            teams: Vec::new(),
            ears: Ears::new().map_err(Error::Socket)?,
            tools,
            scripts: Scripts::default(),
            topology,
            report: None,
            rejected: BTreeMap::new(),
            behind: false,
            view,
            notes,
        })
    }

    /// Runs until it is told to end.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> End {
        let mut round = tokio::time::interval(std::time::Duration::from_secs(1));
        round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = self.teams.iter().filter_map(Team::next_deadline).min();
            let timer = sleep_until(due.unwrap_or_else(Instant::now).into());
            tokio::select! {
                () = std::future::ready(()), if self.behind => {}
                () = self.ears.ready() => {}
                () = timer, if due.is_some() => {}
                order = orders.recv() => match order {
                    None | Some(Order::Resign) => return self.resign().await,
                    Some(Order::Replace(program)) => {
                        let pasts = self.pasts();
                        return End::Replaced(program, self.config, pasts);
                    }
                    Some(Order::Configure(config)) => self.configure(config, BTreeMap::new()).await,
                    Some(Order::Report(report)) => {
                        self.report = Some(report);
                        self.weigh(Tracking::glance).await;
                    }
                    Some(Order::Failover(name)) => self.release(name.as_deref()).await,
                },
                Ok(()) = self.topology.changed() => self.see().await,
                (router, track, good) = self.scripts.next() => self.saw(&router, track, good).await,
                _ = round.tick() => self.weigh(Tracking::see).await,
            }
            // What waits in the sockets comes before the clock.
            self.hear().await;
            for index in 0..self.teams.len() {
                let mut notes = Vec::new();
                self.teams[index].elapse(&mut self.tools, &mut notes).await;
                self.tell(notes);
            }
            self.publish();
        }
    }

    /// Speaks for these virtual routers from now on. Those that stay go on as they are; `pasts` are of
    /// another process.
    pub(super) async fn configure(&mut self, config: Vec<Vrrp>, mut pasts: BTreeMap<String, Past>) {
        if config == self.config && pasts.is_empty() {
            return;
        }
        pasts.extend(self.pasts());
        self.retire(&config, &mut pasts).await;
        self.scripts.set(&config);
        self.teams.clear();
        for members in teams(&config) {
            let members = members.into_iter().map(|it| {
                let past = pasts.get(&it.name).cloned();
                (it, past)
            });
            match Team::new(members.collect(), Instant::now()) {
                Ok(team) => self.teams.push(team),
                Err(error) => tracing::error!(%error, "a virtual router cannot be run"),
            }
        }
        self.config = config;
        self.see().await;
    }

    /// Ends those that another configuration does not have, or has elsewhere: these begin anew there.
    async fn retire(&mut self, config: &[Vrrp], pasts: &mut BTreeMap<String, Past>) {
        let place = |it: &Vrrp| (it.name.clone(), it.interface.clone(), it.id, it.is_ipv4());
        let successors: BTreeMap<_, _> = config.iter().map(|it| (place(it), it)).collect();
        let kept: Vec<_> = config.iter().flat_map(|it| it.addresses.clone()).collect();
        for team in std::mem::take(&mut self.teams) {
            let gone =
                team.members().filter(|(it, _)| !successors.contains_key(&place(&it.config)));
            for (member, _) in gone {
                let _ = pasts.remove(&member.config.name);
            }
            let successor = |it: &Vrrp| successors.get(&place(it)).copied();
            team.retire(successor, &kept, &mut self.tools).await;
        }
    }

    fn pasts(&self) -> BTreeMap<String, Past> {
        self.teams.iter().flat_map(Team::pasts).collect()
    }

    /// Takes the node as it is now.
    async fn see(&mut self) {
        let topology = self.topology.borrow_and_update().clone();
        // The first value is empty, before the first look.
        if topology.links.is_empty() {
            return;
        }
        let vips = vips(&self.config);
        let mut notes = Vec::new();
        for team in &mut self.teams {
            team.see(&topology, &vips, &mut self.tools, &mut notes).await;
        }
        self.tell(notes);
        let ears = self.teams.iter().flat_map(Team::members).filter_map(|(member, _)| member.ear());
        self.ears.set(&ears.collect());
        self.weigh(Tracking::glance).await;
    }

    /// Takes what the node and the daemon show of what is tracked, and lets the machines know.
    async fn weigh(&mut self, take: impl Fn(&mut Tracking, usize, bool)) {
        let topology = self.topology.borrow().clone();
        let is_up = |name: &str| {
            let index = topology.interface(name);
            index.and_then(|it| topology.links.get(&it)).is_some_and(|link| link.up)
        };
        let seen = |what: &Tracked| match (what, &self.report) {
            (Tracked::Interface(name), _) => Some(is_up(name)),
            (Tracked::Datapath, Some(report)) => Some(report.datapath),
            (Tracked::Service(name), Some(report)) => {
                Some(report.services.get(name).copied().unwrap_or(false))
            }
            (Tracked::Datapath | Tracked::Service(_), None) | (Tracked::Script { .. }, _) => None,
        };
        let mut notes = Vec::new();
        for team in &mut self.teams {
            for Member { config, tracking, .. } in team.members_mut() {
                for (index, track) in config.tracks.iter().enumerate() {
                    if let Some(good) = seen(&track.what) {
                        take(tracking, index, good);
                    }
                }
            }
            team.weigh(&mut self.tools, &mut notes).await;
        }
        self.tell(notes);
    }

    async fn saw(&mut self, router: &str, index: usize, good: bool) {
        let mut notes = Vec::new();
        for team in &mut self.teams {
            let mut members = team.members_mut();
            if let Some(member) = members.find(|it| it.config.name == router) {
                member.tracking.see(index, good);
                drop(members);
                team.weigh(&mut self.tools, &mut notes).await;
            }
        }
        self.tell(notes);
    }

    async fn release(&mut self, name: Option<&str>) {
        let mut notes = Vec::new();
        for team in &mut self.teams {
            let named = name.is_none_or(|name| {
                team.members().any(|(member, _)| {
                    member.config.name == name || member.config.group.as_deref() == Some(name)
                })
            });
            if named {
                team.release(&mut self.tools, &mut notes).await;
            }
        }
        self.tell(notes);
    }

    async fn resign(mut self) -> End {
        let mut notes = Vec::new();
        for team in std::mem::take(&mut self.teams) {
            team.end(&mut self.tools, &mut notes).await;
        }
        self.tell(notes);
        End::Resigned
    }

    /// Takes in what the sockets hold.
    async fn hear(&mut self) {
        let mut notes = Vec::new();
        self.behind = true;
        for _ in 0..AT_ONCE {
            let Some(heard) = self.ears.next() else {
                self.behind = false;
                break;
            };
            let interface = heard.interface.clone();
            if let Err(reason) = self.take_in(heard, &mut notes).await {
                let counts = self.rejected.entry(interface).or_default();
                *counts.entry(reason).or_default() += 1;
            }
        }
        self.tell(notes);
    }

    async fn take_in(
        &mut self,
        heard: super::ears::Heard,
        notes: &mut Vec<Noted>,
    ) -> Result<(), Reject> {
        let (advert, dialect) = heard.advert?;
        let is_ipv4 = heard.from.is_ipv4();
        for team in &mut self.teams {
            let mut members = team.members();
            let place = members.position(|(it, _)| it.hears(heard.index, &advert, is_ipv4));
            drop(members);
            if let Some(place) = place {
                let said = (&advert, dialect);
                return team.hear(place, said, heard.from, &mut self.tools, notes).await;
            }
        }
        Err(Reject::UnknownInstance)
    }

    fn tell(&self, notes: Vec<Noted>) {
        for note in notes {
            tracing::info!(router = note.router, what = ?note.what, "VRRP");
            // Without a daemon, the log has it.
            let _unheard = self.notes.send(note);
        }
    }

    fn publish(&self) {
        let routers = self.config.iter().filter_map(|config| {
            let members = self.teams.iter().flat_map(Team::members);
            let mut named = members.filter(|(member, _)| member.config.name == config.name);
            named.next().map(|(member, machine)| member.view(machine))
        });
        let rejected = self.rejected.iter().map(|(interface, counts)| {
            let counts = counts.iter().map(|(why, count)| (why.label().to_owned(), *count));
            (interface.clone(), counts.collect())
        });
        let view = View { routers: routers.collect(), rejected: rejected.collect() };
        let _ = self.view.send_if_modified(|published| {
            let changed = *published != view;
            *published = view;
            changed
        });
    }
}

fn vips(config: &[Vrrp]) -> Vec<IpAddr> {
    config.iter().flat_map(|it| &it.addresses).map(|it| it.address).collect()
}

/// The virtual routers by what moves together, in the configuration's order.
fn teams(config: &[Vrrp]) -> Vec<Vec<Vrrp>> {
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
