//! Several routers on a virtual clock, over wires that lose, delay, double and cut: what must hold once the
//! wires are whole again.

mod world;

use std::{net::IpAddr, time::Duration};

use proptest::{collection::vec, prelude::*};

use self::world::{Bounds, Random, Weather, World};
use super::{Settings, Standing, Version, Vrid, packet::OWNER, sm::Announcements};

/// The clocks run this much too slow or fast, in millionths.
const SKEW: u32 = 50_000;
/// How long the wires are disturbed, in advert intervals.
const DISTURBED: u32 = 40;
/// What is on its way when the wires become whole arrives within this, in advert intervals.
const LATE: u32 = 2;

#[derive(Clone, Debug)]
struct Plan {
    version: Version,
    interval: Duration,
    wires: usize,
    /// Whether who wins among equals differs from wire to wire.
    crossed: bool,
    routers: Vec<Plans>,
    seed: u64,
    loss: u64,
    doubled: u64,
    /// How late packets are, in hundredths of an interval: at worst while disturbed, and after.
    delays: (u32, u32),
    events: Vec<(u32, usize, Event)>,
}

#[derive(Clone, Debug)]
struct Plans {
    priorities: [u8; 2],
    preempt: bool,
    /// In intervals.
    preempt_delay: u32,
    /// Its own interval, in those of the plan; version 3 only.
    slower: u32,
    rate: u32,
}

/// What happens at a moment, mostly to a router.
#[derive(Clone, Copy, Debug)]
enum Event {
    Boot,
    Crash,
    Resume,
    Release,
    Fault(usize),
    Priority(usize, u8),
    /// It is not scheduled for so many intervals.
    Stall(u32),
    /// Which routers a wire separates from the others.
    Cut(usize, u8),
}

fn events() -> impl Strategy<Value = Event> {
    let wire = 0usize..2;
    prop_oneof![
        2 => Just(Event::Boot),
        2 => Just(Event::Crash),
        1 => Just(Event::Resume),
        1 => Just(Event::Release),
        1 => wire.clone().prop_map(Event::Fault),
        2 => (wire.clone(), any::<u8>()).prop_map(|(wire, priority)| Event::Priority(wire, priority)),
        2 => (1u32..8).prop_map(Event::Stall),
        4 => (wire, any::<u8>()).prop_map(|(wire, side)| Event::Cut(wire, side)),
    ]
}

fn routers() -> impl Strategy<Value = Plans> {
    // Few priorities, so that they are often equal.
    let priority =
        || prop_oneof![5 => prop::sample::select(vec![1, 100, 200, 254]), 1 => Just(OWNER)];
    let priorities = [priority(), priority()];
    let delay = prop_oneof![3 => Just(0u32), 1 => 1u32..6];
    let rate = 1_000_000 - SKEW..=1_000_000 + SKEW;
    (priorities, prop::bool::weighted(0.7), delay, 1u32..=2, rate).prop_map(
        |(priorities, preempt, preempt_delay, slower, rate)| Plans {
            priorities,
            preempt,
            preempt_delay,
            slower,
            rate,
        },
    )
}

fn plans(wires: usize) -> impl Strategy<Value = Plan> {
    let kind = prop_oneof![
        Just((Version::V2, Duration::from_secs(1))),
        (1u64..100).prop_map(|tens| (Version::V3, Duration::from_millis(tens * 10))),
    ];
    let weather = (0u64..50, 0u64..30, (0..100 * LATE, 0u32..20));
    let event = (0..DISTURBED, 0usize..5, events());
    (kind, vec(routers(), 2..=5), vec(event, 0..25), weather, any::<(bool, u64)>()).prop_map(
        move |((version, interval), routers, events, (loss, doubled, delays), (crossed, seed))| {
            Plan { version, interval, wires, crossed, routers, seed, loss, doubled, delays, events }
        },
    )
}

impl Plan {
    fn settings(&self, router: usize, wire: usize) -> Settings {
        let Plans { priorities, preempt, preempt_delay, slower, rate: _ } = self.routers[router];
        let last = if self.crossed && wire == 1 { 20 - router } else { 10 + router };
        let host = |last: usize| IpAddr::from([10, 0, wire as u8, last as u8]);
        let interval = if self.version == Version::V2 { 1 } else { slower };
        Settings {
            vrid: Vrid::new(51).unwrap(),
            version: self.version,
            priority: priorities[wire],
            interval: self.interval * interval,
            preempt,
            preempt_delay: self.interval * preempt_delay,
            source: host(last),
            addresses: vec![host(100)],
            announcements: Announcements {
                copies: 1,
                repeat_after: self.interval * 2,
                refresh: None,
            },
        }
    }

    fn world(&self) -> World {
        let routers = self.routers.iter().enumerate().map(|(router, plan)| {
            let members = (0..self.wires).map(|wire| self.settings(router, wire));
            (members.collect(), plan.rate)
        });
        let (loss, doubled, delay) = (self.loss, self.doubled, self.interval * self.delays.0 / 100);
        let weather = Weather { loss, doubled, delay };
        World::new(routers.collect(), Random(self.seed), weather)
    }

    /// Plays the events.
    fn disturb(&self, world: &mut World) {
        for router in 0..self.routers.len() {
            world.boot(router);
        }
        let mut events = self.events.clone();
        events.sort_by_key(|(at, _, _)| *at);
        for (at, router, event) in events {
            let router = router % self.routers.len();
            world.run(self.interval * at);
            match event {
                Event::Boot => world.boot(router),
                Event::Crash => world.crash(router),
                Event::Resume => world.resume(router),
                Event::Release => world.release(router),
                Event::Fault(wire) => world.stand(router, wire % self.wires, Standing::Fault),
                Event::Priority(wire, priority) => {
                    world.stand(router, wire % self.wires, Standing::Priority(priority));
                }
                Event::Stall(intervals) => {
                    let end = self.interval * (at + intervals).min(DISTURBED);
                    world.stall(router, end);
                }
                Event::Cut(wire, side) => world.cuts[wire % self.wires] = side,
            }
        }
        world.run(self.interval * DISTURBED);
    }

    /// All wires are whole and lose nothing; one router at least may be master everywhere.
    fn heal(&self, world: &mut World) {
        let delay = self.interval * self.delays.1 / 100;
        world.weather = Weather { loss: 0, delay, ..world.weather };
        world.cuts.fill(0);
        world.forget_former_masters();
        if world.routers[0].group.is_none() {
            world.boot(0);
        }
        for wire in 0..self.wires {
            let standing = Standing::Priority(self.routers[0].priorities[wire]);
            world.stand(0, wire, standing);
        }
        world.run(world.now + self.interval * LATE);
    }

    /// The bounds of RFC 9568 §6.1 for the clocks, delays and live routers that there are.
    fn bounds(&self, world: &World) -> Bounds {
        let intervals = world.routers.iter().flat_map(|it| &it.members).map(|it| it.interval);
        let longest = intervals.max().unwrap();
        let unit = if self.version == Version::V2 { Duration::from_secs(1) } else { longest };
        let live = world.routers.iter().filter_map(|it| it.group.as_ref());
        // A group waits for the last of its members.
        let priorities = live
            .filter(|group| group.machines().all(|it| it.state() != super::State::Fault))
            .map(|group| group.machines().map(super::Machine::priority).min().unwrap());
        let skew = unit * (256 - u32::from(priorities.max().unwrap())) / 256;
        let released = self.events.iter().any(|it| matches!(it.2, Event::Release));
        // Who was ordered to leave, and a group that gave way, wait for up to an interval more.
        let extra = u32::from(released) + u32::from(self.wires > 1);
        let slow = |local: Duration| local * 1_000_000 / (1_000_000 - SKEW);
        let arrival = self.interval * self.delays.1 / 100 + Duration::from_micros(1);
        Bounds {
            vacant: slow(longest * (3 + extra) + skew) + arrival,
            double: slow(longest) + arrival,
        }
    }

    /// Runs until nothing should change any more, and then that nothing does.
    fn settle(world: &mut World, bounds: Bounds) {
        world.run(world.now + bounds.vacant * 30);
        let settled = world.now;
        world.run(world.now + bounds.vacant * 10);
        assert!(world.changed <= settled, "it never comes to rest");
    }

    /// Whether the best router must be master in the end.
    fn best_wins(&self) -> bool {
        let preempts = |it: &Plans| it.preempt && it.preempt_delay == 0;
        let left_alone = |event: &Event| matches!(event, Event::Release);
        self.wires == 1
            && self.routers.iter().all(preempts)
            && !self.events.iter().any(|(_, _, event)| left_alone(event))
    }
}

fn after_healing(plan: &Plan) {
    let mut world = plan.world();
    plan.disturb(&mut world);
    plan.heal(&mut world);
    let bounds = plan.bounds(&world);
    world.watch(bounds);
    Plan::settle(&mut world, bounds);
    for wire in 0..plan.wires {
        let masters = world.masters(wire);
        assert_eq!(masters.len(), 1, "wire {wire}: {masters:?}");
        // Whoever told the link last must be who has the addresses.
        let told = |router: &usize| world.routers[*router].announced[wire];
        let last = (0..plan.routers.len()).max_by_key(told);
        assert_eq!(last, Some(masters[0]), "wire {wire} was told otherwise");
        if plan.best_wins() {
            let live = world.routers.iter().filter_map(|it| it.group.as_ref());
            let standing = live.flat_map(super::Group::machines);
            let best = standing.filter(|it| it.state() != super::State::Fault);
            let best = best.map(super::Machine::priority).max();
            let group = world.routers[masters[0]].group.as_ref();
            let priority = group.and_then(|it| it.machines().next()).map(super::Machine::priority);
            assert_eq!(priority, best);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn one_master_is_left_when_the_wire_is_whole(plan in plans(1)) {
        after_healing(&plan);
    }

    #[test]
    fn one_group_is_left_when_the_wires_are_whole(plan in plans(2)) {
        after_healing(&plan);
    }

    /// One wire of two stays cut for ever: nobody throws the addresses back and forth.
    #[test]
    fn groups_come_to_rest_though_a_wire_is_cut(plan in plans(2), side: u8) {
        let mut world = plan.world();
        plan.disturb(&mut world);
        plan.heal(&mut world);
        world.cuts[1] = side;
        let bounds = plan.bounds(&world);
        Plan::settle(&mut world, bounds);
        prop_assert!(world.masters(0).len() <= 1, "{:?}", world.masters(0));
    }
}
