//! TLS: certificate and key from files, looked at again whenever they change.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;

use crate::exit::{Exit, Failure};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The cryptography of all connections of this program.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Certificates of a file, for servers and for clients that trust them.
pub fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file)
        .and_then(|found| found.collect::<Result<Vec<_>, _>>())
        .map_err(|cause| format!("cannot read certificates from {}: {cause}", file.display()))?;
    match read.is_empty() {
        true => Err(format!(
            "{} holds no certificate in PEM form",
            file.display()
        )),
        false => Ok(read),
    }
}

/// The certificate that is in use.
pub struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<(Arc<CertifiedKey>, Stamp)>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// What tells that a file was changed or replaced: time, size and inode of both.
type Stamp = [Option<(SystemTime, u64, u64)>; 2];

fn stamp(files: [&Path; 2]) -> Stamp {
    files.map(|file| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
    })
}

fn load(certificate: &Path, key: &Path) -> Result<CertifiedKey, String> {
    let chain = read_certificates(certificate)?;
    let key_der = PrivateKeyDer::from_pem_file(key)
        .map_err(|cause| format!("cannot read a private key from {}: {cause}", key.display()))?;
    CertifiedKey::from_der(chain, key_der, &provider()).map_err(|cause| {
        format!(
            "the key {} cannot be used with the certificate {}: {cause}",
            key.display(),
            certificate.display()
        )
    })
}

impl Certificate {
    /// Reads both files.
    pub fn open(certificate: &Path, key: &Path) -> Result<Arc<Self>, Failure> {
        let seen = stamp([certificate, key]);
        let loaded = load(certificate, key).map_err(|text| {
            Failure::new(Exit::Usage, "tls", text).hint(
                "give a certificate chain (own certificate first) and its unencrypted key, both in PEM form, as --tls-certificate and --tls-key",
            )
        })?;
        Ok(Arc::new(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: RwLock::new((Arc::new(loaded), seen)),
        }))
    }

    /// What connections are accepted with: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    pub fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, Failure> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|cause| Failure::failed(format!("cannot set up TLS: {cause}")))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files again when they have changed. What cannot be used is told, and the certificate in use stays.
    pub fn refresh(&self) {
        let seen = stamp([&self.certificate, &self.key]);
        let known = self
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .1;
        if seen == known {
            return;
        }
        let loaded = load(&self.certificate, &self.key);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.1 = seen;
        match loaded {
            Ok(loaded) => {
                current.0 = Arc::new(loaded);
                tracing::info!(certificate = %self.certificate.display(), "a new certificate is in use");
            }
            // Certificate and key are two files: between the two writes they do not fit.
            Err(cause) => tracing::warn!(
                cause,
                "the certificate files have changed but cannot be used; the old certificate stays in use"
            ),
        }
    }

    /// Looks at the files until `shutdown`.
    pub async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = shutdown.cancelled() => return,
            }
            let this = Arc::clone(&self);
            if let Err(cause) = tokio::task::spawn_blocking(move || this.refresh()).await {
                tracing::error!(%cause, "looking at the certificate files ended abnormally");
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_files_is_told_with_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (
            folder.path().join("cert.pem"),
            folder.path().join("key.pem"),
        );
        let text = |certificate: &Path, key: &Path| {
            Certificate::open(certificate, key).unwrap_err().to_string()
        };
        let missing = text(&certificate, &key);
        assert!(
            missing.contains("cert.pem") && missing.contains("--tls-certificate"),
            "{missing}"
        );
        std::fs::write(&certificate, "no certificate").unwrap();
        assert!(text(&certificate, &key).contains("holds no certificate"));
    }
}
