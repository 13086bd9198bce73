//! The sessions that wait for a backend, in the order in which they came.

use std::{collections::VecDeque, sync::Arc};

use super::{live::Live, pool::Member, table::SessionId};

/// A session, from outside its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The position of its worker.
    pub(super) worker: usize,
    /// Its place there.
    pub(super) key: usize,
    /// Tells it from others that had the place.
    pub(super) id: SessionId,
}

/// What a session wants of a pool.
pub(super) struct Wish {
    pub(super) session: Address,
    pub(super) proxy: Arc<Live>,
    /// What a ring finds its backend by.
    pub(super) hash: u32,
    /// Those that it could not connect to.
    pub(super) tried: Vec<Arc<Member>>,
}

/// A line of wishes.
#[derive(Default)]
pub(super) struct Line(VecDeque<Wish>);

impl Line {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, wish: Wish) {
        self.0.push_back(wish);
    }

    /// Removes a session's wish. Gives whether it was there.
    pub(super) fn remove(&mut self, session: Address) -> bool {
        let before = self.0.len();
        self.0.retain(|wish| wish.session != session);
        self.0.len() < before
    }

    /// Grants wishes, the first first. It ends with the first that cannot be granted although the
    /// session has tried nothing yet: those behind it want no less.
    pub(super) fn grant(&mut self, mut grant: impl FnMut(&Wish) -> bool) {
        let mut at = 0;
        while let Some(wish) = self.0.get(at) {
            if grant(wish) {
                let _granted = self.0.remove(at);
            } else if wish.tried.is_empty() {
                return;
            } else {
                at += 1;
            }
        }
    }
}
