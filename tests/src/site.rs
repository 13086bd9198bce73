//! The demo site: a client, a router, a node, and web servers behind it.
//!
//! ```text
//! client ──── router ══ br0 ═╤═ lb             10.0.0.2   10.0.1.2   VIPs 10.0.0.10, 10.0.0.20
//! 192.0.2.2   10.0.0.1       ├─ web1           10.0.0.11  10.0.1.11
//!             10.0.1.1       ├─ web2           10.0.0.12  10.0.1.12
//!                            └─ …
//! ```
//!
//! IPv6 is alike: `2001:db8:c::/64` for the client, `fd00:0:0:1::/64` for 10.0.0.0/24,
//! `fd00:0:0:2::/64` for 10.0.1.0/24. On the first network the web servers also hold the `l2`
//! VIPs on their loopback; answers from the second return through the node, as `nat` needs.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::Output,
};

use aya::Ebpf;

use crate::{
    Error,
    cleanup::Folder,
    netns::{End, Netns, veth},
    nginx::Web,
    pass,
    plan::{Forward, VIPS, Vip},
    run::{command, output, run},
};

/// Where a bpffs is mounted.
pub const BPFFS: &str = "/sys/fs/bpf";
/// The table by which the web servers answer from their second network.
const RETURN_TABLE: u32 = 100;
/// The name of the file behind `/big`.
const BIG: &str = "big";
/// More would take the addresses of the VIPs.
const MAX_WEBS: usize = 9;

/// What kind of site to build.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the names of everything begin with.
    pub prefix: String,
    /// The number of web servers, 1 to 9.
    pub webs: usize,
    /// The size of `/big` in bytes.
    pub big_bytes: usize,
    /// Two interfaces of this machine that are joined by a cable, for the node and for the router
    /// beside it; a veth pair is made if there are none.
    pub cable: Option<[String; 2]>,
}

impl Options {
    /// Three web servers and 100 MB.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), webs: 3, big_bytes: 100_000_000, cable: None }
    }
}

/// The site. On drop everything goes away, in the order of the fields.
#[derive(Debug)]
pub struct Site {
    webs: Vec<Web>,
    /// The client's machine.
    pub client: Netns,
    /// The router between the client and the site's network.
    pub router: Netns,
    /// The machine that the node runs on.
    pub lb: Netns,
    _pass: Ebpf,
    folder: Folder,
    prefix: String,
}

impl Site {
    /// Builds it and starts the web servers. Nothing of that prefix may exist: see
    /// [`crate::cleanup::clean`].
    ///
    /// # Panics
    /// If `options.webs` is not 1 to 9.
    pub fn build(options: &Options) -> Result<Self, Error> {
        assert!((1..=MAX_WEBS).contains(&options.webs), "1 to {MAX_WEBS} web servers");
        crate::run::check_tools()?;
        let folder = Folder::create(&options.prefix)?;
        folder.own(&pin_dir(&options.prefix))?;
        let netns = |name: &str| Netns::create(format!("{}-{name}", options.prefix));
        let (client, router, lb) = (netns("client")?, netns("router")?, netns("lb")?);
        build_router(&router)?;
        build_client(&client, &router)?;
        build_lb(&lb, &router, options.cable.as_ref())?;
        let pass = pass::attach(lb_userspace::dataplane::OBJECT, &router, "lb")?;
        let big = folder.path().join(BIG);
        write_big(&big, options.big_bytes).map_err(Error::file("write", &big))?;
        let web = |index: usize| {
            let name = format!("web{index}");
            let netns = netns(&name)?;
            build_web(&netns, &router, index)?;
            let web = Web::new(name.clone(), netns, folder.path().join(&name), &big)?;
            web.start()?;
            Ok(web)
        };
        let webs = (1..=options.webs).map(web).collect::<Result<_, Error>>()?;
        let prefix = options.prefix.clone();
        Ok(Self { webs, client, router, lb, _pass: pass, folder, prefix })
    }

    /// The web servers; `web1` comes first.
    #[must_use]
    pub fn webs(&self) -> &[Web] {
        &self.webs
    }

    /// A web server by its number, from 1.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn web(&self, number: usize) -> &Web {
        &self.webs[number - 1]
    }

    /// The site's folder, for files that go away with it.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The file behind `/big`.
    #[must_use]
    pub fn big(&self) -> PathBuf {
        self.folder.path().join(BIG)
    }

    /// A runtime directory for a node.
    #[must_use]
    pub fn runtime_dir(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// What the names of everything begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A pin directory for a node.
    #[must_use]
    pub fn pin_dir(&self) -> PathBuf {
        pin_dir(&self.prefix)
    }

    /// Runs curl in a namespace of the site; it gives up after a minute.
    pub fn curl(&self, from: &Netns, url: &str, arguments: &[&str]) -> Result<Output, Error> {
        let mut curl = from.command("curl");
        output(curl.args(["-sS", "-g", "--max-time", "60"]).args(arguments).arg(url))
    }

    /// Lets the node and the router beside it speak in a VLAN from now on: untagged frames find
    /// no one. The node's interface keeps its name.
    pub fn tag(&self, vlan: u16) -> Result<(), Error> {
        let tagged = |netns: &Netns, interface: &str| {
            let name = format!("{interface}.{vlan}");
            netns.ip(&format!("link add link {interface} name {name} type vlan id {vlan}"))?;
            netns.ip(&format!("link set {name} up"))?;
            Ok::<_, Error>(name)
        };
        self.router.ip("link set lb nomaster")?;
        let port = tagged(&self.router, "lb")?;
        self.router.ip(&format!("link set {port} master br0"))?;
        // IPv4's routes go with the addresses, IPv6's do not.
        self.lb.ip("-6 route flush dev eth0 proto boot")?;
        self.lb.ip("addr flush dev eth0 scope global")?;
        lb_addresses(&self.lb, &tagged(&self.lb, "eth0")?)
    }

    /// What the client is answered, or curl's complaint.
    pub fn fetch(&self, url: &str) -> Result<String, Error> {
        let mut curl = self.client.command("curl");
        run(curl.args(["-sS", "-g", "-f", "--max-time", "10", url]))
    }
}

fn pin_dir(prefix: &str) -> PathBuf {
    Path::new(BPFFS).join(prefix)
}

/// Mounts a bpffs where it belongs, unless there is one. Returns whether it had to.
pub fn mount_bpffs() -> Result<bool, Error> {
    let kind = run(command("stat").args(["-f", "-c", "%T", BPFFS]))?;
    if kind.trim() == "bpf_fs" {
        return Ok(false);
    }
    let _: String = run(command("mount").args(["-t", "bpf", "bpf", BPFFS]))?;
    Ok(true)
}

fn build_router(router: &Netns) -> Result<(), Error> {
    router.sysctl("net/ipv4/ip_forward", "1")?;
    router.sysctl("net/ipv6/conf/all/forwarding", "1")?;
    // Without a multicast querier, snooping would lose neighbour solicitations.
    router.ip("link add br0 type bridge mcast_snooping 0")?;
    router.ip("link set br0 up")?;
    addresses(router, "br0", &["10.0.0.1/24", "10.0.1.1/24"])?;
    addresses(router, "br0", &["fd00:0:0:1::1/64", "fd00:0:0:2::1/64"])
}

fn build_client(client: &Netns, router: &Netns) -> Result<(), Error> {
    veth(End { netns: client, name: "eth0" }, End { netns: router, name: "client" })?;
    client.checksum_in_software("eth0")?;
    addresses(client, "eth0", &["192.0.2.2/24", "2001:db8:c::2/64"])?;
    addresses(router, "client", &["192.0.2.1/24", "2001:db8:c::1/64"])?;
    default_route(client, "192.0.2.1", "2001:db8:c::1")
}

/// Plugs a machine into the router's bridge.
pub(crate) fn plug(
    netns: &Netns,
    router: &Netns,
    port: &str,
    cable: Option<&[String; 2]>,
) -> Result<(), Error> {
    let ends = [End { netns, name: "eth0" }, End { netns: router, name: port }];
    if let Some(cable) = cable {
        cable.iter().zip(ends).try_for_each(|(end, to)| to.take(end))?;
    } else {
        let [ours, theirs] = ends;
        veth(ours, theirs)?;
    }
    router.ip(&format!("link set {port} master br0"))?;
    netns.checksum_in_software("eth0")
}

fn build_lb(lb: &Netns, router: &Netns, cable: Option<&[String; 2]>) -> Result<(), Error> {
    plug(lb, router, "lb", cable)?;
    // What the router makes itself, or puts together and takes apart again, has checksums too.
    router.checksum_in_software("lb")?;
    lb_addresses(lb, "eth0")
}

fn lb_addresses(lb: &Netns, interface: &str) -> Result<(), Error> {
    own_addresses(lb, interface, 2)?;
    VIPS.iter().try_for_each(|vip| vip_address(lb, interface, vip))
}

/// A machine's own addresses on both networks, and its way out.
pub(crate) fn own_addresses(lb: &Netns, interface: &str, host: u8) -> Result<(), Error> {
    let (first, second) = (format!("10.0.0.{host}/24"), format!("10.0.1.{host}/24"));
    addresses(lb, interface, &[&first, &second])?;
    let (first, second) = (format!("fd00:0:0:1::{host}/64"), format!("fd00:0:0:2::{host}/64"));
    addresses(lb, interface, &[&first, &second])?;
    default_route(lb, "10.0.0.1", "fd00:0:0:1::1")
}

fn build_web(web: &Netns, router: &Netns, index: usize) -> Result<(), Error> {
    let port = format!("web{index}");
    plug(web, router, &port, None)?;
    for conf in ["all", "eth0"] {
        web.sysctl(&format!("net/ipv4/conf/{conf}/arp_ignore"), "1")?;
        web.sysctl(&format!("net/ipv4/conf/{conf}/arp_announce"), "2")?;
    }
    // The same digits in both families: web1 is .11 and ::11.
    let host = 10 + index;
    addresses(web, "eth0", &[&format!("10.0.0.{host}/24"), &format!("10.0.1.{host}/24")])?;
    let second = format!("fd00:0:0:2::{host}/64");
    addresses(web, "eth0", &[&format!("fd00:0:0:1::{host}/64"), &second])?;
    let mut direct = VIPS.iter().filter(|vip| vip.forward == Forward::L2);
    direct.try_for_each(|vip| vip_address(web, "lo", vip))?;
    default_route(web, "10.0.0.1", "fd00:0:0:1::1")?;
    return_by_the_node(web, "-4", "10.0.1.0/24", "10.0.1.2")?;
    return_by_the_node(web, "-6", "fd00:0:0:2::/64", "fd00:0:0:2::2")
}

/// What comes from a network goes back through the node, unless it stays on that network.
fn return_by_the_node(web: &Netns, family: &str, net: &str, node: &str) -> Result<(), Error> {
    web.ip(&format!("{family} rule add from {net} table {RETURN_TABLE}"))?;
    web.ip(&format!("{family} route add {net} dev eth0 table {RETURN_TABLE}"))?;
    web.ip(&format!("{family} route add default via {node} table {RETURN_TABLE}"))
}

fn addresses(netns: &Netns, interface: &str, addresses: &[&str]) -> Result<(), Error> {
    addresses
        .iter()
        .try_for_each(|address| netns.ip(&format!("addr add {address} dev {interface} nodad")))
}

/// Adds an address that is never a source of the machine's own connections: the kernel prefers
/// the IPv6 source that is nearest to the destination (RFC 6724, rule 8), and a check that comes
/// from the VIP would be answered to the VIP.
fn vip_address(netns: &Netns, interface: &str, vip: &Vip) -> Result<(), Error> {
    let length = if vip.address.is_ipv4() { 32 } else { 128 };
    let address = vip.address;
    netns.ip(&format!("addr add {address}/{length} dev {interface} nodad preferred_lft 0"))
}

fn default_route(netns: &Netns, v4: &str, v6: &str) -> Result<(), Error> {
    netns.ip(&format!("-4 route add default via {v4}"))?;
    netns.ip(&format!("-6 route add default via {v6}"))
}

/// Bytes that do not compress and do not repeat within the file, the same every time.
fn write_big(path: &Path, bytes: usize) -> std::io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut left = bytes;
    while left > 0 {
        // xorshift64 (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let length = left.min(8);
        file.write_all(&state.to_le_bytes()[..length])?;
        left -= length;
    }
    file.flush()
}
