//! Bad checks, and bad keys of what happens when checks fail.

use super::Case;
use crate::{NAT, NODE, SERVICE};

pub(super) const CHECKS: &[Case] = &[
    Case(
        &[NODE, SERVICE, "[service.check]\ntype = 'ping'\n"],
        &[
            "10: service[0].check.type: `ping` is not known here; use \"tcp\", \"http\", \"https\", \
             \"tls\", \"udp\", \"icmp\", \"mysql\" or \"exec\"",
        ],
    ),
    Case(
        &[
            NODE,
            SERVICE,
            "[service.check]\ntype = 'http'\nmethod = 'get'\nheaders = ['X-Token secret']\n\
             status = ['200-', 99, '300-200']\nbody = 'ok'\nbody_regex = 'ok'\nca = '/ca.pem'\n",
        ],
        &[
            "11: service[0].check.method: `get` is not a method; use \"GET\" or \"HEAD\", for example",
            "12: service[0].check.headers[0]: not a header; write it as \"Name: value\"",
            "13: service[0].check.status[0]: `200-` is not a status; write a number such as 200, or a \
             range such as \"200-399\"",
            "13: service[0].check.status[1]: `99` is not a status; write a number such as 200, or a \
             range such as \"200-399\"",
            "13: service[0].check.status[2]: `300-200` is not a status; write a number such as 200, or \
             a range such as \"200-399\"",
            "15: service[0].check.body_regex: `body` is there as well; keep one of them",
            "16: service[0].check.ca: a http check has no ca; remove it, or set `type = \"https\" or \
             \"tls\"`",
        ],
    ),
    Case(
        &[
            NODE,
            SERVICE,
            "[service.check]\ntype = 'https'\nmethod = 'HEAD'\nbody_regex = 'a(b'\nverify = false\n\
             ca = '/ca.pem'\nserver_name = 'a b'\n",
        ],
        &[
            "12: service[0].check.body_regex: `a(b` is not a regular expression: unclosed group; see \
             https://docs.rs/regex for its syntax; '…' needs no doubled backslashes",
            "15: service[0].check.server_name: `a b` is not the name of a server; write a DNS name such \
             as \"www.example.com\", or an IP address",
        ],
    ),
    Case(
        &[NODE, SERVICE, "[service.check]\ntype = 'tls'\nverify = false\nca = '/ca.pem'\n"],
        &[
            "12: service[0].check.ca: `verify = false` does not use it; remove it, or set `verify = true`",
        ],
    ),
    Case(
        &[NODE, SERVICE, "[service.check]\ntype = 'http'\nmethod = 'HEAD'\nbody = 'ok'\n"],
        &["11: service[0].check.method: the answer to HEAD has no body; use \"GET\""],
    ),
    Case(
        &[NODE, SERVICE, "[service.check]\ntype = 'udp'\nsend_hex = '0'\nexpect_hex = 'xy'\n"],
        &[
            "11: service[0].check.send_hex: `0` is not hex; write two hex digits for each byte, such as \
             \"00ff\"",
            "12: service[0].check.expect_hex: `xy` is not hex; write two hex digits for each byte, such \
             as \"00ff\"",
        ],
    ),
    Case(
        &[NODE, SERVICE, "[service.check]\ntype = 'mysql'\npassword_file = 'secret'\n"],
        &["9: service[0].check.user: missing; add `user = \"lb\"`"],
    ),
    Case(
        &[NODE, SERVICE, "[service.check]\ntype = 'mysql'\nuser = ''\npassword_file = 'secret'\n"],
        &[
            "11: service[0].check.user: nobody; name a user",
            "12: service[0].check.password_file: not an absolute path; begin it with `/`",
        ],
    ),
    Case(
        &[NODE, SERVICE, "[service.check]\ntype = 'exec'\n"],
        &["9: service[0].check.command: missing; add `command = [\"/usr/local/bin/check\"]`"],
    ),
    Case(
        &[NODE, SERVICE, "[service.check]\ntype = 'exec'\ncommand = ['check', 'db']\n"],
        &["11: service[0].check.command: not an absolute path; begin it with `/`"],
    ),
    Case(
        &[NODE, SERVICE, "[service.check]\ntype = 'icmp'\nport = 80\n"],
        &[
            "11: service[0].check.port: an icmp check has no port; remove it, or set `type = \"tcp\" or \
             \"http\" or \"https\" or \"tls\" or \"udp\" or \"mysql\" or \"exec\"`",
        ],
    ),
    Case(
        &[
            NODE,
            SERVICE,
            "[service.check]\ntype = 'tcp'\nfast_interval = '2s'\nslow_start = '2h'\n\
             [service.check.flap]\nfalls = -1\nhold = '2m'\nmax_hold = '1m'\n",
        ],
        &["14: service[0].check.flap.falls: -1 is out of range; use 0 to 4294967295"],
    ),
    Case(
        &[
            NODE,
            SERVICE,
            "[service.check]\ntype = 'tcp'\nfast_interval = '2s'\nslow_start = '2h'\n\
             [service.check.flap]\ncalm = '2h'\nhold = '2m'\nmax_hold = '1m'\n",
        ],
        &[
            "11: service[0].check.fast_interval: 2s is more than the interval of 1s; shorten it, or \
             remove it",
            "12: service[0].check.slow_start: 2h is too long; use at most \"1h\"",
            "14: service[0].check.flap.calm: 2h is too long; use at most \"1h\"",
            "16: service[0].check.flap.max_hold: 1m is less than the hold of 2m; lengthen it, or \
             shorten `hold`",
        ],
    ),
    Case(
        &[NODE, NAT, "check = { type = 'tcp', through = 'datapath' }\n"],
        &[
            "9: service[0].check.through: a nat backend has no VIP: its checks go to its own address; \
             remove it",
        ],
    ),
    Case(
        &[NODE, SERVICE, "check = { type = 'udp', through = 'datapath', send = 'hello' }\n"],
        &[
            "9: service[0].check.through: without `expect` only a refusal is a failure, and that does \
             not come back this way; add `expect`, or write \"direct\"",
        ],
    ),
    Case(
        &[NODE, SERVICE, "check = { type = 'tcp', through = 'vip' }\n"],
        &["9: service[0].check.through: `vip` is not known here; use \"datapath\" or \"direct\""],
    ),
    Case(
        &[NODE, SERVICE, "panic = 30\n"],
        &["9: service[0].panic: must be a string, not an integer; put it in double quotes"],
    ),
    Case(
        &[NODE, SERVICE, "panic = '101%'\n"],
        &["9: service[0].panic: `101%` is not a share; write \"0%\" to \"100%\""],
    ),
    Case(
        &[NODE, SERVICE, "panic = '50%'\nsorry = { address = '10.0.0.99' }\n"],
        &[
            "9: service[0].panic: without a check all backends count as up, always; add a `check`, or \
             remove it",
            "10: service[0].sorry: without a check all backends count as up, always; add a `check`, \
             or remove it",
        ],
    ),
    Case(
        &[
            NODE,
            SERVICE,
            "check.type = 'tcp'\nsorry = { address = '10.0.0.11', port = 81 }\n",
            "backend = [{ address = '10.0.0.12' }, { name = 'sorry', address = '10.0.0.11' }]\n",
        ],
        &[
            "10: service[0].sorry.port: 81 differs from the service's port 80, which l2 cannot \
             rewrite; remove it, or set the service's `forward = \"nat\"`",
            "10: service[0].sorry.name: a backend of `web` is named `sorry` as well; give it another \
             name",
        ],
    ),
    Case(
        &[
            NODE,
            SERVICE,
            "check.type = 'tcp'\nsorry = { name = 'last', address = '10.0.0.11' }\n",
            "backend = [{ name = 'web1', address = '10.0.0.11' }]\n",
        ],
        &[
            "10: service[0].sorry.address: 10.0.0.11 is the backend `web1` of `web`; use a machine that \
             is not in the pool",
        ],
    ),
    Case(
        &[NODE, SERVICE, "check.type = 'tcp'\nsorry = { address = '192.0.2.10', weight = 2 }\n"],
        &[
            "10: service[0].sorry.weight: unknown key; remove it; known here: name, address, port",
            "10: service[0].sorry.address: 192.0.2.10 of backend `sorry` is a VIP of this node; use the \
             backend's own address",
        ],
    ),
    Case(
        &[NODE, "watchdog = '2500ms'\n"],
        &[
            "4: node.watchdog: 2s 500ms is no limit for silence; use whole seconds, \"3s\" to \"1h\", or \
             remove it",
        ],
    ),
    Case(
        &[NODE, SERVICE, "[service.agent]\ninterval = '1s'\naddress = '127.0.0.1'\n"],
        &["9: service[0].agent.port: missing; add `port = 9000`"],
    ),
    Case(
        &[NODE, SERVICE, "[service.agent]\nport = 0\ninterval = '1s'\naddress = '127.0.0.1'\n"],
        &[
            "9: service[0].agent.timeout: 1s is not less than the interval of 1s; shorten it, or \
             lengthen `interval`",
            "10: service[0].agent.port: 0 is not a port; use 1 to 65535",
            "12: service[0].agent.address: 127.0.0.1 is a loopback address; use a unicast address \
             that is routed to one host",
        ],
    ),
];
