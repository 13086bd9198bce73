//! What is remembered of single flows, and the decision between the ring and memory.

use crate::{
    addr::{Addr, Port},
    service::DownPolicy,
    slot::{Index, State},
};

/// What names a flow within the node.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    /// The client's address.
    pub client: Addr,
    /// The service, by its [`crate::service::Service::id`].
    pub service: u32,
    /// The client's port.
    pub client_port: Port,
    /// The port that the client talks to.
    pub service_port: Port,
}

/// A remembered flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The flow's backend.
    pub backend: Index,
    /// What is known of its end.
    pub phase: Phase,
    /// The node's tick at its last packet.
    pub seen: u32,
}

/// What is noted of a connection at its SYN, until its next packet.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The backend that got the SYN.
    pub backend: Index,
    /// Zero.
    pub padding: u16,
    /// The node's tick then.
    pub noted: u32,
}

/// A handshake takes no longer, in ticks: an older note says nothing.
pub const HANDSHAKE: u32 = 60;

impl Pending {
    /// The noted backend, if the note is fresh.
    #[inline(always)]
    #[must_use]
    pub const fn fresh(self, now: u32) -> Option<Index> {
        if now.wrapping_sub(self.noted) <= HANDSHAKE { Some(self.backend) } else { None }
    }
}

/// Whether a flow is expected to go on.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase(pub u16);

impl Phase {
    /// It is.
    pub const OPEN: Self = Self(0);
    /// Its client has sent a FIN or an RST: it may have ended.
    pub const CLOSING: Self = Self(1);
}

/// What a packet says of its flow's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It opens a connection: a TCP SYN without ACK.
    Opening,
    /// Nothing.
    Amid,
    /// It closes one: a TCP FIN or RST.
    Closing,
}

/// Per-flow memory: the flow table, and the small table of connections that are being opened.
pub trait Memory {
    /// The remembered flow, if there is one.
    fn flow(&mut self) -> Option<Flow>;
    /// The backend noted for a connection that is being opened, while the note is fresh.
    fn pending(&mut self) -> Option<Index>;
    /// Marks the remembered flow as seen, and as closing if the packet says so.
    fn touch(&mut self, closing: bool);
    /// Remembers the flow, in place of what was remembered of it. Gives whether there was room.
    fn remember(&mut self, backend: Index, closing: bool) -> bool;
    /// Notes the backend of a connection that is being opened.
    fn note(&mut self, backend: Index);
    /// Removes the note.
    fn forget_pending(&mut self);
    /// Whether a backend is down.
    fn is_down(&mut self, backend: Index) -> bool;
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// To this backend.
    Backend(Index),
    /// No backend takes new flows.
    None,
    /// Its backend is down: the client is told.
    Refuse,
    /// Its backend is down: the packet is dropped.
    Drop,
}

impl Choice {
    const NONE: u32 = 1 << 16;
    const REFUSE: u32 = 2 << 16;
    const DROP: u32 = 3 << 16;

    /// All of it in one word.
    #[inline(always)]
    #[must_use]
    pub const fn word(self) -> u32 {
        match self {
            Self::Backend(index) => index as u32,
            Self::None => Self::NONE,
            Self::Refuse => Self::REFUSE,
            Self::Drop => Self::DROP,
        }
    }

    /// The choice of a word that [`Choice::word`] made.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u32) -> Self {
        match word {
            Self::NONE => Self::None,
            Self::REFUSE => Self::Refuse,
            Self::DROP => Self::Drop,
            index => Self::Backend(index as Index),
        }
    }

    const fn of(current: Option<Index>) -> Self {
        match current {
            Some(index) => Self::Backend(index),
            None => Self::None,
        }
    }
}

/// Decides where a packet of an unstable slot goes. A stable slot needs no decision.
///
/// A remembered flow belongs to its backend, and a connection that is being opened to the one noted
/// for it. Of a flow that is neither, a `Moving` slot knows that it is older than the change. The
/// memory of a flow that is closing, or whose backend is down, gives way to a newer connection
/// between the same ends.
#[inline(always)]
pub fn choose(
    state: State,
    moment: Moment,
    on_down: DownPolicy,
    memory: &mut impl Memory,
) -> Choice {
    let (current, previous) = match state {
        State::Stable { current } => return Choice::of(current),
        State::Moving { current, previous } => (current, Some(previous)),
        State::Settled { current } => (current, None),
    };
    let closing = matches!(moment, Moment::Closing);
    let remembered = memory.flow();
    if let Some(Flow { backend, phase, seen: _ }) = remembered
        && phase == Phase::OPEN
        && !memory.is_down(backend)
    {
        memory.touch(closing);
        return Choice::Backend(backend);
    }
    if matches!(moment, Moment::Opening) {
        return open(current, previous.is_some(), remembered.is_some(), memory);
    }
    let Some(known) = remembered.map(|flow| flow.backend).or(previous) else {
        return Choice::of(current);
    };
    let noted = memory.pending();
    let owner = noted.unwrap_or(known);
    if memory.is_down(owner) {
        return orphan(current, closing, on_down, remembered.is_some(), memory);
    }
    if noted.is_some() {
        // Without room the note has to serve on.
        if memory.remember(owner, closing) {
            memory.forget_pending();
        }
    } else if remembered.is_some() {
        memory.touch(closing);
    } else if current != Some(owner) {
        let _: bool = memory.remember(owner, closing);
    }
    Choice::Backend(owner)
}

/// A new connection. In a settled slot, what is not remembered goes to the current backend anyway.
#[inline(always)]
fn open(
    current: Option<Index>,
    moving: bool,
    remembered: bool,
    memory: &mut impl Memory,
) -> Choice {
    if remembered {
        // Should its backend come back up, the older flow has no claim any more.
        memory.touch(true);
    }
    if let (Some(index), true) = (current, moving || remembered) {
        memory.note(index);
    }
    Choice::of(current)
}

/// A flow whose backend is down. One that its client ends has ended even if the backend comes back.
#[inline(always)]
fn orphan(
    current: Option<Index>,
    closing: bool,
    on_down: DownPolicy,
    remembered: bool,
    memory: &mut impl Memory,
) -> Choice {
    if remembered && closing {
        memory.touch(true);
    }
    match on_down {
        DownPolicy::REHASH => {
            // A note may still name the backend that is down.
            if let Some(index) = current
                && memory.remember(index, closing)
            {
                memory.forget_pending();
            }
            Choice::of(current)
        }
        DownPolicy::DROP => Choice::Drop,
        _ => Choice::Refuse,
    }
}
