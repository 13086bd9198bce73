//! Kernels from Debian's archive, by an apt of our own: the system's is left alone. apt checks
//! signatures and hashes; what was fetched stays in the user's cache.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{exec, progress};

/// The release series that are tested, the oldest first.
pub(crate) const SERIES: [&str; 4] = ["6.1", "6.12", "6.18", "7.2"];

const MIRROR: &str = "http://deb.debian.org/debian";
const SECURITY: &str = "http://deb.debian.org/debian-security";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Where the series are, or have been: an exact version vanishes with the next one.
const SUITES: [(&str, &str); 5] = [
    (SECURITY, "bookworm-security"),
    (MIRROR, "bookworm"),
    (MIRROR, "trixie"),
    (MIRROR, "trixie-backports"),
    (MIRROR, "sid"),
];

/// A kernel to boot.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// Major and minor version.
    pub(crate) series: String,
    /// What `uname -r` says.
    pub(crate) release: String,
    /// The image.
    pub(crate) image: PathBuf,
    /// `/lib/modules/RELEASE`.
    pub(crate) modules: PathBuf,
}

/// The archive, as of now.
pub(crate) struct Archive {
    cache: PathBuf,
}

impl Archive {
    /// Reads the archive's lists.
    pub(crate) fn open() -> Result<Self> {
        ensure!(
            Path::new(KEYRING).exists(),
            "{KEYRING} is missing: install the package debian-archive-keyring"
        );
        let archive = Self { cache: cache()?.join("lb/kernels") };
        for folder in ["etc/apt.conf.d", "etc/preferences.d", "state/lists/partial", "debs"] {
            fs::create_dir_all(archive.cache.join(folder))?;
        }
        fs::create_dir_all(archive.cache.join("cache/archives/partial"))?;
        let line = |(uri, suite)| format!("deb [signed-by={KEYRING}] {uri} {suite} main\n");
        let sources: String = SUITES.map(line).concat();
        fs::write(archive.cache.join("etc/sources.list"), sources)?;
        fs::write(archive.cache.join("apt.conf"), archive.configuration())?;
        let _ = exec::output(archive.apt("apt-get").args(["-q", "update"]))?;
        Ok(archive)
    }

    fn configuration(&self) -> String {
        let at = |folder: &str| self.cache.join(folder).display().to_string();
        format!(
            "Dir::Etc \"{}\";\nDir::Etc::sourcelist \"sources.list\";\n\
             Dir::Etc::sourceparts \"/nonexistent\";\nDir::State \"{}\";\n\
             Dir::State::status \"/dev/null\";\nDir::Cache \"{}\";\n\
             APT::Architecture \"amd64\";\nAcquire::Languages \"none\";\n\
             APT::Sandbox::User \"root\";\n\
             // A mirror may lag: its signature and hashes hold nevertheless.\n\
             Acquire::Check-Valid-Until \"false\";\nAcquire::Retries \"3\";\n",
            at("etc"),
            at("state"),
            at("cache")
        )
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let _ = command
            .env("APT_CONFIG", self.cache.join("apt.conf"))
            .current_dir(self.cache.join("debs"));
        command
    }

    fn names(&self, start: &str) -> Result<Vec<String>> {
        let names = exec::output(self.apt("apt-cache").args(["pkgnames", start]))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// The newest kernel of a series.
    pub(crate) fn kernel(&self, series: &str) -> Result<Kernel> {
        let names = self.names(&format!("linux-image-{series}."))?;
        let release = newest(&names, series).with_context(|| {
            format!("Debian's archive has no cloud kernel of the series {series} any more")
        })?;
        let root = self.cache.join("roots").join(&release);
        if !root.exists() {
            self.unpack(&release, &root)?;
        }
        let modules = [root.join("usr/lib/modules"), root.join("lib/modules")];
        let modules = modules.map(|folder| folder.join(&release));
        let modules = modules.into_iter().find(|folder| folder.is_dir());
        let modules = modules.with_context(|| format!("no modules of {release}"))?;
        let images = [root.join(format!("boot/vmlinuz-{release}")), modules.join("vmlinuz")];
        let image = images.into_iter().find(|image| image.is_file());
        let image = image.with_context(|| format!("no image of {release}"))?;
        Ok(Kernel { series: series.to_owned(), release, image, modules })
    }

    /// Fetches and unpacks a kernel; since 7.x it comes in several packages.
    fn unpack(&self, release: &str, root: &Path) -> Result<()> {
        let mut packages = vec![format!("linux-image-{release}")];
        for part in ["linux-binary", "linux-modules"] {
            let name = format!("{part}-{release}");
            packages.extend(self.names(&name)?.into_iter().filter(|found| *found == name));
        }
        progress::say(&format!("xtask: fetching Linux {release}"));
        let _ = exec::output(self.apt("apt-get").args(["-q", "download"]).args(&packages))?;
        let partial = root.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        fs::create_dir_all(&partial)?;
        for package in &packages {
            let deb = self.deb(package)?;
            let _ = exec::output(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&partial))?;
            fs::remove_file(deb)?;
        }
        fs::rename(&partial, root).with_context(|| format!("cannot make {}", root.display()))
    }

    fn deb(&self, package: &str) -> Result<PathBuf> {
        let start = format!("{package}_");
        for entry in fs::read_dir(self.cache.join("debs"))? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&start) {
                return Ok(entry.path());
            }
        }
        anyhow::bail!("apt fetched no {package}")
    }
}

fn cache() -> Result<PathBuf> {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    cache.context("neither XDG_CACHE_HOME nor HOME says where to keep kernels")
}

/// The newest release of a series among packages' names.
fn newest(names: &[String], series: &str) -> Option<String> {
    let releases = names.iter().filter_map(|name| {
        let release = name.strip_prefix("linux-image-")?;
        let version = release.strip_suffix("-cloud-amd64")?;
        version.starts_with(&format!("{series}.")).then_some(release)
    });
    releases.max_by_key(|release| numbers(release)).map(str::to_owned)
}

/// All numbers of a version, in order.
fn numbers(version: &str) -> Vec<u64> {
    let parts = version.split(|character: char| !character.is_ascii_digit());
    parts.filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_series_is_found() {
        let names = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.1.0-57-cloud-amd64-unsigned",
            "linux-image-6.12.117+deb13-cloud-amd64",
            "linux-image-6.12.9+deb13-cloud-amd64",
            "linux-image-6.1-cloud-amd64",
        ];
        let names = names.map(str::to_owned);
        assert_eq!(newest(&names, "6.1").as_deref(), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(newest(&names, "6.12").as_deref(), Some("6.12.117+deb13-cloud-amd64"));
        assert_eq!(newest(&names, "7.2"), None);
    }
}
