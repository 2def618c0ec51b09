//! Who can reach a server, and whether it may be reached without credentials.

use std::net::SocketAddr;

use crate::config::Settings;
use crate::exit::{Exit, Failure};

/// Addresses that others than this machine can reach.
fn exposed(addresses: &[SocketAddr]) -> Vec<String> {
    let is_exposed = |address: &&SocketAddr| !address.ip().to_canonical().is_loopback();
    addresses
        .iter()
        .filter(is_exposed)
        .map(ToString::to_string)
        .collect()
}

/// Refuses to be open to others. `has_credentials`: whether requests will need one.
pub fn check(settings: &Settings, has_credentials: bool) -> Result<(), Failure> {
    let exposed = exposed(&settings.server.listen);
    let is_allowed = settings.security.insecure_no_credentials;
    if exposed.is_empty() || (has_credentials && !is_allowed) {
        return Ok(());
    }
    let addresses = exposed.join(", ");
    if is_allowed {
        tracing::warn!(
            addresses,
            "everybody who can reach this server may read, change and delete everything: --insecure-no-credentials is given"
        );
        return Ok(());
    }
    let message = format!(
        "{addresses} can be reached by others, and this server has no credentials: everybody could read and delete everything"
    );
    Err(Failure::new(Exit::Usage, "no_credentials", message).hint(format!(
        "make one first: snapkeep credential add admin --role admin --data-dir {}; or listen on 127.0.0.1; or, on a network you trust, add --insecure-no-credentials",
        settings.server.data_dir.display()
    )))
}

/// Says what an operator should know about passwords on the wire.
pub fn warn_about_plain_text(settings: &Settings, has_credentials: bool) {
    let exposed = exposed(&settings.server.listen);
    if has_credentials && !exposed.is_empty() && settings.tls.certificate.is_none() {
        tracing::warn!(
            addresses = exposed.join(", "),
            "passwords and keys travel unencrypted: set tls.certificate and tls.key, or put a proxy with TLS in front"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load};

    fn settings(listen: &[&str], insecure: bool) -> Settings {
        let set = insecure.then(|| "security.insecure_no_credentials=true".to_owned());
        load(&Overrides {
            listen: listen.iter().map(|text| text.parse().unwrap()).collect(),
            set: set.into_iter().collect(),
            ..Overrides::default()
        })
        .unwrap()
    }

    #[test]
    fn without_credentials_only_loopback_is_allowed() {
        for (listen, has_credentials, insecure, expected) in [
            (&["127.0.0.1:1", "[::1]:1"][..], false, false, true),
            (&["127.8.9.1:1"], false, false, true),
            (&["[::ffff:127.0.0.1]:1"], false, false, true),
            (&["0.0.0.0:1"], false, false, false),
            (&["127.0.0.1:1", "10.0.0.1:1"], false, false, false),
            (&["[::]:1"], false, false, false),
            (&["0.0.0.0:1"], true, false, true),
            (&["0.0.0.0:1"], false, true, true),
        ] {
            let allowed = check(&settings(listen, insecure), has_credentials);
            assert_eq!(
                allowed.is_ok(),
                expected,
                "{listen:?} {has_credentials} {insecure}"
            );
            if let Err(failure) = allowed {
                let text = failure.to_string();
                assert!(
                    text.contains(listen[listen.len() - 1]) && text.contains("credential add"),
                    "{text}"
                );
            }
        }
    }
}
