//! Proxies whose keys or values cannot be read.

pub(super) mod rules;

use super::Case;
use crate::{NODE, PROXY, SERVICE};

pub(super) const KEYS: &[Case] = &[
    Case(
        &[NODE, "[proxy]\nname = 'fwd'\n"],
        &["4: proxy: must be an array of tables, not a table; begin each with a line `[[proxy]]`"],
    ),
    Case(
        &[NODE, "[[proxy]]\n"],
        &[
            "4: proxy[0].name: missing; add `name = \"app\"`",
            "4: proxy[0].listen: missing; add `listen = [\"10.0.0.2:8080\"]`",
        ],
    ),
    Case(
        &[NODE, "[[proxy]]\nname = 7\nlisten = '10.0.0.2:8080'\n"],
        &[
            "5: proxy[0].name: must be a string, not an integer; put it in double quotes",
            "6: proxy[0].listen: must be an array, not a string; write an array",
        ],
    ),
    Case(
        &[
            NODE,
            "[[proxy]]\nname = 'fwd'\nlisten = [\n'8080',\n'10.0.0.2',\n'unix:app.sock',\n80,\n\
             \"unix:/a\\u0000b\",\n'localhost:80']\n",
        ],
        &[
            "7: proxy[0].listen[0]: `8080` is no address with a port; write one such as \
             \"10.0.0.5:3306\", \"[2001:db8::5]:3306\" or \"unix:/run/app.sock\"",
            "8: proxy[0].listen[1]: `10.0.0.2` is no address with a port; write one such as \
             \"10.0.0.5:3306\", \"[2001:db8::5]:3306\" or \"unix:/run/app.sock\"",
            "9: proxy[0].listen[2]: `unix:app.sock` is no address with a port; write one such as \
             \"10.0.0.5:3306\", \"[2001:db8::5]:3306\" or \"unix:/run/app.sock\"",
            "10: proxy[0].listen[3]: must be a string, not an integer; put it in double quotes",
            "11: proxy[0].listen[4]: `unix:/a\u{0}b` is no address with a port; write one such as \
             \"10.0.0.5:3306\", \"[2001:db8::5]:3306\" or \"unix:/run/app.sock\"",
            "12: proxy[0].listen[5]: `localhost:80` is no address with a port; write one such as \
             \"10.0.0.5:3306\", \"[2001:db8::5]:3306\" or \"unix:/run/app.sock\"",
        ],
    ),
    Case(
        &[NODE, PROXY, "balance = 'roundrobin'\non_down = 'reset'\nsend_proxy = 'v3'\n"],
        &[
            "7: proxy[0].balance: `roundrobin` is not known here; use \"round-robin\", \
             \"least-connections\", \"random-two\", \"source\" or \"hash\"",
            "8: proxy[0].on_down: `reset` is not known here; use \"keep\" or \"close\"",
            "9: proxy[0].send_proxy: `v3` is not known here; use \"v1\" or \"v2\"",
        ],
    ),
    Case(
        &[
            NODE,
            PROXY,
            "max_connections = -1\nretries = 4294967296\nnodelay = 'yes'\nkeepalive = 60\n\
             source = ['10.0.0.2/24']\n",
        ],
        &[
            "7: proxy[0].max_connections: -1 is out of range; use 1 to 4294967295",
            "8: proxy[0].retries: 4294967296 is out of range; use 0 to 4294967295",
            "9: proxy[0].nodelay: must be true or false, not a string; write true or false",
            "10: proxy[0].keepalive: 60 has no unit; write a number with a unit, such as \"200ms\", \
             \"1s\" or \"2m\"",
            "11: proxy[0].source[0]: `10.0.0.2/24` is not an IP address; write it without a prefix \
             length",
        ],
    ),
    Case(
        &[NODE, PROXY, "queue = 5\ntimeout = '5s'\neject = []\naccept_proxy = true\n"],
        &[
            "7: proxy[0].queue: must be a table, not an integer; write a table",
            "8: proxy[0].timeout: must be a table, not a string; write a table",
            "9: proxy[0].eject: must be a table, not an array; write a table",
            "10: proxy[0].accept_proxy: must be a table, not a boolean; write a table",
        ],
    ),
    Case(
        &[
            NODE,
            PROXY,
            "[proxy.queue]\nlength = -1\ntimeout = 'soon'\nsize = 1\n\
             [proxy.timeout]\nconnect = 5\nclient = '1'\nbackend = true\nhalf_closed = ''\n\
             session = 'never'\nidle = '1h'\n\
             [proxy.eject]\nfailures = '3'\nhold = 10\nmax_hold = 300\nhold_max = '1m'\n",
        ],
        &[
            "8: proxy[0].queue.length: -1 is out of range; use 0 to 4294967295",
            "9: proxy[0].queue.timeout: `soon` is not a duration; write a number with a unit, such \
             as \"200ms\", \"1s\" or \"2m\"",
            "10: proxy[0].queue.size: unknown key; remove it; known here: length, timeout",
            "12: proxy[0].timeout.connect: 5 has no unit; write a number with a unit, such as \
             \"200ms\", \"1s\" or \"2m\"",
            "13: proxy[0].timeout.client: `1` is not a duration; write a number with a unit, such as \
             \"200ms\", \"1s\" or \"2m\"",
            "14: proxy[0].timeout.backend: must be a string, not a boolean; put it in double quotes",
            "15: proxy[0].timeout.half_closed: `` is not a duration; write a number with a unit, \
             such as \"200ms\", \"1s\" or \"2m\"",
            "16: proxy[0].timeout.session: `never` is not a duration; write a number with a unit, \
             such as \"200ms\", \"1s\" or \"2m\"",
            "17: proxy[0].timeout.idle: unknown key; remove it; known here: connect, client, \
             backend, half_closed, session",
            "19: proxy[0].eject.failures: must be an integer, not a string; write it without quotes",
            "20: proxy[0].eject.hold: 10 has no unit; write a number with a unit, such as \"200ms\", \
             \"1s\" or \"2m\"",
            "21: proxy[0].eject.max_hold: 300 has no unit; write a number with a unit, such as \
             \"200ms\", \"1s\" or \"2m\"",
            "22: proxy[0].eject.hold_max: unknown key; remove it; known here: failures, hold, max_hold",
        ],
    ),
    Case(
        &[NODE, PROXY, "[proxy.accept_proxy]\ntimeout = 3\nnetworks = []\n"],
        &[
            "7: proxy[0].accept_proxy.from: missing; name who sends headers: `from = \
             [\"10.0.0.0/24\"]`",
            "8: proxy[0].accept_proxy.timeout: 3 has no unit; write a number with a unit, such as \
             \"200ms\", \"1s\" or \"2m\"",
            "9: proxy[0].accept_proxy.networks: unknown key; remove it; known here: from, timeout",
        ],
    ),
    Case(
        &[NODE, PROXY, "accept_proxy = { from = ['10.0.0.1', '10.0.0.1/24'] }\n"],
        &[
            "7: proxy[0].accept_proxy.from[0]: `10.0.0.1` is not an address prefix; write a prefix \
             such as 203.0.113.0/24 or 2001:db8::/32",
            "7: proxy[0].accept_proxy.from[1]: `10.0.0.1/24` has address bits behind the prefix; \
             write 10.0.0.0/24",
        ],
    ),
    Case(
        &[NODE, PROXY, "max_conn = 5\n[proxy.check]\ntype = 'ping'\nintervall = '1s'\n"],
        &[
            "7: proxy[0].max_conn: unknown key; remove it; known here: name, listen, balance, \
             max_connections, queue, timeout, retries, nodelay, keepalive, source, accept_proxy, \
             send_proxy, on_down, eject, check, protocol, role, fallback, promotion_wait, max_lag, \
             lag_return, close_lag, monitor, backend",
            "9: proxy[0].check.type: `ping` is not known here; use \"tcp\", \"http\", \"https\", \
             \"tls\", \"udp\", \"icmp\", \"mysql\" or \"exec\"",
            "10: proxy[0].check.intervall: unknown key; did you mean `interval`? Known here: type, \
             through, port, interval, fast_interval, timeout, rise, fall, slow_start, flap, method, \
             path, host, headers, status, body, body_regex, server_name, verify, ca, send, send_hex, \
             expect, expect_hex, user, password_file, database, query, command",
        ],
    ),
    Case(
        &[NODE, PROXY, "[[proxy.backend]]\nname = 7\nwieght = 2\n[[proxy.backend]]\nport = 80\n"],
        &[
            "7: proxy[0].backend[0].address: missing; add `address = \"10.0.0.21:8080\"`",
            "8: proxy[0].backend[0].name: must be a string, not an integer; put it in double quotes",
            "9: proxy[0].backend[0].wieght: unknown key; did you mean `weight`? Known here: name, \
             address, weight, backup, max_connections, admin",
            "10: proxy[0].backend[1].address: missing; add `address = \"10.0.0.21:8080\"`",
            "11: proxy[0].backend[1].port: unknown key; remove it; known here: name, address, weight, \
             backup, max_connections, admin",
        ],
    ),
    Case(
        &[
            NODE,
            PROXY,
            "[[proxy.backend]]\naddress = '10.0.0.21'\nweight = -1\nbackup = 1\n\
             max_connections = '5'\nadmin = 'off'\n",
        ],
        &[
            "8: proxy[0].backend[0].address: `10.0.0.21` is no address with a port; write one such \
             as \"10.0.0.5:3306\", \"[2001:db8::5]:3306\" or \"unix:/run/app.sock\"",
            "9: proxy[0].backend[0].weight: -1 is not a weight; use 0 to 1000",
            "10: proxy[0].backend[0].backup: must be true or false, not an integer; write true or \
             false",
            "11: proxy[0].backend[0].max_connections: must be an integer, not a string; write it \
             without quotes",
            "12: proxy[0].backend[0].admin: `off` is not known here; use \"ready\", \"drain\" or \
             \"maintenance\"",
        ],
    ),
    // Roles are those of database servers.
    Case(
        &[
            NODE,
            PROXY,
            "role = 'primary'\nmax_lag = '1s'\n[proxy.monitor]\nuser = 'lb'\n",
            "[[proxy]]\nname = 'db'\nlisten = ['10.0.0.2:3306']\nprotocol = 'postgres'\n",
            "[[proxy]]\nname = 'db2'\nlisten = ['10.0.0.2:3307']\nprotocol = 'mysql'\n",
        ],
        &[
            "7: proxy[0].role: only database servers with roles have it; remove it, or set `protocol \
             = \"mysql\"`",
            "8: proxy[0].max_lag: only database servers with roles have it; remove it, or set \
             `protocol = \"mysql\"`",
            "9: proxy[0].monitor: only database servers with roles have it; remove it, or set \
             `protocol = \"mysql\"`",
            "14: proxy[1].protocol: `postgres` is not known here; use \"tcp\" or \"mysql\"",
            "15: proxy[2].role: missing; add `role = \"primary\"`",
            "15: proxy[2].monitor.user: missing; add `user = \"monitor\"`",
        ],
    ),
    Case(
        &[
            NODE,
            PROXY,
            "protocol = 'mysql'\nrole = 'primary'\nfallback = true\n\
             monitor = { user = 'lb', tls = { ca = 7, name = 'db' }, interval = 1 }\n",
        ],
        &[
            "9: proxy[0].fallback: a primary has no lag, and nobody stands in for it; remove it, or \
             set `role = \"replica\"`",
            "10: proxy[0].monitor.tls.name: unknown key; remove it; known here: verify, ca",
            "10: proxy[0].monitor.tls.ca: must be a string, not an integer; put it in double quotes",
            "10: proxy[0].monitor.interval: 1 has no unit; write a number with a unit, such as \
             \"200ms\", \"1s\" or \"2m\"",
        ],
    ),
    Case(
        &[
            NODE,
            PROXY,
            "protocol = 'mysql'\nrole = 'master'\nfallback = 'yes'\npromotion_wait = 10\n\
             max_lag = 5\nlag_return = 2\nclose_lag = 60\n",
            "[proxy.monitor]\nuser = 1\npassword_file = 2\ntls = true\ntimeout = 3\nfall = -1\n\
             password = 'secret'\n",
        ],
        &[
            "8: proxy[0].role: `master` is not known here; use \"primary\" or \"replica\"",
            "9: proxy[0].fallback: must be true or false, not a string; write true or false",
            "10: proxy[0].promotion_wait: 10 has no unit; write a number with a unit, such as \
             \"200ms\", \"1s\" or \"2m\"",
            "11: proxy[0].max_lag: 5 has no unit; write a number with a unit, such as \"200ms\", \
             \"1s\" or \"2m\"",
            "12: proxy[0].lag_return: 2 has no unit; write a number with a unit, such as \"200ms\", \
             \"1s\" or \"2m\"",
            "13: proxy[0].close_lag: 60 has no unit; write a number with a unit, such as \"200ms\", \
             \"1s\" or \"2m\"",
            "15: proxy[0].monitor.user: must be a string, not an integer; put it in double quotes",
            "16: proxy[0].monitor.password_file: must be a string, not an integer; put it in double \
             quotes",
            "17: proxy[0].monitor.tls: must be a table, not a boolean; write a table",
            "18: proxy[0].monitor.timeout: 3 has no unit; write a number with a unit, such as \
             \"200ms\", \"1s\" or \"2m\"",
            "19: proxy[0].monitor.fall: -1 is out of range; use 1 to 4294967295",
            "20: proxy[0].monitor.password: unknown key; did you mean `password_file`? Known here: \
             user, password_file, tls, interval, timeout, fall",
        ],
    ),
    // A proxy that cannot be read does not hide what is wrong with the next, nor with services.
    Case(
        &[
            NODE,
            "[[proxy]]\nname = 7\nlisten = ['10.0.0.2:80']\n",
            PROXY,
            "max_connections = 0\n",
            SERVICE,
            "ring_size = 5\n",
        ],
        &[
            "5: proxy[0].name: must be a string, not an integer; put it in double quotes",
            "10: proxy[1].max_connections: 0 is out of range; use 1 to 4294967295",
            "16: service[0].ring_size: 5 is not a ring size; use one of 1021, 2039, 4093, 8191, \
             16381, 32749, 65537, 131071",
        ],
    ),
];
