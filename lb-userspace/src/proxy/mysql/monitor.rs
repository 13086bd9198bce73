//! Asks database servers what they are, and drives [`Roles`](super::Roles) by their answers.
//!
//! ```text
//! Monitors ─► pool: Roles of one proxy ─► Told
//!              ▲
//!              └ asker … asker         one for each server: a tick, a turn, an answer or a failure
//!                  └ turn: login (once) ─► question
//! ```
//!
//! Every pool and every server has a task of its own: a server that hangs delays nobody.
//!
//! The user needs what `SHOW REPLICA STATUS` takes: `REPLICATION CLIENT` on `MySQL` and on `MariaDB` before
//! 10.5, `SLAVE MONITOR` on later ones. Variables can be read without a privilege.

mod asker;
mod failure;
mod login;
mod pool;
mod question;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::AbortHandle,
};

use super::{Note, Past, View};
use crate::config::proxy::{Mysql, Place};

/// One pool of database servers, as its proxy is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The proxy's name.
    pub proxy: String,
    /// What is done with roles.
    pub settings: Mysql,
    /// The servers, by the names of the backends.
    pub servers: BTreeMap<String, Place>,
}

/// What monitors say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// What is to be of a pool from now on.
    View {
        /// The proxy's name.
        proxy: String,
        /// For the proxy's role.
        view: View,
    },
    /// Something happened.
    Note {
        /// The proxy's name.
        proxy: String,
        /// What.
        note: Note,
    },
}

/// The monitors of all pools. Dropping them ends them.
#[derive(Debug)]
pub struct Monitors {
    told: UnboundedSender<Told>,
    pools: BTreeMap<String, Monitored>,
    /// What pools that are not configured yet go on from.
    pasts: BTreeMap<String, Past>,
}

#[derive(Debug)]
struct Monitored {
    pool: watch::Sender<Pool>,
    past: watch::Receiver<Option<Past>>,
    _task: Task,
}

impl Monitors {
    /// None yet. What they find out is sent here.
    #[must_use]
    pub fn new(told: UnboundedSender<Told>) -> Self {
        Self { told, pools: BTreeMap::new(), pasts: BTreeMap::new() }
    }

    /// Takes over what the [`pasts`](Self::pasts) of an earlier process were, before the first
    /// [`configure`](Self::configure).
    pub fn resume(&mut self, pasts: BTreeMap<String, Past>) {
        self.pasts = pasts;
    }

    /// The last known primary of each pool that has had one, by the proxies' names.
    #[must_use]
    pub fn pasts(&self) -> BTreeMap<String, Past> {
        let past =
            |(name, it): (&String, &Monitored)| Some((name.clone(), it.past.borrow().clone()?));
        self.pools.iter().filter_map(past).collect()
    }

    /// Monitors these pools and no others, in tasks of the current runtime. What is known of servers that
    /// stay is kept.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn configure(&mut self, pools: Vec<Pool>) {
        let names: BTreeSet<_> = pools.iter().map(|it| it.proxy.clone()).collect();
        self.pools.retain(|name, _| names.contains(name));
        for pool in pools {
            if let Some(monitored) = self.pools.get(&pool.proxy) {
                let change = |old: &mut Pool| {
                    let changed = *old != pool;
                    *old = pool;
                    changed
                };
                let _changed = monitored.pool.send_if_modified(change);
            } else {
                let past = self.pasts.remove(&pool.proxy);
                let _none = self.pools.insert(pool.proxy.clone(), self.start(pool, past));
            }
        }
        self.pasts.clear();
    }

    fn start(&self, pool: Pool, past: Option<Past>) -> Monitored {
        let (pool, changes) = watch::channel(pool);
        let (told_past, past_told) = watch::channel(past);
        let task = pool::run(changes, told_past, self.told.clone());
        Monitored { pool, past: past_told, _task: Task::start(task) }
    }
}

/// A task that ends with its owner.
#[derive(Debug)]
struct Task(AbortHandle);

impl Task {
    fn start(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task).abort_handle())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
