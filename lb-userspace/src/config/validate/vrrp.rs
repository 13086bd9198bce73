//! The rules of virtual routers.

mod several;

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

pub(super) use several::{check as several, warnings};

use super::{
    Problem,
    node::interface,
    repeated,
    service::{host, named},
    track,
};
use crate::{
    config::vrrp::{Announce, Checksum, OWNER, Track, VirtualAddress, Vrrp},
    vrrp::{Unsendable, Version},
};

/// Longer than anybody waits, and far from what clocks can count.
const SPAN_MAX: Duration = Duration::from_secs(3600);
const REFRESH_MIN: Duration = Duration::from_secs(1);
const REFRESH_MAX: Duration = Duration::from_secs(24 * 3600);

/// A rule that is broken: the key within the virtual router, what is wrong, what to do.
pub(super) type Broken = (String, String, String);

/// The rules within one.
pub(super) fn check(index: usize, router: &Vrrp) -> Vec<Problem> {
    let Vrrp { name, interface, addresses, group, announce, tracks, .. } = router;
    let key = |key: &str| format!("vrrp[{index}].{key}");
    let mut problems = Vec::new();
    problems.extend(named(|| key("name"), name));
    problems.extend(self::interface(|| key("interface"), interface));
    for (position, VirtualAddress { address, .. }) in addresses.iter().enumerate() {
        problems.extend(on_link(|| key(&format!("addresses[{position}]")), *address));
    }
    problems.extend(senders(key, router));
    problems.extend(group.iter().filter_map(|group| named(|| key("group"), group)));
    let broken = [sayable(router), checksum(router), precedence(router)].into_iter().flatten();
    let broken = broken.chain(owner(router)).chain(self::announce(*announce));
    problems
        .extend(broken.map(|(name, message, remedy)| Problem::new(key(&name), message, remedy)));
    problems.extend(track::check(key, tracks));
    problems
}

pub(super) fn say(
    key: impl Into<String>,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> Broken {
    (key.into(), message.into(), remedy.into())
}

/// Whether adverts can say it.
fn sayable(router: &Vrrp) -> Option<Broken> {
    let Vrrp { addresses, interval, .. } = router;
    let family = addresses.first().map_or(Ipv4Addr::UNSPECIFIED.into(), |it| it.address);
    let broken = match router.settings(family)?.check().err()? {
        Unsendable::NoAddresses => {
            say("addresses", "there is none", "name one, such as \"203.0.113.10\"")
        }
        Unsendable::TooManyAddresses(count) => {
            let message = format!("an advert names 255 addresses at most, not {count}");
            say("addresses", message, "spread them over several virtual routers")
        }
        Unsendable::Family { address, source_address } => {
            let place = addresses.iter().position(|it| it.address == address).unwrap_or_default();
            let message = format!("{address} is not of the family of {source_address}");
            let remedy = "make a virtual router of its own for each family";
            say(format!("addresses[{place}]"), message, remedy)
        }
        Unsendable::VersionTwoOverSix => {
            say("version", "VRRP version 2 is for IPv4 only", "use version 3")
        }
        Unsendable::Interval { version, .. } => {
            let range = match version {
                Version::V2 => "whole seconds, \"1s\" to \"255s\"",
                Version::V3 => "steps of 10ms, \"10ms\" to \"40s 950ms\"",
            };
            let (interval, version) = (spell(*interval), version.number());
            let message = format!("{interval} cannot be said in VRRP version {version}");
            say("interval", message, format!("use {range}"))
        }
    };
    Some(broken)
}

fn checksum(router: &Vrrp) -> Option<Broken> {
    let has_choice = router.version == 3 && router.is_ipv4() || router.addresses.is_empty();
    (router.checksum != Checksum::Auto && !has_choice).then(|| {
        let message = "only version 3 over IPv4 has a choice of checksums";
        say("checksum", message, "remove it")
    })
}

fn precedence(Vrrp { priority, preempt, preempt_delay, .. }: &Vrrp) -> Option<Broken> {
    if preempt_delay.is_zero() {
        return None;
    }
    let message = if *priority == OWNER {
        "an owner (priority 255) takes its addresses at once"
    } else if !*preempt {
        "with `preempt = false` nothing is delayed"
    } else {
        return at_most("preempt_delay", *preempt_delay);
    };
    Some(say("preempt_delay", message, "remove it"))
}

/// The addresses of an owner are its own: it holds them whenever it can.
fn owner(Vrrp { priority, preempt, tracks, .. }: &Vrrp) -> Vec<Broken> {
    if *priority != OWNER {
        return Vec::new();
    }
    let preempts = (!*preempt).then(|| {
        let message = "an owner (priority 255) always preempts";
        say("preempt", message, "remove it, or use a `priority` of at most 254")
    });
    let weighted = tracks.iter().enumerate().filter(|(_, Track { weight, .. })| *weight != 0);
    let weighted = weighted.map(|(position, _)| {
        let message = "the priority of an owner is 255, always";
        let remedy = "remove it, so that a failure gives the addresses up, or use a `priority` of \
                      at most 254";
        say(format!("track[{position}].weight"), message, remedy)
    });
    preempts.into_iter().chain(weighted).collect()
}

fn announce(Announce { copies, repeat_after, refresh }: Announce) -> Vec<Broken> {
    let silent = (copies == 0).then(|| {
        let message = "0 frames tell nobody who has the addresses";
        say("announce.copies", message, "use 1 to 255")
    });
    let late = at_most("announce.repeat_after", repeat_after);
    let rare = refresh.filter(|it| !(REFRESH_MIN..=REFRESH_MAX).contains(it)).map(|refresh| {
        let message = format!("{} is out of range", spell(refresh));
        say("announce.refresh", message, "use \"1s\" to \"24h\", or \"0s\" for none")
    });
    silent.into_iter().chain(late).chain(rare).collect()
}

/// Where adverts come from, and where they go.
fn senders(key: impl Fn(&str) -> String, router: &Vrrp) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(source) = router.source {
        problems.extend(source_of(|| key("source"), router, source));
    }
    let key = |place: usize| key(&format!("peers[{place}]"));
    for (place, peer) in router.peers.iter().enumerate() {
        problems.extend(peer_of(|| key(place), router, *peer));
    }
    problems.extend(repeated(&router.peers, |it| *it).map(|(place, _)| {
        Problem::new(
            key(place),
            format!("{} is named twice", router.peers[place]),
            "name each peer once",
        )
    }));
    problems
}

fn source_of(key: impl FnOnce() -> String, router: &Vrrp, source: IpAddr) -> Option<Problem> {
    let is_own = router.addresses.iter().any(|it| it.address == source);
    let is_link_local = matches!(source, IpAddr::V6(it) if it.is_unicast_link_local());
    if is_other_family(router, source) {
        let family = if router.is_ipv4() { "IPv4" } else { "IPv6" };
        let message = format!("{source} is not of the family of the addresses, {family}");
        Some(Problem::new(key(), message, "use an address of that family, or remove it"))
    } else if is_own && router.priority != OWNER {
        let message = format!("{source} is a virtual address, which only the master has");
        Some(Problem::new(key(), message, "use an address that this node always has, or remove it"))
    } else if source.is_ipv6() && router.peers.is_empty() && !is_link_local {
        let message = format!("{source} is not link-local, as adverts to the group must be");
        let remedy = "use the interface's fe80:: address, remove it, or name `peers`";
        Some(Problem::new(key(), message, remedy))
    } else {
        on_link(key, source)
    }
}

fn peer_of(key: impl FnOnce() -> String, router: &Vrrp, peer: IpAddr) -> Option<Problem> {
    let message = if is_other_family(router, peer) {
        let family = if router.is_ipv4() { "IPv4" } else { "IPv6" };
        format!("{peer} is not of the family of the addresses, {family}")
    } else if router.source == Some(peer) {
        format!("{peer} is this node's own `source`")
    } else if router.addresses.iter().any(|it| it.address == peer) {
        format!("{peer} is a virtual address, which every router may have")
    } else {
        return on_link(key, peer);
    };
    Some(Problem::new(key(), message, "name the other router's own address"))
}

/// Without addresses, of which is told anyway, there is no family.
fn is_other_family(router: &Vrrp, address: IpAddr) -> bool {
    !router.addresses.is_empty() && router.is_ipv4() != address.is_ipv4()
}

/// An address of one host, if only on its link.
fn on_link(key: impl FnOnce() -> String, address: IpAddr) -> Option<Problem> {
    match address {
        IpAddr::V6(it) if it.is_unicast_link_local() => None,
        IpAddr::V4(_) | IpAddr::V6(_) => host(key, address),
    }
}

pub(super) fn at_most(key: &str, span: Duration) -> Option<Broken> {
    let too_long = span > SPAN_MAX;
    too_long.then(|| say(key, format!("{} is too long", spell(span)), "use at most \"1h\""))
}

pub(super) fn spell(span: Duration) -> String {
    humantime::format_duration(span).to_string()
}
