//! What help and man pages say after the arguments.
//!
//! Each text is a list of sections with a blank line between: a heading with a colon, then indented
//! lines. Examples are shown as they stand; in other sections each line is an entry, which is parted
//! from its explanation by two spaces or more, and goes on in lines that are indented further.

pub(super) const LB_ABOUT: &str = "\
A layer-4 load balancer: an XDP program sends every packet for a virtual IP address to one of the \
service's backends by consistent hashing.

`lb run` is the daemon. The other commands talk to it through its Unix socket, which speaks HTTP \
and JSON: `curl --unix-socket /run/lb/lb.sock http://lb/v1/status` works as well.

Data goes to stdout, everything else to stderr.";

pub(super) const LB: &str = "\
Exit codes:
  0  done; also if what a change asks for is so already
  1  failed: the daemon refused the request, or something went wrong on the way
  2  bad input: the command line or the configuration file
  3  no daemon answers

Environment:
  LB_SOCKET  the daemon's socket, as --socket
  LB_LOG     what `lb run` logs: see there
  NO_COLOR   if not empty, output is not coloured

Files:
  /etc/lb/lb.toml  the usual place of the configuration, to be named with --config
  /run/lb/lb.sock  the daemon's socket
  /sys/fs/bpf/lb   the pinned program, maps and links: while they are there, packets flow";

pub(super) const RUN: &str = "\
Examples:
  lb run --config /etc/lb/lb.toml
  LB_LOG=debug lb run --config lb.toml
  LB_LOG=lb::drops=debug lb run --config lb.toml

Exit codes:
  0  stopped by a signal
  1  failed
  2  wrong configuration

Environment:
  LB_LOG    what is logged besides `info`: a level (error, warn, info, debug, trace) for all, or
            for one module (lb_userspace::health=debug); several are parted by commas.
            lb::drops=debug shows dropped frames
  NO_COLOR  if not empty, the log is not coloured

Files:
  /run/lb/lb.sock  the control socket, in `node.runtime_dir`
  /run/lb/lb.lock  the lock, with the daemon's process id
  /sys/fs/bpf/lb   the pinned program, maps and links, in `node.pin_dir`; to delete them ends the
                   balancing";

pub(super) const CHECK: &str = "\
Examples:
  lb check /etc/lb/lb.toml && systemctl restart lb

Exit codes:
  0  valid; warnings go to stderr and do not count
  2  not valid";

pub(super) const DRAIN: &str = "\
Examples:
  lb backend drain web2
  lb backend drain web2 --deadline 10m --wait && ssh web2 reboot
  lb backend drain web2 --service web

What is left:
  Connections that had a packet since the drain began are remembered and counted. One that is
  silent for long is not: it may turn up until the service's window is over. --wait ends when both
  are over, or at the deadline.";

pub(super) const PLAN: &str = "\
Examples:
  lb plan                # what `lb reload` would do
  lb plan new.toml       # what `lb apply new.toml` would do
  lb plan new.toml --json | jq -r '.cut[]'

Signs:
  +  new
  ~  changed
  -  gone";

pub(super) const STATS: &str = "\
Examples:
  lb stats
  lb stats --watch
  lb stats --watch 5
  lb stats --json | jq .verdicts
  lb stats --json --watch          # one object a line";

pub(super) const EVENTS: &str = "\
Examples:
  lb events
  lb events --follow --service web
  lb events --since 17 -n 1000
  lb events --json | jq -r '.events[] | select(.kind == \"down\") | .backend'
  lb events --follow --json        # one object a line";

pub(super) const DECAP: &str = "\
Examples:
  lb decap --interface eth0 --from 10.0.0.0/24
  lb decap --interface eth0 --from 10.0.0.0/24 --from fd00:1::/64 --gue-port 6080
  lb decap --interface eth0 --show
  lb decap --interface eth0 --show --json | jq .verdicts
  lb decap --interface eth0 --detach

Exit codes:
  0  done
  1  failed: not root, no bpffs, no such interface, or nothing attached
  2  bad command line

Files:
  /sys/fs/bpf/lb-decap/INTERFACE  the pinned program with its maps: while it is there, tunnels are
                                  undone";

pub(super) const BACKEND_SETUP: &str = "\
Examples:
  lb backend-setup --print --mode l2 --vip 192.0.2.10
  lb backend-setup --apply --mode ipip --vip 192.0.2.10 --from 10.0.0.0/24
  lb backend-setup --check --mode gue --vip 192.0.2.10 --vip 2001:db8::20 --from 10.0.0.0/24
  lb backend-setup --check --mode nat --gateway 10.0.0.2
  lb backend-setup --apply --config lb.toml --service web --from 10.0.0.0/24

Exit codes:
  0  done; with `--check`: nothing is missing
  1  something is missing, or failed
  2  bad command line or configuration";
