//! A real database server.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
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
pub struct MariaDb(#[expect(dead_code, reason = "it ends with this")] Process);

impl MariaDb {
    /// Makes an empty database in the site's folder, starts the server, and waits for it.
    pub fn start(site: &Site, web: &Web) -> Result<Self, Error> {
        let folder = site.folder().path().join("mariadb");
        let data = folder.join("data");
        let init = folder.join("init.sql");
        fs::create_dir_all(&data).map_err(Error::file("create", &data))?;
        let user = format!("CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n");
        fs::write(&init, user).map_err(Error::file("write", &init))?;
        let data = format!("--datadir={}", data.display());
        let _: String = run(command("mariadb-install-db")
            .args(["--no-defaults", "--user=root", "--skip-test-db", &data])
            .arg("--auth-root-authentication-method=normal"))?;

        let mut mariadbd: Command = web.netns.command("mariadbd");
        let _: &mut Command = mariadbd
            .args(["--no-defaults", "--user=root", "--skip-name-resolve", &data])
            .arg("--innodb-buffer-pool-size=8M")
            .arg(format!("--port={PORT}"))
            .arg(format!("--socket={}", folder.join("socket").display()))
            .arg(format!("--init-file={}", init.display()))
            .arg(format!("--log-error={}", folder.join("error.log").display()))
            .stderr(Stdio::null());
        let process = Process::start(&mut mariadbd)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        web.netns.enter(|| {
            eventually(Duration::from_secs(60), &describe(&mariadbd), || {
                TcpStream::connect(address).map(drop).map_err(|error| error.to_string())
            })
        })??;
        Ok(Self(process))
    }
}
