//! The speaker's loop: adverts, clocks, what is tracked, and what the daemon says.

mod hear;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Instant};

use tokio::{
    sync::{mpsc, watch},
    time::sleep_until,
};

use super::{
    ears::Ears,
    legacy::{Legacy, Pasts},
    member::{Member, Past},
    message::{Duties, Holdings, Noted, Order, Report, View},
    routes::{Routes, Take},
    script::{Owner, Scripts},
    sight::Sight,
    socket::Frames,
    team::{Team, teams},
    track::Tracking,
    wire::{Error, Tools},
};
use crate::{
    config::Vrrp,
    events::Who,
    topology::{Topology, vip::Vips},
    vrrp::Reject,
};

/// How a speaker ends.
#[derive(Debug)]
pub(super) enum End {
    /// For good: its addresses are given up.
    Resigned,
    /// Another program goes on for it.
    Replaced(PathBuf, Legacy),
}

/// All that the speaker has.
pub(super) struct Engine {
    duties: Duties,
    teams: Vec<Team>,
    routes: Routes,
    ears: Ears,
    tools: Tools,
    scripts: Scripts,
    topology: watch::Receiver<Arc<Topology>>,
    report: Option<Report>,
    rejected: BTreeMap<String, BTreeMap<Reject, u64>>,
    /// Whether more may wait in the sockets.
    behind: bool,
    view: watch::Sender<Holdings>,
    notes: mpsc::UnboundedSender<Noted>,
}

impl Engine {
    pub(super) fn new(
        topology: watch::Receiver<Arc<Topology>>,
        view: watch::Sender<Holdings>,
        notes: mpsc::UnboundedSender<Noted>,
    ) -> Result<Self, Error> {
        let tools = Tools { frames: Frames::open().map_err(Error::Socket)?, vips: Vips::open()? };
        Ok(Self {
            duties: Duties::default(),
            teams: Vec::new(),
            routes: Routes::default(),
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
                        return End::Replaced(program, self.bequeath());
                    }
                    Some(Order::Configure(duties)) => {
                        self.configure(duties, Pasts::default()).await;
                    }
                    Some(Order::Report(report)) => {
                        self.report = Some(report);
                        self.weigh(Tracking::glance).await;
                    }
                    Some(Order::Failover(name)) => self.release(name.as_deref()).await,
                    Some(Order::Announce { route, wanted, who }) => {
                        self.announce(route.as_deref(), wanted, &who).await;
                    }
                },
                Ok(()) = self.topology.changed() => self.see().await,
                (owner, track, good) = self.scripts.next() => self.saw(&owner, track, good).await,
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

    /// Goes on for another process.
    pub(super) async fn resume(&mut self, legacy: Legacy) {
        let Legacy { config, pasts, routes, route_pasts, report } = legacy;
        self.report = report;
        let pasts = Pasts { routers: pasts, routes: route_pasts };
        self.configure(Duties { routers: config, routes }, pasts).await;
    }

    /// For whoever goes on.
    fn bequeath(self) -> Legacy {
        let (pasts, route_pasts) = (self.pasts(), self.routes.pasts());
        let Duties { routers: config, routes } = self.duties;
        Legacy { config, pasts, routes, route_pasts, report: self.report }
    }

    /// Holds these from now on. Those that stay go on as they are; `pasts` are of another process.
    async fn configure(&mut self, duties: Duties, pasts: Pasts) {
        if duties == self.duties && pasts.is_empty() {
            return;
        }
        self.scripts.set(&duties);
        let topology = self.topology.borrow().clone();
        let sight = Sight { topology: &topology, report: self.report.as_ref() };
        let (routes, vips) = (&duties.routes, &mut self.tools.vips);
        let notes = self.routes.configure(routes, pasts.routes, &sight, vips).await;
        self.tell(notes);
        if duties.routers != self.duties.routers || !pasts.routers.is_empty() {
            self.speak_for(&duties.routers, pasts.routers).await;
        }
        self.duties = duties;
        self.see().await;
    }

    async fn speak_for(&mut self, routers: &[Vrrp], mut pasts: BTreeMap<String, Past>) {
        pasts.extend(self.pasts());
        self.retire(routers, &mut pasts).await;
        self.teams.clear();
        for members in teams(routers) {
            let members = members.into_iter().map(|it| {
                let past = pasts.get(&it.name).cloned();
                (it, past)
            });
            match Team::new(members.collect(), Instant::now()) {
                Ok(team) => self.teams.push(team),
                Err(error) => tracing::error!(%error, "a virtual router cannot be run"),
            }
        }
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
        let routers = self.duties.routers.iter().flat_map(|it| &it.addresses);
        let vips: Vec<_> = routers.map(|it| it.address).chain(self.routes.addresses()).collect();
        let mut notes = Vec::new();
        for team in &mut self.teams {
            team.see(&topology, &vips, &mut self.tools, &mut notes).await;
        }
        self.tell(notes);
        let ears = self.teams.iter().flat_map(Team::members).filter_map(|(member, _)| member.ear());
        self.ears.set(&ears.collect());
        self.weigh(Tracking::glance).await;
    }

    /// Takes what the node and the daemon show of what is tracked, and does what follows from it.
    async fn weigh(&mut self, take: Take) {
        let topology = self.topology.borrow().clone();
        // The first value is empty, before the first look.
        if topology.links.is_empty() {
            return;
        }
        let sight = Sight { topology: &topology, report: self.report.as_ref() };
        let mut notes = Vec::new();
        for team in &mut self.teams {
            for Member { config, tracking, .. } in team.members_mut() {
                for (index, track) in config.tracks.iter().enumerate() {
                    if let Some(good) = sight.of(&track.what) {
                        take(tracking, index, good);
                    }
                }
            }
            team.weigh(&mut self.tools, &mut notes).await;
        }
        notes.extend(self.routes.weigh(&sight, take, &mut self.tools.vips).await);
        self.tell(notes);
    }

    async fn saw(&mut self, owner: &Owner, index: usize, good: bool) {
        match owner {
            Owner::Router(name) => {
                let members = self.teams.iter_mut().flat_map(Team::members_mut);
                let mut named = members.filter(|it| it.config.name == *name);
                if let Some(member) = named.next() {
                    member.tracking.see(index, good);
                }
            }
            Owner::Route(name) => self.routes.saw(name, index, good),
        }
        self.weigh(Tracking::glance).await;
    }

    async fn announce(&mut self, route: Option<&str>, wanted: bool, who: &Who) {
        let topology = self.topology.borrow().clone();
        let sight = Sight { topology: &topology, report: self.report.as_ref() };
        let vips = &mut self.tools.vips;
        let notes = self.routes.order((route, wanted), who, &sight, vips).await;
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
        let topology = self.topology.borrow().clone();
        let sight = Sight { topology: &topology, report: self.report.as_ref() };
        notes.extend(self.routes.end(&sight, &mut self.tools.vips).await);
        self.tell(notes);
        End::Resigned
    }

    fn tell(&self, notes: Vec<Noted>) {
        for note in notes {
            tracing::info!(subject = note.subject, what = ?note.what);
            // Without a daemon, the log has it.
            let _unheard = self.notes.send(note);
        }
    }

    fn publish(&self) {
        let routers = self.duties.routers.iter().filter_map(|config| {
            let members = self.teams.iter().flat_map(Team::members);
            let mut named = members.filter(|(member, _)| member.config.name == config.name);
            named.next().map(|(member, machine)| member.view(machine))
        });
        let rejected = self.rejected.iter().map(|(interface, counts)| {
            let counts = counts.iter().map(|(why, count)| (why.label().to_owned(), *count));
            (interface.clone(), counts.collect())
        });
        let vrrp = View { routers: routers.collect(), rejected: rejected.collect() };
        let holdings = Holdings { vrrp, routes: self.routes.view() };
        let _ = self.view.send_if_modified(|published| {
            let changed = *published != holdings;
            *published = holdings;
            changed
        });
    }
}
