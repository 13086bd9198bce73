//! A packet path in memory, which can be told to fail.

use std::collections::BTreeMap;

use lb_common::slot::Slot;

use super::{Actual, Dataplane, Error, Op};
use crate::config::Limits;

/// Maps in memory.
#[derive(Clone, Debug)]
pub struct Fake {
    limits: Limits,
    actual: Actual,
    slots: BTreeMap<u32, Slot>,
    /// The writes made, in order.
    pub log: Vec<Op>,
    /// How many more writes succeed; `None`: all.
    pub budget: Option<usize>,
}

impl Fake {
    /// Empty maps.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            actual: Actual::default(),
            slots: BTreeMap::new(),
            log: Vec::new(),
            budget: None,
        }
    }
}

impl Dataplane for Fake {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn read(&self) -> Result<Actual, Error> {
        Ok(self.actual.clone())
    }

    fn slots(&self, base: u32, size: u32) -> Result<Vec<Slot>, Error> {
        Ok((base..base + size)
            .map(|place| self.slots.get(&place).copied().unwrap_or(Slot::EMPTY))
            .collect())
    }

    fn apply(&mut self, op: &Op) -> Result<(), Error> {
        match &mut self.budget {
            Some(0) => return Err(Error::Injected),
            Some(left) => *left -= 1,
            None => {}
        }
        self.log.push(op.clone());
        let Actual { settings, services, backends, replies, routes, denied, devices } =
            &mut self.actual;
        match op.clone() {
            Op::PutSettings(new) => *settings = Some(new),
            Op::PutBackend(place, backend) => drop(backends.insert(place, backend)),
            Op::FreeBackend(place) => drop(backends.remove(&place)),
            Op::ResetTraffic(_) => {}
            Op::WriteSlots(words) => self.slots.extend(words),
            Op::PutService(key, service) => drop(services.insert(key, service)),
            Op::RemoveService(key) => drop(services.remove(&key)),
            Op::PutReply(key, reply) => drop(replies.insert(key, reply)),
            Op::RemoveReply(key) => drop(replies.remove(&key)),
            Op::PutRoute(prefix, hop) => drop(routes.insert(prefix, hop)),
            Op::RemoveRoute(prefix) => drop(routes.remove(&prefix)),
            Op::Deny(prefix) => _ = denied.insert(prefix),
            Op::Allow(prefix) => _ = denied.remove(&prefix),
            Op::PutDevice(interface) => _ = devices.insert(interface),
            Op::RemoveDevice(interface) => _ = devices.remove(&interface),
        }
        Ok(())
    }
}
