//! HTTP/1.1, over TCP or TLS.

use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
};

use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Request,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{CONNECTION, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use lb_common::service::ServiceKey;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Failure, Peer, TargetKey, tls};
use crate::config::{Http, Pattern, proxy::Place};

/// What is looked at of a body, in bytes.
const BODY_MAX: usize = 64 * 1024;

/// Asks, and looks at the answer.
pub(super) async fn check(check: &Http, key: &TargetKey, peer: &Peer) -> Result<String, Failure> {
    let stream = peer.connect().await?;
    match &check.tls {
        None => request(stream, check, key, peer).await,
        Some(tls) => {
            let stream = tls::handshake(stream, tls, peer, &[b"http/1.1"]).await?;
            request(stream, check, key, peer).await
        }
    }
}

async fn request(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    check: &Http,
    key: &TargetKey,
    peer: &Peer,
) -> Result<String, Failure> {
    let request = build(check, key, peer)?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(Failure::Http)?;
    let mut connection = pin!(connection);
    let mut exchange = pin!(exchange(sender, request, check));
    // The connection is driven from here: whoever drops this future closes it.
    tokio::select! {
        result = &mut exchange => result,
        _ = &mut connection => exchange.await,
    }
}

fn build(check: &Http, key: &TargetKey, peer: &Peer) -> Result<Request<Empty<Bytes>>, Failure> {
    let Http { method, path, host, headers, statuses: _, body: _, tls } = check;
    let mut request = Request::builder().method(method).uri(path);
    request = match host {
        Some(host) => request.header(HOST, host),
        None => request.header(HOST, authority(key, peer, if tls.is_some() { 443 } else { 80 })),
    };
    if !headers.iter().any(|(name, _)| name == USER_AGENT) {
        let agent = HeaderValue::from_static(concat!("lb/", env!("CARGO_PKG_VERSION")));
        request = request.header(USER_AGENT, agent);
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.header(CONNECTION, "close").body(Empty::new()).map_err(Failure::Path)
}

async fn exchange(
    mut sender: SendRequest<Empty<Bytes>>,
    request: Request<Empty<Bytes>>,
    Http { statuses, body, .. }: &Http,
) -> Result<String, Failure> {
    let answer = sender.send_request(request).await.map_err(Failure::Http)?;
    let status = answer.status();
    if !statuses.iter().any(|good| good.contains(&status.as_u16())) {
        return Err(Failure::Status(status));
    }
    if let Some(pattern) = body {
        let bytes = beginning(answer.into_body()).await?;
        if !is_in(pattern, &bytes) {
            return Err(Failure::Body(status));
        }
    }
    Ok(format!("status {}", status.as_u16()))
}

/// The body, or as much of it as is looked at.
async fn beginning(mut body: Incoming) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while bytes.len() < BODY_MAX
        && let Some(frame) = body.frame().await
    {
        if let Ok(data) = frame.map_err(Failure::Http)?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    bytes.truncate(BODY_MAX);
    Ok(bytes)
}

fn is_in(pattern: &Pattern, bytes: &[u8]) -> bool {
    match pattern {
        Pattern::Text(text) => super::contains(bytes, text.as_bytes()),
        Pattern::Regex(regex) => regex.is_match(bytes),
    }
}

/// What is asked, as a client names it (RFC 9110 §7.2): a service by its VIP, and where it has every port
/// by the checked one; a proxy's backend by its own address.
fn authority(key: &TargetKey, peer: &Peer, usual: u16) -> String {
    let Place::Tcp(asked) = peer.place() else { return "localhost".into() };
    let name = match key {
        TargetKey::Service { service: ServiceKey { vip, ports, .. }, .. } => {
            let port = if ports.is_any() { asked.port() } else { ports.first.get() };
            SocketAddr::new(vip.to_ip(), port)
        }
        TargetKey::Proxy { .. } => asked,
    };
    match name.ip() {
        IpAddr::V4(v4) if name.port() == usual => v4.to_string(),
        IpAddr::V6(v6) if name.port() == usual => format!("[{v6}]"),
        IpAddr::V4(_) | IpAddr::V6(_) => name.to_string(),
    }
}
