//! Bad routes.

use super::Case;
use crate::{NODE, SERVICE};

/// Begins in line 4 when it follows [`NODE`].
const ROUTE: &str = "[[route]]\nname = 'web'\naddresses = ['203.0.113.10']\n";

pub(super) const CASES: &[Case] = &[
    Case(
        &[NODE, "[[route]]\n"],
        &[
            "4: route[0].name: missing; add `name = \"web\"`",
            "4: route[0].addresses: missing; add `addresses = [\"203.0.113.10\"]`",
        ],
    ),
    Case(
        &[NODE, ROUTE, "[[route.track]]\ndatapath = true\nweight = -10\n"],
        &["9: route[0].track[0].weight: unknown key; remove it; known here: interface, script, \
             datapath, service, rise, fall, interval, timeout"],
    ),
    Case(
        &[NODE, ROUTE, "address = '203.0.113.11'\n"],
        &["7: route[0].address: unknown key; did you mean `addresses`? Known here: name, \
             addresses, interface, track"],
    ),
    Case(
        &[
            NODE,
            "[[route]]\nname = 1\naddresses = ['203.0.113.10/32', 'vip']\ninterface = ['lo']\n",
        ],
        &[
            "5: route[0].name: must be a string, not an integer; put it in double quotes",
            "6: route[0].addresses[0]: `203.0.113.10/32` is not an IP address; write it without a \
             prefix length",
            "6: route[0].addresses[1]: `vip` is not an IP address; write an address such as \
             192.0.2.10 or 2001:db8::10",
            "7: route[0].interface: must be a string, not an array; write a string",
        ],
    ),
    Case(
        &[NODE, "[[route]]\nname = 'a b'\naddresses = []\ninterface = 'a-name-too-long-'\n"],
        &[
            "5: route[0].name: \"a b\" cannot be a name; use 1 to 64 bytes without spaces, \
             beginning with other than `-`",
            "6: route[0].addresses: there is none; name one, such as \"203.0.113.10\"",
            "7: route[0].interface: `a-name-too-long-` cannot be the name of an interface; use a \
             name that `ip link` shows, of 1 to 15 bytes",
        ],
    ),
    Case(
        &[NODE, "[[route]]\nname = 'web'\naddresses = ['127.0.0.1', 'fe80::1']\n"],
        &[
            "6: route[0].addresses[0]: 127.0.0.1 is a loopback address; use a unicast address that \
             is routed to one host",
            "6: route[0].addresses[1]: fe80::1 is a link-local address; use a unicast address that \
             is routed to one host",
        ],
    ),
    Case(
        &[NODE, ROUTE, ROUTE],
        &[
            "8: route[1].name: another route is named `web` as well; give each route its own name",
            "9: route[1].addresses[0]: 203.0.113.10 is an address of the route `web` already; name \
             each address once",
        ],
    ),
    Case(
        &[
            NODE,
            "[[vrrp]]\nname = 'out'\ninterface = 'eth0'\nid = 51\n\
             addresses = ['203.0.113.10/24']\n",
            ROUTE,
        ],
        &["11: route[0].addresses[0]: 203.0.113.10 is an address of the virtual router `out` \
             already; name each address once"],
    ),
    Case(
        &[NODE, SERVICE, "backend = [{ address = '203.0.113.10' }]\n", ROUTE],
        &["9: service[0].backend[0].address: 203.0.113.10 of backend `203.0.113.10` is a VIP of \
             this node; use the backend's own address"],
    ),
    Case(
        &[NODE, "probe_aliases = ['203.0.0.0/16']\n", SERVICE, "check.type = 'tcp'\n", ROUTE],
        &["4: node.probe_aliases: 203.0.0.0/16 has 203.0.113.10 of the route `web`; use a prefix \
             that nothing on this network has"],
    ),
    Case(
        &[
            NODE,
            ROUTE,
            "[[route.track]]\nservice = 'web'\nrise = 0\n[[route.track]]\ninterface = 'eth1'\n\
             datapath = true\n[[route.track]]\ninterval = '1s'\n",
        ],
        &[
            "12: route[0].track[1].datapath: `interface` is there as well; keep one of them, and \
             make another [[route.track]] of the other",
            "13: route[0].track[2].interface: missing; add `interface = \"eth1\"`, or `script`, \
             `datapath` or `service`",
            "14: route[0].track[2].interval: only a script has it; remove it, or track a `script`",
        ],
    ),
    Case(
        &[
            NODE,
            ROUTE,
            "[[route.track]]\nservice = 'web'\nrise = 0\n[[route.track]]\ndatapath = true\n\
             [[route.track]]\ndatapath = true\n",
        ],
        &[
            "8: route[0].track[0].service: there is no service `web`; use the name of a [[service]]",
            "9: route[0].track[0].rise: 0 results cannot change anything; use 1 or more",
            "13: route[0].track[2].datapath: it is tracked already; keep one of both",
        ],
    ),
];
