//! Which servers a command trusts over TLS.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::exit::Failure;
use crate::serve::tls::{provider, read_certificates};

/// Trusts the certificates of a file: a server that shows one of them, or one that was issued by one of them.
pub fn only(file: &Path) -> Result<ClientConfig, Failure> {
    let trusted = read_certificates(file).map_err(|text| {
        Failure::usage(text)
            .hint("give the server's certificate or that of its authority as --ca-file")
    })?;
    let mut roots = RootCertStore::empty();
    // A self-signed certificate may be no authority; it is still known by itself.
    let (_added, _ignored) = roots.add_parsable_certificates(trusted.iter().cloned());
    let authorities = match roots.is_empty() {
        true => None,
        false => Some(
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
                .build()
                .map_err(|cause| {
                    Failure::usage(format!("cannot use {}: {cause}", file.display()))
                })?,
        ),
    };
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|cause| Failure::failed(format!("cannot set up TLS: {cause}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned {
            trusted,
            authorities,
        }))
        .with_no_client_auth();
    Ok(config)
}

/// Takes exactly these certificates, and what they issued.
#[derive(Debug)]
struct Pinned {
    trusted: Vec<CertificateDer<'static>>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Whoever shows it also proves to hold its key, further below in the handshake.
        if self.trusted.iter().any(|known| known == shown) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.authorities {
            Some(authorities) => {
                authorities.verify_server_cert(shown, intermediates, name, ocsp, now)
            }
            None => Err(Error::General(
                "the certificate is not in the file given".to_owned(),
            )),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
