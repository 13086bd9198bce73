//! The API's paths: requests to the control task, and its answers.

use axum::{
    Router,
    body::Bytes,
    extract::{ConnectInfo, DefaultBodyLimit, Request, State, connect_info::Connected},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::IncomingStream,
};
use serde::de::DeserializeOwned;
use tokio::net::UnixListener;

use super::{
    events::events,
    plan::File,
    sessions::{self, Forwarders},
    types::{Change, Error as Body, Failover, RouteOrder},
};
use crate::{
    control::{Handle, Rejection},
    events::Who,
};

const PATHS: &str = "GET /v1/status, /v1/services, /v1/backends, /v1/stats, /v1/events, /v1/diff, \
                     /v1/vrrp, /v1/routes, /v1/proxies, /v1/sessions, POST /v1/changes, /v1/explain, /v1/plan, /v1/config, \
                     /v1/save, /v1/revert, /v1/failover, /v1/announce, /v1/withdraw, \
                     /v1/sessions/kill";
/// The longest configuration, in bytes: some 100,000 backends.
const CONFIG_MAX: usize = 16 << 20;

/// The user behind a connection, as the kernel saw it (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|peer| peer.uid()))
    }
}

impl Peer {
    /// By name: that may take a look at a directory of users.
    pub(super) fn who(self) -> Who {
        self.0.map_or_else(Who::unknown, Who::user)
    }
}

pub(super) fn router(handle: Handle, forwarders: Forwarders) -> Router {
    let all = forwarders.events.clone();
    Router::new()
        .route("/v1/status", get(async |State(it): State<Handle>| answer(it.status().await)))
        .route("/v1/services", get(async |State(it): State<Handle>| answer(it.services().await)))
        .route("/v1/backends", get(async |State(it): State<Handle>| answer(it.backends().await)))
        .route("/v1/stats", get(async |State(it): State<Handle>| answer(it.stats().await)))
        .route("/v1/events", get(events).with_state(all))
        .route("/v1/diff", get(async |State(it): State<Handle>| answer(it.diff().await)))
        .route("/v1/changes", post(change))
        .route("/v1/explain", post(explain))
        .route("/v1/plan", post(plan))
        .route("/v1/config", post(apply))
        .route("/v1/save", post(save))
        .route("/v1/revert", post(revert))
        .route("/v1/vrrp", get(async |State(it): State<Handle>| answer(it.routers().await)))
        .route("/v1/failover", post(fail_over))
        .route("/v1/routes", get(async |State(it): State<Handle>| answer(it.routes().await)))
        .route("/v1/announce", post(async |state, peer, body| order(state, peer, true, body).await))
        .route(
            "/v1/withdraw",
            post(async |state, peer, body| order(state, peer, false, body).await),
        )
        .route("/v1/proxies", get(async |State(it): State<Handle>| answer(it.proxies().await)))
        .route("/v1/sessions", get(sessions::list).with_state(forwarders.clone()))
        .route("/v1/sessions/kill", post(sessions::kill).with_state(forwarders))
        .layer(DefaultBodyLimit::max(CONFIG_MAX))
        .fallback(async |request: Request| {
            let text = format!("there is no {}; use {PATHS}", request.uri().path());
            refuse(StatusCode::NOT_FOUND, text)
        })
        .method_not_allowed_fallback(async |request: Request| {
            let (method, path) = (request.method(), request.uri().path());
            refuse(StatusCode::METHOD_NOT_ALLOWED, format!("{path} has no {method}; use {PATHS}"))
        })
        .with_state(handle)
}

/// The body counts, whatever type its header claims: `curl --data` claims a form.
async fn change(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Response {
    match parse(&body) {
        Ok(change) => answer(handle.change(change, peer.who()).await),
        Err(text) => refuse(StatusCode::BAD_REQUEST, text),
    }
}

async fn explain(State(handle): State<Handle>, body: Bytes) -> Response {
    match serde_json::from_slice(&body) {
        Ok(question) => answer(handle.explain(question).await),
        Err(error) => {
            refuse(StatusCode::BAD_REQUEST, format!("{error}; send an object such as {QUESTION}"))
        }
    }
}

async fn plan(State(handle): State<Handle>, body: Bytes) -> Response {
    match file(&body) {
        Ok(file) => answer(handle.plan(file).await),
        Err(text) => refuse(StatusCode::BAD_REQUEST, text),
    }
}

async fn apply(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Response {
    match file(&body) {
        Ok(file) => answer(handle.apply(file, peer.who()).await),
        Err(text) => refuse(StatusCode::BAD_REQUEST, text),
    }
}

async fn save(State(handle): State<Handle>, ConnectInfo(peer): ConnectInfo<Peer>) -> Response {
    answer(handle.save(peer.who()).await)
}

async fn revert(State(handle): State<Handle>, ConnectInfo(peer): ConnectInfo<Peer>) -> Response {
    answer(handle.revert(peer.who()).await)
}

async fn fail_over(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Response {
    match one_or_all(&body, r#"{"router": "web"}"#) {
        Ok(Failover { router }) => answer(handle.fail_over(router, peer.who()).await),
        Err(text) => refuse(StatusCode::BAD_REQUEST, text),
    }
}

/// Announces routes, or withdraws them.
async fn order(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    wanted: bool,
    body: Bytes,
) -> Response {
    match one_or_all(&body, r#"{"route": "web"}"#) {
        Ok(RouteOrder { route }) => answer(handle.announce(route, wanted, peer.who()).await),
        Err(text) => refuse(StatusCode::BAD_REQUEST, text),
    }
}

/// An order; without a body, all are meant.
fn one_or_all<T: Default + DeserializeOwned>(body: &[u8], example: &str) -> Result<T, String> {
    if body.is_empty() {
        return Ok(T::default());
    }
    let order = serde_json::from_slice(body);
    order.map_err(|error| format!("{error}; send nothing for all, or an object such as {example}"))
}

/// Without a body the daemon's own file is meant.
fn file(body: &[u8]) -> Result<Option<File>, String> {
    const EXAMPLE: &str = r#"{"name": "lb.toml", "text": "[node]\n…"}"#;
    if body.is_empty() {
        return Ok(None);
    }
    let file = serde_json::from_slice(body);
    file.map(Some).map_err(|error| {
        format!("{error}; send nothing for the daemon's own file, or an object such as {EXAMPLE}")
    })
}

const QUESTION: &str =
    r#"{"protocol": "tcp", "source": "198.51.100.7:40000", "destination": "203.0.113.10:443"}"#;

pub(super) fn answer<T: serde::Serialize>(result: Result<T, Rejection>) -> Response {
    match result {
        Ok(value) => json(StatusCode::OK, &value),
        Err(Rejection::NotFound(text)) => refuse(StatusCode::NOT_FOUND, text),
        Err(Rejection::Invalid(text)) => refuse(StatusCode::UNPROCESSABLE_ENTITY, text),
        Err(Rejection::Failed(text)) => refuse(StatusCode::INTERNAL_SERVER_ERROR, text),
    }
}

pub(super) fn refuse(status: StatusCode, error: String) -> Response {
    json(status, &Body { error })
}

/// A body that ends with a newline: people read it in terminals.
pub(super) fn json<T: serde::Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => (status, [(CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn parse(body: &[u8]) -> Result<Change, String> {
    let value: serde_json::Value = serde_json::from_slice(body).map_err(|error| {
        format!("the body is not JSON: {error}; send an object such as {EXAMPLE}")
    })?;
    serde_json::from_value(value.clone()).map_err(|error| {
        let reason = wrong_field(&value).unwrap_or_else(|| error.to_string());
        format!("the body is not a change: {reason}; send an object such as {EXAMPLE}")
    })
}

const EXAMPLE: &str = r#"{"change": "drain", "backend": "web2"}"#;

/// The first field whose value is of the wrong form: serde does not name it for a tagged enum.
fn wrong_field(change: &serde_json::Value) -> Option<String> {
    fn error<T: DeserializeOwned>(value: &serde_json::Value) -> Option<serde_json::Error> {
        T::deserialize(value).err()
    }
    change.as_object()?.iter().find_map(|(field, value)| {
        let error = match field.as_str() {
            "change" | "backend" => error::<String>(value),
            "service" | "name" => error::<Option<String>>(value),
            "deadline_seconds" => error::<Option<u64>>(value),
            "address" => error::<std::net::IpAddr>(value),
            "port" | "weight" => error::<Option<u16>>(value),
            _ => None,
        };
        error.map(|error| format!("field `{field}`: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_change_is_said_by_field() {
        for (body, reason) in [
            ("{", "the body is not JSON: EOF while parsing an object at line 1 column 1"),
            ("[]", "the body is not a change: "),
            (r#"{"backend": "web1"}"#, "the body is not a change: missing field `change`"),
            (r#"{"change": "drop"}"#, "the body is not a change: unknown variant `drop`"),
            (r#"{"change": "drain"}"#, "the body is not a change: missing field `backend`"),
            (
                r#"{"change": "drain", "backend": "web1", "servce": "web"}"#,
                "the body is not a change: unknown field `servce`",
            ),
            (
                r#"{"change": "weight", "backend": "web1", "weight": -1}"#,
                "the body is not a change: field `weight`: invalid value: integer `-1`",
            ),
            (
                r#"{"change": "add", "service": "web", "address": "10.0.0"}"#,
                "the body is not a change: field `address`: invalid IP address syntax",
            ),
        ] {
            let error = parse(body.as_bytes()).unwrap_err();
            assert!(error.starts_with(reason), "{body}: {error}");
        }
        let change =
            Change::Drain { backend: "web2".into(), service: None, deadline_seconds: None };
        assert_eq!(parse(EXAMPLE.as_bytes()), Ok(change));
    }
}
