//! The machines of a run by what they do, and the lines that prepare them.
//!
//! All addresses are of 198.18.0.0/15, which is set aside for benchmarks (RFC 2544, appendix C.2.2).

use anyhow::{Context as _, Result};

use super::machine::Machine;
use crate::interrupt;

/// The prefix of all addresses, by its length.
const PREFIX: u8 = 15;
/// The balancer's own address.
pub(super) const BALANCER: &str = "198.18.0.254";
/// The sources of the generator's packets.
pub(super) const CLIENT: &str = "198.18.2.1";
/// The UDP port of all services: discard.
pub(super) const PORT: u16 = 9;
/// The addresses that the sink has, one a backend.
const BACKENDS: u8 = 8;
/// Where links and maps are pinned.
pub(super) const PINS: &str = "/sys/fs/bpf/lb-bench";

/// The addresses of the backends, which are all the sink's.
pub(super) fn backends() -> impl Iterator<Item = String> {
    (1..=BACKENDS).map(|number| format!("198.18.3.{number}"))
}

/// What a machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Sends packets with pktgen.
    Generator,
    /// Runs what is measured.
    Balancer,
    /// Is all backends: counts and drops.
    Sink,
}

/// A machine's end of the wire.
#[derive(Clone, Debug)]
pub(super) struct Port {
    pub(super) interface: String,
    pub(super) mac: String,
}

/// What a run has to know of its machines.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) generator: Port,
    pub(super) balancer: Port,
    pub(super) sink: Port,
    /// The folder of `lb`, `lb-bench` and `lb-driver.o` on all machines.
    pub(super) programs: String,
    /// The threads of pktgen, each with a transmit queue.
    pub(super) threads: u16,
    /// The packets that pktgen hands over at once, all of one flow.
    pub(super) burst: u16,
}

impl Plan {
    /// A call of the static `lb-bench`.
    pub(super) fn wire(&self, arguments: &str) -> String {
        format!("{}/lb-bench wire {arguments}", self.programs)
    }

    /// Has an interface's packets counted.
    pub(super) fn count(&self, port: &Port) -> String {
        self.wire(&format!("count {} --driver {}/lb-driver.o", port.interface, self.programs))
    }

    /// Detaches what counts or sends.
    pub(super) fn detach(port: &Port) -> String {
        format!("rm -rf {PINS}/{}", port.interface)
    }

    fn port(&self, role: Role) -> &Port {
        match role {
            Role::Generator => &self.generator,
            Role::Balancer => &self.balancer,
            Role::Sink => &self.sink,
        }
    }

    /// Prints the packets within some seconds, and the ns.
    pub(super) fn rate(&self, role: Role, seconds: f64) -> String {
        self.wire(&format!("rate {} --seconds {seconds}", self.port(role).interface))
    }

    /// What each machine runs before anything is measured.
    fn preparations(&self) -> Vec<(Role, String)> {
        let up = |port: &Port| format!("ip link set {} up", port.interface);
        let Self { generator, balancer, sink, .. } = self;
        let add =
            |address: String| format!("; ip addr add {address}/{PREFIX} dev {}", sink.interface);
        let backends: String =
            std::iter::once(format!("set -e; {}", up(sink))).chain(backends().map(add)).collect();
        vec![
            (Role::Generator, format!("set -e; modprobe pktgen; {}", up(generator))),
            (
                Role::Balancer,
                format!(
                    "set -e; {}; ip addr add {BALANCER}/{PREFIX} dev {}",
                    up(balancer),
                    balancer.interface
                ),
            ),
            (Role::Sink, backends),
            (Role::Sink, self.count(sink)),
        ]
    }

    /// What undoes the preparations; whatever is not there is fine.
    fn cleanups(&self) -> Vec<(Role, String)> {
        let Self { generator: _, balancer, sink, .. } = self;
        let remove = |address: String| {
            format!("; ip addr del {address}/{PREFIX} dev {} 2> /dev/null", sink.interface)
        };
        let backends: String =
            std::iter::once(Self::detach(sink)).chain(backends().map(remove)).collect();
        vec![
            (Role::Generator, super::pktgen::remove(self)),
            (
                Role::Balancer,
                format!(
                    "{}; ip addr del {BALANCER}/{PREFIX} dev {} 2> /dev/null; rm -rf {PINS}; true",
                    super::contender::all_down(self),
                    balancer.interface
                ),
            ),
            (Role::Sink, backends + "; true"),
        ]
    }
}

/// The machines. What was done to them is undone when this is dropped, where it would stay.
pub(super) struct Site {
    pub(super) plan: Plan,
    generator: Box<dyn Machine>,
    balancer: Box<dyn Machine>,
    sink: Box<dyn Machine>,
}

impl Site {
    /// Prepares machines; what a run that was killed left on them is removed first.
    pub(super) fn prepare(
        plan: Plan,
        generator: Box<dyn Machine>,
        balancer: Box<dyn Machine>,
        sink: Box<dyn Machine>,
    ) -> Result<Self> {
        let mut site = Self { plan, generator, balancer, sink };
        site.clean()?;
        for role in [Role::Generator, Role::Balancer, Role::Sink] {
            site.machine(role).equip()?;
        }
        for (role, line) in site.plan.preparations() {
            let _ = site.run(role, &line)?;
        }
        Ok(site)
    }

    /// Runs a line on the machine of a role.
    pub(super) fn run(&mut self, role: Role, line: &str) -> Result<String> {
        self.machine(role).run(line).with_context(|| format!("{role:?}"))
    }

    fn machine(&mut self, role: Role) -> &mut dyn Machine {
        match role {
            Role::Generator => self.generator.as_mut(),
            Role::Balancer => self.balancer.as_mut(),
            Role::Sink => self.sink.as_mut(),
        }
    }

    fn clean(&mut self) -> Result<()> {
        let results: Vec<_> =
            self.plan.cleanups().iter().map(|(role, line)| self.run(*role, line)).collect();
        results.into_iter().try_for_each(|result| result.map(drop))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if ![&self.generator, &self.balancer, &self.sink].iter().any(|machine| machine.stays()) {
            return;
        }
        let strip = |site: &mut Self, role| site.machine(role).strip();
        let results = interrupt::tidying(|| {
            [
                self.clean(),
                strip(self, Role::Generator),
                strip(self, Role::Balancer),
                strip(self, Role::Sink),
            ]
        });
        for error in results.into_iter().filter_map(Result::err) {
            eprintln!("xtask: not cleaned up: {error:#}");
        }
    }
}
