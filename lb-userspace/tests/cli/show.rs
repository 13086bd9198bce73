//! What the commands show, for people and for programs.

use std::{
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

use lb_userspace::{
    api::{
        proxy::{Proxy, Session},
        types::{Backend, Routers, Service, Stats, Status},
    },
    events::{Entry, Page, Who},
    speaker::message::{Route, RouteState},
};

use crate::{daemon::Daemon, good, json, lb, outcome, run};

#[test]
fn status() {
    let daemon = Daemon::start();
    assert_eq!(
        good(&daemon, &["status"]),
        "\
Daemon      lb 0.1.0, process 4711, up for 1h 2m 3s, took over the running data plane
Config      /etc/lb/lb.toml
Interfaces  eth0 (native)
Services    4
Backends    12, 8 up
Rings       1.05 MB
Problems    web3 of web is down
            eth0 has no carrier
"
    );
    let status: Status = json(&daemon, &["status"]);
    assert_eq!((status.pid, status.ring_bytes), (4711, 1_048_592));
}

#[test]
fn explain() {
    let daemon = Daemon::start();
    assert_eq!(
        good(&daemon, &["explain", "udp", "[2001:db8::7]:40000", "[2001:db8::10]:53"]),
        "\
STAGE    FINDING
parse    [2001:db8::7]:40000 > [2001:db8::10]:53
verdict  no-service: No service has this address, protocol and port.

in   0200
"
    );
}

#[test]
fn virtual_routers() {
    let daemon = Daemon::start();
    assert_eq!(
        good(&daemon, &["vrrp"]),
        "\
ROUTER  STATE   SINCE                 MASTER     PRIORITY   LINK           SENT  RECEIVED  CHANGES  ADDRESSES
web     master  2026-09-21T14:13:20Z  this node  70 of 100  eth0 v3 id 51    12         7        1  203.0.113.10
web: interface eth1 fails
ignored on eth0: checksum 3

SERVICE  RING              NODE             ITS RING
app      0123456789abcdef  lb-2 (10.0.0.3)  0123456789abcdef  the same
web      0123456789abcdef  lb-2 (10.0.0.3)  fedcba9876543210  differs
"
    );
    let Routers { view, cluster } = json(&daemon, &["vrrp"]);
    assert_eq!(view.routers[0].counters.sent, 12);
    assert_eq!(cluster.nodes[0].name, "lb-2");
    assert!(good(&daemon, &["failover", "web"]).starts_with("handed over"));
    let (code, _, stderr) = run(&daemon.socket(), &["failover", "wbe"]);
    assert_eq!((code, &*stderr), (1, "lb: there is no virtual router `wbe`\n"));
}

#[test]
fn proxies_and_their_sessions() {
    let daemon = Daemon::start();
    assert_eq!(good(&daemon, &["proxy", "list"]),
        "\
PROXY     BACKEND  ADDRESS             ROLE     WEIGHT  ADMIN  HEALTH  TAKES     SESSIONS  TOTAL   IN  OUT  ERRORS  REASON
db-write  db1      10.0.2.11:3306      primary       1  ready  up      sessions         7   1200  0 B  0 B       0  connected
db-write  db2      unix:/run/db2.sock  other         1  ready  down    none             7   1200  0 B  0 B       0  connection refused
db-write: db2 must not take writes: make it read-only
");
    let proxies: Vec<Proxy> = json(&daemon, &["proxy", "list"]);
    assert_eq!(proxies[0].ends["client_closed"], 1193);
    // No forwarder is there.
    let sessions: Vec<Session> = json(&daemon, &["sessions", "--proxy", "db-write"]);
    assert!(sessions.is_empty());
    let (code, _, stderr) = run(&daemon.socket(), &["session", "kill", "4242-17"]);
    let none = "lb: there is no session 4242-17 (any more): see `lb sessions`\n";
    assert_eq!((code, &*stderr), (1, none));
    let (code, _, stderr) = run(&daemon.socket(), &["session", "kill", "17"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("a session is named by two numbers"), "{stderr}");
}

#[test]
fn routes() {
    let daemon = Daemon::start();
    assert_eq!(
        good(&daemon, &["route", "list"]),
        "\
ROUTE  STATE      SINCE                 INTERFACE  ADDRESSES                   WHY
web    announced  2026-09-21T14:13:20Z  lo         203.0.113.10, 2001:db8::10  all that it needs is well
dns    withdrawn  2026-09-21T14:13:20Z  lo         203.0.113.53                service dns fails
dns: interface eth1 fails
"
    );
    let routes: Vec<Route> = json(&daemon, &["route", "list"]);
    assert_eq!(routes[1].state, RouteState::Withdrawn);
    assert!(good(&daemon, &["route", "withdraw", "web"]).starts_with("withdrawn"));
    assert!(good(&daemon, &["route", "withdraw"]).starts_with("withdrawn"));
    assert!(good(&daemon, &["route", "announce", "dns"]).starts_with("announced as soon as"));
    let (code, _, stderr) = run(&daemon.socket(), &["route", "withdraw", "wbe"]);
    assert_eq!((code, &*stderr), (1, "lb: there is no route `wbe`\n"));
}

#[test]
fn services() {
    let daemon = Daemon::start();
    assert_eq!(
        good(&daemon, &["service", "list"]),
        "\
SERVICE  VIP                  PROTOCOL  FORWARD  WINDOW  ON DOWN   UP  USAGE    RING  MOVING  SETTLED  FLOWS  PACKETS   BYTES
web      10.0.0.10:80         tcp       l2           1h  rst      2/3  normal  65537     410        3   1234    1.00M  100 MB
web6     [fd00:0:0:1::10]:80  tcp       l2           1h  rst      2/3  normal  65537     410        3   1234    1.00M  100 MB
app      10.0.0.20:80         tcp       nat          1h  rst      2/3  normal  65537     410        3   1234    1.00M  100 MB
app6     [fd00:0:0:1::20]:80  tcp       nat          1h  rst      2/3  normal  65537     410        3   1234    1.00M  100 MB
"
    );
    let services: Vec<Service> = json(&daemon, &["service", "list"]);
    assert_eq!(services[2].traffic.packets, 1_000_000);
}

#[test]
fn backends() {
    let daemon = Daemon::start();
    assert_eq!(
        good(&daemon, &["backend", "list", "--service", "app"]),
        "\
SERVICE  BACKEND  ADDRESS         WEIGHT  SHARE  ADMIN  HEALTH  NEXT HOP                REASON
app      web1     10.0.1.11:8080       1  50.0%  ready  up      eth0 02:00:00:00:00:10  200 OK
app      web2     10.0.1.12:8080       1  50.0%  ready  up      eth0 02:00:00:00:00:11  200 OK
app      web3     10.0.1.13:8080       1   0.0%  ready  down    unresolved              connection refused
"
    );
    let backends: Vec<Backend> = json(&daemon, &["backend", "list"]);
    assert_eq!(backends.len(), 12);
    let (code, _, stderr) = run(&daemon.socket(), &["backend", "list", "--service", "wbe"]);
    let expected = "lb: there is no service or proxy `wbe`; the services and proxies are: \
                    web, web6, app, app6, db-write\n";
    assert_eq!((code, stderr.as_str()), (1, expected));
    let none: Vec<Backend> = json(&daemon, &["backend", "list", "--service", "db-write"]);
    assert_eq!(none, [], "a proxy that has none is no mistake");
}

#[test]
fn stats() {
    let daemon = Daemon::start();
    let text = good(&daemon, &["stats"]);
    let expected = "\
VERDICT      PACKETS  MEANING
transmitted    1.00M  Sent out by the interface that it came in by.

SERVICE  BACKEND  HEALTH  SHARE  PACKETS   BYTES
web      web1     up      50.0%    1.00M  100 MB
";
    assert!(text.starts_with(expected), "{text}");
    assert_eq!(text.lines().count(), 4 + 12);
    let stats: Stats = json(&daemon, &["stats"]);
    assert_eq!(stats.verdicts["transmitted"], 1_001_000);
    assert_eq!(stats.verdicts["denied"], 0);
}

/// 500 packets in half a second of the daemon's clock, whatever the wall clock says.
#[test]
fn watched_stats_have_rates_until_the_reader_leaves() {
    let daemon = Daemon::start();
    let mut command = lb(&daemon.socket());
    let _command = command.args(["stats", "--watch", "0.1"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let lines: Vec<_> = stdout.lines().take(4 + 12 + 6).map(Result::unwrap).collect();
    assert_eq!(lines[0], "VERDICT      PACKETS  PACKETS/S  MEANING");
    assert!(lines[1].starts_with("transmitted    1.00M          -  Sent"), "{}", lines[1]);
    assert!(lines[18].starts_with("transmitted    1.00M       1000  Sent"), "{}", lines[18]);
    assert_eq!(lines[20], "SERVICE  BACKEND  HEALTH  SHARE  PACKETS   BYTES  PACKETS/S   BYTES/S");
    assert_eq!(lines[21], "web      web1     up      50.0%    1.00M  100 MB       1000  100 kB/s");

    // `lines` has closed the pipe.
    let mut stderr = String::new();
    let _length = child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn watched_stats_are_one_json_object_a_line() {
    let daemon = Daemon::start();
    let mut command = lb(&daemon.socket());
    let _command = command.args(["stats", "--json", "--watch", "0.1"]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let read = |line: std::io::Result<String>| serde_json::from_str(&line.unwrap()).unwrap();
    let samples: Vec<Stats> = stdout.lines().take(2).map(read).collect();
    assert_eq!(samples[1].at_ms - samples[0].at_ms, 500);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let daemon = Daemon::start();
    for arguments in [&["backend", "list"] as &[_], &["--help"], &["completions", "zsh"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = lb(&daemon.socket());
        let output = command.args(arguments).stdout(writer).output().unwrap();
        assert_eq!(outcome(output), (0, String::new(), String::new()), "{arguments:?}");
    }
}

/// Without the number and the time.
fn events_of(text: &str) -> Vec<String> {
    let columns = |line: &str| line.split_whitespace().skip(2).collect::<Vec<_>>().join(" ");
    text.lines().map(columns).collect()
}

#[test]
fn events_say_who_did_what() {
    let daemon = Daemon::start();
    let me = Who::user(rustix::process::getuid().as_raw());
    for order in [&["weight", "web1", "3"] as &[_], &["drain", "web2"]] {
        let _text = good(&daemon, &[&["backend"], order, &["--service", "app"]].concat());
    }
    let _text = good(&daemon, &["backend", "drain", "web2", "--service", "web"]);
    let text = good(&daemon, &["events"]);
    assert_eq!(
        events_of(&text),
        [
            format!("weight {me} app/web1 3"),
            format!("drain {me} app/web2 new connections go to others"),
            format!("drain {me} web/web2 new connections go to others"),
        ]
    );
    assert_eq!(events_of(&good(&daemon, &["events", "-n", "1", "--service", "app"])).len(), 1);
    let page: Page = json(&daemon, &["events", "--since", "2"]);
    assert_eq!((page.events[0].sequence, page.last, page.forgotten), (3, 3, 0));
}

#[test]
fn followed_events_are_one_json_object_a_line_until_the_daemon_ends() {
    let daemon = Daemon::start();
    let mut command = lb(&daemon.socket());
    let _command = command.args(["events", "--follow", "--json", "--service", "web"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for (sequence, order) in [(1, "drain"), (5, "ready")] {
        let _text = good(&daemon, &["backend", order, "web2"]);
        let entry: Entry = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!((entry.sequence, entry.event.kind.as_str()), (sequence, order));
    }
    drop(daemon);
    assert_eq!(outcome(child.wait_with_output().unwrap()).0, 3);
}

#[test]
fn a_question_about_events_that_makes_no_sense_is_refused() {
    let daemon = Daemon::start();
    for (query, error) in [
        ("since=new", "Failed to deserialize query string: since: invalid digit found in string"),
        ("until=7", "Failed to deserialize query string: until: unknown field `until`"),
        ("wait=61", "wait is more than 60 seconds"),
    ] {
        let mut curl = std::process::Command::new("curl");
        let _command = curl.args(["--silent", "--unix-socket"]).arg(daemon.socket());
        let _command = curl.arg(format!("http://lb/v1/events?{query}"));
        let (_, answer, _) = outcome(curl.output().unwrap());
        assert!(answer.contains(error), "{answer}");
    }
}
