//! Two nodes with the same configuration: what clients see when one is lost, handed over from, or restarted.

use std::{fs, thread, time::Duration};

use lb_tests::{netns, stream::Tally};
use lb_userspace::vrrp::State;

use super::pair::{
    Load, SPELL, machines, routers, serve, services, speaker, view, vrrp_pair, wait_for,
};

const SESSIONS: usize = 1000;
/// Between two adverts, in milliseconds.
const INTERVAL: u64 = 100;

#[test]
fn no_connection_breaks_when_the_master_is_lost() {
    let (site, second) = machines(3);
    let servers = serve(&site);
    let (_first, other) = vrrp_pair(&site, &second, INTERVAL, "");
    let load = Load::start(&site, servers, SESSIONS);
    load.spell();
    // Its machine has no power any more.
    netns::kill_all(&site.lb).unwrap();
    site.router.ip("link set lb down").unwrap();
    wait_for(&other, State::Master);
    let _ = load.is_answered();
    load.spell();
    let Tally { sent, lost, .. } = load.finish();
    // A datagram a millisecond, and all in a row.
    let (first, last) = (lost[0], lost[lost.len() - 1]);
    println!("without an answer: {} ms", last - first + 1);
    assert_eq!(last - first + 1, lost.len() as u64);
    assert!(sent - last > SPELL, "they arrive again: {last} of {sent} was lost");
}

#[test]
fn no_connection_breaks_with_the_shortest_interval_either() {
    const SHORTEST: u64 = 10;
    /// Three intervals of the master and a part of another one (RFC 9568 §6.1), and what a busy machine
    /// takes besides.
    const GAP: u64 = 3 * SHORTEST + SHORTEST * (256 - 100) / 256 + 3000;
    let (site, second) = machines(3);
    let servers = serve(&site);
    let (_first, other) = vrrp_pair(&site, &second, SHORTEST, "");
    let load = Load::start(&site, servers, SESSIONS);
    load.spell();
    let cut = load.sent();
    netns::kill_all(&site.lb).unwrap();
    site.router.ip("link set lb down").unwrap();
    wait_for(&other, State::Master);
    let _ = load.is_answered();
    load.spell();
    let lost: Vec<_> = load.finish().lost.into_iter().filter(|it| *it >= cut).collect();
    let gap = lost.last().zip(lost.first()).map_or(0, |(last, first)| last - first + 1);
    println!("without an answer: {gap} ms");
    assert!(gap < GAP, "{gap} ms");
}

#[test]
fn nothing_is_lost_when_the_master_hands_over() {
    let (site, second) = machines(3);
    let servers = serve(&site);
    let (first, other) = vrrp_pair(&site, &second, INTERVAL, "");
    let load = Load::start(&site, servers, SESSIONS);
    load.spell();
    drop(first.order(&["failover"]).unwrap());
    wait_for(&other, State::Master);
    wait_for(&first, State::Backup);
    let _ = load.is_answered();
    load.spell();
    let lost = load.finish().lost;
    assert!(lost.is_empty(), "{lost:?}");
    let events = first.order(&["events"]).unwrap();
    assert!(events.contains("failover"), "{events}");
}

/// The speaker goes on while its daemon is away, and as another program without a pause.
#[test]
fn a_master_stays_one_while_its_daemon_is_restarted_and_upgraded() {
    let (site, second) = machines(1);
    let tracks = "[[vrrp.track]]\ndatapath = true\n[[vrrp.track]]\nservice = 'web'\n";
    let _servers = serve(&site);
    let (mut first, other) = vrrp_pair(&site, &second, INTERVAL, tracks);
    let since: Vec<_> = view(&first).unwrap().values().map(|it| it.since).collect();
    let speaker = || speaker(&site.lb);
    let (pid, program) = (speaker(), || fs::read_link(format!("/proc/{}/exe", speaker().unwrap())));
    let _status = first.stop();
    thread::sleep(Duration::from_millis(20 * INTERVAL));
    first.restart().unwrap();
    wait_for(&first, State::Master);
    first.kill();
    thread::sleep(Duration::from_millis(20 * INTERVAL));
    first.restart().unwrap();
    wait_for(&first, State::Master);

    let newer = site.folder().path().join("lb-newer");
    let _length = fs::copy(first.binary(), &newer).unwrap();
    first.replace_binary(newer.clone());
    first.restart().unwrap();
    super::soon("the speaker runs the new program", || match program() {
        Ok(program) if program == newer => Ok(()),
        other => Err(format!("{other:?}")),
    });
    wait_for(&first, State::Master);
    assert_eq!(speaker(), pid, "it is the same process");
    let after: Vec<_> = view(&first).unwrap().values().map(|it| it.since).collect();
    assert_eq!(after, since);
    for router in view(&other).unwrap().into_values() {
        assert_eq!((router.state, router.counters.became_master), (State::Backup, 0), "{router:?}");
        assert!(router.counters.received >= 40, "{router:?}");
    }
    // Stopping for good is another thing.
    let _status = first.stop();
    let file = site.folder().path().join("lb.toml");
    let mut detach = site.lb_command().unwrap();
    drop(lb_tests::run::run(detach.args(["detach", "--config"]).arg(file)).unwrap());
    wait_for(&other, State::Master);
    assert_eq!(speaker(), None);
}

/// What is tracked lowers the priority below the other node's, or forbids to be master.
#[test]
fn addresses_follow_what_is_tracked() {
    let (site, second) = machines(1);
    site.lb.ip("link add tracked type veth peer name cable").unwrap();
    site.lb.ip("link set tracked up").unwrap();
    site.lb.ip("link set cable up").unwrap();
    let flag = site.folder().path().join("good");
    fs::write(&flag, "").unwrap();
    let config = services(&site);
    let tracks = format!(
        "[[vrrp.track]]\ninterface = 'tracked'\nweight = -60\n\
         [[vrrp.track]]\nscript = ['/usr/bin/test', '-e', '{}']\nweight = -60\n\
         interval = '100ms'\ntimeout = '90ms'\nfall = 2\nrise = 2\n\
         [[vrrp.track]]\nservice = 'web'\n[[vrrp.track]]\ndatapath = true\n",
        flag.display()
    );
    let serving = serve(&site);
    let first = site.start_node(&(config.clone() + &routers(150, INTERVAL, &tracks))).unwrap();
    let other = second.config(&site, &config) + &routers(100, INTERVAL, "");
    let other = site.start_second_node(&second, &other).unwrap();
    wait_for(&first, State::Master);

    site.lb.ip("link set cable down").unwrap();
    wait_for(&other, State::Master);
    wait_for(&first, State::Backup);
    let problems = &view(&first).unwrap()["web"].problems;
    assert_eq!(*problems, ["interface tracked fails"]);
    site.lb.ip("link set cable up").unwrap();
    wait_for(&first, State::Master);

    fs::remove_file(&flag).unwrap();
    wait_for(&other, State::Master);
    assert_eq!(view(&first).unwrap()["web"].priority, 90);
    fs::write(&flag, "").unwrap();
    wait_for(&first, State::Master);

    drop(serving);
    wait_for(&first, State::Fault);
    wait_for(&other, State::Master);
    let _serving = serve(&site);
    wait_for(&first, State::Master);
}

/// Five thousand backends are read anew, and some of them changed, between adverts that are due ten times
/// a second.
#[test]
fn no_address_moves_while_a_large_file_is_reloaded() {
    let (site, second) = machines(1);
    let small = services(&site);
    let large = |weight: usize| {
        let backend = |service: u8, backend: u8| {
            format!("{{ address = '10.8.{service}.{backend}', weight = {weight} }},\n")
        };
        let service = |service: u8| {
            let backends: String = (1..=100).map(|it| backend(service, it)).collect();
            format!(
                "[[service]]\nname = 's{service}'\nvip = '10.9.0.{service}'\nport = 80\n\
                 forward = 'l2'\nring_size = 4093\nbackend = [\n{backends}]\n"
            )
        };
        small.clone() + &(0..50).map(service).collect::<String>() + &routers(150, INTERVAL, "")
    };
    let first = site.start_node(&large(1)).unwrap();
    let other = second.config(&site, &small) + &routers(100, INTERVAL, "");
    let other = site.start_second_node(&second, &other).unwrap();
    wait_for(&first, State::Master);
    let since: Vec<_> = view(&first).unwrap().values().map(|it| it.since).collect();
    for weight in 2..6 {
        drop(site.write_config(&large(weight)).unwrap());
        drop(first.order(&["reload"]).unwrap());
    }
    wait_for(&first, State::Master);
    let after: Vec<_> = view(&first).unwrap().values().map(|it| it.since).collect();
    assert_eq!(after, since);
    for router in view(&other).unwrap().into_values() {
        assert_eq!((router.state, router.counters.became_master), (State::Backup, 0), "{router:?}");
    }
}
