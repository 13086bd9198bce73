//! Bad virtual routers.

mod rules;

pub(super) use rules::RULES;

use super::Case;
use crate::NODE;

/// Begins in line 4 when it follows [`NODE`], as [`SIX`].
const ROUTER: &str =
    "[[vrrp]]\nname = 'out'\ninterface = 'eth0'\nid = 51\naddresses = ['203.0.113.10/24']\n";
const SIX: &str =
    "[[vrrp]]\nname = 'six'\ninterface = 'eth0'\nid = 51\naddresses = ['2001:db8::10']\n";

pub(super) const KEYS: &[Case] = &[
    Case(
        &[NODE, "[[vrrp]]\n"],
        &[
            "4: vrrp[0].name: missing; add `name = \"web\"`",
            "4: vrrp[0].interface: missing; add `interface = \"eth0\"`",
            "4: vrrp[0].id: missing; add `id = 51`",
            "4: vrrp[0].addresses: missing; add `addresses = [\"203.0.113.10\"]`",
        ],
    ),
    Case(
        &[NODE, "[vrrp]\nname = 'out'\n"],
        &["4: vrrp: must be an array of tables, not a table; begin each with a line `[[vrrp]]`"],
    ),
    Case(
        &[NODE, ROUTER, "state = 'MASTER'\n"],
        &["9: vrrp[0].state: unknown key; remove it; known here: name, interface, id, version, \
             addresses, priority, interval, preempt, preempt_delay, source, peers, virtual_mac, \
             checksum, group, announce, track"],
    ),
    Case(
        &[NODE, ROUTER, "pre_empt = false\n"],
        &["9: vrrp[0].pre_empt: unknown key; did you mean `preempt`? Known here: name, \
             interface, id, version, addresses, priority, interval, preempt, preempt_delay, \
             source, peers, virtual_mac, checksum, group, announce, track"],
    ),
    Case(
        &[NODE, "[[vrrp]]\nname = 1\ninterface = ['eth0']\nid = 0\naddresses = '203.0.113.10'\n"],
        &[
            "5: vrrp[0].name: must be a string, not an integer; put it in double quotes",
            "6: vrrp[0].interface: must be a string, not an array; write a string",
            "7: vrrp[0].id: 0 is not the number of a virtual router; use 1 to 255",
            "8: vrrp[0].addresses: must be an array, not a string; write an array",
        ],
    ),
    Case(
        &[
            NODE,
            ROUTER,
            "version = 4\npriority = 0\ninterval = 1\npreempt = 'no'\nchecksum = 'v2'\n",
        ],
        &[
            "9: vrrp[0].version: 4 is not a version of VRRP; use 2 or 3",
            "10: vrrp[0].priority: 0 is not a priority; use 1 to 255",
            "11: vrrp[0].interval: 1 has no unit; write a number with a unit, such as \"200ms\", \
             \"1s\" or \"2m\"",
            "12: vrrp[0].preempt: must be true or false, not a string; write true or false",
            "13: vrrp[0].checksum: `v2` is not known here; use \"auto\", \"pseudo-header\" or \
             \"plain\"",
        ],
    ),
    Case(
        &[
            NODE,
            ROUTER,
            "priority = 256\nsource = '10.0.0.1/24'\npeers = ['node2']\ngroup = 1\n\
             virtual_mac = 1\n",
        ],
        &[
            "9: vrrp[0].priority: 256 is not a priority; use 1 to 255",
            "10: vrrp[0].source: `10.0.0.1/24` is not an IP address; write it without a prefix \
             length",
            "11: vrrp[0].peers[0]: `node2` is not an IP address; write an address such as \
             192.0.2.10 or 2001:db8::10",
            "12: vrrp[0].group: must be a string, not an integer; put it in double quotes",
            "13: vrrp[0].virtual_mac: must be true or false, not an integer; write true or false",
        ],
    ),
    Case(
        &[
            NODE,
            "[[vrrp]]\nname = 'out'\ninterface = 'eth0'\nid = 256\n\
             addresses = ['vip', '203.0.113.10/0', '203.0.113.11/33', '2001:db8::1/129']\n",
        ],
        &[
            "7: vrrp[0].id: 256 is not the number of a virtual router; use 1 to 255",
            "8: vrrp[0].addresses[0]: `vip` is not an IP address; write an address such as \
             192.0.2.10 or 2001:db8::10",
            "8: vrrp[0].addresses[1]: `203.0.113.10/0` has no valid prefix length; use /1 to /32, \
             or leave it out: that is /32",
            "8: vrrp[0].addresses[2]: `203.0.113.11/33` has no valid prefix length; use /1 to \
             /32, or leave it out: that is /32",
            "8: vrrp[0].addresses[3]: `2001:db8::1/129` has no valid prefix length; use /1 to \
             /128, or leave it out: that is /128",
        ],
    ),
    Case(
        &[
            NODE,
            ROUTER,
            "announce = { copies = 0, repeat_after = 5, refresh = 'never', count = 1 }\n",
        ],
        &[
            "9: vrrp[0].announce.count: unknown key; remove it; known here: copies, repeat_after, \
             refresh",
            "9: vrrp[0].announce.copies: 0 is not a number of frames; use 1 to 255",
            "9: vrrp[0].announce.repeat_after: 5 has no unit; write a number with a unit, such as \
             \"200ms\", \"1s\" or \"2m\"",
            "9: vrrp[0].announce.refresh: `never` is not a duration; write a number with a unit, \
             such as \"200ms\", \"1s\" or \"2m\"",
        ],
    ),
    Case(
        &[NODE, ROUTER, "announce = 5\n"],
        &["9: vrrp[0].announce: must be a table, not an integer; write a table"],
    ),
    Case(
        &[NODE, ROUTER, "[vrrp.track]\ninterface = 'eth1'\n"],
        &["9: vrrp[0].track: must be an array of tables, not a table; begin each with a line \
             `[[vrrp.track]]`"],
    ),
    Case(
        &[NODE, ROUTER, "[[vrrp.track]]\nweight = -10\n"],
        &["9: vrrp[0].track[0].interface: missing; add `interface = \"eth1\"`, or `script`, \
             `datapath` or `service`"],
    ),
    Case(
        &[
            NODE,
            ROUTER,
            "[[vrrp.track]]\ninterface = 'eth1'\nscript = ['/bin/ok']\ndatapath = true\n",
        ],
        &[
            "11: vrrp[0].track[0].script: `interface` is there as well; keep one of them, and \
             make another [[vrrp.track]] of the other",
            "12: vrrp[0].track[0].datapath: `interface` is there as well; keep one of them, and \
             make another [[vrrp.track]] of the other",
        ],
    ),
    Case(
        &[
            NODE,
            ROUTER,
            "[[vrrp.track]]\ndatapath = false\n[[vrrp.track]]\ndatapath = 1\nweight = -255\n\
             rise = -1\n",
        ],
        &[
            "10: vrrp[0].track[0].datapath: `false` tracks nothing; write `true`, or remove the \
             track",
            "12: vrrp[0].track[1].datapath: must be true or false, not an integer; write true or \
             false",
            "13: vrrp[0].track[1].weight: -255 is not the weight of a track; use -254 to 254",
            "14: vrrp[0].track[1].rise: -1 is out of range; use 1 to 4294967295",
        ],
    ),
    Case(
        &[NODE, ROUTER, "[[vrrp.track]]\ninterface = 'eth1'\ninterval = '1s'\ntimeout = '1s'\n"],
        &[
            "11: vrrp[0].track[0].interval: only a script has it; remove it, or track a `script`",
            "12: vrrp[0].track[0].timeout: only a script has it; remove it, or track a `script`",
        ],
    ),
    Case(
        &[NODE, ROUTER, "[[vrrp.track]]\nscript = '/bin/ok'\ninterval = 1\n"],
        &[
            "10: vrrp[0].track[0].script: must be an array, not a string; write an array",
            "11: vrrp[0].track[0].interval: 1 has no unit; write a number with a unit, such as \
             \"200ms\", \"1s\" or \"2m\"",
        ],
    ),
    // What names a service that cannot be read is not told of.
    Case(
        &[
            NODE,
            "[[service]]\nname = 'web'\nvip = 'vip'\nport = 80\nforward = 'l2'\n",
            ROUTER,
            "[[vrrp.track]]\nservice = 'web'\nrise = 0\n",
        ],
        &[
            "6: service[0].vip: `vip` is not an IP address; write an address such as 192.0.2.10 \
             or 2001:db8::10",
            "16: vrrp[0].track[0].rise: 0 results cannot change anything; use 1 or more",
        ],
    ),
    // One that cannot be read does not hide what is wrong with the next.
    Case(
        &[NODE, "[[vrrp]]\nname = 'out'\n", SIX, "interval = '15ms'\n"],
        &[
            "4: vrrp[0].interface: missing; add `interface = \"eth0\"`",
            "4: vrrp[0].id: missing; add `id = 51`",
            "4: vrrp[0].addresses: missing; add `addresses = [\"203.0.113.10\"]`",
            "11: vrrp[1].interval: 15ms cannot be said in VRRP version 3; use steps of 10ms, \
             \"10ms\" to \"40s 950ms\"",
        ],
    ),
];
