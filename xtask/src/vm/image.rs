//! A guest's initramfs: a shell, the programs that are called with their libraries, the programs
//! under test, and the modules of the kernel.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{archive::Kernel, programs::Programs};
use crate::{exec, workspace};

/// What is in an image.
pub(crate) struct Content<'a> {
    /// The first process.
    pub(crate) init: &'a str,
    /// Programs of this machine; their libraries come along.
    pub(crate) tools: &'a [&'a str],
    /// The shell's own programs.
    pub(crate) applets: &'a [&'a str],
    /// The modules that may be needed; what they need comes along.
    pub(crate) modules: &'a [&'a str],
    /// Files, and where in the image they go.
    pub(crate) files: Vec<(PathBuf, &'a str)>,
}

/// Makes the image of a kernel for its tests.
pub(crate) fn make(kernel: &Kernel, programs: &Programs, folder: &Path) -> Result<PathBuf> {
    let files = vec![
        (programs.lb.clone(), "bin/lb"),
        (programs.packet.clone(), "bin/packet"),
        (programs.vm.clone(), "bin/vm"),
        (workspace::root().join("tests/budget.toml"), "etc/budget.toml"),
    ];
    let content = Content {
        init: include_str!("init.sh"),
        tools: &["ip", "nsenter", "ethtool", "nginx", "curl", "kmod", "bash"],
        applets: &[
            "sh", "mount", "mkdir", "uname", "cat", "ln", "stat", "hostname", "poweroff", "sysctl",
            "dmesg",
        ],
        modules: &[
            "virtio_pci",
            "virtio_net",
            "veth",
            "bridge",
            "8021q",
            "ipip",
            "sit",
            "ip6_tunnel",
            "fou",
            "fou6",
        ],
        files,
    };
    content.image(kernel, folder)
}

impl Content<'_> {
    /// Makes the image for a kernel.
    pub(crate) fn image(&self, kernel: &Kernel, folder: &Path) -> Result<PathBuf> {
        let root = folder.join("root");
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        for place in
            ["bin", "sbin", "proc", "sys", "dev", "tmp", "run", "etc", "var/log", "var/lib"]
        {
            fs::create_dir_all(root.join(place))?;
        }
        users(&root)?;
        self.shell(&root)?;
        for tool in self.tools {
            add(&root, &tool_path(tool)?, &format!("bin/{tool}"))?;
        }
        for link in ["modprobe", "depmod"] {
            symlink("/bin/kmod", root.join("sbin").join(link))?;
        }
        for (file, place) in &self.files {
            add(&root, file, place)?;
            if is_program(place) {
                // A guest has little memory, and holds all of this twice while it starts.
                let _ = exec::output(Command::new("strip").arg("-g").arg(root.join(place)))?;
            }
        }
        modules(&root, kernel, self.modules)?;
        let init = root.join("init");
        fs::write(&init, self.init)?;
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
        pack(&root, &folder.join("initramfs.cpio"))
    }

    fn shell(&self, root: &Path) -> Result<()> {
        add(root, &tool_path("busybox")?, "bin/busybox")?;
        for applet in self.applets {
            symlink("busybox", root.join("bin").join(applet))?;
        }
        Ok(())
    }
}

/// nginx looks its users up.
fn users(root: &Path) -> Result<()> {
    let passwd = "root:x:0:0:root:/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n\
                  nobody:x:65534:65534::/:/bin/sh\n";
    fs::write(root.join("etc/passwd"), passwd)?;
    fs::write(root.join("etc/group"), "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n")?;
    Ok(())
}

fn tool_path(name: &str) -> Result<PathBuf> {
    workspace::find_program(name).with_context(|| format!("{name} is not installed"))
}

/// Copies a file to its place, and if it is a program, its libraries to where they are here.
fn add(root: &Path, file: &Path, place: &str) -> Result<()> {
    let to = root.join(place);
    let _ = fs::copy(file, &to)
        .with_context(|| format!("cannot copy {} to {}", file.display(), to.display()))?;
    // `ldd` fails for what is linked statically, and for what is no program.
    let libraries = exec::output(Command::new("ldd").arg(file)).unwrap_or_default();
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        let to = root.join(library.trim_start_matches('/'));
        if !to.exists() {
            let folder = to.parent().context("a library lies in a folder")?;
            fs::create_dir_all(folder)?;
            let _ = fs::copy(library, &to).with_context(|| format!("cannot copy {library}"))?;
        }
    }
    Ok(())
}

/// Whether a file can do without its debug information. What an eBPF object defines its maps by is there.
fn is_program(place: &str) -> bool {
    place.starts_with("bin/") && Path::new(place).extension().is_none()
}

/// The modules with all that they need, and their index.
fn modules(root: &Path, kernel: &Kernel, wanted: &[&str]) -> Result<()> {
    let Kernel { release, modules: from, .. } = kernel;
    let to = root.join("lib/modules").join(release);
    let index = index(kernel)?;
    for file in closure(&index, wanted) {
        let place = to.join(&file);
        fs::create_dir_all(place.parent().context("a module lies in a folder")?)?;
        let _ = fs::copy(from.join(&file), &place)?;
    }
    for list in ["modules.builtin", "modules.order", "modules.builtin.modinfo"] {
        if from.join(list).exists() {
            let _ = fs::copy(from.join(list), to.join(list))?;
        }
    }
    let _ = exec::output(Command::new(tool_path("depmod")?).arg("-b").arg(root).arg(release))?;
    Ok(())
}

/// `modules.dep` of all the kernel's modules.
fn index(kernel: &Kernel) -> Result<String> {
    let path = kernel.modules.join("modules.dep");
    if !path.exists() {
        // `…/usr/lib/modules/RELEASE` or `…/lib/modules/RELEASE`.
        let base = kernel.modules.ancestors().nth(3).context("modules lie below a root")?;
        let mut depmod = Command::new(tool_path("depmod")?);
        let _ = exec::output(depmod.arg("-b").arg(base).arg(&kernel.release))?;
    }
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The files of the wanted modules and of those that they need. What is not there is built in.
fn closure(index: &str, wanted: &[&str]) -> BTreeSet<String> {
    let is_wanted = |file: &str| {
        let name = file.rsplit('/').next().and_then(|name| name.split(".ko").next());
        name.is_some_and(|name| wanted.contains(&name))
    };
    let lines = index.lines().filter_map(|line| line.split_once(':'));
    let wanted = lines.filter(|(file, _)| is_wanted(file));
    wanted
        .flat_map(|(file, needs)| std::iter::once(file).chain(needs.split_whitespace()))
        .map(str::to_owned)
        .collect()
}

fn pack(root: &Path, image: &Path) -> Result<PathBuf> {
    let script = "find . -print0 | cpio --null --create --format=newc --quiet > \"$0\"";
    exec::run(Command::new("sh").args(["-c", script]).arg(image).current_dir(root))?;
    Ok(image.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_lose_their_debug_information() {
        assert!(is_program("bin/lb"));
        assert!(!is_program("bin/lb-driver.o") && !is_program("etc/lb.toml"));
    }

    #[test]
    fn modules_bring_what_they_need() {
        let index = "kernel/net/fou.ko.xz: kernel/net/udp_tunnel.ko.xz kernel/net/x.ko.xz\n\
                     kernel/net/udp_tunnel.ko.xz:\nkernel/drivers/dvb.ko.xz:\n";
        let files: Vec<String> = closure(index, &["fou"]).into_iter().collect();
        let expected =
            ["kernel/net/fou.ko.xz", "kernel/net/udp_tunnel.ko.xz", "kernel/net/x.ko.xz"];
        assert_eq!(files, expected);
    }
}
