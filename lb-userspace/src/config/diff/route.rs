//! In which routes two configurations differ.

use std::{collections::BTreeMap, net::IpAddr};

use super::difference;
use crate::{
    api::plan::{Difference, Kind},
    config::Route,
};

/// One line for each that differs.
pub(super) fn routes(old: &[Route], new: &[Route]) -> Vec<Difference> {
    let before: BTreeMap<_, _> = old.iter().map(|it| (&*it.name, it)).collect();
    let after: BTreeMap<_, _> = new.iter().map(|it| (&*it.name, it)).collect();
    let gone = old.iter().filter(|it| !after.contains_key(&*it.name));
    let gone = gone.map(|it| difference(Kind::Removed, subject(it), summary(it)));
    let others = new.iter().filter_map(|route| match before.get(&*route.name) {
        Some(before) => {
            let keys = changed_keys(before, route);
            let detail = || format!("changed in {}", keys.join(", "));
            (!keys.is_empty()).then(|| difference(Kind::Changed, subject(route), detail()))
        }
        None => Some(difference(Kind::Added, subject(route), summary(route))),
    });
    gone.chain(others).collect()
}

fn subject(route: &Route) -> String {
    format!("route {}", route.name)
}

fn summary(Route { addresses, interface, .. }: &Route) -> String {
    let addresses: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
    format!("{} on {interface}", addresses.join(", "))
}

fn changed_keys(old: &Route, new: &Route) -> Vec<&'static str> {
    // All keys are named, so that a new one is not forgotten here.
    let Route { name: _, addresses, interface, tracks } = new;
    let keys = [
        ("addresses", *addresses != old.addresses),
        ("interface", *interface != old.interface),
        ("track", *tracks != old.tracks),
    ];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}
