//! What happened in a pool, for events and the log.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Something that happened. Servers are called by the names of their backends; the text is a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// There is no primary any more.
    PrimaryLost {
        /// Who it was.
        server: String,
        /// Why it is not any more.
        why: Loss,
    },
    /// The primary that was lost is the primary again.
    PrimaryBack {
        /// Who it is.
        server: String,
    },
    /// There is another primary.
    Promoted {
        /// Who it was before; nobody since the start if absent. The same name where another server has taken
        /// its address.
        from: Option<String>,
        /// Who it is now.
        to: String,
    },
    /// Several servers say that they take writes: somebody must decide.
    TwoPrimaries {
        /// The one that goes on as the primary; none if it is not known which to believe.
        kept: Option<String>,
        /// The others, which get nothing.
        rivals: Vec<String>,
    },
    /// So many questions to a server have failed that nothing is known of it.
    Silent {
        /// Which.
        server: String,
        /// Why the last one failed.
        why: String,
    },
    /// A server that was silent answers.
    Answers {
        /// Which.
        server: String,
    },
    /// A replica is too far behind.
    Lagging {
        /// Which.
        server: String,
        /// How far.
        lag: Duration,
    },
    /// A replica that lagged or did not replicate is near enough.
    CaughtUp {
        /// Which.
        server: String,
        /// How far behind it still is.
        lag: Duration,
    },
    /// A server that should replicate does not.
    NotReplicating {
        /// Which.
        server: String,
    },
}

/// Why a server is not the primary any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Nothing has been known of it for too long; the last failure to ask it.
    Silent(String),
    /// It says that it is read-only.
    ReadOnly,
    /// It says that it replicates.
    Replicates,
    /// Another server answers at its address.
    Replaced,
    /// It is not in the configuration any more.
    Removed,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrimaryLost { server, why } => {
                write!(f, "`{server}` is not the primary any more: {why}")
            }
            Self::PrimaryBack { server } => write!(f, "`{server}` is the primary again"),
            Self::Promoted { from: None, to } => write!(f, "`{to}` is the primary"),
            Self::Promoted { from: Some(from), to } if from == to => {
                write!(f, "another server at the address of `{to}` is the primary")
            }
            Self::Promoted { from: Some(from), to } => {
                write!(f, "`{to}` is the primary, instead of `{from}`")
            }
            Self::TwoPrimaries { kept: Some(kept), rivals } => {
                let rivals = rivals.join("`, `");
                write!(f, "`{kept}` stays the primary, but so says `{rivals}`: make it read-only")
            }
            Self::TwoPrimaries { kept: None, rivals } => {
                let rivals = rivals.join("`, `");
                write!(f, "all of `{rivals}` take writes: make all but one read-only")
            }
            Self::Silent { server, why } => write!(f, "`{server}` cannot be asked: {why}"),
            Self::Answers { server } => write!(f, "`{server}` answers again"),
            Self::Lagging { server, lag } => {
                write!(f, "`{server}` is {} behind", humantime::format_duration(*lag))
            }
            Self::CaughtUp { server, lag } => {
                let lag = humantime::format_duration(*lag);
                write!(f, "`{server}` takes sessions again, {lag} behind")
            }
            Self::NotReplicating { server } => write!(f, "`{server}` does not replicate"),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(why) if why.is_empty() => f.write_str("it was not asked in time"),
            Self::Silent(why) => write!(f, "it does not answer: {why}"),
            Self::ReadOnly => f.write_str("it is read-only"),
            Self::Replicates => f.write_str("it replicates"),
            Self::Replaced => f.write_str("another server answers at its address"),
            Self::Removed => f.write_str("it was removed from the configuration"),
        }
    }
}
