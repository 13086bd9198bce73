//! The programs that the demo and the tests run.

use crate::workspace;

struct Program {
    name: &'static str,
    /// The Debian package that holds it.
    package: &'static str,
    purpose: &'static str,
}

const PROGRAMS: &[Program] = &[
    program("nginx", "nginx-light", "serves as the backends"),
    program("curl", "curl", "serves as the clients"),
    program("ip", "iproute2", "makes namespaces, links, addresses and routes"),
    program("ethtool", "ethtool", "turns off offloads that hide checksums from XDP"),
    program("nsenter", "util-linux", "enters namespaces"),
    program("setpriv", "util-linux", "drops capabilities"),
    program("setarch", "util-linux", "pretends to be an old kernel"),
];

const fn program(name: &'static str, package: &'static str, purpose: &'static str) -> Program {
    Program { name, package, purpose }
}

/// The packages of those programs that are not here; says what they are for.
pub(crate) fn missing_packages() -> Vec<String> {
    let mut packages = Vec::new();
    for Program { name, package, purpose } in PROGRAMS {
        if workspace::find_program(name).is_none() {
            eprintln!("xtask: {name} is missing: it {purpose}");
            packages.push((*package).to_owned());
        }
    }
    packages.dedup();
    packages
}

/// What there must be, for people.
pub(crate) fn names() -> String {
    PROGRAMS.iter().map(|program| program.name).collect::<Vec<_>>().join(", ")
}
