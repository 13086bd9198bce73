//! The construction of a ring.

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    time::Instant,
};

use lb_common::{addr::Port, hash::HashKey};
use lb_userspace::ring::{self, Endpoint, Member};
use serde::Serialize;

use super::Times;

/// The slots.
pub(super) const SIZE: u32 = 65_537;
const BACKENDS: [u32; 4] = [10, 100, 1000, 10_000];
const TURNS: usize = 30;

/// What one ring took.
#[derive(Serialize)]
pub(super) struct Built {
    pub(super) backends: u32,
    #[serde(flatten)]
    pub(super) time: Times,
}

pub(super) fn measure() -> Vec<Built> {
    let key = HashKey::from_seed([7; 16]);
    let measure = |backends| {
        let members: Vec<Member> = (0..backends).map(member).collect();
        let turn = || {
            let start = Instant::now();
            let _ = black_box(ring::build(SIZE, black_box(&members), &key));
            start.elapsed()
        };
        Built { backends, time: Times::of((0..TURNS).map(|_| turn()).collect()) }
    };
    BACKENDS.map(measure).into()
}

/// Weights from 1 to 10.
fn member(number: u32) -> Member {
    let address = IpAddr::from(Ipv4Addr::from_bits(0x0a00_0001 + number)).into();
    Member { endpoint: Endpoint { address, port: Port::new(80) }, weight: (number % 10) as u16 + 1 }
}
