//! Real web servers.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    Error,
    netns::Netns,
    process::Process,
    run::{describe, eventually},
};

/// The ports that a web server listens on.
pub const PORTS: [u16; 2] = [80, 8080];

/// One web server in a namespace of its own.
#[derive(Debug)]
pub struct Web {
    // Dropped first: it lives in the namespace.
    nginx: Mutex<Option<Process>>,
    /// `web1`, `web2`, …
    pub name: String,
    /// Where it lives.
    pub netns: Netns,
    folder: PathBuf,
}

impl Web {
    /// A server that is not started yet. `/` answers its name, `/client` the address and port that
    /// it sees, `/big` the file `big`.
    pub fn new(name: String, netns: Netns, folder: PathBuf, big: &Path) -> Result<Self, Error> {
        fs::create_dir(&folder).map_err(Error::file("create", &folder))?;
        let file = folder.join("nginx.conf");
        fs::write(&file, configuration(&name, big)).map_err(Error::file("write", file))?;
        Ok(Self { nginx: Mutex::new(None), name, netns, folder })
    }

    /// The command that starts it, for people to paste as well.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut nginx = self.netns.command("nginx");
        let _: &mut Command = nginx.arg("-p").arg(&self.folder);
        let _: &mut Command = nginx.args(["-c", "nginx.conf", "-e", "error.log"]);
        nginx
    }

    /// The file that holds the id of its process while it runs.
    #[must_use]
    pub fn pid_file(&self) -> PathBuf {
        self.folder.join("nginx.pid")
    }

    /// Starts it, and waits until it accepts connections on all addresses.
    pub fn start(&self) -> Result<(), Error> {
        let mut command = self.command();
        let process = Process::start(&mut command)?;
        *self.nginx() = Some(process);
        self.netns.enter(|| {
            eventually(Duration::from_secs(10), &describe(&command), || {
                listeners().try_for_each(|address| {
                    TcpStream::connect(address).map(drop).map_err(|e| format!("{address}: {e}"))
                })
            })
        })?
    }

    /// Ends it, as a crash would.
    pub fn stop(&self) {
        if let Some(mut process) = self.nginx().take() {
            process.kill();
        }
    }

    fn nginx(&self) -> MutexGuard<'_, Option<Process>> {
        self.nginx.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listeners() -> impl Iterator<Item = SocketAddr> {
    let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    PORTS.into_iter().flat_map(move |port| loopback.map(|ip| SocketAddr::new(ip, port)))
}

fn configuration(name: &str, big: &Path) -> String {
    let [first, second] = PORTS;
    format!(
        r#"daemon off;
user root;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  default_type text/plain;
  sendfile on;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {{
    listen {first};
    listen [::]:{first};
    listen {second};
    listen [::]:{second};
    add_header X-Backend {name} always;
    location = / {{ return 200 "{name}\n"; }}
    location = /client {{ return 200 "$remote_addr:$remote_port\n"; }}
    location = /big {{ alias {big}; }}
  }}
}}
"#,
        big = big.display()
    )
}
