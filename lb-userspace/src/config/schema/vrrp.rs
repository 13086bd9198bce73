//! The keys of `[[vrrp]]`.

use std::time::Duration;

use toml::de::DeValue;

use crate::config::{
    document::{Reported, Table, all},
    value::{self, Fault},
    vrrp::{
        Announce, Checksum, DEFAULT_PRIORITY, DEFAULT_REFRESH, Track, Tracked, VirtualAddress, Vrrp,
    },
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
pub(in crate::config) const TRACK: &[&str] = &[
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

/// Those keys of a track that only a script has.
const OF_SCRIPTS: &[&str] = &["interval", "timeout"];

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
    let tracks = table
        .tables("track", TRACK)
        .and_then(|tracks| all(tracks.into_iter().map(|table| track(&table?))));
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

/// Puts what breaks no rule in place of the services that tracks name.
pub(super) fn without_services(vrrp: &mut Vrrp) {
    for track in &mut vrrp.tracks {
        if let Tracked::Service(_) = track.what {
            track.what = Tracked::Datapath;
        }
    }
}

fn announce(table: &Table<'_>) -> Result<Announce, Reported> {
    let defaults = Announce::default();
    let copies = table.or("copies", defaults.copies, value::vrrp::copies);
    let repeat_after = table.or("repeat_after", defaults.repeat_after, value::duration);
    let refresh = table.or("refresh", DEFAULT_REFRESH, value::duration);
    let refresh = Some(refresh?).filter(|it| !it.is_zero());
    Ok(Announce { copies: copies?, repeat_after: repeat_after?, refresh })
}

fn track(table: &Table<'_>) -> Result<Track, Reported> {
    let what = tracked(table);
    let misplaced = misplaced(table);
    let weight = table.or("weight", 0, value::vrrp::track_weight);
    let rise = table.or("rise", 1, value::count);
    let fall = table.or("fall", 1, value::count);
    misplaced?;
    Ok(Track { what: what?, weight: weight?, rise: rise?, fall: fall? })
}

/// One of the keys that say what is tracked.
fn tracked(table: &Table<'_>) -> Result<Tracked, Reported> {
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
        let remedy = "keep one of them, and make another [[vrrp.track]] of the other";
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
