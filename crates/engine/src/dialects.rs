//! A place in the catalogue for what a dialect has to remember and the engine has no rule about.

use serde_json::Value;

use crate::engine::Engine;
use crate::error::EngineError;

impl Engine {
    /// What a dialect keeps under a name; none when it never did, or the catalogue was lost.
    pub async fn dialect_setting(
        &self,
        dialect: &str,
        name: &str,
    ) -> Result<Option<Value>, EngineError> {
        self.inner.catalogue.dialect_setting(dialect, name).await
    }

    /// Keeps something for a dialect, durably.
    pub async fn put_dialect_setting(
        &self,
        dialect: &str,
        name: &str,
        value: &Value,
    ) -> Result<(), EngineError> {
        self.inner
            .catalogue
            .put_dialect_setting(dialect, name, value)
            .await
    }
}
