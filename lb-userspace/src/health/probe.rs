//! One check of one backend over the network.

pub(crate) mod exec;
mod http;
mod icmp;
mod knock;
mod mysql;
mod peer;
mod tls;
mod udp;

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::StatusCode;

pub(super) use self::peer::Host;
use self::peer::Peer;
use super::{Target, TargetKey, sm::Outcome};
use crate::{
    config::{Check, CheckKind},
    topology,
};

/// Something that checks backends: the network, or a script in tests.
pub trait Prober: Clone + Send + 'static {
    /// Checks a backend once; finishes within the check's timeout. `None` says nothing about the
    /// backend: this node itself could not ask.
    fn probe(
        self,
        key: TargetKey,
        target: Arc<Target>,
    ) -> impl std::future::Future<Output = Option<Outcome>> + Send + 'static;
}

/// Checks over the network.
#[derive(Clone, Default)]
pub struct Network {
    pings: Arc<icmp::Pings>,
    knocks: Arc<knock::Knocks>,
}

impl Prober for Network {
    async fn probe(self, key: TargetKey, target: Arc<Target>) -> Option<Outcome> {
        let Check { timeout, .. } = *target.check;
        let started = Instant::now();
        let result = match tokio::time::timeout(timeout, self.attempt(&key, &target)).await {
            Ok(result) => result,
            Err(_) => when_silent(&target.check),
        };
        match result {
            Ok(what) => {
                let ms = started.elapsed().as_micros().div_ceil(1000);
                Some(Outcome { ok: true, reason: format!("{what} in {ms}ms") })
            }
            Err(_) if target.alias.is_some() && !topology::probe::is_there() => None,
            Err(failure) => Some(Outcome { ok: false, reason: failure.to_string() }),
        }
    }
}

impl Network {
    /// Checks a backend once, for as long as that takes; gives what happened.
    async fn attempt(&self, key: &TargetKey, target: &Target) -> Result<String, Failure> {
        let peer = Peer::of(key, target);
        // Boxed, so that the many plain checks do not carry the room that the others need.
        match &target.check.kind {
            CheckKind::Tcp => match peer.host() {
                Ok(host) => self.knocks.knock(host).await.map(|()| "connected".into()),
                Err(_) => Box::pin(peer.connect()).await.map(|_stream| "connected".into()),
            },
            CheckKind::Http(check) => Box::pin(http::check(check, key, &peer)).await,
            CheckKind::Tls(check) => Box::pin(tls::check(check, &peer)).await,
            CheckKind::Udp(check) => Box::pin(udp::check(check, peer.host()?)).await,
            CheckKind::Icmp => Box::pin(self.pings.check(peer.host()?)).await,
            CheckKind::Mysql(check) => Box::pin(mysql::check(check, peer.host()?)).await,
            CheckKind::Exec { command } => Box::pin(exec::check(command, key, target, &peer)).await,
        }
    }
}

/// What a check says that has had no answer in time.
fn when_silent(check: &Check) -> Result<String, Failure> {
    match &check.kind {
        CheckKind::Udp(udp) if udp.expect.is_none() => Ok("not refused".into()),
        CheckKind::Udp(_)
        | CheckKind::Tcp
        | CheckKind::Http(_)
        | CheckKind::Tls(_)
        | CheckKind::Icmp
        | CheckKind::Mysql(_)
        | CheckKind::Exec { .. } => Err(Failure::Timeout(check.timeout)),
    }
}

/// Whether `needle` is in `bytes`.
fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || bytes.windows(needle.len()).any(|window| window == needle)
}

async fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |cause| Failure::File { path: path.into(), cause };
    tokio::fs::read(path).await.map_err(failed)
}

/// Why a check failed, for people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{}", describe(.0))]
    Connect(io::Error),
    #[error("a Unix socket cannot be tried so")]
    NoAddress,
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("{}: {cause}", path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("{}: no certificate in PEM form", .0.display())]
    NoCertificate(PathBuf),
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error("no valid HTTP answer: {0}")]
    Http(hyper::Error),
    #[error("the check's path is not valid: {0}")]
    Path(hyper::http::Error),
    #[error("status {}", .0.as_u16())]
    Status(StatusCode),
    #[error("status {}, but the body is not the expected one", .0.as_u16())]
    Body(StatusCode),
    #[error("the answer is not the expected one")]
    Answer,
    #[error("no socket for echo requests (it takes CAP_NET_RAW): {0}")]
    PingSocket(io::Error),
    #[error("no echo: {0}")]
    Ping(surge_ping::SurgeError),
    #[error("no echo: {from} answers with ICMP type {kind}")]
    IcmpError { kind: u8, from: IpAddr },
    #[error("{0}")]
    Mysql(mysql_async::Error),
    #[error("cannot run {program}: {cause}")]
    Spawn { program: String, cause: io::Error },
    #[error("{}", if line.is_empty() { status.to_string() } else { line.clone() })]
    Exit { status: ExitStatus, line: String },
}

fn describe(error: &io::Error) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others have no better words")]
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::ConnectionReset => "connection reset".into(),
        io::ErrorKind::HostUnreachable => "host unreachable".into(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
