//! What tracking leaves of a virtual router or a route, without I/O and clock.
//!
//! As in keepalived: what has a negative weight lowers the priority while it fails, a positive one raises
//! it while it succeeds, and without a weight a failure is a fault.

use crate::{
    config::vrrp::{Track, Tracked},
    vrrp::Standing,
};

/// What is tracked for a virtual router or a route, as it was last seen.
#[derive(Clone, Debug)]
pub(super) struct Tracking {
    priority: u8,
    items: Vec<Item>,
}

#[derive(Clone, Debug)]
struct Item {
    weight: i16,
    rise: u32,
    fall: u32,
    /// `None` until it was seen for the first time.
    good: Option<bool>,
    /// Results in a row that contradict that.
    contrary: u32,
    /// The last result.
    last: Option<bool>,
}

impl Tracking {
    /// Nothing has been seen yet.
    pub(super) fn new(priority: u8, tracks: &[Track]) -> Self {
        let item = |track: &Track| {
            let Track { what: _, weight, rise, fall } = *track;
            Item { weight, rise, fall, good: None, contrary: 0, last: None }
        };
        Self { priority, items: tracks.iter().map(item).collect() }
    }

    /// As [`Self::new`], with what an earlier one has [`Self::seen`].
    pub(super) fn resume(priority: u8, tracks: &[Track], seen: &[(Tracked, bool)]) -> Self {
        let mut tracking = Self::new(priority, tracks);
        for (what, good) in seen {
            let places = tracks.iter().enumerate().filter(|(_, it)| it.what == *what);
            places.for_each(|(place, _)| tracking.see(place, *good));
        }
        tracking
    }

    /// What is known of these, which it was made with.
    pub(super) fn seen(&self, tracks: &[Track]) -> Vec<(Tracked, bool)> {
        let known =
            |(index, track): (usize, &Track)| Some((track.what.clone(), self.is_good(index)?));
        tracks.iter().enumerate().filter_map(known).collect()
    }

    /// What fails of these, which it was made with, or is not known yet: in words.
    pub(super) fn failing(&self, tracks: &[Track]) -> Vec<String> {
        let say = |(index, track): (usize, &Track)| match self.is_good(index) {
            Some(true) => None,
            Some(false) => Some(format!("{} fails", describe(&track.what))),
            None => Some(format!("{}: not known yet", describe(&track.what))),
        };
        tracks.iter().enumerate().filter_map(say).collect()
    }

    /// A look at what has this place between its results: it is one itself only if it shows a change.
    pub(super) fn glance(&mut self, index: usize, good: bool) {
        if self.items.get(index).is_some_and(|item| item.last != Some(good)) {
            self.see(index, good);
        }
    }

    /// A result of what has this place in the configuration. The first one counts at once, others when
    /// enough of them are alike.
    pub(super) fn see(&mut self, index: usize, good: bool) {
        let Some(item) = self.items.get_mut(index) else { return };
        item.last = Some(good);
        if item.good == Some(good) {
            item.contrary = 0;
            return;
        }
        item.contrary += 1;
        let enough = if good { item.rise } else { item.fall };
        if item.good.is_none() || item.contrary >= enough {
            item.good = Some(good);
            item.contrary = 0;
        }
    }

    /// Whether it succeeds, so far as that is known.
    pub(super) fn is_good(&self, index: usize) -> Option<bool> {
        self.items.get(index).and_then(|item| item.good)
    }

    /// What is left; what was never seen counts as failing.
    pub(super) fn standing(&self) -> Standing {
        let mut priority = i32::from(self.priority);
        for Item { weight, good, .. } in &self.items {
            match (*weight, good.unwrap_or(false)) {
                (0, false) => return Standing::Fault,
                (weight @ 1.., true) | (weight @ ..0, false) => priority += i32::from(weight),
                (_, _) => {}
            }
        }
        Standing::Priority(u8::try_from(priority.clamp(1, 254)).unwrap_or(1))
    }
}

fn describe(tracked: &Tracked) -> String {
    match tracked {
        Tracked::Interface(name) => format!("interface {name}"),
        Tracked::Script { command, .. } => format!("script {}", command.join(" ")),
        Tracked::Datapath => "the packet path".into(),
        Tracked::Service(name) => format!("service {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracking(weights: &[(i16, u32, u32)]) -> Tracking {
        let track = |&(weight, rise, fall)| Track { what: Tracked::Datapath, weight, rise, fall };
        Tracking::new(100, &weights.iter().map(track).collect::<Vec<_>>())
    }

    #[test]
    fn weights_count_as_in_keepalived() {
        let mut it = tracking(&[(-30, 1, 1), (20, 1, 1), (0, 1, 1)]);
        assert_eq!(it.standing(), Standing::Fault, "nothing was seen");
        it.see(2, true);
        assert_eq!(it.standing(), Standing::Priority(70));
        it.see(0, true);
        it.see(1, true);
        assert_eq!(it.standing(), Standing::Priority(120));
        it.see(1, false);
        assert_eq!(it.standing(), Standing::Priority(100));
        it.see(2, false);
        assert_eq!(it.standing(), Standing::Fault);
    }

    #[test]
    fn the_sum_stays_a_priority() {
        let mut it = tracking(&[(-254, 1, 1), (-254, 1, 1)]);
        assert_eq!(it.standing(), Standing::Priority(1));
        let mut high = tracking(&[(254, 1, 1)]);
        high.see(0, true);
        it.see(0, true);
        it.see(1, true);
        assert_eq!(
            (high.standing(), it.standing()),
            (Standing::Priority(254), Standing::Priority(100))
        );
    }

    #[test]
    fn looks_between_results_count_once() {
        let mut it = tracking(&[(0, 1, 3)]);
        it.glance(0, true);
        for _ in 0..10 {
            it.glance(0, false);
        }
        assert_eq!(it.is_good(0), Some(true));
        it.see(0, false);
        it.glance(0, false);
        assert_eq!(it.is_good(0), Some(true));
        it.see(0, false);
        assert_eq!(it.is_good(0), Some(false));
    }

    #[test]
    fn it_takes_several_results_in_a_row_to_change() {
        let mut it = tracking(&[(0, 2, 3)]);
        it.see(0, true);
        for good in [false, false, true, false, false] {
            it.see(0, good);
            assert_eq!(it.is_good(0), Some(true));
        }
        it.see(0, false);
        assert_eq!(it.is_good(0), Some(false));
        it.see(0, true);
        assert_eq!(it.is_good(0), Some(false));
        it.see(0, true);
        assert_eq!(it.is_good(0), Some(true));
    }
}
