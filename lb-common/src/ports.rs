//! The text form of ports: `80`, `8000-8100`, `any`.

use core::{fmt, str::FromStr};

use crate::{addr::Port, service::Ports};

/// A text that names no ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotPorts;

impl fmt::Display for NotPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not ports: a number from 1 to 65535, a range such as 8000-8100, or any")
    }
}

impl core::error::Error for NotPorts {}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.first.get(), self.last.get());
        if self.is_any() {
            f.pad("any")
        } else if self.is_one() {
            write!(f, "{first}")
        } else {
            write!(f, "{first}-{last}")
        }
    }
}

impl FromStr for Ports {
    type Err = NotPorts;

    fn from_str(text: &str) -> Result<Self, NotPorts> {
        if text == "any" {
            return Ok(Self::ANY);
        }
        let Some((first, last)) = text.split_once('-') else { return port(text).map(Self::one) };
        let ports = Self { first: port(first)?, last: port(last)? };
        if ports.first.get() < ports.last.get() { Ok(ports) } else { Err(NotPorts) }
    }
}

/// Without a sign, which numbers in Rust may have.
fn port(text: &str) -> Result<Port, NotPorts> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && *number > 0);
    number.map(Port::new).ok_or(NotPorts)
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn ports_are_read_as_they_are_written() {
        for text in ["1", "80", "65535", "8000-8100", "1-65535", "any"] {
            assert_eq!(text.parse::<Ports>().map(|ports| ports.to_string()), Ok(text.into()));
        }
        assert_eq!("any".parse(), Ok(Ports::ANY));
        assert_eq!("80".parse(), Ok(Ports::one(Port::new(80))));
    }

    #[test]
    fn what_names_no_ports_is_refused() {
        for text in [
            "", "0", "65536", "+80", "80-80", "81-80", "0-80", "80-", "-80", "1-+2", "ANY", "1-2-3",
        ] {
            assert_eq!(text.parse::<Ports>(), Err(NotPorts), "{text}");
        }
    }
}
