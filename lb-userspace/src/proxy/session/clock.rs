//! When a session has waited for long enough, in microseconds of its worker's clock.

use rustix::io::Errno;

use super::{Core, End, Next, Session, connect::micros};
use crate::proxy::table::Stage;

impl Session {
    /// Goes over into a stage, which has a deadline of its own.
    pub(super) fn enter(&mut self, stage: Stage, core: &mut Core) {
        (self.stage, self.since) = (stage, core.now);
        if matches!(stage, Stage::Open) {
            (self.client_moved, self.backend_moved) = (core.now, core.now);
        }
        self.set_timer(core);
    }

    /// Sets the worker's timer, unless that comes in time anyway: a deadline that has moved on is
    /// looked at again when the timer is due, instead of with every byte.
    pub(in crate::proxy) fn set_timer(&mut self, core: &mut Core) {
        let (due, _) = self.due(core);
        match self.timer {
            Some(timer) if timer <= due => return,
            Some(timer) => core.timers.cancel(timer, self.key),
            None => {}
        }
        core.timers.set(due, self.key);
        self.timer = Some(due);
    }

    /// The timer is due.
    pub(in crate::proxy) fn expired(&mut self, core: &mut Core) -> Result<Next, End> {
        self.timer = None;
        let (due, end) = self.due(core);
        if due > core.now {
            self.set_timer(core);
            return Ok(Next::Wait);
        }
        if end != End::ConnectFailed {
            return Err(end);
        }
        self.connect_failed(Errno::TIMEDOUT, core)?;
        self.seek(core)
    }

    /// When it ends if nothing happens, and why.
    fn due(&self, core: &Core) -> (u64, End) {
        let settings = self.proxy.settings();
        let times = &settings.timeouts;
        let after = |begin: u64, time| begin.saturating_add(micros(time));
        let stage = match self.stage {
            Stage::Header => {
                let time = settings.accept_proxy.as_ref().map_or(times.connect, |it| it.timeout);
                (after(self.since, time), End::HeaderTimeout)
            }
            Stage::Waiting => (self.until, self.patience),
            Stage::Connecting => (after(self.since, times.connect), End::ConnectFailed),
            Stage::Open => {
                let client = (after(self.client_moved, times.client_idle), End::ClientIdle);
                let backend = (after(self.backend_moved, times.backend_idle), End::BackendIdle);
                earlier(client, backend)
            }
            Stage::HalfClosed => {
                let moved = self.client_moved.max(self.backend_moved);
                (after(moved, times.half_closed), End::HalfClosed)
            }
        };
        let age = times.session.map_or(u64::MAX, |time| after(self.opened, time));
        let drain = core.deadline.unwrap_or(u64::MAX);
        earlier(earlier(stage, (age, End::Age)), (drain, End::Drained))
    }
}

fn earlier(one: (u64, End), other: (u64, End)) -> (u64, End) {
    if other.0 < one.0 { other } else { one }
}
