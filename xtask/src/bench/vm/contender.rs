//! What is measured, and the lines that set it up on the balancer and take it down again.

use super::site::{BALANCER, PINS, PORT, Plan, Role, backends};

/// Files that a contender needs while it is up.
const RUN: &str = "/run/lb-bench";

/// What is set up at once: one subject or several, each with a VIP of its own.
pub(super) struct Contender {
    pub(super) subjects: &'static [Subject],
    pub(super) up: fn(&Plan) -> String,
    pub(super) down: fn(&Plan) -> String,
    /// Where its packets are counted.
    pub(super) counted_at: Role,
}

/// One line of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) name: &'static str,
    /// What its packets are sent to.
    pub(super) vip: &'static str,
}

const fn subject(name: &'static str, vip: &'static str) -> Subject {
    Subject { name, vip }
}

/// The subject that all are compared with: the least that any forwarder does.
pub(super) const XDP_TX: &str = "xdp-tx";
/// The kernel's own balancer, as `l2` works.
pub(super) const IPVS_DR: &str = "ipvs-dr";
/// The node, as IPVS's direct routing works.
pub(super) const LB_L2: &str = "lb-l2";

const DROP: Subject = subject("xdp-drop", "198.18.0.1");
const TX: Subject = subject(XDP_TX, "198.18.0.2");
const LB: [Subject; 4] = [
    subject(LB_L2, "198.18.0.3"),
    subject("lb-nat", "198.18.0.4"),
    subject("lb-ipip", "198.18.0.5"),
    subject("lb-gue", "198.18.0.6"),
];
const IPVS: [Subject; 2] = [subject(IPVS_DR, "198.18.0.7"), subject("ipvs-tun", "198.18.0.8")];
const FORWARD: Subject = subject("ip-forward", "198.18.0.9");

/// All of them, in the order of their turns.
pub(super) const ALL: [Contender; 5] = [
    Contender { subjects: &[DROP], up: drop_up, down: wire_down, counted_at: Role::Balancer },
    Contender { subjects: &[TX], up: tx_up, down: wire_down, counted_at: Role::Sink },
    Contender { subjects: &LB, up: lb_up, down: lb_down, counted_at: Role::Sink },
    Contender { subjects: &IPVS, up: ipvs_up, down: ipvs_down, counted_at: Role::Sink },
    Contender { subjects: &[FORWARD], up: forward_up, down: forward_down, counted_at: Role::Sink },
];

/// The names of all subjects.
pub(super) fn names() -> Vec<&'static str> {
    ALL.iter().flat_map(|contender| contender.subjects).map(|subject| subject.name).collect()
}

/// Takes down whatever is up.
pub(super) fn all_down(plan: &Plan) -> String {
    ALL.iter().map(|contender| (contender.down)(plan)).collect::<Vec<_>>().join("; ")
}

fn drop_up(plan: &Plan) -> String {
    plan.count(&plan.balancer)
}

fn tx_up(plan: &Plan) -> String {
    let Plan { balancer, sink, programs, .. } = plan;
    plan.wire(&format!(
        "send {} --from {} --to {} --driver {programs}/lb-driver.o",
        balancer.interface, balancer.mac, sink.mac
    ))
}

fn wire_down(plan: &Plan) -> String {
    Plan::detach(&plan.balancer)
}

/// Starts the daemon and waits until it knows the way to every backend.
fn lb_up(plan: &Plan) -> String {
    let lb = format!("{}/lb", plan.programs);
    let configuration = configuration(plan).replace('\n', "\\n");
    format!(
        "mkdir -p {RUN} && printf '{configuration}' > {RUN}/lb.toml && \
         {{ setsid {lb} run --config {RUN}/lb.toml < /dev/null > {RUN}/lb.log 2>&1 & }} && \
         echo $! > {RUN}/lb.pid && \
         until {lb} --json --socket {RUN}/lb.sock backend list > {RUN}/backends 2> /dev/null && \
         ! grep -q '\"next_hop\": *null' {RUN}/backends; do \
         if ! kill -0 $(cat {RUN}/lb.pid); then cat {RUN}/lb.log; exit 1; fi; sleep 0.2; done"
    )
}

/// The slots of a ring: as many as IPVS's `mh` has in Debian's kernels (`CONFIG_IP_VS_MH_TAB_INDEX=12`).
const RING: u32 = 4093;

/// A service a mode.
fn configuration(plan: &Plan) -> String {
    let node = format!(
        "[node]\ninterfaces = [\"{}\"]\nruntime_dir = \"{RUN}\"\npin_dir = \"{PINS}/node\"\n\
         seed = \"00112233445566778899aabbccddeeff\"\ntunnel_source = [\"{BALANCER}/32\"]\n",
        plan.balancer.interface
    );
    let backends: Vec<String> =
        backends().map(|address| format!("{{ address = \"{address}\" }}")).collect();
    let backends = backends.join(", ");
    let service = |Subject { name, vip }| {
        let mode = name.trim_start_matches("lb-");
        format!(
            "[[service]]\nname = \"{mode}\"\nvip = \"{vip}\"\nprotocol = \"udp\"\nport = {PORT}\n\
             forward = \"{mode}\"\nring_size = {RING}\nbackend = [{backends}]\n"
        )
    };
    std::iter::once(node).chain(LB.map(service)).collect()
}

fn lb_down(_: &Plan) -> String {
    format!(
        "if test -e {RUN}/lb.pid; then kill $(cat {RUN}/lb.pid); \
         while kill -0 $(cat {RUN}/lb.pid) 2> /dev/null; do sleep 0.1; done; fi; \
         rm -rf {RUN} {PINS}/node"
    )
}

/// Two services with the Maglev scheduler, which looks at ports too.
fn ipvs_up(_: &Plan) -> String {
    let mut lines = vec!["set -e; modprobe ip_vs; modprobe ip_vs_mh".to_owned()];
    for (Subject { vip, .. }, method) in IPVS.iter().zip(["-g", "-i"]) {
        lines.push(format!("ip addr add {vip}/32 dev lo"));
        lines.push(format!("ipvsadm -A -u {vip}:{PORT} -s mh -b mh-port"));
        let server = |address| format!("ipvsadm -a -u {vip}:{PORT} -r {address}:{PORT} {method}");
        lines.extend(backends().map(server));
    }
    lines.join("; ")
}

fn ipvs_down(_: &Plan) -> String {
    let remove = |Subject { vip, .. }: &Subject| {
        format!("ipvsadm -D -u {vip}:{PORT} 2> /dev/null; ip addr del {vip}/32 dev lo 2> /dev/null")
    };
    IPVS.iter().map(remove).chain(["true".to_owned()]).collect::<Vec<_>>().join("; ")
}

/// Routes the VIP to the first backend; what the settings were is kept.
fn forward_up(plan: &Plan) -> String {
    let Some(backend) = backends().next() else { return String::new() };
    let keys = [
        "net.ipv4.ip_forward".to_owned(),
        "net.ipv4.conf.all.send_redirects".to_owned(),
        format!("net.ipv4.conf.{}.send_redirects", plan.balancer.interface),
    ];
    format!(
        "set -e; mkdir -p {RUN}; sysctl {} > {RUN}/sysctl; \
         sysctl -w {}=1 {}=0 {}=0; ip route add {}/32 via {backend}",
        keys.join(" "),
        keys[0],
        keys[1],
        keys[2],
        FORWARD.vip
    )
}

fn forward_down(_: &Plan) -> String {
    format!(
        "ip route del {}/32 2> /dev/null; \
         if test -e {RUN}/sysctl; then sysctl -p {RUN}/sysctl; rm -r {RUN}; fi",
        FORWARD.vip
    )
}
