//! Why a message counts for nothing.

/// Why a message was ignored: it changes no state (RFC 9568 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Reject {
    /// It may have crossed a router.
    #[error("its TTL or hop limit is not 255")]
    HopLimit,
    /// Neither 2 nor 3.
    #[error("it is of another version than 2 and 3")]
    Version,
    /// Not an advertisement.
    #[error("it is no advertisement")]
    Type,
    /// Shorter or longer than its count of addresses makes it.
    #[error("its length is not what its count of addresses makes it")]
    Length,
    /// Wrong by every dialect.
    #[error("its checksum is wrong")]
    Checksum,
    /// Virtual router 0.
    #[error("it is of virtual router 0, which cannot be")]
    Vrid,
    /// Of a virtual router without addresses.
    #[error("it has no addresses")]
    NoAddresses,
    /// Version 2 over IPv6, or from one family to the other.
    #[error("it came over a family of addresses that it cannot come over")]
    Family,
    /// Version 2 with a password or the like, which RFC 3768 §5.3.6 has abolished.
    #[error("it is authenticated, which is of no use and not supported")]
    Authentication,
    /// The next advert would come at once.
    #[error("its interval is 0")]
    ZeroInterval,
    /// No virtual router of this number on the interface.
    #[error("its virtual router is not configured here")]
    UnknownInstance,
    /// The virtual router is configured with another version.
    #[error("it is of another version than this virtual router")]
    OtherVersion,
    /// In version 2, where all routers must agree on it (RFC 3768 §7.1).
    #[error("its interval is another than that of this virtual router")]
    OtherInterval,
    /// It came from the own address: a loop, or the address is in use twice.
    #[error("it came from this node's own address")]
    OwnAddress,
}

impl Reject {
    /// All, for a table of counters.
    pub const ALL: [Self; 14] = [
        Self::HopLimit,
        Self::Version,
        Self::Type,
        Self::Length,
        Self::Checksum,
        Self::Vrid,
        Self::NoAddresses,
        Self::Family,
        Self::Authentication,
        Self::ZeroInterval,
        Self::UnknownInstance,
        Self::OtherVersion,
        Self::OtherInterval,
        Self::OwnAddress,
    ];

    /// As metrics name it; it does not change.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::HopLimit => "hop_limit",
            Self::Version => "version",
            Self::Type => "type",
            Self::Length => "length",
            Self::Checksum => "checksum",
            Self::Vrid => "vrid",
            Self::NoAddresses => "no_addresses",
            Self::Family => "family",
            Self::Authentication => "authentication",
            Self::ZeroInterval => "zero_interval",
            Self::UnknownInstance => "unknown_instance",
            Self::OtherVersion => "other_version",
            Self::OtherInterval => "other_interval",
            Self::OwnAddress => "own_address",
        }
    }
}
