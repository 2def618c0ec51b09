//! Calls that go through with what they began.

/// Answers a call on a task of its own: it ends even when the client leaves. None when it ended abnormally, which the log tells.
pub async fn to_the_end<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    match tokio::spawn(call).await {
        Ok(answer) => Some(answer),
        Err(error) => {
            tracing::error!(%error, "a call ended abnormally");
            None
        }
    }
}
