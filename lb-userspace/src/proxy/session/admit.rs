//! Who the client is: its PROXY header, and the hash that finds its backend.

use std::net::SocketAddr;

use lb_common::{addr::Port, hash::flow_hash};
use rustix::io::Errno;

use super::{Core, End, Session};
use crate::{
    config::proxy::Balance,
    proxy::header::{self, Ends},
};

/// What a client's PROXY header says.
#[derive(Debug, Default)]
pub(super) struct Origin {
    /// As much of it as came, until it is whole.
    bytes: Vec<u8>,
    ends: Option<Ends>,
}

/// How much is read at once while a header is awaited.
const STEP: usize = 1024;

impl Session {
    /// Whether the client must send a header.
    pub(super) fn expects_header(&self) -> bool {
        let settings = self.proxy.settings();
        let (Some(rules), Some(client)) = (&settings.accept_proxy, self.address) else {
            return false;
        };
        rules.from.iter().any(|prefix| prefix.contains(&client.ip().into()))
    }

    /// Reads the header. Gives whether it is whole.
    pub(super) fn read_header(&mut self, core: &mut Core) -> Result<bool, End> {
        let origin = self.origin.get_or_insert_default();
        while self.client.readable {
            let step = core.scratch.room().get_mut(..STEP).unwrap_or_default();
            let read = match self.client.read(step) {
                Ok(Some(0)) => return Err(End::BadHeader),
                Ok(Some(read)) => read,
                Ok(None) => break,
                Err(_) => return Err(End::ClientReset),
            };
            origin.bytes.extend_from_slice(core.scratch.room().get(..read).unwrap_or_default());
            let Some(received) = header::read(&origin.bytes).map_err(|_| End::BadHeader)? else {
                continue;
            };
            let rest = origin.bytes.split_off(received.length);
            self.inward.bytes += rest.len() as u64;
            self.inward.put(&rest);
            (origin.bytes, origin.ends) = (Vec::new(), received.ends);
            return Ok(true);
        }
        Ok(false)
    }

    /// Where the client really is.
    pub(super) fn source(&self) -> Option<SocketAddr> {
        let said = self.origin.as_ref().and_then(|origin| origin.ends);
        said.map(|ends| ends.source).or(self.address)
    }

    /// Both ends of the client's connection, for the header that a backend gets.
    pub(super) fn ends(&self) -> Option<Ends> {
        let said = self.origin.as_ref().and_then(|origin| origin.ends);
        said.or_else(|| self.client.stream.ends())
    }

    /// What a ring finds the backend by. Clients without an address are spread at random.
    pub(super) fn hash(&self) -> u32 {
        let Some(source) = self.source() else { return fastrand::u32(..) };
        let port = match self.proxy.settings().balance {
            Balance::Hash => source.port(),
            Balance::Source
            | Balance::RoundRobin
            | Balance::LeastConnections
            | Balance::RandomTwo => 0,
        };
        let address = source.ip().to_canonical().into();
        flow_hash(&self.proxy.key, &address, Port::new(port), Port::new(0))
    }
}

/// Whether an error of connecting is the backend's, and not this machine's.
pub(super) fn is_theirs(error: Errno) -> bool {
    !matches!(
        error,
        Errno::ADDRNOTAVAIL | Errno::ADDRINUSE | Errno::ACCESS | Errno::PERM | Errno::INVAL
    )
}
