//! A real BIRD: on a router, and on nodes that announce their VIPs to it over BGP.

use std::{
    fs::{self, File},
    path::PathBuf,
};

use crate::{Error, netns::Netns, process::Process, site::Site};

/// The last number of the router's addresses.
const ROUTER: u8 = 1;
/// The times of both sides: BFD notices a dead one after half a second.
const TIMES: &str = "connect delay time 1; connect retry time 1; error wait time 1, 2; bfd on;";
const BFD: &str = "{ interval 100 ms; multiplier 5; };";

/// BIRD on a machine, until it is dropped.
#[derive(Debug)]
pub struct Bird {
    process: Process,
    log: PathBuf,
}

impl Bird {
    /// Starts it on a node's machine, whose addresses have this last number: it announces to the router what
    /// is on `lo`.
    pub fn on_node(site: &Site, machine: &Netns, host: u8) -> Result<Self, Error> {
        let session = |family: &str, own: &str, router: &str| {
            format!(
                "protocol bgp {{ local {own} as 64512; neighbor {router} as 64500; {TIMES}\n\
                 {family} {{ import none; export where source = RTS_DEVICE; }}; }}\n"
            )
        };
        let v4 = session("ipv4", &v4(host), &v4(ROUTER));
        let v6 = session("ipv6", &v6(host), &v6(ROUTER));
        let config = format!(
            "router id {};\nprotocol device {{}}\n\
             protocol direct {{ ipv4; ipv6; interface \"lo\"; }}\n\
             protocol bfd {{ interface \"eth0\" {BFD} }}\n{v4}{v6}",
            self::v4(host)
        );
        Self::start(site, machine, &config)
    }

    /// Starts it on the router beside nodes of these last numbers: it sends each flow to one of those that
    /// announce its destination.
    pub fn on_router(site: &Site, nodes: &[u8]) -> Result<Self, Error> {
        for family in ["ipv4", "ipv6"] {
            site.router.sysctl(&format!("net/{family}/fib_multipath_hash_policy"), "1")?;
        }
        let session = |family: &str, own: &str, node: &str| {
            format!(
                "protocol bgp {{ local {own} as 64500; neighbor {node} as 64512; {TIMES}\n\
                 {family} {{ import all; export none; }}; }}\n"
            )
        };
        let sessions = nodes.iter().map(|&host| {
            let four = session("ipv4", &v4(ROUTER), &v4(host));
            four + &session("ipv6", &v6(ROUTER), &v6(host))
        });
        let config = format!(
            "router id {};\nprotocol device {{}}\n\
             protocol kernel {{ merge paths on; ipv4 {{ export all; }}; }}\n\
             protocol kernel {{ merge paths on; ipv6 {{ export all; }}; }}\n\
             protocol bfd {{ interface \"br0\" {BFD} }}\n{}",
            v4(ROUTER),
            sessions.collect::<String>()
        );
        Self::start(site, &site.router, &config)
    }

    fn start(site: &Site, machine: &Netns, config: &str) -> Result<Self, Error> {
        let folder = site.folder().path();
        let named = |what: &str| folder.join(format!("{}-bird{what}", machine.name()));
        let (file, log) = (named(".conf"), named(".log"));
        fs::write(&file, config).map_err(Error::file("write", &file))?;
        let mut bird = machine.command("bird");
        let _ = bird
            .args(["-f", "-c"])
            .arg(&file)
            .arg("-s")
            .arg(named(".ctl"))
            .arg("-P")
            .arg(named(".pid"))
            .stderr(File::create(&log).map_err(Error::file("write", &log))?);
        Ok(Self { process: Process::start(&mut bird)?, log })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

fn v4(host: u8) -> String {
    format!("10.0.0.{host}")
}

fn v6(host: u8) -> String {
    format!("fd00:0:0:1::{host}")
}
