//! Monitors and the servers that they ask.

use std::{collections::BTreeMap, time::Duration};

use tempfile::NamedTempFile;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::peer::{Auth, PASSWORD, Peer};
use crate::{
    config::proxy::{Monitor, Mysql, Role},
    proxy::mysql::{
        Identity, Note, Past, View,
        monitor::{Monitors, Pool, Told},
        tests::settings,
    },
};

/// Monitors of one pool, and what they tell.
struct Site {
    monitors: Monitors,
    told: UnboundedReceiver<Told>,
    pool: Pool,
    password: NamedTempFile,
    view: Option<View>,
    notes: Vec<Note>,
}

impl Site {
    fn new(servers: &[(&str, &Peer)]) -> Self {
        let (sender, told) = unbounded_channel();
        let monitors = Monitors::new(sender);
        let password = NamedTempFile::new().unwrap();
        std::fs::write(password.path(), PASSWORD).unwrap();
        let monitor = Monitor {
            password_file: Some(password.path().into()),
            interval: Duration::from_millis(200),
            timeout: Duration::from_millis(190),
            // Only who does not answer at all is lost, however busy the machine is.
            fall: 20,
            ..settings().monitor
        };
        let settings = Mysql { monitor, ..settings() };
        let servers = servers.iter().map(|it| (it.0.to_owned(), it.1.place.clone())).collect();
        let pool = Pool { proxy: "db".into(), settings, servers };
        Self { monitors, told, pool, password, view: None, notes: Vec::new() }
    }

    fn started(servers: &[(&str, &Peer)]) -> Self {
        let mut site = Self::new(servers);
        site.configure();
        site
    }

    fn configure(&mut self) {
        self.monitors.configure(vec![self.pool.clone()]);
    }

    /// Listens until this is so.
    async fn until(&mut self, what: &str, is_so: impl Fn(&View, &[Note]) -> bool) {
        let listen = async {
            while self.view.as_ref().is_none_or(|view| !is_so(view, &self.notes)) {
                match self.told.recv().await.unwrap() {
                    Told::View { proxy, view } => {
                        assert_eq!(proxy, "db");
                        self.view = Some(view);
                    }
                    Told::Note { note, .. } => self.notes.push(note),
                }
            }
        };
        let heard = tokio::time::timeout(Duration::from_secs(60), listen).await;
        assert!(heard.is_ok(), "waited in vain until {what}: {:?} {:?}", self.view, self.notes);
    }

    async fn until_primary(&mut self, primary: Option<&str>) {
        let what = format!("{primary:?} is the primary");
        self.until(&what, |view, _| view.primary.as_deref() == primary).await;
    }
}

async fn primary(uuid: &'static str) -> Peer {
    Peer::start(Auth::Fast, uuid).await
}

async fn replica(uuid: &'static str) -> Peer {
    let peer = primary(uuid).await;
    peer.script().read_only = true;
    peer.script().replica = Some(("Yes", Some("0")));
    peer
}

#[tokio::test]
async fn a_promotion_is_seen_on_connections_that_stay() {
    let (a, b) = (primary("a").await, replica("b").await);
    let mut site = Site::started(&[("a", &a), ("b", &b)]);
    site.until_primary(Some("a")).await;
    a.script().read_only = true;
    site.until_primary(None).await;
    assert!(site.view.as_ref().unwrap().hold.is_some());
    (b.script().read_only, b.script().replica) = (false, None);
    site.until_primary(Some("b")).await;
    assert_eq!((a.seen().logins, b.seen().logins), (1, 1));
    assert_eq!(site.monitors.pasts()["db"].server, "b");
}

#[tokio::test]
async fn a_view_is_told_once_and_the_end_of_the_wait_too() {
    let a = replica("a").await;
    let mut site = Site::new(&[("a", &a)]);
    site.pool.settings.promotion_wait = Duration::from_secs(1);
    site.configure();
    let mut holds = Vec::new();
    while holds.last() != Some(&None) {
        if let Told::View { view, .. } = site.told.recv().await.unwrap() {
            holds.push(view.hold);
        }
    }
    // Before anything is known, and after the first answer if that changes anything.
    assert!(holds.len() <= 3, "{holds:?}");
    let questions = a.seen().questions;
    a.sees(|it| it.questions > questions + 6).await;
    assert!(site.told.try_recv().is_err());
}

#[tokio::test]
async fn a_server_that_hangs_delays_nobody_and_is_not_flooded() {
    let (a, b) = (primary("a").await, replica("b").await);
    let mut site = Site::started(&[("a", &a), ("b", &b)]);
    site.until_primary(Some("a")).await;
    b.hang(true);
    let asked = a.seen().questions;
    site.until("b is lost", |_, notes| {
        notes.iter().any(|it| matches!(it, Note::Silent { server, .. } if server == "b"))
    })
    .await;
    // Each turn of `a` has two questions, of which there have been about as many as failures.
    assert!(a.seen().questions - asked > 20, "{:?}", a.seen());
    assert!(b.seen().connections <= 2, "{:?}", b.seen());
    assert_eq!(site.view.as_ref().unwrap().primary.as_deref(), Some("a"));
    b.hang(false);
    site.until("b answers", |_, notes| notes.contains(&Note::Answers { server: "b".into() })).await;
}

#[tokio::test]
async fn a_connection_that_was_cut_is_made_again_before_that_counts() {
    let a = primary("a").await;
    let mut site = Site::started(&[("a", &a)]);
    site.pool.settings.monitor.fall = 1;
    site.configure();
    site.until_primary(Some("a")).await;
    let logins = a.seen().logins;
    a.cut();
    a.sees(|it| it.logins > logins).await;
    let questions = a.seen().questions;
    a.sees(|it| it.questions > questions + 4).await;
    assert!(
        !site.notes.iter().any(|it| matches!(it, Note::PrimaryLost { .. })),
        "{:?}",
        site.notes
    );
}

#[tokio::test]
async fn a_password_may_change_and_is_never_told() {
    let a = primary("a").await;
    let mut site = Site::started(&[("a", &a)]);
    std::fs::write(site.password.path(), "another").unwrap();
    site.pool.settings.monitor.fall = 2;
    site.configure();
    site.until("it is refused", |_, notes| {
        notes.iter().any(|it| matches!(it, Note::Silent { .. }))
    })
    .await;
    std::fs::write(site.password.path(), PASSWORD).unwrap();
    site.until_primary(Some("a")).await;
    let told = format!("{:?}", site.notes);
    assert!(told.contains("Access denied") && !told.contains("another"), "{told}");
}

#[tokio::test]
async fn a_reload_keeps_what_is_known_but_not_of_another_address() {
    let (a, b) = (primary("a").await, replica("b").await);
    let mut site = Site::started(&[("a", &a)]);
    site.until_primary(Some("a")).await;
    site.pool.servers.extend([("b".to_owned(), b.place.clone())]);
    site.pool.settings.role = Role::Replica;
    site.configure();
    site.until("b is read from", |view, _| view.servers.get("b").is_some_and(|it| it.eligible))
        .await;
    assert_eq!((site.view.as_ref().unwrap().primary.as_deref(), a.seen().logins), (Some("a"), 1));
    // The same name, and somebody else.
    let c = replica("c").await;
    site.pool.servers.extend([("a".to_owned(), c.place.clone())]);
    site.configure();
    site.until_primary(None).await;
    site.monitors.configure(Vec::new());
    for peer in [a, b, c] {
        peer.sees(|it| it.ended == it.connections).await;
    }
    assert!(site.monitors.pasts().is_empty());
}

#[tokio::test]
async fn the_next_process_knows_which_of_two_primaries_was_the_last() {
    let (a, b) = (primary("a").await, primary("b").await);
    for (server, identity) in [("a", "a"), ("b", "b")] {
        let mut site = Site::new(&[("a", &a), ("b", &b)]);
        let past = Past { server: server.into(), identity: Identity::of_mysql(identity) };
        let pasts = BTreeMap::from([("db".to_owned(), past)]);
        let pasts = serde_json::from_str(&serde_json::to_string(&pasts).unwrap()).unwrap();
        site.monitors.resume(pasts);
        site.configure();
        site.until_primary(Some(server)).await;
    }
    let mut site = Site::started(&[("a", &a), ("b", &b)]);
    site.until("both are rivals", |view, _| view.rivals == ["a", "b"]).await;
    assert_eq!(site.view.as_ref().unwrap().primary, None);
}

#[tokio::test]
async fn a_server_at_which_the_client_fails_is_one_that_does_not_answer() {
    let a = Peer::start(Auth::NoKey, "a").await;
    let mut site = Site::new(&[("a", &a)]);
    site.pool.settings.monitor.fall = 1;
    site.configure();
    let silent =
        |it: &Note| matches!(it, Note::Silent { why, .. } if why.contains("no database server"));
    site.until("it is lost", |_, notes| notes.iter().any(silent)).await;
    a.script().auth = Auth::Fast;
    site.until_primary(Some("a")).await;
}
