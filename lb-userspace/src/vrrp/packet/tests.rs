use proptest::{collection::vec, prelude::*};

use super::*;

fn v4(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn v6(start: u16, last: u16) -> IpAddr {
    IpAddr::from([start, if start == 0x2001 { 0xdb8 } else { 0 }, 0, 0, 0, 0, 0, last])
}

fn advert(version: Version, priority: u8, interval: u64, addresses: &[IpAddr]) -> Advert {
    let vrid = Vrid::new(if addresses[0].is_ipv6() { 7 } else { 51 }).unwrap();
    let interval = Duration::from_millis(interval);
    Advert { version, vrid, priority, interval, addresses: addresses.to_vec() }
}

fn hex(text: &str) -> Vec<u8> {
    let octets = text.split_whitespace();
    octets.map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect()
}

/// How it comes from the first address of the documentation's network.
fn sent_to(destination: impl Into<IpAddr>) -> Received {
    let destination = destination.into();
    let source = if destination.is_ipv4() { v4(1) } else { v6(0xfe80, 1) };
    Received { source, destination, hop_limit: Some(255), require_ttl: false }
}

/// Messages by the figures of RFC 3768 §5.1 and RFC 9568 §5.1, summed up by another program.
fn messages() -> Vec<(&'static str, Advert, Received, Dialect, Vec<u8>)> {
    let (plain, pseudo) = (Dialect::Plain, Dialect::PseudoHeader);
    let two = advert(Version::V2, 100, 1000, &[v4(10)]);
    let three = advert(Version::V3, 100, 1000, &[v4(10)]);
    let six = advert(Version::V3, 255, 40_950, &[v6(0xfe80, 10), v6(0x2001, 10)]);
    let group = sent_to(GROUP_V4);
    [
        (
            "version 2",
            two,
            group,
            plain,
            "21 33 64 01 00 01 b8 bf c0 00 02 0a 00 00 00 00 00 00 00 00",
        ),
        (
            "version 3, with the pseudo-header",
            three.clone(),
            group,
            pseudo,
            "31 33 64 01 00 64 05 cc c0 00 02 0a",
        ),
        ("version 3, without", three.clone(), group, plain, "31 33 64 01 00 64 a8 5c c0 00 02 0a"),
        (
            "version 3, to a peer",
            three,
            sent_to(v4(2)),
            pseudo,
            "31 33 64 01 00 64 23 dc c0 00 02 0a",
        ),
        (
            "version 3 over IPv6",
            six,
            sent_to(GROUP_V6),
            pseudo,
            "31 07 ff 02 0f ff 95 79
             fe 80 00 00 00 00 00 00 00 00 00 00 00 00 00 0a
             20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 0a",
        ),
    ]
    .into_iter()
    .map(|(name, advert, received, dialect, bytes)| (name, advert, received, dialect, hex(bytes)))
    .collect()
}

#[test]
fn adverts_are_the_bytes_of_the_figures() {
    for (name, advert, received, dialect, bytes) in messages() {
        let Received { source, destination, .. } = received;
        assert_eq!(encode(&advert, source, destination, dialect).as_ref(), Ok(&bytes), "{name}");
        assert_eq!(parse(&bytes, &received), Ok((advert, dialect)), "{name}");
    }
}

#[test]
fn there_is_one_dialect_in_version_2_and_over_ipv6() {
    for (name, advert, received, dialect, bytes) in messages() {
        let Received { source, destination, .. } = received;
        let other = match dialect {
            Dialect::PseudoHeader => Dialect::Plain,
            Dialect::Plain => Dialect::PseudoHeader,
        };
        let one = advert.version == Version::V2 || source.is_ipv6();
        let same = encode(&advert, source, destination, other).as_ref() == Ok(&bytes);
        assert_eq!(same, one, "{name}");
    }
}

/// The Internet checksum, slowly: with it, a changed message has no other fault than the change.
fn resum(message: &mut [u8]) {
    message[6..8].fill(0);
    let words =
        message.chunks(2).map(|it| u32::from(it[0]) << 8 | it.get(1).map_or(0, |b| u32::from(*b)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    message[6..8].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

#[test]
fn each_fault_has_its_reason() {
    let two = hex("21 33 64 01 00 01 b8 bf c0 00 02 0a 00 00 00 00 00 00 00 00");
    let three = hex("31 33 64 01 00 64 a8 5c c0 00 02 0a");
    let group = sent_to(GROUP_V4);
    let (octet, summed) = (true, false);
    for (name, message, at, value, keep_checksum, expected) in [
        ("version 1", &two, 0, 0x11, summed, Reject::Version),
        ("version 4", &two, 0, 0x41, summed, Reject::Version),
        ("version 3 with the tail of version 2", &two, 0, 0x31, summed, Reject::Length),
        ("version 2 without its tail", &three, 0, 0x21, summed, Reject::Length),
        ("type 0", &three, 0, 0x30, summed, Reject::Type),
        ("type 2", &two, 0, 0x22, summed, Reject::Type),
        ("virtual router 0", &three, 1, 0, summed, Reject::Vrid),
        ("another priority", &three, 2, 99, octet, Reject::Checksum),
        ("two addresses said, one there", &three, 3, 2, summed, Reject::Length),
        ("no address said, one there", &three, 3, 0, summed, Reject::Length),
        ("a password", &two, 4, 1, summed, Reject::Authentication),
        ("an authentication header", &two, 4, 2, summed, Reject::Authentication),
        ("an interval of 0 s", &two, 5, 0, summed, Reject::ZeroInterval),
        ("an interval of 0 cs", &three, 5, 0, summed, Reject::ZeroInterval),
        ("another address", &two, 11, 11, octet, Reject::Checksum),
    ] {
        let mut message = message.clone();
        message[at] = value;
        if !keep_checksum {
            resum(&mut message);
        }
        assert_eq!(parse(&message, &group), Err(expected), "{name}");
    }
}

#[test]
fn lengths_are_exact() {
    for (name, _, received, _, bytes) in messages() {
        for length in 0..bytes.len() {
            let mut short = bytes[..length].to_vec();
            if length >= HEADER {
                resum(&mut short);
            }
            assert_eq!(parse(&short, &received), Err(Reject::Length), "{name} of {length}");
        }
        for more in [1, 4, 16] {
            let mut long = bytes.clone();
            long.extend(vec![0; more]);
            resum(&mut long);
            assert_eq!(parse(&long, &received), Err(Reject::Length), "{name} and {more}");
        }
    }
    for empty in ["31 33 64 00 00 64 00 00", "21 33 64 00 00 01 00 00 00 00 00 00 00 00 00 00"] {
        let mut empty = hex(empty);
        resum(&mut empty);
        assert_eq!(parse(&empty, &sent_to(GROUP_V4)), Err(Reject::NoAddresses));
    }
}

#[test]
fn checksums_are_of_the_addresses_that_they_cover() {
    for (name, advert, received, dialect, bytes) in messages() {
        let elsewhere = if received.source.is_ipv4() { v4(9) } else { v6(0xfe80, 9) };
        for moved in [
            Received { source: elsewhere, ..received },
            Received { destination: elsewhere, ..received },
        ] {
            let expected = match dialect {
                Dialect::PseudoHeader => Err(Reject::Checksum),
                Dialect::Plain => Ok((advert.clone(), dialect)),
            };
            assert_eq!(parse(&bytes, &moved), expected, "{name}");
        }
    }
}

#[test]
fn families_are_not_mixed() {
    let two = hex("21 33 64 01 00 01 b8 bf c0 00 02 0a 00 00 00 00 00 00 00 00");
    let mixed = Received { destination: IpAddr::V4(GROUP_V4), ..sent_to(GROUP_V6) };
    for received in [sent_to(GROUP_V6), mixed] {
        assert_eq!(parse(&two, &received), Err(Reject::Family));
    }
}

#[test]
fn an_advert_to_a_group_has_crossed_no_router() {
    let [.., (_, _, to_peer, _, bytes), _] = &messages()[..] else { panic!() };
    let plain = hex("31 33 64 01 00 64 a8 5c c0 00 02 0a");
    for (hop_limit, require_ttl, group_ok, peer_ok) in [
        (Some(255), false, true, true),
        (Some(255), true, true, true),
        (Some(254), false, false, true),
        (Some(254), true, false, false),
        (Some(1), false, false, true),
        (None, false, false, true),
        (None, true, false, false),
    ] {
        let verdict = |bytes: &[u8], received| {
            parse(bytes, &Received { hop_limit, require_ttl, ..received }).map(drop)
        };
        let expected = |ok: bool| ok.then_some(()).ok_or(Reject::HopLimit);
        let case = format!("{hop_limit:?}, required: {require_ttl}");
        assert_eq!(verdict(&plain, sent_to(GROUP_V4)), expected(group_ok), "{case}");
        assert_eq!(verdict(bytes, *to_peer), expected(peer_ok), "{case}");
    }
}

#[test]
fn reserved_bits_are_ignored() {
    let mut message = hex("31 33 64 01 f0 64 00 00 c0 00 02 0a");
    resum(&mut message);
    let (advert, _) = parse(&message, &sent_to(GROUP_V4)).unwrap();
    assert_eq!(advert.interval, Duration::from_secs(1));
}

#[test]
fn what_cannot_be_said_is_an_error() {
    let (two, three) = (Version::V2, Version::V3);
    let interval =
        |version, millis| Unsendable::Interval { version, interval: Duration::from_millis(millis) };
    let mixed = Unsendable::Family { address: v6(0xfe80, 1), source_address: v4(1) };
    let many = vec![v4(10); 256];
    let (one, six, both) = (&many[..1], [v6(0xfe80, 10)], [v4(10), v6(0xfe80, 1)]);
    for (version, millis, source, addresses, expected) in [
        (two, 1000, v4(1), &many[..255], None),
        (two, 255_000, v4(1), one, None),
        (two, 256_000, v4(1), one, Some(interval(two, 256_000))),
        (two, 0, v4(1), one, Some(interval(two, 0))),
        (two, 1500, v4(1), one, Some(interval(two, 1500))),
        (two, 1000, v6(0xfe80, 1), &six[..], Some(Unsendable::VersionTwoOverSix)),
        (three, 10, v4(1), one, None),
        (three, 40_950, v4(1), one, None),
        (three, 40_960, v4(1), one, Some(interval(three, 40_960))),
        (three, 5, v4(1), one, Some(interval(three, 5))),
        (three, 0, v4(1), one, Some(interval(three, 0))),
        (three, u64::MAX, v4(1), one, Some(interval(three, u64::MAX))),
        (three, 10, v4(1), &many[..], Some(Unsendable::TooManyAddresses(256))),
        (three, 10, v4(1), &both[..], Some(mixed)),
    ] {
        let advert = advert(version, 1, millis, addresses);
        let expected = expected.map_or(Ok(()), Err);
        assert_eq!(advert.check(source), expected);
        assert_eq!(encode(&advert, source, source, Dialect::Plain).map(drop), expected);
    }
    let none = Advert { addresses: vec![], ..advert(three, 1, 10, &[v4(1)]) };
    assert_eq!(none.check(v4(1)), Err(Unsendable::NoAddresses));
    let one = advert(three, 1, 10, &[v4(10)]);
    assert_eq!(encode(&one, v4(1), v6(0xfe80, 1), Dialect::Plain), Err(mixed));
}

#[test]
fn labels_are_distinct() {
    let labels: std::collections::BTreeSet<_> = Reject::ALL.map(Reject::label).into();
    assert_eq!(labels.len(), Reject::ALL.len());
}

fn adverts() -> impl Strategy<Value = (Advert, IpAddr, IpAddr, Dialect)> {
    let dialect = prop_oneof![Just(Dialect::Plain), Just(Dialect::PseudoHeader)];
    let four = (1u16..=255, vec(any::<[u8; 4]>().prop_map(IpAddr::from), 3..=257));
    let six = (1u16..=4095, vec(any::<[u8; 16]>().prop_map(IpAddr::from), 3..=257));
    let family = prop_oneof![
        (Just(Version::V2), four.clone()),
        (Just(Version::V3), four),
        (Just(Version::V3), six)
    ];
    (family, 1u8.., any::<u8>(), dialect).prop_map(|(family, vrid, priority, dialect)| {
        let (version, (units, mut addresses)) = family;
        let unit = if version == Version::V2 { 1000 } else { 10 };
        let interval = Duration::from_millis(unit * u64::from(units));
        let (source, destination) = (addresses.remove(0), addresses.remove(0));
        let vrid = Vrid::new(vrid).unwrap();
        (Advert { version, vrid, priority, interval, addresses }, source, destination, dialect)
    })
}

proptest! {
    #[test]
    fn what_is_sent_is_understood((advert, source, destination, dialect) in adverts()) {
        let message = encode(&advert, source, destination, dialect).unwrap();
        let received = Received { source, destination, hop_limit: Some(255), require_ttl: true };
        let (understood, heard) = parse(&message, &received).unwrap();
        prop_assert_eq!(&understood, &advert);
        // Where both would have given these bytes, there is nothing to tell apart.
        prop_assert_eq!(encode(&advert, source, destination, heard).unwrap(), message);
    }

    #[test]
    fn any_change_of_a_bit_is_seen(
        (advert, source, destination, dialect) in adverts(),
        at: prop::sample::Index,
        bit in 0u32..8,
    ) {
        let mut message = encode(&advert, source, destination, dialect).unwrap();
        let received = Received { source, destination, hop_limit: Some(255), require_ttl: true };
        let (_, spoken) = parse(&message, &received).unwrap();
        let at = at.index(message.len());
        message[at] ^= 1 << bit;
        // By the other dialect it may be right, once in 65,535 times.
        let heard = parse(&message, &received);
        prop_assert!(heard.is_err() || heard.is_ok_and(|(_, other)| other != spoken));
    }

    #[test]
    fn any_bytes_are_an_advert_or_have_a_reason(
        mut message in vec(any::<u8>(), 0..600),
        first in prop::sample::select(&[0x21u8, 0x31, 0x00][..]),
        count: u8,
        sum: bool,
        six: bool,
    ) {
        if let [a, _, _, b, ..] = &mut message[..] {
            (*a, *b) = (first, count % 16);
        }
        if sum && message.len() >= HEADER {
            resum(&mut message);
        }
        let received = if six { sent_to(GROUP_V6) } else { sent_to(GROUP_V4) };
        if let Ok((advert, dialect)) = parse(&message, &received) {
            let Received { source, destination, .. } = received;
            prop_assert!(advert.check(source).is_ok());
            prop_assert!(encode(&advert, source, destination, dialect).is_ok());
        }
    }
}
