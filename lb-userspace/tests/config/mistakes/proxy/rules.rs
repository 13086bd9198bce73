//! Proxies that break rules.

use crate::{NODE, PROXY, SERVICE, mistakes::Case};

pub(in crate::mistakes) const RULES: &[Case] = &[
    Case(
        &[NODE, "[[proxy]]\nname = '-x'\nlisten = []\n"],
        &[
            "5: proxy[0].name: \"-x\" cannot be a name; use 1 to 64 bytes without spaces, beginning \
             with other than `-`",
            "6: proxy[0].listen: there is none; name one, such as \"10.0.0.2:8080\"",
        ],
    ),
    Case(
        &[
            NODE,
            "[[proxy]]\nname = 'fwd'\nlisten = [\n'10.0.0.2:0',\n'224.0.0.1:80',\n\
             '[::ffff:10.0.0.2]:80',\n'[fe80::1]:80',\n'unix:/",
            LONG,
            "',\n'0.0.0.0:82', '[::1]:81']\n",
        ],
        &[
            "7: proxy[0].listen[0]: 0 is not a port; use 1 to 65535",
            "8: proxy[0].listen[1]: 224.0.0.1 is a multicast address; use a unicast address that is \
             routed to one host",
            "9: proxy[0].listen[2]: ::ffff:10.0.0.2 is an IPv4-mapped address; write it as an IPv4 \
             address",
            "10: proxy[0].listen[3]: fe80::1 is a link-local address; use a unicast address that is \
             routed to one host",
            "11: proxy[0].listen[4]: the path has 108 bytes, a socket's at most 107; use a shorter one",
        ],
    ),
    Case(
        &[
            NODE,
            PROXY,
            "max_connections = 0\nkeepalive = '10h'\n\
             queue = { length = 0, timeout = '0s' }\n\
             timeout = { connect = '0s', client = '8days', backend = '0s', half_closed = '0s', \
             session = '0s' }\n\
             eject = { failures = 0, hold = '0s', max_hold = '0s' }\n\
             accept_proxy = { from = [], timeout = '0s' }\n",
        ],
        &[
            "7: proxy[0].max_connections: 0 is out of range; use 1 to 4294967295",
            "8: proxy[0].keepalive: the kernel cannot wait for 10h; use whole seconds, \"1s\" to \
             \"9h\", or remove it",
            "9: proxy[0].queue.timeout: nothing can be done in no time; use \"5s\", for example",
            "10: proxy[0].timeout.connect: nothing can be done in no time; use \"5s\", for example",
            "10: proxy[0].timeout.client: 8days is too long; use at most \"7days\"",
            "10: proxy[0].timeout.backend: nothing can be done in no time; use \"5s\", for example",
            "10: proxy[0].timeout.half_closed: nothing can be done in no time; use \"5s\", for example",
            "10: proxy[0].timeout.session: nothing can be done in no time; use \"5s\", for example",
            "11: proxy[0].eject.hold: nothing can be done in no time; use \"5s\", for example",
            "11: proxy[0].eject.max_hold: nothing can be done in no time; use \"5s\", for example",
            "12: proxy[0].accept_proxy.timeout: nothing can be done in no time; use \"5s\", for example",
            "12: proxy[0].accept_proxy.from: nobody would send a header; name the networks of those \
             who do, or remove the table",
        ],
    ),
    Case(
        &[
            NODE,
            PROXY,
            "keepalive = '1500ms'\neject = { hold = '10m' }\n\
             source = ['10.0.0.2', '10.0.0.3', 'ff02::1', '::']\n",
        ],
        &[
            "7: proxy[0].keepalive: the kernel cannot wait for 1s 500ms; use whole seconds, \"1s\" to \
             \"9h\", or remove it",
            "8: proxy[0].eject.max_hold: 5m is less than the hold of 10m; lengthen it, or shorten \
             `hold`",
            "9: proxy[0].source[2]: ff02::1 is a multicast address; use a unicast address that is \
             routed to one host",
            "9: proxy[0].source[3]: :: is unspecified; use a unicast address that is routed to one \
             host",
            "9: proxy[0].source[1]: 10.0.0.3 is a second address of its family; name one of each \
             family at most",
            "9: proxy[0].source[3]: :: is a second address of its family; name one of each family \
             at most",
        ],
    ),
    Case(
        &[
            NODE,
            PROXY,
            "[[proxy.backend]]\nname = 'a b'\naddress = '0.0.0.0:80'\nweight = 1001\n\
             max_connections = 0\n",
            "[[proxy.backend]]\naddress = '10.0.0.21:0'\n",
            "[[proxy.backend]]\naddress = 'unix:/",
            LONG,
            "'\n",
        ],
        &[
            "8: proxy[0].backend[0].name: \"a b\" cannot be a name; use 1 to 64 bytes without spaces, \
             beginning with other than `-`",
            "9: proxy[0].backend[0].address: 0.0.0.0 is unspecified; use a unicast address that is \
             routed to one host",
            "10: proxy[0].backend[0].weight: 1001 is not a weight; use 0 to 1000",
            "11: proxy[0].backend[0].max_connections: 0 is out of range; use 1 or more; `weight = 0` \
             keeps sessions away",
            "13: proxy[0].backend[1].address: 0 is not a port; use 1 to 65535",
            "14: proxy[0].backend[2].name: \"unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
             xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" cannot be a name; use 1 to 64 \
             bytes without spaces, beginning with other than `-`",
            "15: proxy[0].backend[2].address: the path has 108 bytes, a socket's at most 107; use a \
             shorter one",
        ],
    ),
    Case(
        &[
            NODE,
            PROXY,
            "[[proxy.backend]]\nname = 'a'\naddress = '10.0.0.21:80'\nweight = 0\n",
            "[[proxy.backend]]\nname = 'a'\naddress = '10.0.0.22:80'\nweight = 0\n",
            "[[proxy.backend]]\nname = 'c'\naddress = '10.0.0.21:80'\nweight = 0\n",
        ],
        &[
            "10: proxy[0].backend[0].weight: all backends of `fwd` have weight 0: none takes \
             sessions; give at least one of them a weight above 0",
            "12: proxy[0].backend[1].name: backend[0] of `fwd` is named `a` as well; give each \
             backend of a proxy its own name",
            "17: proxy[0].backend[2].address: 10.0.0.21:80 is in `fwd` twice, as `a` and as `c`; \
             remove one, and use `weight` for a larger share",
        ],
    ),
    Case(
        &[
            NODE,
            "[[proxy]]\nname = 'fwd'\n\
             listen = ['10.0.0.2:8080', '[::]:80', '0.0.0.0:81', 'unix:/run/a']\n\
             backend = [\n{ address = '10.0.0.2:8080' },\n{ address = '127.0.0.1:80' },\n\
             { address = '127.0.0.1:81' },\n{ address = 'unix:/run/a' },\n{ address = '[::1]:81' },\n\
             { address = '10.0.0.3:80' }]\n",
        ],
        &[
            "8: proxy[0].backend[0].address: `fwd` itself listens at 10.0.0.2:8080: sessions would \
             come back to it; use the backend's own address",
            "9: proxy[0].backend[1].address: `fwd` itself listens at [::]:80: sessions would come \
             back to it; use the backend's own address",
            "10: proxy[0].backend[2].address: `fwd` itself listens at 0.0.0.0:81: sessions would \
             come back to it; use the backend's own address",
            "11: proxy[0].backend[3].address: `fwd` itself listens at unix:/run/a: sessions would \
             come back to it; use the backend's own address",
        ],
    ),
    // Beside each other.
    Case(
        &[
            NODE,
            SERVICE,
            "[[proxy]]\nname = 'web'\nlisten = ['10.0.0.2:80', '10.0.0.2:80', '192.0.2.10:80']\n\
             backend = [{ address = '192.0.2.10:80' }, { address = '192.0.2.10:81' }]\n",
            "[[proxy]]\nname = 'two'\nlisten = ['0.0.0.0:80', 'unix:/run/a']\n",
            "[[proxy]]\nname = 'two'\nlisten = ['10.0.0.2:80', 'unix:/run/a', '[::]:80']\n",
        ],
        &[
            "10: proxy[0].name: service[0] is named `web` as well; give each proxy and each service \
             its own name",
            "11: proxy[0].listen[1]: `web` listens there already; use another address or port",
            "11: proxy[0].listen[2]: the service `web` has 192.0.2.10:80: no connection would get \
             here; use another address or port",
            "12: proxy[0].backend[0].address: `web` itself listens at 192.0.2.10:80: sessions would come \
             back to it; use the backend's own address",
            "12: proxy[0].backend[0].address: 192.0.2.10:80 is the service `web`, which the node's \
             own connections do not get to; use the backends of the service, by their own addresses",
            "15: proxy[1].listen[0]: `web` listens at 10.0.0.2:80 already; use another address or \
             port",
            "17: proxy[2].name: proxy[1] is named `two` as well; give each proxy and each service its \
             own name",
            "18: proxy[2].listen[0]: `web` listens there already; use another address or port",
            "18: proxy[2].listen[1]: `two` listens there already; use another address or port",
        ],
    ),
    // Checks.
    Case(
        &[
            NODE,
            PROXY,
            "[proxy.check]\ntype = 'http'\nthrough = 'datapath'\nport = 0\ntimeout = '1s'\n\
             path = 'up'\nfall = 0\n",
        ],
        &[
            "9: proxy[0].check.through: a proxy's backend has no VIP: its checks go to its own \
             address; remove it",
            "10: proxy[0].check.port: 0 is not a port; use 1 to 65535",
            "11: proxy[0].check.timeout: 1s is not less than the interval of 1s; shorten it, or \
             lengthen `interval`",
            "12: proxy[0].check.path: \"up\" is not a path; begin it with `/`, and write other than \
             visible ASCII as %XX",
            "13: proxy[0].check.fall: 0 results cannot change anything; use 1 or more",
        ],
    ),
    Case(
        &[
            NODE,
            PROXY,
            "check.type = 'https'\n",
            "backend = [{ address = '10.0.0.21:80' }, { name = 'a', address = 'unix:/run/a' }]\n",
            "[[proxy]]\nname = 'two'\nlisten = ['10.0.0.2:81']\ncheck.type = 'tcp'\ncheck.port = 80\n\
             backend = [{ name = 'a', address = 'unix:/run/a' }]\n",
        ],
        &[
            "7: proxy[0].check.type: `a` is at unix:/run/a, where this cannot be tried; use \"tcp\", \
             \"http\" or \"exec\", or a backend at an address",
            "13: proxy[1].check.port: `a` is at unix:/run/a, which has no ports; remove it, or use a \
             backend at an address",
        ],
    ),
    Case(
        &[NODE, PROXY, "send_proxy = 'v2'\ncheck = { type = 'mysql', user = 'lb' }\n"],
        &["8: proxy[0].check.type: a mysql check has no PROXY header, and `send_proxy` says that \
             backends need one; use \"tcp\" or \"exec\", or a `port` that needs none"],
    ),
];

/// 107 bytes: one too many behind a slash.
const LONG: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
                    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

pub(in crate::mistakes) const MYSQL: &[Case] = &[
    Case(
        &[
            NODE,
            PROXY,
            "protocol = 'mysql'\nrole = 'replica'\npromotion_wait = '0s'\nmax_lag = '8days'\n\
             lag_return = '9days'\nclose_lag = '0s'\n",
            "[proxy.monitor]\nuser = ''\npassword_file = 'pw'\ntls = { ca = 'ca.pem' }\n\
             interval = '100ms'\ntimeout = '100ms'\nfall = 0\n",
        ],
        &[
            "9: proxy[0].promotion_wait: nothing can be done in no time; use \"5s\", for example",
            "10: proxy[0].max_lag: 8days is too long; use at most \"7days\"",
            "11: proxy[0].lag_return: 9days is more than the `max_lag` of 8days; shorten it, or \
             remove it: that is a half",
            "12: proxy[0].close_lag: nothing can be done in no time; use \"5s\", for example",
            "12: proxy[0].close_lag: 0s is less than the `max_lag` of 8days; set a `max_lag` that is \
             at most as long",
            "14: proxy[0].monitor.user: nobody; name a user",
            "15: proxy[0].monitor.password_file: not an absolute path; begin it with `/`",
            "16: proxy[0].monitor.tls.ca: not an absolute path; begin it with `/`",
            "17: proxy[0].monitor.interval: 100ms is too short; use at least \"200ms\"",
            "18: proxy[0].monitor.timeout: 100ms is not between nothing and the interval of 100ms; \
             shorten it, or lengthen `interval`",
            "19: proxy[0].monitor.fall: 0 results cannot change anything; use 1 or more",
        ],
    ),
    Case(
        &[
            NODE,
            PROXY,
            "protocol = 'mysql'\nrole = 'replica'\nlag_return = '1s'\nclose_lag = '60s'\n",
            "monitor = { user = 'lb', interval = '8days', timeout = '0s' }\n",
        ],
        &[
            "9: proxy[0].lag_return: there is no `max_lag` to come back from; add a `max_lag`, or \
             remove it",
            "10: proxy[0].close_lag: a replica whose sessions are closed must not take new ones; set \
             a `max_lag` that is at most as long",
            "11: proxy[0].monitor.interval: 8days is too long; use at most \"7days\"",
            "11: proxy[0].monitor.timeout: 0s is not between nothing and the interval of 8days; \
             shorten it, or lengthen `interval`",
        ],
    ),
];
