//! What an advert says, whatever its bytes.

use std::{fmt, net::IpAddr, num::NonZeroU8, time::Duration};

use serde::{Deserialize, Serialize};

/// The largest interval of version 3: 12 bits of centiseconds (RFC 9568 §5.2.7).
pub(super) const CENTISECONDS_MAX: u16 = 0xfff;

/// The number of a virtual router, unique per interface and family: 1 to 255 (RFC 9568 §5.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vrid(NonZeroU8);

impl Vrid {
    /// `None` for 0.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        match NonZeroU8::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// As it stands in a message.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// RFC 3768: IPv4 only, intervals in seconds.
    V2,
    /// RFC 9568: both families, intervals in centiseconds.
    V3,
}

impl Version {
    /// As it stands in a message.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// What the checksum of version 3 over IPv4 covers. Version 3 over IPv6 always covers the pseudo-header,
/// version 2 never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Dialect {
    /// The IPv4 pseudo-header as well: keepalived, by its reading of RFC 5798 §5.2.8.
    PseudoHeader,
    /// The message alone: RFC 9568 §5.2.8, Cisco, Juniper, keepalived's `v3_checksum_as_v2`.
    Plain,
}

/// What a master says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// In which version it says so.
    pub version: Version,
    /// Of which virtual router.
    pub vrid: Vrid,
    /// 1 to 255, or 0 if it resigns.
    pub priority: u8,
    /// Between two adverts: whole seconds, 1 to 255, in version 2; 10 ms to 40.95 s by 10 ms in version 3.
    pub interval: Duration,
    /// The addresses of the virtual router, all of one family: 1 to 255.
    pub addresses: Vec<IpAddr>,
}

/// Why an advert cannot be put into bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// It has no address.
    #[error("a virtual router needs an address")]
    NoAddresses,
    /// It has more addresses than one octet counts.
    #[error("a virtual router has at most 255 addresses, not {0}")]
    TooManyAddresses(usize),
    /// An address is not of the family that the advert is sent over.
    #[error("{address} is not of the family of {source_address}, from which its adverts are sent")]
    Family {
        /// The address of the virtual router, or the destination.
        address: IpAddr,
        /// Where adverts are sent from.
        source_address: IpAddr,
    },
    /// Version 2 knows no IPv6.
    #[error("VRRP version 2 is for IPv4 only; use version 3")]
    VersionTwoOverSix,
    /// The version cannot say this interval.
    #[error(
        "an advert interval of {interval:?} cannot be said in VRRP version {}: {}",
        version.number(),
        match version {
            Version::V2 => "it takes whole seconds from 1 to 255",
            Version::V3 => "it takes 10 ms to 40.95 s in steps of 10 ms",
        }
    )]
    Interval {
        /// The version.
        version: Version,
        /// The interval.
        interval: Duration,
    },
}

impl Advert {
    /// Whether it can be sent from an address: [`super::encode`] fails for the same reasons only.
    pub fn check(&self, source: IpAddr) -> Result<(), Unsendable> {
        let _ = self.interval_field()?;
        let _ = self.count_field()?;
        if self.version == Version::V2 && source.is_ipv6() {
            return Err(Unsendable::VersionTwoOverSix);
        }
        self.addresses.iter().try_for_each(|address| same_family(*address, source))
    }

    pub(super) fn count_field(&self) -> Result<u8, Unsendable> {
        match self.addresses.len() {
            0 => Err(Unsendable::NoAddresses),
            count => u8::try_from(count).map_err(|_| Unsendable::TooManyAddresses(count)),
        }
    }

    /// Octets 4 and 5: the authentication type "none" and seconds, or centiseconds.
    pub(super) fn interval_field(&self) -> Result<[u8; 2], Unsendable> {
        let error = Unsendable::Interval { version: self.version, interval: self.interval };
        let (unit, largest) = match self.version {
            Version::V2 => (1_000_000_000, u16::from(u8::MAX)),
            Version::V3 => (10_000_000, CENTISECONDS_MAX),
        };
        let nanos = self.interval.as_nanos();
        let units = u16::try_from(nanos / unit).map_err(|_| error)?;
        let sayable = nanos.is_multiple_of(unit) && (1..=largest).contains(&units);
        sayable.then(|| units.to_be_bytes()).ok_or(error)
    }
}

/// Whether an address can be reached from where adverts are sent.
pub(super) fn same_family(address: IpAddr, source: IpAddr) -> Result<(), Unsendable> {
    let same = address.is_ipv4() == source.is_ipv4();
    same.then_some(()).ok_or(Unsendable::Family { address, source_address: source })
}
