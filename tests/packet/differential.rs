//! A million random packets through the loaded program and through the model: action, bytes and
//! verdicts agree.
//!
//! `LB_SEED=N` replays a run that begins with the site of that seed.

mod compare;
mod mutate;
mod site;
mod traffic;

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use fastrand::Rng;
use lb_common::verdict::Verdict;
use lb_model::Model;
use lb_tests::{cleanup, netns::Netns};
use rustix::net::{AddressFamily, SocketType, netdevice::name_to_index, socket};

use self::compare::Pair;

const SITES: u64 = 50;
const BATCHES: usize = 21;
const BATCH: usize = 1000;

/// What no packet of this test can meet: `TEST_RUN` has room, the maps are consistent, and nothing is
/// checked, and nobody waits for a daemon: the modules `probe` and `watchdog` have tables of that.
const UNREACHABLE: &[Verdict] = &[
    Verdict::NoRoom,
    Verdict::Inconsistent,
    Verdict::Probe,
    Verdict::ProbeAnswer,
    Verdict::ProbeLost,
    Verdict::Unattended,
];

type Verdicts = BTreeMap<Verdict, u64>;

#[test]
fn the_program_and_the_model_agree() {
    let seed = seed();
    eprintln!("LB_SEED={seed}");
    let netns = Netns::create(format!("{}-df", cleanup::test_prefix(902))).unwrap();
    netns.ip("link add wan type veth peer name lan").unwrap();
    let mut histogram = Verdicts::new();
    netns
        .enter(|| {
            let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
            let lan = name_to_index(socket, "lan").unwrap();
            for site in 0..SITES {
                run(seed.wrapping_add(site), lan, &mut histogram);
            }
        })
        .unwrap();
    let mut table = String::new();
    for (verdict, count) in &histogram {
        writeln!(table, "{count:>9} {}", verdict.as_str()).unwrap();
    }
    eprintln!("{} packets\n{table}", histogram.values().sum::<u64>());
    for verdict in Verdict::ALL.iter().filter(|verdict| !UNREACHABLE.contains(verdict)) {
        assert!(histogram.contains_key(verdict), "no packet met {}", verdict.as_str());
    }
}

fn seed() -> u64 {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    env::var("LB_SEED").map_or_else(|_| now(), |text| text.parse().unwrap())
}

/// All batches of one site.
fn run(seed: u64, lan: u32, histogram: &mut Verdicts) {
    let mut rng = Rng::with_seed(seed);
    let hash_seed = rng.u128(..).to_be_bytes();
    let mut node = site::node(&mut rng, lan, hash_seed);
    let path = site::load(&mut rng, &mut node, hash_seed);
    let mut pair = Pair { seed, path, model: Model::new(node) };
    for _ in 0..BATCHES {
        let frames: Vec<Vec<u8>> =
            (0..BATCH).map(|_| traffic::frame(&mut rng, pair.model.node())).collect();
        for (verdict, count) in pair.batch(&frames) {
            *histogram.entry(verdict).or_default() += count;
        }
    }
}
