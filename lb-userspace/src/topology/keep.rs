//! Which neighbours the kernel must be asked about.
//!
//! Packets that XDP forwards do not refresh the kernel's neighbour entries, so the kernel is told
//! to keep the needed ones by itself (`NTF_EXT_MANAGED`, kernel commit 7482e3841d52, Linux 5.16).
//! An older kernel ignores that flag and sees a plain `NTF_USE` probe, which is repeated.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

use super::dump::{Dump, Entry, Keeper};

/// What the kernel must be told about one neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    /// Resolve it and keep it so.
    Keep(u32, IpAddr),
    /// Let it age like any other.
    Release(u32, IpAddr),
}

/// Gives up all that a node has asked for.
pub(super) fn kept(dump: &Dump) -> Vec<Action> {
    let ours = dump.entries.iter().filter(|(_, entry)| entry.keeper == Keeper::Us);
    ours.map(|(&(interface, address), _)| Action::Release(interface, address)).collect()
}

/// Remembers what was asked, so that a host that does not answer is not asked at every turn.
#[derive(Debug, Default)]
pub(super) struct Keep {
    asked: BTreeMap<(u32, IpAddr), Instant>,
}

impl Keep {
    /// Entries that the kernel has but does not manage are asked about at most this often.
    const AGAIN: Duration = Duration::from_secs(5);

    /// What is to be done about the wanted addresses and the routers.
    pub(super) fn actions(
        &mut self,
        dump: &Dump,
        wanted: &BTreeSet<IpAddr>,
        now: Instant,
    ) -> Vec<Action> {
        let mut needed = dump.topology.needed_neighbours(wanted);
        needed.retain(|(interface, _)| dump.resolving.contains(interface));
        self.asked.retain(|key, _| needed.contains(key));

        let release = dump
            .entries
            .iter()
            .filter(|(key, entry)| entry.keeper == Keeper::Us && !needed.contains(key))
            .map(|(&(interface, address), _)| Action::Release(interface, address))
            .collect::<Vec<_>>();
        let keep = needed.into_iter().filter(|key| self.is_due(*key, dump.entries.get(key), now));
        keep.map(|(interface, address)| Action::Keep(interface, address)).chain(release).collect()
    }

    fn is_due(&self, key: (u32, IpAddr), entry: Option<&Entry>, now: Instant) -> bool {
        let asked = self.asked.get(&key);
        match entry {
            None => true,
            Some(Entry { keeper: Keeper::Us | Keeper::Others, .. }) => false,
            Some(Entry { keeper: Keeper::Nobody, fresh }) => {
                asked.is_none_or(|&at| !fresh && now.duration_since(at) >= Self::AGAIN)
            }
        }
    }

    /// The kernel took a request.
    pub(super) fn done(&mut self, action: Action, now: Instant) {
        if let Action::Keep(interface, address) = action {
            let _ = self.asked.insert((interface, address), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use lb_common::{addr::Mac, route::Prefix};

    use super::*;
    use crate::topology::{Link, Route};

    const HOST: (u32, IpAddr) = (1, IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7)));

    fn dump(entry: Option<(Keeper, bool)>) -> Dump {
        let mut dump = Dump::default();
        let link = Link {
            name: "eth1".into(),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            up: true,
            mtu: 1500,
            vlan: None,
            addresses: Vec::new(),
        };
        let _ = dump.topology.links.insert(1, link);
        let _ = dump.resolving.insert(1);
        dump.topology.routes.push(Route {
            prefix: Prefix::new([10, 0, 0, 0].into(), 24).unwrap(),
            gateway: None,
            interface: 1,
            metric: 0,
            mtu: None,
        });
        dump.entries.extend(entry.map(|(keeper, fresh)| (HOST, Entry { keeper, fresh })));
        dump
    }

    fn wanted() -> BTreeSet<IpAddr> {
        [HOST.1].into()
    }

    #[test]
    fn a_needed_neighbour_is_asked_for_unless_somebody_keeps_it() {
        let now = Instant::now();
        let keep = vec![Action::Keep(HOST.0, HOST.1)];
        let actions = |entry| Keep::default().actions(&dump(entry), &wanted(), now);
        assert_eq!(actions(None), keep);
        assert_eq!(actions(Some((Keeper::Nobody, false))), keep);
        assert_eq!(actions(Some((Keeper::Nobody, true))), keep, "it would age otherwise");
        assert_eq!(actions(Some((Keeper::Us, false))), []);
        assert_eq!(actions(Some((Keeper::Others, false))), []);
    }

    #[test]
    fn only_what_this_node_asked_for_is_released() {
        let now = Instant::now();
        let actions =
            |keeper| Keep::default().actions(&dump(Some((keeper, true))), &BTreeSet::new(), now);
        assert_eq!(actions(Keeper::Us), [Action::Release(HOST.0, HOST.1)]);
        assert_eq!(actions(Keeper::Others), []);
        assert_eq!(actions(Keeper::Nobody), []);
        assert_eq!(kept(&dump(Some((Keeper::Us, true)))), [Action::Release(HOST.0, HOST.1)]);
        assert_eq!(kept(&dump(Some((Keeper::Others, true)))), []);
    }

    #[test]
    fn an_old_kernel_is_asked_again_but_not_at_every_turn() {
        let now = Instant::now();
        let mut keep = Keep::default();
        keep.done(Action::Keep(HOST.0, HOST.1), now);
        let mut count = |entry, after| keep.actions(&dump(entry), &wanted(), now + after).len();
        assert_eq!(count(Some((Keeper::Nobody, false)), Duration::from_millis(100)), 0);
        assert_eq!(count(Some((Keeper::Nobody, false)), Keep::AGAIN), 1);
        assert_eq!(count(Some((Keeper::Nobody, true)), Keep::AGAIN), 0, "it is fresh");
        assert_eq!(count(None, Duration::ZERO), 1, "the kernel has lost it");
    }

    #[test]
    fn links_without_address_resolution_are_left_alone() {
        let mut dump = dump(None);
        dump.resolving.clear();
        assert_eq!(Keep::default().actions(&dump, &wanted(), Instant::now()), []);
    }
}
