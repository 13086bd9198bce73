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

pub(super) const STATS: &str = "\
Examples:
  lb stats
  lb stats --watch
  lb stats --watch 5
  lb stats --json | jq .verdicts
  lb stats --json --watch          # one object a line";
