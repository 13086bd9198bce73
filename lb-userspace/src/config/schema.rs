//! The keys of a configuration file, and their defaults.

mod agent;
mod check;
mod proxy;
mod route;
mod track;
mod vrrp;

use std::{cell::RefCell, collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use lb_common::{addr::Protocol, route::Prefix, service::ForwardMode};
use toml::de::DeTable;

use agent::AGENT;
use check::{CHECK, FLAP};
use proxy::PROXY;
use route::ROUTE;
use vrrp::{ANNOUNCE, VRRP};

use super::{
    Admin, Answers, AttachMode, Backend, Config, DEFAULT_ALIASES, DEFAULT_FLOW_TABLE,
    DEFAULT_GUE_PORT, DEFAULT_RING_SIZE, DEFAULT_SEED, Firewall, Limits, Node, Service,
    default_on_down, default_window,
    document::{Reported, Table, all},
    validate::Problem,
    value::{self, Fault},
};

const ROOT: &[&str] =
    &["node", "limits", "answers", "firewall", "service", "proxy", "vrrp", "route"];
const NODE: &[&str] = &[
    "interfaces",
    "mode",
    "runtime_dir",
    "pin_dir",
    "seed",
    "tunnel_source",
    "probe_aliases",
    "watchdog",
    "proxy_threads",
    "proxy_busy_poll",
    "proxy_drain",
];
const LIMITS: &[&str] = &["services", "backends", "slots", "routes", "denied", "flows", "pending"];
const ANSWERS: &[&str] = &["echo", "errors", "resets"];
const FIREWALL: &[&str] = &["deny"];
const SERVICE: &[&str] = &[
    "name",
    "vip",
    "protocol",
    "port",
    "forward",
    "gue_port",
    "ring_size",
    "window",
    "flow_table",
    "on_down",
    "panic",
    "sorry",
    "check",
    "agent",
    "backend",
];
const SORRY: &[&str] = &["name", "address", "port"];
const BACKEND: &[&str] = &["name", "address", "port", "weight", "admin"];

/// All keys by table, by the headers that they stand under.
pub const KEYS: &[(&str, &[&str])] = &[
    ("", ROOT),
    ("node", NODE),
    ("limits", LIMITS),
    ("answers", ANSWERS),
    ("firewall", FIREWALL),
    ("service", SERVICE),
    ("service.sorry", SORRY),
    ("service.check", CHECK),
    ("service.check.flap", FLAP),
    ("service.agent", AGENT),
    ("service.backend", BACKEND),
    ("proxy", PROXY),
    ("proxy.queue", proxy::QUEUE),
    ("proxy.timeout", proxy::TIMEOUT),
    ("proxy.accept_proxy", proxy::ACCEPT_PROXY),
    ("proxy.eject", proxy::EJECT),
    ("proxy.check", CHECK),
    ("proxy.check.flap", FLAP),
    ("proxy.monitor", proxy::MONITOR),
    ("proxy.monitor.tls", proxy::TLS),
    ("proxy.backend", proxy::BACKEND),
    ("vrrp", VRRP),
    ("vrrp.announce", ANNOUNCE),
    ("vrrp.track", track::OF_ROUTERS),
    ("route", ROUTE),
    ("route.track", track::OF_ROUTES),
];

/// What a document says.
pub(super) struct Content {
    /// The configuration, without what could not be read: where `problems` is not empty, it serves
    /// only to find more of them.
    pub(super) config: Config,
    /// The places in the file of what `config` has of an array of tables, by the array's key.
    pub(super) places: BTreeMap<&'static str, Vec<usize>>,
    /// What is wrong with keys and the forms of their values.
    pub(super) problems: Vec<Problem>,
    /// What is allowed, but probably not meant.
    pub(super) warnings: Vec<Problem>,
}

/// Reads a whole document.
pub(super) fn read(document: &DeTable<'_>) -> Content {
    let problems = RefCell::default();
    let mut warnings = Vec::new();
    let root = Table::root(document, ROOT, &problems);

    let node = node(&root, &mut warnings);
    let limits = limits(&root);
    let answers = answers(&root);
    let firewall = root.table("firewall", FIREWALL).and_then(|table| firewall(&table));
    let services = array(root.tables("service", SERVICE), service);
    let mut vrrp = array(root.tables("vrrp", VRRP), vrrp::vrrp);
    let mut routes = array(root.tables("route", ROUTE), route::route);
    if services.iter().any(Option::is_none) {
        // The rules cannot tell whether it is the one that a track names.
        vrrp.iter_mut().flatten().for_each(|it| track::without_services(&mut it.tracks));
        routes.iter_mut().flatten().for_each(|it| track::without_services(&mut it.tracks));
    }
    let proxies = array(root.tables("proxy", PROXY), proxy::proxy);
    let places = BTreeMap::from([
        ("service", places(&services)),
        ("vrrp", places(&vrrp)),
        ("route", places(&routes)),
        ("proxy", places(&proxies)),
    ]);
    let services = services.into_iter().flatten().collect();
    let vrrp = vrrp.into_iter().flatten().collect();
    let routes = routes.into_iter().flatten().collect();
    let proxies = proxies.into_iter().flatten().collect();
    let firewall = firewall.unwrap_or_default();
    let config = Config { node, limits, firewall, answers, services, vrrp, routes, proxies };
    Content { config, places, problems: problems.into_inner(), warnings }
}

/// The items of an array of tables; `None` for what cannot be read.
fn array<T>(
    tables: Result<Vec<Result<Table<'_>, Reported>>, Reported>,
    read: impl Fn(&Table<'_>) -> Result<T, Reported>,
) -> Vec<Option<T>> {
    let Ok(tables) = tables else { return vec![None] };
    tables.into_iter().map(|table| read(&table.ok()?).ok()).collect()
}

fn places<T>(items: &[Option<T>]) -> Vec<usize> {
    let items = items.iter().enumerate();
    items.filter(|(_, item)| item.is_some()).map(|(place, _)| place).collect()
}

/// What cannot be read gets its default: the rules then still see the rest.
fn node(root: &Table<'_>, warnings: &mut Vec<Problem>) -> Node {
    let defaults = Node {
        interfaces: Vec::new(),
        mode: AttachMode::Native,
        runtime_dir: PathBuf::from("/run/lb"),
        pin_dir: PathBuf::from("/sys/fs/bpf/lb"),
        seed: DEFAULT_SEED,
        tunnel_source: Vec::new(),
        probe_aliases: with_defaults(Vec::new()),
        watchdog: None,
        proxy_threads: None,
        proxy_busy_poll: Duration::from_micros(50),
        proxy_drain: Duration::from_secs(600),
    };
    let Ok(table) = root.table("node", NODE) else { return defaults };
    let interfaces = table.list("interfaces", value::text);
    let seed = table.optional("seed", value::seed);
    if let Ok(None) = seed {
        warnings.push(Problem::new(
            "node.seed",
            "missing: the default is public, so that anybody can aim flows at one backend",
            "set it to the output of `openssl rand -hex 16`, the same on all nodes of a cluster",
        ));
    }
    Node {
        // A name that breaks no rule stands for those that cannot be read.
        interfaces: interfaces.unwrap_or_else(|_| vec!["eth0".to_owned()]),
        mode: table.or("mode", defaults.mode, value::attach_mode).unwrap_or(defaults.mode),
        runtime_dir: directory(&table, "runtime_dir", defaults.runtime_dir),
        pin_dir: directory(&table, "pin_dir", defaults.pin_dir),
        seed: seed.ok().flatten().unwrap_or(defaults.seed),
        tunnel_source: table.list("tunnel_source", value::prefix).unwrap_or_default(),
        probe_aliases: with_defaults(
            table.list("probe_aliases", value::prefix).unwrap_or_default(),
        ),
        watchdog: table.optional("watchdog", value::duration).ok().flatten(),
        proxy_threads: table.optional("proxy_threads", value::count).ok().flatten(),
        proxy_busy_poll: table
            .or("proxy_busy_poll", defaults.proxy_busy_poll, value::duration)
            .unwrap_or(defaults.proxy_busy_poll),
        proxy_drain: table
            .or("proxy_drain", defaults.proxy_drain, value::duration)
            .unwrap_or(defaults.proxy_drain),
    }
}

/// A block of each family: the default of one that the file says nothing of.
fn with_defaults(mut blocks: Vec<Prefix>) -> Vec<Prefix> {
    for default in DEFAULT_ALIASES {
        let mut known = blocks.iter().map(|block| block.address.is_v4());
        if known.all(|is_v4| is_v4 != default.address.is_v4()) {
            blocks.push(default);
        }
    }
    blocks
}

fn directory(table: &Table<'_>, key: &str, default: PathBuf) -> PathBuf {
    table.optional(key, value::path).ok().flatten().unwrap_or(default)
}

/// As [`node`]: what cannot be read gets its default.
fn limits(root: &Table<'_>) -> Limits {
    let defaults = Limits::default();
    let Ok(table) = root.table("limits", LIMITS) else { return defaults };
    let limit = |key, default| table.or(key, default, value::count).unwrap_or(default);
    Limits {
        services: limit("services", defaults.services),
        backends: limit("backends", defaults.backends),
        slots: limit("slots", defaults.slots),
        routes: limit("routes", defaults.routes),
        denied: limit("denied", defaults.denied),
        flows: limit("flows", defaults.flows),
        pending: limit("pending", defaults.pending),
    }
}

/// As [`node`]: what cannot be read gets its default.
fn answers(root: &Table<'_>) -> Answers {
    let defaults = Answers::default();
    let Ok(table) = root.table("answers", ANSWERS) else { return defaults };
    let rate = |key, default| table.or(key, default, value::number).unwrap_or(default);
    Answers {
        echo: rate("echo", defaults.echo),
        errors: rate("errors", defaults.errors),
        resets: rate("resets", defaults.resets),
    }
}

fn firewall(table: &Table<'_>) -> Result<Firewall, Reported> {
    Ok(Firewall { deny: table.list("deny", value::prefix)? })
}

fn service(table: &Table<'_>) -> Result<Service, Reported> {
    let name = table.required("name", "\"web\"", value::text);
    let vip = table.required("vip", "\"192.0.2.10\"", value::address);
    let protocol = table.or("protocol", Protocol::TCP, value::protocol);
    let ports = table.required("port", "80", value::ports);
    let forward = table.required("forward", "\"l2\"", value::forward_mode);
    let gue_port = gue_port(table, forward);
    let ring_size = table.or("ring_size", DEFAULT_RING_SIZE, value::count);
    // Where the protocol is unreadable, this service ends here anyway.
    let usual = protocol.unwrap_or(Protocol::TCP);
    let window = table.or("window", default_window(usual), value::duration);
    let flow_table = table.or("flow_table", DEFAULT_FLOW_TABLE, value::count);
    let on_down = table.or("on_down", default_on_down(usual), value::down_policy);
    let check = table.optional_table("check", CHECK);
    // Where the mode is unreadable, this service ends here anyway.
    let mode = forward.unwrap_or(ForwardMode::L2);
    let check = check.and_then(|table| table.as_ref().map(|it| check::check(it, mode)).transpose());
    let agent = table.optional_table("agent", AGENT);
    let agent = agent.and_then(|table| table.as_ref().map(agent::agent).transpose());
    let panic = table.or("panic", 0, value::percent);
    let default_port = ports.map_or(0, |ports| ports.first.get());
    let sorry = table.optional_table("sorry", SORRY);
    let sorry =
        sorry.and_then(|it| it.map(|table| sorry_backend(&table, default_port)).transpose());
    let backends = table
        .tables("backend", BACKEND)
        .and_then(|backends| all(backends.into_iter().map(|table| backend(&table?, default_port))));
    Ok(Service {
        name: name?,
        vip: vip?,
        protocol: protocol?,
        ports: ports?,
        forward: forward?,
        gue_port: gue_port?,
        ring_size: ring_size?,
        window: window?,
        flow_table: flow_table?,
        on_down: on_down?,
        check: check?.map(Arc::new),
        agent: agent?.map(Arc::new),
        panic: panic?,
        sorry: sorry?,
        backends: backends?,
    })
}

fn gue_port(table: &Table<'_>, forward: Result<ForwardMode, Reported>) -> Result<u16, Reported> {
    match (table.optional("gue_port", value::port)?, forward) {
        (Some(_), Ok(mode)) if mode != ForwardMode::GUE => {
            let message = format!("`forward = \"{}\"` does not use it", mode.as_str());
            let remedy = "remove it, or set `forward = \"gue\"`";
            Err(table.fault("gue_port", Fault::new(message, remedy)))
        }
        (port, _) => Ok(port.unwrap_or(DEFAULT_GUE_PORT)),
    }
}

/// Its weight matters to nobody: while it is used, it is alone.
fn sorry_backend(table: &Table<'_>, default_port: u16) -> Result<Backend, Reported> {
    let address = table.required("address", "\"10.0.0.99\"", value::address);
    let name = table.optional("name", value::text);
    let port = table.or("port", default_port, value::port);
    let name = name?.unwrap_or_else(|| "sorry".to_owned());
    Ok(Backend { name, address: address?, port: port?, weight: 1, admin: Admin::Ready })
}

fn backend(table: &Table<'_>, default_port: u16) -> Result<Backend, Reported> {
    let address = table.required("address", "\"10.0.0.11\"", value::address);
    let name = table.optional("name", value::text);
    let port = table.or("port", default_port, value::port);
    let weight = table.or("weight", 1, value::weight);
    let admin = table.or("admin", Admin::Ready, value::admin);
    let address = address?;
    Ok(Backend {
        name: name?.unwrap_or_else(|| address.to_string()),
        address,
        port: port?,
        weight: weight?,
        admin: admin?,
    })
}
