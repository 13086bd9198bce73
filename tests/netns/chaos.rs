//! Two minutes in which servers, cables and the daemon fail and files change, at random, under load:
//! what clients see of it is confined to the connections of what failed, until it was found down.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::PathBuf,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use lb_tests::{
    config::{Carried, HTTP},
    node::Node,
    plan::{VIPS, Vip},
    process::Process,
    run::run,
    sessions::{Fate, Server, Sessions},
    site::Site,
    traffic::Traffic,
};
use lb_userspace::api::types::Health;

const UNREST: Duration = Duration::from_secs(120);
const WEBS: usize = 4;
/// The sessions' services, beside those of nginx.
const PORT: u16 = 7000;
const NAT_PORT: u16 = 7001;
const SESSIONS: usize = 200;
/// wrk's connections to each of its two services.
const CONNECTIONS: u64 = 8;
/// After a server was found down its clients' next packets are answered by a reset. One that was just
/// opened is tried again by its client's kernel after a second, others after as long as they have waited
/// so far (RFC 6298 §2 and §5.5), which the timeout of a request cuts short.
const SLACK: Duration = Duration::from_secs(2);

/// A machine that is busy with all this may answer late.
const CHECKED: &str = "{ type = \"tcp\", interval = \"1s\", fast_interval = \"200ms\", timeout = \"900ms\", \
                       rise = 2, fall = 3 }";
const WEB: Carried = Carried { check: CHECKED, ..HTTP };
const SESSION: Carried = Carried { port: PORT, nat_port: NAT_PORT, ..WEB };

#[test]
fn clients_see_no_more_of_failures_than_they_must() {
    let seed =
        std::env::var("LB_CHAOS_SEED").map_or_else(|_| fastrand::u64(..), |it| it.parse().unwrap());
    println!("seed {seed}: LB_CHAOS_SEED={seed} repeats its choices");
    let site = super::site_of(WEBS);
    let servers: Vec<_> = (1u8..)
        .zip(site.webs())
        .map(|(number, web)| Server::start(web, number, &[PORT, NAT_PORT]).unwrap())
        .collect();
    let node = site.start_node(&configuration(&site, None)).unwrap();
    node.wait_until_ready().unwrap();
    let to = VIPS.iter().map(|vip| (vip.address, PORT).into()).collect();
    let sessions = Sessions::start(&site.client, to, SESSIONS).unwrap();
    super::soon("all sessions are answered", || match sessions.fates().len() {
        SESSIONS => Ok(()),
        few => Err(format!("{few} are")),
    });
    let traffic = Traffic::start(&site, &VIPS, Duration::from_millis(20)).unwrap();
    let load = [VIPS[0], VIPS[2]].map(|vip| Load::start(&site, vip));

    let mut chaos = Chaos {
        site: &site,
        node,
        traffic,
        random: Rng::with_seed(seed),
        cut: BTreeMap::new(),
        deeds: BTreeMap::new(),
        kills: 0,
    };
    let begun = Instant::now();
    while begun.elapsed() < UNREST {
        chaos.deed();
    }
    let Chaos { node, traffic, cut, deeds, kills, .. } = chaos;
    println!("{deeds:?}");
    for (service, tally) in traffic.finish() {
        println!("{service}: {} answers, {} errors", tally.answered(), tally.errors);
    }
    for load in load {
        let broken = load.finish();
        // A connection that breaks is opened anew at once, and may meet the dying server again.
        let most = 2 * CONNECTIONS * kills;
        println!("wrk: {broken} broken connections, {kills} servers failed");
        assert!(broken <= most, "{broken} of wrk's connections broke, at most {most} had to");
    }
    let fates = sessions.finish();
    let broken = fates.values().filter_map(|fate| match fate {
        Fate::Live(_) => None,
        Fate::Broken { server, at, error } => Some((server, *at, error)),
    });
    for (server, at, error) in broken.clone() {
        let server = server.unwrap();
        let cuts = cut.get(&server).map_or(&[][..], Vec::as_slice);
        let is_due = |(from, until): &(Instant, Instant)| at >= *from && at <= *until;
        assert!(cuts.iter().any(is_due), "a session of web{server} broke: {error}; {}", node.log());
    }
    println!("{} of {SESSIONS} sessions broke, all of servers that were cut off", broken.count());
    drop(servers);
}

/// The web services and the sessions' ones, the first of them with these weights.
fn configuration(site: &Site, weights: Option<&[u32]>) -> String {
    let mut config = site.node_table(&site.pin_dir(), "eth0");
    for vip in VIPS {
        let sessions = site.service_table(vip, &SESSION);
        let name = |suffix| format!("name = \"{}{suffix}\"\nvip", vip.service);
        config += &site.service_table(vip, &WEB);
        config += &sessions.replacen(&name(""), &name("-sessions"), 1);
    }
    for (number, weight) in (1..).zip(weights.unwrap_or_default()) {
        let name = format!("name = \"web{number}\"\n");
        config = config.replace(&name, &format!("{name}weight = {weight}\n"));
    }
    config
}

struct Chaos<'a> {
    site: &'a Site,
    node: Node<'a>,
    traffic: Traffic,
    random: Rng,
    /// By server, from when to when its sessions may break.
    cut: BTreeMap<u8, Vec<(Instant, Instant)>>,
    deeds: BTreeMap<&'static str, usize>,
    /// The failures of servers.
    kills: u64,
}

/// Something that happens, and its name.
type Deed<'a> = (&'static str, fn(&mut Chaos<'a>));

impl<'a> Chaos<'a> {
    fn deed(&mut self) {
        let deeds: [Deed<'a>; 5] = [
            ("nginx killed", Self::kill_nginx),
            ("cable cut", Self::cut_cable),
            ("daemon killed", Self::kill_daemon),
            ("daemon stopped", Self::stop_daemon),
            ("file reloaded", Self::reload),
        ];
        let (name, deed) = deeds[self.random.usize(..deeds.len())];
        *self.deeds.entry(name).or_default() += 1;
        deed(self);
        thread::sleep(Duration::from_millis(self.random.u64(..500)));
    }

    fn kill_nginx(&mut self) {
        let number = self.random.usize(1..=WEBS);
        let site = self.site;
        site.web(number).stop();
        let _: Instant = self.fail(number, "");
        site.web(number).start().unwrap();
        self.node.wait_until_ready().unwrap();
    }

    fn cut_cable(&mut self) {
        let number = self.random.usize(1..=WEBS);
        let site = self.site;
        let begun = Instant::now();
        site.router.ip(&format!("link set web{number} down")).unwrap();
        let found = self.fail(number, "-sessions");
        let server = u8::try_from(number).unwrap();
        // The next word comes after as long as the first has waited so far, at the latest.
        let until = found + (found - begun) + SLACK;
        self.cut.entry(server).or_default().push((begun, until));
        site.router.ip(&format!("link set web{number} up")).unwrap();
        self.node.wait_until_ready().unwrap();
    }

    /// A server has failed: clients may see errors until it was found down, and a moment more.
    fn fail(&mut self, number: usize, suffix: &str) -> Instant {
        self.kills += 1;
        let name = format!("web{number}");
        let node = &self.node;
        super::soon("the server is found down", || {
            let backends = node.backends().map_err(|error| error.to_string())?;
            let services = VIPS.map(|vip| format!("{}{suffix}", vip.service));
            let mut its =
                backends.iter().filter(|it| it.name == name && services.contains(&it.service));
            match its.find(|it| it.health != Health::Down) {
                None => Ok(()),
                Some(backend) => Err(format!("{backend:?}")),
            }
        });
        let found = Instant::now();
        thread::sleep(SLACK);
        self.quietly(|_| thread::sleep(SLACK));
        found
    }

    fn kill_daemon(&mut self) {
        self.quietly(|chaos| {
            chaos.node.kill();
            thread::sleep(Duration::from_millis(chaos.random.u64(..1500)));
            chaos.node.restart().unwrap();
        });
    }

    fn stop_daemon(&mut self) {
        self.quietly(|chaos| {
            let _: Option<_> = chaos.node.stop();
            thread::sleep(Duration::from_millis(chaos.random.u64(..1500)));
            chaos.node.restart().unwrap();
        });
    }

    fn reload(&mut self) {
        self.quietly(|chaos| {
            let weights: Vec<u32> = (0..WEBS).map(|_| chaos.random.u32(1..=4)).collect();
            let text = configuration(chaos.site, Some(&weights));
            drop(chaos.site.write_config(&text).unwrap());
            let _: String = chaos.node.order(&["reload"]).unwrap();
            thread::sleep(Duration::from_millis(500));
        });
    }

    /// Does something that no client may notice.
    fn quietly(&mut self, deed: impl FnOnce(&mut Self)) {
        let errors = |chaos: &Self| -> BTreeMap<&str, (u64, Option<String>)> {
            let tallies = chaos.traffic.tally().into_iter();
            tallies.map(|(name, it)| (name, (it.errors, it.last_error))).collect()
        };
        let before = errors(self);
        deed(self);
        assert_eq!(errors(self), before, "deeds so far: {:?}\n{}", self.deeds, self.node.log());
    }
}

/// wrk on one service, with connections that are kept.
struct Load {
    process: Process,
    output: PathBuf,
}

impl Load {
    /// It gives up if its very first connection meets a server that has just been killed: it is waited for.
    fn start(site: &Site, vip: Vip) -> Self {
        let url = &*vip.url("/");
        let name = format!("wrk-{}.txt", url.replace(['/', ':'], "-"));
        let output = site.folder().path().join(name);
        let file = File::create(&output).unwrap();
        let mut nice = site.client.command("nice");
        // It ends by itself after the deeds; it gives way to what is tested.
        let connections = CONNECTIONS.to_string();
        let arguments = [
            "-n",
            "19",
            "wrk",
            "-t",
            "1",
            "-c",
            &connections,
            "-d",
            "600s",
            "--timeout",
            "10s",
            url,
        ];
        let command = nice.args(arguments).stdout(Stdio::from(file));
        let process = Process::start(command).unwrap();
        super::soon("wrk is connected", || {
            let mut ss = site.client.command("ss");
            let address = vip.address.to_string();
            let ss = ss.args(["-Htn", "state", "established", "dst", &address, "dport = :80"]);
            let shown = run(ss).map_err(|error| error.to_string())?;
            let enough = shown.lines().count() as u64 >= CONNECTIONS;
            if enough { Ok(()) } else { Err(shown) }
        });
        Self { process, output }
    }

    /// Interrupts it; the connections that broke.
    fn finish(mut self) -> u64 {
        let pid =
            rustix::process::Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let process = &mut self.process;
        super::soon("wrk ends", || process.ended().map(drop).ok_or_else(|| "it runs".into()));
        let text = fs::read_to_string(&self.output).unwrap();
        println!("{text}");
        let requests = text
            .lines()
            .find_map(|line| line.split_once(" requests in")?.0.trim().parse::<u64>().ok());
        assert!(requests.is_some_and(|requests| requests > 1000), "{text}");
        let errors = text.lines().find_map(|line| line.trim().strip_prefix("Socket errors: "));
        let numbers = errors.into_iter().flat_map(|errors| errors.split(", "));
        numbers.filter_map(|it| it.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}
