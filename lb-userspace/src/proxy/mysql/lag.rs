//! How far behind a replica may be.

use std::time::Duration;

use super::server::Replication;
use crate::config::proxy::Mysql;

/// What is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Beyond this, no new sessions; any lag will do if absent.
    pub(super) most: Option<Duration>,
    /// At this, sessions again.
    pub(super) back: Duration,
    /// Beyond this, sessions are closed.
    pub(super) close: Option<Duration>,
}

impl Limits {
    pub(super) fn of(settings: &Mysql) -> Self {
        let (most, back) = (settings.max_lag, settings.lag_return);
        Self { most, back, close: settings.close_lag }
    }
}

/// One replica's lag, with hysteresis.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    standing: Standing,
    close: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Near,
    Behind,
    /// It does not replicate, which is over every limit.
    Stopped,
}

/// How a replica's standing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Lagging(Duration),
    CaughtUp(Duration),
    Stopped,
}

impl Gate {
    /// Takes in what a server that is no primary says.
    pub(super) fn judge(
        &mut self,
        limits: Limits,
        replication: Option<Replication>,
    ) -> Option<Change> {
        let Limits { most, back, close } = limits;
        let lag = replication.filter(|it| it.running).and_then(|it| it.lag);
        let limit = if self.standing == Standing::Near { most } else { most.map(|_| back) };
        let (standing, change) = match lag {
            None => (Standing::Stopped, Change::Stopped),
            Some(lag) if limit.is_some_and(|limit| lag > limit) => {
                (Standing::Behind, Change::Lagging(lag))
            }
            Some(lag) => (Standing::Near, Change::CaughtUp(lag)),
        };
        self.close = close.is_some_and(|close| lag.is_none_or(|lag| lag > close));
        let changed = self.standing != standing;
        self.standing = standing;
        changed.then_some(change)
    }

    /// Whether it takes new sessions.
    pub(super) fn is_near(&self) -> bool {
        self.standing == Standing::Near
    }

    /// Whether its sessions are closed.
    pub(super) fn closes(&self) -> bool {
        self.close
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        most: Some(Duration::from_secs(10)),
        back: Duration::from_secs(4),
        close: Some(Duration::from_secs(60)),
    };

    fn behind(seconds: u64) -> Replication {
        Replication { running: true, lag: Some(Duration::from_secs(seconds)) }
    }

    #[test]
    fn a_replica_over_the_limit_returns_only_below_the_lower_one() {
        let mut gate = Gate::default();
        let played = [10, 11, 10, 5, 4, 10].map(|lag| {
            let change = gate.judge(LIMITS, Some(behind(lag)));
            (lag, gate.is_near(), change)
        });
        let seconds = Duration::from_secs;
        assert_eq!(
            played,
            [
                (10, true, None),
                (11, false, Some(Change::Lagging(seconds(11)))),
                (10, false, None),
                (5, false, None),
                (4, true, Some(Change::CaughtUp(seconds(4)))),
                (10, true, None),
            ]
        );
    }

    #[test]
    fn a_replica_that_does_not_replicate_is_over_every_limit() {
        let boundless = Limits { most: None, close: None, ..LIMITS };
        let null = Some(Replication { running: true, lag: None });
        let stopped = Some(Replication { running: false, lag: Some(Duration::ZERO) });
        for nothing in [null, stopped, None] {
            for limits in [LIMITS, boundless] {
                let mut gate = Gate::default();
                assert_eq!(gate.judge(limits, nothing), Some(Change::Stopped));
                assert!(!gate.is_near());
                assert_eq!(gate.closes(), limits.close.is_some());
            }
        }
    }

    #[test]
    fn without_a_limit_any_lag_will_do() {
        let mut gate = Gate::default();
        let limits = Limits { most: None, close: None, ..LIMITS };
        assert_eq!(gate.judge(limits, Some(behind(1_000_000))), None);
        assert!(gate.is_near());
        assert_eq!(gate.judge(limits, None), Some(Change::Stopped));
        let back = gate.judge(limits, Some(behind(1_000_000)));
        assert_eq!(back, Some(Change::CaughtUp(Duration::from_secs(1_000_000))));
    }

    #[test]
    fn sessions_are_closed_only_beyond_their_own_limit() {
        let mut gate = Gate::default();
        let closes = [59, 60, 61, 60].map(|lag| {
            let _: Option<Change> = gate.judge(LIMITS, Some(behind(lag)));
            gate.closes()
        });
        assert_eq!(closes, [false, false, true, false]);
    }
}
