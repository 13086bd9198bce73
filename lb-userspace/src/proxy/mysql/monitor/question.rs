//! What servers are asked, and how their answers are read.

use std::{collections::BTreeMap, time::Duration};

use super::{failure::Failure, login::Connection};
use crate::proxy::mysql::{Identity, Replication, Said};

/// A line of an answer: text by the names of columns, NULL as `None`.
pub(super) type Line = BTreeMap<String, Option<String>>;

/// A privilege is missing (`ER_SPECIFIC_ACCESS_DENIED_ERROR`).
const DENIED: u16 = 1227;

/// In which words a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `MySQL` 8.0.22 and later.
    Mysql,
    /// `MySQL` before, where a replica is a slave.
    OldMysql,
    /// `MariaDB` 10.5.9 and later.
    Mariadb,
    /// `MariaDB` before, with another privilege.
    OldMariadb,
}

/// Finds out in which words to ask.
pub(super) async fn dialect(connection: &mut Connection) -> Result<Dialect, Failure> {
    let answer = connection.ask("SELECT @@version AS version").await?;
    Ok(Dialect::of(answer.first().and_then(|it| text(it, "version")).unwrap_or_default()))
}

/// Asks a server what it is.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other failures stay what they are")]
pub(super) async fn ask(connection: &mut Connection, dialect: Dialect) -> Result<Said, Failure> {
    let variables = connection.ask(dialect.variables()).await?;
    let channels =
        connection.ask(dialect.replication()).await.map_err(|failure| match failure {
            Failure::Refused(error) if error.code == DENIED => {
                Failure::Privilege { error, privilege: dialect.privilege() }
            }
            failure => failure,
        })?;
    said(dialect, &variables, &channels)
}

impl Dialect {
    /// By `@@version`, such as `8.4.3` or `10.11.6-MariaDB-0+deb12u1-log`.
    pub(super) fn of(version: &str) -> Self {
        let mut numbers = version.split(|it: char| !it.is_ascii_digit()).map(str::parse);
        let mut number = || numbers.next().and_then(Result::ok).unwrap_or(0);
        let numbers: (u32, u32, u32) = (number(), number(), number());
        match version.to_ascii_lowercase().contains("mariadb") {
            true if numbers >= (10, 5, 9) => Self::Mariadb,
            true => Self::OldMariadb,
            false if numbers >= (8, 0, 22) => Self::Mysql,
            false => Self::OldMysql,
        }
    }

    const fn variables(self) -> &'static str {
        match self {
            Self::Mysql | Self::OldMysql => {
                "SELECT @@global.read_only AS read_only, @@global.super_read_only AS super_read_only, \
                 @@global.server_uuid AS server_uuid"
            }
            Self::Mariadb | Self::OldMariadb => {
                "SELECT @@global.read_only AS read_only, @@global.server_id AS server_id, \
                 @@global.hostname AS hostname, @@global.port AS port"
            }
        }
    }

    /// With all channels of a server.
    const fn replication(self) -> &'static str {
        match self {
            Self::Mysql => "SHOW REPLICA STATUS",
            Self::OldMysql => "SHOW SLAVE STATUS",
            Self::Mariadb | Self::OldMariadb => "SHOW ALL SLAVES STATUS",
        }
    }

    const fn privilege(self) -> &'static str {
        match self {
            Self::Mysql | Self::OldMysql | Self::OldMariadb => "REPLICATION CLIENT",
            Self::Mariadb => "SLAVE MONITOR",
        }
    }
}

pub(super) fn said(
    dialect: Dialect,
    variables: &[Line],
    channels: &[Line],
) -> Result<Said, Failure> {
    let [variables] = variables else { return Err(Failure::Unreadable("variables")) };
    let read_only = flag(variables, "read_only")?;
    let (super_read_only, identity) = match dialect {
        Dialect::Mysql | Dialect::OldMysql => {
            let identity = Identity::of_mysql(required(variables, "server_uuid")?);
            (Some(flag(variables, "super_read_only")?), identity)
        }
        Dialect::Mariadb | Dialect::OldMariadb => {
            let (id, port) = (number(variables, "server_id")?, number(variables, "port")?);
            let port = u16::try_from(port).map_err(|_| Failure::Unreadable("port"))?;
            (None, Identity::of_mariadb(id, required(variables, "hostname")?, port))
        }
    };
    let channels: Vec<_> = channels.iter().map(channel).collect::<Result<_, _>>()?;
    Ok(Said { read_only, super_read_only, identity, replication: worst(&channels) })
}

/// One channel, in the words of any dialect.
fn channel(line: &Line) -> Result<Replication, Failure> {
    let new = line.contains_key("Replica_IO_Running");
    let [receiver, applier, lag] = if new {
        ["Replica_IO_Running", "Replica_SQL_Running", "Seconds_Behind_Source"]
    } else {
        ["Slave_IO_Running", "Slave_SQL_Running", "Seconds_Behind_Master"]
    };
    let receiver = Thread::read(line, receiver, "Last_IO_Errno")?;
    let applier = Thread::read(line, applier, "Last_SQL_Errno")?;
    let seconds = text(line, lag).map(|it| it.parse().map_err(|_| Failure::Unreadable(lag)));
    let seconds = seconds.transpose()?;
    // `MySQL` 9 says 0 also where nothing is received any more.
    let both = receiver == Thread::Runs && applier == Thread::Runs;
    Ok(Replication {
        running: Thread::is_replicating(receiver, applier),
        lag: seconds.filter(|_| both).map(Duration::from_secs),
    })
}

/// A thread of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thread {
    Runs,
    /// It would run, but for its source.
    Waits,
    /// An error stopped it, and nobody has started it again.
    Failed,
    /// Somebody stopped it.
    Stopped,
}

impl Thread {
    fn read(line: &Line, state: &'static str, error: &'static str) -> Result<Self, Failure> {
        Ok(match required(line, state)? {
            "No" if number(line, error)? == 0 => Self::Stopped,
            "No" => Self::Failed,
            "Yes" => Self::Runs,
            // `Connecting`, and MariaDB's `Preparing`.
            _ => Self::Waits,
        })
    }

    /// An error stays on record after somebody has stopped the thread that it did not stop: what tells is that
    /// the other thread is stopped without one. So somebody has to do more (`RESET REPLICA ALL`) only where
    /// errors stopped both.
    fn is_replicating(receiver: Self, applier: Self) -> bool {
        match (receiver, applier) {
            (Self::Runs | Self::Waits, _)
            | (_, Self::Runs | Self::Waits)
            | (Self::Failed, Self::Failed) => true,
            (Self::Stopped, Self::Stopped | Self::Failed) | (Self::Failed, Self::Stopped) => false,
        }
    }
}

/// What all channels are together: it replicates if any does, and is as far behind as the last.
fn worst(channels: &[Replication]) -> Option<Replication> {
    channels.iter().copied().reduce(|one, other| Replication {
        running: one.running || other.running,
        lag: one.lag.zip(other.lag).map(|(one, other)| one.max(other)),
    })
}

fn text<'a>(line: &'a Line, name: &str) -> Option<&'a str> {
    line.get(name)?.as_deref()
}

fn required<'a>(line: &'a Line, name: &'static str) -> Result<&'a str, Failure> {
    text(line, name).ok_or(Failure::Unreadable(name))
}

fn number(line: &Line, name: &'static str) -> Result<u64, Failure> {
    required(line, name)?.parse().map_err(|_| Failure::Unreadable(name))
}

/// `MariaDB` 12 has names for several kinds of read-only.
fn flag(line: &Line, name: &'static str) -> Result<bool, Failure> {
    Ok(!matches!(required(line, name)?.to_ascii_uppercase().as_str(), "0" | "OFF" | "NO"))
}
