//! Three machines in a row, each a namespace: client, proxy, server.
//!
//! ```text
//! client ────────── proxy ────────── server
//! 10.1.0.2   10.1.0.1   10.2.0.1   10.2.0.2
//! ```

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use lb_tests::{
    cleanup::{self, Folder},
    netns::{End, Netns, veth},
    process::Process,
    run::{eventually, run},
};

/// Where clients find the proxy.
pub(super) const PROXY: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
/// Where the proxy finds the server.
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 2);
/// The port of iperf3, on the proxy and the server.
pub(super) const BULK: u16 = 5201;
/// The port of the server of requests, likewise.
pub(super) const ECHO: u16 = 7000;

/// How long a process may take until it listens.
const SETTLE: Duration = Duration::from_secs(10);

/// The machines. On drop everything goes away, in the order of the fields.
pub(super) struct Machines {
    pub(super) client: Netns,
    /// Nothing but the subject runs there.
    pub(super) proxy: Netns,
    pub(super) server: Netns,
    folder: Folder,
}

impl Machines {
    /// Makes them and joins them. The links' offloads are those that the kernel gives them; TCP's congestion
    /// control is this one.
    pub(super) fn build(congestion_control: &str) -> Result<Self> {
        let prefix = cleanup::test_prefix(0);
        let folder = Folder::create(&prefix)?;
        let netns = |name: &str| Netns::create(format!("{prefix}-{name}"));
        let (client, proxy, server) = (netns("client")?, netns("proxy")?, netns("server")?);
        for machine in [&client, &proxy, &server] {
            machine
                .sysctl("net/ipv4/tcp_congestion_control", congestion_control)
                .context("see the sysctl net.ipv4.tcp_available_congestion_control")?;
        }
        veth(End { netns: &client, name: "eth0" }, End { netns: &proxy, name: "eth0" })?;
        veth(End { netns: &proxy, name: "eth1" }, End { netns: &server, name: "eth0" })?;
        client.ip("addr add 10.1.0.2/24 dev eth0")?;
        proxy.ip(&format!("addr add {PROXY}/24 dev eth0"))?;
        proxy.ip("addr add 10.2.0.1/24 dev eth1")?;
        server.ip(&format!("addr add {SERVER}/24 dev eth0"))?;
        Ok(Self { client, proxy, server, folder })
    }

    /// A folder that goes away with them.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }
}

/// Where clients ask.
pub(super) fn entrance() -> SocketAddr {
    SocketAddr::from((PROXY, ECHO))
}

/// Waits until a process of a machine listens at all of these ports.
pub(super) fn wait_for(process: &mut Process, netns: &Netns, ports: &[u16]) -> Result<()> {
    let look = || -> Result<Option<ExitStatus>, String> {
        if let Some(status) = process.ended() {
            return Ok(Some(status));
        }
        let sockets = run(netns.command("ss").arg("-Htln")).map_err(|error| error.to_string())?;
        match ports.iter().find(|port| !sockets.contains(&format!(":{port} "))) {
            Some(port) => Err(format!("nobody listens at port {port}")),
            None => Ok(None),
        }
    };
    match eventually(SETTLE, "it listens", look)? {
        Some(status) => bail!("it ended ({status})"),
        None => Ok(()),
    }
}
