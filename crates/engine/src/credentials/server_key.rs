//! The server key: seals secrets that must stay recoverable.
//!
//! XChaCha20-Poly1305 with a random nonce of 24 bytes; the access key is authenticated along, so that a sealed secret cannot be moved to
//! another one's row. Form: base64 of nonce and ciphertext.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::error::CredentialError;
use super::secret::Secret;

/// Name of the file in the data folder.
const FILE: &str = "server.key";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Seals and opens secrets.
pub(super) struct ServerKey(XChaCha20Poly1305);

impl std::fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerKey(…)")
    }
}

impl ServerKey {
    /// Reads the key, or makes one when first needed.
    pub(super) fn load_or_create(data_dir: &Path) -> Result<Self, CredentialError> {
        let path = data_dir.join(FILE);
        match std::fs::read(&path) {
            Ok(text) => Self::parse(&path, &Zeroizing::new(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::create(data_dir, &path),
            Err(error) => Err(problem(&path, "read", &error)),
        }
    }

    fn parse(path: &Path, text: &[u8]) -> Result<Self, CredentialError> {
        let decoded = STANDARD.decode(text.trim_ascii()).map(Zeroizing::new);
        match decoded {
            Ok(bytes) if bytes.len() == KEY_BYTES => {
                Self::from_bytes(&bytes).ok_or_else(|| problem(path, "use", &"it has not 32 bytes"))
            }
            _ => Err(problem(
                path,
                "use",
                &"it is not 32 bytes in base64; put it back from your copy, or remove it and rotate all access keys",
            )),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key = Key::try_from(bytes).ok()?;
        Some(Self(XChaCha20Poly1305::new(&key)))
    }

    /// Under another name first, so that a crash leaves either no key or a whole one.
    fn create(data_dir: &Path, path: &PathBuf) -> Result<Self, CredentialError> {
        let bytes = Zeroizing::new(rand::random::<[u8; KEY_BYTES]>());
        let temporary = data_dir.join("server.key.new");
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(Zeroizing::new(STANDARD.encode(*bytes)).as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            std::fs::rename(&temporary, path)?;
            File::open(data_dir)?.sync_all()
        };
        write().map_err(|error| problem(path, "write", &error))?;
        tracing::info!(path = %path.display(), "a server key was generated; it seals the secrets of access keys");
        Self::from_bytes(&*bytes).ok_or_else(|| problem(path, "use", &"it has not 32 bytes"))
    }

    /// Seals the secret of an access key.
    pub(super) fn seal(
        &self,
        access_key: &str,
        secret: &Secret,
    ) -> Result<String, CredentialError> {
        let nonce = rand::random::<[u8; NONCE_BYTES]>();
        let sealed = self
            .0
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: secret.expose().as_bytes(),
                    aad: access_key.as_bytes(),
                },
            )
            .map_err(|_| CredentialError::ServerKey("a secret cannot be sealed".to_owned()))?;
        Ok(STANDARD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what [`Self::seal`] gave; none when it was sealed with another key or for another access key.
    pub(super) fn open(&self, access_key: &str, sealed: &str) -> Option<Secret> {
        let bytes = STANDARD.decode(sealed).ok()?;
        let (nonce, ciphertext) = bytes.split_at_checked(NONCE_BYTES)?;
        let payload = Payload {
            msg: ciphertext,
            aad: access_key.as_bytes(),
        };
        let opened = self
            .0
            .decrypt(&XNonce::try_from(nonce).ok()?, payload)
            .ok()?;
        String::from_utf8(opened).ok().map(Secret::new)
    }
}

fn problem(path: &Path, operation: &str, cause: &dyn std::fmt::Display) -> CredentialError {
    CredentialError::ServerKey(format!(
        "cannot {operation} the server key {}: {cause}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_sealed_secret_opens_with_the_same_key_and_access_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let key = ServerKey::load_or_create(folder.path()).unwrap();
        let secret = Secret::new("top secret");
        let sealed = key.seal("AK", &secret).unwrap();
        assert!(!sealed.contains("top"));
        assert_ne!(sealed, key.seal("AK", &secret).unwrap());
        let again = ServerKey::load_or_create(folder.path()).unwrap();
        assert_eq!(again.open("AK", &sealed), Some(secret));
        assert_eq!(again.open("OTHER", &sealed), None);
        for garbage in ["", "AAAA", "%", &sealed[..sealed.len() - 8]] {
            assert_eq!(again.open("AK", garbage), None);
        }
        let elsewhere = tempfile::tempdir().unwrap();
        let other = ServerKey::load_or_create(elsewhere.path()).unwrap();
        assert_eq!(other.open("AK", &sealed), None);
    }

    #[test]
    fn only_its_owner_may_read_the_key_and_a_damaged_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        ServerKey::load_or_create(folder.path()).unwrap();
        let path = folder.path().join(FILE);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(&path, "short").unwrap();
        let text = ServerKey::load_or_create(folder.path())
            .err()
            .unwrap()
            .to_string();
        assert!(
            text.contains("server.key") && text.contains("rotate"),
            "{text}"
        );
    }
}
