//! Fuzzes the reader of VRRP messages.
//!
//! A message that it takes must be what its writer makes of what was read, apart from what the RFCs say
//! to ignore. The parser is compiled here alone, since libFuzzer watches every crate that it is built with.
//!
//! Run by `cargo xtask fuzz`.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a fuzzer: a panic is a finding")]
#![no_main]

#[path = "../../../lb-userspace/src/vrrp/packet/mod.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "the parser of another crate, of which this is a part"
)]
mod packet;
mod seed;

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;

use crate::packet::{Advert, Dialect, Received, Reject, Version, encode, parse};

fuzz_target!(init: seed::write(&seeds()), |data: &[u8]| {
    let Some((&[choice], message)) = data.split_first_chunk() else { return };
    let received = received(choice);
    let _ = check(message, &received);
    if message.len() < 8 {
        return;
    }
    // No search finds a checksum.
    let usual = if message[0] >> 4 == 2 { Dialect::Plain } else { Dialect::PseudoHeader };
    for dialect in [Dialect::Plain, Dialect::PseudoHeader] {
        let reject = check(&summed(message, &received, dialect), &received);
        assert!(dialect != usual || reject != Some(Reject::Checksum), "a right checksum is refused");
    }
});

/// Reads a message, and compares.
fn check(message: &[u8], received: &Received) -> Option<Reject> {
    let (advert, dialect) = match parse(message, received) {
        Ok(understood) => understood,
        Err(reject) => return Some(reject),
    };
    let Received { source, destination, .. } = *received;
    let expected = summed(&without_ignored(message, &advert), received, dialect);
    assert_eq!(encode(&advert, source, destination, dialect).unwrap(), expected);
    None
}

/// Zeros where the RFCs say that nothing is to be read.
fn without_ignored(message: &[u8], advert: &Advert) -> Vec<u8> {
    let mut message = message.to_vec();
    match advert.version {
        Version::V2 => {
            let end = message.len() - 8;
            message[end..].fill(0);
        }
        Version::V3 => message[4] &= 0x0f,
    }
    message
}

/// The message with the right checksum, by RFC 1071 and in no hurry.
fn summed(message: &[u8], received: &Received, dialect: Dialect) -> Vec<u8> {
    let mut message = message.to_vec();
    message[6..8].fill(0);
    let mut covered = Vec::new();
    if dialect == Dialect::PseudoHeader {
        for address in [received.source, received.destination] {
            match address {
                IpAddr::V4(address) => covered.extend(address.octets()),
                IpAddr::V6(address) => covered.extend(address.octets()),
            }
        }
        covered.extend((message.len() as u32).to_be_bytes());
        covered.extend([0, 112]);
    }
    covered.extend(&message);
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
    let mut sum: u32 = covered.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    message[6..8].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    message
}

/// Over one family or the other, to a group or to a peer.
fn received(choice: u8) -> Received {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let (source, group, peer) = if choice & 1 == 0 {
        (address("192.0.2.1"), IpAddr::V4(packet::GROUP_V4), address("192.0.2.2"))
    } else {
        (address("fe80::1"), IpAddr::V6(packet::GROUP_V6), address("fe80::2"))
    };
    let destination = if choice & 2 == 0 { group } else { peer };
    Received { source, destination, hop_limit: Some(255), require_ttl: true }
}

fn seeds() -> Vec<Vec<u8>> {
    let four = &[192, 0, 2, 10][..];
    let six = &[0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10][..];
    [
        [&[0, 0x21, 51, 100, 1, 0, 1, 0, 0], four, &[0; 8]].concat(),
        [&[0, 0x31, 51, 100, 1, 0, 100, 0, 0], four].concat(),
        [&[2, 0x31, 51, 0, 2, 0, 1, 0, 0], four, four].concat(),
        [&[1, 0x31, 7, 255, 1, 0x0f, 0xff, 0, 0], six].concat(),
    ]
    .into()
}
