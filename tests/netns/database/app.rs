//! A small application behind a web server: it writes numbers to its database, and reads the greatest.

use std::{fs, net::SocketAddr, process::Command, sync::Arc, time::Duration};

use lb_tests::{mariadb::PASSWORD, process::Process, site::Site};
use mysql_async::{Conn, OptsBuilder, prelude::Queryable as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Mutex,
    time::timeout,
};

use super::{NODE, pair::APP};

/// Where the web server is, on the site's third machine, and the application behind it.
pub(super) const WEB: &str = "10.0.0.13:8088";
pub(super) const APPLICATION: &str = "10.0.0.13:9000";
/// Where the node forwards to whom.
pub(super) const APP_PORT: u16 = 8000;
pub(super) const WRITE_PORT: u16 = 3307;
pub(super) const READ_PORT: u16 = 3308;

/// Longer than a session is held for a primary.
const PATIENCE: Duration = Duration::from_secs(15);

/// Starts the application in a thread that lasts as long as the test, and gives the web server.
pub(super) fn start(site: &Site) -> Process {
    let machine = &site.web(3).netns;
    let (sender, ready) = std::sync::mpsc::channel();
    let serve = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind(APPLICATION).await.unwrap();
            sender.send(()).unwrap();
            let write = Arc::new(Database::new(WRITE_PORT, true));
            let read = Arc::new(Database::new(READ_PORT, false));
            while let Ok((client, _)) = listener.accept().await {
                let (write, read) = (Arc::clone(&write), Arc::clone(&read));
                // The client sees how it ends.
                drop(tokio::spawn(async move { serve(client, &write, &read).await.is_ok() }));
            }
        });
    };
    drop(machine.spawn(serve).unwrap());
    ready.recv().unwrap();
    web(site)
}

/// Answers one request.
async fn serve(mut client: TcpStream, write: &Database, read: &Database) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|it| it == b"\r\n\r\n") {
        if client.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let request = String::from_utf8_lossy(&request);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let answer = match path.strip_prefix("/write/") {
        Some(number) => {
            write
                .ask(&format!(
                    "INSERT INTO log (n, server) VALUES ({number}, @@server_id) \
                     ON DUPLICATE KEY UPDATE n = VALUES(n) RETURNING n, @@server_id"
                ))
                .await
        }
        None => read.ask("SELECT COALESCE(MAX(n), 0), @@server_id FROM log").await,
    };
    let (status, body) = match answer {
        Ok((number, server)) => ("200 OK", format!("{number} {server}")),
        Err(error) => ("503 Service Unavailable", error),
    };
    let length = body.len();
    let answer = format!("HTTP/1.0 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}

/// An application's way to its database.
struct Database {
    port: u16,
    /// Whether a connection serves more than one request.
    keeps: bool,
    connection: Mutex<Option<Conn>>,
}

impl Database {
    fn new(port: u16, keeps: bool) -> Self {
        Self { port, keeps, connection: Mutex::new(None) }
    }

    /// A number, and which server says so.
    async fn ask(&self, statement: &str) -> Result<(u64, u64), String> {
        let mut kept = self.connection.lock().await;
        let ask = async {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => Conn::new(self.options()).await?,
            };
            let answer = connection.query_first(statement).await?;
            if self.keeps {
                *kept = Some(connection);
            } else {
                connection.disconnect().await?;
            }
            Ok::<_, mysql_async::Error>(answer)
        };
        match timeout(PATIENCE, ask).await {
            Ok(Ok(Some(answer))) => Ok(answer),
            Ok(Ok(None)) => Err("no answer".into()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {PATIENCE:?}")),
        }
    }

    fn options(&self) -> OptsBuilder {
        OptsBuilder::default()
            .ip_or_hostname(NODE)
            .tcp_port(self.port)
            .user(Some(APP))
            .pass(Some(PASSWORD))
            .db_name(Some(APP))
            .prefer_socket(false)
            .max_allowed_packet(Some(1024 * 1024))
            .wait_timeout(Some(60))
    }
}

/// An nginx before the application, which it reaches through the node.
fn web(site: &Site) -> Process {
    let folder = site.folder().path();
    let address: SocketAddr = WEB.parse().unwrap();
    let config = format!(
        "daemon off;\nuser root;\nworker_processes 1;\npid app.pid;\nerror_log app.log;\n\
         events {{}}\nhttp {{\n  access_log off;\n  client_body_temp_path app-body;\n  \
         proxy_temp_path app-proxy;\n  fastcgi_temp_path app-fastcgi;\n  uwsgi_temp_path app-uwsgi;\n  \
         scgi_temp_path app-scgi;\n  server {{\n    listen {address};\n    location / {{\n      \
         proxy_pass http://{NODE}:{APP_PORT};\n      proxy_read_timeout 30s;\n    }}\n  }}\n}}\n"
    );
    fs::write(folder.join("app.conf"), config).unwrap();
    let mut nginx = site.web(3).netns.command("nginx");
    let _: &mut Command = nginx.arg("-p").arg(folder).args(["-c", "app.conf", "-e", "app.log"]);
    Process::start(&mut nginx).unwrap()
}
