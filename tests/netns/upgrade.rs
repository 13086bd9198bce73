//! Connections and packets while the daemon is stopped, killed, and replaced by a newer one.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use aya::{
    maps::{Array, Map, MapData},
    programs::{
        links::{FdLink, PinnedLink},
        loaded_programs,
    },
};
use lb_common::{names, settings::Settings};
use lb_tests::{
    config::{Carried, HTTP},
    node::Node,
    plan::{VIPS, Vip},
    run::output,
    sessions::{Fate, Server, Sessions},
    site::Site,
    stream::{Stream, Tally},
};
use lb_userspace::{api::types::Status, dataplane::OBJECT};

const PORT: u16 = 7000;
const NAT_PORT: u16 = 7001;
const STREAM_PORT: u16 = 7002;
const SESSIONS: usize = 500;
/// So many datagrams pass in each state of the daemon: some seconds.
const SPELL: u64 = 2000;
/// Longer than the watchdog of the test allows.
const SILENCE: Duration = Duration::from_secs(5);
const CHECK: &str =
    "{ type = \"tcp\", interval = \"500ms\", timeout = \"400ms\", rise = 2, fall = 3 }";

/// Connections that say something all the time, and a stream of datagrams.
struct Load {
    sessions: Sessions,
    stream: Stream,
    _servers: Vec<Server>,
}

impl Load {
    /// The stream begins when every way is known: what a node drops before is not its daemon's fault.
    fn start(site: &Site, node: &Node<'_>) -> Self {
        let servers = (1u8..).zip(site.webs());
        let servers = servers.map(|(n, web)| Server::start(web, n, &[PORT, NAT_PORT]).unwrap());
        let servers: Vec<_> = servers.collect();
        node.wait_until_ready().unwrap();
        let to = VIPS.iter().map(|vip| (vip.address, PORT).into()).collect();
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

    /// No connection broke, no datagram was lost.
    fn finish(self) -> (usize, Tally) {
        let fates = self.sessions.finish();
        let broken = |fate: &&Fate| matches!(fate, Fate::Broken { .. });
        let broken: Vec<_> = fates.values().filter(broken).collect();
        let tally = self.stream.finish();
        println!("{} sessions, {} broken; {tally:?}", fates.len(), broken.len());
        assert!(broken.is_empty(), "{broken:?}");
        assert!(tally.lost.is_empty() && tally.repeated == 0, "{tally:?}");
        (fates.len(), tally)
    }
}

/// The four TCP services, and one for the stream.
fn configuration(site: &Site) -> String {
    let sessions = Carried { port: PORT, nat_port: NAT_PORT, check: CHECK, ..HTTP };
    let check = "{ type = \"tcp\", port = 7000, interval = \"500ms\", timeout = \"400ms\" }";
    let stream = Carried { protocol: "udp", port: STREAM_PORT, check, ..HTTP };
    site.config_of(&sessions) + &site.service_table(Vip { service: "stream", ..VIPS[0] }, &stream)
}

/// The link's number, and number and tag of the program that it runs.
fn attached(site: &Site) -> (u32, u32, u64) {
    let pin = site.pin_dir().join("link-native-eth0");
    let info = FdLink::from(PinnedLink::from_pin(pin).unwrap()).info().unwrap();
    let programs = loaded_programs().map(Result::unwrap);
    let tag = programs.into_iter().find(|it| it.id() == info.program_id()).unwrap().tag();
    (info.id(), info.program_id(), tag)
}

/// `lb` with a newer program: one whose seconds of the watchdog, which is off here, are a billionth
/// longer.
fn newer(binary: &Path, folder: &Path) -> PathBuf {
    let mut bytes = fs::read(binary).unwrap();
    let at = position(&bytes, OBJECT);
    // `BPF_ALU64 | BPF_DIV | BPF_K` (RFC 9669), an offset of 0, and the constant.
    let is_division = |code: &[u8]| code[0] == 0x37 && code[2..] == [0, 0, 0x00, 0xca, 0x9a, 0x3b];
    let found: Vec<_> =
        (at..at + OBJECT.len() - 8).filter(|&at| is_division(&bytes[at..at + 8])).collect();
    assert!(!found.is_empty(), "no second in the program");
    for place in found {
        bytes[place + 4] = 1;
    }
    let path = folder.join("lb-newer");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::metadata(binary).unwrap().permissions()).unwrap();
    path
}

fn position(bytes: &[u8], part: &[u8]) -> usize {
    let mut starts = bytes.windows(64).enumerate().filter(|(_, window)| *window == &part[..64]);
    let found = starts.find(|&(at, _)| bytes.get(at..at + part.len()) == Some(part));
    found.unwrap().0
}

#[test]
fn nothing_breaks_while_the_daemon_is_stopped_killed_and_upgraded() {
    let site = super::site();
    let mut node = site.start_node(&configuration(&site)).unwrap();
    let load = Load::start(&site, &node);
    load.spell();
    let first = attached(&site);

    assert_eq!(node.stop().unwrap().code(), Some(0), "{}", node.log());
    load.spell();
    started(&mut node, &load);
    node.kill();
    load.spell();
    started(&mut node, &load);
    let same = attached(&site);
    assert_eq!((same.0, same.2), (first.0, first.2), "the same program, verified anew");

    node.replace_binary(newer(node.binary(), site.folder().path()));
    assert_eq!(node.stop().unwrap().code(), Some(0), "{}", node.log());
    started(&mut node, &load);
    let newer = attached(&site);
    assert_eq!(newer.0, first.0, "the link was updated in place");
    assert!(newer.1 != same.1 && newer.2 != same.2, "{newer:?} {same:?}");
    println!("program {} {:016x} became {} {:016x}", same.1, same.2, newer.1, newer.2);
    let (sessions, _) = load.finish();
    assert_eq!(sessions, SESSIONS);
    super::assert_nothing_dropped(&node);
}

/// Starts a successor, and lets some of the stream pass.
fn started(node: &mut Node<'_>, load: &Load) {
    node.restart().unwrap();
    let Status { took_over, .. } = node.status().unwrap();
    assert!(took_over);
    load.spell();
}

#[test]
fn a_layout_of_another_version_is_refused_while_packets_go_on() {
    let site = super::site();
    let mut node = site.start_node(&configuration(&site)).unwrap();
    let load = Load::start(&site, &node);
    assert_eq!(node.stop().unwrap().code(), Some(0), "{}", node.log());

    let (before, program) = (pins(&site), attached(&site));
    let ours = set_layout(&site, 9999);
    // What another version pins, this one may lack, and the other way round.
    let missing = site.pin_dir().join(names::ANSWERS);
    let kept = MapData::from_pin(&missing).unwrap();
    fs::remove_file(&missing).unwrap();
    let refused = node.restart().unwrap_err().to_string();
    for words in ["has layout 9999, this version needs layout", "run the version that made it"] {
        assert!(refused.contains(words), "{words}: {refused}");
    }
    assert!(!missing.exists(), "nothing was touched");
    Map::from_map_data(kept).unwrap().pin(&missing).unwrap();
    load.spell();
    assert_eq!((pins(&site), attached(&site)), (before, program));

    assert_eq!(set_layout(&site, ours), 9999);
    started(&mut node, &load);
    let _: (usize, Tally) = load.finish();
    super::assert_nothing_dropped(&node);
}

/// Writes the number of the layout into the pinned settings; gives the one before.
fn set_layout(site: &Site, abi: u32) -> u32 {
    let data = MapData::from_pin(site.pin_dir().join(names::SETTINGS)).unwrap();
    let mut map: Array<_, Settings> = Map::Array(data).try_into().unwrap();
    let settings = map.get(&0, 0).unwrap();
    map.set(0, Settings { abi, ..settings }, 0).unwrap();
    settings.abi
}

/// What is pinned, by name.
fn pins(site: &Site) -> BTreeMap<OsString, u64> {
    let pins = fs::read_dir(site.pin_dir()).unwrap().map(Result::unwrap);
    pins.map(|pin| (pin.file_name(), pin.metadata().unwrap().mode().into())).collect()
}

/// With a watchdog, the kernel gets the packets when the daemon has been dead for too long.
#[test]
fn without_its_daemon_a_node_goes_on_or_passes_as_configured() {
    let site = super::site();
    let mut node = super::node(&site);
    node.kill();
    thread::sleep(SILENCE);
    assert_eq!(super::who_answers(&site, VIPS[0], 30), ["web1", "web2", "web3"]);
    let config = site.config().replace("[node]", "[node]\nwatchdog = \"3s\"");
    drop(node);

    let mut node = site.start_node(&config).unwrap();
    node.wait_until_ready().unwrap();
    thread::sleep(SILENCE);
    assert_eq!(super::who_answers(&site, VIPS[0], 30), ["web1", "web2", "web3"], "it lives");
    node.kill();
    // The node's own kernel has nothing on that port: it refuses.
    super::soon("the kernel gets the packets", || {
        let mut curl = site.client.command("curl");
        let _: &mut Command = curl.args(["-sS", "--max-time", "2"]).arg(VIPS[0].url("/"));
        match output(&mut curl).unwrap().status.code() {
            Some(7) => Ok(()),
            code => Err(format!("{code:?}")),
        }
    });
    node.restart().unwrap();
    node.wait_until_ready().unwrap();
    assert_eq!(super::who_answers(&site, VIPS[0], 30), ["web1", "web2", "web3"]);
    assert!(node.stats().unwrap().verdicts["unattended"] > 0);
}
