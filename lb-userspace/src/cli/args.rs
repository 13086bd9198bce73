//! The commands, their arguments and their help.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::{Parser, Subcommand, builder::ValueParser, value_parser};
use clap_complete::Shell;

use crate::{api::types::Change, config::MAX_WEIGHT};

const EXIT_CODES: &str = "\
Exit codes:
  0  done; also if what a change asks for is so already
  1  failed: the daemon refused the request, or something went wrong on the way
  2  bad input: the command line or the configuration file
  3  no daemon answers

Data goes to stdout, everything else to stderr.";

const GLOBAL: &str = "Global options";

const LONG_ABOUT: &str = "\
A layer-4 load balancer: an XDP program sends every packet for a virtual IP address to one of the \
service's backends by consistent hashing.

`lb run` is the daemon. The other commands talk to it through its Unix socket, which speaks HTTP \
and JSON: `curl --unix-socket /run/lb/lb.sock http://lb/v1/status` works as well.";

/// `lb`'s arguments.
#[derive(Debug, Parser)]
#[command(name = "lb", version, propagate_version = true, max_term_width = 100)]
#[command(about = "A layer-4 load balancer in XDP", long_about = LONG_ABOUT)]
#[command(after_long_help = EXIT_CODES)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, clap::Args)]
pub(super) struct Global {
    /// The daemon's socket
    ///
    /// It stands in the `runtime_dir` of the daemon's configuration. `lb run` itself takes it from
    /// there.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "PATH")]
    #[arg(env = "LB_SOCKET", default_value = "/run/lb/lb.sock")]
    pub(super) socket: PathBuf,
    /// Print JSON instead of tables
    ///
    /// The objects are those of the daemon's API, with exact numbers.
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the daemon
    ///
    /// It takes over what an earlier daemon left in the kernel, so that packets flow while it is
    /// restarted. It stops at SIGINT or SIGTERM.
    #[command(after_long_help = "\
Examples:
  lb run --config /etc/lb/lb.toml
  LB_LOG=debug lb run --config lb.toml

The log goes to stderr. LB_LOG sets its level (error, warn, info, debug, trace; info by default), \
for single modules too: LB_LOG=info,lb_userspace::health=debug.

Exit codes: 0 stopped by a signal, 1 failed, 2 wrong configuration.")]
    Run {
        /// The configuration; that of the demo site if left out
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Check a configuration file
    ///
    /// Prints every error with file, line, key and remedy. Whether the machine has the file's
    /// interfaces is checked by `lb run` only.
    #[command(after_long_help = "\
Examples:
  lb check /etc/lb/lb.toml && systemctl restart lb

Exit codes: 0 valid, 2 not valid. Warnings go to stderr and do not count.")]
    Check {
        /// The file
        file: PathBuf,
    },
    /// Show the node as a whole
    #[command(after_long_help = "\
Examples:
  lb status
  lb status --json | jq -r '.problems[]'")]
    Status,
    /// Show services
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Show and change backends
    #[command(subcommand)]
    Backend(BackendCommand),
    /// Show the packets by verdict, and the backends with their traffic
    ///
    /// Verdicts without packets are left out. A backend's share is its part of the slots of the
    /// service's ring.
    #[command(after_long_help = "\
Examples:
  lb stats
  lb stats --watch
  lb stats --watch 5
  lb stats --json | jq .verdicts
  lb stats --json --watch          # one object a line

Rates are computed from the last two samples.")]
    Stats {
        /// Go on until interrupted, once in this many seconds (0.1 to 3600; 1 if left out)
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1")]
        #[arg(value_parser = ValueParser::new(seconds))]
        watch: Option<Duration>,
    },
    /// Print a completion script for a shell
    #[command(after_long_help = "\
Examples:
  lb completions bash > /etc/bash_completion.d/lb
  lb completions fish > ~/.config/fish/completions/lb.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the man pages of all commands
    #[command(after_long_help = "\
Examples:
  lb man /usr/local/share/man/man1")]
    Man {
        /// Where to; made if missing
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ServiceCommand {
    /// List the services
    #[command(after_long_help = "\
Examples:
  lb service list
  lb service list --json | jq -r '.[].name'")]
    List,
}

#[derive(Debug, Subcommand)]
pub(super) enum BackendCommand {
    /// List the backends
    #[command(after_long_help = "\
Examples:
  lb backend list
  lb backend list --service web
  lb backend list --json | jq -r '.[] | select(.health == \"down\") | .name'")]
    List {
        /// Only those of this service
        #[arg(long, value_name = "SERVICE")]
        service: Option<String>,
    },
    #[command(flatten)]
    Change(Order),
}

#[derive(Debug, Subcommand)]
pub(super) enum Order {
    /// Add a backend to a service
    ///
    /// The configuration file is not changed: a restarted daemon has the file's backends.
    #[command(after_long_help = "\
Examples:
  lb backend add web 10.0.0.14
  lb backend add web 10.0.0.14 --name web4 --weight 2
  lb backend add app 10.0.1.14 --name app4 --port 8080")]
    Add {
        /// The service's name
        service: String,
        /// The backend's address, of the VIP's family
        address: IpAddr,
        /// Its name; the address if left out
        #[arg(long)]
        name: Option<String>,
        /// Its port, for services with `forward = "nat"`; the service's if left out
        #[arg(long, value_parser = value_parser!(u16).range(1..))]
        port: Option<u16>,
        /// Its share in relation to the others, 0 to 1000; 1 if left out
        #[arg(long, value_parser = weight())]
        weight: Option<u16>,
    },
    /// Remove a backend
    ///
    /// Its connections are cut: drain it first to let them end.
    #[command(after_long_help = "\
Examples:
  lb backend remove web4
  lb backend remove web4 --service web")]
    Remove(Target),
    /// Set the weight of a backend
    ///
    /// Weights count in relation to each other; 0 takes no new connections.
    #[command(after_long_help = "\
Examples:
  lb backend weight web1 3
  lb backend weight web1 0 --service web")]
    Weight {
        /// The backend's name
        name: String,
        /// Its new weight, 0 to 1000
        #[arg(value_parser = weight())]
        weight: u16,
        /// Only in this service; in all that have the backend if left out
        #[arg(long, value_name = "SERVICE")]
        service: Option<String>,
    },
    /// Give a backend no new connections
    ///
    /// Draining what is draining already is no error.
    #[command(after_long_help = "\
Examples:
  lb backend drain web2
  lb backend drain web2 --service web")]
    Drain(Target),
    /// Give a backend new connections again
    #[command(after_long_help = "\
Examples:
  lb backend undrain web2")]
    Undrain(Target),
}

#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// The backend's name
    name: String,
    /// Only in this service; in all that have the backend if left out
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
}

impl From<Order> for Change {
    fn from(order: Order) -> Self {
        match order {
            Order::Add { service, address, name, port, weight } => {
                Self::Add { service, name, address, port, weight }
            }
            Order::Remove(Target { name: backend, service }) => Self::Remove { backend, service },
            Order::Weight { name: backend, weight, service } => {
                Self::Weight { backend, service, weight }
            }
            Order::Drain(Target { name: backend, service }) => Self::Drain { backend, service },
            Order::Undrain(Target { name: backend, service }) => Self::Undrain { backend, service },
        }
    }
}

fn weight() -> ValueParser {
    value_parser!(u16).range(..=i64::from(MAX_WEIGHT)).into()
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=3600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("use 0.1 to 3600".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Args::command().debug_assert();
    }
}
