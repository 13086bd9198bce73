//! Changes to frames, some of which leave them valid.

use fastrand::Rng;

const FRAGMENT: u8 = 44;

/// Where the IP header is, and whether it is IPv6's: as far as the frame tells.
fn network(frame: &[u8]) -> Option<(usize, bool)> {
    let mut at = 12;
    while matches!(frame.get(at..at + 2)?, [0x81, 0x00] | [0x88, 0xa8]) {
        at += 4;
    }
    match frame.get(at..at + 2)? {
        [0x08, 0x00] if frame.len() >= at + 22 => Some((at + 2, false)),
        [0x86, 0xdd] if frame.len() >= at + 42 => Some((at + 2, true)),
        _ => None,
    }
}

/// Where the transport header is, if nothing but the IP header is before it.
fn transport(frame: &[u8]) -> Option<(usize, u8)> {
    let (ip, six) = network(frame)?;
    let (at, protocol) = if six {
        (ip + 40, frame[ip + 6])
    } else {
        (ip + 4 * usize::from(frame[ip] & 0xf), frame[ip + 9])
    };
    (at + 16 <= frame.len()).then_some((at, protocol))
}

/// Makes the IP length that of the frame.
pub(super) fn fix_length(frame: &mut [u8], ip: usize) {
    let six = frame[ip] >> 4 == 6;
    let (at, header) = if six { (ip + 4, 40) } else { (ip + 2, 0) };
    let len = (frame.len() - ip - header) as u16;
    frame[at..at + 2].copy_from_slice(&len.to_be_bytes());
}

/// Puts a VLAN tag behind the MACs.
pub(super) fn tag(rng: &mut Rng, frame: &mut Vec<u8>) {
    let protocol = if rng.bool() { [0x81, 0x00] } else { [0x88, 0xa8] };
    let tag = [protocol[0], protocol[1], rng.u8(..), rng.u8(..)];
    frame.splice(12..12, tag).for_each(drop);
}

/// Sets random TCP flags.
pub(super) fn flags(rng: &mut Rng, frame: &mut [u8]) {
    if let Some((at, 6)) = transport(frame) {
        frame[at + 13] = rng.u8(..);
    }
}

/// Puts an extension header, or an option, behind the IP header.
pub(super) fn extension(rng: &mut Rng, frame: &mut Vec<u8>) {
    let Some((ip, six)) = network(frame) else { return };
    if six {
        let kind = *rng.choice(&[0, 60, 60, 43, FRAGMENT]).unwrap();
        let len = if kind == FRAGMENT { 0 } else { *rng.choice(&[0, 0, 0, 1, 3]).unwrap() };
        let mut header = vec![0; 8 * (usize::from(len) + 1)];
        header[0] = std::mem::replace(&mut frame[ip + 6], kind);
        header[1] = len;
        if kind == 43 && rng.u8(..8) == 0 {
            header[3] = 1;
        }
        frame.splice(ip + 40..ip + 40, header).for_each(drop);
    } else if frame[ip] & 0xf < 15 {
        frame[ip] += 1;
        frame.splice(ip + 20..ip + 20, [1; 4]).for_each(drop);
    }
    fix_length(frame, ip);
}

/// Makes it a fragment of a datagram. Few identifications, so that fragments meet.
pub(super) fn fragment(rng: &mut Rng, frame: &mut Vec<u8>) {
    let Some((ip, six)) = network(frame) else { return };
    let offset = *rng.choice(&[0, 0, 1, 185]).unwrap();
    let (more, id) = (u16::from(rng.bool()), rng.u8(..4));
    if six {
        let next = std::mem::replace(&mut frame[ip + 6], FRAGMENT);
        let [high, low] = (offset << 3 | more).to_be_bytes();
        frame.splice(ip + 40..ip + 40, [next, 0, high, low, 0, 0, 0, id]).for_each(drop);
        fix_length(frame, ip);
    } else {
        let [high, low] = (offset | more << 13).to_be_bytes();
        frame[ip + 4..ip + 8].copy_from_slice(&[0, id, high, low]);
    }
}

/// One random change.
pub(super) fn one(rng: &mut Rng, frame: &mut Vec<u8>) {
    let headers = frame.len().min(100);
    match rng.u8(..12) {
        0..3 => frame[rng.usize(..headers)] ^= 1 << rng.u8(..8),
        3 => {
            let at = rng.usize(..headers);
            frame[at] = *rng.choice(&[0, 1, 4, 6, 17, 44, 58, 0x7f, 0x80, 0xff]).unwrap();
        }
        4 => frame.truncate(rng.usize(14..=frame.len())),
        5 => {
            frame.truncate(rng.usize(14..=frame.len()));
            if let Some((ip, _)) = network(frame) {
                fix_length(frame, ip);
            }
        }
        6 => length(rng, frame),
        7 => extension(rng, frame),
        8 => tag(rng, frame),
        9 => swap_ports(frame),
        10 => map_address(rng, frame),
        _ => {
            let at = rng.usize(..=headers);
            let bytes: Vec<u8> = (0..rng.usize(1..5)).map(|_| rng.u8(..)).collect();
            frame.splice(at..at, bytes).for_each(drop);
        }
    }
    if frame.len() < 14 {
        frame.resize(14, 0);
    }
}

/// Changes a field that says how long something is.
fn length(rng: &mut Rng, frame: &mut [u8]) {
    let Some((ip, six)) = network(frame) else { return };
    let at = match (rng.u8(..3), transport(frame)) {
        (0, Some((at, 17))) => at + 5,
        (0, Some((at, 6))) => at + 12,
        (1, _) if !six => ip,
        _ if six => ip + 5,
        _ => ip + 3,
    };
    let by = *rng.choice(&[1, 2, 4, 8, 16, 0x80, 0xf0, 0xf8, 0xff, 0xfe]).unwrap();
    frame[at] = frame[at].wrapping_add(by);
}

fn swap_ports(frame: &mut [u8]) {
    if let Some((at, _)) = transport(frame) {
        frame[at..at + 4].rotate_left(2);
    }
}

/// Writes an IPv4-mapped form of an IPv4 address over an address of an IPv6 packet: no such
/// address belongs on the wire, and none is that IPv4 address.
fn map_address(rng: &mut Rng, frame: &mut [u8]) {
    let Some((ip, true)) = network(frame) else { return };
    let v4 = match rng.u8(..3) {
        0 => [203, 0, 113, rng.u8(1..4)],
        1 => [198, 51, 100, rng.u8(..)],
        _ => [10, 0, rng.u8(..20), rng.u8(1..6)],
    };
    let at = ip + if rng.bool() { 8 } else { 24 };
    frame[at..at + 10].fill(0);
    frame[at + 10..at + 12].fill(0xff);
    frame[at + 12..at + 16].copy_from_slice(&v4);
}
