//! What must hold, from the answers that have arrived alone.

use std::collections::BTreeSet;

use crate::{
    config::proxy::Mysql,
    proxy::mysql::{Access, Identity, Note, Said, View},
};

/// What is known of a server; times are milliseconds.
#[derive(Clone, Debug, Default)]
struct Heard {
    last: Option<(u64, Said)>,
    /// The answer before came from another server.
    replaced: bool,
    failures: u32,
    /// It was over the limit, and not at the lower one since.
    blocked: bool,
}

pub(super) struct Watch {
    settings: Mysql,
    /// Whether the driver calls in time where nothing has happened.
    punctual: bool,
    heard: Vec<Heard>,
    /// Who takes writes, and who that is.
    primary: Option<(usize, Identity)>,
    /// When there was a primary last, and when there was none first.
    vacant: Option<(u64, u64)>,
    seen: u64,
}

impl Watch {
    pub(super) fn new(settings: Mysql, punctual: bool, servers: usize) -> Self {
        let heard = vec![Heard::default(); servers];
        Self { settings, punctual, heard, primary: None, vacant: Some((0, 0)), seen: 0 }
    }

    pub(super) fn answered(&mut self, server: usize, said: &Said, now: u64) {
        let heard = &mut self.heard[server];
        let before = heard.last.replace((now, said.clone()));
        heard.replaced = before.is_some_and(|(_, before)| before.identity != said.identity);
        heard.failures = 0;
        if heard.replaced || writes(said) {
            heard.blocked = false;
        }
        if writes(said) {
            return;
        }
        let lag = said.replication.and_then(|it| it.lag);
        let over = |limit| lag.is_none_or(|lag| lag > limit);
        heard.blocked = match self.settings.max_lag {
            None => lag.is_none(),
            Some(most) => over(most) || heard.blocked && over(self.settings.lag_return),
        };
    }

    pub(super) fn failed(&mut self, server: usize) {
        self.heard[server].failures += 1;
    }

    pub(super) fn primary(&self) -> Option<usize> {
        self.primary.as_ref().map(|it| it.0)
    }

    pub(super) fn look(&mut self, writes: &View, reads: &View, notes: &[Note], now: u64) {
        for view in [writes, reads] {
            assert!(!view.servers.values().any(|it| it.eligible && it.close), "{view:?}");
        }
        let primaries: Vec<_> = eligible(writes).collect();
        assert!(primaries.len() <= 1, "{primaries:?} take writes at once");
        let primary = primaries.first().copied();
        let primary = primary.map(|it| (it, self.says_so(it, now)));
        self.is_kept(primary.as_ref(), notes, now);
        self.hold(writes, primary.is_some(), now);
        self.rivals(writes, primary.as_ref().map(|it| it.0), now);
        self.reads(reads, primary.as_ref().map(|it| it.0), now);
        self.primary = primary;
        self.seen = now;
    }

    /// Who is written to has said, in an answer that counts, that it is writable, and who it is.
    fn says_so(&self, server: usize, now: u64) -> Identity {
        let heard = &self.heard[server];
        let said = self.valid(server, now).map(|it| (writes(it), it.identity.clone()));
        let Some((true, identity)) = said else { panic!("{server} takes writes: {heard:?}") };
        assert!(!heard.replaced, "{server} takes writes: {heard:?}");
        identity
    }

    /// A primary that answers and says that it is one stays it; another one is announced.
    fn is_kept(&self, primary: Option<&(usize, Identity)>, notes: &[Note], now: u64) {
        let Some((before, who)) = &self.primary else { return };
        let says = self.valid(*before, now).filter(|it| writes(it) && it.identity == *who);
        if says.is_some() && self.heard[*before].failures == 0 {
            assert_eq!(primary.map(|it| it.0), Some(*before), "a primary was left");
        }
        let changed = primary.filter(|(server, _)| server != before);
        let promoted = changed
            .map(|(to, _)| Note::Promoted { from: Some(before.to_string()), to: to.to_string() });
        assert!(promoted.is_none_or(|it| notes.contains(&it)), "nobody was told: {notes:?}");
    }

    fn hold(&mut self, view: &View, primary: bool, now: u64) {
        let hold = view.hold.map_or(0, |it| it.as_millis() as u64);
        if primary {
            assert_eq!(view.hold, None, "held beside a primary");
            self.vacant = None;
            return;
        }
        let (last, first) = *self.vacant.get_or_insert((self.seen, now));
        let wait = self.settings.promotion_wait.as_millis() as u64;
        let (least, most) = (wait.saturating_sub(now - last), wait.saturating_sub(now - first));
        // Called late, it may find that there was one for no time at all.
        let most = if self.punctual { most } else { wait };
        assert!((least..=most).contains(&hold), "held for {hold} ms: {least} to {most}");
    }

    /// Of several writers all but the primary have their sessions closed, and if none is the primary, that
    /// is an alarm.
    fn rivals(&self, view: &View, primary: Option<usize>, now: u64) {
        let writers = (0..self.heard.len())
            .filter(|it| !self.heard[*it].replaced && self.valid(*it, now).is_some_and(writes));
        let writers: BTreeSet<_> = writers.collect();
        if let Some(primary) = primary {
            let closed =
                |(name, access): (&String, &Access)| access.close != (*name == primary.to_string());
            assert!(view.servers.iter().all(closed), "{primary:?}: {view:?}");
        }
        let all_heard = self.heard.iter().all(|it| it.last.is_some() && !it.replaced);
        if primary.is_none() && all_heard && self.punctual {
            assert_ne!(writers.len(), 1, "{writers:?} could be the primary");
            assert!(writers.is_empty() || !view.rivals.is_empty(), "no alarm for {writers:?}");
        }
    }

    fn reads(&self, view: &View, primary: Option<usize>, now: u64) {
        let usable = |server: &usize| {
            let heard = &self.heard[*server];
            let said = self.valid(*server, now).filter(|it| !writes(it) && !heard.replaced);
            said.is_some() && !heard.blocked
        };
        let usable: Vec<_> = (0..self.heard.len()).filter(usable).collect();
        let fallback = primary.filter(|_| self.settings.fallback && usable.is_empty());
        let expected: Vec<_> = usable.into_iter().chain(fallback).collect();
        assert_eq!(eligible(view).collect::<Vec<_>>(), expected, "{:?}", self.heard);
    }

    fn valid(&self, server: usize, now: u64) -> Option<&Said> {
        let Heard { last, failures, replaced: _, blocked: _ } = &self.heard[server];
        let monitor = &self.settings.monitor;
        let span = (monitor.interval * monitor.fall + monitor.timeout).as_millis() as u64;
        let (at, said) = last.as_ref()?;
        (*failures < monitor.fall && now - at < span).then_some(said)
    }
}

fn writes(said: &Said) -> bool {
    !said.read_only && said.super_read_only != Some(true) && said.replication.is_none()
}

fn eligible(view: &View) -> impl Iterator<Item = usize> {
    let eligible = view.servers.iter().filter(|it| it.1.eligible);
    eligible.map(|it| it.0.parse().unwrap())
}
