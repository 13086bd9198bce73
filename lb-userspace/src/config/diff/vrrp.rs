//! In which virtual routers two configurations differ.

use std::collections::BTreeMap;

use super::difference;
use crate::{
    api::plan::{Difference, Kind},
    config::vrrp::{VirtualAddress, Vrrp},
};

/// One line for each that differs.
pub(super) fn routers(old: &[Vrrp], new: &[Vrrp]) -> Vec<Difference> {
    let before: BTreeMap<_, _> = old.iter().map(|it| (&*it.name, it)).collect();
    let after: BTreeMap<_, _> = new.iter().map(|it| (&*it.name, it)).collect();
    let gone = old.iter().filter(|it| !after.contains_key(&*it.name));
    let gone = gone.map(|it| difference(Kind::Removed, subject(it), summary(it)));
    let others = new.iter().filter_map(|router| match before.get(&*router.name) {
        Some(before) => {
            let keys = changed_keys(before, router);
            let detail = || format!("changed in {}", keys.join(", "));
            (!keys.is_empty()).then(|| difference(Kind::Changed, subject(router), detail()))
        }
        None => Some(difference(Kind::Added, subject(router), summary(router))),
    });
    gone.chain(others).collect()
}

fn subject(router: &Vrrp) -> String {
    format!("vrrp {}", router.name)
}

fn summary(router: &Vrrp) -> String {
    let Vrrp { interface, id, priority, addresses, .. } = router;
    let addresses: Vec<_> = addresses.iter().map(VirtualAddress::to_string).collect();
    format!("{}, id {id} on {interface}, priority {priority}", addresses.join(", "))
}

fn changed_keys(old: &Vrrp, new: &Vrrp) -> Vec<&'static str> {
    // All keys are named, so that a new one is not forgotten here.
    let Vrrp {
        name: _,
        interface,
        id,
        version,
        addresses,
        priority,
        interval,
        preempt,
        preempt_delay,
        source,
        peers,
        virtual_mac,
        checksum,
        group,
        announce,
        tracks,
    } = new;
    let keys = [
        ("interface", *interface != old.interface),
        ("id", *id != old.id),
        ("version", *version != old.version),
        ("addresses", *addresses != old.addresses),
        ("priority", *priority != old.priority),
        ("interval", *interval != old.interval),
        ("preempt", *preempt != old.preempt),
        ("preempt_delay", *preempt_delay != old.preempt_delay),
        ("source", *source != old.source),
        ("peers", *peers != old.peers),
        ("virtual_mac", *virtual_mac != old.virtual_mac),
        ("checksum", *checksum != old.checksum),
        ("group", *group != old.group),
        ("announce", *announce != old.announce),
        ("track", *tracks != old.tracks),
    ];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}
