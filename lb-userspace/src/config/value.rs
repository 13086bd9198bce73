//! The forms of values: text and numbers to addresses, durations, seeds.

pub(super) mod check;
pub(super) mod proxy;
pub(super) mod vrrp;

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use lb_common::{
    addr::{Port, Protocol},
    route::Prefix,
    service::{DownPolicy, ForwardMode, Ports},
};
use toml::de::DeValue;

use super::{Admin, AttachMode, MAX_WEIGHT};

/// What is wrong with a value, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) remedy: String,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }
}

/// A value of another type than its key takes.
pub(super) fn wrong_type(expected: &str, value: &DeValue<'_>) -> Fault {
    let found = value.type_str();
    let article = if found.starts_with(['a', 'i']) { "an" } else { "a" };
    let remedy = match expected {
        STRING if !value.is_table() && !value.is_array() => "put it in double quotes".to_owned(),
        INTEGER if value.is_str() => "write it without quotes".to_owned(),
        _ => format!("write {expected}"),
    };
    Fault::new(format!("must be {expected}, not {article} {found}"), remedy)
}

const STRING: &str = "a string";
const INTEGER: &str = "an integer";

/// Any text.
pub(super) fn text(value: &DeValue<'_>) -> Result<String, Fault> {
    string(value).map(str::to_owned)
}

/// A file or directory.
pub(super) fn path(value: &DeValue<'_>) -> Result<PathBuf, Fault> {
    string(value).map(PathBuf::from)
}

/// An IP address.
pub(super) fn address(value: &DeValue<'_>) -> Result<IpAddr, Fault> {
    let text = string(value)?;
    let remedy = if text.contains('/') { "write it without a prefix length" } else { ADDRESS_FORM };
    text.parse().map_err(|_| Fault::new(format!("`{text}` is not an IP address"), remedy))
}

const ADDRESS_FORM: &str = "write an address such as 192.0.2.10 or 2001:db8::10";

/// An address prefix.
pub(super) fn prefix(value: &DeValue<'_>) -> Result<Prefix, Fault> {
    parse_prefix(string(value)?)
}

/// An address prefix from its text.
pub(crate) fn parse_prefix(text: &str) -> Result<Prefix, Fault> {
    const FORM: &str = "write a prefix such as 203.0.113.0/24 or 2001:db8::/32";
    let wrong = || Fault::new(format!("`{text}` is not an address prefix"), FORM);
    let (address, length) = text.split_once('/').ok_or_else(wrong)?;
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let length = length.parse().map_err(|_| wrong())?;
    let prefix = Prefix::new(address, length).ok_or_else(wrong)?;
    // The kernel's trie holds IPv4 in its mapped form, ::ffff:0:0/96.
    let shared = length.min(96);
    let mapped = IpAddr::V6(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped());
    if address.is_ipv6() && Prefix::new(address, shared) == Prefix::new(mapped, shared) {
        return Err(Fault::new(
            format!("`{text}` covers IPv4-mapped addresses, which stand for IPv4"),
            "write IPv4 prefixes as IPv4, and IPv6 ones without ::ffff:0:0/96, such as 2000::/3",
        ));
    }
    if prefix.address.to_ip() != address {
        return Err(Fault::new(
            format!("`{text}` has address bits behind the prefix"),
            format!("write {}/{length}", prefix.address.to_ip()),
        ));
    }
    Ok(prefix)
}

/// A port; 0 is left to the rules.
pub(super) fn port(value: &DeValue<'_>) -> Result<u16, Fault> {
    integer(value, |number| not_a_port(&number))
}

/// The ports of a service; port 0 is left to the rules.
pub(super) fn ports(value: &DeValue<'_>) -> Result<Ports, Fault> {
    const FORM: &str = "write a number such as 80, a range such as \"8000-8100\", or \"any\"";
    if value.as_integer().is_some() {
        return port(value).map(|port| Ports::one(Port::new(port)));
    }
    let Some(text) = value.as_str() else {
        let Fault { message, .. } = wrong_type("an integer or a string", value);
        return Err(Fault::new(message, FORM));
    };
    match text.parse::<Ports>() {
        Ok(ports) if ports.is_one() => Err(wrong_type(INTEGER, value)),
        Ok(ports) => Ok(ports),
        Err(_) => Err(Fault::new(format!("`{text}` is not a range of ports"), FORM)),
    }
}

/// What to say of a number that is not a port.
pub(super) fn not_a_port(number: &dyn std::fmt::Display) -> Fault {
    Fault::new(format!("{number} is not a port"), "use 1 to 65535")
}

/// A backend's weight; the maximum is left to the rules.
pub(super) fn weight(value: &DeValue<'_>) -> Result<u16, Fault> {
    integer(value, |number| not_a_weight(&number))
}

/// What to say of a number that is not a weight.
pub(super) fn not_a_weight(number: &dyn std::fmt::Display) -> Fault {
    Fault::new(format!("{number} is not a weight"), format!("use 0 to {MAX_WEIGHT}"))
}

/// A number of things.
pub(super) fn count(value: &DeValue<'_>) -> Result<u32, Fault> {
    integer(value, |number| {
        Fault::new(format!("{number} is out of range"), format!("use 1 to {}", u32::MAX))
    })
}

/// A number of things that may be 0.
pub(super) fn number(value: &DeValue<'_>) -> Result<u32, Fault> {
    integer(value, |number| {
        Fault::new(format!("{number} is out of range"), format!("use 0 to {}", u32::MAX))
    })
}

/// A share such as `30%`, in percent.
pub(super) fn percent(value: &DeValue<'_>) -> Result<u8, Fault> {
    let text = string(value)?;
    let number = text.strip_suffix('%').and_then(|number| number.parse().ok());
    number
        .filter(|number| *number <= 100)
        .ok_or_else(|| Fault::new(format!("`{text}` is not a share"), "write \"0%\" to \"100%\""))
}

/// Yes or no.
pub(super) fn boolean(value: &DeValue<'_>) -> Result<bool, Fault> {
    value.as_bool().ok_or_else(|| wrong_type("true or false", value))
}

/// A time span such as `200ms`.
pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, Fault> {
    const FORM: &str = "write a number with a unit, such as \"200ms\", \"1s\" or \"2m\"";
    if let Some(number) = value.as_integer() {
        return Err(Fault::new(format!("{number} has no unit"), FORM));
    }
    let text = string(value)?;
    humantime::parse_duration(text)
        .map_err(|_| Fault::new(format!("`{text}` is not a duration"), FORM))
}

/// 16 bytes in hex.
pub(super) fn seed(value: &DeValue<'_>) -> Result<[u8; 16], Fault> {
    let text = string(value)?;
    let parsed = Some(text)
        .filter(|text| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .and_then(|text| u128::from_str_radix(text, 16).ok());
    // The value is a secret: it is not repeated.
    parsed.map(u128::to_be_bytes).ok_or_else(|| {
        Fault::new(
            format!(
                "not a seed: 32 hex digits are needed, {} characters found",
                text.chars().count()
            ),
            "make one with `openssl rand -hex 16`, the same for all nodes of a cluster",
        )
    })
}

/// How the XDP program is attached.
pub(super) fn attach_mode(value: &DeValue<'_>) -> Result<AttachMode, Fault> {
    choice(value, &[("native", AttachMode::Native), ("generic", AttachMode::Generic)])
}

/// What the operator wants of a backend.
pub(super) fn admin(value: &DeValue<'_>) -> Result<Admin, Fault> {
    let states = [Admin::Ready, Admin::DRAIN, Admin::Maintenance];
    choice(value, &states.map(|known| (known.as_str(), known)))
}

/// A transport protocol.
pub(super) fn protocol(value: &DeValue<'_>) -> Result<Protocol, Fault> {
    choice(value, &[Protocol::TCP, Protocol::UDP].map(|known| (known.as_str(), known)))
}

/// A forward mode.
pub(super) fn forward_mode(value: &DeValue<'_>) -> Result<ForwardMode, Fault> {
    use ForwardMode as Mode;
    let known = [Mode::L2, Mode::NAT, Mode::IPIP, Mode::GUE];
    choice(value, &known.map(|known| (known.as_str(), known)))
}

/// What becomes of the flows of a backend that is down.
pub(super) fn down_policy(value: &DeValue<'_>) -> Result<DownPolicy, Fault> {
    let known = [DownPolicy::RST, DownPolicy::REHASH, DownPolicy::DROP];
    choice(value, &known.map(|known| (known.as_str(), known)))
}

/// One of several words.
pub(super) fn choice<T: Copy>(value: &DeValue<'_>, known: &[(&str, T)]) -> Result<T, Fault> {
    let text = string(value)?;
    let found = known.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let words: Vec<_> = known.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let words = match words.split_last() {
            Some((last, others)) if !others.is_empty() => {
                format!("{} or {last}", others.join(", "))
            }
            _ => words.concat(),
        };
        Fault::new(format!("`{text}` is not known here"), format!("use {words}"))
    })
}

fn string<'a>(value: &'a DeValue<'_>) -> Result<&'a str, Fault> {
    value.as_str().ok_or_else(|| wrong_type(STRING, value))
}

fn integer<T: TryFrom<i64>>(
    value: &DeValue<'_>,
    wrong: impl FnOnce(String) -> Fault,
) -> Result<T, Fault> {
    let number = value.as_integer().ok_or_else(|| wrong_type(INTEGER, value))?;
    i64::from_str_radix(number.as_str(), number.radix())
        .ok()
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| wrong(number.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toml(text: &str) -> DeValue<'_> {
        DeValue::parse(text).unwrap().into_inner()
    }

    #[test]
    fn prefixes_are_of_one_family() {
        let parse = |text: &str| prefix(&DeValue::String(text.into()));
        assert_eq!(parse("203.0.113.0/24").ok(), Prefix::new([203, 0, 113, 0].into(), 24));
        assert_eq!(parse("0.0.0.0/0").ok(), Prefix::new([0; 4].into(), 0));
        assert!(parse("2001:db8:bad::/48").is_ok());
        assert!(parse("2000::/3").is_ok());
        for wrong in ["10.0.0.1", "10.0.0.1/33", "::/129", "::/0", "::ffff:10.0.0.0/104", "a/8"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse("203.0.113.7/24").unwrap_err().remedy, "write 203.0.113.0/24");
    }

    #[test]
    fn integers_keep_their_form_in_messages() {
        assert_eq!(port(&toml("0x50")), Ok(80));
        assert_eq!(port(&toml("65_535")), Ok(65535));
        assert_eq!(port(&toml("0x10000")).unwrap_err().message, "0x10000 is not a port");
        assert_eq!(port(&toml("-1")).unwrap_err().message, "-1 is not a port");
        assert!(port(&toml("99999999999999999999")).is_err());
    }

    #[test]
    fn a_seed_is_not_repeated() {
        let error = seed(&toml("'secret'")).unwrap_err();
        assert!(!error.message.contains("secret"));
        assert_eq!(seed(&toml("'000102030405060708090a0b0c0d0e0F'")).unwrap()[15], 15);
        assert!(seed(&toml("'+00102030405060708090a0b0c0d0e0f'")).is_err());
    }
}
