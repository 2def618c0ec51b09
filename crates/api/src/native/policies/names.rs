//! What policies are called in this API.

use http::StatusCode;
use snapkeep_engine::{Engine, PolicyKey, PolicyOrigin};

use crate::native::problem::{Answer, Refusal};

/// Longest name of a policy made here, in bytes: the names of its snapshots begin with it.
const MAX_NAME_BYTES: usize = 128;

/// The name of a policy made here, `slm/NAME` and so on for others.
pub fn id(key: &PolicyKey) -> String {
    match key.origin {
        PolicyOrigin::Native => key.name.clone(),
        _ => key.to_string(),
    }
}

/// The same from the text that the engine keeps with a snapshot.
pub fn id_of(policy: &str) -> String {
    policy
        .parse()
        .map_or_else(|_| policy.to_owned(), |key| id(&key))
}

/// What an id means.
pub fn key(id: &str) -> PolicyKey {
    // A name without origin, and everything that is none of the known origins.
    id.parse().unwrap_or_else(|_| PolicyKey::native(id))
}

/// Refuses names that could not be part of a path or of the name of a snapshot.
pub fn check(name: &str) -> Answer<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && name.chars().all(plain) && name.len() <= MAX_NAME_BYTES {
        return Ok(());
    }
    let message = format!(
        "the name [{name}] cannot be used for a policy: it must begin with a letter or digit and have up to {MAX_NAME_BYTES} letters, digits, `-`, `_` and `.`"
    );
    Err(Refusal::new(
        StatusCode::BAD_REQUEST,
        "invalid_name",
        message,
    ))
}

/// 404 that names policies of other APIs of the same name, since those are easily confused.
pub async fn missing(engine: &Engine, id: &str) -> Refusal {
    let others: Vec<String> = match engine.policies(None).await {
        Ok(all) => all
            .iter()
            .filter(|policy| policy.key.name == id)
            .map(|policy| self::id(&policy.key))
            .collect(),
        Err(_) => Vec::new(),
    };
    let refusal = Refusal::new(
        StatusCode::NOT_FOUND,
        "policy_missing",
        format!("there is no policy [{id}]"),
    );
    if others.is_empty() {
        refusal.hint("list what there is: snapkeep policy ls")
    } else {
        refusal.hint(&format!("there is {}", others.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_policies_go_by_their_name() {
        for (text, expected) in [
            ("nightly", PolicyKey::native("nightly")),
            ("native/nightly", PolicyKey::native("nightly")),
            ("slm/daily", PolicyKey::slm("daily")),
            ("what/ever", PolicyKey::native("what/ever")),
        ] {
            assert_eq!(key(text), expected);
        }
        assert_eq!(id(&PolicyKey::native("nightly")), "nightly");
        assert_eq!(id(&PolicyKey::sm("daily")), "sm/daily");
    }

    #[test]
    fn names_are_plain() {
        assert!(check("nightly-1.x_Y").is_ok());
        for name in ["", "-x", "a b", "a/b", "ü", &"x".repeat(200)] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
