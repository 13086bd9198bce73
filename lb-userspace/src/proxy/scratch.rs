//! What a worker reads into.

use std::ops::Range;

/// What is read at once at most. A larger one costs less for each byte, as long as the CPU's second cache
/// holds it.
const SIZE: usize = 512 * 1024;
/// No session has to read into less.
const LEAST: usize = SIZE / 2;

/// A worker's buffer. Several sessions read into it one behind the other, before any of them sends.
pub(super) struct Scratch {
    bytes: Box<[u8]>,
    used: usize,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; SIZE].into_boxed_slice(), used: 0 }
    }

    /// Forgets all.
    pub(super) const fn clear(&mut self) {
        self.used = 0;
    }

    /// Whether there is too little room for another session.
    pub(super) const fn is_full(&self) -> bool {
        SIZE - self.used < LEAST
    }

    /// Where the next bytes go.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.used..).unwrap_or_default()
    }

    /// So many were read there: where they are from now on.
    pub(super) const fn keep(&mut self, read: usize) -> Range<usize> {
        let begin = self.used;
        self.used += read;
        begin..self.used
    }

    /// What was read.
    pub(super) fn bytes(&self, at: Range<usize>) -> &[u8] {
        self.bytes.get(at).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_lies_one_behind_the_other() {
        let mut scratch = Scratch::new();
        scratch.room()[..3].copy_from_slice(b"one");
        let one = scratch.keep(3);
        scratch.room()[..5].copy_from_slice(b"other");
        let other = scratch.keep(5);
        assert_eq!((scratch.bytes(one), scratch.bytes(other)), (&b"one"[..], &b"other"[..]));
        assert!(!scratch.is_full());
        let _most = scratch.keep(LEAST);
        assert!(scratch.is_full() && !scratch.room().is_empty());
        scratch.clear();
        assert_eq!(scratch.room().len(), SIZE);
    }
}
