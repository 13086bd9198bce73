//! One direction of a session: what is read from one side is sent to the other.
//!
//! A turn has two halves: all sessions whose turn it is read, and then they send. Whoever is sent to finds the
//! messages of several sessions at once, and is woken once for them; so is the worker by their answers.
//!
//! Readiness is what epoll's edges leave behind. A read that does not fill the buffer has taken all
//! there was, and the next byte is a new edge (epoll(7), "Questions and answers", 9), so that no read
//! is made in vain; the same goes for a send that the kernel took in part.

use std::ops::Range;

use rustix::io::Errno;

use super::{scratch::Scratch, stream::Stream};

/// One side of a session.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) stream: Stream,
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) peer: Peer,
    /// What reading has met behind bytes that had to be passed on first.
    broken: Option<Errno>,
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
        Self { stream, readable: false, writable, peer: Peer::There, broken: None }
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
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
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

    /// Sends what is taken, to be followed by the end if these are the last bytes. Gives how much that was.
    fn send(&mut self, bytes: &[u8], are_last: bool) -> Result<usize, Errno> {
        match self.stream.send(bytes, are_last) {
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
    /// What was read in this turn, in the worker's buffer.
    fetched: Range<usize>,
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

    /// Whether more can be read at once.
    pub(super) const fn has_more(&self, from: &Side) -> bool {
        from.readable && !self.ended && self.rest.is_empty()
    }

    /// The first half of a turn: reads, unless the receiver has not taken all yet. Gives whether anything came.
    pub(super) fn fetch(&mut self, from: &mut Side, scratch: &mut Scratch) -> Result<bool, Errno> {
        let mut came = false;
        while self.has_more(from) && !scratch.is_full() {
            let read = match from.read(scratch.room()) {
                Ok(Some(read)) => read,
                Ok(None) => break,
                Err(error) if came => {
                    // Behind the bytes.
                    from.broken = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            };
            let kept = scratch.keep(read);
            self.fetched = if came { self.fetched.start..kept.end } else { kept };
            self.bytes += read as u64;
            self.ended = read == 0;
            came = true;
            // An end that is known of comes along with the last bytes.
            if !from.has_gone() {
                break;
            }
        }
        Ok(came)
    }

    /// The second half: sends what was read, or was left over. Gives whether anything went.
    pub(super) fn pass_on(&mut self, to: &mut Side, scratch: &Scratch) -> Result<bool, Errno> {
        let bytes = scratch.bytes(std::mem::take(&mut self.fetched));
        if bytes.is_empty() {
            return self.flush(to);
        }
        let sent = to.send(bytes, self.ended)?;
        self.rest.extend_from_slice(bytes.get(sent..).unwrap_or_default());
        Ok(sent > 0)
    }

    /// Sends what is left over. Gives whether anything went.
    fn flush(&mut self, to: &mut Side) -> Result<bool, Errno> {
        if self.rest.is_empty() || !to.writable {
            return Ok(false);
        }
        let sent = to.send(self.rest.get(self.sent..).unwrap_or_default(), self.ended)?;
        self.sent += sent;
        if self.sent == self.rest.len() {
            (self.rest, self.sent) = (Vec::new(), 0);
        }
        Ok(sent > 0)
    }
}
