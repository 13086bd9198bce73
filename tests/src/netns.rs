//! Network namespaces, by way of iproute2.

use std::{
    fs::{self, File},
    os::fd::AsFd,
    panic,
    path::{Path, PathBuf},
    process::Command,
    thread::{self, JoinHandle},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::{
    Error, process,
    run::{command, run},
};

/// Where iproute2 keeps the names of namespaces.
const NAMES: &str = "/run/netns";

/// A named network namespace; it goes away on drop, with whatever still runs in it.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes a namespace with its loopback interface up. IPv6 addresses in it are usable at once:
    /// duplicate address detection would delay them by seconds.
    pub fn create(name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        let _: String = run(command("ip").args(["netns", "add", &name]))?;
        let netns = Self { name };
        netns.ip("link set lo up")?;
        for conf in ["all", "default"] {
            netns.sysctl(&format!("net/ipv6/conf/{conf}/accept_dad"), "0")?;
            netns.sysctl(&format!("net/ipv6/conf/{conf}/accept_ra"), "0")?;
            // New namespaces take the machine's IPv4 settings, and hardened machines filter.
            netns.sysctl(&format!("net/ipv4/conf/{conf}/rp_filter"), "0")?;
        }
        Ok(netns)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        path(&self.name)
    }

    /// Runs `ip` on it; the arguments are separated by blanks.
    pub fn ip(&self, arguments: &str) -> Result<(), Error> {
        let _: String =
            run(command("ip").args(["-n", &self.name]).args(arguments.split_whitespace()))?;
        Ok(())
    }

    /// A command that runs in it. `ip netns exec` would remount /sys and hide the bpffs.
    #[must_use]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut nsenter = command("nsenter");
        let _: &mut Command =
            nsenter.arg(format!("--net={}", self.path().display())).arg(program.as_ref());
        nsenter
    }

    /// Sets a value under /proc/sys, such as `net/ipv4/ip_forward`.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<(), Error> {
        let path = Path::new("/proc/sys").join(key);
        self.enter(|| fs::write(&path, value).map_err(Error::file("write", &path)))?
    }

    /// Turns off checksum offload (and with it segmentation offload) of an interface: a frame that
    /// still waits for its checksum loses the note of that when XDP sends it on.
    pub fn checksum_in_software(&self, interface: &str) -> Result<(), Error> {
        let _: String = run(self.command("ethtool").args(["-K", interface, "tx", "off"]))?;
        Ok(())
    }

    /// Does something on a thread of its own that is in the namespace.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        let in_namespace = || {
            self.move_this_thread()?;
            Ok(work())
        };
        thread::scope(|scope| scope.spawn(in_namespace).join())
            .unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    }

    /// Starts a thread that is in the namespace.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, Error> {
        // A thread begins in the namespace of the one that starts it.
        self.enter(|| thread::spawn(work))
    }

    fn move_this_thread(&self) -> Result<(), Error> {
        let file = File::open(self.path()).map_err(Error::file("open", self.path()))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|errno| Error::file("enter", self.path())(errno.into()))
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if let Err(error) = delete(&self.name) {
            eprintln!("the namespace {} stays: {error}", self.name);
        }
    }
}

/// The file that stands for a namespace.
fn path(name: &str) -> PathBuf {
    Path::new(NAMES).join(name)
}

/// One end of a veth pair to be.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// The namespace that it is put in.
    pub netns: &'a Netns,
    /// The interface's name there.
    pub name: &'a str,
}

impl End<'_> {
    /// Moves an interface of this machine here.
    pub fn take(&self, interface: &str) -> Result<(), Error> {
        let Self { netns, name } = self;
        let _: String = run(command("ip").args([
            "link",
            "set",
            interface,
            "down",
            "netns",
            &netns.name,
            "name",
            name,
        ]))?;
        netns.ip(&format!("link set {name} up"))
    }
}

/// Joins two namespaces by a cable, plugged in at both ends.
pub fn veth(a: End<'_>, b: End<'_>) -> Result<(), Error> {
    let _: String = run(command("ip")
        .args(["link", "add", a.name, "netns", &a.netns.name, "type", "veth"])
        .args(["peer", "name", b.name, "netns", &b.netns.name]))?;
    a.netns.ip(&format!("link set {} up", a.name))?;
    b.netns.ip(&format!("link set {} up", b.name))
}

/// The namespaces whose names start with a prefix.
pub fn named(prefix: &str) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(NAMES) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("list", NAMES)(error)),
    };
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// The processes in a namespace.
pub fn pids(name: &str) -> Result<Vec<i32>, Error> {
    let list = run(command("ip").args(["netns", "pids", name]))?;
    Ok(list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect())
}

/// SIGKILL to everything that runs in a namespace, at once.
pub fn kill_all(netns: &Netns) -> Result<(), Error> {
    for pid in pids(&netns.name)?.into_iter().filter_map(Pid::from_raw) {
        if let Err(error) = kill_process(pid, Signal::KILL) {
            eprintln!("process {}: {error}", pid.as_raw_nonzero());
        }
    }
    Ok(())
}

/// Ends what runs in a namespace and removes it; none of that name is fine.
pub fn delete(name: &str) -> Result<(), Error> {
    if !path(name).exists() {
        return Ok(());
    }
    process::end_all(&pids(name)?);
    let _: String = run(command("ip").args(["netns", "delete", name]))?;
    Ok(())
}
