//! How a slot changes: when its owner does, and as time passes. Pure.

use lb_common::{
    addr::Protocol,
    flow::HANDSHAKE,
    slot::{Index, Slot, State},
};

/// The slot after its owner in the table has become `owner`. `lives` tells whether a backend stands
/// behind an index.
pub(super) fn owned_by(slot: Slot, owner: Option<Index>, lives: impl Fn(Index) -> bool) -> Slot {
    if slot == Slot::stable(owner) {
        return slot;
    }
    let state = without_ghosts(slot.state(), lives);
    Slot::new(if Slot::new(state).current() == owner { state } else { moved(state, owner) })
}

/// A slot that changes while it moves keeps its previous backend: the flows that began since are
/// all remembered. So it does when it goes back there: connections that were being opened when it
/// did are still noted for others.
fn moved(state: State, owner: Option<Index>) -> State {
    match state {
        State::Stable { current: None } => State::Stable { current: owner },
        State::Settled { current: None } => State::Settled { current: owner },
        State::Stable { current: Some(previous) }
        | State::Settled { current: Some(previous) }
        | State::Moving { current: _, previous } => State::Moving { current: owner, previous },
    }
}

/// A slot may be wrong if someone else has written the map: it never keeps a free entry's index.
fn without_ghosts(state: State, lives: impl Fn(Index) -> bool) -> State {
    let alive = |index: Option<Index>| index.filter(|&index| lives(index));
    match state {
        State::Stable { current } => State::Stable { current: alive(current) },
        State::Moving { current, previous } if lives(previous) => {
            State::Moving { current: alive(current), previous }
        }
        State::Moving { current, previous: _ } | State::Settled { current } => {
            State::Settled { current: alive(current) }
        }
    }
}

/// What is known of a slot that is not stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unstable {
    /// As it was last seen.
    pub(super) slot: Slot,
    /// The tick since which it is in its state.
    pub(super) since: u32,
    /// The tick at which its current backend last changed.
    changed: u32,
}

impl Unstable {
    /// What is known of a slot that is seen now, given what was known of it. Of a slot that was not
    /// known nothing is, so that its times begin anew.
    pub(super) fn seen(known: Option<&Self>, slot: Slot, now: u32) -> Self {
        match known {
            Some(known) if known.slot == slot => *known,
            Some(known) if goes_on(known.slot.state(), slot.state()) => {
                Self { slot, since: known.since, changed: now }
            }
            _ => Self { slot, since: now, changed: now },
        }
    }

    /// Whether the window of a moving slot is over, so that flows that are not remembered belong to
    /// the current backend. No connection may be in its handshake with another then, be the window
    /// ever so short; a note that outlived it would speak for a later connection.
    pub(super) fn is_over(&self, protocol: Protocol, window: u32, now: u32) -> bool {
        self.remaining(protocol, window, now) == Some(0)
    }

    /// The ticks until the window of a moving slot is over.
    pub(super) fn remaining(&self, protocol: Protocol, window: u32, now: u32) -> Option<u32> {
        let State::Moving { current, previous } = self.slot.state() else { return None };
        let passed = |since: u32| now.wrapping_sub(since);
        let handshakes = if protocol == Protocol::TCP { HANDSHAKE + 1 } else { 0 };
        let window = if current == Some(previous) { 0 } else { window };
        let left = handshakes.saturating_sub(passed(self.changed));
        Some(left.max(window.saturating_sub(passed(self.since))))
    }
}

/// Whether a move goes on in another. While a slot has gone back to its previous backend nothing
/// needs to be remembered, so that the next move is a new one.
fn goes_on(before: State, after: State) -> bool {
    matches!(
        (before, after),
        (State::Moving { current, previous }, State::Moving { previous: same, .. })
            if previous == same && current != Some(previous)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stable(current: Index) -> State {
        State::Stable { current: Some(current) }
    }

    fn moving(current: Index, previous: Index) -> State {
        State::Moving { current: Some(current), previous }
    }

    fn settled(current: Index) -> State {
        State::Settled { current: Some(current) }
    }

    #[test]
    fn the_previous_backend_stays_until_the_move_is_over() {
        let none = State::Stable { current: None };
        for (before, owner, after) in [
            (stable(1), Some(1), stable(1)),
            (stable(1), Some(2), moving(2, 1)),
            (stable(1), None, State::Moving { current: None, previous: 1 }),
            (none, Some(2), stable(2)),
            (none, None, none),
            (moving(2, 1), Some(2), moving(2, 1)),
            (moving(2, 1), Some(3), moving(3, 1)),
            (moving(2, 1), None, State::Moving { current: None, previous: 1 }),
            (moving(2, 1), Some(1), moving(1, 1)),
            (moving(1, 1), Some(2), moving(2, 1)),
            (settled(2), Some(2), settled(2)),
            (settled(2), Some(3), moving(3, 2)),
            (State::Settled { current: None }, Some(3), settled(3)),
        ] {
            let slot = owned_by(Slot::new(before), owner, |_| true);
            assert_eq!(slot.state(), after, "{before:?} to {owner:?}");
        }
    }

    #[test]
    fn an_index_without_a_backend_is_forgotten() {
        for (before, after) in [
            (stable(9), stable(2)),
            (moving(9, 1), moving(2, 1)),
            (moving(1, 9), moving(2, 1)),
            (moving(9, 9), settled(2)),
            (settled(9), settled(2)),
        ] {
            let slot = owned_by(Slot::new(before), Some(2), |index| index != 9);
            assert_eq!(slot.state(), after, "{before:?}");
        }
    }

    #[test]
    fn a_window_counts_from_the_first_change_and_a_handshake_from_the_last() {
        let seen = |known: Option<Unstable>, state, now| {
            Unstable::seen(known.as_ref(), Slot::new(state), now)
        };
        let over = |slot: Unstable, now| {
            let ends = [Protocol::TCP, Protocol::UDP].map(|protocol| {
                slot.is_over(protocol, 300, now) && !slot.is_over(protocol, 300, now - 1)
            });
            <(bool, bool)>::from(ends)
        };
        let first = seen(None, moving(2, 1), 100);
        assert_eq!(over(first, 400), (true, true));
        let second = seen(Some(first), moving(3, 1), 390);
        assert_eq!((over(second, 451), over(second, 400)), ((true, false), (false, true)));
        let back = seen(Some(first), moving(1, 1), 110);
        assert_eq!(over(back, 171), (true, false));
        assert!(back.is_over(Protocol::UDP, 300, 110));
        let anew = seen(Some(back), moving(2, 1), 120);
        assert_eq!(over(anew, 420), (true, true));
        let settled = seen(Some(first), settled(2), 400);
        assert_eq!(settled.since, 400);
        assert!(!settled.is_over(Protocol::UDP, 1, 9999));
    }

    #[test]
    fn ticks_wrap() {
        let slot = Unstable::seen(None, Slot::new(moving(2, 1)), u32::MAX - 1);
        assert!(!slot.is_over(Protocol::UDP, 10, 5) && slot.is_over(Protocol::UDP, 10, 8));
    }
}
