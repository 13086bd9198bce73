//! The keys of `[[vrrp]]`.

use std::time::Duration;

use super::track;
use crate::config::{
    document::{Reported, Table},
    value::{self, Fault},
    vrrp::{Announce, Checksum, DEFAULT_PRIORITY, DEFAULT_REFRESH, VirtualAddress, Vrrp},
};

pub(in crate::config) const VRRP: &[&str] = &[
    "name",
    "interface",
    "id",
    "version",
    "addresses",
    "priority",
    "interval",
    "preempt",
    "preempt_delay",
    "source",
    "peers",
    "virtual_mac",
    "checksum",
    "group",
    "announce",
    "track",
];
pub(in crate::config) const ANNOUNCE: &[&str] = &["copies", "repeat_after", "refresh"];

/// Reads the table.
pub(super) fn vrrp(table: &Table<'_>) -> Result<Vrrp, Reported> {
    let name = table.required("name", "\"web\"", value::text);
    let interface = table.required("interface", "\"eth0\"", value::text);
    let id = table.required("id", "51", value::vrrp::id);
    let version = table.or("version", 3, value::vrrp::version);
    let addresses = addresses(table);
    let priority = table.or("priority", DEFAULT_PRIORITY, value::vrrp::priority);
    let interval = table.or("interval", Duration::from_secs(1), value::duration);
    let preempt = table.or("preempt", true, value::boolean);
    let preempt_delay = table.or("preempt_delay", Duration::ZERO, value::duration);
    let source = table.optional("source", value::address);
    let peers = table.list("peers", value::address);
    let virtual_mac = table.or("virtual_mac", false, value::boolean);
    let checksum = table.or("checksum", Checksum::Auto, value::vrrp::checksum);
    let group = table.optional("group", value::text);
    let announce = table.table("announce", ANNOUNCE).and_then(|table| announce(&table));
    let tracks = track::tracks(table, track::OF_ROUTERS, "[[vrrp.track]]");
    Ok(Vrrp {
        name: name?,
        interface: interface?,
        id: id?,
        version: version?,
        addresses: addresses?,
        priority: priority?,
        interval: interval?,
        preempt: preempt?,
        preempt_delay: preempt_delay?,
        source: source?,
        peers: peers?,
        virtual_mac: virtual_mac?,
        checksum: checksum?,
        group: group?,
        announce: announce?,
        tracks: tracks?,
    })
}

fn addresses(table: &Table<'_>) -> Result<Vec<VirtualAddress>, Reported> {
    if table.has("addresses") {
        return table.list("addresses", value::vrrp::virtual_address);
    }
    let fault = Fault::new("missing", "add `addresses = [\"203.0.113.10\"]`");
    Err(table.fault("addresses", fault))
}

fn announce(table: &Table<'_>) -> Result<Announce, Reported> {
    let defaults = Announce::default();
    let copies = table.or("copies", defaults.copies, value::vrrp::copies);
    let repeat_after = table.or("repeat_after", defaults.repeat_after, value::duration);
    let refresh = table.or("refresh", DEFAULT_REFRESH, value::duration);
    let refresh = Some(refresh?).filter(|it| !it.is_zero());
    Ok(Announce { copies: copies?, repeat_after: repeat_after?, refresh })
}
