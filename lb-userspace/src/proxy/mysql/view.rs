//! What the engine is told: all that is to be, every time.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    fence::{Fence, Servers},
    server::Server,
};
use crate::config::proxy::{Mysql, Role};

/// What is to be of a pool, for a proxy of one role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Every server, by its name.
    pub servers: BTreeMap<String, Access>,
    /// How much longer new sessions wait for a primary; absent if there is one or they have waited enough. It
    /// ends at [`super::Roles::next_deadline`].
    pub hold: Option<Duration>,
    /// The primary.
    pub primary: Option<String>,
    /// The servers that take writes but must not.
    pub rivals: Vec<String>,
}

/// What is to be of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Whether it takes new sessions.
    pub eligible: bool,
    /// Whether its sessions are closed; it takes no new ones then.
    pub close: bool,
}

/// What views are made from.
pub(super) struct Sight<'a> {
    pub(super) settings: &'a Mysql,
    pub(super) servers: &'a Servers,
    pub(super) fence: &'a Fence,
    pub(super) now: Instant,
}

impl Sight<'_> {
    pub(super) fn view(&self, role: Role) -> View {
        let primary = self.fence.primary(self.servers, self.now);
        let access = |(name, server): (&String, &Server)| {
            let access = match role {
                Role::Primary => self.writes(name, server, primary),
                Role::Replica => self.reads(name, server, primary),
            };
            (name.clone(), access)
        };
        let mut servers: BTreeMap<_, _> = self.servers.iter().map(access).collect();
        let fallback = role == Role::Replica && self.settings.fallback;
        let lonely = fallback && !servers.values().any(|it| it.eligible);
        if lonely && let Some(access) = primary.and_then(|it| servers.get_mut(it)) {
            access.eligible = true;
        }
        let waits = (role == Role::Primary || lonely).then(|| self.hold()).flatten();
        let rivals = self.fence.rivals().to_vec();
        View { servers, hold: waits, primary: primary.map(str::to_owned), rivals }
    }

    /// A lost primary that merely does not answer keeps its sessions until there is another.
    fn writes(&self, name: &str, server: &Server, primary: Option<&str>) -> Access {
        let rival = self.is_rival(name);
        let ended = server.was_heard() && (!server.was_writer() || rival);
        let close = primary.map_or(ended, |it| it != name);
        Access { eligible: primary == Some(name), close }
    }

    fn reads(&self, name: &str, server: &Server, primary: Option<&str>) -> Access {
        let said = server.said(self.now).filter(|it| !it.is_writer());
        let eligible = primary != Some(name) && said.is_some() && server.gate().is_near();
        let behind = said.is_some() && server.gate().closes();
        let close = behind || server.was_replaced() || self.diverges(name, server, primary);
        Access { eligible: eligible && !close, close }
    }

    /// Whether its data goes its own way: it takes writes beside the primary, or did so when last heard of.
    fn diverges(&self, name: &str, server: &Server, primary: Option<&str>) -> bool {
        let primary = primary.filter(|it| *it != name).and_then(|it| self.servers.get(it));
        let replaced = |it: &Server| server.was_writer() && !server.turned_after(it);
        self.is_rival(name) || primary.is_some_and(replaced)
    }

    fn is_rival(&self, name: &str) -> bool {
        self.fence.rivals().iter().any(|it| it == name)
    }

    fn hold(&self) -> Option<Duration> {
        let vacancy = self.fence.vacancy(self.servers, self.now)?;
        self.settings.promotion_wait.checked_sub(vacancy).filter(|it| !it.is_zero())
    }
}
