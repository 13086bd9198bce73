//! Random histories of a few servers on a virtual clock: what must hold after every step.

mod watch;
mod world;

use std::time::Duration;

use proptest::{collection::vec, prelude::*};

use self::world::{Mode, World};
use super::{Roles, tests::settings};
use crate::config::proxy::Mysql;

/// How long servers change, in milliseconds.
const DISTURBED: u64 = 60_000;

#[derive(Clone, Debug)]
struct Plan {
    servers: usize,
    fallback: bool,
    max_lag: bool,
    promotion_wait: u64,
    /// Whether the driver calls in time where nothing has happened.
    punctual: bool,
    start: Vec<Mode>,
    events: Vec<(u64, usize, Event)>,
}

/// What happens to a server.
#[derive(Clone, Copy, Debug)]
enum Event {
    Becomes(Mode),
    /// Another server takes its address.
    Replaced(Mode),
    Dies,
    /// It, or the way to it, is back as it was.
    Returns,
    /// It is not asked at all.
    Forgotten,
    /// It answers after so many milliseconds; too late if that is more than the timeout.
    Slow(u64),
}

fn mode() -> impl Strategy<Value = Mode> {
    let lag = prop_oneof![1 => Just(None), 5 => prop::sample::select(vec![0, 3, 5, 6, 10, 11, 61]).prop_map(Some)];
    prop_oneof![
        3 => Just(Mode::Writer),
        1 => Just(Mode::ReadOnly),
        4 => lag.prop_map(Mode::Replica),
        1 => Just(Mode::WritableReplica),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => mode().prop_map(Event::Becomes),
        1 => mode().prop_map(Event::Replaced),
        3 => Just(Event::Dies),
        4 => Just(Event::Returns),
        1 => Just(Event::Forgotten),
        2 => prop::sample::select(vec![0, 100, 400, 600]).prop_map(Event::Slow),
    ]
}

prop_compose! {
    fn plans()(
        servers in 2usize..=4,
        (fallback, max_lag, punctual) in any::<(bool, bool, bool)>(),
        promotion_wait in prop::sample::select(vec![500, 2500, 10_000]),
        start in vec(mode(), 4),
        events in vec((0..DISTURBED, 0usize..4, event()), 0..40),
    ) -> Plan {
        Plan { servers, fallback, max_lag, promotion_wait, punctual, start, events }
    }
}

impl Plan {
    fn settings(&self) -> Mysql {
        let max_lag = settings().max_lag.filter(|_| self.max_lag);
        Mysql {
            fallback: self.fallback,
            max_lag,
            close_lag: settings().close_lag.filter(|_| self.max_lag),
            promotion_wait: Duration::from_millis(self.promotion_wait),
            ..settings()
        }
    }

    /// Plays the events, and lets the watch look after every step.
    fn play(&self) -> World {
        let start = &self.start[..self.servers];
        let mut world = World::new(self.settings(), start, self.punctual);
        let mut events = self.events.clone();
        events.sort_by_key(|it| it.0);
        for (at, server, event) in events {
            world.run(at);
            let server = &mut world.servers[server % self.servers];
            match event {
                Event::Becomes(mode) => server.mode = mode,
                Event::Replaced(mode) => {
                    server.identity += 1;
                    server.mode = mode;
                }
                Event::Dies => server.alive = false,
                Event::Returns => (server.alive, server.asked, server.slow) = (true, true, 0),
                Event::Forgotten => server.asked = false,
                Event::Slow(millis) => server.slow = millis,
            }
        }
        world.run(DISTURBED);
        world
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_hold_after_every_step(plan in plans()) {
        let _: World = plan.play();
    }

    /// Two rounds of questions and what it takes to believe that the others are gone.
    #[test]
    fn a_single_writer_becomes_the_primary(plan in plans(), single: prop::sample::Index, dead: u8) {
        let mut world = plan.play();
        let single = single.index(plan.servers);
        for (place, server) in world.servers.iter_mut().enumerate() {
            (server.alive, server.asked, server.slow) = (dead >> place & 1 == 0, true, 0);
            server.mode = Mode::Replica(Some(0));
        }
        let server = &mut world.servers[single];
        (server.alive, server.mode) = (true, Mode::Writer);
        world.run(DISTURBED + 3500 + 2 * 1500);
        prop_assert_eq!(world.watch.primary(), Some(single));
    }

    #[test]
    fn the_same_history_has_the_same_outcome(plan in plans()) {
        let (one, other) = (plan.play(), plan.play());
        prop_assert_eq!(one.trace, other.trace);
    }
}
