//! The forms of values of proxies.

use toml::de::DeValue;

use super::{Fault, choice, string};
use crate::config::proxy::{Balance, HeaderVersion, OnDown, Place, Role};

/// The address of a stream socket.
pub(in crate::config) fn place(value: &DeValue<'_>) -> Result<Place, Fault> {
    let text = string(value)?;
    text.parse().map_err(|_| {
        Fault::new(
            format!("`{text}` is no address with a port"),
            "write one such as \"10.0.0.5:3306\", \"[2001:db8::5]:3306\" or \"unix:/run/app.sock\"",
        )
    })
}

/// How a session gets its backend.
pub(in crate::config) fn balance(value: &DeValue<'_>) -> Result<Balance, Fault> {
    let known = [
        ("round-robin", Balance::RoundRobin),
        ("least-connections", Balance::LeastConnections),
        ("random-two", Balance::RandomTwo),
        ("source", Balance::Source),
        ("hash", Balance::Hash),
    ];
    choice(value, &known)
}

/// What becomes of the sessions of a backend that goes down.
pub(in crate::config) fn on_down(value: &DeValue<'_>) -> Result<OnDown, Fault> {
    choice(value, &[("keep", OnDown::Keep), ("close", OnDown::Close)])
}

/// A version of the PROXY protocol.
pub(in crate::config) fn header(value: &DeValue<'_>) -> Result<HeaderVersion, Fault> {
    choice(value, &[("v1", HeaderVersion::V1), ("v2", HeaderVersion::V2)])
}

/// Whether database servers are told apart by their roles.
pub(in crate::config) fn has_roles(value: &DeValue<'_>) -> Result<bool, Fault> {
    choice(value, &[("tcp", false), ("mysql", true)])
}

/// The role of a database server.
pub(in crate::config) fn role(value: &DeValue<'_>) -> Result<Role, Fault> {
    choice(value, &[("primary", Role::Primary), ("replica", Role::Replica)])
}
