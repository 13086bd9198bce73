//! A backend's program: what comes out of a tunnel, what stays in it, and what ends there.

use std::collections::BTreeMap;

use aya::programs::{TestRun, TestRunOptions};
use lb_common::{
    decap::{DecapKind, DecapVerdict},
    route::Prefix,
};
use lb_tests::{
    packet::{Packet, Transport},
    tunnel::{ETHERNET, Tunnel},
};
use lb_userspace::{
    backend::decap::{Decap, Options},
    config::AttachMode,
};

const NODE4: &str = "10.0.0.7";
const NODE6: &str = "fd00::7";
const BACKEND4: &str = "10.0.0.11";
const BACKEND6: &str = "fd00::11";
const PORT: u16 = 6081;

/// One row.
struct Row {
    name: String,
    given: Vec<u8>,
    verdict: DecapVerdict,
    /// The frame that the stack gets; `None`: untouched, or none.
    left: Option<Vec<u8>>,
}

fn load(sources: Vec<Prefix>) -> Decap {
    Decap::load(&Options { sources, gue_port: PORT, mode: AttachMode::Native }).unwrap()
}

fn prefix(address: &str, length: u8) -> Prefix {
    Prefix::new(address.parse().unwrap(), length).unwrap()
}

fn run(rows: &[Row]) {
    run_from(vec![prefix("10.0.0.0", 24), prefix("fd00::", 64)], rows);
}

/// Runs rows where tunnels are taken from these.
fn run_from(sources: Vec<Prefix>, rows: &[Row]) {
    let mut decap = load(sources);
    let failures: Vec<_> = rows.iter().filter_map(|row| failure(&mut decap, row)).collect();
    assert!(failures.is_empty(), "{}", failures.concat());
}

fn counters(decap: &Decap) -> BTreeMap<&'static str, u64> {
    decap.verdicts().unwrap().into_iter().map(|(verdict, n)| (verdict.as_str(), n)).collect()
}

/// `enum xdp_action`.
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

fn failure(decap: &mut Decap, row: &Row) -> Option<String> {
    let Row { name, given, verdict, left } = row;
    let mut expected = counters(decap);
    *expected.get_mut(verdict.as_str()).unwrap() += 1;
    let mut out = vec![0; given.len() + 256];
    let mut options = TestRunOptions::new();
    options.data_in = Some(given);
    options.data_out = Some(&mut out);
    let result = decap.program().unwrap().test_run(options).unwrap();
    out.truncate(result.data_size_out as usize);
    let action = match verdict.kind() {
        DecapKind::Unwrapped | DecapKind::Passed => XDP_PASS,
        DecapKind::Dropped => XDP_DROP,
    };
    let frame = left.as_ref().unwrap_or(given);
    let same_frame = action == XDP_DROP || out == *frame;
    let moved = counters(decap);
    (result.return_value != action || !same_frame || moved != expected).then(|| {
        format!(
            "\n{name}: {verdict:?}, action {} instead of {action}\n  expected {expected:?}\n  \
             got      {moved:?}\n  expected {frame:02x?}\n  got      {out:02x?}\n",
            result.return_value
        )
    })
}

fn untouched(name: &str, given: Vec<u8>, verdict: DecapVerdict) -> Row {
    Row { name: name.into(), given, verdict, left: None }
}

fn unwrapped(name: impl Into<String>, tunnel: &Tunnel, inner: &[u8]) -> Row {
    let verdict = if tunnel.gue.is_some() { DecapVerdict::Gue } else { DecapVerdict::Ipip };
    let left = Some(tunnel.tagged(inner));
    Row { name: name.into(), given: tunnel.wrap(inner), verdict, left }
}

fn inner4() -> Packet {
    Packet::new(Transport::TcpAck, "198.51.100.9:40000", "192.0.2.10:80")
}

fn inner6() -> Packet {
    Packet::new(Transport::Udp, "[2001:db8:c::9]:40000", "[2001:db8::20]:443")
}

/// Each form over each family.
fn tunnels() -> [(&'static str, Tunnel); 4] {
    [
        ("ipip over IPv4", Tunnel::ipip(NODE4, BACKEND4)),
        ("ipip over IPv6", Tunnel::ipip(NODE6, BACKEND6)),
        ("gue over IPv4", Tunnel::gue(NODE4, BACKEND4, PORT)),
        ("gue over IPv6", Tunnel::gue(NODE6, BACKEND6, PORT)),
    ]
}

#[test]
fn either_family_comes_out_of_either_with_its_tags() {
    let tags = [[0x88, 0xa8, 0x60, 7], [0x81, 0, 0, 9]];
    let mut rows = Vec::new();
    for (name, tunnel) in tunnels() {
        for inner in [inner4().bytes(), inner6().bytes(), inner4().options(&[1; 8]).bytes()] {
            for count in 0..=2 {
                let tunnel = Tunnel { tags: tags[..count].to_vec(), ..tunnel.clone() };
                rows.push(unwrapped(format!("{name}, {count} tags"), &tunnel, &inner));
            }
        }
    }
    assert_eq!(rows.len(), 36);
    run(&rows);
}

#[test]
fn every_length_of_the_outer_headers_is_removed() {
    let [(_, ipip4), (_, ipip6), (_, gue4), (_, gue6)] = tunnels();
    let inner = inner4().bytes();
    // The encapsulation limit that Linux sends by default (RFC 2473 §4.1.1).
    let limit = Some((60, vec![0, 0, 4, 1, 4, 1, 1, 0]));
    let mut rows = vec![unwrapped(
        "encapsulation limit",
        &Tunnel { extensions: limit.clone(), ..ipip6 },
        &inner,
    )];
    rows.push(unwrapped("encapsulation limit", &Tunnel { extensions: limit, ..gue6 }, &inner));
    for words in 1..=10 {
        let options = vec![1; words * 4];
        rows.push(unwrapped("outer options", &Tunnel { options, ..ipip4.clone() }, &inner));
    }
    for words in 1..=31 {
        let header = [vec![words, 4, 0, 0], vec![0xff; usize::from(words) * 4]].concat();
        let tunnel = Tunnel { gue: Some((PORT, header)), ..gue4.clone() };
        rows.push(unwrapped("private data of GUE", &tunnel, &inner));
    }
    run(&rows);
}

#[test]
fn padding_behind_the_outer_packet_stays_behind_the_inner_one() {
    let rows = tunnels().map(|(name, tunnel)| {
        let Row { mut given, mut left, .. } = unwrapped(name, &tunnel, &inner4().bytes());
        given.extend([0; 9]);
        left.as_mut().unwrap().extend([0; 9]);
        Row { given, left, ..unwrapped(name, &tunnel, &inner4().bytes()) }
    });
    run(&rows);
}

#[test]
fn congestion_on_the_way_is_told_to_the_packet_inside() {
    const NOT_ECT: u8 = 0;
    const ECT_1: u8 = 1;
    const ECT_0: u8 = 2;
    const CE: u8 = 3;
    let mut rows = Vec::new();
    for (name, tunnel) in tunnels() {
        for packet in [inner4(), inner6()] {
            for (outer, inner) in (0..16).map(|both| (both / 4, both % 4)) {
                let with = |ecn| Packet { traffic_class: 0xb8 | ecn, ..packet.clone() }.bytes();
                let tunnel = Tunnel { traffic_class: 0x28 | outer, ..tunnel.clone() };
                let left = match (outer, inner) {
                    (CE, NOT_ECT) => {
                        let given = tunnel.wrap(&with(inner));
                        rows.push(untouched(name, given, DecapVerdict::Congestion));
                        continue;
                    }
                    (CE, _) => CE,
                    (ECT_1, ECT_0) => ECT_1,
                    _ => inner,
                };
                let row = unwrapped(format!("{name}: {outer} {inner}"), &tunnel, &with(inner));
                rows.push(Row { left: Some(with(left)), ..row });
            }
        }
    }
    run(&rows);
}

#[test]
fn nodes_of_one_family_do_not_stand_for_the_other() {
    let inner = inner4().bytes();
    let (tunnel4, tunnel6) = (Tunnel::ipip(NODE4, BACKEND4), Tunnel::ipip(NODE6, BACKEND6));
    let other = |tunnel: &Tunnel| untouched("any", tunnel.wrap(&inner), DecapVerdict::OtherSource);
    let own = |tunnel: &Tunnel| unwrapped("any", tunnel, &inner);
    run_from(vec![prefix("0.0.0.0", 0)], &[own(&tunnel4), other(&tunnel6)]);
    run_from(vec![prefix("::", 0)], &[other(&tunnel4), own(&tunnel6)]);
}

#[test]
fn what_is_not_a_nodes_tunnel_is_left_to_the_stack() {
    use DecapVerdict::{Fragment, NotIp, NotTunnel, OtherGue, OtherSource};
    let inner = inner4().bytes();
    let gue = |header: &[u8]| {
        let gue = Some((PORT, header.to_vec()));
        Tunnel { gue, ..Tunnel::gue(NODE4, BACKEND4, PORT) }.wrap(&inner)
    };
    let fragment = |fragment, tunnel| Tunnel { fragment, ..tunnel }.wrap(&inner);
    let ipip = || Tunnel::ipip(NODE4, BACKEND4);
    let first6 = Some((44, vec![0, 0, 0, 1, 1, 2, 3, 4]));
    let later6 = Some((44, vec![0, 0, 1, 0, 1, 2, 3, 4]));
    let six = |extensions| Tunnel { extensions, ..Tunnel::ipip(NODE6, BACKEND6) }.wrap(&inner);
    let other = |source, to| Tunnel::ipip(source, to).wrap(&inner);
    let mut arp = inner.clone();
    arp[12..14].copy_from_slice(&[8, 6]);
    run(&[
        untouched("arp", arp, NotIp),
        untouched("tcp", inner.clone(), NotTunnel),
        untouched("udp", inner6().bytes(), NotTunnel),
        untouched("tcp to the port", inner4().to("192.0.2.10:6081").bytes(), NotTunnel),
        untouched("gre", Tunnel { protocol: Some(47), ..ipip() }.wrap(&inner), NotTunnel),
        untouched("other port", Tunnel::gue(NODE4, BACKEND4, PORT + 1).wrap(&inner), NotTunnel),
        untouched("next prefix", other("10.0.1.7", BACKEND4), OtherSource),
        untouched("next prefix", other("fd00:0:0:1::7", BACKEND6), OtherSource),
        untouched("gue", Tunnel::gue("10.1.0.7", BACKEND4, PORT).wrap(&inner), OtherSource),
        untouched("first fragment", fragment([0x20, 0], ipip()), Fragment),
        untouched("later fragment", fragment([0, 9], ipip()), Fragment),
        untouched("of gue", fragment([0x20, 0], Tunnel::gue(NODE4, BACKEND4, PORT)), Fragment),
        untouched("first fragment", six(first6), Fragment),
        untouched("later fragment", six(later6), Fragment),
        untouched("variant 1", gue(&[0x40, 4, 0, 0]), OtherGue),
        untouched("control", gue(&[0x20, 4, 0, 0]), OtherGue),
        untouched("flags", gue(&[0, 4, 0, 1]), OtherGue),
        untouched("protocol", gue(&[0, 6, 0, 0]), OtherGue),
    ]);
}

/// A frame with some bytes replaced.
fn with(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

#[test]
fn an_outer_packet_that_contradicts_itself_is_left_to_the_stack() {
    let ipip = || Tunnel::ipip(NODE4, BACKEND4).wrap(&inner4().bytes());
    let gue = || Tunnel::gue(NODE4, BACKEND4, PORT).wrap(&inner4().bytes());
    let bad = |name, given| untouched(name, given, DecapVerdict::BadOuter);
    run(&[
        bad("version", with(ipip(), ETHERNET, &[0x55])),
        bad("header length", with(ipip(), ETHERNET, &[0x44])),
        bad("length over the frame", with(ipip(), ETHERNET + 2, &[0xff, 0xff])),
        bad("cut in the header", ipip()[..ETHERNET + 19].to_vec()),
        bad("cut in the packet", ipip()[..ETHERNET + 60].to_vec()),
        bad("udp length over the packet", with(gue(), ETHERNET + 24, &[0xff, 0])),
    ]);
}

#[test]
fn a_packet_inside_that_contradicts_itself_is_dropped() {
    use DecapVerdict::{BadInnerLength, BadInnerVersion};
    for (name, tunnel) in tunnels() {
        let four = inner4().bytes();
        let six = inner6().bytes();
        let claims = |protocol, inner: &[u8]| {
            Tunnel { protocol: Some(protocol), ..tunnel.clone() }.wrap(inner)
        };
        let at = |offset, bytes: &[u8]| tunnel.wrap(&with(four.clone(), ETHERNET + offset, bytes));
        let length6 = with(six.clone(), ETHERNET + 4, &[1, 0]);
        let one_longer = u16::try_from(four.len() - ETHERNET + 1).unwrap().to_be_bytes();
        let row =
            |what: &str, given, verdict| untouched(&format!("{name}: {what}"), given, verdict);
        run(&[
            row("4 that is 6", claims(4, &six), BadInnerVersion),
            row("6 that is 4", claims(41, &four), BadInnerVersion),
            row("header length 16", at(0, &[0x44]), BadInnerLength),
            row("shorter than its header", at(2, &[0, 19]), BadInnerLength),
            row("longer than the outer packet", at(2, &one_longer), BadInnerLength),
            row("longer than the outer packet", tunnel.wrap(&length6), BadInnerLength),
            row("nothing", claims(4, &four[..ETHERNET]), BadInnerLength),
            row("half a header", claims(4, &four[..ETHERNET + 10]), BadInnerLength),
            row("half a header", claims(41, &six[..ETHERNET + 38]), BadInnerLength),
        ]);
    }
}
