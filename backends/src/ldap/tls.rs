//! Encryption: which certificates are believed.

use super::settings::{Tls, error};
use crate::registry::SettingsError;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Certificates of authorities, from a file.
#[derive(Clone, Debug)]
pub(super) struct Roots(RootCertStore);

impl Roots {
    /// Reads a file of certificates in PEM.
    pub(super) fn read(path: &Path) -> Result<Self, SettingsError> {
        let wrong = |problem: &str| error("tls_ca", format!("{}: {problem}", path.display()));
        let content = std::fs::read(path).map_err(|why| wrong(&format!("cannot be read: {why}")))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&content) {
            let certificate = certificate.map_err(|_| wrong("not certificates in PEM"))?;
            roots.add(certificate).map_err(|_| wrong("holds a certificate that cannot be used"))?;
        }
        if roots.is_empty() { Err(wrong("holds no certificate in PEM")) } else { Ok(Self(roots)) }
    }
}

/// The authorities that this machine trusts; read once.
fn of_system() -> &'static RootCertStore {
    static SYSTEM: OnceLock<RootCertStore> = OnceLock::new();
    SYSTEM.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    })
}

/// What a connection is encrypted with. Never a provider that another part of the process has chosen.
pub(super) fn config(tls: Tls, roots: Option<&Roots>) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let config = if tls == Tls::Require {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))).with_no_client_auth()
    } else {
        let roots = roots.map_or_else(|| of_system().clone(), |roots| roots.0.clone());
        builder.with_root_certificates(roots).with_no_client_auth()
    };
    Ok(Arc::new(config))
}

/// Takes every certificate, for `tls = "require"`; that its owner holds the key is checked all the same.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
