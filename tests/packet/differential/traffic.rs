//! Random packets that mostly mean something to a node.

use std::net::{IpAddr, SocketAddr};

use fastrand::Rng;
use lb_model::node::{Mode, Node, Service};
use lb_tests::packet::{Packet, Transport};

use super::mutate;
use crate::site::NODE;

const CLIENTS4: &[[u8; 3]] = &[[198, 51, 100], [192, 0, 2], [100, 1, 1]];
const CLIENTS6: &[&str] = &["2001:db8:c::", "2001:db8:bad::", "2001:db8:d:e::"];

/// A frame of a random kind; half of them are mutated.
pub(super) fn frame(rng: &mut Rng, node: &Node) -> Vec<u8> {
    let mut frame = match rng.u8(..20) {
        0 => noise(rng),
        1..4 => answer(rng, node),
        4 => icmp(rng, node),
        _ => request(rng, node).bytes(),
    };
    shape(rng, &mut frame);
    if rng.bool() {
        for _ in 0..rng.u8(1..4) {
            mutate::one(rng, &mut frame);
        }
    }
    frame.truncate(3000);
    if frame.len() < 14 {
        // The kernel runs no frame without an Ethernet header.
        frame.resize(14, 0);
    }
    frame
}

fn noise(rng: &mut Rng) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..rng.usize(14..200)).map(|_| rng.u8(..)).collect();
    let types = [[0x08, 0x00], [0x86, 0xdd], [0x81, 0x00], [0x88, 0xa8], [0x08, 0x06]];
    frame[12..14].copy_from_slice(rng.choice(&types).unwrap());
    frame
}

fn client(rng: &mut Rng, six: bool) -> SocketAddr {
    let host = rng.u8(..);
    let ip: IpAddr = if six {
        format!("{}{host:x}", rng.choice(CLIENTS6).unwrap()).parse().unwrap()
    } else {
        let [a, b, c] = *rng.choice(CLIENTS4).unwrap();
        [a, b, c, host].into()
    };
    // Few ports, so that flows come again.
    let port = if rng.bool() { rng.u16(40000..40004) } else { rng.u16(..) };
    SocketAddr::new(ip, port)
}

fn service<'a>(rng: &mut Rng, node: &'a Node) -> &'a Service {
    rng.choice(&node.services).unwrap()
}

fn vip(rng: &mut Rng, service: &Service) -> SocketAddr {
    let port = match rng.u8(..20) {
        0 => rng.u16(..),
        1 => service.ports.start().wrapping_sub(1),
        2 => service.ports.end().wrapping_add(1),
        _ => rng.u16(service.ports.clone()),
    };
    SocketAddr::new(service.vip, port)
}

/// A packet of a client to a service.
fn request(rng: &mut Rng, node: &Node) -> Packet {
    let service = service(rng, node);
    let (from, to) = (client(rng, service.vip.is_ipv6()), vip(rng, service));
    between(rng, from, to, service.protocol == 6)
}

fn between(rng: &mut Rng, source: SocketAddr, destination: SocketAddr, tcp: bool) -> Packet {
    let tcp = tcp ^ (rng.u8(..20) == 0);
    let transport = match (tcp, rng.u8(..3)) {
        (true, 0) => Transport::TcpSyn,
        (true, _) => Transport::TcpAck,
        (false, 0) if source.is_ipv4() => Transport::UdpUnchecked,
        (false, _) => Transport::Udp,
    };
    let len = match rng.u8(..10) {
        0 => rng.usize(..2000),
        1 => rng.usize(1150..1470),
        _ => rng.usize(..40),
    };
    let options = if source.is_ipv4() && rng.u8(..8) == 0 { 4 * rng.usize(..11) } else { 0 };
    Packet {
        source_mac: lb_common::addr::Mac([2, 0, 0, 0, 0, 0xc1]),
        destination_mac: NODE,
        source,
        destination,
        hops: *rng.choice(&[64, 64, 64, 64, 255, 2, 1, 0]).unwrap(),
        traffic_class: rng.u8(..),
        options: vec![1; options],
        transport,
        payload: (0..len).map(|_| rng.u8(..)).collect(),
    }
}

/// A packet from a backend to a client.
fn answer(rng: &mut Rng, node: &Node) -> Vec<u8> {
    let with_backends =
        |service: &&Service| service.mode == Mode::Nat && !service.backends.is_empty();
    let services: Vec<&Service> = node.services.iter().filter(with_backends).collect();
    let Some(service) = rng.choice(services) else { return request(rng, node).bytes() };
    let backend = rng.choice(&service.backends).unwrap();
    let to = match rng.u8(..10) {
        0 if backend.address.is_ipv4() => "198.51.100.1:40000".parse().unwrap(),
        0 => "[2001:db8:c::1]:40000".parse().unwrap(),
        _ => client(rng, backend.address.is_ipv6()),
    };
    let from = SocketAddr::new(backend.address, backend.port);
    between(rng, from, to, service.protocol == 6).bytes()
}

/// An echo request, or an error about what a service sent.
fn icmp(rng: &mut Rng, node: &Node) -> Vec<u8> {
    let service = service(rng, node);
    let (from, vip) = (client(rng, service.vip.is_ipv6()), vip(rng, service));
    let mut payload = between(rng, vip, from, service.protocol == 6).bytes().split_off(14);
    payload.truncate(rng.usize(..=payload.len()).max(28));
    let six = vip.is_ipv6();
    let kinds: [u8; 5] = if six { [128, 1, 2, 3, 4] } else { [8, 3, 3, 11, 12] };
    let mut message = vec![*rng.choice(&kinds).unwrap(), rng.u8(..5), 0, 0, 0, 0, 5, 0];
    message.extend(payload);
    let checksum = checksum(&message, six.then_some((from.ip(), vip.ip())));
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let packet =
        Packet { options: Vec::new(), payload: Vec::new(), ..between(rng, from, vip, false) };
    let mut frame = packet.bytes();
    frame.truncate(if six { 54 } else { 34 });
    frame[if six { 20 } else { 23 }] = if six { 58 } else { 1 };
    frame.extend(&message);
    mutate::fix_length(&mut frame, 14);
    frame
}

/// The checksum of an ICMP message, or of an ICMPv6 one between two addresses.
fn checksum(message: &[u8], ends: Option<(IpAddr, IpAddr)>) -> u16 {
    let mut words = message.to_vec();
    if let Some((IpAddr::V6(from), IpAddr::V6(to))) = ends {
        let pseudo = [from.octets(), to.octets()].concat();
        let len = (message.len() as u16).to_be_bytes();
        words.splice(..0, [&pseudo[..], &len, &[0, 58]].concat()).for_each(drop);
    }
    let sum: u32 = words
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])))
        .sum();
    !(((sum & 0xffff) + (sum >> 16)).rem_euclid(0xffff) as u16)
}

/// What a valid packet may also have: tags, extension headers, fragmentation, TCP flags, padding.
fn shape(rng: &mut Rng, frame: &mut Vec<u8>) {
    if rng.u8(..4) == 0 {
        mutate::flags(rng, frame);
    }
    if rng.u8(..4) == 0 {
        for _ in 0..rng.u8(..7) {
            mutate::extension(rng, frame);
        }
    }
    if rng.u8(..12) == 0 {
        mutate::fragment(rng, frame);
    }
    for _ in 0..[0, 0, 0, 1, 2, 3][rng.usize(..6)] {
        mutate::tag(rng, frame);
    }
    if rng.u8(..8) == 0 {
        frame.resize(frame.len() + rng.usize(..40), 0);
    }
}
