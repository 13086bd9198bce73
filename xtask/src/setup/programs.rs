//! The programs that the demo and the tests run, and a compiler.

use std::path::Path;

use crate::workspace;

pub(super) struct Program {
    pub(super) name: &'static str,
    /// The Debian package that holds it.
    pub(super) package: &'static str,
    purpose: &'static str,
}

pub(super) const CPP: Program = program("c++", "g++", "compiles the fuzzer's engine");

/// A module is no program: it has no place in the search path.
const STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

const PROGRAMS: &[Program] = &[
    CPP,
    program("nginx", "nginx-light", "serves as the backends"),
    program("mariadbd", "mariadb-server-core", "serves as a database"),
    program("mariadb-install-db", "mariadb-server-core", "makes a database"),
    program("my_print_defaults", "mariadb-client-core", "is called by mariadb-install-db"),
    program("keepalived", "keepalived", "speaks VRRP with nodes"),
    program("bird", "bird2", "announces the VIPs of nodes by BGP"),
    program("haproxy", "haproxy", "is what lb is compared with"),
    program(STREAM, "libnginx-mod-stream", "lets nginx forward, which lb is compared with"),
    program("iperf3", "iperf3", "sends streams through proxies"),
    program("wrk", "wrk", "puts web servers under load"),
    program("curl", "curl", "serves as the clients"),
    program("strace", "strace", "shows how threads wait"),
    program("ip", "iproute2", "makes namespaces, links, addresses and routes"),
    program("ethtool", "ethtool", "turns off offloads that hide checksums from XDP"),
    program("ping", "iputils-ping", "asks a VIP for an echo"),
    program("sysctl", "procps", "sets up backends"),
    program("nsenter", "util-linux", "enters namespaces"),
    program("setpriv", "util-linux", "drops capabilities"),
    program("setarch", "util-linux", "pretends to be an old kernel"),
];

const MACHINES: &[Program] = &[
    program("qemu-system-x86_64", "qemu-system-x86", "runs virtual machines"),
    program("busybox", "busybox-static", "is the shell of virtual machines"),
    program("bash", "bash", "runs what backends need in virtual machines"),
    program("cpio", "cpio", "packs what virtual machines boot"),
    program("kmod", "kmod", "loads modules in virtual machines"),
    program("ipvsadm", "ipvsadm", "sets up IPVS, which lb is compared with"),
];

const fn program(name: &'static str, package: &'static str, purpose: &'static str) -> Program {
    Program { name, package, purpose }
}

/// The packages of those programs that are not here; with `machines`, of what virtual machines take
/// too.
pub(crate) fn missing_packages(machines: bool) -> Vec<String> {
    let mut packages =
        missing(machines).map(|program| program.package.to_owned()).collect::<Vec<_>>();
    packages.dedup();
    packages
}

/// Says which programs are not here, and what they are for.
pub(crate) fn explain_missing(machines: bool) {
    for Program { name, purpose, .. } in missing(machines) {
        eprintln!("xtask: {name} is missing: it {purpose}");
    }
}

fn missing(machines: bool) -> impl Iterator<Item = &'static Program> {
    let machines = if machines { MACHINES } else { &[] };
    let wanted = PROGRAMS.iter().chain(machines);
    wanted.filter(|program| !is_here(program.name))
}

fn is_here(name: &str) -> bool {
    let path = Path::new(name);
    if path.is_absolute() { path.is_file() } else { workspace::find_program(name).is_some() }
}

/// What there must be, for people.
pub(crate) fn names() -> String {
    PROGRAMS.iter().map(|program| program.name).collect::<Vec<_>>().join(", ")
}
