//! The stream of events.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use tokio::sync::broadcast::error::RecvError;

use super::router::NativeState;
use super::types::Job;
use crate::auth::Caller;

/// Streams what happens to jobs as server-sent events: `event: job` with a job as data whenever one is accepted, goes on or ends.
/// `event: lagged` with a number says that so many were passed over because the client was slow. Ends when the server shuts down.
#[utoipa::path(get, path = "/api/v1/events", tag = "jobs", responses((status = 200, description = "Server-sent events; the data of `job` is a Job", content_type = "text/event-stream", body = Job)))]
pub async fn stream(
    State(state): State<NativeState>,
    caller: Caller,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let receiver = state.engine.subscribe();
    let events = stream::unfold((receiver, caller), |(mut receiver, caller)| async move {
        let event = loop {
            break match receiver.recv().await {
                Ok(happened) if !caller.sees_repository(&happened.job.repository) => continue,
                Ok(happened) => {
                    let job = Job::from(happened.job);
                    Event::default()
                        .event("job")
                        .id(job.id.clone())
                        .json_data(&job)
                        .unwrap_or_default()
                }
                Err(RecvError::Lagged(missed)) => {
                    Event::default().event("lagged").data(missed.to_string())
                }
                Err(RecvError::Closed) => return None,
            };
        };
        Some((Ok(event), (receiver, caller)))
    });
    Sse::new(events.take_until(state.shutdown.cancelled_owned())).keep_alive(KeepAlive::default())
}
