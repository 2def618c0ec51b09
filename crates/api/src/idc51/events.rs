//! `GET …/notifier/stream`: server-sent events. `message` has a job each time its status changes, `hb` is a sign of life.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use http::header;
use snapkeep_engine::{Engine, JobEvent, JobInfo};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::call::{Answer, Call, Idc51Result};
use super::jobs::{Stage, action, sees, show};
use crate::auth::{Caller, Need};

/// Between signs of life. Shorter than what proxies take for silence.
const HEARTBEAT: Duration = Duration::from_secs(15);
const HEARTBEAT_EVENT: &str = "event:hb\ndata:hb\n\n";

/// Streams events until the client leaves or the server shuts down. The first sign of life comes at once, so that a client knows from
/// when on it misses nothing.
pub fn stream(call: Call) -> Idc51Result {
    call.check_zone()?;
    call.authorise(Need::read("DescribeJobs"))?;
    let shutdown = call.state.shutdown.clone();
    let events = events(call).take_until(shutdown.cancelled_owned());
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    let response: Response = (headers, Body::from_stream(events)).into_response();
    Ok(Answer::Other(response))
}

/// What a stream remembers.
struct Listener {
    receiver: Receiver<JobEvent>,
    heartbeat: Interval,
    told: Told,
    engine: Engine,
    caller: Caller,
    zone: String,
}

fn events(call: Call) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listener = Listener {
        receiver: call.state.engine.subscribe(),
        heartbeat,
        told: Told::default(),
        engine: call.state.engine.clone(),
        zone: call.zone().to_owned(),
        caller: call.caller,
    };
    stream::unfold(listener, |mut listener| async move {
        let text = listener.next().await?;
        Some((Ok(Bytes::from(text)), listener))
    })
}

impl Listener {
    /// The next events as text; none when there will be no more.
    async fn next(&mut self) -> Option<String> {
        loop {
            let received = tokio::select! {
                received = self.receiver.recv() => received,
                _ = self.heartbeat.tick() => return Some(HEARTBEAT_EVENT.to_owned()),
            };
            let text = match received {
                Ok(event) => self.tell(event.job).await,
                Err(RecvError::Lagged(_)) => self.catch_up().await,
                Err(RecvError::Closed) => return None,
            };
            if !text.is_empty() {
                return Some(text);
            }
        }
    }

    /// What is new of a job.
    async fn tell(&mut self, job: JobInfo) -> String {
        if action(job.kind).is_none() || !sees(&self.engine, &self.caller, &job).await {
            return String::new();
        }
        let mut text = String::new();
        for stage in self.told.new_stages(&job.id, Stage::of(&job)) {
            if let Some(shown) = show(&job, stage, &self.zone) {
                text.push_str(&format!("event:message\ndata:{shown}\n\n"));
            }
        }
        text
    }

    /// After events were lost: asks how the jobs stand of which the end was not told.
    async fn catch_up(&mut self) -> String {
        let jobs = self.engine.jobs().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "a stream of events has a gap");
            Vec::new()
        });
        let mut text = String::new();
        for job in jobs {
            if !job.state.is_finished() || self.told.is_open(&job.id) {
                text.push_str(&self.tell(job).await);
            }
        }
        text
    }
}

/// Which stages were told of jobs that have not ended: the engine tells progress too, which is no news here. Bounded by the jobs that run
/// at one time.
#[derive(Debug, Default)]
struct Told(HashMap<String, Stage>);

impl Told {
    fn is_open(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// The stages to be told now that a job has reached one: each job begins with `pending`.
    fn new_stages(&mut self, id: &str, reached: Stage) -> Vec<Stage> {
        let is_over = matches!(reached, Stage::Successful | Stage::Failed);
        let before = match is_over {
            true => self.0.remove(id),
            false => self.0.insert(id.to_owned(), reached),
        };
        match before {
            Some(before) if before == reached => Vec::new(),
            Some(_) => vec![reached],
            None if reached == Stage::Pending => vec![reached],
            None => vec![Stage::Pending, reached],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_is_told_once() {
        let mut told = Told::default();
        assert_eq!(
            told.new_stages("a", Stage::Working),
            [Stage::Pending, Stage::Working]
        );
        assert_eq!(told.new_stages("a", Stage::Working), []);
        assert!(told.is_open("a"));
        assert_eq!(told.new_stages("a", Stage::Successful), [Stage::Successful]);
        assert!(!told.is_open("a"));
        assert_eq!(told.new_stages("b", Stage::Pending), [Stage::Pending]);
        assert_eq!(told.new_stages("b", Stage::Failed), [Stage::Failed]);
        assert!(told.0.is_empty());
    }
}
