//! The way to a backend: found or waited for, connected to, and another one if that fails.

use std::{io, sync::Arc, time::Duration};

use rustix::io::Errno;

use super::{Core, End, Next, Session, Which, admit::is_theirs};
use crate::proxy::{
    header,
    listener::is_exhausted,
    pool::{Member, Sought},
    queue::Wish,
    relay::Side,
    stream,
    table::Stage,
};

/// What an attempt to connect has led to.
enum Attempt {
    /// It is under way.
    Made,
    /// It has failed.
    Failed,
    /// There is no descriptor for it.
    Lacking,
}

impl Session {
    /// Looks for a backend until one is being connected to, or the session must wait.
    pub(super) fn seek(&mut self, core: &mut Core) -> Result<Next, End> {
        loop {
            let wish = Wish {
                session: self.place(core),
                proxy: Arc::clone(&self.proxy),
                hash: self.hash(),
                tried: self.tried.clone(),
            };
            match self.proxy.pool.seek(wish)? {
                Sought::Wait(time, end) => {
                    self.patience = end;
                    self.until = core.now.saturating_add(micros(time));
                    self.enter(Stage::Waiting, core);
                    return Ok(Next::Wait);
                }
                Sought::Found(member) => match self.connect(member, core)? {
                    Attempt::Made => return self.check_connection(core),
                    Attempt::Failed => {}
                    Attempt::Lacking => return Ok(Next::Wait),
                },
            }
        }
    }

    /// A backend for a session that waited.
    pub(in crate::proxy) fn granted(
        &mut self,
        member: Arc<Member>,
        core: &mut Core,
    ) -> Result<Next, End> {
        let waited = Duration::from_micros(core.now - self.since);
        for counters in [&member.counters, &self.proxy.counters] {
            counters.queued.add(1);
            counters.queue_time.add_time(waited);
        }
        match self.connect(member, core)? {
            Attempt::Made => self.check_connection(core),
            Attempt::Failed => self.seek(core),
            Attempt::Lacking => Ok(Next::Wait),
        }
    }

    /// Begins to connect to a backend that counts the session.
    fn connect(&mut self, member: Arc<Member>, core: &mut Core) -> Result<Attempt, End> {
        let attempt = stream::connect(&member.place, &self.proxy.settings().sockets);
        let total = &self.member.insert(member).counters.sessions_total;
        // One that found no descriptor comes again.
        if !attempt.as_ref().is_err_and(|error| is_exhausted(errno(error))) {
            total.add(1);
        }
        self.enter(Stage::Connecting, core);
        let error = match attempt {
            Ok((stream, done)) => {
                self.backend = Some(Side::new(stream, done));
                match self.register(core, Which::Backend) {
                    Ok(()) => return Ok(Attempt::Made),
                    Err(error) => error,
                }
            }
            Err(error) => errno(&error),
        };
        if is_exhausted(error) {
            self.lack_descriptor(core);
            return Ok(Attempt::Lacking);
        }
        self.connect_failed(error, core)?;
        Ok(Attempt::Failed)
    }

    /// There is no descriptor for its backend's connection: it waits, as do those in the backlogs.
    fn lack_descriptor(&mut self, core: &mut Core) {
        self.backend = None;
        if let Some(member) = self.member.take() {
            self.proxy.pool.release(&member, &core.team);
        }
        core.exhausted = true;
        core.lacking.push(self.key);
        (self.patience, self.until) = (End::NoDescriptor, u64::MAX);
        self.enter(Stage::Waiting, core);
    }

    /// There may be descriptors again.
    pub(in crate::proxy) fn seek_again(&mut self, core: &mut Core) -> Result<Next, End> {
        if self.stage == Stage::Waiting && self.patience == End::NoDescriptor {
            self.seek(core)
        } else {
            Ok(Next::Wait)
        }
    }

    /// The backend's sessions are closed. As long as nothing was sent to it, another one is as good.
    pub(in crate::proxy) fn lose_backend(
        &mut self,
        end: End,
        core: &mut Core,
    ) -> Result<Next, End> {
        if self.stage != Stage::Connecting {
            return Err(end);
        }
        self.backend = None;
        if let Some(member) = self.member.take() {
            for counters in [&member.counters, &self.proxy.counters] {
                counters.redispatches.add(1);
            }
            self.proxy.pool.release(&member, &core.team);
        }
        self.seek(core)
    }

    /// Looks whether the backend has answered.
    pub(super) fn check_connection(&mut self, core: &mut Core) -> Result<Next, End> {
        let Some(backend) = &self.backend else { return Ok(Next::Wait) };
        if !backend.writable && !backend.has_gone() {
            return Ok(Next::Wait);
        }
        match backend.stream.outcome() {
            Ok(()) => {
                self.connected(core);
                Ok(Next::Turn)
            }
            Err(error) => {
                self.connect_failed(error, core)?;
                self.seek(core)
            }
        }
    }

    fn connected(&mut self, core: &mut Core) {
        if let Some(member) = &self.member {
            self.proxy.pool.succeeded(member);
            let time = Duration::from_micros(core.now - self.since);
            for counters in [&member.counters, &self.proxy.counters] {
                counters.connected.add(1);
                counters.connect_time.add_time(time);
            }
        }
        if let Some(version) = self.proxy.settings().send_proxy {
            self.inward.put_first(header::proxied(version, self.ends()));
        }
        self.tried = Vec::new();
        self.enter(Stage::Open, core);
    }

    /// The backend cannot be connected to: another one is sought, as often as that is allowed.
    pub(super) fn connect_failed(&mut self, error: Errno, core: &mut Core) -> Result<(), End> {
        self.backend = None;
        let Some(member) = self.member.take() else { return Ok(()) };
        self.proxy.pool.release(&member, &core.team);
        let again = self.tried.len() < self.proxy.settings().retries as usize;
        for counters in [&member.counters, &self.proxy.counters] {
            counters.connect_errors.add(1);
            counters.redispatches.add(again.into());
        }
        let (proxy, backend) = (&self.proxy.name, &member.name);
        tracing::debug!(proxy, backend, %error, "cannot connect to a backend");
        if is_theirs(error)
            && let Some(hold) = self.proxy.pool.failed(&member)
        {
            for counters in [&member.counters, &self.proxy.counters] {
                counters.ejections.add(1);
            }
            tracing::warn!(
                proxy, backend, %error, ?hold,
                "a backend is passed over: it could not be connected to several times in a row"
            );
        }
        self.tried.push(member);
        if again { Ok(()) } else { Err(End::ConnectFailed) }
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::INVAL)
}

pub(in crate::proxy) fn micros(time: Duration) -> u64 {
    time.as_micros().try_into().unwrap_or(u64::MAX)
}
