//! The forms of values of virtual routers.

use std::net::IpAddr;

use toml::de::DeValue;

use super::{ADDRESS_FORM, Fault, choice, integer, string};
use crate::config::vrrp::{Checksum, MAX_TRACK_WEIGHT, VirtualAddress};

/// The number of a virtual router.
pub(in crate::config) fn id(value: &DeValue<'_>) -> Result<u8, Fault> {
    from_one(value, "the number of a virtual router")
}

/// A priority; 0 is a router's that resigns.
pub(in crate::config) fn priority(value: &DeValue<'_>) -> Result<u8, Fault> {
    from_one(value, "a priority")
}

/// How many frames are sent.
pub(in crate::config) fn copies(value: &DeValue<'_>) -> Result<u8, Fault> {
    from_one(value, "a number of frames")
}

fn from_one(value: &DeValue<'_>, what: &str) -> Result<u8, Fault> {
    within(value, what, "1 to 255", |number: &u8| *number > 0)
}

/// A version of the protocol.
pub(in crate::config) fn version(value: &DeValue<'_>) -> Result<u8, Fault> {
    within(value, "a version of VRRP", "2 or 3", |number| matches!(number, 2 | 3))
}

/// The weight of a track.
pub(in crate::config) fn track_weight(value: &DeValue<'_>) -> Result<i16, Fault> {
    let range = format!("-{MAX_TRACK_WEIGHT} to {MAX_TRACK_WEIGHT}");
    let fits = |number: &i16| (-MAX_TRACK_WEIGHT..=MAX_TRACK_WEIGHT).contains(number);
    within(value, "the weight of a track", &range, fits)
}

fn within<T: TryFrom<i64> + ToString>(
    value: &DeValue<'_>,
    what: &str,
    range: &str,
    fits: impl FnOnce(&T) -> bool,
) -> Result<T, Fault> {
    let fault =
        |number: String| Fault::new(format!("{number} is not {what}"), format!("use {range}"));
    let number = integer(value, fault)?;
    if fits(&number) { Ok(number) } else { Err(fault(number.to_string())) }
}

/// What a checksum covers.
pub(in crate::config) fn checksum(value: &DeValue<'_>) -> Result<Checksum, Fault> {
    let known = [
        ("auto", Checksum::Auto),
        ("pseudo-header", Checksum::PseudoHeader),
        ("plain", Checksum::Plain),
    ];
    choice(value, &known)
}

/// An address with the length of its network's prefix, which may be left out.
pub(in crate::config) fn virtual_address(value: &DeValue<'_>) -> Result<VirtualAddress, Fault> {
    let text = string(value)?;
    let (address, length) =
        text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let address: IpAddr = address
        .parse()
        .map_err(|_| Fault::new(format!("`{text}` is not an IP address"), ADDRESS_FORM))?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix_length = match length {
        None => Some(bits),
        Some(length) => length.parse().ok().filter(|length| (1..=bits).contains(length)),
    };
    let prefix_length = prefix_length.ok_or_else(|| {
        let message = format!("`{text}` has no valid prefix length");
        Fault::new(message, format!("use /1 to /{bits}, or leave it out: that is /{bits}"))
    })?;
    Ok(VirtualAddress { address, prefix_length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_prefix_of_its_network_or_its_own() {
        let parse = |text: &str| {
            let parsed = virtual_address(&DeValue::String(text.into()));
            parsed.map(|it| (it.address.to_string(), it.prefix_length)).map_err(|it| it.message)
        };
        let good = |address: &str, length| Ok((address.to_owned(), length));
        assert_eq!(parse("203.0.113.10"), good("203.0.113.10", 32));
        assert_eq!(parse("203.0.113.10/24"), good("203.0.113.10", 24));
        assert_eq!(parse("2001:db8::10"), good("2001:db8::10", 128));
        assert_eq!(parse("fe80::10/64"), good("fe80::10", 64));
        for wrong in ["203.0.113.10/0", "203.0.113.10/33", "::1/129", "::1/", "a/8", "10.0.0.1/-1"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
