//! The keys of what is tracked, for virtual routers and for routes.

use std::time::Duration;

use toml::de::DeValue;

use crate::config::{
    document::{Reported, Table, all},
    value::{self, Fault},
    vrrp::{Track, Tracked},
};

/// Those of virtual routers.
pub(in crate::config) const OF_ROUTERS: &[&str] = &[
    "interface",
    "script",
    "datapath",
    "service",
    "weight",
    "rise",
    "fall",
    "interval",
    "timeout",
];
/// Those of routes, which have no priority that a weight could change.
pub(in crate::config) const OF_ROUTES: &[&str] =
    &["interface", "script", "datapath", "service", "rise", "fall", "interval", "timeout"];

/// Those keys that only a script has.
const OF_SCRIPTS: &[&str] = &["interval", "timeout"];

/// Reads the tables `track` of a table, which have these keys and this header.
pub(super) fn tracks(
    table: &Table<'_>,
    keys: &'static [&'static str],
    header: &str,
) -> Result<Vec<Track>, Reported> {
    let tracks = table.tables("track", keys)?;
    all(tracks.into_iter().map(|table| track(&table?, header)))
}

/// Puts what breaks no rule in place of the services that they name.
pub(super) fn without_services(tracks: &mut [Track]) {
    for track in tracks {
        if let Tracked::Service(_) = track.what {
            track.what = Tracked::Datapath;
        }
    }
}

fn track(table: &Table<'_>, header: &str) -> Result<Track, Reported> {
    let what = tracked(table, header);
    let misplaced = misplaced(table);
    let weight = table.or("weight", 0, value::vrrp::track_weight);
    let rise = table.or("rise", 1, value::count);
    let fall = table.or("fall", 1, value::count);
    misplaced?;
    Ok(Track { what: what?, weight: weight?, rise: rise?, fall: fall? })
}

/// One of the keys that say what is tracked.
fn tracked(table: &Table<'_>, header: &str) -> Result<Tracked, Reported> {
    let read = [
        (
            "interface",
            table.optional("interface", value::text).map(|it| it.map(Tracked::Interface)),
        ),
        ("script", script(table)),
        ("datapath", table.optional("datapath", datapath)),
        ("service", table.optional("service", value::text).map(|it| it.map(Tracked::Service))),
    ];
    let mut found = read.into_iter().filter_map(|(key, what)| Some((key, what.transpose()?)));
    let Some((key, mut what)) = found.next() else {
        let remedy = "add `interface = \"eth1\"`, or `script`, `datapath` or `service`";
        return Err(table.fault("interface", Fault::new("missing", remedy)));
    };
    for (other, _) in found {
        let remedy = format!("keep one of them, and make another {header} of the other");
        let fault = Fault::new(format!("`{key}` is there as well"), remedy);
        what = Err(table.fault(other, fault));
    }
    what
}

fn script(table: &Table<'_>) -> Result<Option<Tracked>, Reported> {
    if !table.has("script") {
        return Ok(None);
    }
    let command = table.list("script", value::text);
    let interval = table.or("interval", Duration::from_secs(1), value::duration);
    let timeout = table.or("timeout", Duration::from_millis(500), value::duration);
    Ok(Some(Tracked::Script { command: command?, interval: interval?, timeout: timeout? }))
}

/// Notes the keys that only a script has, if there is none.
fn misplaced(table: &Table<'_>) -> Result<(), Reported> {
    let mut result = Ok(());
    for key in OF_SCRIPTS.iter().filter(|key| table.has(key) && !table.has("script")) {
        let fault = Fault::new("only a script has it", "remove it, or track a `script`");
        result = Err(table.fault(key, fault));
    }
    result
}

fn datapath(value: &DeValue<'_>) -> Result<Tracked, Fault> {
    let nothing = || Fault::new("`false` tracks nothing", "write `true`, or remove the track");
    value::boolean(value)?.then_some(Tracked::Datapath).ok_or_else(nothing)
}
