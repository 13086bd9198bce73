//! The file that names real machines.

use std::{fmt, fs, num::NonZero, path::Path};

use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;

use super::site::Port;

/// Three machines on one Ethernet segment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inventory {
    /// Where the programs go on all of them.
    #[serde(default = "default_folder")]
    pub(super) folder: Word,
    pub(super) generator: Generator,
    pub(super) balancer: Peer,
    pub(super) sink: Peer,
}

/// A machine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Peer {
    /// As ssh takes it.
    pub(super) host: Word,
    interface: Word,
    mac: Mac,
}

/// The machine that sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Generator {
    /// As ssh takes it.
    pub(super) host: Word,
    interface: Word,
    mac: Mac,
    /// The threads of pktgen, each with a transmit queue.
    #[serde(default = "default_threads")]
    pub(super) threads: NonZero<u16>,
    /// The packets of a flow that are handed over at once.
    #[serde(default = "default_burst")]
    pub(super) burst: NonZero<u16>,
}

impl Peer {
    pub(super) fn port(&self) -> Port {
        Port { interface: self.interface.to_string(), mac: self.mac.to_string() }
    }
}

impl Generator {
    pub(super) fn port(&self) -> Port {
        Port { interface: self.interface.to_string(), mac: self.mac.to_string() }
    }
}

impl Inventory {
    /// Reads it; errors name file, line, key and remedy.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file)
            .with_context(|| format!("cannot read the inventory {}", file.display()))?;
        Self::parse(&text).map_err(|error| anyhow!("{}: {error}", file.display()))
    }

    pub(super) fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

fn default_folder() -> Word {
    Word("/run/lb-bench-programs".to_owned())
}

fn default_threads() -> NonZero<u16> {
    NonZero::<u16>::MIN
}

fn default_burst() -> NonZero<u16> {
    NonZero::new(4).unwrap_or(NonZero::<u16>::MIN)
}

/// A text that a shell takes as one plain word.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Word(String);

impl TryFrom<String> for Word {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@._:/-".contains(&byte);
        if text.is_empty() || text.starts_with('-') || !text.bytes().all(is_plain) {
            let rule = "use letters, digits and @ . _ : / - only, the last not in front";
            return Err(format!("`{text}` would not be one word of a shell: {rule}"));
        }
        Ok(Self(text))
    }
}

impl fmt::Display for Word {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The address of a network card.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Mac(String);

impl TryFrom<String> for Mac {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_byte = |byte: &str| byte.len() == 2 && u8::from_str_radix(byte, 16).is_ok();
        if text.split(':').count() != 6 || !text.split(':').all(is_byte) {
            return Err(format!(
                "`{text}` is no MAC such as 02:00:00:00:00:01; `ip -br link` on the host shows it"
            ));
        }
        Ok(Self(text))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("inventory.example.toml");

    #[test]
    fn the_example_is_read() {
        let inventory = Inventory::parse(GOOD).unwrap();
        assert_eq!(inventory.balancer.host.to_string(), "root@192.0.2.2");
        assert_eq!(inventory.sink.port().mac, "02:00:00:00:00:03");
        assert_eq!((inventory.generator.threads.get(), inventory.generator.burst.get()), (4, 4));
        assert_eq!(inventory.folder.to_string(), "/run/lb-bench-programs");
    }

    /// The error of the example with one text replaced.
    fn error(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from), "{from}");
        Inventory::parse(&GOOD.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_are_shown_where_they_are() {
        let line = |text: &str| {
            let at = GOOD.lines().position(|line| line.starts_with(text)).unwrap();
            format!("line {}", at + 1)
        };
        let cases = [
            ("threads = 4", "threads = 0", "threads", "nonzero"),
            ("threads = 4", "thread = 4", "threads", "unknown field `thread`"),
            ("mac = \"02:00:00:00:00:01\"", "mac = \"02:00\"", "mac", "`ip -br link`"),
            ("interface = \"eth1\"", "interface = \"eth1; reboot\"", "interface", "one word"),
            ("host = \"root@192.0.2.1\"", "host = \"-oProxyCommand=x\"", "host", "one word"),
        ];
        for (from, to, key, complaint) in cases {
            let error = error(from, to);
            assert!(error.contains(&line(key)) && error.contains(complaint), "{error}");
        }
        let error = error("[sink]", "[drain]");
        assert!(error.contains("unknown field `drain`, expected one of"), "{error}");
    }
}
