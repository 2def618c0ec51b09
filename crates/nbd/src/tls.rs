//! Sessions of TLS.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::NbdError;
use crate::uri::Uri;

/// The file with the authorities in a folder of `tls-certificates`, as libnbd and QEMU name it.
const AUTHORITIES: &str = "ca-cert.pem";

fn error(reason: impl ToString) -> NbdError {
    NbdError::Tls {
        reason: reason.to_string(),
    }
}

/// A handshake that failed.
pub(crate) fn failed(cause: io::Error) -> NbdError {
    error(cause)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, NbdError> {
    let read = CertificateDer::pem_file_iter(file)
        .and_then(|found| found.collect::<Result<Vec<_>, _>>())
        .map_err(|cause| error(format!("cannot read certificates from {}: {cause}", file.display())))?;
    match read.is_empty() {
        true => Err(error(format!("{} holds no certificate in PEM form", file.display()))),
        false => Ok(read),
    }
}

/// What servers accept TLS with.
pub(crate) fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, NbdError> {
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|cause| error(format!("cannot read a private key from {}: {cause}", key.display())))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(error)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|cause| error(format!("{} cannot be used with its key: {cause}", certificate.display())))?;
    Ok(Arc::new(config))
}

/// The client's side of a session with the server of `uri`.
pub(crate) fn client_session(uri: &Uri) -> Result<Connection, NbdError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(error)?;
    let builder = match &uri.tls_certificates {
        Some(folder) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(&folder.join(AUTHORITIES))? {
                roots.add(certificate).map_err(error)?;
            }
            builder.with_root_certificates(roots)
        }
        None => builder.with_platform_verifier().map_err(error)?,
    };
    let name = ServerName::try_from(uri.server_name().to_owned())
        .map_err(|_| error(format!("{:?} is no name of a server", uri.server_name())))?;
    let session = ClientConnection::new(Arc::new(builder.with_no_client_auth()), name).map_err(error)?;
    Ok(session.into())
}
