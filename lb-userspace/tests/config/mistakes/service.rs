//! Services and backends that break rules.

use super::Case;
use crate::{NAT, NODE, SERVICE};

pub(super) const RULES: &[Case] = &[
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
