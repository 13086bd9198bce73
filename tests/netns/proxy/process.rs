//! The forwarder's process: what becomes of sessions when it is followed by another, or ends.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use lb_tests::{netns, node::Node, run::output, site::Site};
use lb_userspace::api::proxy::Session;
use rustix::process::{Pid, Signal, kill_process};

use super::{SESSIONS, assert_unbroken, breaks, call, config, is_listening, servers, sessions};
use crate::{site, soon};

/// One connection after another, each of which wants an answer.
struct Callers {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(BTreeMap<u8, usize>, Vec<String>)>,
}

impl Callers {
    fn start(site: &Site) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let calls = move || {
            let (mut answers, mut errors) = (BTreeMap::new(), Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                match call() {
                    Ok(server) => *answers.entry(server).or_default() += 1,
                    Err(error) => errors.push(error.to_string()),
                }
            }
            (answers, errors)
        };
        Self { stop, thread: site.client.spawn(calls).unwrap() }
    }

    /// How many each server answered, and what went wrong.
    fn finish(self) -> (BTreeMap<u8, usize>, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Goes on with another program, which a copy is.
fn upgrade(site: &Site, node: &mut Node<'_>) {
    let copy = site.folder().path().join("lb");
    let _bytes = fs::copy(node.binary(), &copy).unwrap();
    node.replace_binary(copy);
    assert_eq!(node.stop().unwrap().code(), Some(0), "{}", node.log());
    node.restart().unwrap();
    is_listening(node);
    let both = forwarders(site);
    assert_eq!(both.len(), 2, "{both:?}: {}", node.log());
}

fn terminate(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
}

fn nobody_listens(site: &Site) {
    soon("nobody listens", || match site.client.spawn(call).unwrap().join().unwrap() {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

fn no_forwarder_is_left(site: &Site) {
    soon("no forwarder is left", || match forwarders(site) {
        pids if pids.is_empty() => Ok(()),
        pids => Err(format!("{pids:?}")),
    });
}

/// The forwarders' processes.
pub(super) fn forwarders(site: &Site) -> Vec<i32> {
    let is_one = |pid: &i32| {
        let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.contains("proxy-forwarder")
    };
    netns::pids(site.lb.name()).unwrap().into_iter().filter(is_one).collect()
}

#[test]
fn sessions_outlive_the_daemon_and_an_upgrade_and_nobody_is_refused() {
    let site = site();
    let _servers = servers(&site);
    let mut node = site.start_node(&config(&site, "")).unwrap();
    is_listening(&node);
    let sessions = sessions(&site);
    let callers = Callers::start(&site);

    let first = forwarders(&site);
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(node.stop().unwrap().code(), Some(0), "{}", node.log());
    assert_unbroken(&sessions);
    node.restart().unwrap();
    is_listening(&node);
    node.kill();
    assert_unbroken(&sessions);
    node.restart().unwrap();
    is_listening(&node);
    assert_eq!(forwarders(&site), first, "the daemon's end is nothing to the forwarder");

    upgrade(&site, &mut node);
    assert_unbroken(&sessions);

    let (answers, errors) = callers.finish();
    println!("{SESSIONS} sessions unbroken; calls answered {answers:?}");
    assert!(errors.is_empty(), "{errors:?}");
    assert!(answers.values().sum::<usize>() > 100, "{answers:?}");
    let listed: Vec<Session> = node.ask(&["sessions"]).unwrap();
    assert_eq!(listed.len(), SESSIONS);
    let old = format!("{}-", first[0]);
    assert!(listed.iter().all(|it| it.id.starts_with(&old)), "they stay where they began");

    drop(sessions.finish());
    soon("the old forwarder ends with its last session", || match forwarders(&site) {
        pids if pids.len() == 1 && pids != first => Ok(()),
        pids => Err(format!("{pids:?}")),
    });
}

#[test]
fn sessions_of_an_earlier_process_hear_of_their_backends_too() {
    let site = site();
    let _servers = servers(&site);
    let mut node = site.start_node(&config(&site, "on_down = 'close'\n")).unwrap();
    is_listening(&node);
    let sessions = sessions(&site);
    upgrade(&site, &mut node);
    assert_unbroken(&sessions);
    // Checks first, then an order.
    site.webs()[0].netns.ip("link set eth0 down").unwrap();
    breaks(&sessions, 100);
    let _: String = node.order(&["backend", "maintenance", "web2", "--service", "app"]).unwrap();
    breaks(&sessions, 200);
    assert_eq!(forwarders(&site).len(), 2, "the third backend's sessions go on there");
}

#[test]
fn without_proxies_in_the_file_sessions_end_in_their_time_and_nobody_is_taken() {
    let site = site();
    let _servers = servers(&site);
    let node = site.start_node(&config(&site, "")).unwrap();
    is_listening(&node);
    let sessions = sessions(&site);
    let none = site.node_table(&site.pin_dir(), "eth0");
    let _file = site.write_config(&format!("{none}proxy_drain = '30s'\n")).unwrap();
    let _: String = node.order(&["reload"]).unwrap();
    nobody_listens(&site);
    assert_unbroken(&sessions);
    drop(sessions.finish());
    no_forwarder_is_left(&site);
}

#[test]
fn a_forwarder_that_is_told_to_end_waits_for_its_sessions_unless_it_is_told_twice() {
    let site = site();
    let _servers = servers(&site);
    let mut node = site.start_node(&config(&site, "")).unwrap();
    is_listening(&node);
    let sessions = sessions(&site);
    // With a daemon, another one would be started.
    assert_eq!(node.stop().unwrap().code(), Some(0), "{}", node.log());
    let pids = forwarders(&site);
    terminate(pids[0]);
    nobody_listens(&site);
    assert_unbroken(&sessions);
    terminate(pids[0]);
    breaks(&sessions, SESSIONS);
    no_forwarder_is_left(&site);
}

#[test]
fn detach_ends_proxies_and_leaves_nothing() {
    let site = site();
    let _servers = servers(&site);
    let mut node = site.start_node(&config(&site, "")).unwrap();
    is_listening(&node);
    let _sessions = sessions(&site);
    assert_eq!(node.stop().unwrap().code(), Some(0), "{}", node.log());
    let config = site.write_config(&config(&site, "")).unwrap();
    let mut detach = site.lb_command().unwrap();
    let shown = output(detach.args(["detach", "--config"]).arg(config)).unwrap();
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(text.contains("proxies ended"), "{shown:?}");
    no_forwarder_is_left(&site);
    assert!(!site.runtime_dir().exists(), "its sockets are gone too");
}
