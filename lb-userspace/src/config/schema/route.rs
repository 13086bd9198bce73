//! The keys of `[[route]]`.

use super::track;
use crate::config::{
    document::{Reported, Table},
    route::{DEFAULT_INTERFACE, Route},
    value::{self, Fault},
};

pub(in crate::config) const ROUTE: &[&str] = &["name", "addresses", "interface", "track"];

/// Reads the table.
pub(super) fn route(table: &Table<'_>) -> Result<Route, Reported> {
    let name = table.required("name", "\"web\"", value::text);
    let addresses = if table.has("addresses") {
        table.list("addresses", value::address)
    } else {
        let fault = Fault::new("missing", "add `addresses = [\"203.0.113.10\"]`");
        Err(table.fault("addresses", fault))
    };
    let interface = table.or("interface", DEFAULT_INTERFACE.to_owned(), value::text);
    let tracks = track::tracks(table, track::OF_ROUTES, "[[route.track]]");
    Ok(Route { name: name?, addresses: addresses?, interface: interface?, tracks: tracks? })
}
