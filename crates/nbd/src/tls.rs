//! Sessions of TLS.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::NbdError;
use crate::server::ServerTls;
use crate::uri::Uri;

/// The file with the authorities in a folder of `tls-certificates`, as libnbd and QEMU name it.
const AUTHORITIES: &str = "ca-cert.pem";
/// The client's own certificate and key there, which it need not have.
const CLIENT: [&str; 2] = ["client-cert.pem", "client-key.pem"];

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
        .map_err(|cause| {
            error(format!(
                "cannot read certificates from {}: {cause}",
                file.display()
            ))
        })?;
    match read.is_empty() {
        true => Err(error(format!(
            "{} holds no certificate in PEM form",
            file.display()
        ))),
        false => Ok(read),
    }
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, NbdError> {
    PrivateKeyDer::from_pem_file(file).map_err(|cause| {
        error(format!(
            "cannot read a private key from {}: {cause}",
            file.display()
        ))
    })
}

fn unfit(certificate: &Path, key: &Path, cause: &rustls::Error) -> NbdError {
    let (certificate, key) = (certificate.display(), key.display());
    error(format!("{certificate} cannot be used with {key}: {cause}"))
}

fn authorities(file: &Path) -> Result<RootCertStore, NbdError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(error)?;
    }
    Ok(roots)
}

/// What servers accept TLS with.
pub(crate) fn server_config(files: &ServerTls) -> Result<Arc<ServerConfig>, NbdError> {
    let provider = Arc::new(ring::default_provider());
    let chain = certificates(&files.certificate)?;
    let private = key(&files.key)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(error)?;
    let builder = match &files.client_authorities {
        Some(file) => {
            let roots = Arc::new(authorities(file)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            builder.with_client_cert_verifier(verifier.map_err(error)?)
        }
        None => builder.with_no_client_auth(),
    };
    let config = builder
        .with_single_cert(chain, private)
        .map_err(|cause| unfit(&files.certificate, &files.key, &cause))?;
    Ok(Arc::new(config))
}

/// The server's side of a session.
pub(crate) fn server_session(config: &Arc<ServerConfig>) -> Result<Connection, NbdError> {
    ServerConnection::new(Arc::clone(config))
        .map(Connection::from)
        .map_err(error)
}

/// The client's side of a session with the server of `uri`.
pub(crate) fn client_session(uri: &Uri) -> Result<Connection, NbdError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(error)?;
    let builder = match &uri.tls_certificates {
        Some(folder) => builder.with_root_certificates(authorities(&folder.join(AUTHORITIES))?),
        None => builder.with_platform_verifier().map_err(error)?,
    };
    let name = ServerName::try_from(uri.server_name().to_owned())
        .map_err(|_| error(format!("{:?} is no name of a server", uri.server_name())))?;
    let own = uri.tls_certificates.as_ref();
    let own = own.map(|folder| CLIENT.map(|file| folder.join(file)));
    let config = match own.filter(|[certificate, _]| certificate.exists()) {
        Some([certificate, file]) => builder
            .with_client_auth_cert(certificates(&certificate)?, key(&file)?)
            .map_err(|cause| unfit(&certificate, &file, &cause))?,
        None => builder.with_no_client_auth(),
    };
    let session = ClientConnection::new(Arc::new(config), name).map_err(error)?;
    Ok(session.into())
}
