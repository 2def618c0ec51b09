//! Who may do what: principals with a role and limits, and the secrets that prove them.
//!
//! A *credential* is a name with a role, limits and one secret. Three kinds of secret:
//!
//! | Kind | Kept as | Why |
//! |---|---|---|
//! | password | argon2id, 19 MiB and two passes | people choose it, so guessing must be expensive |
//! | API key | SHA-256 | 256 random bits cannot be guessed however cheap a guess is, and every request costs one |
//! | access key | sealed with the server key | checking a signature takes the secret itself |
//!
//! Tokens are issued to whoever proved a credential, live for a day and are kept as SHA-256, like API keys.
//! The data folder has one owner, so all credentials are also in memory and recognising one takes no query.

mod attempts;
mod error;
mod keeper;
mod model;
mod password;
mod roster;
mod secret;
mod server_key;
mod verified;

pub use error::{CredentialError, Refused};
pub use keeper::Credentials;
pub(crate) use keeper::Keeper;
pub use model::{Credential, Issued, Kind, Limits, NewCredential, Principal, Role, Token};
pub(crate) use roster::{CredentialRow, TokenRow};
pub use secret::Secret;
