//! The monitor of one pool: what servers answer goes in, what is told comes out.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use tokio::{
    sync::{
        mpsc::{self, UnboundedReceiver, UnboundedSender},
        watch,
    },
    time,
};

use super::{Pool, Task, Told, asker, failure::Failure};
use crate::{
    config::proxy::{Monitor, Place},
    proxy::mysql::{Note, Past, Roles, Said, View},
};

/// Monitors a pool until nobody listens or changes it any more.
pub(super) async fn run(
    mut changes: watch::Receiver<Pool>,
    past: watch::Sender<Option<Past>>,
    told: UnboundedSender<Told>,
) {
    let pool = changes.borrow_and_update().clone();
    let (mut driver, mut answers) = Driver::new(pool, past, told);
    let mut notes = Vec::new();
    while driver.tell(notes).is_some() {
        let due = driver.roles.next_deadline(now());
        notes = tokio::select! {
            changed = changes.changed() => match changed {
                Ok(()) => driver.configure(changes.borrow_and_update().clone()),
                Err(_) => return,
            },
            Some(answer) = answers.recv() => driver.take(answer),
            () = until(due) => driver.roles.elapsed(now()),
        };
    }
}

fn now() -> Instant {
    time::Instant::now().into_std()
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// A server's answer, and which asker has it.
struct Answer {
    server: String,
    asker: u64,
    result: Result<Said, Failure>,
}

struct Driver {
    pool: Pool,
    roles: Roles,
    askers: BTreeMap<String, Asker>,
    /// How many askers there have been: what an earlier one of a server still says does not count.
    started: u64,
    answers: UnboundedSender<Answer>,
    past: watch::Sender<Option<Past>>,
    told: UnboundedSender<Told>,
    last: Option<Sight>,
}

struct Asker {
    number: u64,
    place: Place,
    monitor: Monitor,
    _task: Task,
}

/// A view that was told, without the time at which it was.
#[derive(PartialEq, Eq)]
struct Sight {
    view: View,
    held_until: Option<Instant>,
}

impl Driver {
    fn new(
        pool: Pool,
        past: watch::Sender<Option<Past>>,
        told: UnboundedSender<Told>,
    ) -> (Self, UnboundedReceiver<Answer>) {
        let (answers, answered) = mpsc::unbounded_channel();
        let names = pool.servers.keys().cloned().collect();
        let mut roles = Roles::new(pool.settings.clone(), &names, now());
        if let Some(past) = past.borrow().clone() {
            roles.resume(past, now());
        }
        let askers = BTreeMap::new();
        let mut driver = Self { pool, roles, askers, started: 0, answers, past, told, last: None };
        driver.ask();
        (driver, answered)
    }

    /// A server at another address is another one.
    fn configure(&mut self, pool: Pool) -> Vec<Note> {
        let moved =
            |(name, place): &(&String, &Place)| self.pool.servers.get(*name) == Some(*place);
        let stay = pool.servers.iter().filter(moved).map(|it| it.0.clone()).collect();
        let all: BTreeSet<_> = pool.servers.keys().cloned().collect();
        let mut notes = self.roles.configure(pool.settings.clone(), &stay, now());
        notes.extend(self.roles.configure(pool.settings.clone(), &all, now()));
        self.pool = pool;
        self.ask();
        notes
    }

    /// Has every server asked, as it is configured.
    fn ask(&mut self) {
        let Pool { proxy: _, settings, servers } = &self.pool;
        let monitor = &settings.monitor;
        self.askers
            .retain(|name, it| servers.get(name) == Some(&it.place) && it.monitor == *monitor);
        for (name, place) in servers {
            if !self.askers.contains_key(name) {
                self.started += 1;
                let (server, asker, answers) = (name.clone(), self.started, self.answers.clone());
                let tell = move |result| {
                    let answer = Answer { server: server.clone(), asker, result };
                    // If nobody listens, this task is about to end.
                    drop(answers.send(answer));
                };
                let (place, monitor) = (place.clone(), monitor.clone());
                let task = Task::start(asker::run(place.clone(), monitor.clone(), tell));
                let asker = Asker { number: asker, place, monitor, _task: task };
                let _none = self.askers.insert(name.clone(), asker);
            }
        }
    }

    fn take(&mut self, Answer { server, asker, result }: Answer) -> Vec<Note> {
        if self.askers.get(&server).is_none_or(|it| it.number != asker) {
            return Vec::new();
        }
        match result {
            Ok(said) => self.roles.answered(&server, said, now()),
            Err(failure) => self.roles.failed(&server, &failure.to_string(), now()),
        }
    }

    /// Says what has changed; nothing comes back if nobody listens.
    fn tell(&mut self, notes: Vec<Note>) -> Option<()> {
        let now = now();
        let past = self.roles.past();
        let _changed = self.past.send_if_modified(|last| {
            let changed = *last != past;
            *last = past;
            changed
        });
        let proxy = &self.pool.proxy;
        for note in notes {
            self.told.send(Told::Note { proxy: proxy.clone(), note }).ok()?;
        }
        let view = self.roles.view(self.pool.settings.role, now);
        let held_until = view.hold.and_then(|it| now.checked_add(it));
        let sight = Some(Sight { view: View { hold: None, ..view.clone() }, held_until });
        if self.last != sight {
            self.last = sight;
            self.told.send(Told::View { proxy: proxy.clone(), view }).ok()?;
        }
        Some(())
    }
}
