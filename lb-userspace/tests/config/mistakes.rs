//! Bad configuration files, each with everything that is said of it.

mod checks;

pub(crate) use checks::CHECKS;

use crate::{NAT, NODE, SERVICE};

/// A file with one mistake or more: its pieces, and everything that is said of it.
#[derive(Clone, Copy)]
pub(crate) struct Case(pub(crate) &'static [&'static str], pub(crate) &'static [&'static str]);

pub(crate) const SYNTAX: &[Case] = &[
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

pub(crate) const KEYS_AND_TYPES: &[Case] = &[
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
         firewall, service"],
    ),
    Case(
        &[NODE, "color = 'red'\n"],
        &[
            "4: node.color: unknown key; remove it; known here: interfaces, mode, runtime_dir, pin_dir, \
         seed, tunnel_source, probe_aliases, watchdog",
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

pub(crate) const RULES: &[Case] = &[
    Case(
        &["[node]\ninterfaces = ['', 'eth0', 'a-name-too-long-', 'eth0']\nseed = '", SEED],
        &[
            "2: node.interfaces[0]: `` cannot be the name of an interface; use a name that `ip link` \
         shows, of 1 to 15 bytes",
            "2: node.interfaces[2]: `a-name-too-long-` cannot be the name of an interface; use a name \
         that `ip link` shows, of 1 to 15 bytes",
            "2: node.interfaces[3]: `eth0` is named twice; name each interface once",
        ],
    ),
    Case(
        &[NODE, "runtime_dir = 'run/lb'\npin_dir = ''\n"],
        &[
            "4: node.runtime_dir: \"run/lb\" is not an absolute path; begin it with `/`",
            "5: node.pin_dir: \"\" is not an absolute path; begin it with `/`",
        ],
    ),
    Case(
        &[NODE, "probe_aliases = ['10.64.0.0/16', '10.65.0.0/16']\n"],
        &[
            "4: node.probe_aliases[1]: another IPv4 prefix stands before it; name at most one of each \
           family",
        ],
    ),
    Case(
        &[
            NODE,
            "probe_aliases = ['192.0.2.0/24', 'fd00::/127']\n",
            SERVICE,
            "check.type = 'tcp'\nbackend = [{ address = '192.0.2.66' }]\n",
        ],
        &[
            "4: node.probe_aliases: 192.0.2.0/24 is too small: 16384 backends need 16387 addresses; \
             use a shorter prefix, or lower `limits.backends`",
            "4: node.probe_aliases: 192.0.2.0/24 has 192.0.2.10 of the VIP of `web`; use a prefix that \
             nothing on this network has",
            "4: node.probe_aliases: 192.0.2.0/24 has 192.0.2.66 of the backend `web/192.0.2.66`; use a \
             prefix that nothing on this network has",
        ],
    ),
    Case(
        &[NODE, "tunnel_source = ['10.0.0.0/28', 'fd00::/96', '224.0.0.0/24', '0.0.0.0/0']\n"],
        &[
            "4: node.tunnel_source[2]: 224.0.0.0 is a multicast address; use a unicast address that \
             is routed to one host",
            "4: node.tunnel_source[3]: 0.0.0.0 is unspecified; use a unicast address that is routed \
             to one host",
            "4: node.tunnel_source[2]: another IPv4 prefix stands before it; name at most one of \
             each family",
            "4: node.tunnel_source[3]: another IPv4 prefix stands before it; name at most one of \
             each family",
        ],
    ),
    Case(
        &[NODE, "[limits]\nroutes = 0\ndenied = -1\nslots = 4294967296\n"],
        &[
            "5: limits.routes: 0 is out of range; use 1 to 4294967295",
            "6: limits.denied: -1 is out of range; use 1 to 4294967295",
            "7: limits.slots: 4294967296 is out of range; use 1 to 4294967295",
        ],
    ),
    Case(
        &[
            NODE,
            "[limits]\nservices = 1\nbackends = 1\nslots = 65537\ndenied = 1\n[firewall]\n\
             deny = ['10.0.0.0/8', '11.0.0.0/8']\n",
            SERVICE,
            "backend = [{ address = '10.0.0.11' }, { address = '10.0.0.12' }]\n",
            NAT,
        ],
        &[
            "5: limits.services: 2 services are configured, 1 are allowed; set `limits.services` to \
             2 or more",
            "6: limits.backends: 2 backends are configured, 1 are allowed; set `limits.backends` to \
             2 or more",
            "7: limits.slots: 131074 slots are configured, 65537 are allowed; set `limits.slots` to \
             131074 or more, or give services smaller rings",
            "10: firewall.deny: 2 prefixes are denied, 1 are allowed; set `limits.denied` to 2 or \
             more",
        ],
    ),
    Case(
        &[NODE, SERVICE, SERVICE],
        &[
            "10: service[1].name: service[0] is named `web` as well; give each service its own name",
            "11: service[1].vip: 192.0.2.10 port 80/tcp is the service `web` already; use another vip, \
         port or protocol, or put the backends into one service",
        ],
    ),
    Case(
        &[NODE, "[[service]]\nname = 'a b'\nvip = '127.0.0.1'\nport = 0\nforward = 'l2'\n"],
        &[
            "5: service[0].name: \"a b\" cannot be a name; use 1 to 64 bytes without spaces, \
             beginning with other than `-`",
            "6: service[0].vip: 127.0.0.1 is a loopback address; use a unicast address that is \
             routed to one host",
            "7: service[0].port: 0 is not a port; use 1 to 65535",
        ],
    ),
    Case(
        &[
            NODE,
            SERVICE,
            "[[service.backend]]\naddress = '0.0.0.0'\n",
            "[[service.backend]]\naddress = '224.0.0.1'\n",
            "[[service.backend]]\naddress = '255.255.255.255'\n",
        ],
        &[
            "10: service[0].backend[0].address: 0.0.0.0 is unspecified; use a unicast address that \
             is routed to one host",
            "12: service[0].backend[1].address: 224.0.0.1 is a multicast address; use a unicast \
             address that is routed to one host",
            "14: service[0].backend[2].address: 255.255.255.255 is the broadcast address; use a \
             unicast address that is routed to one host",
        ],
    ),
    Case(
        &[NODE, SERVICE, "[[service.backend]]\naddress = '2001:db8::11'\n"],
        &[
            "10: service[0].backend[0].address: 2001:db8::11 of backend `2001:db8::11` is IPv6, but the \
         VIP 192.0.2.10 is IPv4; use the backend's IPv4 address, make a service with an IPv6 VIP, or set \
         `forward = \"ipip\"` or \"gue\"",
        ],
    ),
    Case(
        &[NODE, "[[service]]\nname = 'w'\nvip = '192.0.2.10'\nport = 'any'\nforward = 'nat'\n"],
        &[
            "7: service[0].port: nat rewrites one port to another, and `any` are several; use one port, \
             or another `forward`",
        ],
    ),
    Case(
        &[
            NODE,
            "[[service]]\nname = 'w'\nvip = '192.0.2.10'\nport = 'any'\nforward = 'gue'\ngue_port = 0\n\
             window = '1500ms'\nflow_table = 0\ncheck.type = 'tcp'\n",
            "backend = [{ address = '10.0.0.11' }, { address = '2001:db8::1', port = 80 }]\n",
        ],
        &[
            "9: service[0].gue_port: 0 is not a port; use 1 to 65535",
            "10: service[0].window: 1s 500ms is no window; use whole seconds, \"1s\" to \"24h\"",
            "11: service[0].flow_table: 0 is out of range; use 1 to 4294967295",
            "12: service[0].check.port: missing: a service with any port does not say which one to \
             check; add `port = 80`, for example",
            "13: service[0].backend[1].port: 80 is not needed: the service's ports are `any`, and so \
             the backend's; remove it",
        ],
    ),
    Case(
        &[
            NODE,
            "[[service]]\nname = 'w'\nvip = '192.0.2.10'\nport = '8000-8100'\nforward = 'ipip'\n\
             window = '25h'\n",
            "backend = [{ address = '10.0.0.11', port = 8000 }, { address = '10.0.0.12', port = 8001 }]\n",
        ],
        &[
            "9: service[0].window: 1day 1h is no window; use whole seconds, \"1s\" to \"24h\"",
            "10: service[0].backend[1].port: 8001 is not needed: the service's ports are `8000-8100`, \
             and so the backend's; remove it",
        ],
    ),
    Case(
        &[
            NODE,
            "[[service]]\nname = 'a'\nvip = '192.0.2.10'\nport = '8000-8100'\nforward = 'l2'\n",
            "[[service]]\nname = 'b'\nvip = '192.0.2.10'\nport = '8100-8200'\nforward = 'l2'\n",
            "[[service]]\nname = 'c'\nvip = '192.0.2.10'\nport = '8000-8100'\nforward = 'l2'\n",
            "[[service]]\nname = 'd'\nvip = '192.0.2.10'\nport = 'any'\nforward = 'l2'\n",
            "[[service]]\nname = 'e'\nvip = '192.0.2.10'\nport = '1-10'\nforward = 'l2'\n",
        ],
        &[
            "12: service[1].port: 8100-8200 overlaps with 8000-8100 of the service `a` on 192.0.2.10; \
             use ranges that have no port in common",
            "16: service[2].vip: 192.0.2.10 port 8000-8100/tcp is the service `a` already; use another \
             vip, port or protocol, or put the backends into one service",
            "27: service[4].port: 192.0.2.10 has 5 tcp services of several ports, at most 4 fit; join \
             ranges, use single ports, or another vip",
        ],
    ),
    Case(
        &[NODE, "[[service]]\nname = 'w'\nvip = '::ffff:192.0.2.1'\nport = 80\nforward = 'l2'\n"],
        &["6: service[0].vip: ::ffff:192.0.2.1 is an IPv4-mapped address; write it as an IPv4 \
           address"],
    ),
    Case(
        &[NODE, SERVICE, "[[service.backend]]\naddress = '10.0.0.11'\nport = 8080\n"],
        &[
            "11: service[0].backend[0].port: 8080 differs from the service's port 80, which l2 cannot \
         rewrite; remove it, or set the service's `forward = \"nat\"`",
        ],
    ),
    Case(
        &[
            NODE,
            SERVICE,
            "[[service.backend]]\naddress = '10.0.0.11'\nweight = 0\n",
            "[[service.backend]]\naddress = '10.0.0.12'\nweight = 0\n",
        ],
        &["11: service[0].backend[0].weight: all backends of `web` have weight 0: none takes \
           connections; give at least one of them a weight above 0"],
    ),
    Case(
        &[NODE, NAT, "[[service.backend]]\naddress = '10.0.0.11'\nport = 0\nweight = 1001\n"],
        &[
            "11: service[0].backend[0].port: 0 is not a port; use 1 to 65535",
            "12: service[0].backend[0].weight: 1001 is not a weight; use 0 to 1000",
        ],
    ),
    Case(
        &[
            NODE,
            SERVICE,
            "[[service.backend]]\nname = 'w1'\naddress = '10.0.0.11'\n",
            "[[service.backend]]\nname = 'w1'\naddress = '10.0.0.12'\n",
            "[[service.backend]]\nname = 'w3'\naddress = '10.0.0.11'\n",
        ],
        &[
            "13: service[0].backend[1].name: backend[0] of `web` is named `w1` as well; give each \
             backend of a service its own name",
            "17: service[0].backend[2].address: 10.0.0.11 port 80 is in `web` twice, as `w1` and as \
             `w3`; remove one, and use `weight` for a larger share",
        ],
    ),
    Case(
        &[
            NODE,
            NAT,
            "[[service.backend]]\naddress = '10.0.1.11'\nport = 8080\n",
            "[[service]]\nname = 'app2'\nvip = '192.0.2.21'\nport = 80\nforward = 'nat'\n",
            "[[service.backend]]\nname = 'b'\naddress = '10.0.1.11'\nport = 8080\n",
        ],
        &[
            "19: service[1].backend[0].address: nat backend `b` (10.0.1.11 port 8080/tcp) is in the \
           service `app` already, and its answers could not be told apart; let the backend listen \
           on another port for this service",
        ],
    ),
    Case(
        &[NODE, SERVICE, "[[service.backend]]\naddress = '192.0.2.20'\n", NAT],
        &[
            "10: service[0].backend[0].address: 192.0.2.20 of backend `192.0.2.20` is a VIP of this \
         node; use the backend's own address",
        ],
    ),
    Case(
        &[
            NODE,
            SERVICE,
            "[service.check]\ntype = 'http'\npath = 'healthz'\nport = 0\ninterval = '1s'\n\
             timeout = '1s'\nrise = 0\nfall = 0\n",
        ],
        &[
            "11: service[0].check.path: \"healthz\" is not a path; begin it with `/`, and write \
             other than visible ASCII as %XX",
            "12: service[0].check.port: 0 is not a port; use 1 to 65535",
            "14: service[0].check.timeout: 1s is not less than the interval of 1s; shorten it, or \
             lengthen `interval`",
            "15: service[0].check.rise: 0 results cannot change anything; use 1 or more",
            "16: service[0].check.fall: 0 results cannot change anything; use 1 or more",
        ],
    ),
    Case(
        &[NODE, SERVICE, "[service.check]\ntype = 'tcp'\ninterval = '2h'\ntimeout = '0s'\n"],
        &[
            "11: service[0].check.interval: 2h is too long; use at most \"1h\"",
            "12: service[0].check.timeout: no check can succeed in no time; use \"500ms\", for example",
        ],
    ),
];

const SEED: &str = "00112233445566778899aabbccddeeff'\n";
