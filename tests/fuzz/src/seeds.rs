//! Valid packets to begin with, built by etherparse.

use etherparse::{
    IpFragOffset, IpHeaders, PacketBuilder, PacketBuilderStep, VlanId, ip_number::IPV6_FRAG,
};

const PAYLOAD: &[u8] = b"payload";

pub(crate) fn frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for six in [false, true] {
        frames.push(error(six));
        for protocol in [6, 17, 1] {
            let plain = frame(six, protocol, 0);
            frames.extend([fragment(&plain, six, 0), fragment(&plain, six, 1)]);
            frames.extend([plain, frame(six, protocol, 1), frame(six, protocol, 2)]);
        }
    }
    frames
}

fn vlan(id: u16) -> VlanId {
    VlanId::try_new(id).unwrap_or(VlanId::ZERO)
}

/// A frame with up to two tags.
fn frame(six: bool, protocol: u8, tags: u8) -> Vec<u8> {
    let ethernet = PacketBuilder::ethernet2([2; 6], [4; 6]);
    let (four, to4) = ([192, 0, 2, 1], [203, 0, 113, 1]);
    let (from6, to6) = ([0x20; 16], [0x21; 16]);
    let ip = match (tags, six) {
        (0, false) => ethernet.ipv4(four, to4, 64),
        (0, true) => ethernet.ipv6(from6, to6, 64),
        (1, false) => ethernet.single_vlan(vlan(5)).ipv4(four, to4, 64),
        (1, true) => ethernet.single_vlan(vlan(5)).ipv6(from6, to6, 64),
        (_, false) => ethernet.double_vlan(vlan(5), vlan(6)).ipv4(four, to4, 64),
        (_, true) => ethernet.double_vlan(vlan(5), vlan(6)).ipv6(from6, to6, 64),
    };
    carrying(ip, protocol, six)
}

fn carrying(ip: PacketBuilderStep<IpHeaders>, protocol: u8, six: bool) -> Vec<u8> {
    let mut frame = Vec::new();
    let written = match (protocol, six) {
        (6, _) => ip.tcp(40000, 443, 7, 64240).syn().write(&mut frame, PAYLOAD),
        (17, _) => ip.udp(40000, 53).write(&mut frame, PAYLOAD),
        (_, false) => ip.icmpv4_echo_request(1, 2).write(&mut frame, PAYLOAD),
        (_, true) => ip.icmpv6_echo_request(1, 2).write(&mut frame, PAYLOAD),
    };
    written.unwrap_or_else(|error| panic!("etherparse: {error}"));
    frame
}

/// The frame without tags as a fragment at an offset, with more to come.
fn fragment(frame: &[u8], six: bool, offset: u16) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let offset = IpFragOffset::try_new(offset).unwrap_or(IpFragOffset::ZERO).value();
    if six {
        let next = std::mem::replace(&mut frame[14 + 6], IPV6_FRAG.0);
        let [high, low] = (offset << 3 | 1).to_be_bytes();
        frame.splice(54..54, [next, 0, high, low, 0, 0, 0, 9]).for_each(drop);
        frame[14 + 5] += 8;
    } else {
        frame[14 + 6..14 + 8].copy_from_slice(&(offset | 0x2000).to_be_bytes());
    }
    frame
}

/// An error about a packet that its receiver sent. Checksums are not the parser's.
fn error(six: bool) -> Vec<u8> {
    let header = if six { 40 } else { 20 };
    let mut about = frame(six, 6, 0).split_off(14);
    let mut frame = frame(six, 1, 0);
    if six {
        about[8..40].rotate_left(16);
        frame[18..20].copy_from_slice(&(8 + about.len() as u16).to_be_bytes());
        frame[14 + header] = 2;
    } else {
        about[12..20].rotate_left(4);
        frame[16..18].copy_from_slice(&(28 + about.len() as u16).to_be_bytes());
        frame[14 + header] = 3;
    }
    frame.truncate(14 + header + 8);
    frame.extend(about);
    frame
}
