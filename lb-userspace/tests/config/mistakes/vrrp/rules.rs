//! Virtual routers that break rules.

use super::{Case, ROUTER, SIX};
use crate::{NODE, SERVICE};

pub(in super::super) const RULES: &[Case] = &[
    Case(
        &[
            NODE,
            "[[vrrp]]\nname = 'a b'\ninterface = 'a-name-too-long-'\nid = 51\n\
             addresses = ['203.0.113.10']\ngroup = ''\n",
        ],
        &[
            "5: vrrp[0].name: \"a b\" cannot be a name; use 1 to 64 bytes without spaces, \
             beginning with other than `-`",
            "6: vrrp[0].interface: `a-name-too-long-` cannot be the name of an interface; use a \
             name that `ip link` shows, of 1 to 15 bytes",
            "9: vrrp[0].group: \"\" cannot be a name; use 1 to 64 bytes without spaces, beginning \
             with other than `-`",
        ],
    ),
    Case(
        &[
            NODE,
            "[[vrrp]]\nname = 'out'\ninterface = 'eth0'\nid = 51\n\
             addresses = ['224.0.0.18', '203.0.113.10', '203.0.113.10/24', '2001:db8::10']\n",
        ],
        &[
            "8: vrrp[0].addresses[0]: 224.0.0.18 is a multicast address; use a unicast address \
             that is routed to one host",
            "8: vrrp[0].addresses[3]: 2001:db8::10 is not of the family of 224.0.0.18; make a \
             virtual router of its own for each family",
            "8: vrrp[0].addresses[2]: 203.0.113.10 is an address of `out` already; name each \
             address once",
        ],
    ),
    Case(
        &[
            NODE,
            "[[vrrp]]\nname = 'out'\ninterface = 'eth0'\nid = 51\n\
             addresses = ['::ffff:203.0.113.11']\n",
        ],
        &["8: vrrp[0].addresses[0]: ::ffff:203.0.113.11 is an IPv4-mapped address; write it as \
             an IPv4 address"],
    ),
    Case(
        &[
            NODE,
            "[[vrrp]]\nname = 'out'\ninterface = 'eth0'\nid = 51\naddresses = []\n\
             checksum = 'plain'\n",
        ],
        &["8: vrrp[0].addresses: there is none; name one, such as \"203.0.113.10\""],
    ),
    Case(
        &[NODE, ROUTER, "interval = '15ms'\n"],
        &["9: vrrp[0].interval: 15ms cannot be said in VRRP version 3; use steps of 10ms, \
             \"10ms\" to \"40s 950ms\""],
    ),
    Case(
        &[NODE, ROUTER, "interval = '41s'\n"],
        &["9: vrrp[0].interval: 41s cannot be said in VRRP version 3; use steps of 10ms, \
             \"10ms\" to \"40s 950ms\""],
    ),
    Case(
        &[NODE, ROUTER, "interval = '0s'\n"],
        &["9: vrrp[0].interval: 0s cannot be said in VRRP version 3; use steps of 10ms, \
             \"10ms\" to \"40s 950ms\""],
    ),
    Case(
        &[NODE, ROUTER, "version = 2\ninterval = '1500ms'\n"],
        &["10: vrrp[0].interval: 1s 500ms cannot be said in VRRP version 2; use whole seconds, \
             \"1s\" to \"255s\""],
    ),
    Case(
        &[NODE, ROUTER, "version = 2\ninterval = '256s'\nchecksum = 'plain'\n"],
        &[
            "10: vrrp[0].interval: 4m 16s cannot be said in VRRP version 2; use whole seconds, \
             \"1s\" to \"255s\"",
            "11: vrrp[0].checksum: only version 3 over IPv4 has a choice of checksums; remove it",
        ],
    ),
    Case(
        &[NODE, SIX, "version = 2\n"],
        &["9: vrrp[0].version: VRRP version 2 is for IPv4 only; use version 3"],
    ),
    Case(
        &[NODE, SIX, "checksum = 'pseudo-header'\nsource = '2001:db8::2'\n"],
        &[
            "9: vrrp[0].checksum: only version 3 over IPv4 has a choice of checksums; remove it",
            "10: vrrp[0].source: 2001:db8::2 is not link-local, as adverts to the group must be; \
             use the interface's fe80:: address, remove it, or name `peers`",
        ],
    ),
    Case(
        &[
            NODE,
            SIX,
            "source = '10.0.0.2'\npeers = ['10.0.0.3', 'fe80::3', 'fe80::3', '2001:db8::10']\n",
        ],
        &[
            "9: vrrp[0].source: 10.0.0.2 is not of the family of the addresses, IPv6; use an \
             address of that family, or remove it",
            "10: vrrp[0].peers[0]: 10.0.0.3 is not of the family of the addresses, IPv6; name the \
             other router's own address",
            "10: vrrp[0].peers[3]: 2001:db8::10 is a virtual address, which every router may \
             have; name the other router's own address",
            "10: vrrp[0].peers[2]: fe80::3 is named twice; name each peer once",
        ],
    ),
    Case(
        &[NODE, ROUTER, "source = '203.0.113.10'\npeers = ['203.0.113.10', '0.0.0.0']\n"],
        &[
            "9: vrrp[0].source: 203.0.113.10 is a virtual address, which only the master has; use \
             an address that this node always has, or remove it",
            "10: vrrp[0].peers[0]: 203.0.113.10 is this node's own `source`; name the other \
             router's own address",
            "10: vrrp[0].peers[1]: 0.0.0.0 is unspecified; use a unicast address that is routed \
             to one host",
        ],
    ),
    Case(
        &[NODE, ROUTER, "source = '10.0.0.2'\npeers = ['10.0.0.2', '2001:db8::3']\n"],
        &[
            "10: vrrp[0].peers[0]: 10.0.0.2 is this node's own `source`; name the other router's \
             own address",
            "10: vrrp[0].peers[1]: 2001:db8::3 is not of the family of the addresses, IPv4; name \
             the other router's own address",
        ],
    ),
    Case(
        &[NODE, ROUTER, "source = '224.0.0.18'\n"],
        &["9: vrrp[0].source: 224.0.0.18 is a multicast address; use a unicast address that is \
             routed to one host"],
    ),
    Case(
        &[NODE, ROUTER, "preempt = false\npreempt_delay = '10s'\n"],
        &["10: vrrp[0].preempt_delay: with `preempt = false` nothing is delayed; remove it"],
    ),
    Case(
        &[NODE, ROUTER, "preempt_delay = '2h'\n"],
        &["9: vrrp[0].preempt_delay: 2h is too long; use at most \"1h\""],
    ),
    Case(
        &[
            NODE,
            ROUTER,
            "priority = 255\npreempt = false\npreempt_delay = '1s'\n[[vrrp.track]]\n\
             interface = 'eth1'\n[[vrrp.track]]\ndatapath = true\nweight = -10\n",
        ],
        &[
            "10: vrrp[0].preempt: an owner (priority 255) always preempts; remove it, or use a \
             `priority` of at most 254",
            "11: vrrp[0].preempt_delay: an owner (priority 255) takes its addresses at once; \
             remove it",
            "16: vrrp[0].track[1].weight: the priority of an owner is 255, always; remove it, so \
             that a failure gives the addresses up, or use a `priority` of at most 254",
        ],
    ),
    Case(
        &[NODE, ROUTER, "announce = { repeat_after = '2h', refresh = '10ms' }\n"],
        &[
            "9: vrrp[0].announce.repeat_after: 2h is too long; use at most \"1h\"",
            "9: vrrp[0].announce.refresh: 10ms is out of range; use \"1s\" to \"24h\", or \"0s\" \
             for none",
        ],
    ),
    Case(
        &[NODE, ROUTER, ROUTER],
        &[
            "10: vrrp[1].name: another virtual router is named `out` as well; give each virtual \
             router its own name",
            "12: vrrp[1].id: 51 on eth0 over IPv4 is `out` already; use an id that no virtual \
             router on this link has",
            "13: vrrp[1].addresses[0]: 203.0.113.10 is an address of `out` already; name each \
             address once",
        ],
    ),
    Case(
        &[
            NODE,
            SIX,
            "[[vrrp]]\nname = 'other'\ninterface = 'eth1'\nid = 51\n\
             addresses = ['2001:db8::10/64']\n",
        ],
        &["13: vrrp[1].addresses[0]: 2001:db8::10 is an address of `six` already; name each \
             address once"],
    ),
    Case(
        &[NODE, SERVICE, "backend = [{ address = '203.0.113.10' }]\n", ROUTER],
        &["9: service[0].backend[0].address: 203.0.113.10 of backend `203.0.113.10` is a VIP of \
             this node; use the backend's own address"],
    ),
    Case(
        &[NODE, "probe_aliases = ['203.0.0.0/16']\n", SERVICE, "check.type = 'tcp'\n", ROUTER],
        &["4: node.probe_aliases: 203.0.0.0/16 has 203.0.113.10 of the virtual router `out`; \
             use a prefix that nothing on this network has"],
    ),
    Case(
        &[
            NODE,
            ROUTER,
            "[[vrrp.track]]\ninterface = 'eth/0'\nrise = 0\nfall = 0\n[[vrrp.track]]\n\
             service = 'web'\n",
        ],
        &[
            "10: vrrp[0].track[0].interface: `eth/0` cannot be the name of an interface; use a \
             name that `ip link` shows, of 1 to 15 bytes",
            "11: vrrp[0].track[0].rise: 0 results cannot change anything; use 1 or more",
            "12: vrrp[0].track[0].fall: 0 results cannot change anything; use 1 or more",
            "14: vrrp[0].track[1].service: there is no service `web`; use the name of a \
             [[service]]",
        ],
    ),
    Case(
        &[
            NODE,
            ROUTER,
            "[[vrrp.track]]\nscript = []\ntimeout = '0s'\n[[vrrp.track]]\nscript = ['ok']\n\
             interval = '400ms'\n[[vrrp.track]]\nscript = ['/bin/ok', '-v']\ninterval = '2h'\n",
        ],
        &[
            "10: vrrp[0].track[0].script: it is empty; write `script = [\"/usr/local/bin/ok\"]`",
            "11: vrrp[0].track[0].timeout: no script can end in no time; use \"500ms\", for \
             example",
            "12: vrrp[0].track[1].timeout: 500ms is more than the interval of 400ms; shorten it, \
             or lengthen `interval`",
            "13: vrrp[0].track[1].script: not an absolute path; begin it with `/`",
            "17: vrrp[0].track[2].interval: 2h is too long; use at most \"1h\"",
        ],
    ),
    Case(
        &[
            NODE,
            ROUTER,
            "[[vrrp.track]]\ndatapath = true\n[[vrrp.track]]\ndatapath = true\nweight = 5\n",
        ],
        &["12: vrrp[0].track[1].datapath: it is tracked already; keep one of both"],
    ),
];
