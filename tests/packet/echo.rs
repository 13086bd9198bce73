//! Echo requests to a VIP are answered in their place.

use lb_common::verdict::Verdict;
use lb_tests::{
    case::{self, Case},
    wire::{self, DOT1AD, DOT1Q, ETHERNET},
};

use crate::site::{self, CLIENT4, CLIENT6, L2_VIP4, L2_VIP6, NAT_VIP4, NODE, ROUTER};

/// Identifier and sequence number.
const DATA: [u8; 4] = [0xab, 0xcd, 0, 7];
/// A traffic class, which the answer has as well.
const CLASS: u8 = 0x48;

fn kinds(vip: &str) -> ([u8; 2], [u8; 2]) {
    if vip.starts_with('[') { ([128, 0], [129, 0]) } else { ([8, 0], [0, 0]) }
}

fn request(from: &str, vip: &str, payload: &[u8]) -> Vec<u8> {
    let ip = wire::ip(from, vip, 57, CLASS);
    wire::icmp((ROUTER, NODE), ip, kinds(vip).0, DATA, payload)
}

fn row(name: &'static str, from: &str, vip: &str, payload: &[u8]) -> Case {
    let ip = wire::ip(vip, from, 64, CLASS);
    Case {
        name,
        given: request(from, vip, payload),
        verdict: Verdict::EchoReply,
        sent: Some(wire::icmp((NODE, ROUTER), ip, kinds(vip).1, DATA, payload)),
        counted: None,
    }
}

#[test]
fn requests_to_a_vip_are_answered() {
    let mut cases = Vec::new();
    for (from, vip) in [(CLIENT4, L2_VIP4), (CLIENT6, L2_VIP6), (CLIENT4, NAT_VIP4)] {
        for len in [0, 1, 56, 57, 1472_usize] {
            let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
            cases.push(row("echo", from, vip, &payload));
        }
        for tags in [&[(DOT1Q, 0x6064)][..], &[(DOT1AD, 7), (DOT1Q, 100)]] {
            let plain = row("echo: tagged", from, vip, b"payload");
            let tagged = |frame: &[u8]| wire::tagged(frame, tags);
            let sent = plain.sent.as_deref().map(tagged);
            cases.push(Case { given: tagged(&plain.given), sent, ..plain });
        }
    }
    case::run(&mut site::load(), &cases);
}

#[test]
fn other_requests_pass() {
    let pass = |name, given| Case::stopped(name, given, Verdict::NotTcpOrUdp);
    let put = |mut frame: Vec<u8>, at: usize, bytes: &[u8]| {
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    let plain = request(CLIENT4, L2_VIP4, b"payload");
    let options = {
        let mut frame = put(plain.clone(), ETHERNET, &[0x46, CLASS, 0, 20 + 4 + 8 + 7]);
        let _ = frame.splice(ETHERNET + 20..ETHERNET + 20, [7, 4, 4, 0]).count();
        frame
    };
    let six = request(CLIENT6, L2_VIP6, b"payload");
    let mut fragments = wire::fragments(&plain, 9, 8);
    let rows = [
        pass("echo: to no vip", request(CLIENT4, "203.0.113.99", b"payload")),
        pass("echo: to no vip, v6", request(CLIENT6, "2001:db8::1", b"payload")),
        pass("echo: options", options),
        pass("echo: later fragment", fragments.swap_remove(1)),
        pass("echo: first fragment", fragments.swap_remove(0)),
        pass("echo: from a group", request("224.0.0.5", L2_VIP4, b"payload")),
        pass("echo: from nobody", request("0.0.0.0", L2_VIP4, b"payload")),
        pass("echo: from everybody", request("255.255.255.255", L2_VIP4, b"payload")),
        pass("echo: from nobody, v6", request("::", L2_VIP6, b"payload")),
        pass("echo: from itself, v6", request("::1", L2_VIP6, b"payload")),
        pass("echo: from a group, v6", request("ff02::1", L2_VIP6, b"payload")),
        pass("echo: frame to all", put(plain.clone(), 0, &[0xff; 6])),
        pass("echo: frame to a group", put(six, 0, &[0x33, 0x33, 0, 0, 0, 1])),
        pass("echo: timestamp", put(plain, ETHERNET + 20, &[13])),
    ];
    case::run(&mut site::load(), &rows);
}
