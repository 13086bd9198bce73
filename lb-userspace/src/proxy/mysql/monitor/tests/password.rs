//! `caching_sha2_password`, and what is done with passwords.

use std::{path::Path, sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::{NamedTempFile, TempDir};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use super::peer::{Auth, PASSWORD, Peer};
use crate::{
    config::proxy::{Monitor, MonitorTls, Place},
    proxy::mysql::{
        Identity, Said,
        monitor::{failure::Failure, login::login, question},
        tests::settings,
    },
};

fn monitor(password: &Path, tls: Option<MonitorTls>) -> Monitor {
    Monitor {
        user: "monitor".into(),
        password_file: Some(password.into()),
        tls,
        timeout: Duration::from_secs(20),
        ..settings().monitor
    }
}

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

async fn ask(place: &Place, monitor: &Monitor) -> Result<Said, Failure> {
    let mut connection = login(place, monitor).await?;
    let dialect = question::dialect(&mut connection).await?;
    question::ask(&mut connection, dialect).await
}

fn is_answered(result: Result<Said, Failure>) {
    assert_eq!(result.unwrap().identity, Identity::of_mysql("a"));
}

/// An authority's file, and a server that it vouches for under this name.
fn tls(folder: &TempDir, name: &str) -> (std::path::PathBuf, TlsAcceptor) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let ca = folder.path().join(format!("{name}.pem"));
    std::fs::write(&ca, authority.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (ca, TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn a_password_that_the_server_has_cached_is_enough() {
    let peer = Peer::start(Auth::Fast, "a").await;
    let good = file(&format!("{PASSWORD}\r\nmore\n"));
    is_answered(ask(&peer.place, &monitor(good.path(), None)).await);
    let bad = ask(&peer.place, &monitor(file("a guess").path(), None)).await.unwrap_err();
    assert_eq!(bad.to_string(), "Access denied for user 'monitor'@'localhost' (error 1045)");
}

#[tokio::test]
async fn without_tls_the_password_is_encrypted_for_the_servers_key() {
    let peer = Peer::start(Auth::Full, "a").await;
    is_answered(ask(&peer.place, &monitor(file(PASSWORD).path(), None)).await);
    let bad = ask(&peer.place, &monitor(file("a guess").path(), None)).await;
    assert!(matches!(bad, Err(Failure::Refused(_))), "{bad:?}");
}

#[tokio::test]
async fn over_tls_the_password_is_sent_to_whom_the_authority_vouches_for() {
    let folder = TempDir::new().unwrap();
    let (ca, acceptor) = tls(&folder, "127.0.0.1");
    let (other, elsewhere) = tls(&folder, "127.0.0.2");
    let peer = Peer::start(Auth::FullOverTls(acceptor), "a").await;
    let password = file(PASSWORD);
    let with = |verify, ca: Option<&Path>| {
        monitor(password.path(), Some(MonitorTls { verify, ca: ca.map(Into::into) }))
    };
    is_answered(ask(&peer.place, &with(true, Some(&ca))).await);
    is_answered(ask(&peer.place, &with(false, None)).await);
    for authority in [Some(other.as_path()), None] {
        let failure = ask(&peer.place, &with(true, authority)).await.unwrap_err().to_string();
        assert!(failure.starts_with("invalid peer certificate"), "{failure}");
    }
    assert_eq!(peer.seen().logins, 2);
    // The right authority has vouched for another address.
    let peer = Peer::start(Auth::FullOverTls(elsewhere), "a").await;
    let failure = ask(&peer.place, &with(true, Some(&other))).await.unwrap_err().to_string();
    assert!(failure.contains("not valid for name"), "{failure}");

    let empty = file("no certificate");
    let failure = ask(&peer.place, &with(true, Some(empty.path()))).await.unwrap_err();
    assert!(matches!(failure, Failure::NoCertificate(_)), "{failure}");
    let plain = Peer::start(Auth::Fast, "a").await;
    let failure = ask(&plain.place, &with(false, None)).await.unwrap_err();
    assert!(failure.to_string().contains("SSL"), "{failure}");
}

#[tokio::test]
async fn a_password_file_that_is_missing_is_named() {
    let peer = Peer::start(Auth::Fast, "a").await;
    let missing = Path::new("/nonexistent/password");
    let failure = ask(&peer.place, &monitor(missing, None)).await.unwrap_err().to_string();
    assert!(failure.starts_with("/nonexistent/password: No such file"), "{failure}");
    assert_eq!(peer.seen().connections, 0);
}

#[tokio::test]
async fn a_missing_privilege_is_no_lack_of_replication() {
    let peer = Peer::start(Auth::Fast, "a").await;
    peer.script().denies = Some((1227, "Access denied; you need the REPLICATION CLIENT privilege"));
    let failure = ask(&peer.place, &monitor(file(PASSWORD).path(), None)).await.unwrap_err();
    let failure = failure.to_string();
    assert!(failure.contains("you need the REPLICATION CLIENT"), "{failure}");
    assert!(failure.contains("`GRANT REPLICATION CLIENT ON *.*`"), "{failure}");
}
