//! Why sessions end.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Lists the ends once: the variant, its label, and what is done to the sockets follow from it.
macro_rules! ends {
    ($($(#[doc = $text:literal])+ $name:ident = $label:literal;)+) => {
        /// Why a session ended. Every session has exactly one, and is counted by it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum End {
            $($(#[doc = $text])+ #[serde(rename = $label)] $name,)+
        }

        impl End {
            /// All of them, in the order in which they are counted.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its name in metrics and tables.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)+
                }
            }
        }
    };
}

ends! {
    /// Both sides ended, the client first.
    ClientClosed = "client_closed";
    /// Both sides ended, the backend first.
    BackendClosed = "backend_closed";
    /// The client reset its connection, or was lost.
    ClientReset = "client_reset";
    /// The backend reset its connection, or was lost.
    BackendReset = "backend_reset";
    /// The client neither sent nor took anything for `client_idle`.
    ClientIdle = "client_idle";
    /// The backend neither sent nor took anything for `backend_idle`.
    BackendIdle = "backend_idle";
    /// Nothing moved for `half_closed` after one side had ended.
    HalfClosed = "half_closed_timeout";
    /// It lasted for as long as the `session` timeout allows.
    Age = "session_timeout";
    /// An operator ended it.
    Killed = "killed";
    /// Its backend went down, into maintenance or out of the pool, and `on_down` is `close`.
    BackendDown = "backend_down";
    /// The host had the backend's sessions closed.
    Withdrawn = "withdrawn";
    /// All backends were full, and so was the queue.
    QueueFull = "queue_full";
    /// No backend had room for it in time.
    QueueTimeout = "queue_timeout";
    /// No backend took new sessions.
    NoBackend = "no_backend";
    /// No backend that was tried could be connected to.
    ConnectFailed = "connect_failed";
    /// The PROXY header was none.
    BadHeader = "bad_header";
    /// The PROXY header did not come in time.
    HeaderTimeout = "header_timeout";
    /// The kernel has no memory to watch the client's connection.
    NoDescriptor = "no_descriptor";
    /// It outlasted the drain, or the engine.
    Drained = "drained";
}

impl End {
    /// Whether both sides have ended their streams. If not, sockets are reset, so that nobody takes a
    /// part for the whole.
    pub(super) const fn is_whole(self) -> bool {
        matches!(self, Self::ClientClosed | Self::BackendClosed)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
