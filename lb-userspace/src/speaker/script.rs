//! The scripts that are tracked.

use std::time::Duration;

use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::message::Duties;
use crate::{
    config::vrrp::{Track, Tracked},
    health::probe::exec,
};

/// Runs them, each in its own time.
pub(super) struct Scripts {
    /// They end with this.
    running: JoinSet<()>,
    results: mpsc::Receiver<Result_>,
    sender: mpsc::Sender<Result_>,
}

/// Who tracks a script, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A virtual router.
    Router(String),
    /// A route.
    Route(String),
}

/// Whose it is, which of what is tracked, and whether it is good.
type Result_ = (Owner, usize, bool);

impl Default for Scripts {
    fn default() -> Self {
        let (sender, results) = mpsc::channel(64);
        Self { running: JoinSet::new(), results, sender }
    }
}

impl Scripts {
    /// Runs the scripts of these, and no others.
    pub(super) fn set(&mut self, Duties { routers, routes }: &Duties) {
        *self = Self::default();
        for router in routers {
            self.start(&Owner::Router(router.name.clone()), &router.tracks);
        }
        for route in routes {
            self.start(&Owner::Route(route.name.clone()), &route.tracks);
        }
    }

    fn start(&mut self, owner: &Owner, tracks: &[Track]) {
        for (index, track) in tracks.iter().enumerate() {
            if let Tracked::Script { command, interval, timeout } = &track.what {
                let (results, which) = (self.sender.clone(), (owner.clone(), index));
                let times = (*interval, *timeout);
                let _ = self.running.spawn(run(command.clone(), times, which, results));
            }
        }
    }

    /// The next result.
    pub(super) async fn next(&mut self) -> Result_ {
        match self.results.recv().await {
            Some(result) => result,
            // The sender is here.
            None => std::future::pending().await,
        }
    }
}

async fn run(
    command: Vec<String>,
    (interval, patience): (Duration, Duration),
    (owner, index): (Owner, usize),
    results: mpsc::Sender<Result_>,
) {
    let mut beat = tokio::time::interval(interval);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let environment = match &owner {
        Owner::Router(name) => [("LB_VRRP", name.clone())],
        Owner::Route(name) => [("LB_ROUTE", name.clone())],
    };
    loop {
        let _ = beat.tick().await;
        let good = match timeout(patience, exec::run(&command, &environment)).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                tracing::debug!(?owner, "{}: {error}", command.join(" "));
                false
            }
            Err(_) => false,
        };
        if results.send((owner.clone(), index, good)).await.is_err() {
            return;
        }
    }
}
