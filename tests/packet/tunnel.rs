//! IP in IP and GUE, of either family in either.

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    EtherType, Ethernet2Header, IpHeaders, IpNumber, Ipv4Header, Ipv6FlowLabel, UdpHeader,
};
use lb_common::{
    addr::{Port, Protocol},
    hash::{HashKey, flow_hash},
    route::{Prefix, VlanTag},
    service::ForwardMode,
    settings::TunnelSource,
    verdict::Verdict,
};
use lb_tests::{
    case::{self, Case, Counted},
    packet::{Packet, Transport},
    packet_path::{self, PacketPath},
    wire::{self, DOT1AD, DOT1Q, ETHERNET},
};
use lb_userspace::dataplane::Op;

use crate::site::{HOP, NODE, ROUTER, WEB, pool};

pub(crate) const SEED: [u8; 16] = [7; 16];
pub(crate) const GUE_PORT: u16 = 6081;
/// A VIP of each family with a backend of each family.
const TUNNELS: [(&str, &str); 4] = [
    ("203.0.113.70:80", "10.0.0.31:80"),
    ("203.0.113.71:80", "[fd00::31]:80"),
    ("[2001:db8:113::70]:80", "10.0.0.32:80"),
    ("[2001:db8:113::71]:80", "[fd00::32]:80"),
];
const DONT_FRAGMENT: u8 = 0x40;

/// Backends in tunnels of a mode, behind next hops with these tags.
fn load(mode: ForwardMode, tags: &[(u16, u16)]) -> PacketPath {
    let mut hop = HOP;
    for (place, (protocol, id)) in hop.tags.iter_mut().zip(tags) {
        *place = VlanTag::new(*protocol, *id);
    }
    let mut desired = packet_path::nothing(SEED);
    let source =
        |ip: &str, length| TunnelSource::new(Prefix::new(ip.parse().unwrap(), length).unwrap());
    desired.settings.tunnel4 = source("10.99.0.0", 16);
    desired.settings.tunnel6 = source("fd99:1:2:3::", 64);
    for protocol in [Protocol::TCP, Protocol::UDP] {
        for (vip, web) in TUNNELS {
            let web = backend(web, protocol);
            let service = pool(mode, &[web], hop);
            let _ = desired.services.insert(packet_path::key(protocol, vip), service);
        }
    }
    let mut path = PacketPath::load(desired);
    for protocol in [Protocol::TCP, Protocol::UDP] {
        for (vip, _) in TUNNELS {
            path.change(
                &packet_path::key(protocol, vip),
                |service| {
                    service.mode = mode;
                    service.gue_port = Port::new(GUE_PORT);
                },
                |_| (),
            );
        }
    }
    path
}

/// Each protocol has its own backend, so that its counters are its own.
fn backend(web: &'static str, protocol: Protocol) -> &'static str {
    if protocol == Protocol::TCP { web } else { web.replace(":80", ":81").leak() }
}

/// A client's packet; a number of the client for flows that differ.
fn packet(transport: Transport, vip: &str, client: u16) -> Packet {
    let port = 40000 + client;
    let client = if vip.starts_with('[') {
        format!("[2001:db8:c::7]:{port}")
    } else {
        format!("198.51.100.7:{port}")
    };
    Packet::new(transport, &client, vip).macs(ROUTER, NODE)
}

fn hash(packet: &Packet) -> u32 {
    let (from, to) = (packet.source, packet.destination);
    let ports = (Port::new(from.port()), Port::new(to.port()));
    flow_hash(&HashKey::from_seed(SEED), &from.ip().into(), ports.0, ports.1)
}

/// The source of a flow's tunnel packets to a backend: the hash's bytes behind the prefix.
fn source(hash: u32, web: IpAddr) -> IpAddr {
    let [a, b, c, d] = hash.to_ne_bytes();
    match web {
        IpAddr::V4(_) => [10, 99, c, d].into(),
        IpAddr::V6(_) => [0xfd, 0x99, 0, 1, 0, 2, 0, 3, 0, 0, 0, 0, a, b, c, d].into(),
    }
}

/// The frame that carries a packet's bytes to a backend.
pub(crate) fn wrapped(inner: &[u8], packet: &Packet, web: &str, mode: ForwardMode) -> Vec<u8> {
    let (hash, web) = (hash(packet), web.parse::<SocketAddr>().unwrap().ip());
    let source = source(hash, web).to_string();
    let is_v4 = inner[0] >> 4 == 4;
    let protocol = if is_v4 { IpNumber::IPV4 } else { IpNumber::IPV6 };
    let (protocol, payload) = match mode {
        ForwardMode::GUE => (IpNumber::UDP, gue(hash, protocol, inner)),
        _ => (protocol, inner.to_vec()),
    };
    let mut header = Vec::new();
    match wire::ip(&source, &web.to_string(), 64, packet.traffic_class) {
        IpHeaders::Ipv4(mut ip, _) => {
            ip.protocol = protocol;
            ip.identification = if is_v4 { u16::from_be_bytes([inner[4], inner[5]]) } else { 0 };
            ip.dont_fragment = !is_v4 || inner[6] & DONT_FRAGMENT != 0;
            ip.set_payload_len(payload.len()).unwrap();
            ip.header_checksum = ip.calc_header_checksum();
            ip.write(&mut header).unwrap();
        }
        IpHeaders::Ipv6(mut ip, _) => {
            ip.next_header = protocol;
            ip.flow_label = Ipv6FlowLabel::try_new(hash & 0xf_ffff).unwrap();
            ip.set_payload_length(payload.len()).unwrap();
            ip.write(&mut header).unwrap();
        }
    }
    let ether_type = if web.is_ipv4() { EtherType::IPV4 } else { EtherType::IPV6 };
    let link = Ethernet2Header { source: NODE.0, destination: WEB.0, ether_type };
    [&link.to_bytes()[..], &header, &payload].concat()
}

/// Variant 0 without options behind a UDP header without a checksum.
fn gue(hash: u32, protocol: IpNumber, inner: &[u8]) -> Vec<u8> {
    let udp = UdpHeader {
        source_port: 0xc000 | hash as u16 & 0x3fff,
        destination_port: GUE_PORT,
        length: u16::try_from(8 + 4 + inner.len()).unwrap(),
        checksum: 0,
    };
    [&udp.to_bytes()[..], &[0, protocol.0, 0, 0], inner].concat()
}

/// The packet of an untagged frame.
pub(crate) fn l3(frame: &[u8]) -> &[u8] {
    &frame[ETHERNET..]
}

fn row(name: &'static str, given: &Packet, web: &'static str, mode: ForwardMode) -> Case {
    let inner = given.clone().hops(given.hops - 1).bytes();
    Case {
        name,
        given: given.bytes(),
        verdict: Verdict::Transmitted,
        sent: Some(wrapped(l3(&inner), given, web, mode)),
        counted: Some(Counted::Request(web)),
    }
}

fn dont_fragment(mut frame: Vec<u8>, at: usize) -> Vec<u8> {
    let header = at..at + 20;
    frame[at + 6] |= DONT_FRAGMENT;
    let (mut ip, _) = Ipv4Header::from_slice(&frame[header.clone()]).unwrap();
    ip.header_checksum = ip.calc_header_checksum();
    frame[header].copy_from_slice(&ip.to_bytes());
    frame
}

#[test]
fn packets_travel_inside_others() {
    for mode in [ForwardMode::IPIP, ForwardMode::GUE] {
        let mut cases = Vec::new();
        for (vip, web) in TUNNELS {
            for transport in [Transport::TcpSyn, Transport::TcpAck, Transport::Udp] {
                let is_udp = transport == Transport::Udp;
                let web = backend(web, if is_udp { Protocol::UDP } else { Protocol::TCP });
                for client in 0..20 {
                    let given = packet(transport, vip, client);
                    cases.push(row("tunnel", &given, web, mode));
                }
            }
            for len in [0, 1, 1400] {
                let given = packet(Transport::TcpAck, vip, 0).payload(vec![7; len]);
                cases.push(row("tunnel: length", &given, web, mode));
            }
            for class in [0, 1, 2, 3, 0xb8, 0xff] {
                let given = Packet { traffic_class: class, ..packet(Transport::TcpAck, vip, 0) };
                cases.push(row("tunnel: dscp and ecn", &given, web, mode));
            }
        }
        case::run(&mut load(mode, &[]), &cases);
    }
}

#[test]
fn dont_fragment_is_carried() {
    for mode in [ForwardMode::IPIP, ForwardMode::GUE] {
        let mut cases = Vec::new();
        for (vip, web) in &TUNNELS[..2] {
            let given = packet(Transport::TcpAck, vip, 0);
            let inner = dont_fragment(given.clone().hops(63).bytes(), ETHERNET);
            cases.push(Case {
                given: dont_fragment(given.bytes(), ETHERNET),
                sent: Some(wrapped(l3(&inner), &given, web, mode)),
                ..row("tunnel: df", &given, web, mode)
            });
        }
        case::run(&mut load(mode, &[]), &cases);
    }
}

/// What is behind the packet in a frame is not part of it; tags come and go.
#[test]
fn tags_and_padding_stay_outside() {
    let leaving: [&[(u16, u16)]; 3] = [&[], &[(DOT1Q, 200)], &[(DOT1AD, 300), (DOT1Q, 1)]];
    for mode in [ForwardMode::IPIP, ForwardMode::GUE] {
        for leaving in leaving {
            let mut cases = Vec::new();
            for (vip, web) in TUNNELS {
                let plain = row("tunnel: tags", &packet(Transport::TcpAck, vip, 0), web, mode);
                let sent = wire::tagged(plain.sent.as_deref().unwrap(), leaving);
                for arriving in [&[][..], &[(DOT1Q, 100)], &[(DOT1AD, 7), (DOT1Q, 100)]] {
                    let given = wire::tagged(&plain.given, arriving);
                    cases.push(Case { given, sent: Some(sent.clone()), ..plain.clone() });
                }
            }
            case::run(&mut load(mode, leaving), &cases);
        }
    }
}

/// Fragments and ICMP errors take the same tunnel as their flow's other packets.
#[test]
fn fragments_and_errors_take_the_tunnel_of_their_flow() {
    for mode in [ForwardMode::IPIP, ForwardMode::GUE] {
        let mut path = load(mode, &[]);
        for (vip, web) in TUNNELS {
            let web = backend(web, Protocol::UDP);
            let given = packet(Transport::Udp, vip, 3).payload(vec![7; 200]);
            let plain = row("tunnel: fragments", &given, web, mode);
            let fragments = |packet: &Packet| wire::fragments(&packet.bytes(), 0xbeef, 104);
            let inner = fragments(&given.clone().hops(63));
            let pairs = fragments(&given).into_iter().zip(inner);
            let mut cases: Vec<Case> = pairs
                .map(|(arriving, inner)| Case {
                    given: arriving,
                    sent: Some(wrapped(l3(&inner), &given, web, mode)),
                    ..plain.clone()
                })
                .collect();
            let about = given.clone().from(vip).to(&given.source.to_string()).bytes();
            let error = |hops| {
                let (router, kind) = if about[ETHERNET] >> 4 == 4 {
                    ("192.0.2.1", [11, 0])
                } else {
                    ("2001:db8:f::1", [3, 0])
                };
                let ip = wire::ip(router, vip, hops, given.traffic_class);
                wire::icmp((ROUTER, NODE), ip, kind, [0; 4], &about[ETHERNET..ETHERNET + 60])
            };
            cases.push(Case {
                name: "tunnel: icmp",
                given: error(64),
                sent: Some(wrapped(l3(&error(63)), &given, web, mode)),
                ..plain
            });
            case::run(&mut path, &cases);
        }
    }
}

#[test]
fn without_a_source_there_is_no_tunnel() {
    let mut path = load(ForwardMode::IPIP, &[]);
    let mut settings = path.desired().settings;
    (settings.tunnel4, settings.tunnel6) = (TunnelSource::NONE, TunnelSource::NONE);
    path.apply(&Op::PutSettings(settings));
    let cases = TUNNELS.map(|(vip, _)| {
        let given = packet(Transport::TcpAck, vip, 0).bytes();
        Case::stopped("tunnel: no source", given, Verdict::NoNextHop)
    });
    case::run(&mut path, &cases);
}
