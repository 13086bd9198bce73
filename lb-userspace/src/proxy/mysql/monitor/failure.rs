//! Why a server could not be asked.

use std::{io, path::PathBuf, time::Duration};

use mysql_async::{DriverError, IoError, ServerError, TlsError};

/// Why, for people. No text has a password in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Late(Duration),
    #[error("{}: {cause}", path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("{}: no certificate in PEM form", .0.display())]
    NoCertificate(PathBuf),
    #[error(
        "this system has no authorities' certificates: name a file of them as `monitor.tls.ca`"
    )]
    NoAuthorities,
    #[error("the path of the socket is not UTF-8")]
    Path,
    #[error("{0}")]
    Broken(io::Error),
    #[error("TLS: {0}")]
    Tls(TlsError),
    #[error("{} (error {})", .0.message, .0.code)]
    Refused(ServerError),
    #[error(
        "it does not say whether it replicates: {} (error {}). `GRANT {privilege} ON *.*` to the \
         monitor's user",
        error.message, error.code
    )]
    Privilege { error: ServerError, privilege: &'static str },
    #[error("{0}")]
    Driver(DriverError),
    #[error("its `{0}` cannot be read")]
    Unreadable(&'static str),
    #[error("it answers what no database server does")]
    Client,
}

impl Failure {
    /// Whether the connection may be at fault, and not the server.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Driver(_))
    }
}

impl From<mysql_async::Error> for Failure {
    fn from(error: mysql_async::Error) -> Self {
        use mysql_async::Error;
        match error {
            Error::Io(IoError::Io(error)) => Self::Broken(error),
            Error::Io(IoError::Tls(error)) => Self::Tls(error),
            Error::Server(error) => Self::Refused(error),
            Error::Driver(error) => Self::Driver(error),
            error @ (Error::Url(_) | Error::Other(_)) => Self::Broken(io::Error::other(error)),
        }
    }
}
