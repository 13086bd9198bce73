//! One check of one backend over the network.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    time::{Duration, Instant},
};

use http_body_util::Empty;
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{CONNECTION, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use lb_common::service::ServiceKey;
use rustix::net::sockopt::set_socket_linger;
use tokio::net::TcpStream;

use super::{TargetKey, sm::Outcome};
use crate::config::{Check, CheckKind};

/// Something that checks backends: the network, or a script in tests.
pub trait Prober: Clone + Send + 'static {
    /// Checks a backend once; finishes within the check's timeout.
    fn probe(
        self,
        key: TargetKey,
        check: Check,
    ) -> impl std::future::Future<Output = Outcome> + Send + 'static;
}

/// Checks over the network.
#[derive(Clone, Copy, Debug)]
pub struct Network;

impl Prober for Network {
    async fn probe(self, key: TargetKey, check: Check) -> Outcome {
        probe(key, &check).await
    }
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{}", describe(.0))]
    Connect(io::Error),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("no valid HTTP answer: {0}")]
    Http(hyper::Error),
    #[error("the check's path is not valid: {0}")]
    Path(hyper::http::Error),
    #[error("status {}", .0.as_u16())]
    Status(StatusCode),
}

/// Checks a backend once.
pub async fn probe(key: TargetKey, check: &Check) -> Outcome {
    let mut address = key.backend;
    if let Some(port) = check.port {
        address.set_port(port);
    }
    let started = Instant::now();
    let attempt = async {
        let stream = connect(address).await?;
        match &check.kind {
            CheckKind::Tcp => Ok("connected".into()),
            CheckKind::Http { path } => http(stream, host(key, address.port()), path).await,
        }
    };
    let result = tokio::time::timeout(check.timeout, attempt)
        .await
        .unwrap_or(Err(Failure::Timeout(check.timeout)));
    match result {
        Ok(what) => {
            let ms = started.elapsed().as_micros().div_ceil(1000);
            Outcome { ok: true, reason: format!("{what} in {ms}ms") }
        }
        Err(failure) => Outcome { ok: false, reason: failure.to_string() },
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect(address).await.map_err(Failure::Connect)?;
    // Closing by a reset leaves no TIME_WAIT behind: checks would fill the table of ports.
    set_socket_linger(&stream, Some(Duration::ZERO)).map_err(|e| Failure::Connect(e.into()))?;
    Ok(stream)
}

async fn http(stream: TcpStream, host: String, path: &str) -> Result<String, Failure> {
    let request = Request::get(path)
        .header(HOST, host)
        .header(USER_AGENT, concat!("lb/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(Failure::Path)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(Failure::Http)?;
    let mut connection = pin!(connection);
    let mut answer = pin!(sender.send_request(request));
    // The connection is driven from here: whoever drops this future closes it.
    let answer = tokio::select! {
        answer = &mut answer => answer,
        _ = &mut connection => answer.await,
    };
    let status = answer.map_err(Failure::Http)?.status();
    match status.as_u16() {
        200..=399 => Ok(format!("status {}", status.as_u16())),
        _ => Err(Failure::Status(status)),
    }
}

/// The service as a client names it (RFC 9110 §7.2): where it has every port, by the checked one.
fn host(key: TargetKey, checked: u16) -> String {
    let ServiceKey { vip, ports, .. } = key.service;
    let (vip, port) = (vip.to_ip(), if ports.is_any() { checked } else { ports.first.get() });
    match (vip, port) {
        (IpAddr::V4(v4), 80) => v4.to_string(),
        (IpAddr::V6(v6), 80) => format!("[{v6}]"),
        _ => SocketAddr::new(vip, port).to_string(),
    }
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
