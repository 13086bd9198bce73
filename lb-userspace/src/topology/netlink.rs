//! The topology as the kernel tells it over rtnetlink.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use futures::{Stream, StreamExt, channel::mpsc::UnboundedReceiver};
use rtnetlink::{
    MulticastGroup,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::RouteNetlinkMessage,
    sys::SocketAddr,
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};

pub use super::requests::Error;
use super::{
    Topology,
    dump::Dump,
    keep::{Keep, kept},
    requests::Requests,
};

/// A burst of notifications is over after this much silence,
const QUIET: Duration = Duration::from_millis(10);
/// and is not waited for longer than this.
const PATIENCE: Duration = Duration::from_millis(100);
/// A full dump comes at least this often, so that a lost notification heals.
const RESYNC: Duration = Duration::from_secs(5);

const GROUPS: &[MulticastGroup] = &[
    MulticastGroup::Link,
    MulticastGroup::Neigh,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
];

/// The topology at this moment.
pub async fn snapshot() -> Result<Topology, Error> {
    Ok(Requests::open()?.dump().await?.topology)
}

/// Lets all neighbours age again that a node has asked the kernel to keep resolved; gives their number.
pub async fn release() -> Result<usize, Error> {
    let mut requests = Requests::open()?;
    let kept = kept(&requests.dump().await?);
    for action in &kept {
        requests.carry_out(*action).await?;
    }
    Ok(kept.len())
}

/// Follows the kernel in a task on the current runtime, and keeps resolved the neighbours on the
/// way to the wanted addresses and the routers of all routes.
///
/// The first value is empty, without any link; the first that is seen comes within milliseconds.
/// The task ends when all receivers are gone. The neighbours stay managed by the kernel then, as
/// pinned programs go on forwarding to them.
pub fn spawn(
    wanted: watch::Receiver<BTreeSet<IpAddr>>,
) -> Result<(watch::Receiver<Arc<Topology>>, JoinHandle<()>), Error> {
    start(Some(Keeping { keep: Keep::default(), wanted }))
}

/// As [`spawn`], but only looks on: no neighbour is kept, and none released.
pub fn follow() -> Result<(watch::Receiver<Arc<Topology>>, JoinHandle<()>), Error> {
    start(None)
}

fn start(
    keeping: Option<Keeping>,
) -> Result<(watch::Receiver<Arc<Topology>>, JoinHandle<()>), Error> {
    let (publisher, receiver) = watch::channel(Arc::default());
    let watcher =
        Watcher { notifications: subscribe()?, requests: Requests::open()?, keeping, publisher };
    Ok((receiver, tokio::spawn(watcher.run())))
}

/// The neighbours to keep resolved, and for whom.
struct Keeping {
    keep: Keep,
    wanted: watch::Receiver<BTreeSet<IpAddr>>,
}

impl Keeping {
    /// Ready when others are wanted than before.
    async fn changed(keeping: &mut Option<Self>) {
        let changed = match keeping {
            Some(Self { wanted, .. }) => wanted.changed().await.is_ok(),
            None => false,
        };
        if !changed {
            std::future::pending::<()>().await;
        }
    }
}

type Notifications = UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>;

/// A socket of its own for notifications: when it overflows, no answer to a request is lost. The
/// overflow itself arrives as a notification.
fn subscribe() -> Result<Notifications, Error> {
    let (connection, _, notifications) =
        rtnetlink::new_multicast_connection(GROUPS).map_err(Error::Socket)?;
    // It ends with the receiver of the notifications.
    drop(tokio::spawn(connection));
    Ok(notifications)
}

struct Watcher {
    notifications: Notifications,
    requests: Requests,
    keeping: Option<Keeping>,
    publisher: watch::Sender<Arc<Topology>>,
}

impl Watcher {
    async fn run(mut self) {
        let mut resync = interval(RESYNC);
        resync.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let notified = tokio::select! {
                () = self.publisher.closed() => return,
                _ = resync.tick() => Some(()),
                () = Keeping::changed(&mut self.keeping) => Some(()),
                first = self.notifications.next() => match first {
                    Some((news, _)) if is_known(&news, &self.publisher.borrow()) => continue,
                    Some(_) => end_of_burst(&mut self.notifications).await,
                    None => None,
                },
            };
            if let Err(error) = self.turn(notified.is_some()).await {
                tracing::warn!(%error, "links, routes and neighbours may be out of date");
                let _ = resync.tick().await;
            }
        }
    }

    async fn turn(&mut self, subscribed: bool) -> Result<(), Error> {
        if !subscribed {
            self.notifications = subscribe()?;
        }
        let dump = match self.requests.dump().await {
            Ok(dump) => dump,
            Err(error) => {
                self.requests = Requests::open()?;
                return Err(error);
            }
        };
        let _ = self.publisher.send_if_modified(|published| {
            let changed = **published != dump.topology;
            if changed {
                *published = Arc::new(dump.topology.clone());
            }
            changed
        });
        let Some(Keeping { keep, wanted }) = &mut self.keeping else { return Ok(()) };
        let wanted = wanted.borrow_and_update().clone();
        let now = Instant::now().into_std();
        for action in keep.actions(&dump, &wanted, now) {
            match self.requests.carry_out(action).await {
                Ok(()) => keep.done(action, now),
                // The link or the address may be gone by now; the next turn knows better.
                Err(error) => tracing::debug!(?action, %error, "neighbour request failed"),
            }
        }
        Ok(())
    }
}

/// Whether the kernel only says again how a neighbour is reached, as it does whenever it has asked whether that is
/// still there. Who keeps the neighbour is looked at with the next dump.
fn is_known(news: &NetlinkMessage<RouteNetlinkMessage>, topology: &Topology) -> bool {
    let NetlinkPayload::InnerMessage(message @ RouteNetlinkMessage::NewNeighbour(_)) =
        &news.payload
    else {
        return false;
    };
    let told = Dump::new(vec![message.clone()]).topology.neighbours;
    !told.is_empty() && told.iter().all(|(key, mac)| topology.neighbours.get(key) == Some(mac))
}

/// `None` if the notifications have ended.
async fn end_of_burst(notifications: &mut (impl Stream + Unpin)) -> Option<()> {
    let latest = Instant::now() + PATIENCE;
    loop {
        let quiet = (Instant::now() + QUIET).min(latest);
        match timeout_at(quiet, notifications.next()).await {
            Ok(notification) => drop(notification?),
            Err(_) => return Some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use lb_common::addr::Mac;
    use rtnetlink::packet_route::{
        link::LinkMessage,
        neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
    };
    use tokio::time::sleep;

    use super::*;

    /// How long a burst of this many notifications, 4 ms apart, is waited for.
    async fn wait_for(notifications: u32) -> Duration {
        let start = Instant::now();
        let burst = stream::unfold(0, |sent| async move {
            sleep(Duration::from_millis(if sent < notifications { 4 } else { 3_600_000 })).await;
            Some(((), sent + 1))
        });
        assert_eq!(end_of_burst(&mut Box::pin(burst)).await, Some(()));
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_ends_with_silence_or_when_patience_does() {
        assert_eq!(wait_for(0).await, QUIET);
        assert_eq!(wait_for(5).await, QUIET + Duration::from_millis(20));
        assert_eq!(wait_for(1000).await, PATIENCE);
        assert_eq!(end_of_burst(&mut stream::empty::<()>()).await, None);
    }

    /// What the kernel says of a neighbour of link 2.
    fn neighbour(state: NeighbourState, last: u8, mac: Option<u8>) -> NeighbourMessage {
        let mut message = NeighbourMessage::default();
        (message.header.ifindex, message.header.state) = (2, state);
        let address = NeighbourAddress::Inet([10, 0, 0, last].into());
        let mac = mac.map(|mac| NeighbourAttribute::LinkLayerAddress(vec![mac; 6]));
        message.attributes =
            [NeighbourAttribute::Destination(address)].into_iter().chain(mac).collect();
        message
    }

    #[test]
    fn a_neighbour_that_is_reached_as_before_is_no_news() {
        use RouteNetlinkMessage::{DelNeighbour, NewNeighbour};
        let neighbours = [((2, [10, 0, 0, 1].into()), Mac([1; 6]))].into();
        let topology = Topology { neighbours, ..Topology::default() };
        let is_known = |message: RouteNetlinkMessage| is_known(&message.into(), &topology);
        for state in [NeighbourState::Reachable, NeighbourState::Stale, NeighbourState::Probe] {
            assert!(is_known(NewNeighbour(neighbour(state, 1, Some(1)))));
            assert!(!is_known(NewNeighbour(neighbour(state, 1, Some(2)))), "another MAC");
            assert!(!is_known(NewNeighbour(neighbour(state, 2, Some(1)))), "another neighbour");
            assert!(!is_known(DelNeighbour(neighbour(state, 1, Some(1)))));
        }
        assert!(!is_known(NewNeighbour(neighbour(NeighbourState::Failed, 1, None))));
        assert!(!is_known(NewNeighbour(neighbour(NeighbourState::Failed, 1, Some(1)))));
        assert!(!is_known(RouteNetlinkMessage::NewLink(LinkMessage::default())));
    }
}
