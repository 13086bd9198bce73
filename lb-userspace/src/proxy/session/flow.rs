//! The bytes between client and backend, until both have ended.

use super::{Core, End, Next, Session};
use crate::proxy::{relay::Broken, table::Stage};

impl Session {
    /// Moves what can be moved, and passes on what has ended.
    pub(super) fn relay(&mut self, core: &mut Core) -> Result<Next, End> {
        let Self { client, backend, inward, outward, .. } = self;
        let Some(backend) = backend else { return Ok(Next::Wait) };
        let buffer = &mut core.buffer;
        let there = inward.advance(client, backend, buffer).map_err(|broken| match broken {
            Broken::Sender => End::ClientReset,
            Broken::Receiver => End::BackendReset,
        })?;
        let back = outward.advance(backend, client, buffer).map_err(|broken| match broken {
            Broken::Sender => End::BackendReset,
            Broken::Receiver => End::ClientReset,
        })?;
        if there.read || back.sent {
            self.client_moved = core.now;
        }
        if back.read || there.sent {
            self.backend_moved = core.now;
        }
        self.pass_ends_on(core)?;
        Ok(if there.again || back.again { Next::Turn } else { Next::Wait })
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
