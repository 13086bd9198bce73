//! The tasks that ask the agents.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
    task::{AbortHandle, JoinHandle, JoinSet},
    time::MissedTickBehavior,
};

use super::{
    Said, Target, Targets, View,
    line::{self, Line},
};
use crate::health::{
    TargetKey,
    probe::{Failure, Host},
    sm::phase,
};

/// The longest line, in bytes.
const LONGEST: usize = 1024;

/// Asks the agents in tasks on the current runtime, and publishes what changes. `found` is what they
/// are believed to have said before.
///
/// The task ends when all receivers of the view are gone.
#[must_use]
pub fn spawn(
    mut targets: watch::Receiver<Arc<Targets>>,
    found: View,
) -> (watch::Receiver<Arc<View>>, JoinHandle<()>) {
    let (publisher, receiver) = watch::channel(Arc::new(found));
    let task = tokio::spawn(async move {
        let mut supervisor =
            Supervisor { asked: BTreeMap::new(), tasks: JoinSet::new(), publisher };
        loop {
            let wanted = targets.borrow_and_update().clone();
            supervisor.retarget(&wanted);
            tokio::select! {
                () = supervisor.publisher.closed() => return,
                changed = targets.changed() => if changed.is_err() {
                    supervisor.publisher.closed().await;
                    return;
                },
            }
        }
    });
    (receiver, task)
}

struct Supervisor {
    asked: BTreeMap<TargetKey, (Target, AbortHandle)>,
    /// They end with it.
    tasks: JoinSet<()>,
    publisher: watch::Sender<Arc<View>>,
}

impl Supervisor {
    /// Takes over a new set. An agent that is asked differently begins anew; what is believed of it
    /// stays until it says something else.
    fn retarget(&mut self, targets: &Targets) {
        self.asked.retain(|key, (asked, task)| {
            let stays = targets.get(key) == Some(asked);
            if !stays {
                task.abort();
            }
            stays
        });
        while self.tasks.try_join_next().is_some() {}
        let _: bool = self.publisher.send_if_modified(|view| {
            let gone = view.keys().any(|key| !targets.contains_key(key));
            if gone {
                Arc::make_mut(view).retain(|key, _| targets.contains_key(key));
            }
            gone
        });
        for (key, target) in targets {
            if !self.asked.contains_key(key) {
                let task = ask_on(key.clone(), target.clone(), self.publisher.clone());
                let entry = (target.clone(), self.tasks.spawn(task));
                let _ = self.asked.insert(key.clone(), entry);
            }
        }
    }
}

/// Asks an agent over and over. One that does not answer changes nothing: whether its machine can be
/// reached is for the check to say.
async fn ask_on(key: TargetKey, target: Target, publisher: watch::Sender<Arc<View>>) {
    let Target { address, agent } = &target;
    let first = tokio::time::Instant::now() + phase(&key, agent.interval);
    let mut ticks = tokio::time::interval_at(first, agent.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let _instant = ticks.tick().await;
        match tokio::time::timeout(agent.timeout, ask(&target)).await {
            Ok(Ok(Some(line))) => publish(&key, line, &publisher),
            Ok(Ok(None)) => tracing::debug!("agent at {address}: no line"),
            Ok(Err(failure)) => tracing::debug!("agent at {address}: {failure}"),
            Err(_) => tracing::debug!("agent at {address}: no answer in time"),
        }
    }
}

fn publish(key: &TargetKey, line: Line, publisher: &watch::Sender<Arc<View>>) {
    let _: bool = publisher.send_if_modified(|view| {
        let mut said = view.get(key).cloned().unwrap_or_default();
        said.hear(line);
        let differs = view.get(key) != Some(&said);
        if differs {
            let _: Option<Said> = Arc::make_mut(view).insert(key.clone(), said);
        }
        differs
    });
}

/// Asks once; `None` if no whole line comes.
async fn ask(Target { address, agent }: &Target) -> Result<Option<Line>, Failure> {
    let mut stream = Host::direct(*address).connect().await?;
    if !agent.send.is_empty() {
        stream.write_all(agent.send.as_bytes()).await.map_err(Failure::Connect)?;
    }
    let mut answer = Vec::new();
    let mut bytes = [0; 256];
    while answer.len() < LONGEST {
        let read = stream.read(&mut bytes).await.map_err(Failure::Connect)?;
        answer.extend_from_slice(&bytes[..read]);
        let line = line::parse(&answer);
        if line.is_some() || read == 0 {
            return Ok(line);
        }
    }
    Ok(None)
}
