//! Streams of bytes that are made and compared as fast as memory allows.

use std::sync::LazyLock;

/// A prime: a stream that lost something is not itself again before so many bytes.
const PERIOD: usize = 1_048_573;
/// The most at once.
pub(crate) const LONGEST: usize = 256 * 1024;

static TABLE: LazyLock<Box<[u8]>> = LazyLock::new(|| {
    let mut table = vec![0; PERIOD];
    fastrand::Rng::with_seed(7).fill(&mut table);
    table.extend_from_within(..LONGEST);
    table.into()
});

/// A stream. Others differ from place to place.
pub(crate) struct Bytes {
    at: usize,
}

impl Bytes {
    pub(crate) fn new(seed: u64) -> Self {
        Self { at: fastrand::Rng::with_seed(seed).usize(..PERIOD) }
    }

    /// What comes next: so many bytes, or as many as there are at once.
    pub(crate) fn next(&self, length: usize) -> &'static [u8] {
        &TABLE[self.at..][..length.min(LONGEST)]
    }

    /// Goes on behind them.
    pub(crate) fn skip(&mut self, length: usize) {
        self.at = (self.at + length) % PERIOD;
    }
}

#[test]
fn a_stream_is_one_of_a_kind() {
    let (one, mut other) = (Bytes::new(1), Bytes::new(1));
    assert_eq!(one.next(LONGEST), other.next(LONGEST));
    assert_ne!(one.next(1000), Bytes::new(2).next(1000));
    other.skip(1);
    assert_ne!(one.next(1000), other.next(1000));
    other.skip(PERIOD - 1);
    assert_eq!(one.next(1000), other.next(1000));
}
