//! The task that owns the state machines of all checks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    task::{self, JoinError, JoinHandle, JoinSet},
    time::{Instant, sleep_until},
};

use super::{
    FULL, Finding, Target, TargetKey, Targets, View,
    probe::{Network, Prober},
    sm::{Change, Machine, Outcome},
};

/// Checks that may run at once: each holds a socket.
const CONCURRENT: usize = 256;
/// What becomes due within this is started together: each wake-up costs about as much as a check.
const BATCH: Duration = Duration::from_millis(10);
/// New reasons alone are told this often.
const REASONS: Duration = Duration::from_secs(1);

/// Checks the targets in a task on the current runtime, and publishes what changes.
///
/// The task ends when all receivers of the view are gone.
#[must_use]
pub fn spawn(
    targets: watch::Receiver<Arc<Targets>>,
) -> (watch::Receiver<Arc<View>>, JoinHandle<()>) {
    spawn_with(targets, Network::default())
}

/// [`spawn`] with another prober.
#[must_use]
pub fn spawn_with(
    mut targets: watch::Receiver<Arc<Targets>>,
    prober: impl Prober,
) -> (watch::Receiver<Arc<View>>, JoinHandle<()>) {
    let mut supervisor = Supervisor::new(prober);
    supervisor.retarget(&targets.borrow_and_update().clone());
    supervisor.news = Change::None;
    let (publisher, receiver) = watch::channel(Arc::new(supervisor.view()));
    (receiver, tokio::spawn(supervisor.run(targets, publisher)))
}

/// One target under watch.
struct Watch {
    target: Arc<Target>,
    machine: Machine,
    /// Tells an answer to this watch from one to an earlier watch of the same key.
    number: u64,
}

/// What is to be done with targets, by when.
type Agenda = BTreeSet<(std::time::Instant, TargetKey)>;

/// Takes the first entry, if its time has come.
fn pop_due(agenda: &mut Agenda, now: std::time::Instant) -> Option<TargetKey> {
    if agenda.first().is_none_or(|(due, _)| *due > now) {
        return None;
    }
    agenda.pop_first().map(|(_, key)| key)
}

struct Supervisor<P> {
    prober: P,
    watches: BTreeMap<TargetKey, Watch>,
    /// The checks that wait for their time.
    queue: Agenda,
    /// The backends on their way to their full weight, by when they may take more.
    ramps: Agenda,
    running: JoinSet<Option<Outcome>>,
    /// Whom the running checks are about: the target, and the number of its watch.
    subjects: BTreeMap<task::Id, (TargetKey, u64)>,
    watches_so_far: u64,
    /// When checks may be started next.
    next_batch: Instant,
    /// The most that has changed since the last publication.
    news: Change,
    published: Instant,
}

impl<P: Prober> Supervisor<P> {
    fn new(prober: P) -> Self {
        Self {
            prober,
            watches: BTreeMap::new(),
            queue: BTreeSet::new(),
            ramps: BTreeSet::new(),
            running: JoinSet::new(),
            subjects: BTreeMap::new(),
            watches_so_far: 0,
            next_batch: Instant::now(),
            news: Change::None,
            published: Instant::now(),
        }
    }

    async fn run(
        mut self,
        mut targets: watch::Receiver<Arc<Targets>>,
        publisher: watch::Sender<Arc<View>>,
    ) {
        let mut targets_open = true;
        loop {
            let due = self.next_deadline();
            tokio::select! {
                () = publisher.closed() => return,
                changed = targets.changed(), if targets_open => match changed {
                    Ok(()) => self.retarget(&targets.borrow_and_update().clone()),
                    Err(_) => targets_open = false,
                },
                Some(finished) = self.running.join_next_with_id() => {
                    self.finished(finished);
                    // What came in together is published together.
                    while let Some(finished) = self.running.try_join_next_with_id() {
                        self.finished(finished);
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            self.start_due();
            self.climb();
            self.publish(&publisher);
        }
    }

    /// When something happens without anything coming in.
    fn next_deadline(&self) -> Option<Instant> {
        let probe = self.queue.first().filter(|_| self.running.len() < CONCURRENT);
        let probe = probe.map(|(due, _)| self.next_batch.max((*due).into()));
        let reasons = (self.news == Change::Reason).then_some(self.published + REASONS);
        let ramp = self.ramps.first().map(|(due, _)| (*due).into());
        probe.into_iter().chain(reasons).chain(ramp).min()
    }

    fn start_due(&mut self) {
        if Instant::now() < self.next_batch {
            return;
        }
        let now = Instant::now().into_std();
        while self.running.len() < CONCURRENT
            && let Some(key) = pop_due(&mut self.queue, now)
        {
            let Some(Watch { target, number, .. }) = self.watches.get(&key) else { continue };
            let task = self.running.spawn(self.prober.clone().probe(key.clone(), target.clone()));
            let _ = self.subjects.insert(task.id(), (key, *number));
            self.next_batch = Instant::from_std(now) + BATCH;
        }
    }

    /// Lets backends that came back take more.
    fn climb(&mut self) {
        let now = Instant::now().into_std();
        while let Some(key) = pop_due(&mut self.ramps, now) {
            let Some(watch) = self.watches.get_mut(&key) else { continue };
            self.news = self.news.max(watch.machine.climb(now));
            self.ramps.extend(watch.machine.next_step().map(|due| (due, key)));
        }
    }

    fn finished(&mut self, finished: Result<(task::Id, Option<Outcome>), JoinError>) {
        let (task, outcome) = finished.unwrap_or_else(|error| {
            tracing::error!(%error, "a health check broke off");
            let reason = "the check itself broke off".into();
            (error.id(), Some(Outcome { ok: false, reason }))
        });
        let Some((key, number)) = self.subjects.remove(&task) else { return };
        let Some(watch) = self.watches.get_mut(&key).filter(|watch| watch.number == number) else {
            return;
        };
        let now = Instant::now().into_std();
        let ramp = watch.machine.next_step();
        match outcome.map(|outcome| watch.machine.finished(outcome, now)) {
            Some(change) => self.news = self.news.max(change),
            None => watch.machine.passed_over(now),
        }
        if watch.machine.next_step() != ramp {
            if let Some(due) = ramp {
                let _ = self.ramps.remove(&(due, key.clone()));
            }
            self.ramps.extend(watch.machine.next_step().map(|due| (due, key.clone())));
        }
        let _ = self.queue.insert((watch.machine.next_probe(), key));
    }

    /// Takes over a new set. What stays goes on as it was; what is to be checked differently
    /// starts from what is believed of it.
    fn retarget(&mut self, targets: &Targets) {
        let mut before = std::mem::take(&mut self.watches);
        for (key, target) in targets {
            let watch = match before.remove(key) {
                Some(watch) if watch.target.is_checked_as(target) => watch,
                Some(watch) => {
                    self.forget(key, &watch);
                    let believed = Finding { parts: FULL, ..watch.machine.finding().clone() };
                    self.watch(key, target, believed)
                }
                None => {
                    self.news = Change::Health;
                    self.watch(key, target, Finding::expected(target))
                }
            };
            let _ = self.watches.insert(key.clone(), watch);
        }
        for (key, watch) in before {
            self.news = Change::Health;
            self.forget(&key, &watch);
        }
    }

    fn forget(&mut self, key: &TargetKey, watch: &Watch) {
        let _ = self.queue.remove(&(watch.machine.next_probe(), key.clone()));
        if let Some(due) = watch.machine.next_step() {
            let _ = self.ramps.remove(&(due, key.clone()));
        }
    }

    fn watch(&mut self, key: &TargetKey, target: &Target, finding: Finding) -> Watch {
        let machine = Machine::new(key, &target.check, finding, Instant::now().into_std());
        let _ = self.queue.insert((machine.next_probe(), key.clone()));
        self.watches_so_far += 1;
        Watch { target: Arc::new(target.clone()), machine, number: self.watches_so_far }
    }

    fn view(&self) -> View {
        let finding =
            |(key, watch): (&TargetKey, &Watch)| (key.clone(), watch.machine.finding().clone());
        self.watches.iter().map(finding).collect()
    }

    fn publish(&mut self, publisher: &watch::Sender<Arc<View>>) {
        let now = Instant::now();
        let due = match self.news {
            Change::None => false,
            Change::Reason => now >= self.published + REASONS,
            Change::Health => true,
        };
        if due {
            self.published = now;
            self.news = Change::None;
            let _ = publisher.send_replace(Arc::new(self.view()));
        }
    }
}

#[cfg(test)]
mod tests;
