//! Two nodes with the same configuration: what clients see when one is lost, handed over from, or restarted.

use std::{
    collections::BTreeMap,
    fs, thread,
    time::{Duration, Instant},
};

use lb_tests::{
    config::{Carried, HTTP},
    netns,
    node::Node,
    plan::{Forward, VIPS, Vip},
    second::Second,
    sessions::{Fate, Server, Sessions},
    site::Site,
    stream::{Stream, Tally},
};
use lb_userspace::{
    speaker::message::{Router, View},
    vrrp::State,
};

const PORT: u16 = 7000;
const STREAM_PORT: u16 = 7002;
const SESSIONS: usize = 1000;
/// So many datagrams pass between two events: some seconds.
const SPELL: u64 = 2000;
/// Between two adverts, in milliseconds.
const INTERVAL: u64 = 100;

pub(super) fn vips() -> impl Iterator<Item = Vip> {
    VIPS.into_iter().filter(|vip| vip.forward == Forward::L2)
}

/// The services that answer directly, and one for the stream.
pub(super) fn services(site: &Site) -> String {
    const CHECK: &str =
        "{ type = \"tcp\", interval = \"500ms\", timeout = \"400ms\", rise = 2, fall = 3 }";
    let carried = Carried { port: PORT, check: CHECK, ..HTTP };
    let check = "{ type = \"tcp\", port = 7000, interval = \"500ms\", timeout = \"400ms\" }";
    let stream = Carried { protocol: "udp", port: STREAM_PORT, check, ..HTTP };
    let mut config = site.node_table(&site.pin_dir(), "eth0");
    config.extend(vips().map(|vip| site.service_table(vip, &carried)));
    config + &site.service_table(Vip { service: "stream", ..VIPS[0] }, &stream)
}

/// A virtual router for each of the VIPs, both in one group.
fn routers(priority: u8, keys: &str) -> String {
    let router = |(id, Vip { service, address, .. }): (u8, Vip)| {
        format!(
            "[[vrrp]]\nname = '{service}'\ngroup = 'site'\ninterface = 'eth0'\nid = {id}\n\
             addresses = ['{address}']\npriority = {priority}\ninterval = '{INTERVAL}ms'\n{keys}\n"
        )
    };
    (10..).zip(vips()).map(router).collect()
}

/// The machines of two nodes; the VIPs are neither's for now.
pub(super) fn machines(webs: usize) -> (Site, Second) {
    let site = super::site_of(webs);
    for Vip { address, .. } in VIPS {
        let length = if address.is_ipv4() { 32 } else { 128 };
        site.lb.ip(&format!("addr del {address}/{length} dev eth0")).unwrap();
    }
    let second = Second::build(&site).unwrap();
    (site, second)
}

fn view(node: &Node<'_>) -> Result<BTreeMap<String, Router>, String> {
    let view: View = node.ask(&["vrrp"]).map_err(|error| error.to_string())?;
    Ok(view.routers.into_iter().map(|router| (router.name.clone(), router)).collect())
}

pub(super) fn wait_for(node: &Node<'_>, state: State) {
    super::soon(&format!("the node is {}", state.as_str()), || {
        let view = view(node)?;
        let as_wanted = view.values().filter(|it| it.state == state).count();
        if as_wanted == 2 { Ok(()) } else { Err(format!("{view:#?}\n{}", node.log())) }
    });
}

/// What the checks find, before there are nodes: a server that comes later has moved slots, and the
/// connections of these are remembered by one node alone.
pub(super) fn serve(site: &Site) -> Vec<Server> {
    let servers = (1u8..).zip(site.webs());
    servers.map(|(n, web)| Server::start(web, n, &[PORT]).unwrap()).collect()
}

/// Connections that say something all the time, and a stream of datagrams.
struct Load {
    sessions: Sessions,
    stream: Stream,
    _servers: Vec<Server>,
}

impl Load {
    fn start(site: &Site, servers: Vec<Server>) -> Self {
        let to = vips().map(|vip| (vip.address, PORT).into()).collect();
        let sessions = Sessions::start(&site.client, to, SESSIONS).unwrap();
        super::soon("all sessions are answered", || match sessions.fates().len() {
            SESSIONS => Ok(()),
            answered => Err(format!("{answered} are")),
        });
        let to = (VIPS[0].address, STREAM_PORT).into();
        let stream = Stream::start(&site.client, site.webs(), to).unwrap();
        Self { sessions, stream, _servers: servers }
    }

    /// Lets some of the stream pass.
    fn spell(&self) {
        let until = self.stream.sent() + SPELL;
        super::soon("datagrams are sent", || match self.stream.sent() {
            sent if sent >= until => Ok(()),
            sent => Err(format!("{sent} of {until}")),
        });
    }

    /// Waits until all sessions have been answered once more.
    fn is_answered(&self) {
        let since = Instant::now();
        super::soon("all sessions are answered again", || {
            match self.sessions.answered_since(since) {
                SESSIONS => Ok(()),
                answered => Err(format!("{answered} are")),
            }
        });
    }

    /// No connection broke. Gives what became of the stream.
    fn finish(self) -> Tally {
        let fates = self.sessions.finish();
        let broken: Vec<_> =
            fates.values().filter(|it| matches!(it, Fate::Broken { .. })).collect();
        let tally = self.stream.finish();
        let (all, broken_count, lost) = (fates.len(), broken.len(), tally.lost.len());
        println!("{all} sessions, {broken_count} broken, {lost} of {} datagrams lost", tally.sent);
        assert!(broken.is_empty(), "{broken:?}");
        assert_eq!((fates.len(), tally.repeated), (SESSIONS, 0));
        tally
    }
}

/// Two nodes of one group: the first is master.
pub(super) fn pair<'a>(site: &'a Site, second: &'a Second, keys: &str) -> (Node<'a>, Node<'a>) {
    let config = services(site);
    let first = site.start_node(&(config.clone() + &routers(150, keys))).unwrap();
    let other = second.config(site, &config) + &routers(100, keys);
    let other = site.start_second_node(second, &other).unwrap();
    wait_for(&first, State::Master);
    wait_for(&other, State::Backup);
    first.wait_until_ready().unwrap();
    other.wait_until_ready().unwrap();
    (first, other)
}

#[test]
fn no_connection_breaks_when_the_master_is_lost() {
    let (site, second) = machines(3);
    let servers = serve(&site);
    let (_first, other) = pair(&site, &second, "");
    let load = Load::start(&site, servers);
    load.spell();
    // Its machine has no power any more.
    netns::kill_all(&site.lb).unwrap();
    site.router.ip("link set lb down").unwrap();
    wait_for(&other, State::Master);
    load.is_answered();
    load.spell();
    let Tally { sent, lost, .. } = load.finish();
    // A datagram a millisecond, and all in a row.
    let (first, last) = (lost[0], lost[lost.len() - 1]);
    println!("without an answer: {} ms", last - first + 1);
    assert_eq!(last - first + 1, lost.len() as u64);
    assert!(sent - last > SPELL, "they arrive again: {last} of {sent} was lost");
}

#[test]
fn nothing_is_lost_when_the_master_hands_over() {
    let (site, second) = machines(3);
    let servers = serve(&site);
    let (first, other) = pair(&site, &second, "");
    let load = Load::start(&site, servers);
    load.spell();
    drop(first.order(&["failover"]).unwrap());
    wait_for(&other, State::Master);
    wait_for(&first, State::Backup);
    load.is_answered();
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
    let (mut first, other) = pair(&site, &second, tracks);
    let since: Vec<_> = view(&first).unwrap().values().map(|it| it.since).collect();
    let speaker = || {
        let pids = netns::pids(site.lb.name()).unwrap();
        pids.into_iter().find(|pid| {
            let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.contains("vrrp-speaker")
        })
    };
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
    let first = site.start_node(&(config.clone() + &routers(150, &tracks))).unwrap();
    let other = second.config(&site, &config) + &routers(100, "");
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
        small.clone() + &(0..50).map(service).collect::<String>() + &routers(150, "")
    };
    let first = site.start_node(&large(1)).unwrap();
    let other = second.config(&site, &small) + &routers(100, "");
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
