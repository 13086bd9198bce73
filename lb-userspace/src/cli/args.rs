//! The commands, their arguments and their help.

use std::{path::PathBuf, time::Duration};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, builder::ValueParser};
use clap_complete::Shell;

use super::{
    backend_setup::SetupArgs,
    decap::DecapArgs,
    events::EventsArgs,
    explain::ExplainArgs,
    global::{self, Global},
    help,
    order::Order,
};

/// `lb`'s arguments.
#[derive(Debug, Parser)]
#[command(name = "lb", version, propagate_version = true, max_term_width = 100)]
#[command(about = "A layer-4 load balancer in XDP", long_about = help::LB_ABOUT)]
#[command(after_long_help = help::LB)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

impl Args {
    /// The command with everything that `--help` and the man pages show.
    pub(super) fn whole_command() -> clap::Command {
        global::hide(Self::command())
    }

    /// The process's arguments.
    pub(super) fn from_process() -> Result<Self, clap::Error> {
        let mut command = Self::whole_command();
        let matches = command.try_get_matches_from_mut(std::env::args_os())?;
        global::check(&mut command, &matches)?;
        Self::from_arg_matches(&matches)
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the daemon
    ///
    /// It takes over what an earlier daemon left in the kernel, so that packets flow while it is
    /// restarted. It stops at SIGINT or SIGTERM, and logs to stderr.
    #[command(after_long_help = help::RUN)]
    Run {
        /// The configuration; that of the demo site if left out
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Take the program off the interfaces, and all else that a stopped daemon left
    ///
    /// Unpins the maps too: connections are forgotten, and drains with them. While a daemon runs,
    /// nothing is touched.
    #[command(after_long_help = "\
Examples:
  systemctl stop lb && lb detach --config /etc/lb/lb.toml")]
    Detach {
        /// The configuration that the daemon was run with; that of the demo site if left out
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Check a configuration file
    ///
    /// Prints every error with file, line, key and remedy. Whether the machine has the file's
    /// interfaces is checked by `lb run` only.
    #[command(after_long_help = help::CHECK)]
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
    /// service's ring. Rates are computed from the last two samples.
    #[command(after_long_help = help::STATS)]
    Stats {
        /// Go on until interrupted, once in this many seconds (0.1 to 3600; 1 if left out)
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1")]
        #[arg(value_parser = ValueParser::new(seconds))]
        watch: Option<Duration>,
    },
    /// Show what a configuration file would change, and change nothing
    ///
    /// Services, backends and keys that are new, changed or gone; the slots that move; and what happens
    /// to connections that are open. Exit code 2 if the file is not valid.
    #[command(after_long_help = help::PLAN)]
    Plan {
        /// The file; the daemon's own, as it stands now, if left out
        file: Option<PathBuf>,
    },
    /// Put a configuration file in force
    ///
    /// The whole file is checked first; then only what differs is changed. Health, drains, counters
    /// and connections survive, run-time changes stay over it. A restarted daemon reads its own file.
    #[command(after_long_help = "\
Examples:
  lb plan new.toml && lb apply new.toml")]
    Apply {
        /// The file
        file: PathBuf,
    },
    /// Read the daemon's configuration file anew
    ///
    /// As `lb apply` of the daemon's own file. The signal SIGHUP does the same.
    #[command(after_long_help = "\
Examples:
  lb plan && lb reload
  systemctl reload lb")]
    Reload,
    /// Show the run-time changes: what differs from the configuration file
    #[command(after_long_help = "\
Examples:
  lb diff
  lb diff --json | jq -r '.[].subject'")]
    Diff,
    /// Write the run-time changes into the daemon's configuration file
    ///
    /// Only what differs is written; comments and form stay. A drain is written without its deadline.
    #[command(after_long_help = "\
Examples:
  lb diff && lb save")]
    Save,
    /// Drop the run-time changes: the configuration file alone is in force
    #[command(after_long_help = "\
Examples:
  lb diff && lb revert")]
    Revert,
    /// Show the virtual routers: who is master, since when, and what was heard
    #[command(after_long_help = "\
Examples:
  lb vrrp
  lb vrrp --json | jq -r '.routers[] | select(.state == \"master\") | .name'")]
    Vrrp,
    /// Hand the addresses of virtual routers over to another node
    ///
    /// This node resigns, so that another one takes over at once, and takes them back only when that
    /// one is lost, whatever the priorities.
    #[command(after_long_help = "\
Examples:
  lb failover
  lb failover web")]
    Failover {
        /// A virtual router or a group; all of which this node is master if left out
        router: Option<String>,
    },
    /// Show, announce and withdraw routes
    #[command(subcommand)]
    Route(RouteCommand),
    /// Show proxies
    #[command(subcommand)]
    Proxy(ProxyCommand),
    /// Show the sessions of proxies that go on
    ///
    /// Also those of a forwarder that another has followed, which end by themselves.
    #[command(after_long_help = "\
Examples:
  lb sessions
  lb sessions --proxy app --backend app1
  lb sessions --json | jq -r '.[] | select(.age_ms > 3600000) | .id'")]
    Sessions {
        /// Only those of this proxy
        #[arg(long, value_name = "PROXY")]
        proxy: Option<String>,
        /// Only those that have this backend
        #[arg(long, value_name = "BACKEND")]
        backend: Option<String>,
    },
    /// End sessions of proxies
    #[command(subcommand)]
    Session(SessionCommand),
    /// Forward sessions for a daemon, which starts this process itself
    #[command(hide = true)]
    ProxyForwarder {
        /// The open file that the forwarder before has left
        #[arg(long)]
        legacy: Option<std::os::fd::RawFd>,
    },
    /// Speak VRRP for a daemon, which starts this process itself
    #[command(hide = true)]
    VrrpSpeaker {
        /// The open file that the speaker before has left
        #[arg(long)]
        legacy: Option<std::os::fd::RawFd>,
    },
    Events(EventsArgs),
    Explain(ExplainArgs),
    Decap(DecapArgs),
    BackendSetup(Box<SetupArgs>),
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
  lb man /usr/local/share/man/man8")]
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
pub(super) enum ProxyCommand {
    /// List the proxies with their backends, and what was counted of their sessions
    ///
    /// Their backends are drained, weighted, added and removed as services' are: `lb backend`.
    #[command(after_long_help = "\
Examples:
  lb proxy list
  lb proxy list --json | jq -r '.[] | [.name, .primary] | @tsv'")]
    List,
}

#[derive(Debug, Subcommand)]
pub(super) enum SessionCommand {
    /// Reset a session on both sides
    #[command(after_long_help = "\
Examples:
  lb session kill 4242-17
  lb sessions --json | jq -r '.[].id' | xargs -n 1 lb session kill")]
    Kill {
        /// Its id, as `lb sessions` shows it
        #[arg(value_name = "SESSION")]
        session: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum RouteCommand {
    /// List the routes: which are announced, since when, and why
    #[command(after_long_help = "\
Examples:
  lb route list
  lb route list --json | jq -r '.[] | select(.state == \"withdrawn\") | .name'")]
    List,
    /// Withdraw routes: other nodes get their packets
    ///
    /// They stay withdrawn until they are announced again, also while the daemon is restarted or
    /// upgraded. Connections go on through the other nodes.
    #[command(after_long_help = "\
Examples:
  lb route withdraw web
  lb route withdraw && sleep 10 && systemctl stop lb && lb detach --config /etc/lb/lb.toml")]
    Withdraw {
        /// The route; all if left out
        route: Option<String>,
    },
    /// Announce routes again, as soon as all that they track is well
    #[command(after_long_help = "\
Examples:
  lb route announce web
  lb route announce")]
    Announce {
        /// The route; all if left out
        route: Option<String>,
    },
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
    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Args::whole_command().debug_assert();
    }
}
