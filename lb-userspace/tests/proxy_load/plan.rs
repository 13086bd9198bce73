//! What a session is to do, by its number: both ends know it.

/// A session's course.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// What the client does.
    pub(crate) client: Role,
    /// What the server does.
    pub(crate) server: Role,
}

/// One side's part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Role {
    /// Bytes that it sends before it ends its direction, or resets.
    pub(crate) sends: u64,
    /// Whether it resets then.
    pub(crate) resets: bool,
    /// After how many bytes it reads no more for a while.
    pub(crate) stalls: Option<u64>,
}

/// Of 9,000 sessions, those that send most, to somebody who stalls.
const HEAVY: u64 = 300;
const HEAVY_LENGTH: u64 = 12 << 20;

impl Plan {
    /// The course of one of many sessions.
    pub(crate) fn new(seed: u64) -> Self {
        if seed.is_multiple_of(HEAVY) {
            return Self::heavy(seed);
        }
        let mut random = fastrand::Rng::with_seed(seed);
        let mut length = || {
            let bits = random.u32(..21);
            random.u64(..1 << bits)
        };
        let mut client = Role { sends: length(), ..Role::default() };
        let mut server = Role { sends: length(), ..Role::default() };
        match random.u32(..16) {
            0 | 1 => client.resets = true,
            2 | 3 => server.resets = true,
            4 => client.stalls = Some(random.u64(..=server.sends)),
            5 => server.stalls = Some(random.u64(..=client.sends)),
            _ => {}
        }
        Self { seed, client, server }
    }

    /// More than the kernel keeps, for somebody who stalls.
    fn heavy(seed: u64) -> Self {
        let sends = Role { sends: HEAVY_LENGTH, ..Role::default() };
        let stalls = Role { stalls: Some(0), ..Role::default() };
        let turned = seed.is_multiple_of(2 * HEAVY);
        let (client, server) = if turned { (sends, stalls) } else { (stalls, sends) };
        Self { seed, client, server }
    }

    /// As much as this, both ways at once.
    pub(crate) fn long(seed: u64, length: u64) -> Self {
        let sends = Role { sends: length / 2, ..Role::default() };
        Self { seed, client: sends, server: sends }
    }

    /// Whether somebody stalls.
    pub(crate) fn stalls(&self) -> bool {
        self.client.stalls.or(self.server.stalls).is_some()
    }

    /// Whether both sides end.
    pub(crate) fn is_whole(&self) -> bool {
        !self.client.resets && !self.server.resets
    }
}
