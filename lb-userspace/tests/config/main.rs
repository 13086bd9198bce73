//! Configuration files as operators write them: good ones, and bad ones with what is said of them.

mod mistakes;
mod proxy;
mod route;
mod vrrp;

use std::time::Duration;

use lb_common::{
    addr::{Port, Protocol},
    route::Prefix,
    service::{DownPolicy, ForwardMode, Ports},
};
use lb_userspace::config::{
    Answers, AttachMode, CheckKind, DEFAULT_RING_SIZE, DEFAULT_SEED, Flap, Limits, Mysql, Pattern,
    Through, Tls, Udp,
    file::{self, Error, KEYS, Loaded},
    validate::Problem,
};
use mistakes::Case;
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../../../lb.example.toml");
const NODE: &str = "[node]\ninterfaces = ['eth0']\nseed = '00112233445566778899aabbccddeeff'\n";
/// Begins in line 4 when it follows [`NODE`].
const SERVICE: &str = "[[service]]\nname = 'web'\nvip = '192.0.2.10'\nport = 80\nforward = 'l2'\n";
/// Begins in line 4 when it follows [`NODE`].
const PROXY: &str = "[[proxy]]\nname = 'fwd'\nlisten = ['10.0.0.2:8080']\n";
const NAT: &str = "[[service]]\nname = 'app'\nvip = '192.0.2.20'\nport = 80\nforward = 'nat'\n";

#[test]
fn every_mistake_is_named_with_line_key_and_remedy() {
    for Case(pieces, expected) in mistakes::all() {
        let text = pieces.concat();
        let error = file::parse(&text, "lb.toml").expect_err(&text);
        let Error::Invalid(diagnostics) = &error else { panic!("{error}") };
        let found: Vec<_> = diagnostics.iter().map(ToString::to_string).collect();
        let expected: Vec<_> = expected.iter().map(|line| format!("lb.toml:{line}")).collect();
        assert_eq!(found, expected, "{text}");
        assert_eq!(error.to_string(), expected.join("\n"));
    }
}

#[test]
fn a_service_has_no_more_backends_than_a_slot_can_name() {
    let backends = (1..=65_535u32)
        .map(|n| format!("{{ address = '10.0.{}.{}', port = {} }},\n", n >> 8, n & 255, 8080));
    let pool: String = backends.collect();
    let text = format!("{NODE}[limits]\nbackends = 100000\n{NAT}backend = [\n{pool}]\n");
    let error = file::parse(&text, "lb.toml").expect_err("too many").to_string();
    let expected = "lb.toml:11: service[0].backend: `app` has 65535 backends, a ring names at most \
                    65534; spread them over several services";
    assert_eq!(error, expected);
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let text = "[node]\ninterfaces = ['eth0']\n[[service]]\nname = 'web'\nvip = '192.0.2.10'\n\
                port = 80\nforward = 'nat'\ncheck.type = 'http'\n\
                backend = [{ address = '10.0.0.11' }]\n";
    let Loaded { config, warnings, .. } = file::parse(text, "lb.toml").expect("valid");
    assert_eq!(config.node.mode, AttachMode::Native);
    assert_eq!(config.node.socket().to_str(), Some("/run/lb/lb.sock"));
    assert_eq!(config.node.pin_dir.to_str(), Some("/sys/fs/bpf/lb"));
    assert_eq!(config.node.seed, DEFAULT_SEED);
    assert_eq!(config.node.tunnel_source, []);
    assert_eq!((config.node.proxy_threads, config.node.proxy_drain.as_secs()), (None, 600));
    assert_eq!(config.node.proxy_busy_poll.as_micros(), 50);
    let defaults = [("240.0.0.0", 12), ("fd6c:6270:726f:6265::", 96)];
    let defaults = defaults.map(|(ip, length)| Prefix::new(ip.parse().expect("valid"), length));
    assert!(config.node.probe_aliases.iter().copied().map(Some).eq(defaults));
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.answers, Answers { echo: 1000, errors: 1000, resets: 10_000 });
    let service = &config.services[0];
    assert_eq!((service.protocol, service.ring_size), (Protocol::TCP, DEFAULT_RING_SIZE));
    assert_eq!(service.forward, ForwardMode::NAT);
    assert_eq!(service.ports, Ports::one(Port::new(80)));
    assert_eq!((service.gue_port, service.flow_table), (6080, 65_536));
    assert_eq!((service.window, service.on_down), (Duration::from_secs(3600), DownPolicy::RST));
    let check = service.check.as_ref().expect("a check");
    let CheckKind::Http(http) = &check.kind else { panic!("{check:?}") };
    assert_eq!((http.method.as_str(), http.path.as_str()), ("GET", "/"));
    assert_eq!((&http.statuses[..], &http.body, &http.tls), (&[200..=399][..], &None, &None));
    assert_eq!((&http.host, &http.headers[..]), (&None, &[][..]));
    assert_eq!(
        (check.interval, check.timeout),
        (Duration::from_secs(1), Duration::from_millis(500))
    );
    assert_eq!((check.port, check.rise, check.fall), (None, 2, 3));
    assert_eq!(check.fast_interval, check.interval);
    assert_eq!((check.slow_start, check.flap), (Duration::ZERO, Flap::default()));
    assert_eq!((service.panic, &service.sorry), (0, &None));
    let backend = &service.backends[0];
    assert_eq!((backend.name.as_str(), backend.port, backend.weight), ("10.0.0.11", 80, 1));
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["lb.toml:1: node.seed: missing: the default is public, so that anybody can aim flows at \
          one backend; set it to the output of `openssl rand -hex 16`, the same on all nodes of a \
          cluster"]
    );
}

#[test]
fn every_type_of_check_can_be_configured() {
    let kind = |keys: &str| {
        let text = [NODE, SERVICE, "[service.check]\n", keys, "\n"].concat();
        let mut config = file::parse(&text, "lb.toml").map_err(|it| it.to_string()).unwrap().config;
        config.services.remove(0).check.expect("a check").kind.clone()
    };
    let CheckKind::Http(http) = kind(
        "type = 'https'\nmethod = 'POST'\npath = '/up'\nhost = 'www.example.com'\n\
         headers = ['X-Token:  secret ']\nstatus = [204, '500-599']\nbody_regex = '^(ok|fine)$'\n\
         server_name = 'www.example.com'",
    ) else {
        panic!("not http")
    };
    assert_eq!((http.method.as_str(), http.path.as_str()), ("POST", "/up"));
    assert_eq!(http.host.as_ref().and_then(|it| it.to_str().ok()), Some("www.example.com"));
    let [(name, value)] = &http.headers[..] else { panic!("{http:?}") };
    assert_eq!((name.as_str(), value.as_bytes()), ("x-token", &b"secret"[..]));
    assert!(!format!("{http:?}").contains("secret"), "no log shows it");
    assert_eq!(http.statuses, [204..=204, 500..=599]);
    assert!(matches!(&http.body, Some(Pattern::Regex(it)) if it.as_str() == "^(ok|fine)$"));
    assert!(http.tls.as_ref().is_some_and(|tls| tls.verify), "a name is there to be verified");

    let tls = |keys: &str| {
        let CheckKind::Tls(tls) = kind(&format!("type = 'tls'\n{keys}")) else { panic!("{keys}") };
        tls
    };
    assert_eq!(tls(""), Tls { server_name: None, verify: false, ca: None });
    assert!(tls("ca = '/etc/ca.pem'").verify && tls("verify = true").verify);
    assert!(!tls("server_name = 'db'\nverify = false").verify, "for SNI alone");

    let udp = kind("type = 'udp'\nsend_hex = '00Ff'\nexpect = 'pong'");
    assert_eq!(udp, CheckKind::Udp(Udp { send: vec![0, 255], expect: Some(b"pong".to_vec()) }));
    assert_eq!(kind("type = 'icmp'"), CheckKind::Icmp);
    let mysql = kind("type = 'mysql'\nuser = 'lb'\npassword_file = '/pw'\nquery = 'SELECT 1'");
    assert_eq!(
        mysql,
        CheckKind::Mysql(Mysql {
            user: "lb".into(),
            password_file: Some("/pw".into()),
            database: None,
            query: Some("SELECT 1".into()),
        })
    );
    let exec = kind("type = 'exec'\ncommand = ['/bin/check', '-v']");
    assert_eq!(exec, CheckKind::Exec { command: vec!["/bin/check".into(), "-v".into()] });
}

#[test]
fn checks_go_the_way_of_clients_packets_where_that_tells_more() {
    let through = |service: &str, check: &str| {
        let text = [NODE, service, "check = { ", check, " }\n"].concat();
        let Loaded { config, .. } = file::parse(&text, "lb.toml").expect("valid");
        let blocks: Vec<_> = config.probe_blocks().collect();
        let through = config.services[0].check.as_ref().map(|check| check.through);
        assert_eq!(blocks.len(), usize::from(through == Some(Through::Datapath)));
        through
    };
    let (datapath, direct) = (Some(Through::Datapath), Some(Through::Direct));
    assert_eq!(through(SERVICE, "type = 'tcp'"), datapath);
    assert_eq!(through(SERVICE, "type = 'tcp', through = 'direct'"), direct);
    assert_eq!(through(SERVICE, "type = 'udp', expect = 'hello'"), datapath);
    assert_eq!(through(SERVICE, "type = 'udp'"), direct);
    assert_eq!(through(NAT, "type = 'tcp'"), direct);
    assert_eq!(through(NAT, "type = 'tcp', through = 'direct'"), direct);
}

#[test]
fn udp_flows_are_soon_forgotten_and_move_on() {
    let text = [NODE, SERVICE, "protocol = 'udp'\n"].concat();
    let Loaded { config, .. } = file::parse(&text, "lb.toml").expect("valid");
    let service = &config.services[0];
    assert_eq!((service.window, service.on_down), (Duration::from_secs(60), DownPolicy::REHASH));
}

#[test]
fn tunnels_ranges_and_rates_can_be_configured() {
    let text = "[node]\ninterfaces = ['eth0']\ntunnel_source = ['10.0.0.0/28', 'fd00::/96']\n\
                [answers]\necho = 0\nerrors = 7\nresets = 8\n\
                [[service]]\nname = 'all'\nvip = '192.0.2.10'\nport = 'any'\nforward = 'gue'\n\
                gue_port = 6081\nwindow = '90s'\nflow_table = 5\non_down = 'drop'\n\
                check = { type = 'tcp', port = 22 }\n\
                backend = [{ address = '10.1.0.1' }, { address = 'fd01::1' }]\n\
                [[service]]\nname = 'some'\nvip = '192.0.2.10'\nport = '8000-8100'\n\
                forward = 'ipip'\nbackend = [{ address = '10.1.0.1' }]\n\
                [[service]]\nname = 'one'\nvip = '192.0.2.10'\nport = 8000\nforward = 'nat'\n\
                backend = [{ address = '10.1.0.1', port = 80 }]\n";
    let Loaded { config, .. } = file::parse(text, "lb.toml").expect("valid");
    let source = [
        Prefix::new([10, 0, 0, 0].into(), 28),
        "fd00::".parse().ok().and_then(|ip| Prefix::new(std::net::IpAddr::V6(ip), 96)),
    ];
    assert!(config.node.tunnel_source.iter().copied().map(Some).eq(source));
    assert_eq!(config.answers, Answers { echo: 0, errors: 7, resets: 8 });
    let [all, some, one] = &config.services[..] else { panic!("three services") };
    assert_eq!((all.ports, all.forward, all.gue_port), (Ports::ANY, ForwardMode::GUE, 6081));
    assert_eq!((all.window, all.flow_table), (Duration::from_secs(90), 5));
    assert_eq!((all.on_down, all.default_port()), (DownPolicy::DROP, 0));
    assert_eq!(some.ports.to_string(), "8000-8100");
    assert_eq!((some.forward, some.backends[0].port), (ForwardMode::IPIP, 8000));
    assert_eq!(some.backends[0].ports(some), some.ports);
    assert_eq!(one.backends[0].ports(one), Ports::one(Port::new(80)));
}

#[test]
fn services_without_backends_are_warned_of() {
    let loaded = file::parse(&[NODE, SERVICE].concat(), "lb.toml").expect("valid");
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["lb.toml:4: service[0]: `web` has no backends: its packets are dropped; add \
          [[service.backend]] tables, or use `lb backend add`"]
    );
}

#[test]
fn what_the_machine_lacks_is_said_of_the_file() {
    let loaded =
        file::parse("[node]\ninterfaces = [\n'eth0',\n'eth9']\n", "lb.toml").expect("valid");
    let problem = Problem::new("node.interfaces[1]", "there is no `eth9`", "see `ip link`");
    let expected = "lb.toml:4: node.interfaces[1]: there is no `eth9`; see `ip link`";
    assert_eq!(loaded.render(&problem), expected);
    assert_eq!(loaded.reject(vec![problem]).to_string(), expected);
}

#[test]
fn the_demo_site_is_embedded() {
    let Loaded { config, warnings, .. } = file::embedded().expect("valid");
    assert_eq!(warnings, []);
    assert_eq!(config.node.interfaces, ["eth0"]);
    let services: Vec<_> = config
        .services
        .iter()
        .map(|it| (it.name.as_str(), it.forward.as_str(), it.backends[2].address.to_string()))
        .collect();
    let expected = [
        ("web", "l2", "10.0.0.13"),
        ("web6", "l2", "fd00:0:0:1::13"),
        ("app", "nat", "10.0.1.13"),
        ("app6", "nat", "fd00:0:0:2::13"),
    ];
    assert_eq!(services, expected.map(|(name, mode, last)| (name, mode, last.to_owned())));
}

#[test]
fn the_example_is_valid_and_its_commented_defaults_are_true() {
    let loaded = file::parse(EXAMPLE, "lb.example.toml").expect("valid");
    let warned: Vec<_> = loaded.warnings.iter().map(|it| it.problem.key.as_str()).collect();
    assert_eq!(warned, ["node.seed"], "a copy has no seed of its own");
    let mut with_defaults = String::new();
    for line in EXAMPLE.lines() {
        let key = line.strip_prefix('#').filter(|rest| rest.starts_with(char::is_alphanumeric));
        let key = key.filter(|key| !key.starts_with("seed"));
        with_defaults.push_str(key.unwrap_or(line));
        with_defaults.push('\n');
    }
    let spelt_out = file::parse(&with_defaults, "lb.example.toml").expect("valid");
    assert_eq!(spelt_out.config, loaded.config);

    let uncommented = EXAMPLE.replace("#seed = ", "seed = ");
    let error = file::parse(&uncommented, "lb.example.toml").expect_err("no seed").to_string();
    assert!(error.contains("node.seed: "), "{error}");
}

#[test]
fn the_example_shows_every_key() {
    let mut shown = std::collections::BTreeSet::new();
    let mut table = String::new();
    for line in EXAMPLE.lines() {
        if line.starts_with('[') {
            line.trim_matches(['[', ']']).clone_into(&mut table);
        } else if let Some((key, _)) = line.split_once(" = ") {
            let _new = shown.insert((table.clone(), key.trim_start_matches('#').to_owned()));
        }
    }
    for (table, keys) in KEYS.iter().filter(|(table, _)| !table.is_empty()) {
        let is_table = |key: &str| KEYS.iter().any(|(it, _)| *it == format!("{table}.{key}"));
        // Checks have the same keys everywhere.
        let table = table.replace("proxy.check", "service.check");
        for key in keys.iter().filter(|key| !is_table(key)) {
            assert!(shown.contains(&(table.clone(), (*key).to_owned())), "{table}.{key}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _result = file::parse(&text, "lb.toml");
    }

    #[test]
    fn no_mutation_of_a_file_makes_the_parser_panic(
        at in 0..EXAMPLE.len(),
        cut in 0usize..40,
        text in "[\\[\\]{}=.,'\"#\\n\\\\0-9a-zé:/-]{0,12}",
    ) {
        let start = EXAMPLE.floor_char_boundary(at);
        let end = EXAMPLE.floor_char_boundary((at + cut).min(EXAMPLE.len()));
        let mutated = format!("{}{text}{}", &EXAMPLE[..start], &EXAMPLE[end..]);
        if let Err(error) = file::parse(&mutated, "lb.toml") {
            prop_assert!(error.to_string().starts_with("lb.toml:"));
        }
    }
}
