use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use lb_common::{
    addr::{Addr, Port, Protocol},
    service::ServiceKey,
};
use tokio::time::sleep;

use super::*;
use crate::config::{Check, CheckKind, Flap, Through, proxy::Place};

const INTERVAL: Duration = Duration::from_secs(1);

/// Answers by a table that the test can change; unknown backends do not answer.
#[derive(Clone, Default)]
struct Script(Arc<Shared>);

#[derive(Default)]
struct Shared {
    up: Mutex<BTreeMap<TargetKey, Option<bool>>>,
    probes: AtomicUsize,
    running: AtomicUsize,
    most_running: AtomicUsize,
    takes: Mutex<Duration>,
    /// Of each backend, the number of its last probe and when it began.
    last: Mutex<BTreeMap<TargetKey, (usize, Instant)>>,
}

impl Script {
    fn set(&self, key: TargetKey, up: bool) {
        let _ = self.0.up.lock().unwrap().insert(key, Some(up));
    }

    fn cannot_ask(&self, key: TargetKey) {
        let _ = self.0.up.lock().unwrap().insert(key, None);
    }

    fn probes(&self) -> usize {
        self.0.probes.load(Ordering::Relaxed)
    }
}

impl Prober for Script {
    async fn probe(self, key: TargetKey, _: Arc<Target>) -> Option<Outcome> {
        let shared = self.0;
        let number = shared.probes.fetch_add(1, Ordering::Relaxed);
        let begun = (number, Instant::now());
        let _ = shared.last.lock().unwrap().insert(key.clone(), begun);
        let running = shared.running.fetch_add(1, Ordering::Relaxed) + 1;
        let _ = shared.most_running.fetch_max(running, Ordering::Relaxed);
        let takes = *shared.takes.lock().unwrap();
        sleep(takes).await;
        let _ = shared.running.fetch_sub(1, Ordering::Relaxed);
        let up = shared.up.lock().unwrap().get(&key).copied();
        let ok = up.expect("a script for this backend")?;
        Some(Outcome { ok, reason: format!("probe {number}") })
    }
}

fn key(host: u16) -> TargetKey {
    let [a, b] = host.to_be_bytes();
    let vip = Addr::from_v4([192, 0, 2, 1]);
    TargetKey::Service {
        service: ServiceKey::new(vip, Port::new(80), Protocol::TCP),
        backend: SocketAddr::from(([10, 0, a, b], 80)),
    }
}

fn target(initially_up: bool) -> Target {
    let check = Check {
        kind: CheckKind::Tcp,
        through: Through::Direct,
        port: None,
        interval: INTERVAL,
        fast_interval: INTERVAL,
        timeout: Duration::from_millis(200),
        rise: 2,
        fall: 3,
        slow_start: Duration::ZERO,
        flap: Flap::default(),
    };
    Target {
        names: ("web".into(), "web1".into()),
        check: Arc::new(check),
        alias: None,
        header: None,
        initially_up,
    }
}

fn targets(hosts: impl IntoIterator<Item = u16>) -> Arc<Targets> {
    Arc::new(hosts.into_iter().map(|host| (key(host), target(true))).collect())
}

struct Bench {
    script: Script,
    targets: watch::Sender<Arc<Targets>>,
    view: watch::Receiver<Arc<View>>,
}

impl Bench {
    fn new(targets: Arc<Targets>, takes: Duration) -> Self {
        let script = Script::default();
        *script.0.takes.lock().unwrap() = takes;
        for key in targets.keys() {
            script.set(key.clone(), true);
        }
        let (targets, receiver) = watch::channel(targets);
        let (view, _) = spawn_with(receiver, script.clone());
        Self { script, targets, view }
    }

    fn up(&self, host: u16) -> bool {
        self.view.borrow()[&key(host)].up
    }

    /// Waits for the next publication, and returns how long it took.
    async fn next(&mut self) -> Duration {
        let start = Instant::now();
        self.view.changed().await.unwrap();
        start.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn before_the_first_results_it_says_what_it_was_told() {
    let told = Targets::from([(key(1), target(true)), (key(2), target(false))]);
    let bench = Bench::new(Arc::new(told), Duration::ZERO);
    for (host, up) in [(1, true), (2, false)] {
        let expected =
            Finding { up, confirmed: false, parts: FULL, reason: "not checked yet".into() };
        assert_eq!(bench.view.borrow()[&key(host)], expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_fails_goes_down_and_comes_back() {
    let mut bench = Bench::new(targets([1, 2]), Duration::ZERO);
    sleep(INTERVAL * 3).await;
    bench.script.set(key(1), false);
    let since = Instant::now();
    while bench.up(1) {
        let _ = bench.next().await;
    }
    assert!(since.elapsed() > INTERVAL * 2 && since.elapsed() < INTERVAL * 4);
    assert!(bench.up(2));
    bench.script.set(key(1), true);
    let since = Instant::now();
    while !bench.up(1) {
        let _ = bench.next().await;
    }
    assert!(since.elapsed() > INTERVAL && since.elapsed() < INTERVAL * 3);
}

#[tokio::test(start_paused = true)]
async fn the_same_place_in_two_pools_is_checked_for_each() {
    let place = Place::Tcp(SocketAddr::from(([10, 0, 0, 1], 80)));
    let of_proxy = |name: &str| TargetKey::Proxy { proxy: name.into(), backend: place.clone() };
    let keys = [key(1), of_proxy("a"), of_proxy("b")];
    let targets: Targets = keys.iter().map(|key| (key.clone(), target(true))).collect();
    let mut bench = Bench::new(Arc::new(targets), Duration::ZERO);
    bench.script.set(of_proxy("a"), false);
    while bench.view.borrow()[&of_proxy("a")].up {
        let _ = bench.next().await;
    }
    let up = keys.each_ref().map(|key| bench.view.borrow()[key].up);
    assert_eq!(up, [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_health_is_published_at_once_and_reasons_once_a_second() {
    let mut bench = Bench::new(targets(0..100), Duration::ZERO);
    sleep(INTERVAL * 2).await;
    let _ = bench.view.borrow_and_update();
    let _ = bench.next().await;
    for _ in 0..5 {
        let waited = bench.next().await;
        assert!(waited >= REASONS && waited < REASONS * 2, "{waited:?}");
    }
    bench.script.set(key(7), false);
    while bench.up(7) {
        let _ = bench.next().await;
    }
    // The publication came with the probe that made the change.
    let (last, begun) = bench.script.0.last.lock().unwrap()[&key(7)];
    assert_eq!(bench.view.borrow()[&key(7)].reason, format!("probe {last}"));
    assert!(begun.elapsed() < Duration::from_millis(5), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_stays_keeps_its_state_and_what_leaves_is_forgotten() {
    let mut bench = Bench::new(targets([1, 2]), Duration::ZERO);
    bench.script.set(key(1), false);
    while bench.up(1) {
        let _ = bench.next().await;
    }
    bench.script.set(key(3), true);
    let _ = bench.targets.send_replace(targets([1, 3]));
    while bench.view.borrow().contains_key(&key(2)) {
        assert!(bench.next().await < Duration::from_millis(2), "a new set is published at once");
    }
    assert!(!bench.up(1), "it stays down, though the target says initially up");
    assert!(bench.up(3));

    let _ = bench.targets.send_replace(targets([2, 3]));
    let _ = bench.next().await;
    let _ = bench.targets.send_replace(targets([1, 2, 3]));
    let _ = bench.next().await;
    assert!(bench.up(1), "it has been away: it starts anew");
}

#[tokio::test(start_paused = true)]
async fn changes_around_a_target_do_not_disturb_its_checks() {
    let bench = Bench::new(targets([1]), Duration::ZERO);
    bench.script.set(key(2), true);
    sleep(INTERVAL).await;
    bench.script.set(key(1), false);
    for round in 0..40 {
        let others = (round % 2 == 0).then_some(2);
        let _ = bench.targets.send_replace(targets([1].into_iter().chain(others)));
        sleep(INTERVAL / 10).await;
    }
    assert!(!bench.up(1));
}

#[tokio::test(start_paused = true)]
async fn another_check_starts_from_what_is_believed() {
    let mut bench = Bench::new(targets([1]), Duration::ZERO);
    bench.script.set(key(1), false);
    while bench.up(1) {
        let _ = bench.next().await;
    }
    let mut other = target(true);
    Arc::make_mut(&mut other.check).interval = INTERVAL * 10;
    Arc::make_mut(&mut other.check).fast_interval = INTERVAL * 10;
    let _ = bench.targets.send_replace(Arc::new([(key(1), other)].into()));
    sleep(INTERVAL).await;
    assert!(!bench.up(1));
    let probes = bench.script.probes();
    sleep(INTERVAL * 100).await;
    assert_eq!(bench.script.probes() - probes, 10);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_an_earlier_watch_does_not_count() {
    let mut target = target(true);
    Arc::make_mut(&mut target.check).fall = 1;
    let now = Instant::now().into_std();
    let beat = |host: &u16| {
        let finding = Finding::expected(&target);
        Machine::new(&key(*host), &target.check, finding, now).next_probe() - now
    };
    let host = (1..100).find(|host| beat(host) > INTERVAL / 2).unwrap();
    let alone: Arc<Targets> = Arc::new([(key(host), target)].into());
    let mut bench = Bench::new(alone.clone(), INTERVAL / 10);
    bench.script.set(key(host), false);
    while bench.script.probes() == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    let _ = bench.targets.send_replace(Arc::default());
    let _ = bench.next().await;
    let _ = bench.targets.send_replace(alone);
    let _ = bench.next().await;
    sleep(INTERVAL / 5).await;
    assert_eq!(bench.script.0.running.load(Ordering::Relaxed), 0, "the answer has come");
    assert_eq!(bench.script.probes(), 1);
    assert!(bench.up(host));
}

#[tokio::test(start_paused = true)]
async fn checks_are_bounded_and_all_get_their_turn() {
    let hosts = 0..2000;
    let bench = Bench::new(targets(hosts), Duration::from_millis(400));
    // 256 at a time, 400 ms each: 640 a second.
    sleep(Duration::from_secs(6)).await;
    assert_eq!(bench.script.0.most_running.load(Ordering::Relaxed), CONCURRENT);
    let unchecked =
        bench.view.borrow().values().filter(|finding| finding.reason == "not checked yet").count();
    assert_eq!(unchecked, 0);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_panics_counts_as_failed() {
    let mut bench = Bench::new(targets([1]), Duration::ZERO);
    let _ = bench.script.0.up.lock().unwrap().remove(&key(1));
    while bench.up(1) {
        let _ = bench.next().await;
    }
    assert_eq!(bench.view.borrow()[&key(1)].reason, "the check itself broke off");
    bench.script.set(key(1), true);
    while !bench.up(1) {
        let _ = bench.next().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_that_could_not_ask_says_nothing() {
    let mut bench = Bench::new(targets([1]), Duration::ZERO);
    bench.script.cannot_ask(key(1));
    sleep(INTERVAL * 10).await;
    assert!(bench.up(1));
    assert_eq!(bench.script.probes(), 10, "it goes on asking");
    bench.script.set(key(1), false);
    while bench.up(1) {
        let _ = bench.next().await;
    }
    bench.script.cannot_ask(key(1));
    sleep(INTERVAL * 10).await;
    assert!(!bench.up(1));
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_came_back_is_told_of_at_each_step_to_its_weight() {
    let mut target = target(true);
    let slow_start = INTERVAL * 20;
    Arc::make_mut(&mut target.check).slow_start = slow_start;
    let mut bench = Bench::new(Arc::new([(key(1), target)].into()), Duration::ZERO);
    let parts = |bench: &Bench| bench.view.borrow()[&key(1)].parts;
    assert_eq!(parts(&bench), FULL);
    bench.script.set(key(1), false);
    while bench.up(1) {
        let _ = bench.next().await;
    }
    bench.script.set(key(1), true);
    while !bench.up(1) {
        let _ = bench.next().await;
    }
    let since = Instant::now();
    let mut seen = vec![parts(&bench)];
    while parts(&bench) < FULL {
        let _ = bench.next().await;
        if parts(&bench) > seen[seen.len() - 1] {
            seen.push(parts(&bench));
        }
    }
    assert_eq!(seen, (1..=FULL).collect::<Vec<_>>());
    let late = since.elapsed().checked_sub(slow_start).unwrap();
    assert!(late < Duration::from_millis(5), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_last_listener() {
    let (_targets, receiver) = watch::channel(targets([1]));
    let script = Script::default();
    script.set(key(1), true);
    let (view, task) = spawn_with(receiver, script);
    drop(view);
    task.await.unwrap();
}
