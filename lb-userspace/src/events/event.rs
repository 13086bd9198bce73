//! One event.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What `LB_LOG` calls them.
const TARGET: &str = "lb::events";

/// What happened, to whom, why, and by whose doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// The service's name, if it is about one.
    pub service: Option<String>,
    /// The backend's name, if it is about one.
    pub backend: Option<String>,
    /// The virtual router's name, if it is about one.
    pub router: Option<String>,
    /// The route's name, if it is about one.
    pub route: Option<String>,
    /// Why, or what exactly.
    pub cause: String,
    /// Whose doing it is.
    pub who: Who,
}

impl Event {
    /// Something that the node did or saw by itself.
    #[must_use]
    pub fn new(kind: Kind, cause: impl Into<String>) -> Self {
        let (service, backend, router, route) = (None, None, None, None);
        Self { kind, service, backend, router, route, cause: cause.into(), who: Who::lb() }
    }

    /// It is about a service.
    #[must_use]
    pub fn of_service(self, service: &str) -> Self {
        Self { service: Some(service.to_owned()), ..self }
    }

    /// It is about a backend of a service.
    #[must_use]
    pub fn of_backend(self, service: &str, backend: &str) -> Self {
        Self { backend: Some(backend.to_owned()), ..self.of_service(service) }
    }

    /// It is about a virtual router.
    #[must_use]
    pub fn of_router(self, router: &str) -> Self {
        Self { router: Some(router.to_owned()), ..self }
    }

    /// It is about a route.
    #[must_use]
    pub fn of_route(self, route: &str) -> Self {
        Self { route: Some(route.to_owned()), ..self }
    }

    /// It is somebody's doing.
    #[must_use]
    pub fn by(self, who: &Who) -> Self {
        Self { who: who.clone(), ..self }
    }

    /// `service/backend`, `service`, the virtual router, the route, or nothing.
    #[must_use]
    pub fn subject(&self) -> String {
        let names = self.service.iter().chain(&self.backend);
        let names = names.chain(&self.router).chain(&self.route);
        names.map(String::as_str).collect::<Vec<_>>().join("/")
    }

    pub(super) fn log(&self) {
        match self.kind.level() {
            Level::Info => tracing::info!(target: TARGET, "{self}"),
            Level::Warn => tracing::warn!(target: TARGET, "{self}"),
            Level::Error => tracing::error!(target: TARGET, "{self}"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.subject();
        let gap = if subject.is_empty() { "" } else { " " };
        write!(f, "{}{gap}{subject}: {}", self.kind.as_str(), self.cause)?;
        if self.who == Who::lb() { Ok(()) } else { write!(f, " (by {})", self.who) }
    }
}

/// Whose doing something is: `lb`, a user such as `root (uid 0)`, or a signal such as `SIGTERM`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Who(String);

impl Who {
    /// The node itself.
    #[must_use]
    pub fn lb() -> Self {
        Self("lb".into())
    }

    /// A user of this machine; one without a name has the number alone.
    #[must_use]
    pub fn user(uid: u32) -> Self {
        match nix::unistd::User::from_uid(uid.into()) {
            Ok(Some(user)) => Self(format!("{} (uid {uid})", user.name)),
            Ok(None) | Err(_) => Self(format!("uid {uid}")),
        }
    }

    /// A user whom the kernel does not name.
    #[must_use]
    pub fn unknown() -> Self {
        Self("unknown".into())
    }

    /// A signal.
    #[must_use]
    pub fn signal(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How loud the log is about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Info,
    Warn,
    Error,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $level:ident;)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[$doc])* #[serde(rename = $name)] $kind,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Its name in JSON, in tables and in the log.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            const fn level(self) -> Level {
                match self {
                    $(Self::$kind => Level::$level,)*
                }
            }
        }
    };
}

kinds! {
    /// The daemon runs, over maps that it made.
    Started = "started", Info;
    /// The daemon runs, over what an earlier one left.
    TookOver = "took-over", Info;
    /// The daemon ends; packets go on.
    Stopping = "stopping", Info;
    /// The checks say that a backend is up.
    Up = "up", Info;
    /// The checks say that a backend is down.
    Down = "down", Info;
    /// The agent of a backend says something else than before.
    Agent = "agent", Info;
    /// A service uses the backends that are up again.
    Normal = "normal", Warn;
    /// A service uses all backends, up or not.
    Panic = "panic", Warn;
    /// A service uses its sorry backend alone.
    Sorry = "sorry", Warn;
    /// A backend was added, or something else by a file.
    Added = "added", Info;
    /// A backend was removed, whose connections go on, or something else by a file.
    Removed = "removed", Info;
    /// A backend has another weight.
    Weight = "weight", Info;
    /// A backend takes no new connections.
    Drain = "drain", Info;
    /// A backend takes nothing, and is not checked.
    Maintenance = "maintenance", Info;
    /// A backend takes its share again.
    Ready = "ready", Info;
    /// A configuration file is in force.
    Applied = "applied", Info;
    /// Run-time changes were written into the file.
    Saved = "saved", Info;
    /// Run-time changes were dropped.
    Reverted = "reverted", Info;
    /// What a file, or dropping the run-time changes, has changed; or what to know of that.
    Changed = "changed", Info;
    /// A file, or another change of the configuration as a whole, was refused.
    Refused = "refused", Warn;
    /// What became of run-time changes that could not be kept, or not be gone on with.
    Lost = "lost", Error;
    /// No connection is left that a drained backend is known to have.
    Drained = "drained", Info;
    /// No connection is left that a removed backend is known to have.
    Left = "left", Info;
    /// Slots of a service changed hands.
    SlotsMoved = "slots-moved", Info;
    /// All slots of a service are stable again.
    SlotsStable = "slots-stable", Info;
    /// The maps could not be brought to what is wanted, or the flow table not be swept.
    Failing = "failing", Error;
    /// This node holds the addresses of a virtual router.
    Master = "master", Info;
    /// Another node may hold the addresses of a virtual router.
    Backup = "backup", Info;
    /// This node must not hold the addresses of a virtual router.
    Fault = "fault", Warn;
    /// Two nodes hold the addresses of a virtual router.
    SplitBrain = "split-brain", Error;
    /// One node holds the addresses of a virtual router again.
    SplitHealed = "split-healed", Warn;
    /// The addresses of a virtual router are handed over to another node.
    Failover = "failover", Info;
    /// A service's ring differs from another node's.
    RingDiffers = "ring-differs", Error;
    /// A service's ring is the same as another node's again.
    RingAgrees = "ring-agrees", Info;
    /// The addresses of a route are there for a routing daemon.
    Announced = "announced", Info;
    /// The addresses of a route are not there for a routing daemon.
    Withdrawn = "withdrawn", Warn;
    /// A proxy has a primary among its database servers, or another one, or has it back.
    Primary = "primary", Warn;
    /// A proxy has no primary among its database servers.
    PrimaryLost = "primary-lost", Error;
    /// Several of the database servers of a proxy take writes.
    TwoPrimaries = "two-primaries", Error;
    /// A database server cannot be asked what it is.
    Silent = "silent", Warn;
    /// A database server can be asked again.
    Answers = "answers", Info;
    /// A replica is too far behind, or does not replicate.
    Lagging = "lagging", Warn;
    /// A replica is near enough again.
    CaughtUp = "caught-up", Info;
    /// A session of a proxy was reset by an operator.
    Killed = "killed", Info;
    /// What failed works again.
    Recovered = "recovered", Info;
}
