//! The keys of `[service.agent]`.

use std::time::Duration;

use crate::config::{
    Agent,
    document::{Reported, Table},
    value,
};

pub(in crate::config) const AGENT: &[&str] = &["address", "port", "interval", "timeout", "send"];

/// Reads the table.
pub(super) fn agent(table: &Table<'_>) -> Result<Agent, Reported> {
    let address = table.optional("address", value::address);
    let port = table.required("port", "9000", value::port);
    let interval = table.or("interval", Duration::from_secs(2), value::duration);
    let timeout = table.or("timeout", Duration::from_secs(1), value::duration);
    let send = table.optional("send", value::text);
    Ok(Agent {
        address: address?,
        port: port?,
        interval: interval?,
        timeout: timeout?,
        send: send?.unwrap_or_default(),
    })
}
