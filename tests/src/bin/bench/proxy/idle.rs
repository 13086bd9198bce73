//! Sessions that have said something once, and what memory each takes.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{
    echo::{Echo, MESSAGE, MORE},
    machines::{Machines, entrance},
    scenario::{Figures, Metric},
    subject::Subject,
    usage,
};

/// Sessions before the first look: what a process makes once is there by then.
const FIRST: u32 = 100;
/// Sessions between the two looks.
const SESSIONS: u32 = 9_000;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// One turn.
pub(super) fn measure(machines: &Machines, subject: Subject) -> Result<Figures> {
    let _server = Echo::start(&machines.server)?;
    let _proxy = subject.start(machines)?;
    let open = |count| machines.client.enter(move || sessions(count));
    let first = open(FIRST)?.context("the first sessions")?;
    let before = usage::resident(&machines.proxy)?;
    let sessions = open(SESSIONS)?.context("the sessions")?;
    let bytes = usage::resident(&machines.proxy)? - before;
    // One that has been closed meanwhile takes no memory.
    first.iter().chain(&sessions).try_for_each(ask).context("a session does not live")?;
    Ok(vec![(Metric::BytesPerSession, bytes / f64::from(SESSIONS))])
}

fn sessions(count: u32) -> io::Result<Vec<TcpStream>> {
    (0..count).map(|_| session()).collect()
}

/// A session that was answered.
fn session() -> io::Result<TcpStream> {
    let stream = TcpStream::connect(entrance())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    ask(&stream)?;
    Ok(stream)
}

fn ask(mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(&[MORE; MESSAGE])?;
    stream.read_exact(&mut [0; MESSAGE])
}
