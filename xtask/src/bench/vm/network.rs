//! The wire between virtual machines: a bridge with a tap for each, in a network namespace without a
//! name. It lives as long as the process that holds it, which ends with xtask, however that ends.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::exec;

/// Without offloads that make a received frame longer than the MTU, and without merging buffers, the guest's driver has a
/// buffer for each frame, as drivers of network cards do. With them it has whole pages, and turning those over
/// takes more of an emulated processor than any subject.
const BUFFERS: &str = "mrg_rxbuf=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off";

/// The bridge.
pub(super) struct Network {
    holder: Child,
}

impl Network {
    /// Makes a bridge with a port for each of these MACs.
    pub(super) fn new(macs: &[String]) -> Result<Self> {
        let mut hold = Command::new("setpriv");
        let _ = hold.args(["--pdeathsig", "KILL", "--", "unshare", "--net", "sleep", "infinity"]);
        let holder = hold.stdin(Stdio::null()).spawn().context("cannot run setpriv")?;
        let network = Self { holder };
        network.wait_for_namespace()?;
        network.ip("link add bridge type bridge mcast_snooping 0")?;
        network.ip("link set bridge addrgenmode none up")?;
        for (number, mac) in macs.iter().enumerate() {
            let tap = tap(number);
            network.ip(&format!("tuntap add {tap} mode tap multi_queue vnet_hdr"))?;
            network.ip(&format!("link set {tap} addrgenmode none master bridge up"))?;
            // The bridge is not to forget who has been silent for long.
            network.run("bridge", &format!("fdb add {mac} dev {tap} master static"))?;
        }
        Ok(network)
    }

    /// The arguments that give a machine its card on port `number`. With two queues for one
    /// processor, `XDP_TX` has one of its own.
    pub(super) fn card(number: usize, mac: &str) -> [String; 4] {
        let tap = tap(number);
        [
            "-netdev".to_owned(),
            format!("tap,id=n0,ifname={tap},script=no,downscript=no,queues=2"),
            "-device".to_owned(),
            format!("virtio-net-pci,netdev=n0,mq=on,vectors=6,{BUFFERS},mac={mac},romfile="),
        ]
    }

    /// A command, to be run where the bridge is.
    pub(super) fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        let _ = inside
            .arg(format!("--net={}", self.namespace().display()))
            .arg("--")
            .arg(command.get_program())
            .args(command.get_args());
        inside
    }

    fn ip(&self, arguments: &str) -> Result<()> {
        self.run("ip", arguments)
    }

    fn run(&self, program: &str, arguments: &str) -> Result<()> {
        let mut command = Command::new(program);
        let command = self.inside(command.args(arguments.split_whitespace()));
        let _ = exec::output(&mut { command })?;
        Ok(())
    }

    fn namespace(&self) -> PathBuf {
        Path::new("/proc").join(self.holder.id().to_string()).join("ns/net")
    }

    fn wait_for_namespace(&self) -> Result<()> {
        let own = fs::read_link("/proc/self/ns/net")?;
        let end = Instant::now() + Duration::from_secs(5);
        while fs::read_link(self.namespace()).is_ok_and(|theirs| theirs == own) {
            ensure!(Instant::now() < end, "`unshare --net` makes no network namespace");
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // It may be gone already.
        let _gone = self.holder.kill();
        let _gone = self.holder.wait();
    }
}

fn tap(number: usize) -> String {
    format!("tap{number}")
}
