//! What the dialect is told at the start.

use std::time::Duration;

/// Which zones there are, how strict names are, how long tokens are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idc51Config {
    /// Zones that paths may name; empty: every well-formed one.
    pub zones: Vec<String>,
    /// Repository of points, against which the limits of credentials are held before there is one.
    pub repository: String,
    /// Refuse calls that leave out a name which the documentation calls required; otherwise one is made up from the time.
    pub require_names: bool,
    /// How long a token of `/v2/oauth2/token` is good.
    pub token_life: Duration,
}

impl Default for Idc51Config {
    fn default() -> Self {
        Self {
            zones: Vec::new(),
            repository: "volumes".to_owned(),
            require_names: false,
            token_life: Duration::from_secs(2 * 60 * 60),
        }
    }
}
