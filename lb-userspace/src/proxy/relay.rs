//! One direction of a session: what is read from one side is sent to the other.
//!
//! Readiness is what epoll's edges leave behind. A read that does not fill the buffer has taken all
//! there was, and the next byte is a new edge (epoll(7), "Questions and answers", 9), so that no read
//! is made in vain; the same goes for a send that the kernel took in part.

use rustix::io::Errno;

use super::stream::Stream;

/// How many times a direction reads before it is the turn of other sessions.
const TURNS: usize = 4;

/// One side of a session.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) stream: Stream,
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) peer: Peer,
}

/// What epoll has said of a side's peer. What it means is found by reading, behind the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    /// Nothing.
    There,
    /// It ended its direction: there is no further edge.
    Ended,
    /// There was an error.
    Lost,
}

impl Side {
    pub(super) fn new(stream: Stream, writable: bool) -> Self {
        Self { stream, readable: false, writable, peer: Peer::There }
    }

    /// Notes what an edge says.
    pub(super) fn note(&mut self, event: &mio::event::Event) {
        let said = match (event.is_error(), event.is_read_closed()) {
            (true, _) => Peer::Lost,
            (false, true) => Peer::Ended,
            (false, false) => Peer::There,
        };
        self.peer = self.peer.max(said);
        self.readable |= event.is_readable() || self.has_gone();
        self.writable |= event.is_writable() || event.is_error();
    }

    /// Whether nothing comes any more but what is there.
    pub(super) fn has_gone(&self) -> bool {
        self.peer > Peer::There
    }

    /// Reads what there is; `None`: nothing. 0: the peer has ended.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
        match self.stream.read(buffer) {
            Ok(read) => {
                self.readable = self.has_gone() || read == buffer.len();
                Ok(Some(read))
            }
            Err(Errno::AGAIN) => {
                self.readable = false;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends what is taken. Gives how much that was.
    fn send(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        match self.stream.send(bytes) {
            Ok(sent) => {
                self.writable = sent == bytes.len();
                Ok(sent)
            }
            Err(Errno::AGAIN) => {
                self.writable = false;
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// What was read and is not sent: at most a worker's buffer, and none but while the receiver
    /// takes nothing.
    rest: Vec<u8>,
    /// How much of it is sent.
    sent: usize,
    /// Bytes that were read.
    pub(super) bytes: u64,
    /// How many of them the shared counters have.
    pub(super) counted: u64,
    /// Whether the sender has ended.
    pub(super) ended: bool,
    /// Whether the receiver was told.
    pub(super) told: bool,
}

/// Which side's connection broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Sender,
    Receiver,
}

/// What a direction's turn has done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    pub(super) read: bool,
    pub(super) sent: bool,
    /// Whether there may be more to do at once.
    pub(super) again: bool,
}

impl Way {
    /// Bytes to be sent before all that is read from now on, and after what there is.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// Bytes to be sent before all others. Nothing was sent yet.
    pub(super) fn put_first(&mut self, bytes: Vec<u8>) {
        let behind = std::mem::replace(&mut self.rest, bytes);
        self.rest.extend_from_slice(&behind);
    }

    /// Whether the sender has ended and the receiver has all.
    pub(super) fn is_finished(&self) -> bool {
        self.ended && self.rest.is_empty()
    }

    /// Moves what can be moved now.
    pub(super) fn advance(
        &mut self,
        from: &mut Side,
        to: &mut Side,
        buffer: &mut [u8],
    ) -> Result<Moved, Broken> {
        let mut moved = Moved::default();
        for _ in 0..TURNS {
            moved.sent |= self.flush(to).map_err(|_| Broken::Receiver)?;
            if !self.rest.is_empty() || self.ended || !from.readable {
                return Ok(moved);
            }
            let Some(read) = from.read(buffer).map_err(|_| Broken::Sender)? else {
                return Ok(moved);
            };
            moved.read = true;
            self.ended = read == 0;
            self.bytes += read as u64;
            let bytes = buffer.get(..read).unwrap_or_default();
            let sent = if read == 0 { 0 } else { to.send(bytes).map_err(|_| Broken::Receiver)? };
            moved.sent |= sent > 0;
            self.rest.extend_from_slice(bytes.get(sent..).unwrap_or_default());
        }
        moved.again = true;
        Ok(moved)
    }

    /// Sends what is left over. Gives whether anything went.
    fn flush(&mut self, to: &mut Side) -> Result<bool, Errno> {
        if self.rest.is_empty() || !to.writable {
            return Ok(false);
        }
        let sent = to.send(self.rest.get(self.sent..).unwrap_or_default())?;
        self.sent += sent;
        if self.sent == self.rest.len() {
            (self.rest, self.sent) = (Vec::new(), 0);
        }
        Ok(sent > 0)
    }
}
