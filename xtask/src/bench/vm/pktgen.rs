//! The lines that drive the kernel's packet generator (Documentation/networking/pktgen.rst).

use super::site::{CLIENT, PORT, Plan};

/// The length of a frame without its checksum: the least of Ethernet.
const FRAME: u16 = 60;
/// The source port of the first flow.
const FIRST_PORT: u16 = 10_000;
const FOLDER: &str = "/proc/net/pktgen";

/// Starts sending to a VIP, as so many flows in turn.
pub(super) fn start(plan: &Plan, vip: &str, flows: u16) -> String {
    let Plan { generator, balancer, threads, burst, .. } = plan;
    let last = FIRST_PORT + if flows > 1 { flows } else { 0 };
    let mut lines = vec!["set -e".to_owned()];
    for thread in 0..*threads {
        let device = format!("{}@{thread}", generator.interface);
        let worker = format!("{FOLDER}/kpktgend_{thread}");
        lines.push(format!("echo rem_device_all > {worker}"));
        lines.push(format!("echo add_device {device} > {worker}"));
        let settings = [
            "count 0".to_owned(),
            "delay 0".to_owned(),
            "clone_skb 0".to_owned(),
            format!("burst {burst}"),
            format!("pkt_size {FRAME}"),
            format!("dst_mac {}", balancer.mac),
            format!("src_min {CLIENT}"),
            format!("src_max {CLIENT}"),
            format!("dst_min {vip}"),
            format!("dst_max {vip}"),
            format!("udp_src_min {FIRST_PORT}"),
            format!("udp_src_max {last}"),
            format!("udp_dst_min {PORT}"),
            format!("udp_dst_max {PORT}"),
            format!("queue_map_min {thread}"),
            format!("queue_map_max {thread}"),
            "flag NO_TIMESTAMP".to_owned(),
        ];
        lines.extend(settings.map(|setting| format!("echo {setting} > {FOLDER}/{device}")));
    }
    lines.push(format!("(echo start > {FOLDER}/pgctrl) < /dev/null > /dev/null 2>&1 &"));
    lines.join("; ").replace("&;", "&")
}

/// Stops; prints the packets that were sent, and in how many ns.
pub(super) fn stop(plan: &Plan) -> String {
    let devices: Vec<String> = (0..plan.threads)
        .map(|thread| format!("{FOLDER}/{}@{thread}", plan.generator.interface))
        .collect();
    format!(
        "echo stop > {FOLDER}/pgctrl; \
         while grep -q '^Running: [a-z]' {FOLDER}/kpktgend_*; do sleep 0.1; done; \
         sed -n 's/^ *pkts-sofar: \\([0-9]*\\) .*/p \\1/p; \
         s/^ *started: \\([0-9]*\\)us *stopped: \\([0-9]*\\)us.*/t \\1 \\2/p' {} | \
         awk '/p/ {{ n += $2 }} /t/ {{ t = $3 - $2 }} END {{ printf \"%d %.0f\\n\", n, t * 1000 }}'",
        devices.join(" ")
    )
}

/// Leaves pktgen without devices.
pub(super) fn remove(plan: &Plan) -> String {
    let threads = (0..plan.threads).map(|thread| {
        let worker = format!("{FOLDER}/kpktgend_{thread}");
        format!("test ! -e {worker} || echo rem_device_all > {worker}")
    });
    let stop = format!("test ! -e {FOLDER}/pgctrl || echo stop > {FOLDER}/pgctrl");
    std::iter::once(stop).chain(threads).collect::<Vec<_>>().join("; ")
}
