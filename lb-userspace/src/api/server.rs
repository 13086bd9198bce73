//! The API's server: HTTP/1.1 over a Unix socket that only its owner can connect to.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{ConnectInfo, Request, State, connect_info::Connected},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::IncomingStream,
};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde::de::DeserializeOwned;
use tokio::{net::UnixListener, sync::oneshot};

use super::{
    events::events,
    types::{Change, Error as Body},
};
use crate::{
    control::{Handle, Rejection},
    events::{Events, Who},
};

const PATHS: &str = "GET /v1/status, /v1/services, /v1/backends, /v1/stats, /v1/events, POST /v1/changes, /v1/explain";
/// How long open requests may delay the end.
const GRACE: Duration = Duration::from_secs(2);
const BACKLOG: i32 = 128;

/// Why there is no socket to listen on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon is there.
    #[error(
        "a daemon answers at {} already: stop it, or give this one its own `runtime_dir`",
        .0.display()
    )]
    InUse(PathBuf),
    /// Something else has that name.
    #[error("{} exists and is not a socket: remove it, or choose another `runtime_dir`", .0.display())]
    NotASocket(PathBuf),
    /// The system refuses.
    #[error(
        "cannot {action} {}: {cause}; check the permissions of `runtime_dir`", path.display()
    )]
    System {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
}

/// A socket at `path`, with mode 0600 before anybody can connect to it.
///
/// Makes the directory if it is missing, and replaces a socket that nobody listens on.
///
/// # Panics
/// Outside a tokio runtime.
pub fn bind(path: &Path) -> Result<UnixListener, BindError> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |cause: io::Error| BindError::System { action, path, cause }
    };
    if let Some(directory) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(directory);
        made.map_err(failed("make the directory", directory))?;
    }
    remove_stale(path)?;
    listen(path).map_err(failed("listen on", path))
}

fn remove_stale(path: &Path) -> Result<(), BindError> {
    let failed = |action, cause| BindError::System { action, path: path.to_owned(), cause };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Ok(_connection) => Err(BindError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|cause| failed("remove the stale socket", cause))
        }
        Err(error) => Err(failed("connect to", error)),
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    // Connections are refused until the socket listens, so the mode comes in time.
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    rustix::net::listen(&socket, BACKLOG)?;
    UnixListener::from_std(socket.into())
}

/// Answers requests until `shutdown` is ready, then finishes the open ones.
pub async fn serve(
    listener: UnixListener,
    handle: Handle,
    events: Events,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        shutdown.await;
        drop(stopping);
    };
    let router = router(handle, events).into_make_service_with_connect_info::<Peer>();
    let server = axum::serve(listener, router).with_graceful_shutdown(shutdown);
    tokio::select! {
        result = server => result,
        () = async {
            let _closed = stopped.await;
            tokio::time::sleep(GRACE).await;
        } => Ok(()),
    }
}

/// The user behind a connection, as the kernel saw it (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug)]
struct Peer(Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|peer| peer.uid()))
    }
}

impl Peer {
    /// By name: that may take a look at a directory of users.
    fn who(self) -> Who {
        self.0.map_or_else(Who::unknown, Who::user)
    }
}

fn router(handle: Handle, all: Events) -> Router {
    Router::new()
        .route("/v1/status", get(async |State(it): State<Handle>| answer(it.status().await)))
        .route("/v1/services", get(async |State(it): State<Handle>| answer(it.services().await)))
        .route("/v1/backends", get(async |State(it): State<Handle>| answer(it.backends().await)))
        .route("/v1/stats", get(async |State(it): State<Handle>| answer(it.stats().await)))
        .route("/v1/events", get(events).with_state(all))
        .route("/v1/changes", post(change))
        .route("/v1/explain", post(explain))
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

const QUESTION: &str =
    r#"{"protocol": "tcp", "source": "198.51.100.7:40000", "destination": "203.0.113.10:443"}"#;

fn answer<T: serde::Serialize>(result: Result<T, Rejection>) -> Response {
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
        let change = Change::Drain { backend: "web2".into(), service: None };
        assert_eq!(parse(EXAMPLE.as_bytes()), Ok(change));
    }

    #[tokio::test]
    async fn only_a_socket_that_nobody_listens_on_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made/lb.sock");
        let listener = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(bind(&path), Err(BindError::InUse(_))));
        drop(listener);
        drop(bind(&path).unwrap());

        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path), Err(BindError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_ends_its_request_does_not_delay_the_end_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lb.sock");
        let listener = bind(&path).unwrap();
        let mut client = UnixStream::connect(&path).unwrap();
        io::Write::write_all(&mut client, b"GET /v1/sta").unwrap();
        let (handle, _requests) = Handle::new();
        let events = Events::default();
        serve(listener, handle, events, tokio::time::sleep(Duration::from_millis(100)))
            .await
            .unwrap();
    }
}
