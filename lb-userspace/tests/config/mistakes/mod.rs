//! Bad configuration files, each with everything that is said of it.

mod checks;
mod node;
mod proxy;
mod route;
mod service;
mod vrrp;

use crate::{NAT, NODE, SERVICE};

/// A file with one mistake or more: its pieces, and everything that is said of it.
pub(crate) struct Case(pub(crate) &'static [&'static str], pub(crate) &'static [&'static str]);

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    let of_services = [node::RULES, service::RULES, checks::CHECKS];
    let of_addresses = [vrrp::KEYS, vrrp::RULES, route::CASES];
    let of_proxies = [proxy::KEYS, proxy::rules::RULES, proxy::rules::MYSQL];
    let all = [SYNTAX, KEYS_AND_TYPES].into_iter().chain(of_services).chain(of_addresses);
    all.chain(of_proxies).flatten()
}

const SYNTAX: &[Case] = &[
    Case(&["[node\n"], &["1: not TOML: unclosed table, expected `]`; look at column 6"]),
    Case(
        &[NODE, "mode = \n"],
        &["4: not TOML: string values must be quoted, expected literal string; look at column 8"],
    ),
    Case(
        &[NODE, "mode = 'native'\nmode = 'native'\n"],
        &["5: not TOML: duplicate key; look at column 1"],
    ),
    Case(
        &[NODE, "mode = 'native\n"],
        &["4: not TOML: invalid literal string, expected `'`; look at column 15"],
    ),
];

const KEYS_AND_TYPES: &[Case] = &[
    Case(
        &[""],
        &[
            "1: node.interfaces: no interface is named; name the interfaces that packets arrive at, \
         such as `interfaces = [\"eth0\"]`",
        ],
    ),
    Case(
        &["[nod]\n", NODE],
        &["1: nod: unknown key; did you mean `node`? Known here: node, limits, answers, \
         firewall, service, proxy, vrrp, route"],
    ),
    Case(
        &[NODE, "color = 'red'\n"],
        &[
            "4: node.color: unknown key; remove it; known here: interfaces, mode, runtime_dir, pin_dir, \
         seed, tunnel_source, probe_aliases, watchdog, proxy_threads, proxy_busy_poll, proxy_drain",
        ],
    ),
    Case(
        &[NODE, SERVICE, "[[service.backend]]\naddress = '10.0.0.11'\nwieght = 2\n"],
        &[
            "11: service[0].backend[0].wieght: unknown key; did you mean `weight`? Known here: name, \
         address, port, weight, admin",
        ],
    ),
    Case(
        &[NODE, SERVICE, "[[service.backend]]\naddress = '10.0.0.11'\nadmin = 'drained'\n"],
        &[
            "11: service[0].backend[0].admin: `drained` is not known here; use \"ready\", \"drain\" or \
             \"maintenance\"",
        ],
    ),
    Case(
        &[NODE, "[service]\nname = 'web'\n"],
        &[
            "4: service: must be an array of tables, not a table; begin each with a line `[[service]]`",
        ],
    ),
    Case(
        &[NODE, SERVICE, "[service.backend]\naddress = '10.0.0.11'\n"],
        &[
            "9: service[0].backend: must be an array of tables, not a table; begin each with a line \
         `[[service.backend]]`",
        ],
    ),
    Case(&["node = 1\n"], &["1: node: must be a table, not an integer; write a table"]),
    Case(
        &[NODE, "[[service]]\n"],
        &[
            "4: service[0].name: missing; add `name = \"web\"`",
            "4: service[0].vip: missing; add `vip = \"192.0.2.10\"`",
            "4: service[0].port: missing; add `port = 80`",
            "4: service[0].forward: missing; add `forward = \"l2\"`",
        ],
    ),
    Case(
        &[NODE, SERVICE, "[[service.backend]]\nname = 'web1'\n"],
        &["9: service[0].backend[0].address: missing; add `address = \"10.0.0.11\"`"],
    ),
    Case(
        &[NODE, SERVICE, "[service.check]\nrise = 1\n"],
        &["9: service[0].check.type: missing; add `type = \"http\"`"],
    ),
    Case(
        &["[node]\ninterfaces = 'eth0'\nmode = 1\nseed = true\n"],
        &[
            "2: node.interfaces: must be an array, not a string; write an array",
            "3: node.mode: must be a string, not an integer; put it in double quotes",
            "4: node.seed: must be a string, not a boolean; put it in double quotes",
        ],
    ),
    Case(
        &[NODE, "mode = 'offload'\n"],
        &["4: node.mode: `offload` is not known here; use \"native\" or \"generic\""],
    ),
    Case(
        &["[node]\ninterfaces = ['eth0']\nseed = '0011'\n"],
        &["3: node.seed: not a seed: 32 hex digits are needed, 4 characters found; make one with \
         `openssl rand -hex 16`, the same for all nodes of a cluster"],
    ),
    Case(
        &[NODE, "[firewall]\ndeny = [\n '10.0.0.0/8',\n '10.1.2.3/8',\n '::/0', '1.2.3.4']\n"],
        &[
            "7: firewall.deny[1]: `10.1.2.3/8` has address bits behind the prefix; write 10.0.0.0/8",
            "8: firewall.deny[2]: `::/0` covers IPv4-mapped addresses, which stand for IPv4; write IPv4 \
         prefixes as IPv4, and IPv6 ones without ::ffff:0:0/96, such as 2000::/3",
            "8: firewall.deny[3]: `1.2.3.4` is not an address prefix; write a prefix such as \
         203.0.113.0/24 or 2001:db8::/32",
        ],
    ),
    Case(
        &[NODE, "[[service]]\nname = 'web'\nvip = '192.0.2.10/32'\nport = '80'\nforward = 'dsr'\n"],
        &[
            "6: service[0].vip: `192.0.2.10/32` is not an IP address; write it without a prefix \
             length",
            "7: service[0].port: must be an integer, not a string; write it without quotes",
            "8: service[0].forward: `dsr` is not known here; use \"l2\", \"nat\", \"ipip\" or \"gue\"",
        ],
    ),
    Case(
        &[
            NODE,
            "[[service]]\nname = 'web'\nvip = '192.0.2.10'\nport = '8100-8000'\nforward = 'l2'\n",
        ],
        &["7: service[0].port: `8100-8000` is not a range of ports; write a number such as 80, a \
             range such as \"8000-8100\", or \"any\""],
    ),
    Case(
        &[NODE, "[[service]]\nname = 'web'\nvip = '192.0.2.10'\nport = [80]\nforward = 'l2'\n"],
        &[
            "7: service[0].port: must be an integer or a string, not an array; write a number such as \
             80, a range such as \"8000-8100\", or \"any\"",
        ],
    ),
    Case(
        &[NODE, SERVICE, "gue_port = 6081\nwindow = 60\nflow_table = -1\non_down = 'reset'\n"],
        &[
            "9: service[0].gue_port: `forward = \"l2\"` does not use it; remove it, or set `forward = \
             \"gue\"`",
            "10: service[0].window: 60 has no unit; write a number with a unit, such as \"200ms\", \
             \"1s\" or \"2m\"",
            "11: service[0].flow_table: -1 is out of range; use 1 to 4294967295",
            "12: service[0].on_down: `reset` is not known here; use \"rst\", \"rehash\" or \"drop\"",
        ],
    ),
    Case(
        &[NODE, "tunnel_source = ['10.0.0.1']\n[answers]\necho = -1\nerors = 5\n"],
        &[
            "4: node.tunnel_source[0]: `10.0.0.1` is not an address prefix; write a prefix such as \
             203.0.113.0/24 or 2001:db8::/32",
            "6: answers.echo: -1 is out of range; use 0 to 4294967295",
            "7: answers.erors: unknown key; did you mean `errors`? Known here: echo, errors, resets",
        ],
    ),
    Case(
        &[NODE, SERVICE, "protocol = 'sctp'\n"],
        &["9: service[0].protocol: `sctp` is not known here; use \"tcp\" or \"udp\""],
    ),
    Case(
        &[NODE, NAT, "[[service.backend]]\naddress = 'web1'\nport = 65536\nweight = -1\n"],
        &[
            "10: service[0].backend[0].address: `web1` is not an IP address; write an address such as \
         192.0.2.10 or 2001:db8::10",
            "11: service[0].backend[0].port: 65536 is not a port; use 1 to 65535",
            "12: service[0].backend[0].weight: -1 is not a weight; use 0 to 1000",
        ],
    ),
    Case(
        &[NODE, SERVICE, "[service.check]\ntype = 'tcp'\npath = '/'\ninterval = 2\n"],
        &[
            "11: service[0].check.path: a tcp check has no path; remove it, or set `type = \"http\" or \
             \"https\"`",
            "12: service[0].check.interval: 2 has no unit; write a number with a unit, such as \
         \"200ms\", \"1s\" or \"2m\"",
        ],
    ),
    Case(
        &[NODE, SERVICE, "[service.check]\ntype = 'http'\ntimeout = 'soon'\n"],
        &[
            "11: service[0].check.timeout: `soon` is not a duration; write a number with a unit, such \
         as \"200ms\", \"1s\" or \"2m\"",
        ],
    ),
    // A service that cannot be read does not hide what is wrong with the next.
    Case(
        &[NODE, "[[service]]\nname = 7\n", SERVICE, "ring_size = 5\n"],
        &[
            "4: service[0].vip: missing; add `vip = \"192.0.2.10\"`",
            "4: service[0].port: missing; add `port = 80`",
            "4: service[0].forward: missing; add `forward = \"l2\"`",
            "5: service[0].name: must be a string, not an integer; put it in double quotes",
            "11: service[1].ring_size: 5 is not a ring size; use one of 1021, 2039, 4093, 8191, 16381, \
         32749, 65537, 131071",
        ],
    ),
];
