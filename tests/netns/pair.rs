//! Two nodes with the same configuration, and what clients do meanwhile.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use lb_tests::{
    config::{Carried, HTTP},
    netns::{self, Netns},
    node::Node,
    plan::{Forward, VIPS, Vip},
    run::output,
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
/// So many datagrams pass between two events: some seconds.
pub(super) const SPELL: u64 = 2000;

/// The VIPs of the services that answer directly.
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

/// A virtual router for each of the VIPs, both in one group.
pub(super) fn routers(priority: u8, interval: u64, keys: &str) -> String {
    let router = |(id, Vip { service, address, .. }): (u8, Vip)| {
        format!(
            "[[vrrp]]\nname = '{service}'\ngroup = 'site'\ninterface = 'eth0'\nid = {id}\n\
             addresses = ['{address}']\npriority = {priority}\ninterval = '{interval}ms'\n{keys}\n"
        )
    };
    (10..).zip(vips()).map(router).collect()
}

/// Two nodes of one group: the first is master.
pub(super) fn vrrp_pair<'a>(
    site: &'a Site,
    second: &'a Second,
    interval: u64,
    keys: &str,
) -> (Node<'a>, Node<'a>) {
    let config = services(site);
    let first = site.start_node(&(config.clone() + &routers(150, interval, keys))).unwrap();
    let other = second.config(site, &config) + &routers(100, interval, keys);
    let other = site.start_second_node(second, &other).unwrap();
    wait_for(&first, State::Master);
    wait_for(&other, State::Backup);
    first.wait_until_ready().unwrap();
    other.wait_until_ready().unwrap();
    (first, other)
}

/// The virtual routers of a node, by name.
pub(super) fn view(node: &Node<'_>) -> Result<BTreeMap<String, Router>, String> {
    let view: View = node.ask(&["vrrp"]).map_err(|error| error.to_string())?;
    Ok(view.routers.into_iter().map(|router| (router.name.clone(), router)).collect())
}

/// Waits until a node is this in both of its virtual routers.
pub(super) fn wait_for(node: &Node<'_>, state: State) {
    wait_for_each(node, &[("web", state), ("web6", state)]);
}

/// Waits until a node is this in its virtual routers of these names.
pub(super) fn wait_for_each(node: &Node<'_>, states: &[(&str, State)]) {
    super::soon(&format!("the node is {states:?}"), || {
        let view = view(node)?;
        let is = |(name, state): &(&str, State)| view.get(*name).map(|it| it.state) == Some(*state);
        if states.iter().all(is) { Ok(()) } else { Err(format!("{view:#?}\n{}", node.log())) }
    });
}

/// Waits until a node has noted an event, as `lb events` shows its kind and its cause.
pub(super) fn wait_for_event(node: &Node<'_>, kind: &str, cause: &str) {
    super::soon(&format!("{kind}: {cause}"), || {
        let events = node.order(&["events"]).map_err(|error| error.to_string())?;
        let is_it = |line: &str| line.contains(&format!(" {kind} ")) && line.contains(cause);
        if events.lines().any(is_it) { Ok(()) } else { Err(events) }
    });
}

/// Whether a machine has an address.
pub(super) fn holds(machine: &Netns, address: &str) -> bool {
    let mut ip = machine.command("ip");
    let shown = output(ip.args(["-o", "addr", "show", "to", address])).unwrap();
    !shown.stdout.is_empty()
}

/// The speaker's process on a machine.
pub(super) fn speaker(machine: &Netns) -> Option<i32> {
    let pids = netns::pids(machine.name()).unwrap();
    pids.into_iter().find(|pid| {
        let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.contains("vrrp-speaker")
    })
}

/// What the checks find, before there are nodes: a server that comes later has moved slots, and the
/// connections of these are remembered by one node alone.
pub(super) fn serve(site: &Site) -> Vec<Server> {
    let servers = (1u8..).zip(site.webs());
    servers.map(|(n, web)| Server::start(web, n, &[PORT]).unwrap()).collect()
}

/// Connections that say something all the time, and a stream of datagrams.
pub(super) struct Load {
    count: usize,
    sessions: Sessions,
    stream: Stream,
    _servers: Vec<Server>,
}

impl Load {
    /// So many connections.
    pub(super) fn start(site: &Site, servers: Vec<Server>, count: usize) -> Self {
        let to = vips().map(|vip| (vip.address, PORT).into()).collect();
        let sessions = Sessions::start(&site.client, to, count).unwrap();
        super::soon("all sessions are answered", || match sessions.fates().len() {
            answered if answered == count => Ok(()),
            answered => Err(format!("{answered} are")),
        });
        let to = (VIPS[0].address, STREAM_PORT).into();
        let stream = Stream::start(&site.client, site.webs(), to).unwrap();
        Self { count, sessions, stream, _servers: servers }
    }

    /// Lets some of the stream pass.
    pub(super) fn spell(&self) {
        let until = self.stream.sent() + SPELL;
        super::soon("datagrams are sent", || match self.stream.sent() {
            sent if sent >= until => Ok(()),
            sent => Err(format!("{sent} of {until}")),
        });
    }

    /// The datagrams of the stream that have been sent.
    pub(super) fn sent(&self) -> u64 {
        self.stream.sent()
    }

    /// Waits until all sessions have been answered once more; gives how long the slowest took.
    pub(super) fn is_answered(&self) -> Duration {
        let since = Instant::now();
        super::soon("all sessions are answered again", || {
            match self.sessions.answered_since(since) {
                answered if answered == self.count => Ok(()),
                answered => Err(format!("{answered} are")),
            }
        });
        since.elapsed()
    }

    /// No connection broke. Gives what became of the stream.
    pub(super) fn finish(self) -> Tally {
        let fates = self.sessions.finish();
        let broken: Vec<_> =
            fates.values().filter(|it| matches!(it, Fate::Broken { .. })).collect();
        let tally = self.stream.finish();
        let (all, broken_count, lost) = (fates.len(), broken.len(), tally.lost.len());
        println!("{all} sessions, {broken_count} broken, {lost} of {} datagrams lost", tally.sent);
        assert!(broken.is_empty(), "{broken:?}");
        assert_eq!((fates.len(), tally.repeated), (self.count, 0));
        tally
    }
}
