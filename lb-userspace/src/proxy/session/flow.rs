//! The bytes between client and backend, until both have ended.

use super::{Core, End, Next, Session};
use crate::proxy::table::Stage;

impl Session {
    /// The first half of a turn: reads what has come. What a backend has said goes before the news that it
    /// is gone.
    pub(in crate::proxy) fn fetch(&mut self, core: &mut Core) -> Result<Next, End> {
        let Self { client, backend, inward, outward, .. } = self;
        let Some(backend) = backend else { return Ok(Next::Wait) };
        let scratch = &mut core.scratch;
        if outward.fetch(backend, scratch).map_err(|_| End::BackendReset)? {
            self.backend_moved = core.now;
        }
        if inward.fetch(client, scratch).map_err(|_| End::ClientReset)? {
            self.client_moved = core.now;
        }
        Ok(Next::Wait)
    }

    /// The second half: sends it, and passes on what has ended.
    pub(in crate::proxy) fn relay(&mut self, core: &mut Core) -> Result<Next, End> {
        let Self { client, backend, inward, outward, .. } = self;
        let Some(backend) = backend else { return Ok(Next::Wait) };
        let scratch = &core.scratch;
        if outward.pass_on(client, scratch).map_err(|_| End::ClientReset)? {
            self.client_moved = core.now;
        }
        if inward.pass_on(backend, scratch).map_err(|_| End::BackendReset)? {
            self.backend_moved = core.now;
        }
        let again = inward.has_more(client) || outward.has_more(backend);
        self.pass_ends_on(core)?;
        Ok(if again { Next::Turn } else { Next::Wait })
    }

    /// Tells a side that the other one has ended, once it has all.
    fn pass_ends_on(&mut self, core: &mut Core) -> Result<(), End> {
        let Self { client, backend, inward, outward, .. } = self;
        let first = self.stage == Stage::Open && (inward.ended || outward.ended);
        if first {
            self.client_first = inward.ended;
        }
        match (inward.is_finished(), outward.is_finished()) {
            // Closing the sockets tells both.
            (true, true) if self.client_first => return Err(End::ClientClosed),
            (true, true) => return Err(End::BackendClosed),
            (true, false) if !inward.told => {
                inward.told = true;
                if let Some(backend) = backend {
                    backend.stream.end().map_err(|_| End::BackendReset)?;
                }
            }
            (false, true) if !outward.told => {
                outward.told = true;
                client.stream.end().map_err(|_| End::ClientReset)?;
            }
            (true | false, true | false) => {}
        }
        if first {
            self.enter(Stage::HalfClosed, core);
        }
        Ok(())
    }
}
