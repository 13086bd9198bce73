//! The command line.
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | Done; also if what a change asks for is so already, and if the reader of the output leaves. |
//! | 1 | Failed: the daemon refused the request, or something went wrong on the way. |
//! | 2 | Bad input: the command line or the configuration file. |
//! | 3 | No daemon answers. |
//!
//! Data goes to stdout, everything else to stderr.

mod args;
mod backend_setup;
mod change;
mod check;
mod completions;
mod config;
mod decap;
mod detach;
mod events;
mod explain;
mod global;
mod help;
mod log;
mod man;
mod order;
mod output;
mod proxy;
mod route;
mod run;
mod show;
mod stats;
mod table;
mod units;
mod vrrp;

use std::{io, process::ExitCode};

use self::{
    args::{
        Args, BackendCommand, Command, ProxyCommand, RouteCommand, ServiceCommand, SessionCommand,
    },
    output::Output,
};
use crate::{api::client, backend, config::file};

/// Why a command ends early.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error("{0}")]
    NotFound(String),
    #[error(transparent)]
    Config(#[from] file::Error),
    /// `lb check --json` has printed what is wrong already.
    #[error("")]
    Reported,
    /// `lb backend-setup` has printed what is missing already.
    #[error("")]
    NotReady,
    #[error(transparent)]
    Backend(#[from] backend::Error),
    #[error("LB_LOG: {0}; use a filter such as `info` or `lb_userspace=debug`")]
    LogFilter(String),
    #[error("{0:#}")]
    Node(anyhow::Error),
    #[error("cannot write to {to}: {cause}")]
    Write { to: String, cause: io::Error },
    #[error("cannot start: {0}")]
    Runtime(io::Error),
}

impl Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Write { cause, .. } if cause.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Client(
                client::Error::NoDaemon(_) | client::Error::Ended(_) | client::Error::Silent(_),
            ) => 3,
            Self::Config(_)
            | Self::Reported
            | Self::LogFilter(_)
            | Self::Backend(backend::Error::Spec(_)) => 2,
            // What only the machine can tell, such as a missing interface, may be the file's fault.
            Self::Node(error) if error.chain().any(<dyn std::error::Error>::is::<file::Error>) => 2,
            Self::Client(
                client::Error::PermissionDenied(_)
                | client::Error::Unreachable { .. }
                | client::Error::Rejected { .. }
                | client::Error::BadAnswer { .. },
            )
            | Self::NotFound(_)
            | Self::NotReady
            | Self::Backend(_)
            | Self::Node(_)
            | Self::Write { .. }
            | Self::Runtime(_) => 1,
        }
    }
}

/// Runs the command that the process's arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::from_process() {
        Ok(args) => args,
        Err(error) => {
            // Where help cannot be written, neither can a complaint.
            let _written = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match execute(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code();
            if code != 0 && !matches!(error, Error::Reported | Error::NotReady) {
                complain(&error);
            }
            ExitCode::from(code)
        }
    }
}

fn complain(error: &Error) {
    // The lines of a wrong file begin with its name, as compilers' do.
    let origin = if matches!(error, Error::Config(_)) { "" } else { "lb: " };
    output::complain(&format_args!("{origin}{error}"));
}

fn execute(Args { global, command }: Args) -> Result<(), Error> {
    let output = Output::new(global.json);
    let client = client::Client::new(global.socket.clone());
    match command {
        Command::Run { config } => run::run(config.as_deref()),
        Command::Detach { config } => detach::detach(config.as_deref(), output),
        Command::Check { file } => check::check(&file, output),
        Command::Decap(args) => block_on(decap::decap(args, output)),
        Command::BackendSetup(args) => block_on(backend_setup::setup(*args, output)),
        Command::Completions { shell } => completions::print(shell, output),
        Command::Man { directory } => man::write(&directory, output),
        Command::Status => block_on(show::status(&client, output)),
        Command::Explain(args) => block_on(explain::explain(&client, output, args)),
        Command::Events(args) => block_on(events::events(&client, output, args)),
        Command::Stats { watch } => block_on(stats::stats(&client, output, watch)),
        Command::Service(ServiceCommand::List) => block_on(show::services(&client, output)),
        Command::Backend(BackendCommand::List { service }) => {
            block_on(show::backends(&client, output, service.as_deref()))
        }
        Command::Backend(BackendCommand::Change(order)) => {
            block_on(change::change(&client, output, order))
        }
        Command::Plan { file } => block_on(config::plan(&client, output, file.as_deref())),
        Command::Apply { file } => block_on(config::apply(&client, output, Some(&file))),
        Command::Reload => block_on(config::apply(&client, output, None)),
        Command::Diff => block_on(config::diff(&client, output)),
        Command::Save => block_on(config::save(&client, output)),
        Command::Revert => block_on(config::revert(&client, output)),
        Command::Vrrp => block_on(vrrp::show(&client, output)),
        Command::Failover { router } => block_on(vrrp::fail_over(&client, output, router)),
        Command::Route(RouteCommand::List) => block_on(route::list(&client, output)),
        Command::Route(RouteCommand::Withdraw { route }) => {
            block_on(route::withdraw(&client, output, route))
        }
        Command::Route(RouteCommand::Announce { route }) => {
            block_on(route::announce(&client, output, route))
        }
        Command::VrrpSpeaker { legacy } => block_on(vrrp::speak(&global.socket, legacy)),
        Command::Proxy(ProxyCommand::List) => block_on(proxy::list(&client, output)),
        Command::Sessions { proxy, backend } => {
            block_on(proxy::sessions(&client, output, proxy.as_deref(), backend.as_deref()))
        }
        Command::Session(SessionCommand::Kill { session }) => {
            block_on(proxy::kill(&client, output, session))
        }
        Command::ProxyForwarder { legacy } => block_on(proxy::forward(&global.socket, legacy)),
    }
}

fn block_on(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    runtime()?.block_on(work)
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_node_that_rejects_its_file_is_bad_input() {
        let rejected = || file::Error::Invalid(Vec::new());
        let wrapped = anyhow::Error::from(rejected()).context("cannot start");
        assert_eq!(Error::Node(wrapped).exit_code(), 2);
        assert_eq!(Error::Node(anyhow::anyhow!("no bpffs")).exit_code(), 1);
    }

    #[test]
    fn a_cause_is_printed_once() {
        let path = PathBuf::from("/run/lb");
        let cause = io::Error::other("permission denied");
        let error = crate::preflight::Error::RuntimeDir { path, cause };
        assert_eq!(
            Error::Node(error.into()).to_string(),
            "cannot write to node.runtime_dir /run/lb: permission denied; choose a directory that \
             this user can create and write to"
        );
    }

    #[test]
    fn codes_tell_a_missing_daemon_from_a_refusing_one() {
        assert_eq!(Error::Client(client::Error::NoDaemon(PathBuf::new())).exit_code(), 3);
        assert_eq!(Error::Client(client::Error::PermissionDenied(PathBuf::new())).exit_code(), 1);
    }
}
