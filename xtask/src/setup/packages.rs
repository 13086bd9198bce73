//! The machine's packages: what may be installed, and installing it.

use std::{
    cell::Cell,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Result, bail};

use super::version::{self, Release};
use crate::{
    exec::{self, Stream},
    progress::{self, Clock, Progress},
    workspace,
};

/// Set where packages that are in the way of others may be removed, as on a machine that CI throws away.
const MAY_REMOVE: &str = "LB_SETUP_MAY_REMOVE";

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
        progress::say(&format!(
            "xtask: installing {list} (the first time, this takes a minute or two)"
        ));
        // Nothing that somebody chose to have is removed for a package that conflicts.
        if let Err(error) = apt_install(packages, &["--no-remove"]) {
            if std::env::var_os(MAY_REMOVE).is_none() {
                return Err(error.context(format!(
                    "if packages that conflict may be removed, set {MAY_REMOVE}=1"
                )));
            }
            apt_install(packages, &[])?;
        }
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
        let _clock = Clock::start("fetching the package lists", None);
        if let Err(error) = exec::run(Command::new("apt-get").args(["update", "-qq"])) {
            progress::say(&format!("xtask: {error:#}; going on with the lists of before"));
        }
    }
}

fn apt_install(packages: &[String], options: &[&str]) -> Result<()> {
    let bar = Progress::new("installing", 100);
    exec::heard(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(options)
            .args(packages)
            .args(["-o", "APT::Status-Fd=1"])
            .stdin(Stdio::null()),
        Stream::Output,
        // Errors come by the other stream.
        |line| {
            if let Some((percent, doing)) = status(line) {
                bar.at(percent, 100, doing);
            }
        },
    )
}

/// How far apt is, from a line of its status: `pmstatus:PACKAGE:PERCENT:DOING`, and `dlstatus` while
/// it fetches.
fn status(line: &str) -> Option<(u64, &str)> {
    let (kind, rest) = line.split_once(':')?;
    let (_, rest) = matches!(kind, "dlstatus" | "pmstatus").then(|| rest.split_once(':'))??;
    let (percent, doing) = rest.split_once(':')?;
    Some((percent.split('.').next()?.parse().ok()?, doing))
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
    fn apt_says_how_far_it_is() {
        let unpacking = "pmstatus:nginx:45.2381:Unpacking nginx (amd64)";
        assert_eq!(status(unpacking), Some((45, "Unpacking nginx (amd64)")));
        assert_eq!(status("dlstatus:1:9.5:Retrieving file 1 of 3").map(|it| it.0), Some(9));
        assert_eq!(status("Reading package lists..."), None);
    }

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
