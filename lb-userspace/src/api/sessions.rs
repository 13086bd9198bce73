//! `GET /v1/sessions` and `POST /v1/sessions/kill`: the forwarders are asked without the control task, which
//! has nothing to do with sessions.

use std::path::PathBuf;

use axum::{
    body::Bytes,
    extract::{ConnectInfo, State},
    http::StatusCode,
    response::Response,
};

use super::{
    proxy::{Kill, Session},
    routes::{Peer, answer, refuse},
};
use crate::{
    control::Rejection,
    events::{Event, Events, Kind},
    forwarder::desk::{self, SessionName},
    proxy::SessionView,
};

/// Where forwarders are asked, and where it is noted what was done there.
#[derive(Clone, Debug)]
pub struct Forwarders {
    /// The forwarder's socket: see [`crate::config::Node::forwarder_socket`].
    pub socket: PathBuf,
    /// The node's events.
    pub events: Events,
}

pub(super) async fn list(State(Forwarders { socket, .. }): State<Forwarders>) -> Response {
    let sessions = desk::sessions(&socket).await.map_err(failed);
    answer(sessions.map(|them| them.into_iter().map(session).collect::<Vec<_>>()))
}

pub(super) async fn kill(
    State(forwarders): State<Forwarders>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Response {
    match serde_json::from_slice::<Kill>(&body) {
        Ok(Kill { session }) => answer(forwarders.kill(&session, peer).await),
        Err(error) => {
            let text = format!("{error}; send an object such as {{\"session\": \"4242-17\"}}");
            refuse(StatusCode::BAD_REQUEST, text)
        }
    }
}

impl Forwarders {
    async fn kill(&self, session: &str, peer: Peer) -> Result<(), Rejection> {
        let name: SessionName = session
            .parse()
            .map_err(|error| Rejection::Invalid(format!("`{session}` is none: {error}")))?;
        if !desk::kill(&self.socket, name).await.map_err(failed)? {
            let text = format!("there is no session {name} (any more): see `lb sessions`");
            return Err(Rejection::NotFound(text));
        }
        let event = Event::new(Kind::Killed, format!("session {name} was reset"));
        self.events.note(event.by(&peer.who()));
        Ok(())
    }
}

fn session((name, view): (SessionName, SessionView)) -> Session {
    let SessionView { id: _, proxy, client, backend, age, bytes_in, bytes_out, stage } = view;
    Session {
        id: name.to_string(),
        proxy,
        client,
        backend,
        age_ms: age.as_millis().try_into().unwrap_or(u64::MAX),
        bytes_in,
        bytes_out,
        stage,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: desk::Error) -> Rejection {
    Rejection::Failed(error.to_string())
}
