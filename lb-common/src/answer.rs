//! What limits the answers that the node itself gives.

/// A token bucket of one CPU: one token an answer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When it was last filled, in ns of the kernel's monotonic clock.
    pub filled: u64,
    /// What is in it, in billionths of a token.
    pub tokens: u64,
}

/// The kinds of answers, each with a bucket of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Echo replies.
    Echo,
    /// ICMP errors.
    Error,
    /// TCP resets.
    Reset,
}

impl Answer {
    /// The number of kinds.
    pub const COUNT: usize = 3;
}

impl Bucket {
    const TOKEN: u64 = 1_000_000_000;

    /// Takes a token, if there is one, at the time `now`; `rate` are tokens per second, and as many
    /// fit in. A bucket that was never filled is full.
    #[inline(always)]
    pub fn take(&mut self, rate: u32, now: u64) -> bool {
        let full = u64::from(rate) * Self::TOKEN;
        // A second fills it; bounding the span keeps the product within 64 bits.
        let span = now.wrapping_sub(self.filled);
        let span = if span > Self::TOKEN || self.filled == 0 { Self::TOKEN } else { span };
        let tokens = self.tokens + span * u64::from(rate);
        self.filled = now;
        self.tokens = if tokens > full { full } else { tokens };
        if self.tokens < Self::TOKEN {
            return false;
        }
        self.tokens -= Self::TOKEN;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_rate() {
        let mut bucket = Bucket::default();
        let start = 5_000_000_000;
        assert_eq!((0..20).filter(|_| bucket.take(10, start)).count(), 10);
        assert!(!bucket.take(10, start + 99_000_000));
        assert!(bucket.take(10, start + 199_000_000));
        let later = (1..=100).filter(|ms| bucket.take(10, start + 200_000_000 + ms * 10_000_000));
        assert!((9..=11).contains(&later.count()));
        assert!(!bucket.take(0, u64::MAX));
        let mut bucket = Bucket::default();
        assert_eq!((0..20).filter(|_| bucket.take(10, 1)).count(), 10);
    }
}
