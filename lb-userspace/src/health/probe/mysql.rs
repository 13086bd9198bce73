//! A login to `MySQL` or `MariaDB`.

use mysql_async::{Conn, OptsBuilder, prelude::Queryable as _};

use super::{Failure, Host};
use crate::config::Mysql;

/// Logs in, and asks.
pub(super) async fn check(
    Mysql { user, password_file, database, query }: &Mysql,
    host: Host,
) -> Result<String, Failure> {
    let password = match password_file {
        // It is read anew each time, so that a new one counts at once.
        Some(file) => {
            let text = super::read(file).await?;
            let line = text.split(|byte| matches!(byte, b'\r' | b'\n')).next();
            Some(String::from_utf8_lossy(line.unwrap_or_default()).into_owned())
        }
        None => None,
    };
    let options = OptsBuilder::default()
        .ip_or_hostname(host.address.ip().to_string())
        .tcp_port(host.address.port())
        .user(Some(user))
        .pass(password)
        .db_name(database.as_ref())
        // What it would ask the server for otherwise.
        .prefer_socket(false)
        .max_allowed_packet(Some(1024 * 1024))
        .wait_timeout(Some(60));
    let mut connection = Conn::new(options).await.map_err(Failure::Mysql)?;
    let what = match query {
        Some(query) => connection.query_drop(query).await.map(|()| "query"),
        None => connection.ping().await.map(|()| "login"),
    };
    let what = what.map_err(Failure::Mysql)?;
    connection.disconnect().await.map_err(Failure::Mysql)?;
    Ok(what.into())
}
