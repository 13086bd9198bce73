//! A real keepalived.

use std::{
    fs::{self, File},
    path::PathBuf,
};

use crate::{
    Error,
    netns::{self, Netns},
    process::Process,
    site::Site,
};

/// keepalived on a machine, until it is dropped.
#[derive(Debug)]
pub struct Keepalived<'a> {
    process: Process,
    machine: &'a Netns,
    log: PathBuf,
}

impl<'a> Keepalived<'a> {
    /// Starts it.
    pub fn start(site: &Site, machine: &'a Netns, config: &str) -> Result<Self, Error> {
        let folder = site.folder().path();
        let named = |what: &str| folder.join(format!("{}-keepalived{what}", machine.name()));
        let file = named(".conf");
        fs::write(&file, config).map_err(Error::file("write", &file))?;
        let log = named(".log");
        let out = || File::options().append(true).create(true).open(&log);
        let mut keepalived = machine.command("keepalived");
        let _ = keepalived
            .args(["--dont-fork", "--log-console", "--log-detail", "--vrrp", "--use-file"])
            .arg(&file)
            .arg("--pid")
            .arg(named(".pid"))
            .arg("--vrrp_pid")
            .arg(named("-vrrp.pid"))
            .stdout(out().map_err(Error::file("write", &log))?)
            .stderr(out().map_err(Error::file("write", &log))?);
        let process = Process::start(&mut keepalived)?;
        Ok(Self { process, machine, log })
    }

    /// What it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL to all its processes at once: it cannot say farewell.
    pub fn kill(&mut self) -> Result<(), Error> {
        netns::kill_all(self.machine)?;
        self.process.kill();
        Ok(())
    }

    /// SIGTERM: it says farewell.
    pub fn stop(&mut self) {
        self.process.end();
    }
}
