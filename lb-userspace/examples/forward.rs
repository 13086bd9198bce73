//! A proxy on the command line, to try and to measure the engine by hand:
//! `cargo run --release --example forward -- THREADS LISTEN BACKEND…`. It reports every second.

use std::{collections::BTreeMap, thread, time::Duration};

use anyhow::Context as _;
use lb_userspace::{
    config::{
        Admin,
        proxy::{Backend, Balance, Eject, OnDown, Place, Proxy, Queue, Sockets, Timeouts},
    },
    proxy::{Engine, Order},
};

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let mut next = || words.next().context("usage: forward THREADS LISTEN BACKEND…");
    let (threads, listen) = (next()?.parse()?, next()?.parse()?);
    let backends = words.map(|word| word.parse()).collect::<Result<Vec<Place>, _>>()?;
    let mut engine = Engine::start(threads, *b"forward, by hand")?;
    let settings = settings(listen, backends);
    let order = Order { settings, states: BTreeMap::new(), hold: None };
    engine.configure(&[order], Vec::new())?;
    loop {
        thread::sleep(Duration::from_secs(1));
        for report in engine.report() {
            println!("{:?}", report.totals);
        }
    }
}

fn settings(listen: Place, backends: Vec<Place>) -> Proxy {
    let backend = |(number, address)| Backend {
        name: format!("backend-{number}"),
        address,
        weight: 1,
        backup: false,
        max_connections: None,
        admin: Admin::Ready,
    };
    Proxy {
        name: "forward".into(),
        listen: vec![listen],
        balance: Balance::RoundRobin,
        max_connections: 100_000,
        queue: Queue { length: 1000, timeout: Duration::from_secs(5) },
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            client_idle: Duration::from_secs(300),
            backend_idle: Duration::from_secs(300),
            half_closed: Duration::from_secs(30),
            session: None,
        },
        retries: 3,
        sockets: Sockets { nodelay: true, keepalive: None, source: Vec::new() },
        accept_proxy: None,
        send_proxy: None,
        on_down: OnDown::Keep,
        eject: Eject {
            failures: 3,
            hold: Duration::from_secs(10),
            max_hold: Duration::from_secs(300),
        },
        check: None,
        mysql: None,
        backends: (1..).zip(backends).map(backend).collect(),
    }
}
