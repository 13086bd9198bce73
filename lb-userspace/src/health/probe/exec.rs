//! A program.

use std::{
    io::{self, pipe},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, copy, sink},
    net::unix::pipe::Receiver,
    process::{Child, Command},
};

use super::{Failure, Peer, TargetKey};
use crate::{config::proxy::Place, health::Target};

/// What is kept of a program's output, in bytes.
const OUTPUT_MAX: u64 = 256;

/// Runs a check's program.
pub(super) async fn check(
    command: &[String],
    key: &TargetKey,
    target: &Target,
    peer: &Peer,
) -> Result<String, Failure> {
    let (pool, backend) = target.names.clone();
    let mut environment = vec![("LB_SERVICE", pool), ("LB_BACKEND", backend)];
    if let TargetKey::Service { service, .. } = key {
        environment.push(("LB_VIP", service.vip.to_ip().to_string()));
    }
    match peer.place() {
        Place::Tcp(address) => {
            environment.push(("LB_ADDRESS", address.ip().to_string()));
            environment.push(("LB_PORT", address.port().to_string()));
        }
        Place::Unix(path) => environment.push(("LB_ADDRESS", path.display().to_string())),
    }
    run(command, &environment).await
}

/// Runs a program to its end; gives the first line that it wrote. If this is given up, all of its
/// process group is killed.
pub(crate) async fn run(
    command: &[String],
    environment: &[(&str, String)],
) -> Result<String, Failure> {
    let [program, arguments @ ..] = command else { return Err(Failure::Answer) };
    let failed = |cause| Failure::Spawn { program: program.clone(), cause };
    let (mut child, output) = spawn(program, arguments, environment).map_err(failed)?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let (line, status) = tokio::join!(first_line(output), child.wait());
    group.ended();
    let (line, status) = (line.map_err(failed)?, status.map_err(failed)?);
    match (status.success(), line.is_empty()) {
        (true, true) => Ok("ended well".into()),
        (true, false) => Ok(line),
        (false, _) => Err(Failure::Exit { status, line }),
    }
}

fn spawn(
    program: &str,
    arguments: &[String],
    environment: &[(&str, String)],
) -> io::Result<(Child, Receiver)> {
    let (output, input) = pipe()?;
    let mut command = Command::new(program);
    let _ = command
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null())
        .stdout(input.try_clone()?)
        .stderr(input)
        .process_group(0)
        .kill_on_drop(true);
    let child = command.spawn()?;
    Ok((child, Receiver::from_owned_fd(output.into())?))
}

/// The first line of the output, which is read to its end: its writer is not to be stopped.
async fn first_line(mut output: impl AsyncRead + Unpin) -> io::Result<String> {
    let mut beginning = Vec::new();
    let _ = (&mut output).take(OUTPUT_MAX).read_to_end(&mut beginning).await?;
    let _ = copy(&mut output, &mut sink()).await?;
    let text = String::from_utf8_lossy(&beginning);
    let line = text.lines().next().unwrap_or_default();
    Ok(line.replace(char::is_control, " ").trim().to_owned())
}

/// A process group that does not outlive this.
struct Group(Option<Pid>);

impl Group {
    /// Its leader has been waited for: the number may soon be another's.
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0
            && let Err(error) = kill_process_group(leader, Signal::KILL)
        {
            tracing::debug!(%error, "a check's processes have ended already");
        }
    }
}
