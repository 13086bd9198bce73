//! The layouts of machines: three guests on a bridge, one guest with a veth pair, hosts by ssh.

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use super::{
    inventory::{Inventory, Word},
    machine::{Guest, Host, Machine, Tell},
    network::Network,
    site::{Plan, Port, Site},
};
use crate::{
    vm::{
        archive::Kernel,
        guest::{self, Engine},
        image::Content,
        shell::{self, Shell},
    },
    workspace,
};

/// What the balancer's processor gets of the host's, in thousandths: so little that the generator and
/// the wire, which have the rest, always bring more than it forwards.
const BALANCER: u32 = 250;
/// What the processor of a guest gets that does everything.
const ALL_IN_ONE: u32 = 500;

/// How the guests are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Layout {
    /// Generator, balancer and sink are guests of their own on a bridge
    ThreeVms,
    /// Generator and sink share the far end of a veth pair, in the balancer's guest
    OneGuest,
}

impl Layout {
    pub(super) const ALL: [Self; 2] = [Self::ThreeVms, Self::OneGuest];

    /// Its name in results.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ThreeVms => "three-vms",
            Self::OneGuest => "one-guest",
        }
    }
}

/// A kernel with its image.
pub(super) struct Prepared {
    pub(super) kernel: Kernel,
    initramfs: PathBuf,
    folder: PathBuf,
}

/// Makes the image of a kernel for the benchmark; `programs` is the folder of the static ones.
pub(super) fn prepare(kernel: Kernel, programs: &Path) -> Result<Prepared> {
    let folder = workspace::target().join("vm").join(format!("bench-{}", kernel.series));
    fs::create_dir_all(&folder)?;
    let content = Content {
        init: shell::INIT,
        // Busybox's shell would run its own `ip`.
        tools: &["sh", "ip", "nsenter", "kmod", "ipvsadm"],
        applets: &[
            "awk", "cat", "grep", "kill", "mkdir", "mount", "poweroff", "rm", "sed", "setsid",
            "sleep", "stty", "sysctl",
        ],
        modules: &["virtio_pci", "virtio_net", "veth", "pktgen", "ip_vs", "ip_vs_mh"],
        files: vec![
            (programs.join("lb"), "bin/lb"),
            (programs.join("lb-bench"), "bin/lb-bench"),
            (workspace::driver(), "bin/lb-driver.o"),
        ],
    };
    let initramfs = content.image(&kernel, &folder)?;
    Ok(Prepared { kernel, initramfs, folder })
}

impl Prepared {
    /// The fastest engine that boots it.
    pub(super) fn engine(&self) -> Result<Engine> {
        guest::engine(&self.kernel.image, &self.initramfs, &self.folder)
    }

    fn qemu(&self, engine: Engine) -> Result<Command> {
        let qemu = guest::qemu(engine, &self.kernel.image, &self.initramfs, "shell")?;
        // The wire and the generator are not to wait for what else runs here.
        let mut nice = Command::new("nice");
        let _ = nice.args(["-n", "-10", "--"]).arg(qemu.get_program()).args(qemu.get_args());
        Ok(nice)
    }

    fn console(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}

/// The machines of a layout. They end, and the wire between them with them, when this is dropped.
pub(super) struct Stage {
    pub(super) site: Site,
    _network: Option<Network>,
}

/// Boots the guests of a layout.
pub(super) fn boot(layout: Layout, prepared: &Prepared, engine: Engine) -> Result<Stage> {
    match layout {
        Layout::ThreeVms => three_vms(prepared, engine),
        Layout::OneGuest => one_guest(prepared, engine),
    }
}

fn three_vms(prepared: &Prepared, engine: Engine) -> Result<Stage> {
    let macs: Vec<String> = (1..=3).map(|number| format!("02:00:00:00:00:0{number}")).collect();
    let network = Network::new(&macs)?;
    let mut shells = Vec::new();
    for (number, (mac, name)) in macs.iter().zip(["generator", "balancer", "sink"]).enumerate() {
        let mut qemu = prepared.qemu(engine)?;
        let qemu = network.inside(qemu.args(Network::card(number, mac)));
        shells.push(Shell::start(qemu, &prepared.console(name))?);
    }
    for shell in &mut shells {
        shell.ready()?;
    }
    shells[1].share(BALANCER)?;
    let port = |mac: &String| Port { interface: "eth0".to_owned(), mac: mac.clone() };
    let plan = Plan {
        generator: port(&macs[0]),
        balancer: port(&macs[1]),
        sink: port(&macs[2]),
        programs: "/bin".to_owned(),
        threads: 1,
        burst: 4,
    };
    let mut machines = shells.into_iter().map(|shell| -> Box<dyn Machine> {
        Box::new(Guest { shell: Rc::new(RefCell::new(shell)), namespace: None })
    });
    let mut next = || machines.next().context("there are three guests");
    let site = Site::prepare(plan, next()?, next()?, next()?)?;
    Ok(Stage { site, _network: Some(network) })
}

/// Joins a namespace by a veth pair.
const PAIR: &str = "set -e; ip netns add far; \
    ip link add near address 02:00:00:00:01:01 type veth \
    peer name far address 02:00:00:00:01:02 netns far; \
    ip link set near up; ip -n far link set lo up; ip -n far link set far up";

fn one_guest(prepared: &Prepared, engine: Engine) -> Result<Stage> {
    let mut shell = Shell::start(prepared.qemu(engine)?, &prepared.console("guest"))?;
    shell.ready()?;
    let _ = shell.run(PAIR)?;
    shell.share(ALL_IN_ONE)?;
    let port = |name: &str, mac: &str| Port { interface: name.to_owned(), mac: mac.to_owned() };
    let plan = Plan {
        generator: port("far", "02:00:00:00:01:02"),
        balancer: port("near", "02:00:00:00:01:01"),
        sink: port("far", "02:00:00:00:01:02"),
        programs: "/bin".to_owned(),
        threads: 1,
        // A veth takes no packet twice.
        burst: 1,
    };
    let shell = Rc::new(RefCell::new(shell));
    let machine =
        |namespace| -> Box<dyn Machine> { Box::new(Guest { shell: Rc::clone(&shell), namespace }) };
    let (generator, balancer, sink) = (machine(Some("far")), machine(None), machine(Some("far")));
    Ok(Stage { site: Site::prepare(plan, generator, balancer, sink)?, _network: None })
}

/// The hosts of an inventory; if `paper` hears what they would run, nothing is run.
pub(super) fn hosts(inventory: &Inventory, programs: &Path, paper: Option<&Tell>) -> Result<Stage> {
    let Inventory { folder, generator, balancer, sink } = inventory;
    let plan = Plan {
        generator: generator.port(),
        balancer: balancer.port(),
        sink: sink.port(),
        programs: folder.to_string(),
        threads: generator.threads.get(),
        burst: generator.burst.get(),
    };
    let files = vec![programs.join("lb"), programs.join("lb-bench"), workspace::driver()];
    let machine = |name: &Word| -> Box<dyn Machine> {
        Box::new(Host {
            name: name.to_string(),
            folder: folder.to_string(),
            programs: files.clone(),
            paper: paper.cloned(),
        })
    };
    let (generator, balancer, sink) =
        (machine(&generator.host), machine(&balancer.host), machine(&sink.host));
    Ok(Stage { site: Site::prepare(plan, generator, balancer, sink)?, _network: None })
}
