//! Processes of this program that work beside the daemon and outlive it: what they do goes on while it is
//! stopped, restarted or upgraded.
//!
//! The daemon starts them, tells them what is wanted, and hears what they say, a line of JSON each, over a
//! Unix socket. Each begins with [`Said::Hello`]; one of another program is told to go on as the daemon's.

pub mod client;
pub mod legacy;
pub mod server;

use std::{io, time::SystemTime};

use serde::{Deserialize, Serialize};

/// What a companion says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said<View, Noted> {
    /// To everybody who comes.
    Hello {
        /// The version of what it says and understands.
        version: u32,
        /// The program that it runs: see [`build`].
        build: String,
        /// Its process.
        pid: u32,
    },
    /// How all that it holds is, whenever that has changed, and once a second.
    View(View),
    /// What happened.
    Noted(Noted),
}

/// Now, in seconds of Unix time.
#[must_use]
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The program that this process runs: another file, or the same after an upgrade, is another program.
#[must_use]
pub fn build() -> String {
    let built = std::fs::metadata("/proc/self/exe").and_then(|it| it.modified());
    let built = built.ok().and_then(|it| it.duration_since(SystemTime::UNIX_EPOCH).ok());
    let seconds = built.map_or(0, |it| it.as_secs());
    format!("{} of {seconds}", env!("CARGO_PKG_VERSION"))
}

/// What a connection to a Unix socket has led to; `None`: nobody is there.
pub fn if_there<Stream>(connected: io::Result<Stream>) -> io::Result<Option<Stream>> {
    match connected.map_err(|error| (error.kind(), error)) {
        Ok(stream) => Ok(Some(stream)),
        Err((io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused, _)) => Ok(None),
        Err((_, error)) => Err(error),
    }
}

/// A line that says it.
fn line<T: Serialize>(words: &T) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(words)?;
    line.push(b'\n');
    Ok(line)
}
