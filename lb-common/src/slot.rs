//! A slot of a ring: one 32-bit word that userspace writes in one store.

/// A backend's index within its service, counted from 1.
pub type Index = u16;

/// The largest index a slot can name; `0xFFFF` marks [`State::Settled`].
pub const INDEX_MAX: Index = 0xfffe;

const SETTLED: u16 = 0xffff;

/// The word of one slot: the current backend in the low half, the previous one in the high half.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

/// What a slot says. Each side is `None` when no backend is usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Unchanged: every packet goes to `current` without a flow lookup.
    Stable {
        /// The backend of all packets.
        current: Option<Index>,
    },
    /// Changed within the window: flows that are not remembered belong to `previous`.
    Moving {
        /// The backend of new flows.
        current: Option<Index>,
        /// The backend of flows older than the change.
        previous: Index,
    },
    /// The window is over: flows that are not remembered belong to `current`.
    Settled {
        /// The backend of flows that are not remembered.
        current: Option<Index>,
    },
}

impl Slot {
    /// No backend at all.
    pub const EMPTY: Self = Self(0);

    /// The word of a state.
    #[must_use]
    pub const fn new(state: State) -> Self {
        let (current, previous) = match state {
            State::Stable { current } => (current, 0),
            State::Moving { current, previous } => (current, previous),
            State::Settled { current } => (current, SETTLED),
        };
        let current = match current {
            Some(index) => index,
            None => 0,
        };
        Self(current as u32 | (previous as u32) << 16)
    }

    /// A slot that nothing remembers.
    #[must_use]
    pub const fn stable(current: Option<Index>) -> Self {
        Self::new(State::Stable { current })
    }

    /// The slot as it is stored in the map.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u32) -> Self {
        Self(word)
    }

    /// The word to store in the map.
    #[must_use]
    pub const fn word(self) -> u32 {
        self.0
    }

    /// What the word says.
    #[inline(always)]
    #[must_use]
    pub const fn state(self) -> State {
        let current = match self.0 as u16 {
            0 => None,
            index => Some(index),
        };
        match (self.0 >> 16) as u16 {
            0 => State::Stable { current },
            SETTLED => State::Settled { current },
            previous => State::Moving { current, previous },
        }
    }

    /// Whether no packet needs a flow lookup.
    #[inline(always)]
    #[must_use]
    pub const fn is_stable(self) -> bool {
        self.0 >> 16 == 0
    }

    /// The backend of new flows.
    #[inline(always)]
    #[must_use]
    pub const fn current(self) -> Option<Index> {
        match self.0 as u16 {
            0 => None,
            index => Some(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_word_has_one_state(word: u32) {
            let slot = Slot::from_word(word);
            prop_assert_eq!(Slot::new(slot.state()), slot);
        }
    }

    #[test]
    fn the_layout_is_fixed() {
        assert_eq!(Slot::stable(Some(3)).word(), 0x0000_0003);
        assert_eq!(Slot::new(State::Moving { current: Some(3), previous: 2 }).word(), 0x0002_0003);
        assert_eq!(Slot::new(State::Settled { current: Some(3) }).word(), 0xffff_0003);
        assert_eq!(Slot::stable(None), Slot::EMPTY);
    }
}
