//! Adverts as bytes: what follows the IP header, in version 3 (RFC 9568 §5.2) and version 2 (RFC 3768
//! §5.3). It depends on nothing beside it, so that the fuzzer can have it alone.

mod advert;
mod reject;
#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Range,
    time::Duration,
};

use etherparse::checksum::Sum16BitWords;

use self::advert::{CENTISECONDS_MAX, same_family};
pub use self::{
    advert::{Advert, Dialect, Unsendable, Version, Vrid},
    reject::Reject,
};

/// The IP protocol number (RFC 9568 §5.1.1.4).
pub const PROTOCOL: u8 = 112;
/// Where adverts go over IPv4 (RFC 9568 §5.1.1.2).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Where adverts go over IPv6 (RFC 9568 §5.1.2.2).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// The TTL or hop limit of an advert: it has crossed no router (RFC 9568 §5.1.1.3).
pub const HOP_LIMIT: u8 = 255;
/// The priority of the router whose own addresses the virtual ones are (RFC 9568 §5.2.4).
pub const OWNER: u8 = 255;
/// The priority that a master resigns with (RFC 9568 §5.2.4).
pub const RESIGNED: u8 = 0;

/// The only type of message (RFC 9568 §5.2.2).
const ADVERTISEMENT: u8 = 1;
/// The fixed part.
const HEADER: usize = 8;
const CHECKSUM: Range<usize> = 6..8;
/// What version 2 ends with, whatever its type of authentication (RFC 3768 §5.3.10).
const AUTHENTICATION: usize = 8;

/// The message that an IP header from `source` to `destination` (a multicast group, or a peer) is put
/// before. The dialect matters in version 3 over IPv4 only.
pub fn encode(
    advert: &Advert,
    source: IpAddr,
    destination: IpAddr,
    dialect: Dialect,
) -> Result<Vec<u8>, Unsendable> {
    advert.check(source)?;
    same_family(destination, source)?;
    let Advert { version, vrid, priority, interval: _, addresses } = advert;
    let mut message = vec![version.number() << 4 | ADVERTISEMENT, vrid.number(), *priority];
    message.push(advert.count_field()?);
    message.extend(advert.interval_field()?);
    message.extend([0; 2]);
    for address in addresses {
        match address {
            IpAddr::V4(address) => message.extend(address.octets()),
            IpAddr::V6(address) => message.extend(address.octets()),
        }
    }
    if *version == Version::V2 {
        message.extend([0; AUTHENTICATION]);
    }
    let dialect = match dialects(*version, source) {
        [only] => *only,
        _ => dialect,
    };
    let checksum = checksum(&message, source, destination, dialect).to_ne_bytes();
    message[CHECKSUM].copy_from_slice(&checksum);
    Ok(message)
}

/// What is known of a message besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Where its IP header says that it comes from.
    pub source: IpAddr,
    /// Where it was sent to: a multicast group, or an address of this node.
    pub destination: IpAddr,
    /// Its TTL or hop limit, if that could be seen.
    pub hop_limit: Option<u8>,
    /// Whether the hop limit must be 255 also if it was not sent to a group, where the RFC demands it.
    /// Peers that are spoken to one by one may be behind routers.
    pub require_ttl: bool,
}

/// Reads a message, which ends where its IP packet ends; for version 3 over IPv4, tells which dialect its
/// sender speaks. Whether the virtual router is known here is not looked at.
pub fn parse(message: &[u8], received: &Received) -> Result<(Advert, Dialect), Reject> {
    let Received { source, destination, hop_limit, require_ttl } = *received;
    if (require_ttl || destination.is_multicast()) && hop_limit != Some(HOP_LIMIT) {
        return Err(Reject::HopLimit);
    }
    let (header, body) = message.split_first_chunk::<HEADER>().ok_or(Reject::Length)?;
    let [first, vrid, priority, count, high, low, _, _] = *header;
    let version = match first >> 4 {
        2 => Version::V2,
        3 => Version::V3,
        _ => return Err(Reject::Version),
    };
    if first & 0xf != ADVERTISEMENT {
        return Err(Reject::Type);
    }
    if source.is_ipv4() != destination.is_ipv4() || version == Version::V2 && source.is_ipv6() {
        return Err(Reject::Family);
    }
    let addresses = addresses(body, count.into(), version, source)?;
    let dialect = dialects(version, source)
        .iter()
        .copied()
        .find(|dialect| checksum(message, source, destination, *dialect) == 0)
        .ok_or(Reject::Checksum)?;
    let vrid = Vrid::new(vrid).ok_or(Reject::Vrid)?;
    if addresses.is_empty() {
        return Err(Reject::NoAddresses);
    }
    let interval = match version {
        Version::V2 if high != 0 => return Err(Reject::Authentication),
        Version::V2 => Duration::from_secs(low.into()),
        // The other four bits are reserved, and ignored (RFC 9568 §5.2.6).
        Version::V3 => {
            let centiseconds = u16::from_be_bytes([high, low]) & CENTISECONDS_MAX;
            Duration::from_millis(10 * u64::from(centiseconds))
        }
    };
    if interval.is_zero() {
        return Err(Reject::ZeroInterval);
    }
    Ok((Advert { version, vrid, priority, interval, addresses }, dialect))
}

/// The addresses, if the body is exactly as long as they make it.
fn addresses(
    body: &[u8],
    count: usize,
    version: Version,
    source: IpAddr,
) -> Result<Vec<IpAddr>, Reject> {
    let rest = match version {
        Version::V2 => AUTHENTICATION,
        Version::V3 => 0,
    };
    let end = body.len().checked_sub(rest).ok_or(Reject::Length)?;
    let (found, rest): (Vec<IpAddr>, &[u8]) = match source {
        IpAddr::V4(_) => {
            let (octets, rest) = body[..end].as_chunks::<4>();
            (octets.iter().map(|it| IpAddr::from(*it)).collect(), rest)
        }
        IpAddr::V6(_) => {
            let (octets, rest) = body[..end].as_chunks::<16>();
            (octets.iter().map(|it| IpAddr::from(*it)).collect(), rest)
        }
    };
    (rest.is_empty() && found.len() == count).then_some(found).ok_or(Reject::Length)
}

/// What a checksum may cover, the usual first.
const fn dialects(version: Version, source: IpAddr) -> &'static [Dialect] {
    match (version, source) {
        (Version::V2, _) => &[Dialect::Plain],
        (Version::V3, IpAddr::V6(_)) => &[Dialect::PseudoHeader],
        (Version::V3, IpAddr::V4(_)) => &[Dialect::PseudoHeader, Dialect::Plain],
    }
}

/// As it stands in memory; 0 over a message that has the right one in it.
fn checksum(message: &[u8], source: IpAddr, destination: IpAddr, dialect: Dialect) -> u16 {
    let sum = match dialect {
        Dialect::PseudoHeader => pseudo_header(source, destination, PROTOCOL, message.len()),
        Dialect::Plain => Sum16BitWords::new(),
    };
    sum.add_slice(message).ones_complement()
}

/// The sum of a pseudo-header: of IPv4 (RFC 9293 §3.1), or of IPv6 (RFC 8200 §8.1).
pub(super) fn pseudo_header(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    length: usize,
) -> Sum16BitWords {
    let add = |sum: Sum16BitWords, address: IpAddr| match address {
        IpAddr::V4(address) => sum.add_slice(&address.octets()),
        IpAddr::V6(address) => sum.add_slice(&address.octets()),
    };
    // The length has 16 bits in one and 32 in the other, which is the same sum.
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    add(add(Sum16BitWords::new(), source), destination).add_slice(&length).add_2bytes([0, protocol])
}
