//! The node under test: the real daemon, and its command line.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output},
    time::Duration,
};

use lb_userspace::api::types::{Backend, Health, Service, Stats, Status};
use serde::de::DeserializeOwned;

use crate::{
    Error,
    netns::Netns,
    process::Process,
    run::{command, describe, eventually, output, run},
    second::Second,
    site::Site,
    workspace::lb_binary,
};

/// How long the daemon may take to answer after its start: an emulated machine with an old kernel
/// verifies the program for half a minute.
const START: Duration = Duration::from_secs(120);

/// A daemon in a namespace of the site. It is ended on drop; its pinned state goes with the site.
#[derive(Debug)]
pub struct Node<'a> {
    process: Process,
    netns: &'a Netns,
    binary: PathBuf,
    config: Option<PathBuf>,
    socket: PathBuf,
    log: PathBuf,
}

impl Site {
    /// Starts `lb run` with a configuration, whose runtime directory must be [`runtime_dir`], and
    /// waits until it answers.
    ///
    /// [`runtime_dir`]: Site::runtime_dir
    pub fn start_node(&self, config: &str) -> Result<Node<'_>, Error> {
        let file = self.write_config(config)?;
        self.start(&self.lb, Some(file), &self.runtime_dir())
    }

    /// As [`start_node`](Self::start_node), on another machine, with a configuration of
    /// [`Second::config`].
    pub fn start_second_node<'a>(
        &'a self,
        second: &'a Second,
        config: &str,
    ) -> Result<Node<'a>, Error> {
        let file = self.write_config_as("second.toml", config)?;
        self.start(&second.netns, Some(file), second.runtime_dir())
    }

    /// Starts `lb run` with the configuration that is built into it, and waits until it answers.
    /// No other node may have state on this machine.
    pub fn start_default_node(&self) -> Result<Node<'_>, Error> {
        let runtime_dir = Path::new(DEFAULT_RUNTIME_DIR);
        self.folder().own(runtime_dir)?;
        self.folder().own(Path::new(DEFAULT_PIN_DIR))?;
        self.start(&self.lb, None, runtime_dir)
    }

    fn start<'a>(
        &'a self,
        netns: &'a Netns,
        config: Option<PathBuf>,
        runtime_dir: &Path,
    ) -> Result<Node<'a>, Error> {
        let binary = lb_binary()?;
        let log = self.folder().path().join(format!("{}.log", netns.name()));
        let process = start_daemon(netns, &binary, config.as_deref(), &log)?;
        let socket = runtime_dir.join("lb.sock");
        let mut node = Node { process, netns, binary, config, socket, log };
        node.wait_until_it_answers()?;
        Ok(node)
    }

    /// A command that runs `lb` in the site's `lb` namespace.
    pub fn lb_command(&self) -> Result<Command, Error> {
        Ok(self.lb.command(lb_binary()?))
    }
}

/// Where a node without a configuration file keeps its socket.
const DEFAULT_RUNTIME_DIR: &str = "/run/lb";
/// Where a node without a configuration file pins its maps.
const DEFAULT_PIN_DIR: &str = "/sys/fs/bpf/lb";

impl Node<'_> {
    /// The daemon's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// How the daemon ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// The path of the `lb` binary.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The control socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What the daemon wrote.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Runs an `lb` command against it, however that ends.
    pub fn cli(&self, arguments: &[&str]) -> Result<Output, Error> {
        output(&mut self.command(arguments))
    }

    /// Runs an `lb` command that must succeed, and returns what it wrote.
    pub fn order(&self, arguments: &[&str]) -> Result<String, Error> {
        run(&mut self.command(arguments))
    }

    /// `lb --json …`, parsed.
    pub fn ask<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T, Error> {
        let mut command = self.command(&[&["--json"], arguments].concat());
        let output = run(&mut command)?;
        serde_json::from_str(&output).map_err(|source| Error::Answer {
            command: describe(&command),
            source,
            output,
        })
    }

    /// `lb status`.
    pub fn status(&self) -> Result<Status, Error> {
        self.ask(&["status"])
    }

    /// `lb service list`.
    pub fn services(&self) -> Result<Vec<Service>, Error> {
        self.ask(&["service", "list"])
    }

    /// `lb backend list`.
    pub fn backends(&self) -> Result<Vec<Backend>, Error> {
        self.ask(&["backend", "list"])
    }

    /// `lb stats`.
    pub fn stats(&self) -> Result<Stats, Error> {
        self.ask(&["stats"])
    }

    /// Waits until every backend takes traffic: it is not down, and its next hop is known.
    pub fn wait_until_ready(&self) -> Result<(), Error> {
        eventually(START, "all backends take traffic", || {
            let backends = self.backends().map_err(|error| error.to_string())?;
            match backends.iter().find(|backend| !is_ready(backend)) {
                None => Ok(()),
                Some(backend) => Err(format!("{backend:?}\n{}", self.log())),
            }
        })
    }

    /// SIGKILL: nothing that it pinned is cleaned up.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and how it ended then.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        self.process.end();
        self.process.ended()
    }

    /// The `lb` to start from now on.
    pub fn replace_binary(&mut self, binary: PathBuf) {
        self.binary = binary;
    }

    /// Starts it again, as it was started before, and waits until it answers.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.process.end();
        self.process = start_daemon(self.netns, &self.binary, self.config.as_deref(), &self.log)?;
        self.wait_until_it_answers()
    }

    fn wait_until_it_answers(&mut self) -> Result<(), Error> {
        let (id, mut ended) = (self.process.id(), None);
        let answers = eventually(START, "lb run answers", || {
            ended = self.process.ended();
            match self.status() {
                // A predecessor's answer is not meant.
                Ok(status) if status.pid == id || ended.is_some() => Ok(()),
                Ok(status) => Err(format!("pid {} answers instead of {id}", status.pid)),
                Err(_) if ended.is_some() => Ok(()),
                Err(error) => Err(format!("{error}\n{}", self.log())),
            }
        });
        match ended {
            None => answers,
            Some(status) => Err(Error::Command {
                command: format!("{} run", self.binary.display()),
                status,
                output: self.log(),
            }),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut lb = command(&self.binary);
        let _: &mut Command = lb.arg("--socket").arg(&self.socket).args(arguments);
        lb
    }
}

fn is_ready(backend: &Backend) -> bool {
    backend.health != Health::Down && backend.next_hop.is_some()
}

fn start_daemon(
    netns: &Netns,
    binary: &Path,
    config: Option<&Path>,
    log: &Path,
) -> Result<Process, Error> {
    let open = || OpenOptions::new().append(true).create(true).open(log);
    let stdout: File = open().map_err(Error::file("write", log))?;
    let stderr = open().map_err(Error::file("write", log))?;
    let mut daemon = netns.command(binary);
    let _: &mut Command = daemon.arg("run").stdout(stdout).stderr(stderr);
    if let Some(config) = config {
        let _: &mut Command = daemon.arg("--config").arg(config);
    }
    Process::start(&mut daemon)
}
