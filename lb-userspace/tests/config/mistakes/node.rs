//! Tables of the node that break rules.

use super::Case;
use crate::{NAT, NODE, SERVICE};

pub(super) const RULES: &[Case] = &[
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
        &[NODE, "proxy_threads = 0\nproxy_drain = '8days'\n"],
        &[
            "4: node.proxy_threads: 0 is out of range; use 1 to 256, or remove it",
            "5: node.proxy_drain: 8days is too long; use at most \"7days\"",
        ],
    ),
    Case(
        &[NODE, "proxy_busy_poll = '2ms'\n"],
        &["4: node.proxy_busy_poll: 2ms is too long; use at most \"1ms\", or \"0us\" for none"],
    ),
    Case(
        &[NODE, "proxy_threads = 'all'\nproxy_drain = 600\n"],
        &[
            "4: node.proxy_threads: must be an integer, not a string; write it without quotes",
            "5: node.proxy_drain: 600 has no unit; write a number with a unit, such as \"200ms\", \
             \"1s\" or \"2m\"",
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
];

const SEED: &str = "00112233445566778899aabbccddeeff'\n";
