//! Real database servers.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    Error,
    nginx::Web,
    process::Process,
    run::{command, describe, eventually, run},
    site::Site,
};

/// Where it listens, on all addresses of its machine.
pub const PORT: u16 = 3306;
/// Who may log in, with [`PASSWORD`].
pub const USER: &str = "lb";
/// The password of [`USER`].
pub const PASSWORD: &str = "a secret";

/// `MariaDB` on a web server's machine, until it is dropped.
#[derive(Debug)]
pub struct MariaDb<'a> {
    process: Process,
    web: &'a Web,
    folder: PathBuf,
    arguments: Vec<String>,
}

impl<'a> MariaDb<'a> {
    /// Makes an empty database in the site's folder, starts the server, and waits for it.
    pub fn start(site: &Site, web: &'a Web) -> Result<Self, Error> {
        Self::start_with(site, web, &[])
    }

    /// As [`start`](Self::start), with further arguments.
    pub fn start_with(site: &Site, web: &'a Web, arguments: &[&str]) -> Result<Self, Error> {
        let folder = site.folder().path().join(format!("mariadb-{}", web.name));
        let data = folder.join("data");
        fs::create_dir_all(&data).map_err(Error::file("create", &data))?;
        let init = folder.join("init.sql");
        // A replica must not have transactions of its own.
        // A replica must not have transactions of its own.
        let user = format!(
            "SET SESSION sql_log_bin = 0;\n\
             CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
        );
        fs::write(&init, user).map_err(Error::file("write", &init))?;
        let _: String = run(command("mariadb-install-db")
            .args(["--no-defaults", "--user=root", "--skip-test-db"])
            .arg(format!("--datadir={}", data.display()))
            .arg("--auth-root-authentication-method=normal"))?;
        let arguments = arguments.iter().map(|&it| it.to_owned()).collect();
        let process = start(web, &folder, &arguments)?;
        Ok(Self { process, web, folder, arguments })
    }

    /// Its Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket(&self.folder)
    }

    /// Has statements run by the administrator, who may do all. Gives the answers, without the names of
    /// columns.
    pub fn sql(&self, statements: &str) -> Result<String, Error> {
        let mut client = command("mariadb");
        let socket = format!("--socket={}", self.socket().display());
        run(client.args(["--no-defaults", "-uroot", "-N", "-B", &socket, "-e", statements]))
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the data that it has, and waits for it.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.process.end();
        self.process = start(self.web, &self.folder, &self.arguments)?;
        Ok(())
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}

fn start(web: &Web, folder: &Path, arguments: &Vec<String>) -> Result<Process, Error> {
    let mut mariadbd: Command = web.netns.command("mariadbd");
    let _: &mut Command = mariadbd
        .args(["--no-defaults", "--user=root", "--skip-name-resolve"])
        .arg(format!("--datadir={}", folder.join("data").display()))
        .arg("--innodb-buffer-pool-size=8M")
        .arg(format!("--port={PORT}"))
        .arg(format!("--socket={}", socket(folder).display()))
        .arg(format!("--init-file={}", folder.join("init.sql").display()))
        .arg(format!("--log-error={}", folder.join("error.log").display()))
        .args(arguments)
        .stderr(Stdio::null());
    let process = Process::start(&mut mariadbd)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    web.netns.enter(|| {
        eventually(Duration::from_secs(60), &describe(&mariadbd), || {
            TcpStream::connect(address).map(drop).map_err(|error| error.to_string())
        })
    })??;
    Ok(process)
}
