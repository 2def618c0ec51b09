//! What every call needs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use snapkeep_engine::{Engine, PolicyKey, PolicyOrigin, RepositoryInfo, RepositorySpec};

use super::config::AlibabaConfig;
use super::errors::AlibabaError;

/// Repository of automatic snapshots.
pub const REPOSITORY: &str = "aliyun_auto_snapshot";
/// Folder, below the first repository root, with one repository for each instance. Servers that share it can read each other's.
pub const FOLDER: &str = "aliyun_auto_snapshot";
/// Name of the one policy of an instance.
const POLICY: &str = "auto";
/// Client tokens that are remembered.
const MAX_TOKENS: usize = 256;

/// Engine and identity. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AlibabaState {
    pub(super) engine: Engine,
    pub(super) config: Arc<AlibabaConfig>,
    /// Held while a setting is read and changed.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    tokens: Arc<Mutex<VecDeque<String>>>,
}

impl AlibabaState {
    /// The parts together.
    pub fn new(engine: Engine, config: AlibabaConfig) -> Self {
        Self {
            engine,
            config: Arc::new(config),
            turn: Arc::default(),
            tokens: Arc::default(),
        }
    }

    /// The policy of an instance.
    pub(super) fn policy_key(&self, instance: &str) -> PolicyKey {
        let origin = PolicyOrigin::Alibaba {
            instance: instance.to_owned(),
        };
        PolicyKey::new(origin, POLICY)
    }

    /// The repository of automatic snapshots, made if there is none.
    pub(super) async fn repository(&self, instance: &str) -> Result<RepositoryInfo, AlibabaError> {
        let settings = serde_json::json!({
            "compress": "true",
            "location": format!("{FOLDER}/{instance}"),
        });
        let spec = RepositorySpec {
            kind: "fs".to_owned(),
            settings: settings.as_object().cloned().unwrap_or_default(),
        };
        Ok(self.engine.ensure_repository(REPOSITORY, spec).await?)
    }

    /// Notes a client token; false when it was used before: the call is a repetition and nothing is done again.
    pub(super) fn is_new(&self, token: &str) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.iter().any(|known| known == token) {
            return false;
        }
        if tokens.len() >= MAX_TOKENS {
            tokens.pop_front();
        }
        tokens.push_back(token.to_owned());
        true
    }

    /// Forgets a client token: the call failed and may be repeated.
    pub(super) fn forget(&self, token: &str) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|known| known != token);
    }
}
