//! `POST …/snapshots`: a snapshot right now, named like the automatic ones.

use serde_json::json;

use super::call::{AlibabaResult, Answer, Call};
use super::setting;
use super::state::REPOSITORY;
use crate::auth::Need;

/// Begins a snapshot. A call that repeats a client token does nothing again.
pub async fn create(call: Call, instance: &str) -> AlibabaResult {
    let need = Need::operate("CreateSnapshot");
    call.authorise(instance, need.repository(REPOSITORY))?;
    let state = &call.state;
    let token = call.parameter("clientToken");
    if token.as_ref().is_some_and(|token| !state.is_new(token)) {
        return Ok(Answer::Capital(json!(true)));
    }
    let begun = async {
        let _turn = state.turn.lock().await;
        setting::ensure(&call, instance, need).await?;
        state.engine.run_policy(&state.policy_key(instance)).await?;
        Ok(Answer::Capital(json!(true)))
    };
    let result = begun.await;
    if let (Err(_), Some(token)) = (&result, &token) {
        state.forget(token);
    }
    result
}
