//! Who asks at desks.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};

use super::{Answer, PATIENCE, Question, SessionName};
use crate::{
    companion::if_there,
    proxy::{Order, SessionView},
};

/// Why sessions cannot be asked for.
#[derive(Debug, thiserror::Error)]
#[error("cannot ask the forwarder at {}: {cause}", desk.display())]
pub struct Error {
    desk: PathBuf,
    cause: io::Error,
}

/// The sessions of all forwarders whose socket is this one, or was.
pub async fn sessions(socket: &Path) -> Result<Vec<(SessionName, SessionView)>, Error> {
    let mut all = Vec::new();
    for (process, answer) in ask_all(socket, &Question::Sessions).await? {
        let Answer::Sessions(sessions) = answer else { continue };
        let named = |it: SessionView| (SessionName { process, session: it.id }, it);
        all.extend(sessions.into_iter().map(named));
    }
    Ok(all)
}

/// Resets a session; gives whether there was one.
pub async fn kill(
    socket: &Path,
    SessionName { process, session }: SessionName,
) -> Result<bool, Error> {
    let desks = desks(socket).map_err(failed(socket))?;
    let Some((_, desk)) = desks.into_iter().find(|it| it.0 == process) else { return Ok(false) };
    let answer = ask(&desk, &Question::Kill(session)).await?;
    Ok(matches!(answer, Some(Answer::Killed(true))))
}

/// Ends all forwarders, and their sessions; gives how many there were.
pub async fn end(socket: &Path) -> Result<usize, Error> {
    Ok(ask_all(socket, &Question::End).await?.len())
}

/// Lets the processes that this one follows heed what it was ordered: their sessions go on.
pub async fn pass_on(socket: &Path, orders: Vec<Order>) -> Result<(), Error> {
    let question = Question::Heed(orders);
    for (process, desk) in desks(socket).map_err(failed(socket))? {
        if process != std::process::id() {
            let _none = ask(&desk, &question).await?;
        }
    }
    Ok(())
}

async fn ask_all(socket: &Path, question: &Question) -> Result<Vec<(u32, Answer)>, Error> {
    let mut answers = Vec::new();
    for (process, desk) in desks(socket).map_err(failed(socket))? {
        answers.extend(ask(&desk, question).await?.map(|answer| (process, answer)));
    }
    Ok(answers)
}

/// Asks at a desk; nobody is there any more if there is no answer.
async fn ask(desk: &Path, question: &Question) -> Result<Option<Answer>, Error> {
    let asked = async {
        let Some(mut stream) = if_there(UnixStream::connect(desk).await)? else { return Ok(None) };
        let mut text = serde_json::to_vec(question)?;
        text.push(b'\n');
        stream.write_all(&text).await?;
        let mut answer = Vec::new();
        let length = stream.read_to_end(&mut answer).await?;
        if length == 0 {
            // It may have ended before it could say so.
            return Ok((*question == Question::End).then_some(Answer::Ending));
        }
        Ok(Some(serde_json::from_slice(&answer)?))
    };
    let answer = timeout(PATIENCE, asked).await.unwrap_or_else(|elapsed| Err(elapsed.into()));
    answer.map_err(failed(desk))
}

/// The desks beside a forwarder's socket, with their processes.
pub(super) fn desks(socket: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let (Some(directory), Some(stem)) = (socket.parent(), socket.file_stem()) else {
        return Ok(Vec::new());
    };
    let stem = format!("{}.", stem.display());
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut desks = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let process = name.to_str().and_then(|it| it.strip_prefix(&stem)?.strip_suffix(".sock"));
        desks.extend(process.and_then(|it| it.parse().ok()).map(|it: u32| (it, entry.path())));
    }
    desks.sort();
    Ok(desks)
}

fn failed(desk: &Path) -> impl Fn(io::Error) -> Error {
    move |cause| Error { desk: desk.to_owned(), cause }
}
