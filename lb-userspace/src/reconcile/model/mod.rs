//! The ring as a model: over random sequences of changes, ticks, crashes and packets, every packet
//! of a live flow reaches its first backend, unless that backend is down; and all that is remembered
//! goes away in the end.
//!
//! What the packet path does is done by the fake, with the packet path's own decision; all planning
//! is the daemon's. `LB_MODEL_SEED` repeats a run, `LB_MODEL_SEQUENCES` changes its length.

mod flows;
mod world;

use lb_common::service::DownPolicy;
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use self::world::World;

/// The clients' flows of each protocol.
const FLOWS: usize = 12;
/// The hosts that may be backends.
const HOSTS: u8 = 6;

/// What differs from sequence to sequence.
#[derive(Clone, Copy, Debug)]
struct Setting {
    ring_size: u32,
    tcp_window: u32,
    udp_window: u32,
    on_down: DownPolicy,
}

/// One event.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The pool changes; with a number, the daemon dies after as many writes of it and is started
    /// anew.
    Change(Change, Option<u8>),
    /// Seconds pass, and flows that send often do.
    Ticks(u8),
    /// A flow sends its next packet; one that does not live opens.
    Send(usize),
    /// All flows do.
    SendAll,
    /// A connection repeats its SYN while it is opened, its last packets once it is closed.
    Repeat(usize),
    /// A connection is closed.
    Close(usize),
    /// The daemon is started anew.
    Restart,
}

/// What an operator or a check changes.
#[derive(Clone, Copy, Debug)]
enum Change {
    Add(u8),
    Remove(u8),
    Weight(u8, u16),
    Down(u8, bool),
    Drain(u8, bool),
}

fn any_setting() -> impl Strategy<Value = Setting> {
    let window = || prop::sample::select(vec![1, 7, 40, 70, 130]);
    let policies = vec![DownPolicy::RST, DownPolicy::REHASH, DownPolicy::DROP];
    (prop::sample::select(vec![31, 61, 251]), window(), window(), prop::sample::select(policies))
        .prop_map(|(ring_size, tcp_window, udp_window, on_down)| Setting {
            ring_size,
            tcp_window,
            udp_window,
            on_down,
        })
}

fn any_change() -> impl Strategy<Value = Change> {
    let host = || 0..HOSTS;
    prop_oneof![
        3 => host().prop_map(Change::Add),
        2 => host().prop_map(Change::Remove),
        2 => (host(), 0u16..4).prop_map(|(host, weight)| Change::Weight(host, weight)),
        3 => (host(), any::<bool>()).prop_map(|(host, down)| Change::Down(host, down)),
        3 => (host(), any::<bool>()).prop_map(|(host, drain)| Change::Drain(host, drain)),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let flow = || 0..2 * FLOWS;
    prop_oneof![
        6 => (any_change(), prop::option::weighted(0.2, 0u8..12))
            .prop_map(|(change, dies)| Step::Change(change, dies)),
        4 => prop_oneof![3 => 1u8..10, 1 => 10u8..140].prop_map(Step::Ticks),
        6 => flow().prop_map(Step::Send),
        2 => Just(Step::SendAll),
        2 => flow().prop_map(Step::Repeat),
        2 => flow().prop_map(Step::Close),
        1 => Just(Step::Restart),
    ]
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// The same histories in every run; other seeds look for others.
const USUAL_SEED: u64 = 7;

#[test]
fn no_packet_of_a_live_flow_goes_astray() {
    let seed = variable("LB_MODEL_SEED").unwrap_or(USUAL_SEED);
    // Without optimisation a sequence takes ten times as long.
    let usual = if cfg!(debug_assertions) { 500 } else { 10_000 };
    let cases = variable("LB_MODEL_SEQUENCES").unwrap_or(usual);
    println!("{cases} sequences, LB_MODEL_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let sequences = (any_setting(), prop::collection::vec(any_step(), 1..60));
    let result = TestRunner::new_with_rng(config, rng).run(&sequences, |(setting, steps)| {
        let mut world = World::new(setting);
        for step in steps {
            world.step(step);
        }
        world.comes_to_rest();
        Ok(())
    });
    if let Err(failure) = result {
        panic!("LB_MODEL_SEED={seed}: {failure}");
    }
}
