//! The PROXY protocol, versions 1 and 2 (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>):
//! where a connection really comes from.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use ppp::{v1, v2};

use crate::config::proxy::HeaderVersion;

/// The longest line of version 1, its end included (§2.1).
const LONGEST_LINE: usize = 107;
const LINE_START: &[u8] = b"PROXY ";
/// The signature, version and command, family, and the length of the rest (§2.2).
const BINARY_START: usize = 16;
/// The longest header of version 2 that is taken. Its addresses need 36 bytes; the rest is for TLVs.
const LONGEST: usize = 4096;

/// What is no PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection does not begin with a PROXY header of version 1 or 2")]
pub struct BadHeader;

/// Both ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client's.
    pub source: SocketAddr,
    /// The one that the client connected to.
    pub destination: SocketAddr,
}

/// A header that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its bytes; the client's own follow.
    pub length: usize,
    /// What it says; `None` if it says nothing (`LOCAL`, `UNKNOWN`, another family).
    pub ends: Option<Ends>,
}

/// Reads what a connection begins with; `None`: the header is not complete.
pub fn read(bytes: &[u8]) -> Result<Option<Received>, BadHeader> {
    let signature = v2::PROTOCOL_PREFIX;
    if begins(bytes, signature) {
        read_binary(bytes)
    } else if begins(bytes, LINE_START) {
        read_line(bytes)
    } else {
        Err(BadHeader)
    }
}

/// Whether bytes begin with others, as far as they go.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    bytes.iter().zip(with).all(|(one, other)| one == other)
}

fn read_line(bytes: &[u8]) -> Result<Option<Received>, BadHeader> {
    let Some(end) = bytes.windows(2).take(LONGEST_LINE - 1).position(|it| it == b"\r\n") else {
        return if bytes.len() < LONGEST_LINE { Ok(None) } else { Err(BadHeader) };
    };
    let length = end + 2;
    let line = bytes.get(..length).ok_or(BadHeader)?;
    let ends = match v1::Header::try_from(line).map_err(|_| BadHeader)?.addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(it) => Some(Ends {
            source: (it.source_address, it.source_port).into(),
            destination: (it.destination_address, it.destination_port).into(),
        }),
        v1::Addresses::Tcp6(it) => Some(Ends {
            source: (it.source_address, it.source_port).into(),
            destination: (it.destination_address, it.destination_port).into(),
        }),
    };
    Ok(Some(Received { length, ends }))
}

fn read_binary(bytes: &[u8]) -> Result<Option<Received>, BadHeader> {
    let Some(&[high, low]) = bytes.get(BINARY_START - 2..BINARY_START) else { return Ok(None) };
    let length = BINARY_START + usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST {
        return Err(BadHeader);
    }
    let Some(whole) = bytes.get(..length) else { return Ok(None) };
    let header = v2::Header::try_from(whole).map_err(|_| BadHeader)?;
    let ends = match (header.command, header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(it)) => Some(Ends {
            source: (it.source_address, it.source_port).into(),
            destination: (it.destination_address, it.destination_port).into(),
        }),
        (v2::Command::Proxy, v2::Addresses::IPv6(it)) => Some(Ends {
            source: (it.source_address, it.source_port).into(),
            destination: (it.destination_address, it.destination_port).into(),
        }),
        (v2::Command::Local, _)
        | (v2::Command::Proxy, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => None,
    };
    Ok(Some(Received { length, ends }))
}

/// The header for a connection on behalf of another one; `None`: of one without IP addresses.
#[must_use]
pub fn proxied(version: HeaderVersion, ends: Option<Ends>) -> Vec<u8> {
    let ends = ends.map(of_one_family);
    match version {
        HeaderVersion::V1 => {
            ends.map_or(v1::Addresses::Unknown, v1::Addresses::from).to_string().into_bytes()
        }
        HeaderVersion::V2 => {
            binary(v2::Command::Proxy, ends.map_or(v2::Addresses::Unspecified, Into::into))
        }
    }
}

/// The header for a connection on nobody's behalf, such as a check's.
#[must_use]
pub fn local(version: HeaderVersion) -> Vec<u8> {
    match version {
        HeaderVersion::V1 => v1::Addresses::Unknown.to_string().into_bytes(),
        HeaderVersion::V2 => binary(v2::Command::Local, v2::Addresses::Unspecified),
    }
}

fn binary(command: v2::Command, addresses: v2::Addresses) -> Vec<u8> {
    let protocol = match addresses {
        v2::Addresses::Unspecified => v2::Protocol::Unspecified,
        v2::Addresses::IPv4(_) | v2::Addresses::IPv6(_) | v2::Addresses::Unix(_) => {
            v2::Protocol::Stream
        }
    };
    let builder = v2::Builder::with_addresses(v2::Version::Two | command, protocol, addresses);
    // It fails for TLVs that are too long, and writes to memory.
    builder.build().unwrap_or_default()
}

/// Two addresses as a header can have them: of one family, IPv4 where both can be.
fn of_one_family(ends: Ends) -> (SocketAddr, SocketAddr) {
    let plain = |it: SocketAddr| SocketAddr::new(it.ip().to_canonical(), it.port());
    let (source, destination) = (plain(ends.source), plain(ends.destination));
    if source.is_ipv4() == destination.is_ipv4() {
        return (source, destination);
    }
    let mapped = |it: SocketAddr| match it.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), it.port()),
        IpAddr::V6(_) => it,
    };
    (mapped(source), mapped(destination))
}
