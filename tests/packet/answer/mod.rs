//! What the node tells clients in a backend's place.

mod refuse;
mod too_big;

use lb_common::{addr::Mac, settings::AnswerRates, verdict::Verdict};
use lb_tests::{
    case::{self, Case},
    packet::{Packet, Transport},
    packet_path::PacketPath,
    wire::{self, DOT1AD, DOT1Q, ETHERNET},
};
use lb_userspace::dataplane::Op;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::site::{CLIENT4, CLIENT6, L2_VIP4, NODE, ROUTER};

/// What the client's frames have as link addresses, and what the answers have.
const TOLD: (Mac, Mac) = (NODE, ROUTER);
const UNANSWERED: [&str; 5] =
    ["224.0.0.1:40000", "0.0.0.0:40000", "255.255.255.255:40000", "127.0.0.1:1", "240.0.0.1:1"];
const UNANSWERED6: [&str; 3] = ["[::]:40000", "[::1]:40000", "[ff02::1]:40000"];

/// More than fits in one buffer: the kernel hands it over in several.
const JUMBO: usize = 8901;

fn is_v6(vip: &str) -> bool {
    vip.starts_with('[')
}

fn client(vip: &str) -> &'static str {
    if is_v6(vip) { CLIENT6 } else { CLIENT4 }
}

fn packet(transport: Transport, vip: &str, len: usize) -> Packet {
    let packet = Packet::new(transport, client(vip), vip).macs(ROUTER, NODE);
    packet.payload((0..len).map(|at| at as u8).collect())
}

/// The error about a packet.
fn error(kind: [u8; 2], data: [u8; 4], about: &Packet, vip: &str) -> Vec<u8> {
    let (class, longest) = if is_v6(vip) { (0, 1280 - 40 - 8) } else { (0xc0, 576 - 20 - 8) };
    let mut about = about.bytes().split_off(ETHERNET);
    about.truncate(longest);
    wire::icmp(TOLD, wire::ip(vip, client(vip), 64, class), kind, data, &about)
}

fn answered(name: &'static str, given: Vec<u8>, verdict: Verdict, sent: Vec<u8>) -> Case {
    Case { name, given, verdict, sent: Some(sent), counted: None }
}

fn tagged(case: &Case, tags: &[(u16, u16)]) -> Case {
    let tagged = |frame: &[u8]| wire::tagged(frame, tags);
    let sent = case.sent.as_deref().map(tagged);
    Case { given: tagged(&case.given), sent, ..case.clone() }
}

/// Adds the rows with one tag and with two.
fn with_tags(cases: &[Case]) -> Vec<Case> {
    let tags = [&[][..], &[(DOT1Q, 0x2064)], &[(DOT1AD, 7), (DOT1Q, 100)]];
    tags.iter().flat_map(|tags| cases.iter().map(|case| tagged(case, tags))).collect()
}

/// More than the tables need.
const RATES: AnswerRates = AnswerRates { echo: 1000, error: 1000, reset: 1000, padding: 0 };

/// Buckets are each CPU's own.
fn stay_on_this_cpu() {
    let cpus = sched_getaffinity(None).unwrap();
    let first = (0..CpuSet::MAX_CPU).find(|&cpu| cpus.is_set(cpu)).unwrap();
    let mut one = CpuSet::new();
    one.set(first);
    sched_setaffinity(None, &one).unwrap();
}

/// Two answers, and then no more; kinds do not share.
#[test]
fn answers_are_limited() {
    stay_on_this_cpu();
    let two = AnswerRates { echo: 2, error: 2, reset: 2, padding: 0 };
    let (mut broken, mut narrow) = (refuse::broken(two), too_big::narrow(60, two));
    let ip = wire::ip(CLIENT4, L2_VIP4, 64, 0);
    let echo = wire::icmp((ROUTER, NODE), ip, [8, 0], [0; 4], &[]);
    let udp = packet(Transport::Udp, L2_VIP4, 9).bytes();
    let limited = refuse::segment(L2_VIP4, refuse::ack, &[]);
    let long = packet(Transport::TcpAck, L2_VIP4, 99).bytes();
    let four = |path: &mut PacketPath, frame: &[u8]| {
        let actions: Vec<u32> = (0..4).map(|_| path.run_only(frame).0).collect();
        assert_eq!(actions, [3, 3, 1, 1]);
    };
    four(&mut broken, &echo);
    four(&mut broken, &limited);
    four(&mut broken, &udp);
    four(&mut narrow, &long);
    let none = AnswerRates { echo: 0, error: 0, reset: 0, padding: 0 };
    let mut settings = broken.desired().settings;
    settings.answers = none;
    broken.apply(&Op::PutSettings(settings));
    case::run(&mut broken, &[Case::stopped("limited", limited, Verdict::RateLimited)]);
}
