use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

fn key() -> HashKey {
    HashKey::from_seed(*b"0123456789abcdef")
}

fn places(weights: &[u16]) -> Vec<Place> {
    let place = |(last, &weight): (u8, &u16)| Place {
        endpoint: SocketAddr::from(([10, 0, 0, last], 80)).into(),
        weight,
    };
    (1..).zip(weights).map(place).collect()
}

fn idle(weights: &[u32]) -> Vec<Candidate> {
    weights.iter().map(|&weight| Candidate { weight, sessions: 0 }).collect()
}

fn balancer(balance: Balance, weights: &[u16]) -> Balancer {
    Balancer::new(balance, places(weights), &key())
}

#[test]
fn turns_are_spread_evenly() {
    let mut balancer = balancer(Balance::RoundRobin, &[5, 1, 1]);
    let picks: Vec<_> = (0..7).map(|_| balancer.pick(&idle(&[5, 1, 1]), 0).unwrap()).collect();
    // The sequence in nginx's own description of the algorithm.
    assert_eq!(picks, [0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn the_least_loaded_for_its_weight_is_next() {
    let mut balancer = balancer(Balance::LeastConnections, &[1, 2, 1]);
    let mut candidates = idle(&[1, 2, 1]);
    let mut picks = [0; 3];
    for _ in 0..400 {
        let at = balancer.pick(&candidates, 0).unwrap();
        candidates[at].sessions += 1;
        picks[at] += 1;
    }
    assert_eq!(picks, [100, 200, 100]);
}

#[test]
fn of_two_the_better_is_taken() {
    let mut candidates = idle(&[1, 1]);
    candidates[0].sessions = 3;
    // With two, both are always drawn.
    assert_eq!(random::pick(&candidates, fastrand::u32), Some(1));
    assert_eq!(random::pick(&idle(&[0, 7]), fastrand::u32), Some(1));
}

#[test]
fn a_hash_keeps_its_backend_when_another_closes() {
    let mut balancer = balancer(Balance::Source, &[1, 1, 1]);
    let (all, some) = (idle(&[1, 1, 1]), idle(&[1, 0, 1]));
    let mut moved = 0;
    for hash in (0..1000).map(|it| it * 4_294_967) {
        let (before, after) = (balancer.pick(&all, hash), balancer.pick(&some, hash));
        if before == Some(1) {
            moved += 1;
            assert_ne!(after, Some(1));
        } else {
            assert_eq!(before, after);
        }
    }
    assert!((250..420).contains(&moved), "{moved} of 1000");
}

proptest! {
    #[test]
    fn only_the_open_are_picked(
        weights in prop::collection::vec(0_u16..4, 0..6),
        hash: u32,
        sessions in prop::collection::vec(0_u32..9, 6),
    ) {
        let candidates: Vec<Candidate> = weights
            .iter()
            .zip(&sessions)
            .map(|(&weight, &sessions)| Candidate { weight: weight.into(), sessions })
            .collect();
        for balance in [
            Balance::RoundRobin,
            Balance::LeastConnections,
            Balance::RandomTwo,
            Balance::Source,
        ] {
            let picked = balancer(balance, &weights).pick(&candidates, hash);
            prop_assert_eq!(picked.is_some(), weights.iter().any(|&it| it > 0));
            if let Some(at) = picked {
                prop_assert!(weights[at] > 0, "{:?} picked {}", balance, at);
            }
        }
    }
}
