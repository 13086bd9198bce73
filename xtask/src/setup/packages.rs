//! The machine's packages: what may be installed, and installing it.

use std::{
    cell::Cell,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Result, bail};

use super::version::{self, Release};
use crate::{exec, workspace};

/// The machine, as far as installing goes.
pub(crate) struct Host {
    root: bool,
    apt: bool,
    updated: Cell<bool>,
}

impl Host {
    /// Looks at the machine.
    pub(crate) fn probe() -> Self {
        let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let apt = is_debian(&os) && workspace::find_program("apt-get").is_some();
        Self { root: workspace::is_root(), apt, updated: Cell::new(false) }
    }

    /// Whether there is apt.
    pub(crate) fn has_apt(&self) -> bool {
        self.apt
    }

    /// Whether packages can be installed without asking anybody.
    pub(crate) fn can_install(&self) -> bool {
        self.root && self.apt
    }

    /// The version of a package that apt would install.
    pub(crate) fn candidate(&self, package: &str) -> Option<Release> {
        self.refresh();
        let policy = self.query(&["policy", package])?;
        version::candidate(&policy)
    }

    /// The LLVM that a package of apt's pulls in.
    pub(crate) fn llvm_behind(&self, package: &str) -> Option<u32> {
        self.refresh();
        let depends = self.query(&["depends", "--recurse", "--important", package])?;
        version::llvm_dependency(&depends)
    }

    /// Installs packages, or says how.
    pub(crate) fn install(&self, packages: &[String]) -> Result<()> {
        let list = packages.join(" ");
        if !self.apt {
            bail!("this is not a Debian system: install what the Debian packages {list} hold");
        }
        if !self.root {
            bail!(
                "only root can install packages: run `sudo apt-get update && \
                 sudo apt-get install --no-install-recommends {list}`"
            );
        }
        self.refresh();
        eprintln!("xtask: installing {list} (the first time, this takes a minute or two)");
        exec::run(
            Command::new("apt-get")
                .env("DEBIAN_FRONTEND", "noninteractive")
                // Nothing that somebody chose to have is removed for a package that conflicts.
                .args(["install", "-y", "-qq", "--no-install-recommends", "--no-remove"])
                .args(packages)
                // Errors come by the other stream; this one names each file that is unpacked.
                .stdout(Stdio::null()),
        )?;
        if packages.iter().any(|package| package.starts_with("nginx")) {
            keep_nginx_off();
        }
        Ok(())
    }

    fn query(&self, arguments: &[&str]) -> Option<String> {
        if !self.apt {
            return None;
        }
        exec::output(Command::new("apt-cache").env("LC_ALL", "C").args(arguments)).ok()
    }

    /// Fetches the package lists, once. Without a network the old lists may still do.
    fn refresh(&self) {
        if !self.can_install() || self.updated.replace(true) {
            return;
        }
        eprintln!("xtask: fetching the package lists");
        if let Err(error) = exec::run(Command::new("apt-get").args(["update", "-qq"])) {
            eprintln!("xtask: {error:#}; going on with the lists of before");
        }
    }
}

/// The demo and the tests start their own nginx: the service that the package brings would only
/// hold port 80 of this machine.
fn keep_nginx_off() {
    let commands: &[&[&str]] = if Path::new("/run/systemd/system").exists() {
        &[&["systemctl", "disable", "--now", "nginx"]]
    } else {
        &[&["service", "nginx", "stop"], &["update-rc.d", "nginx", "disable"]]
    };
    for command in commands {
        // It may never have been started; then there is nothing to say.
        drop(exec::output(Command::new(command[0]).args(&command[1..])));
    }
}

/// Whether `/etc/os-release` describes Debian or a system made from it.
fn is_debian(os_release: &str) -> bool {
    os_release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
        .flat_map(|value| value.trim_matches('"').split(' '))
        .any(|id| id == "debian")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_children_are_recognised() {
        assert!(is_debian("NAME=\"Debian GNU/Linux\"\nID=debian\n"));
        assert!(is_debian("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian("ID=fedora\nHOME_URL=debian\n"));
        assert!(!is_debian(""));
    }

    #[test]
    fn who_cannot_install_is_told_what_to_type() {
        let packages = ["curl".to_owned(), "ethtool".to_owned()];
        let complaint = |root, apt| {
            let host = Host { root, apt, updated: Cell::new(true) };
            host.install(&packages).unwrap_err().to_string()
        };
        assert!(complaint(false, true).contains("install --no-install-recommends curl ethtool`"));
        assert!(complaint(true, false).contains("the Debian packages curl ethtool hold"));
    }
}
