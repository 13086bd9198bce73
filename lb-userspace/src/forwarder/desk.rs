//! Where a forwarder's sessions are asked for. Each process has a desk of its own for as long as it has
//! sessions, also one that another has followed: `proxy.PID.sock` beside the forwarder's socket.

mod visit;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
    time::timeout,
};

use self::visit::desks;
pub use self::visit::{Error, end, kill, pass_on, sessions};
use crate::{
    api::server::bind,
    proxy::{Order, SessionId, SessionView},
};

/// How long a desk may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest question, in bytes: room for the orders of 10,000 backends.
const LONGEST: u64 = 16 << 20;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Which sessions there are.
    Sessions,
    /// To reset a session.
    Kill(SessionId),
    /// To heed, for the sessions that are left, what a process that goes on was ordered.
    Heed(Vec<Order>),
    /// To reset all sessions, and to end.
    End,
}

/// What is answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// These.
    Sessions(Vec<SessionView>),
    /// Whether there was such a session.
    Killed(bool),
    /// It does.
    Heeded,
    /// It ends.
    Ending,
}

/// A question, and where its answer is waited for.
pub(super) type Asked = (Question, oneshot::Sender<Answer>);

/// Names a session of this node: `PID-NUMBER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionName {
    /// The forwarder's process.
    pub process: u32,
    /// The session there.
    pub session: SessionId,
}

/// A text that is no [`SessionName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session is named by two numbers, such as `4242-17`: see `lb sessions`")]
pub struct NoName;

/// The open desk of this process; closed when it is dropped.
#[derive(Debug)]
pub(super) struct Desk {
    path: PathBuf,
    listener: UnixListener,
}

impl Desk {
    /// Opens it beside the forwarder's socket, and takes those away that processes left which were killed.
    pub(super) fn open(socket: &Path) -> anyhow::Result<Self> {
        for (process, desk) in desks(socket)? {
            if !Path::new(&format!("/proc/{process}")).exists() {
                fs::remove_file(desk)?;
            }
        }
        let path = socket.with_extension(format!("{}.sock", std::process::id()));
        let listener = bind(&path)?;
        Ok(Self { path, listener })
    }

    /// The next visitor's question goes to `asked`.
    pub(super) async fn open_door(&self, asked: &mpsc::Sender<Asked>) {
        match self.listener.accept().await {
            // Who asks nothing keeps nobody else from asking.
            Ok((stream, _)) => drop(tokio::spawn(timeout(PATIENCE, serve(stream, asked.clone())))),
            Err(error) => tracing::warn!(%error, "nobody can ask for sessions"),
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.path);
    }
}

async fn serve(stream: UnixStream, asked: mpsc::Sender<Asked>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut text = String::new();
    let _length = BufReader::new(reader.take(LONGEST)).read_line(&mut text).await?;
    let question = serde_json::from_str(&text)?;
    let (to, answer) = oneshot::channel();
    if asked.send((question, to)).await.is_ok()
        && let Ok(answer) = answer.await
    {
        writer.write_all(&serde_json::to_vec(&answer)?).await?;
    }
    Ok(())
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.process, self.session)
    }
}

impl FromStr for SessionName {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let (process, session) = text.split_once('-').ok_or(NoName)?;
        Ok(Self {
            process: process.parse().map_err(|_| NoName)?,
            session: session.parse().map_err(|_| NoName)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sessions_are_read_as_they_are_written() {
        let name: SessionName = "4242-17".parse().unwrap();
        assert_eq!((name.process, name.to_string()), (4242, "4242-17".to_owned()));
        for wrong in ["", "17", "-17", "4242-", "4242-x", "4242-17-1"] {
            assert!(wrong.parse::<SessionName>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn every_process_has_its_desk_and_one_that_was_killed_leaves_none() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("proxy.sock");
        let stale = directory.path().join("proxy.4194305.sock");
        drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
        let desk = Desk::open(&socket).unwrap();
        assert!(!stale.exists());
        let (sender, mut asked) = mpsc::channel(1);
        let answering = async {
            desk.open_door(&sender).await;
            let (question, to) = asked.recv().await.unwrap();
            assert_eq!(question, Question::End);
            to.send(Answer::Ending).unwrap();
        };
        let (ended, ()) = tokio::join!(end(&socket), answering);
        assert_eq!(ended.unwrap(), 1);
        drop(desk);
        assert_eq!(end(&socket).await.unwrap(), 0);
    }
}
