//! The scripts that are tracked.

use std::time::Duration;

use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use crate::{
    config::{Vrrp, vrrp::Tracked},
    health::probe::exec,
};

/// Runs them, each in its own time.
pub(super) struct Scripts {
    /// They end with this.
    running: JoinSet<()>,
    results: mpsc::Receiver<Result_>,
    sender: mpsc::Sender<Result_>,
}

/// Of which virtual router, which of what it tracks, and whether it is good.
type Result_ = (String, usize, bool);

impl Default for Scripts {
    fn default() -> Self {
        let (sender, results) = mpsc::channel(64);
        Self { running: JoinSet::new(), results, sender }
    }
}

impl Scripts {
    /// Runs the scripts of these virtual routers, and no others.
    pub(super) fn set(&mut self, config: &[Vrrp]) {
        *self = Self::default();
        for router in config {
            for (index, track) in router.tracks.iter().enumerate() {
                if let Tracked::Script { command, interval, timeout } = &track.what {
                    let results = self.sender.clone();
                    let name = router.name.clone();
                    let _ = self.running.spawn(run(
                        command.clone(),
                        (*interval, *timeout),
                        (name, index),
                        results,
                    ));
                }
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
    (router, index): (String, usize),
    results: mpsc::Sender<Result_>,
) {
    let mut beat = tokio::time::interval(interval);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let environment = [("LB_VRRP", router.clone())];
    loop {
        let _ = beat.tick().await;
        let good = match timeout(patience, exec::run(&command, &environment)).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                tracing::debug!(router, "{}: {error}", command.join(" "));
                false
            }
            Err(_) => false,
        };
        if results.send((router.clone(), index, good)).await.is_err() {
            return;
        }
    }
}
