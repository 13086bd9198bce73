//! When the link is told again who has the addresses.

use std::time::{Duration, Instant};

use super::settings::Announcements;

/// However often others claim the addresses, the link is told whose they are no oftener than this.
const PAUSE: Duration = Duration::from_secs(1);

/// The announcements that are still to come.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    settings: Announcements,
    /// When the last one was made that was not a repetition.
    told: Instant,
    asked: Option<Instant>,
    repeat: Option<Instant>,
    refresh: Option<Instant>,
}

impl Schedule {
    /// Those that follow a first announcement, now.
    pub(super) fn begin(settings: Announcements, now: Instant) -> Self {
        let repeat = later(now, settings.repeat_after);
        Self { repeat, ..Self::resume(settings, now) }
    }

    /// Those of a master that has announced itself long ago.
    pub(super) fn resume(settings: Announcements, now: Instant) -> Self {
        let refresh = settings.refresh.and_then(|pause| later(now, pause));
        Self { settings, told: now, asked: None, repeat: None, refresh }
    }

    /// There is a reason for an announcement, with its repetition.
    pub(super) fn ask(&mut self, now: Instant) {
        let _ = self.asked.get_or_insert(now.max(self.told + PAUSE));
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.asked, self.repeat, self.refresh].into_iter().flatten().min()
    }

    /// How many frames of a kind are due for each address.
    pub(super) fn elapsed(&mut self, now: Instant) -> Option<u8> {
        let due = |deadline: &mut Option<Instant>| deadline.take_if(|it| *it <= now).is_some();
        let copies = if due(&mut self.asked) {
            (self.told, self.repeat) = (now, later(now, self.settings.repeat_after));
            self.settings.copies
        } else if due(&mut self.repeat) {
            self.settings.copies
        } else if due(&mut self.refresh) {
            1
        } else {
            return None;
        };
        self.refresh = self.settings.refresh.and_then(|pause| later(now, pause));
        Some(copies)
    }
}

/// `None` for no pause, and for one that never ends.
fn later(now: Instant, pause: Duration) -> Option<Instant> {
    (!pause.is_zero()).then(|| now.checked_add(pause)).flatten()
}
