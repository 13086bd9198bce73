//! Routers on a virtual clock, and the wires between them.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::vrrp::{Action, Dialect, Group, Machine, Received, Settings, Standing, State, packet};

/// What a wire does to a packet on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    /// Of 100 packets, how many are lost.
    pub(super) loss: u64,
    /// Of 100 packets, how many arrive twice.
    pub(super) doubled: u64,
    /// The longest that one is on its way.
    pub(super) delay: Duration,
}

/// How long what must not last may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Without a master on a wire.
    pub(super) vacant: Duration,
    /// Two routers both master on a wire.
    pub(super) double: Duration,
}

/// Splitmix64.
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }
}

#[derive(Debug)]
pub(super) struct Router {
    /// One for each wire.
    pub(super) members: Vec<Settings>,
    /// `None` while its process or machine is dead.
    pub(super) group: Option<Group>,
    /// How fast its clock runs, in millionths.
    pub(super) rate: u32,
    /// Until when it is not scheduled.
    stalled: Option<Duration>,
    /// What waits in its socket.
    inbox: Vec<Packet>,
    /// By its actions alone, whether it holds the addresses of a wire.
    pub(super) holds: Vec<bool>,
    /// When it last told a wire so.
    pub(super) announced: Vec<Option<Duration>>,
}

#[derive(Clone, Debug)]
struct Packet {
    wire: usize,
    bytes: Vec<u8>,
    received: Received,
}

#[derive(Debug)]
pub(super) struct World {
    base: Instant,
    pub(super) now: Duration,
    pub(super) routers: Vec<Router>,
    pub(super) weather: Weather,
    /// For each wire, which routers are on its other side, as bits.
    pub(super) cuts: Vec<u8>,
    pub(super) bounds: Option<Bounds>,
    /// When a router last entered a state.
    pub(super) changed: Duration,
    random: Random,
    /// By time and number, for whom.
    flying: BTreeMap<(Duration, u64), (usize, Packet)>,
    number: u64,
    /// Since the clock has moved.
    steps: u32,
    vacant: Vec<Option<Duration>>,
    doubles: BTreeMap<(usize, usize, usize), Duration>,
}

impl World {
    pub(super) fn new(
        routers: Vec<(Vec<Settings>, u32)>,
        random: Random,
        weather: Weather,
    ) -> Self {
        let wires = routers[0].0.len();
        let routers = routers.into_iter().map(|(members, rate)| Router {
            group: None,
            rate,
            stalled: None,
            inbox: Vec::new(),
            holds: vec![false; members.len()],
            announced: vec![None; members.len()],
            members,
        });
        Self {
            base: Instant::now(),
            now: Duration::ZERO,
            routers: routers.collect(),
            weather,
            cuts: vec![0; wires],
            bounds: None,
            changed: Duration::ZERO,
            random,
            flying: BTreeMap::new(),
            number: 0,
            steps: 0,
            vacant: vec![None; wires],
            doubles: BTreeMap::new(),
        }
    }

    /// The time that a router's clock shows.
    fn local(&self, router: usize) -> Instant {
        let nanos = self.now.as_nanos() * u128::from(self.routers[router].rate) / 1_000_000;
        self.base + Duration::from_nanos(u64::try_from(nanos).unwrap())
    }

    /// When a router's clock shows a time.
    fn global(&self, router: usize, local: Instant) -> Duration {
        let nanos = (local - self.base).as_nanos() * 1_000_000;
        let nanos = nanos.div_ceil(u128::from(self.routers[router].rate));
        Duration::from_nanos(u64::try_from(nanos).unwrap())
    }

    pub(super) fn boot(&mut self, router: usize) {
        let members = self.routers[router].members.clone();
        let standings: Vec<u8> = members.iter().map(|it| it.priority).collect();
        self.crash(router);
        self.routers[router].group = Some(Group::new(members).unwrap());
        for (wire, priority) in standings.into_iter().enumerate() {
            self.stand(router, wire, Standing::Priority(priority));
        }
    }

    pub(super) fn crash(&mut self, router: usize) {
        let router = &mut self.routers[router];
        (router.group, router.stalled) = (None, None);
        router.inbox.clear();
        router.holds.fill(false);
    }

    pub(super) fn stall(&mut self, router: usize, until: Duration) {
        self.routers[router].stalled = Some(until);
    }

    pub(super) fn stand(&mut self, router: usize, wire: usize, standing: Standing) {
        self.act(router, |group, now| group.set_standing(wire, standing, now));
    }

    pub(super) fn release(&mut self, router: usize) {
        self.act(router, Group::release);
    }

    pub(super) fn resume(&mut self, router: usize) {
        let members = self.routers[router].members.clone();
        let now = self.local(router);
        self.act(router, |group, _| {
            let handovers = group.machines().map(|it| Some(it.handover())).collect::<Vec<_>>();
            let (next, actions) = Group::resume(members.into_iter().zip(handovers), now).unwrap();
            *group = next;
            actions
        });
    }

    /// Runs until a moment.
    pub(super) fn run(&mut self, until: Duration) {
        while let Some(next) = self.next().filter(|next| *next <= until) {
            self.steps = if next > self.now { 0 } else { self.steps + 1 };
            assert!(self.steps < 1000, "they answer each other for ever");
            self.now = next.max(self.now);
            // What has arrived is read before the clock is looked at.
            while let Some(entry) = self.flying.first_entry().filter(|it| it.key().0 <= self.now) {
                let (router, packet) = entry.remove();
                if self.routers[router].group.is_some() {
                    self.routers[router].inbox.push(packet);
                }
            }
            for router in 0..self.routers.len() {
                if self.routers[router].stalled.is_none_or(|until| until <= self.now) {
                    self.routers[router].stalled = None;
                    self.wake(router);
                }
            }
            self.observe();
        }
        self.now = until;
        self.observe();
    }

    fn next(&self) -> Option<Duration> {
        let timers = self.routers.iter().enumerate().filter_map(|(index, router)| {
            let deadline = router.group.as_ref()?.next_deadline()?;
            Some(router.stalled.unwrap_or_else(|| self.global(index, deadline)))
        });
        let packets = self.flying.first_key_value().map(|((time, _), _)| *time);
        timers.chain(packets).min()
    }

    fn wake(&mut self, router: usize) {
        for Packet { wire, bytes, received } in std::mem::take(&mut self.routers[router].inbox) {
            let (advert, _) = packet::parse(&bytes, &received).unwrap();
            self.act(router, |group, now| {
                group.received(wire, &advert, received.source, now).unwrap()
            });
        }
        self.act(router, Group::elapsed);
    }

    fn act(
        &mut self,
        router: usize,
        act: impl FnOnce(&mut Group, Instant) -> Vec<(usize, Action)>,
    ) {
        let now = self.local(router);
        let Some(group) = self.routers[router].group.as_mut() else { return };
        for (wire, action) in act(group, now) {
            match action {
                Action::Send { priority } => self.send(router, wire, priority),
                Action::Become(state, _) => {
                    self.routers[router].holds[wire] = state == State::Master;
                    self.changed = self.now;
                }
                Action::Announce { .. } => {
                    self.routers[router].announced[wire] = Some(self.now);
                }
                Action::Rival(_) | Action::RivalGone(_) => {}
            }
        }
        let router = &self.routers[router];
        let masters: Vec<bool> = router
            .group
            .iter()
            .flat_map(Group::machines)
            .map(|machine| machine.state() == State::Master)
            .collect();
        assert_eq!(masters, router.holds, "the actions do not say what the states are");
    }

    fn send(&mut self, from: usize, wire: usize, priority: u8) {
        let settings = &self.routers[from].members[wire];
        let (source, destination) = (settings.source, IpAddr::V4(packet::GROUP_V4));
        let dialect = [Dialect::Plain, Dialect::PseudoHeader][from % 2];
        let advert = settings.advert(priority);
        let bytes = packet::encode(&advert, source, destination, dialect).unwrap();
        let received = Received { source, destination, hop_limit: Some(255), require_ttl: true };
        let side = |router: usize| self.cuts[wire] >> router & 1;
        let reached: Vec<usize> =
            (0..self.routers.len()).filter(|to| *to != from && side(*to) == side(from)).collect();
        for to in reached {
            let Weather { loss, doubled, delay } = self.weather;
            let lost = self.random.below(100) < loss;
            let copies = if lost { 0 } else { 1 + usize::from(self.random.below(100) < doubled) };
            for _ in 0..copies {
                let nanos = self.random.below(u64::try_from(delay.as_nanos()).unwrap() + 1);
                self.number += 1;
                let key = (self.now + Duration::from_nanos(nanos), self.number);
                let packet = Packet { wire, bytes: bytes.clone(), received };
                let _ = self.flying.insert(key, (to, packet));
            }
        }
    }

    /// Looks whether what must not last has lasted too long.
    fn observe(&mut self) {
        for router in self.routers.iter().filter_map(|router| router.group.as_ref()) {
            let states: Vec<State> = router.machines().map(Machine::state).collect();
            assert!(states.windows(2).all(|it| it[0] == it[1]), "a group apart: {states:?}");
        }
        for wire in 0..self.cuts.len() {
            let masters = self.masters(wire);
            let since = *self.vacant[wire].get_or_insert(self.now);
            self.check(since, |it| it.vacant, &format!("wire {wire} has no master"));
            if !masters.is_empty() {
                self.vacant[wire] = None;
            }
            for a in 0..self.routers.len() {
                for b in 0..a {
                    let key = (wire, a, b);
                    if let Some(since) = self.doubles.get(&key).copied() {
                        let what = format!("wire {wire} has {a} and {b} as masters");
                        self.check(since, |it| it.double, &what);
                    }
                    if masters.contains(&a) && masters.contains(&b) {
                        let _ = self.doubles.entry(key).or_insert(self.now);
                    } else {
                        let _ = self.doubles.remove(&key);
                    }
                }
            }
        }
    }

    pub(super) fn masters(&self, wire: usize) -> Vec<usize> {
        (0..self.routers.len()).filter(|router| self.routers[*router].holds[wire]).collect()
    }

    /// Whoever is no master any more was lost unheard, or may have been: it told the link nothing since.
    pub(super) fn forget_former_masters(&mut self) {
        for router in &mut self.routers {
            let wires = router.holds.iter().zip(&mut router.announced);
            wires.filter(|(holds, _)| !**holds).for_each(|(_, announced)| *announced = None);
        }
    }

    /// From now on bounds count, and nothing that was before.
    pub(super) fn watch(&mut self, bounds: Bounds) {
        self.vacant.fill(None);
        self.doubles.clear();
        self.bounds = Some(bounds);
    }

    fn check(&self, since: Duration, bound: impl Fn(&Bounds) -> Duration, what: &str) {
        let Some(bound) = self.bounds.as_ref().map(bound) else { return };
        let lasted = self.now.saturating_sub(since);
        assert!(lasted <= bound, "{what} for {lasted:?}, longer than {bound:?}, at {:?}", self.now);
    }
}
