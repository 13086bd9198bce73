//! The table against a plain map, as packets see it at every store.

use std::cell::RefCell;

use lb_common::{
    addr::{Addr, Port, Protocol},
    service::{Ports, home},
};
use proptest::prelude::*;

use super::*;

type Model = BTreeMap<ServiceKey, Service>;
type Words = [u32; 16];

/// Lines in memory that notes what packets may meet: the state after every store.
#[derive(Clone)]
struct Memory {
    lines: RefCell<Vec<Words>>,
    moments: RefCell<Vec<Vec<Words>>>,
    watched: bool,
}

fn words(line: &ServiceLine) -> Words {
    // SAFETY: both are plain words, 64 bytes of them.
    unsafe { std::mem::transmute::<ServiceLine, Words>(*line) }
}

fn line(words: Words) -> ServiceLine {
    // SAFETY: as above; every bit pattern is a value.
    unsafe { std::mem::transmute::<Words, ServiceLine>(words) }
}

impl Memory {
    fn new(len: usize, watched: bool) -> Self {
        let lines = RefCell::new(vec![words(&ServiceLine::EMPTY); len]);
        Self { lines, moments: RefCell::default(), watched }
    }

    fn of(lines: &[Words]) -> Self {
        Self { lines: lines.to_vec().into(), ..Self::new(0, false) }
    }
}

impl Lines for Memory {
    fn len(&self) -> u32 {
        self.lines.borrow().len() as u32
    }

    fn load(&self, place: u32) -> ServiceLine {
        line(self.lines.borrow()[place as usize])
    }

    fn store(&self, place: u32, line: &ServiceLine) {
        for (word, value) in words(line).into_iter().enumerate() {
            self.store_word(place, word, value);
        }
    }

    fn store_word(&self, place: u32, word: usize, value: u32) {
        self.lines.borrow_mut()[place as usize][word] = value;
        if self.watched {
            self.moments.borrow_mut().push(self.lines.borrow().clone());
        }
    }

    fn wait_for_searches(&self) {}
}

/// A packet's search, step by step as in the packet path.
struct Search<'a>(&'a [Words]);

impl Search<'_> {
    fn line(&self, place: u32) -> ServiceLine {
        line(self.0[place as usize & (self.0.len() - 1)])
    }

    fn find(&self, vip: &Addr, port: Port, protocol: Protocol) -> Option<Service> {
        self.exact(vip, port, protocol).or_else(|| self.among_ranges(vip, port, protocol))
    }

    fn is_vip(&self, vip: &Addr) -> bool {
        self.exact(vip, Port::ZERO, Protocol::NONE).is_some()
    }

    fn exact(&self, vip: &Addr, port: Port, protocol: Protocol) -> Option<Service> {
        let home = home(vip, port, protocol);
        for probe in 0..PROBES {
            let line = self.line(home.wrapping_add(probe));
            let wanted = ServiceKey::new(*vip, port, protocol);
            if line.occupancy == Occupancy::LIVE && line.key == wanted {
                return Some(line.service);
            }
            if line.occupancy == Occupancy::EMPTY {
                return None;
            }
        }
        None
    }

    fn among_ranges(&self, vip: &Addr, port: Port, protocol: Protocol) -> Option<Service> {
        let home = home(vip, Port::ZERO, protocol);
        let mut all_ports = None;
        for probe in 0..PROBES {
            let line = self.line(home.wrapping_add(probe));
            let ServiceKey { vip: its, ports, protocol: of, padding: _ } = line.key;
            let matches = its == *vip && of == protocol && ports.contains(port);
            if line.occupancy == Occupancy::LIVE && matches {
                if !ports.is_any() {
                    return Some(line.service);
                }
                all_ports = Some(line.service);
            }
            if line.occupancy == Occupancy::EMPTY {
                break;
            }
        }
        all_ports
    }
}

/// What a packet should find: the service with the fewest ports.
fn wanted(model: &Model, vip: &Addr, port: Port, protocol: Protocol) -> Option<Service> {
    let width = |ports: Ports| ports.last.get() - ports.first.get();
    let fits =
        |key: &ServiceKey| key.vip == *vip && key.protocol == protocol && key.ports.contains(port);
    let found = model.iter().filter(|(key, _)| fits(key));
    found.min_by_key(|(key, _)| width(key.ports)).map(|(_, service)| *service)
}

fn vips() -> [Addr; 4] {
    [1, 2, 3, 4].map(|host| Addr::from_v4([203, 0, 113, host]))
}

fn keys() -> Vec<ServiceKey> {
    let ports = ["80", "81", "443", "8000", "8001", "8002-8003", "8000-8001", "any"];
    let mut keys = Vec::new();
    for vip in vips() {
        for protocol in [Protocol::TCP, Protocol::UDP] {
            let key = |text: &str| ServiceKey::with_ports(vip, text.parse().unwrap(), protocol);
            keys.extend(ports.map(key));
        }
    }
    keys
}

fn service(id: u32) -> Service {
    Service { id, ring_size: 1021, ..Service::NONE }
}

/// Whether every packet finds at this moment what it should find before the change or after it.
fn consistent(lines: &[Words], before: &Model, after: &Model) -> Result<(), TestCaseError> {
    let search = Search(lines);
    for vip in &vips() {
        let is_vip = |model: &Model| model.keys().any(|key| key.vip == *vip);
        prop_assert!([is_vip(before), is_vip(after)].contains(&search.is_vip(vip)), "VIP {vip:?}");
        for protocol in [Protocol::TCP, Protocol::UDP] {
            for port in [80, 81, 443, 8000, 8001, 8002, 8003, 9].map(Port::new) {
                let found = search.find(vip, port, protocol);
                let right = [before, after].map(|model| wanted(model, vip, port, protocol));
                prop_assert!(right.contains(&found), "{vip:?} {port:?}: {found:?} not {right:?}");
            }
        }
    }
    Ok(())
}

/// A daemon that ended at this moment is followed by one that goes on from the old state or the
/// new one.
fn recoverable(lines: &[Words], before: &Model, after: &Model) -> Result<(), TestCaseError> {
    let Ok(table) = Table::new(Memory::of(lines)) else { return Ok(()) };
    let found = table.read();
    prop_assert!([before, after].contains(&&found), "{found:?}");
    consistent(&table.lines.lines.borrow(), &found, &found)
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize),
    Remove(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0..keys().len();
    let step = prop_oneof![3 => key().prop_map(Step::Put), 1 => key().prop_map(Step::Remove)];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In a table that is far too small, so that entries have to give way to each other.
    #[test]
    fn packets_find_the_old_or_the_new_at_every_store(
        len in prop_oneof![Just(32usize), Just(64), Just(256)],
        steps in steps(),
    ) {
        let table = Table::new(Memory::new(len, true)).unwrap();
        let mut model = Model::new();
        for (id, step) in (1..).zip(steps) {
            let before = model.clone();
            match step {
                Step::Put(index) => {
                    let (key, service) = (keys()[index], service(id));
                    if table.put(&key, &service).is_ok() {
                        let _: Option<Service> = model.insert(key, service);
                    }
                }
                Step::Remove(index) => {
                    table.remove(&keys()[index]);
                    let _: Option<Service> = model.remove(&keys()[index]);
                }
            }
            prop_assert_eq!(&table.read(), &model);
            consistent(&table.lines.lines.borrow(), &model, &model)?;
            for moment in table.lines.moments.take() {
                consistent(&moment, &before, &model)?;
                recoverable(&moment, &before, &model)?;
            }
        }
    }

    #[test]
    fn any_4096_services_fit(seed in any::<[u64; 2]>(), shared in 0u32..13) {
        let mut state = seed;
        let mut random = || {
            // xorshift128+ (Vigna, "Further scramblings of Marsaglia's xorshift generators", 2017).
            let [mut a, b] = state;
            a ^= a << 23;
            state = [b, a ^ b ^ (a >> 18) ^ (b >> 5)];
            state[1].wrapping_add(b)
        };
        let vips: Vec<_> = (0..4096 >> shared).map(|_| {
            let bits = u128::from(random()) << 64 | u128::from(random());
            Addr::from_v6((bits | 0x20 << 120).to_be_bytes())
        }).collect();
        fit((0..4096).map(|n| {
            let port = Port::new((random() % 65_535) as u16 + 1);
            ServiceKey::new(vips[n % vips.len()], port, Protocol::TCP)
        }).collect());
    }
}

/// As many services as that many lines are meant for.
fn fit(keys: BTreeSet<ServiceKey>) {
    let table = Table::new(Memory::new(32_768, false)).unwrap();
    for (id, key) in (1..).zip(&keys) {
        table.put(key, &service(id)).unwrap();
    }
    let lines = table.lines.lines.borrow();
    for (id, key) in (1..).zip(&keys) {
        let found = Search(&lines).find(&key.vip, key.ports.first, key.protocol);
        assert_eq!(found, Some(service(id)), "{key:?}");
        assert!(Search(&lines).is_vip(&key.vip), "{key:?}");
    }
}

/// What operators configure is regular: consecutive addresses and ports.
#[test]
fn regular_4096_services_fit() {
    for (vips, ports) in [(1, 4096), (16, 256), (64, 64), (1024, 4), (4096, 1)] {
        for (first, step) in [(80, 1), (1000, 10)] {
            let v4 = |n: u32| Addr::from_v4((0xcb00_7100 + n).to_be_bytes());
            let v6 = |n: u128| Addr::from_v6((0x2001_0db8 << 96 | n | 1).to_be_bytes());
            let [host, net, site] = [4, 64, 80].map(|bit| move |n: u32| v6(u128::from(n) << bit));
            for vip in [&v4 as &dyn Fn(u32) -> Addr, &host, &net, &site] {
                let keys = (1..=vips).flat_map(|n| {
                    let port = move |n: u16| Port::new(first + n * step);
                    (0..ports).map(move |m| ServiceKey::new(vip(n), port(m), Protocol::TCP))
                });
                fit(keys.collect());
            }
        }
    }
}

#[test]
fn a_vip_is_known_from_its_first_service_to_its_last() {
    let table = Table::new(Memory::new(256, false)).unwrap();
    let [vip, ..] = vips();
    let key = |port| ServiceKey::new(vip, Port::new(port), Protocol::TCP);
    let is_vip = || Search(&table.lines.lines.borrow()).is_vip(&vip);
    assert!(!is_vip());
    table.put(&key(80), &service(1)).unwrap();
    assert!(is_vip());
    table.put(&key(81), &service(2)).unwrap();
    table.remove(&key(80));
    assert!(is_vip());
    table.remove(&key(81));
    assert!(!is_vip());
    let lines = table.lines.lines.borrow();
    assert!(lines.iter().all(|&it| line(it).occupancy == Occupancy::EMPTY), "nothing is left");
}

#[test]
fn a_service_that_does_not_fit_leaves_no_trace() {
    let table = Table::new(Memory::new(8, false)).unwrap();
    let mut added = Vec::new();
    let full = keys().into_iter().rev().find(|key| match table.put(key, &service(1)) {
        Ok(()) => {
            added.push(*key);
            false
        }
        Err(Full) => true,
    });
    assert!(full.is_some() && table.read().keys().eq(&added.into_iter().collect::<BTreeSet<_>>()));
}

#[test]
fn the_search_waits_where_it_could_pass_both_lines() {
    // Behind the line in use every search finds one of the two; before it, one may miss both.
    struct Waits(Memory, RefCell<u32>);
    impl Lines for Waits {
        fn len(&self) -> u32 {
            self.0.len()
        }
        fn load(&self, place: u32) -> ServiceLine {
            self.0.load(place)
        }
        fn store(&self, place: u32, line: &ServiceLine) {
            self.0.store(place, line);
        }
        fn store_word(&self, place: u32, word: usize, value: u32) {
            self.0.store_word(place, word, value);
        }
        fn wait_for_searches(&self) {
            *self.1.borrow_mut() += 1;
        }
    }
    let table = Table::new(Waits(Memory::new(8, false), RefCell::default())).unwrap();
    let key = keys()[0];
    for id in 1..=4 {
        table.put(&key, &service(id)).unwrap();
    }
    let waits = *table.lines.1.borrow();
    assert_eq!(waits, 0, "there are empty lines behind");
    for other in &keys()[1..6] {
        table.put(other, &service(9)).unwrap();
    }
    for id in 5..=20 {
        table.put(&key, &service(id)).unwrap();
    }
    assert!(*table.lines.1.borrow() > 0, "the one free line is before it every other time");
}
