use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, ServerName},
    },
};

use super::*;

/// An authority, and a server whose certificate it has signed.
struct Site {
    address: SocketAddr,
    /// The authority's certificate, in a file that lives as long.
    ca: tempfile::NamedTempFile,
}

/// Answers every handshake, and every request after it with 200, as `names`.
async fn site(names: &[&str]) -> Site {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), authority.pem()).unwrap();

    let names: Vec<_> = names.iter().copied().map(str::to_owned).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 1024];
            if stream.read(&mut request).await.is_ok_and(|length| length > 0) {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nover TLS").await.unwrap();
                stream.shutdown().await.unwrap();
            }
        }
    }));
    Site { address, ca }
}

fn unverified() -> Tls {
    Tls { server_name: None, verify: false, ca: None }
}

fn verified(site: &Site, name: Option<&'static str>) -> Tls {
    let server_name = name.map(|name| ServerName::try_from(name).unwrap());
    Tls { server_name, verify: true, ca: Some(site.ca.path().into()) }
}

async fn outcome(site: &Site, tls: Tls) -> Outcome {
    outcome_at(site.address, CheckKind::Tls(tls)).await
}

#[tokio::test]
async fn any_certificate_will_do_without_verification() {
    let outcome = outcome(&site(&["www.example.com"]).await, unverified()).await;
    assert!(outcome.ok && outcome.reason.starts_with("handshake in "), "{outcome:?}");
}

#[tokio::test]
async fn a_certificate_is_verified_by_authority_and_name() {
    let site = site(&["www.example.com"]).await;
    let good = outcome(&site, verified(&site, Some("www.example.com"))).await;
    assert!(good.ok, "{good:?}");
    let bad = outcome(&site, verified(&site, Some("db.example.com"))).await;
    assert!(bad.reason.contains("certificate not valid for name"), "{bad:?}");
    let bad = outcome(&site, verified(&site, None)).await;
    assert!(bad.reason.contains("certificate not valid for name"), "by the address: {bad:?}");
    let other = self::site(&["www.example.com"]).await;
    let bad = outcome(&site, verified(&other, Some("www.example.com"))).await;
    assert_eq!(bad.reason, "TLS: invalid peer certificate: BadSignature");
    let bad = outcome(&site, Tls { ca: None, ..verified(&site, Some("www.example.com")) }).await;
    assert_eq!(bad.reason, "TLS: invalid peer certificate: UnknownIssuer", "by the system");
}

#[tokio::test]
async fn without_a_name_the_certificate_must_have_the_address() {
    let site = site(&["127.0.0.1"]).await;
    let outcome = outcome(&site, verified(&site, None)).await;
    assert!(outcome.ok, "{outcome:?}");
}

#[tokio::test]
async fn https_is_http_over_tls() {
    let site = site(&["www.example.com"]).await;
    let tls = Some(verified(&site, Some("www.example.com")));
    let body = Some(Pattern::Text("over TLS".into()));
    let check = CheckKind::Http(Box::new(Http { body, tls, ..http("/") }));
    let outcome = outcome_at(site.address, check).await;
    assert!(outcome.ok && outcome.reason.starts_with("status 200 in "), "{outcome:?}");
}

#[tokio::test]
async fn a_server_without_tls_and_a_missing_file_are_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = listener.local_addr().unwrap();
    drop(tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 mail.example.com ESMTP\r\n").await.unwrap();
    }));
    let outcome = outcome_at(plain, CheckKind::Tls(unverified())).await;
    assert!(!outcome.ok && outcome.reason.starts_with("TLS: "), "{outcome:?}");

    let missing = Tls { verify: true, ca: Some("/nonexistent/ca.pem".into()), server_name: None };
    let site = site(&["www.example.com"]).await;
    let outcome = self::outcome(&site, missing).await;
    assert_eq!(outcome.reason, "/nonexistent/ca.pem: No such file or directory (os error 2)");
    let empty = Tls { verify: true, ca: Some("/dev/null".into()), server_name: None };
    let outcome = self::outcome(&site, empty).await;
    assert_eq!(outcome.reason, "/dev/null: no certificate in PEM form");
}
