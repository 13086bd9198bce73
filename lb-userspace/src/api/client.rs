//! The API's client.

use std::{io, path::PathBuf, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::explain::{Explanation, Question};
use super::plan::{Difference, File, Plan, Saved};
use super::proxy::{Kill, Proxy, Session};
use super::types::{
    Backend, Change, Changed, Error as Body, Failover, RouteOrder, Routers, Service, Stats, Status,
};

use crate::{
    events::{Page, Query},
    speaker::message::Route,
};

/// How long a daemon may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer, or no good one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No socket, or nobody behind it.
    #[error(
        "no daemon answers at {}: start it with `lb run`, or name its socket with --socket",
        .0.display()
    )]
    NoDaemon(PathBuf),
    /// Somebody is there, but says nothing.
    #[error(
        "the daemon at {} does not answer within {PATIENCE:?}: look at its log, or restart it",
        .0.display()
    )]
    Silent(PathBuf),
    /// It ended with the answer outstanding.
    #[error("the daemon at {} ended before it answered: look at its log", .0.display())]
    Ended(PathBuf),
    /// The socket is not for this user.
    #[error(
        "permission denied for {}: only the daemon's user may use it, so run this command with \
         sudo",
        .0.display()
    )]
    PermissionDenied(PathBuf),
    /// The socket is of no use for another reason.
    #[error("cannot connect to {}: {cause}; is this the socket of an `lb` daemon?", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The daemon says no; nothing has changed.
    #[error("{message}")]
    Rejected {
        /// What is wrong and what to do, in the daemon's words.
        message: String,
        /// The status of the answer.
        status: StatusCode,
    },
    /// The answer is not one that this version understands.
    #[error("{} gives a bad answer: {reason}; are daemon and command of the same version?", socket.display())]
    BadAnswer {
        /// The socket.
        socket: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A daemon, as its clients see it. Every request has its own connection.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// The client of the daemon behind a socket; nothing is sent yet.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// The node as a whole.
    pub async fn status(&self) -> Result<Status, Error> {
        self.get("/v1/status").await
    }

    /// The services.
    pub async fn services(&self) -> Result<Vec<Service>, Error> {
        self.get("/v1/services").await
    }

    /// The backends of all services.
    pub async fn backends(&self) -> Result<Vec<Backend>, Error> {
        self.get("/v1/backends").await
    }

    /// All counters at one moment.
    pub async fn stats(&self) -> Result<Stats, Error> {
        self.get("/v1/stats").await
    }

    /// What happened; with `wait`, as soon as something has.
    pub async fn events(&self, query: &Query) -> Result<Page, Error> {
        let query = serde_urlencoded::to_string(query).map_err(|error| self.bad(&error))?;
        self.get(&format!("/v1/events?{query}")).await
    }

    /// Changes the pools.
    pub async fn change(&self, change: &Change) -> Result<Changed, Error> {
        let body = serde_json::to_vec(change).map_err(|error| self.bad(&error))?;
        self.ask(Method::POST, "/v1/changes", body).await
    }

    /// What the node does with a packet.
    pub async fn explain(&self, question: &Question) -> Result<Explanation, Error> {
        let body = serde_json::to_vec(question).map_err(|error| self.bad(&error))?;
        self.ask(Method::POST, "/v1/explain", body).await
    }

    /// What differs at run time from the daemon's file.
    pub async fn diff(&self) -> Result<Vec<Difference>, Error> {
        self.get("/v1/diff").await
    }

    /// What a configuration would change; the daemon's own file if there is none.
    pub async fn plan(&self, file: Option<&File>) -> Result<Plan, Error> {
        self.send_file("/v1/plan", file).await
    }

    /// Puts a configuration in force; the daemon's own file if there is none.
    pub async fn apply(&self, file: Option<&File>) -> Result<Plan, Error> {
        self.send_file("/v1/config", file).await
    }

    /// Writes the run-time changes into the daemon's file.
    pub async fn save(&self) -> Result<Saved, Error> {
        self.ask(Method::POST, "/v1/save", Vec::new()).await
    }

    /// How the virtual routers are.
    pub async fn routers(&self) -> Result<Routers, Error> {
        self.get("/v1/vrrp").await
    }

    /// Hands addresses over to another node.
    pub async fn fail_over(&self, order: &Failover) -> Result<(), Error> {
        let body = serde_json::to_vec(order).map_err(|error| self.bad(&error))?;
        self.ask(Method::POST, "/v1/failover", body).await
    }

    /// How the routes are.
    pub async fn routes(&self) -> Result<Vec<Route>, Error> {
        self.get("/v1/routes").await
    }

    /// Lets routes be announced as far as they are well.
    pub async fn announce(&self, order: &RouteOrder) -> Result<(), Error> {
        let body = serde_json::to_vec(order).map_err(|error| self.bad(&error))?;
        self.ask(Method::POST, "/v1/announce", body).await
    }

    /// Withdraws routes.
    pub async fn withdraw(&self, order: &RouteOrder) -> Result<(), Error> {
        let body = serde_json::to_vec(order).map_err(|error| self.bad(&error))?;
        self.ask(Method::POST, "/v1/withdraw", body).await
    }

    /// The proxies.
    pub async fn proxies(&self) -> Result<Vec<Proxy>, Error> {
        self.get("/v1/proxies").await
    }

    /// The sessions that go on.
    pub async fn sessions(&self) -> Result<Vec<Session>, Error> {
        self.get("/v1/sessions").await
    }

    /// Resets a session.
    pub async fn kill(&self, order: &Kill) -> Result<(), Error> {
        let body = serde_json::to_vec(order).map_err(|error| self.bad(&error))?;
        self.ask(Method::POST, "/v1/sessions/kill", body).await
    }

    /// Drops the run-time changes.
    pub async fn revert(&self) -> Result<Plan, Error> {
        self.ask(Method::POST, "/v1/revert", Vec::new()).await
    }

    async fn send_file(&self, path: &str, file: Option<&File>) -> Result<Plan, Error> {
        let body = file.map(serde_json::to_vec).transpose().map_err(|error| self.bad(&error))?;
        self.ask(Method::POST, path, body.unwrap_or_default()).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.ask(Method::GET, path, Vec::new()).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, Error> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "lb")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.bad(&error))?;
        let exchange = tokio::time::timeout(PATIENCE, self.exchange(request));
        let silent = |_| Error::Silent(self.socket.clone());
        let (status, body) = exchange.await.map_err(silent)??;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| self.bad(&error));
        }
        match serde_json::from_slice(&body) {
            Ok(Body { error: message }) => Err(Error::Rejected { message, status }),
            Err(_) => Err(self.bad(&format_args!("status {status}"))),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Error> {
        let stream = self.connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.bad(&error))?;
        let answer = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
        };
        // The connection moves the bytes; its own errors reach the answer as well.
        let mut connection = std::pin::pin!(connection);
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            result = &mut answer => result,
            _ended = &mut connection => answer.await,
        }
        .map_err(|error| {
            let ended = error.is_incomplete_message() || error.is_closed();
            if ended { Error::Ended(self.socket.clone()) } else { self.bad(&error) }
        })
    }

    async fn connect(&self) -> Result<UnixStream, Error> {
        let socket = self.socket.clone();
        UnixStream::connect(&socket).await.map_err(|cause| {
            let is = |kind| cause.kind() == kind;
            if is(io::ErrorKind::NotFound) || is(io::ErrorKind::ConnectionRefused) {
                Error::NoDaemon(socket)
            } else if is(io::ErrorKind::PermissionDenied) {
                Error::PermissionDenied(socket)
            } else {
                Error::Unreachable { socket, cause }
            }
        })
    }

    fn bad(&self, reason: &dyn std::fmt::Display) -> Error {
        Error::BadAnswer { socket: self.socket.clone(), reason: reason.to_string() }
    }
}
