//! Flows of a backend that is down.

use etherparse::TcpHeader;
use lb_common::{
    addr::Protocol, backend::Condition, settings::AnswerRates, slot::State, verdict::Verdict,
};
use lb_tests::{
    case::{self, Case},
    packet::Transport,
    packet_path::{self, PacketPath},
    wire,
};

use super::{
    JUMBO, RATES, TOLD, UNANSWERED, UNANSWERED6, answered, client, error, packet, with_tags,
};
use crate::site::{self, L2_VIP4, L2_VIP6, NODE, ROUTER};

/// A path whose `l2` services have flows of a backend that is down.
pub(super) fn broken(rates: AnswerRates) -> PacketPath {
    let mut desired = site::desired();
    desired.settings.answers = rates;
    let mut path = PacketPath::load(desired);
    for protocol in [Protocol::TCP, Protocol::UDP] {
        for vip in [L2_VIP4, L2_VIP6] {
            let key = packet_path::key(protocol, vip);
            path.fill_ring(&key, State::Moving { current: None, previous: 1 });
            path.change(&key, |_| (), |backend| backend.condition = Condition::DOWN);
        }
    }
    path
}

/// A client's segment.
pub(super) fn segment(vip: &str, change: impl Fn(&mut TcpHeader), payload: &[u8]) -> Vec<u8> {
    let mut tcp = TcpHeader::new(40000, 80, 0xffff_fff0, 1000);
    change(&mut tcp);
    wire::tcp((ROUTER, NODE), wire::ip(client(vip), vip, 64, 0x2e), tcp, payload)
}

/// The reset that answers it.
fn reset(vip: &str, sequence: u32, acknowledgement: Option<u32>) -> Vec<u8> {
    let mut tcp = TcpHeader::new(80, 40000, sequence, 0);
    tcp.rst = true;
    tcp.ack = acknowledgement.is_some();
    tcp.acknowledgment_number = acknowledgement.unwrap_or(0);
    wire::tcp(TOLD, wire::ip(vip, client(vip), 64, 0), tcp, &[])
}

pub(super) fn ack(tcp: &mut TcpHeader) {
    tcp.ack = true;
    tcp.acknowledgment_number = 0x1234_5678;
}

#[test]
fn tcp_is_reset() {
    let mut cases = Vec::new();
    for vip in [L2_VIP4, L2_VIP6] {
        let row = |name, given, sequence, acknowledgement| {
            answered(name, given, Verdict::Reset, reset(vip, sequence, acknowledgement))
        };
        let acked = |name, given| row(name, given, 0x1234_5678, None);
        let counted =
            |name, given, len: u32| row(name, given, 0, Some(0xffff_fff0_u32.wrapping_add(len)));
        cases.push(acked("reset: ack", segment(vip, ack, &[])));
        cases.push(acked("reset: data", segment(vip, ack, &[1; 1000])));
        cases.push(acked("reset: jumbo", segment(vip, ack, &[1; JUMBO])));
        cases.push(acked("reset: odd data", segment(vip, ack, &[1; 7])));
        let options = |tcp: &mut TcpHeader| {
            ack(tcp);
            tcp.set_options_raw(&[1; 12]).unwrap();
        };
        cases.push(acked("reset: options", segment(vip, options, &[1; 7])));
        let fin = |tcp: &mut TcpHeader| {
            ack(tcp);
            tcp.fin = true;
        };
        cases.push(acked("reset: fin", segment(vip, fin, &[1; 7])));
        cases.push(counted("reset: no flags", segment(vip, |_| (), &[]), 0));
        cases.push(counted("reset: data without ack", segment(vip, |_| (), &[1; 33]), 33));
        cases.push(counted("reset: fin without ack", segment(vip, |tcp| tcp.fin = true, &[1]), 2));
    }
    let options = packet(Transport::TcpAck, L2_VIP4, 9).options(&[1; 8]).bytes();
    cases.push(answered("reset: ip options", options, Verdict::Reset, reset(L2_VIP4, 0, None)));
    case::run(&mut broken(RATES), &with_tags(&cases));
}

#[test]
fn a_reset_is_not_reset() {
    let rst = |tcp: &mut TcpHeader| tcp.rst = true;
    let both = |tcp: &mut TcpHeader| {
        ack(tcp);
        tcp.rst = true;
    };
    let drop = |given| Case::stopped("reset: of a reset", given, Verdict::BackendDown);
    let cases =
        [L2_VIP4, L2_VIP6].map(|vip| [drop(segment(vip, rst, &[])), drop(segment(vip, both, &[]))]);
    case::run(&mut broken(RATES), cases.as_flattened());
}

#[test]
fn udp_is_told_that_the_port_is_unreachable() {
    let mut cases = Vec::new();
    for (vip, kind) in [(L2_VIP4, [3, 3]), (L2_VIP6, [1, 4])] {
        for len in [0, 1, 9, 600, 1400, JUMBO] {
            let given = packet(Transport::Udp, vip, len);
            let sent = error(kind, [0; 4], &given, vip);
            let verdict = Verdict::PortUnreachable;
            cases.push(answered("port unreachable", given.bytes(), verdict, sent));
        }
    }
    case::run(&mut broken(RATES), &with_tags(&cases));
}

#[test]
fn nobody_is_refused_who_must_not_be() {
    let mut cases = Vec::new();
    for transport in [Transport::TcpAck, Transport::Udp] {
        let drop =
            |given: Vec<u8>| Case::stopped("refuse: unanswered", given, Verdict::BackendDown);
        for (vip, froms) in [(L2_VIP4, &UNANSWERED[..]), (L2_VIP6, &UNANSWERED6)] {
            let plain = packet(transport, vip, 9);
            cases.extend(froms.iter().map(|from| drop(plain.clone().from(from).bytes())));
            let mut to_group = plain.bytes();
            to_group[0] |= 1;
            cases.push(drop(to_group));
        }
    }
    case::run(&mut broken(RATES), &cases);
}
