//! `GET /v1/events`.

use axum::{
    extract::{Query as Parameters, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};

use super::routes::{json, refuse};
use crate::events::{Events, Query};

/// The longest time for which a request waits for an event, in seconds.
pub const LONGEST_WAIT: u64 = 60;

pub(super) async fn events(
    State(events): State<Events>,
    query: Result<Parameters<Query>, QueryRejection>,
) -> Response {
    let usage = "use since, service, count, and wait in seconds";
    match query {
        Ok(Parameters(query)) if query.wait.is_some_and(|wait| wait > LONGEST_WAIT) => {
            let text = format!("wait is more than {LONGEST_WAIT} seconds; use less, and ask again");
            refuse(StatusCode::BAD_REQUEST, text)
        }
        Ok(Parameters(query)) => json(StatusCode::OK, &events.wait(&query).await),
        Err(error) => {
            let reason = error.body_text();
            refuse(StatusCode::BAD_REQUEST, format!("{reason}; {usage}"))
        }
    }
}
