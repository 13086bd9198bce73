//! TLS, by rustls.

use std::{
    io,
    path::Path,
    sync::{Arc, LazyLock},
};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
        client::{
            Resumption,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    },
};

use super::{Failure, Peer};
use crate::config::Tls;

/// Shakes hands.
pub(super) async fn check(tls: &Tls, peer: &Peer) -> Result<String, Failure> {
    let _stream = handshake(peer.connect().await?, tls, peer, &[]).await?;
    Ok("handshake".into())
}

/// Shakes hands, and offers the application protocols (RFC 7301).
pub(super) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    tls: &Tls,
    peer: &Peer,
    protocols: &[&[u8]],
) -> Result<TlsStream<S>, Failure> {
    let mut config = config(tls).await?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let name = match &tls.server_name {
        Some(name) => name.clone(),
        None => ServerName::from(peer.host()?.name),
    };
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(Failure::Tls)
}

async fn config(Tls { server_name: _, verify, ca }: &Tls) -> Result<ClientConfig, Failure> {
    let config = match (verify, ca) {
        (false, _) => UNVERIFIED.clone(),
        (true, None) => SYSTEM.clone(),
        // It is read anew each time, so that a renewed one counts at once.
        (true, Some(file)) => trusting(authorities(file).await?),
    };
    config.map_err(|error| Failure::Tls(io::Error::other(error)))
}

type Config = Result<ClientConfig, Error>;

/// Takes any certificate.
static UNVERIFIED: LazyLock<Config> = LazyLock::new(|| {
    let provider = ring::default_provider();
    let anything = Anything(provider.signature_verification_algorithms);
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_safe_default_protocol_versions()?.dangerous();
    let config = builder.with_custom_certificate_verifier(Arc::new(anything)).with_no_client_auth();
    Ok(without_resumption(config))
});

/// Takes what the system's authorities have signed.
static SYSTEM: LazyLock<Config> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!("the system's certificates: {error}");
    }
    let mut roots = RootCertStore::empty();
    let (_, _) = roots.add_parsable_certificates(found.certs);
    trusting(roots)
});

/// Takes what these authorities have signed.
fn trusting(roots: RootCertStore) -> Config {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?.with_root_certificates(roots);
    Ok(without_resumption(builder.with_no_client_auth()))
}

/// A resumed session would not show the certificate.
fn without_resumption(mut config: ClientConfig) -> ClientConfig {
    config.resumption = Resumption::disabled();
    config
}

/// The certificates of a PEM file.
async fn authorities(file: &Path) -> Result<RootCertStore, Failure> {
    let pem = super::read(file).await?;
    let mut roots = RootCertStore::empty();
    let (added, _) =
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    if added == 0 {
        return Err(Failure::NoCertificate(file.into()));
    }
    Ok(roots)
}

/// Takes any certificate whose key the server has.
#[derive(Debug)]
struct Anything(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
