//! Opens the registered repositories after a start and looks from time to time whether somebody else has written to them.

use std::sync::Arc;
use std::time::Duration;

use super::{Step, Worker};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::repositories::reconcile;

/// Pause between two rounds.
const PAUSE: Duration = Duration::from_secs(300);

#[derive(Default)]
pub(crate) struct RescanWorker {
    rounds: u64,
}

impl Worker for RescanWorker {
    fn name(&self) -> &'static str {
        "repository-rescan"
    }

    async fn step(&mut self, inner: &Arc<Inner>) -> Result<Step, EngineError> {
        let mut unreachable = Vec::new();
        let repositories = inner.catalogue.repositories().await?;
        let count = repositories.len();
        for row in repositories {
            let name = row.name.clone();
            let rescanned = async {
                let vault = inner.open_vault(&row).await?;
                reconcile(inner, &vault).await
            }
            .await;
            if let Err(error) = rescanned {
                tracing::warn!(repository = name, %error, "a repository could not be read; it is tried again");
                unreachable.push(name);
            }
        }
        self.rounds += 1;
        let mut status = format!("{} rounds, {count} repositories", self.rounds);
        if !unreachable.is_empty() {
            status.push_str(&format!(", unreachable: {}", unreachable.join(", ")));
        }
        Ok(Step::Idle(PAUSE, status))
    }
}
