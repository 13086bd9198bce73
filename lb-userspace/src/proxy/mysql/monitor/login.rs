//! Connections to servers.

use std::{path::Path, sync::LazyLock};

use futures::FutureExt as _;
use mysql_async::{Conn, OptsBuilder, Row, SslOpts, Value, prelude::Queryable as _};
use tokio_rustls::rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::{failure::Failure, question::Line};
use crate::config::proxy::{Monitor, MonitorTls, Place};

/// The longest answer, in bytes: sets of transactions can be long.
const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// A connection that asks. Dropping it ends it at once, whatever it is about: mysql-async would wait for
/// the rest of an answer.
pub(super) struct Connection(Option<Conn>);

/// Logs in.
pub(super) async fn login(place: &Place, monitor: &Monitor) -> Result<Connection, Failure> {
    let Monitor { user, password_file, tls, interval: _, timeout: _, fall: _ } = monitor;
    let password = match password_file {
        // It is read anew each time, so that a new one counts at once.
        Some(file) => Some(first_line(&read(file).await?)),
        None => None,
    };
    let options = OptsBuilder::default()
        .user(Some(user))
        .pass(password)
        // What it would ask the server for otherwise.
        .prefer_socket(false)
        .max_allowed_packet(Some(ANSWER_MAX))
        .wait_timeout(Some(0));
    let options = match place {
        Place::Tcp(socket) => options
            .ip_or_hostname(socket.ip().to_string())
            .tcp_port(socket.port())
            .ssl_opts(match tls {
                Some(tls) => Some(encryption(tls).await?),
                None => None,
            }),
        // It does not leave the machine.
        Place::Unix(path) => options.socket(Some(path.to_str().ok_or(Failure::Path)?)),
    };
    Ok(Connection(Some(Conn::new(options).await?)))
}

impl Connection {
    /// Asks for lines of text.
    pub(super) async fn ask(&mut self, question: &str) -> Result<Vec<Line>, Failure> {
        let connection = self.0.as_mut().ok_or(Failure::Client)?;
        let rows: Vec<Row> = connection.query(question).await?;
        Ok(rows.into_iter().map(line).collect())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.disconnect().now_or_never());
        }
    }
}

/// In the text protocol all values are text, or NULL.
fn line(row: Row) -> Line {
    let names: Vec<_> = row.columns_ref().iter().map(|it| it.name_str().into_owned()).collect();
    let text = |value: Value| {
        if let Value::Bytes(bytes) = value {
            return Some(String::from_utf8_lossy(&bytes).into_owned());
        }
        (value != Value::NULL).then(|| value.as_sql(true))
    };
    names.into_iter().zip(row.unwrap().into_iter().map(text)).collect()
}

async fn encryption(MonitorTls { verify, ca }: &MonitorTls) -> Result<SslOpts, Failure> {
    // mysql-async takes the provider of the process. An earlier one may stay.
    drop(ring::default_provider().install_default());
    Ok(match (verify, ca) {
        (false, _) => SslOpts::default().with_danger_accept_invalid_certs(true),
        (true, None) => trusting(system()?),
        (true, Some(file)) => trusting(authorities(file).await?),
    })
}

fn trusting(certificates: Vec<CertificateDer<'static>>) -> SslOpts {
    let certificates = certificates.into_iter().map(|it| it.to_vec().into()).collect();
    SslOpts::default().with_disable_built_in_roots(true).with_root_certs(certificates)
}

/// The system's authorities, those that can be used.
fn system() -> Result<Vec<CertificateDer<'static>>, Failure> {
    static SYSTEM: LazyLock<Vec<CertificateDer<'static>>> = LazyLock::new(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!("the system's certificates: {error}");
        }
        usable(found.certs.into_iter())
    });
    if SYSTEM.is_empty() { Err(Failure::NoAuthorities) } else { Ok(SYSTEM.clone()) }
}

/// The certificates of a PEM file.
async fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let pem = read(file).await?;
    let found = usable(CertificateDer::pem_slice_iter(&pem).flatten());
    if found.is_empty() { Err(Failure::NoCertificate(file.into())) } else { Ok(found) }
}

/// One that cannot be used would be an error of all.
fn usable(found: impl Iterator<Item = CertificateDer<'static>>) -> Vec<CertificateDer<'static>> {
    found.filter(|it| RootCertStore::empty().add(it.clone()).is_ok()).collect()
}

async fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |cause| Failure::File { path: path.into(), cause };
    tokio::fs::read(path).await.map_err(failed)
}

fn first_line(text: &[u8]) -> String {
    let line = text.split(|byte| matches!(byte, b'\r' | b'\n')).next();
    String::from_utf8_lossy(line.unwrap_or_default()).into_owned()
}
