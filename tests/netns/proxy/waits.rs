//! How the forwarder's threads wait for events.

use std::{fs, io};

use lb_tests::{process::Process, run::command, site::Site};

use super::{answers, config, is_listening, process::forwarders, servers};
use crate::{site, soon};

/// Enough for an average of waits.
const ANSWERS: usize = 200;

#[test]
fn threads_look_for_events_if_the_node_says_so() {
    let site = site();
    let _servers = servers(&site);
    let with = |span: &str| {
        let drain = "proxy_drain = '30s'\n";
        config(&site, "").replace(drain, &format!("{drain}proxy_busy_poll = '{span}'\n"))
    };
    let node = site.start_node(&with("0us")).unwrap();
    is_listening(&node);
    assert_eq!(looks(&site), 0);
    let _file = site.write_config(&with("1ms")).unwrap();
    let _: String = node.order(&["reload"]).unwrap();
    let looks = soon("a thread looks for answers", || match looks(&site) {
        0 => Err("it sleeps before each".to_owned()),
        looks => Ok(looks),
    });
    println!("{looks} looks for {ANSWERS} answers");
}

/// How often the forwarder's threads let others run between two looks, while a client had its answers, one after
/// another.
fn looks(site: &Site) -> usize {
    let forwarder = forwarders(site)[0];
    let trace = site.folder().path().join("trace");
    let mut strace = command("strace");
    let strace = strace.args(["--follow-forks", "--quiet=all", "--trace=sched_yield", "--output"]);
    let strace = strace.arg(&trace).arg(format!("--attach={forwarder}"));
    let mut tracer = Process::start(strace).unwrap();
    soon("all threads are traced", || match untraced(forwarder) {
        Ok(0) => Ok(()),
        other => Err(format!("untraced: {other:?}")),
    });
    let _: u8 = site.client.spawn(|| answers(ANSWERS)).unwrap().join().unwrap().unwrap();
    tracer.end();
    fs::read_to_string(trace).unwrap().lines().filter(|it| it.contains("sched_yield")).count()
}

/// How many of a process's threads have no tracer (proc(5)).
fn untraced(pid: i32) -> io::Result<usize> {
    let mut count = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        count += usize::from(status.lines().any(|line| line == "TracerPid:\t0"));
    }
    Ok(count)
}
