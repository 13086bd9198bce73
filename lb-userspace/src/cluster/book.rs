//! What this node and others have said of their rings, without I/O and clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{Node, Other, Ring, Rings, View, message::Message};

/// What was not said again for so long is forgotten.
const LIFE: Duration = Duration::from_secs(5);
/// A difference that lasts so long is no change under way: reloads come to the nodes one after the other, and
/// each finds out by itself that a backend is down.
const PATIENCE: Duration = Duration::from_secs(10);
/// The nodes that are remembered, and the rings of each: nobody may fill the memory.
const NODES: usize = 64;
const RINGS: usize = 65_536;

/// What became of a service's ring in comparison with another node's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// They differ, and have for some time.
    Differs {
        /// The service's name here.
        service: String,
        /// The other node.
        node: Node,
        /// Whether it has no such service.
        lacks: bool,
    },
    /// They do not differ any more.
    Agrees {
        /// The service's name here.
        service: String,
        /// The other node.
        node: Node,
    },
}

/// What all nodes have said.
#[derive(Debug, Default)]
pub(super) struct Book {
    own: Rings,
    nodes: BTreeMap<u64, Heard>,
}

#[derive(Debug)]
struct Heard {
    node: Node,
    first: Instant,
    last: Instant,
    rings: BTreeMap<String, (String, Instant)>,
    /// Since when rings differ, by what names their services.
    differ: BTreeMap<String, Instant>,
    /// Those of them that were told.
    told: BTreeSet<String>,
}

impl Book {
    /// The rings of this node, from now on.
    pub(super) fn see_own(&mut self, rings: Rings) {
        self.own = rings;
    }

    /// What another node has said.
    pub(super) fn hear(&mut self, from: IpAddr, message: Message, now: Instant) {
        let Message { id, node: name, rings, .. } = message;
        if self.nodes.len() >= NODES && !self.nodes.contains_key(&id) {
            return;
        }
        let node = Node { name, address: from };
        let heard = self.nodes.entry(id).or_insert_with(|| Heard {
            node: node.clone(),
            first: now,
            last: now,
            rings: BTreeMap::new(),
            differ: BTreeMap::new(),
            told: BTreeSet::new(),
        });
        // One that is heard by both families keeps the address that it was heard from first.
        heard.node.name = node.name;
        heard.last = now;
        for (key, digest) in rings {
            if heard.rings.len() < RINGS || heard.rings.contains_key(&key) {
                let _: Option<_> = heard.rings.insert(key, (digest, now));
            }
        }
    }

    /// Time has passed; gives what is to be told.
    pub(super) fn elapse(&mut self, now: Instant) -> Vec<Note> {
        let is_alive = |last: Instant| now.saturating_duration_since(last) < LIFE;
        self.nodes.retain(|_, heard| is_alive(heard.last));
        let mut notes = Vec::new();
        for heard in self.nodes.values_mut() {
            heard.rings.retain(|_, (_, last)| is_alive(*last));
            // Not all of its datagrams may have come yet.
            if now.saturating_duration_since(heard.first) >= LIFE {
                heard.compare(&self.own, now, &mut notes);
            }
        }
        notes
    }

    /// What is known now.
    pub(super) fn view(&self) -> View {
        let ring = |(key, own): (&String, &super::Own)| {
            let other = |heard: &Heard| Other {
                node: heard.node.name.clone(),
                digest: heard.rings.get(key).map(|(digest, _)| digest.clone()),
                differs: heard.told.contains(key),
            };
            Ring {
                service: own.service.clone(),
                digest: own.digest.to_string(),
                others: self.nodes.values().map(other).collect(),
            }
        };
        View {
            nodes: self.nodes.values().map(|heard| heard.node.clone()).collect(),
            rings: self.own.iter().map(ring).collect(),
        }
    }
}

impl Heard {
    fn compare(&mut self, own: &Rings, now: Instant, notes: &mut Vec<Note>) {
        let Self { node, rings, differ, told, .. } = self;
        differ.retain(|key, _| own.contains_key(key));
        told.retain(|key| own.contains_key(key));
        for (key, ring) in own {
            let there = rings.get(key).map(|(digest, _)| digest);
            let (service, node) = (ring.service.clone(), node.clone());
            if there == Some(&ring.digest.to_string()) {
                let _: Option<Instant> = differ.remove(key);
                if told.remove(key) {
                    notes.push(Note::Agrees { service, node });
                }
                continue;
            }
            let since = *differ.entry(key.clone()).or_insert(now);
            if now.saturating_duration_since(since) >= PATIENCE && told.insert(key.clone()) {
                notes.push(Note::Differs { service, node, lacks: there.is_none() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cluster::{
            Own,
            message::{decode, encode},
        },
        ring::Digest,
    };

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 3));

    fn rings(digests: &[(&str, u64)]) -> Rings {
        let ring = |&(name, digest): &(&str, u64)| {
            (format!("{name}/tcp"), Own { service: name.into(), digest: Digest(digest) })
        };
        digests.iter().map(ring).collect()
    }

    /// A book at a time, in seconds.
    struct Desk(Book, Instant);

    impl Desk {
        fn new(own: &[(&str, u64)]) -> Self {
            let mut book = Book::default();
            book.see_own(rings(own));
            Self(book, Instant::now())
        }

        /// Lets a peer say so once a second, for so many seconds.
        fn listen(&mut self, id: u64, said: &[(&str, u64)], seconds: u64) -> Vec<String> {
            let mut told = Vec::new();
            for _ in 0..seconds {
                for datagram in encode(id, "lb-2", &rings(said)) {
                    self.0.hear(PEER, decode(&datagram).unwrap(), self.1);
                }
                told.extend(self.wait(1));
            }
            told
        }

        fn wait(&mut self, seconds: u64) -> Vec<String> {
            let mut told = Vec::new();
            for _ in 0..seconds {
                self.1 += Duration::from_secs(1);
                told.extend(self.0.elapse(self.1).into_iter().map(|note| match note {
                    Note::Differs { service, lacks: false, .. } => format!("{service} differs"),
                    Note::Differs { service, lacks: true, .. } => format!("{service} lacks"),
                    Note::Agrees { service, .. } => format!("{service} agrees"),
                }));
            }
            told
        }
    }

    #[test]
    fn a_difference_that_lasts_is_told_once_and_so_is_its_end() {
        let mut desk = Desk::new(&[("app", 1), ("web", 2)]);
        assert!(desk.listen(7, &[("app", 1), ("web", 2)], 60).is_empty());
        assert!(desk.listen(7, &[("app", 1), ("web", 3)], 9).is_empty(), "a change under way");
        assert!(desk.listen(7, &[("app", 1), ("web", 2)], 60).is_empty());
        assert_eq!(desk.listen(7, &[("app", 1), ("web", 3)], 60), ["web differs"]);
        let view = desk.0.view();
        let differ: Vec<_> = view.rings.iter().map(|it| it.others[0].differs).collect();
        assert_eq!(differ, [false, true]);
        assert_eq!(view.nodes, [Node { name: "lb-2".into(), address: PEER }]);
        assert_eq!(desk.listen(7, &[("app", 1), ("web", 2)], 60), ["web agrees"]);
    }

    #[test]
    fn a_service_that_another_node_lacks_is_a_difference() {
        let mut desk = Desk::new(&[("app", 1), ("web", 2)]);
        assert_eq!(desk.listen(7, &[("web", 2), ("more", 9)], 60), ["app lacks"]);
        desk.0.see_own(rings(&[("web", 2)]));
        assert!(desk.listen(7, &[("web", 2)], 60).is_empty());
    }

    #[test]
    fn silence_is_no_difference() {
        let mut desk = Desk::new(&[("web", 2)]);
        assert!(desk.wait(60).is_empty());
        assert_eq!(desk.listen(7, &[("web", 3)], 60), ["web differs"]);
        assert!(desk.wait(60).is_empty());
        assert_eq!(desk.0.view().nodes, []);
        // A restarted daemon is another one.
        assert!(desk.listen(8, &[("web", 2)], 60).is_empty());
    }
}
