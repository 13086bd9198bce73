//! The clients' flows, and what they may expect.

use lb_common::{
    addr::{Addr, Port, Protocol},
    flow::{Choice, HANDSHAKE, Moment},
    service::DownPolicy,
};

use super::{
    FLOWS,
    world::{Standing, World, service},
};
use crate::dataplane::fake::Packet;

/// The ticks after its FIN within which the last packets of a connection come.
const LAST: u32 = 120;
/// The ticks within which the sweep has seen every flow.
const SWEPT: u32 = 16;

/// One flow of a client, again and again between the same ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    protocol: Protocol,
    number: u8,
    life: Life,
    /// The backend of a connection that has ended without the node being able to know: its client
    /// was told that the backend is down, or packets came after the FIN, to a node that remembers
    /// only since then. The next one between the same ends looks as if it belonged to it.
    lingers: Option<u8>,
}

/// A flow's life.
#[derive(Clone, Copy, Debug)]
pub(super) enum Life {
    /// There is none; the last packet of the one before was sent then.
    Over { since: Option<u32> },
    /// A SYN was sent.
    Opening { backend: u8, last: u32 },
    /// It goes on.
    Open { backend: u8, last: u32 },
    /// A FIN was sent.
    Closing { backend: u8, last: u32 },
    /// A connection was idle for too long: its end is not expected to get anywhere.
    Lost,
}

impl Client {
    pub(super) fn new(flow: usize) -> Self {
        let protocol = if flow < FLOWS { Protocol::TCP } else { Protocol::UDP };
        Self { protocol, number: flow as u8, life: Life::Over { since: None }, lingers: None }
    }

    fn packet(&self, moment: Moment) -> Packet {
        Packet {
            service: service(self.protocol),
            client: Addr::from_v4([192, 0, 2, self.number]),
            client_port: Port::new(40_000 + u16::from(self.number)),
            service_port: Port::new(80),
            moment,
        }
    }

    /// The packet that must reach the flow's backend now, if the flow lives.
    pub(super) fn expects(&self, world: &World) -> Option<(Packet, u8)> {
        let window = world.window(self.protocol);
        let (last, longest) = match self.life {
            Life::Opening { backend, last } if self.lingers == Some(backend) => {
                (last, window.min(HANDSHAKE + 1))
            }
            Life::Opening { last, .. } => (last, HANDSHAKE + 1),
            Life::Open { last, .. } => (last, window),
            Life::Closing { last, .. } => (last, window.min(LAST)),
            Life::Over { .. } | Life::Lost => return None,
        };
        let lives = world.now - last < longest;
        self.life.backend().filter(|_| lives).map(|backend| (self.packet(Moment::Amid), backend))
    }

    /// The next packet.
    pub(super) fn send(&mut self, world: &mut World) {
        let lives = self.expects(world).is_some();
        match self.life {
            Life::Opening { .. } | Life::Open { .. } if lives => self.go_on(world, Moment::Amid),
            Life::Open { .. } if self.protocol == Protocol::TCP => self.life = Life::Lost,
            Life::Lost => {
                // It is nobody's any more: wherever it goes is right.
                let _anywhere = world.send(&self.packet(Moment::Closing));
                self.life = Life::Over { since: None };
            }
            _ if self.protocol == Protocol::TCP => self.connect(world),
            Life::Over { since } => self.begin(world, since),
            Life::Open { last, .. } | Life::Opening { last, .. } | Life::Closing { last, .. } => {
                self.begin(world, Some(last));
            }
        }
    }

    /// The next packet of a flow that is not to become idle.
    pub(super) fn keep_alive(&mut self, world: &mut World) {
        if let Life::Open { last, .. } = self.life
            && (world.now - last) * 2 >= world.window(self.protocol)
        {
            self.send(world);
        }
    }

    /// The SYN, or what comes after the FIN.
    pub(super) fn repeat(&mut self, world: &mut World) {
        match self.life {
            Life::Opening { .. } => self.connect(world),
            Life::Closing { backend, .. } if self.expects(world).is_some() => {
                self.lingers = Some(backend);
                self.go_on(world, Moment::Amid);
            }
            Life::Over { .. } | Life::Open { .. } | Life::Closing { .. } | Life::Lost => {}
        }
    }

    /// The FIN.
    pub(super) fn close(&mut self, world: &mut World) {
        let open = matches!(self.life, Life::Open { .. }) && self.protocol == Protocol::TCP;
        if open && self.expects(world).is_some() {
            self.lingers = None;
            self.go_on(world, Moment::Closing);
        }
    }

    /// A new connection.
    fn connect(&mut self, world: &mut World) {
        self.life = match world.send(&self.packet(Moment::Opening)) {
            Ok(backend) => {
                let standing = world.standing(backend);
                let lingers = self.lingers == Some(backend) && standing == Standing::Kept;
                let good = standing == Standing::Usable || lingers;
                assert!(good, "at {}: a new {self:?} reaches {backend}, {standing:?}", world.now);
                Life::Opening { backend, last: world.now }
            }
            Err(choice) => {
                assert_eq!(choice, Choice::None, "{self:?}");
                assert!(!world.any(Standing::Usable), "{self:?} finds nobody");
                Life::Over { since: None }
            }
        };
    }

    /// A new flow without a connection.
    fn begin(&mut self, world: &mut World, since: Option<u32>) {
        let window = world.window(self.protocol);
        let forgotten = since.is_none_or(|last| world.now - last > window + SWEPT);
        let moved_long_ago = world.now - world.changed > window + 1;
        self.life = match world.send(&self.packet(Moment::Amid)) {
            Ok(backend) => {
                let standing = world.standing(backend);
                let expected = standing == Standing::Usable || !(forgotten && moved_long_ago);
                assert!(standing != Standing::Down && expected, "at {}: {self:?}", world.now);
                Life::Open { backend, last: world.now }
            }
            Err(Choice::None) => {
                assert!(!world.any(Standing::Usable), "{self:?} finds nobody");
                Life::Over { since }
            }
            Err(choice) => {
                assert!(world.any(Standing::Down), "{self:?}: {choice:?} although nobody is down");
                Life::Over { since: since.or(Some(world.now)) }
            }
        };
    }

    /// Another packet of a live flow.
    fn go_on(&mut self, world: &mut World, moment: Moment) {
        let Some(first) = self.life.backend() else { return };
        let result = world.send(&self.packet(moment));
        let last = world.now;
        let on = |backend| match (self.life, moment) {
            (Life::Closing { .. }, _) | (_, Moment::Closing) => Life::Closing { backend, last },
            _ => Life::Open { backend, last },
        };
        if world.standing(first) != Standing::Down {
            assert_eq!(result, Ok(first), "at {}: a packet of {self:?}", world.now);
            self.life = on(first);
            return;
        }
        self.life = match (world.on_down(), result) {
            (DownPolicy::RST, Err(Choice::Refuse)) => {
                self.lingers = Some(first);
                Life::Over { since: Some(last) }
            }
            (DownPolicy::DROP, Err(Choice::Drop)) if moment == Moment::Closing => {
                Life::Over { since: Some(last) }
            }
            (DownPolicy::DROP, Err(Choice::Drop)) => self.life,
            (DownPolicy::REHASH, Ok(backend)) => {
                assert_eq!(world.standing(backend), Standing::Usable, "{self:?} after {first}");
                on(backend)
            }
            (DownPolicy::REHASH, Err(Choice::None)) if !world.any(Standing::Usable) => {
                if moment == Moment::Closing { Life::Over { since: Some(last) } } else { self.life }
            }
            (policy, result) => panic!("{policy:?} gives {result:?} to {self:?}"),
        };
    }
}
