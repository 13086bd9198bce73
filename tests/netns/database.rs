//! An application's writes and reads go where they must, whatever happens to the database servers and to
//! the node.
//!
//! ```text
//! client ─► nginx ─► app (node) ─► application ─► write, read (node) ─► two MariaDB
//! ```

mod app;
mod client;
mod pair;

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use lb_tests::{mariadb, netns, node::Node, site::Site};

use self::{
    client::{Clients, Ledger},
    pair::{ADDRESSES, Pair},
};

/// The node's own address.
const NODE: &str = "10.0.0.2";
const INTERVAL: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_millis(400);
/// A primary takes sessions this long after its monitor has seen it, at most.
const SLACK: Duration = Duration::from_millis(300);
/// How far behind a replica may be that is read from.
const MAX_LAG: Duration = Duration::from_secs(2);
/// How long servers stay as they have been made.
const WHILE: Duration = Duration::from_secs(5);

#[test]
fn an_application_keeps_its_data_whatever_its_servers_do() {
    let site = super::site_of(3);
    let mut pair = Pair::start(&site).unwrap();
    let _nginx = app::start(&site);
    let mut node = site.start_node(&config(&site, 2)).unwrap();
    // What is known of a replica is as old as the last answer.
    let clients = Clients::start(&site, MAX_LAG + INTERVAL + TIMEOUT);
    let flow = Flow { clients: &clients };
    flow.passes("both servers serve", 1, 2);

    let promoted = kill_and_promote(&mut pair, &flow);
    two_writers(&pair, &flow);
    stop_replication(&pair, &flow);
    drain_and_restart(&site, &mut node, &flow);

    let ledger = clients.stop();
    judge(&ledger, &pair, promoted);
}

/// Gives when the replica was promoted. The old primary comes back read-only.
fn kill_and_promote(pair: &mut Pair<'_>, flow: &Flow<'_>) -> Instant {
    pair.kill(0);
    pair.sql(1, "STOP ALL SLAVES; RESET SLAVE ALL").unwrap();
    let promoted = Instant::now();
    pair.sql(1, "SET GLOBAL read_only = 0").unwrap();
    flow.passes("the promoted one serves", 2, 2);
    pair.restart(0).unwrap();
    pair.follow(0, 1).unwrap();
    flow.passes("the old primary is read from", 2, 1);
    promoted
}

fn two_writers(pair: &Pair<'_>, flow: &Flow<'_>) {
    pair.sql(0, "STOP SLAVE; SET GLOBAL read_only = 0").unwrap();
    flow.passes("the second writer is not read from", 2, 2);
    thread::sleep(WHILE);
    pair.sql(0, "SET GLOBAL read_only = 1; START SLAVE").unwrap();
    flow.passes("it is a replica again", 2, 1);
}

fn stop_replication(pair: &Pair<'_>, flow: &Flow<'_>) {
    pair.sql(0, "STOP SLAVE").unwrap();
    flow.passes("a replica that stopped is not read from", 2, 2);
    thread::sleep(WHILE);
    pair.sql(0, "START SLAVE").unwrap();
    flow.passes("it has caught up", 2, 1);
}

/// The daemon ends and begins again, and then the forwarder is followed by another one, which takes its
/// sockets and lets it end its sessions. Nobody notices.
fn drain_and_restart(site: &Site, node: &mut Node<'_>, flow: &Flow<'_>) {
    let failures = flow.failures();
    node.restart().unwrap();
    flow.passes("the daemon is back", 2, 1);
    super::soon("shares are by roles", || {
        let backends = node.backends().map_err(|error| error.to_string())?;
        let shares = ["write", "read"].map(|name| -> Vec<f64> {
            backends.iter().filter(|it| it.service == name).map(|it| it.share).collect()
        });
        if shares == [[0.0, 1.0], [1.0, 0.0]] { Ok(()) } else { Err(format!("{shares:?}")) }
    });
    let _: PathBuf = site.write_config(&config(site, 1)).unwrap();
    let before = forwarders(site);
    let _: String = node.order(&["reload"]).unwrap();
    super::soon("another forwarder is started", || {
        let now = forwarders(site);
        let another = now.iter().any(|it| !before.contains(it));
        another.then_some(()).ok_or_else(|| format!("{before:?} {now:?}"))
    });
    flow.passes("another forwarder goes on", 2, 1);
    assert_eq!(flow.failures(), failures, "the node's restart was noticed");
}

/// The processes that host proxies on the node's machine.
fn forwarders(site: &Site) -> Vec<i32> {
    let hosts = |pid: &i32| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split('\0').any(|it| it == "proxy-forwarder")
    };
    netns::pids(site.lb.name()).unwrap().into_iter().filter(hosts).collect()
}

/// What passes while the clients go on.
struct Flow<'a> {
    clients: &'a Clients,
}

impl Flow<'_> {
    /// Waits until this server has acknowledged new writes and that one answered new reads.
    fn passes(&self, what: &str, writes: u64, reads: u64) {
        let count = || {
            let ledger = self.clients.ledger();
            let written = ledger.written.iter().rev().take_while(|it| it.server == writes).count();
            (written, ledger.reads.get(&reads).copied().unwrap_or_default())
        };
        let before = count();
        super::soon(what, || {
            let now = count();
            let both = now.0 > before.0 + 20 && now.1 > before.1 + 20;
            let failed = || {
                let ledger = self.clients.ledger();
                (ledger.failed_writes.last().cloned(), ledger.failed_reads.last().cloned())
            };
            both.then_some(()).ok_or_else(|| format!("{before:?} {now:?} {:?}", failed()))
        });
    }

    fn failures(&self) -> (usize, usize) {
        let ledger = self.clients.ledger();
        (ledger.failed_writes.len(), ledger.failed_reads.len())
    }
}

fn judge(ledger: &Ledger, pair: &Pair<'_>, promoted: Instant) {
    assert_eq!(ledger.stale.len(), 0, "old reads: {:?}", ledger.stale.first());
    let wrong = |it: &&client::Written| (it.server == 1) != (it.at < promoted);
    let wrong: Vec<_> = ledger.written.iter().filter(wrong).collect();
    assert!(wrong.is_empty(), "acknowledged by another server than the primary: {wrong:?}");
    let first = ledger.written.iter().find(|it| it.server == 2).unwrap();
    let gap = first.at - promoted;
    println!(
        "{} writes and {} that failed, reads by server {:?} and {} that failed, {gap:?} without a writer",
        ledger.written.len(),
        ledger.failed_writes.len(),
        ledger.reads,
        ledger.failed_reads.len(),
    );
    assert!(gap <= INTERVAL + SLACK, "{gap:?} without a writer");

    let last = ledger.written.iter().rev().find(|it| it.server == 1).unwrap();
    let numbers = pair.numbers(1).unwrap();
    let lost = ledger.written.iter().filter(|it| numbers.binary_search(&it.number).is_err());
    assert_eq!(lost.count(), 0, "acknowledged and lost");
    // The one after the last that was acknowledged may have been written when the primary died.
    let question =
        format!("SELECT COUNT(*) FROM app.log WHERE server = 1 AND n > {}", last.number + 1);
    for server in [0, 1] {
        let strays = pair.ask(server, &question).unwrap();
        assert_eq!(strays.trim(), "0", "another server than the primary was written to");
    }
    // What another server than the primary had taken would be there alone.
    super::soon("the replica has the same", || {
        let other = pair.numbers(0).map_err(|error| error.to_string())?;
        if other == numbers { Ok(()) } else { Err(format!("{} {}", other.len(), numbers.len())) }
    });
}

fn config(site: &Site, threads: usize) -> String {
    let password = site.folder().path().join("password");
    fs::write(&password, mariadb::PASSWORD).unwrap();
    let databases = |name: &str, port: u16, keys: &str| {
        format!(
            "[[proxy]]\nname = \"{name}\"\nlisten = [\"{NODE}:{port}\"]\nprotocol = \"mysql\"\n{keys}\n\
             backend = [{}]\nmonitor = {{ user = \"{}\", password_file = \"{}\", interval = \"{}ms\", \
             timeout = \"{}ms\" }}\n",
            ADDRESSES.map(|it| format!("{{ address = \"{it}:{}\" }}", mariadb::PORT)).join(", "),
            mariadb::USER,
            password.display(),
            INTERVAL.as_millis(),
            TIMEOUT.as_millis(),
        )
    };
    let lag = MAX_LAG.as_secs();
    let read = format!(
        "role = \"replica\"\nfallback = true\nmax_lag = \"{lag}s\"\nclose_lag = \"{lag}s\""
    );
    [
        site.node_table(&site.pin_dir(), "eth0"),
        format!("proxy_threads = {threads}\n"),
        format!(
            "[[proxy]]\nname = \"app\"\nlisten = [\"{NODE}:{}\"]\n\
             backend = [{{ address = \"{}\" }}]\n",
            app::APP_PORT,
            app::APPLICATION
        ),
        databases("write", app::WRITE_PORT, "role = \"primary\""),
        databases("read", app::READ_PORT, &read),
    ]
    .concat()
}
