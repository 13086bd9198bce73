//! The task that tells other nodes of this one's rings, and hears of theirs.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    Rings, View,
    book::{Book, Note},
    message::{PORT, decode, encode},
    socket::{Datagram, Receiver, Sender},
};
use crate::{
    config::Vrrp,
    events::{Event, Events, Kind},
    speaker::{
        message::Duties,
        wire::{Place, place},
    },
    topology::Topology,
    vrrp::packet::{GROUP_V4, GROUP_V6},
};

/// From one message to the next.
const INTERVAL: Duration = Duration::from_secs(1);
/// The datagrams that may wait: whoever floods the port fills no memory.
const WAITING: usize = 256;

/// What the task is to know.
pub struct Wishes {
    /// Among others, the virtual routers that this node shares with others.
    pub duties: watch::Receiver<Duties>,
    /// Its rings.
    pub rings: watch::Receiver<Rings>,
    /// What the kernel says of the network.
    pub topology: watch::Receiver<Arc<Topology>>,
}

/// Tells and hears in a task of the current runtime, which ends with it.
#[must_use]
pub fn spawn(wishes: Wishes, events: Events) -> watch::Receiver<View> {
    let (publisher, view) = watch::channel(View::default());
    let (heard, hearing) = mpsc::channel(WAITING);
    let exchange = Exchange {
        wishes,
        events,
        publisher,
        heard,
        // Each has a key of its own.
        id: RandomState::new().build_hasher().finish(),
        node: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        book: Book::default(),
        receivers: BTreeMap::new(),
        tasks: JoinSet::new(),
        senders: BTreeMap::new(),
        failures: Vec::new(),
    };
    drop(tokio::spawn(exchange.run(hearing)));
    view
}

/// An interface, its index, and whether it is about IPv4.
type Ear = (String, u32, bool);
/// An interface, its index, and where datagrams come from.
type Mouth = (String, u32, IpAddr);

fn mouth((router, Place { index, source, .. }): &(&Vrrp, Place)) -> Mouth {
    (router.interface.clone(), *index, *source)
}

struct Exchange {
    wishes: Wishes,
    events: Events,
    publisher: watch::Sender<View>,
    heard: mpsc::Sender<Datagram>,
    id: u64,
    node: String,
    book: Book,
    receivers: BTreeMap<Ear, tokio::task::AbortHandle>,
    tasks: JoinSet<()>,
    senders: BTreeMap<Mouth, Sender>,
    /// What the log was told last.
    failures: Vec<String>,
}

impl Exchange {
    async fn run(mut self, mut hearing: mpsc::Receiver<Datagram>) {
        let mut round = tokio::time::interval(INTERVAL);
        round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(datagram) = hearing.recv() => self.hear(&datagram),
                _ = round.tick() => {
                    let said = self.say();
                    self.complain(said);
                    self.elapse();
                }
            }
        }
    }

    /// A node on the link, or one that a virtual router has as its peer.
    fn hear(&mut self, Datagram { bytes, source, is_near }: &Datagram) {
        let is_known = {
            let duties = self.wishes.duties.borrow();
            let of_family = || duties.routers.iter().filter(|it| it.is_ipv4() == source.is_ipv4());
            of_family().any(|it| it.peers.contains(source))
                || (*is_near && of_family().any(|it| it.peers.is_empty()))
        };
        if !is_known {
            tracing::debug!(%source, "a datagram of a node that is none of ours");
            return;
        }
        match decode(bytes) {
            Ok(message) if message.id == self.id => {}
            Ok(message) => self.book.hear(*source, message, Instant::now()),
            Err(error) => tracing::debug!(%source, %error, "a datagram that is none of a node"),
        }
    }

    /// Tells all others of this node's rings, by the links as they are now; gives what failed.
    fn say(&mut self) -> Vec<String> {
        let routers = self.wishes.duties.borrow().routers.clone();
        let topology = self.wishes.topology.borrow().clone();
        let rings = self.wishes.rings.borrow().clone();
        let vips: Vec<_> =
            routers.iter().flat_map(|it| &it.addresses).map(|it| it.address).collect();
        // Where there is no place, the virtual router says so itself.
        let places = routers.iter().filter_map(|it| Some((it, place(it, &topology, &vips).ok()?)));
        let places: Vec<_> = places.collect();
        let mut failures = self.listen(&places);
        let datagrams = encode(self.id, &self.node, &rings);
        self.book.see_own(rings);
        let wanted: BTreeSet<Mouth> = places.iter().map(mouth).collect();
        self.senders.retain(|mouth, _| wanted.contains(mouth));
        let mut said = BTreeSet::new();
        for place in &places {
            let mouth = mouth(place);
            let to = destinations(place.0).filter(|to| said.insert((mouth.clone(), *to)));
            let to: Vec<_> = to.collect();
            let interface = mouth.0.clone();
            let told = self.tell(mouth, &to, &datagrams);
            failures.extend(told.err().map(|error| format!("{interface}: {error}")));
        }
        failures
    }

    /// Who cannot be told keeps nobody else from hearing it.
    fn tell(&mut self, mouth: Mouth, to: &[IpAddr], datagrams: &[Vec<u8>]) -> io::Result<()> {
        let sender = match self.senders.entry(mouth) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let (interface, index, source) = new.key();
                let sender = Sender::open(interface, *index, *source)?;
                new.insert(sender)
            }
        };
        let all = to.iter().flat_map(|to| datagrams.iter().map(|datagram| (datagram, *to)));
        let failed = all.filter_map(|(datagram, to)| sender.send(datagram, to).err());
        failed.reduce(|first, _| first).map_or(Ok(()), Err)
    }

    /// Hears where there are virtual routers, and nowhere else; gives what failed.
    fn listen(&mut self, places: &[(&Vrrp, Place)]) -> Vec<String> {
        let ear = |(router, place): &(&Vrrp, Place)| {
            (router.interface.clone(), place.index, router.is_ipv4())
        };
        let wanted: BTreeSet<Ear> = places.iter().map(ear).collect();
        self.receivers.retain(|ear, task| {
            let stays = wanted.contains(ear) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        while self.tasks.try_join_next().is_some() {}
        let mut failures = Vec::new();
        for ear in wanted {
            let Entry::Vacant(new) = self.receivers.entry(ear) else { continue };
            let (interface, index, is_v4) = new.key();
            match Receiver::open(interface, *index, *is_v4) {
                Ok(receiver) => {
                    let task = self.tasks.spawn(forward(receiver, self.heard.clone()));
                    let _: &mut _ = new.insert(task);
                }
                Err(error) => failures.push(format!("{interface}, UDP port {PORT}: {error}")),
            }
        }
        failures
    }

    /// The log hears of a failure once.
    fn complain(&mut self, failures: Vec<String>) {
        let new = failures.iter().filter(|it| !self.failures.contains(it));
        for failure in new {
            tracing::warn!("the rings of the nodes cannot be compared by {failure}");
        }
        self.failures = failures;
    }

    fn elapse(&mut self) {
        for note in self.book.elapse(Instant::now()) {
            self.events.note(event(note));
        }
        let view = self.book.view();
        let _: bool = self.publisher.send_if_modified(|told| {
            let differs = *told != view;
            *told = view;
            differs
        });
    }
}

async fn forward(receiver: Receiver, to: mpsc::Sender<Datagram>) {
    while let Ok(datagram) = receiver.next().await {
        // What does not fit is lost, and said again.
        let _full = to.try_send(datagram);
    }
}

fn destinations(router: &Vrrp) -> impl Iterator<Item = IpAddr> {
    let group = if router.is_ipv4() { GROUP_V4.into() } else { GROUP_V6.into() };
    let group = router.peers.is_empty().then_some(group);
    router.peers.iter().copied().chain(group)
}

fn event(note: Note) -> Event {
    match note {
        Note::Differs { service, node, lacks } => {
            let what = if lacks { "has no such service" } else { "has another ring" };
            let cause = format!(
                "{} ({}) {what}: connections would break at a failover; compare configuration, seed and \
                 health",
                node.name, node.address
            );
            Event::new(Kind::RingDiffers, cause).of_service(&service)
        }
        Note::Agrees { service, node } => {
            let cause = format!("{} ({}) has the same ring", node.name, node.address);
            Event::new(Kind::RingAgrees, cause).of_service(&service)
        }
    }
}
