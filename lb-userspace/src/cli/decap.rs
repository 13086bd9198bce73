//! `lb decap`.

use std::path::PathBuf;

use clap::{builder::ValueParser, value_parser};
use lb_common::{decap::DecapVerdict, route::Prefix};
use serde::Serialize;

use super::{
    Error, help,
    output::Output,
    table::{Column, Table, cell},
    units,
};
use crate::{
    backend::{self, GUE_PORT, decap, machine::Machine, prefix_text, spec},
    config::{AttachMode, parse_prefix},
};

/// Undo a node's tunnels on a backend
///
/// A small XDP program takes packets out of `ipip` and `gue`, as nodes send them, before the stack
/// sees them: no tunnel device is needed. The program goes on when this command has ended, until
/// `--detach` or a reboot. To run the command again replaces the program, prefixes and port at once,
/// without a packet in between; the counters start anew.
///
/// Tunnels from other sources than `--from`, fragments, and all else pass as they are.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help::DECAP)]
pub(super) struct DecapArgs {
    /// The interface that the nodes' packets arrive at
    #[arg(long, value_name = "NAME")]
    interface: String,
    /// Undo tunnels from this prefix: of the nodes' tunnel addresses; may be repeated
    #[arg(long, value_name = "PREFIX", value_parser = prefix())]
    #[arg(required_unless_present_any = ["show", "detach"])]
    from: Vec<Prefix>,
    /// The UDP port that GUE arrives at
    #[arg(long, value_name = "PORT", default_value_t = GUE_PORT)]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    gue_port: u16,
    /// How the program is attached; `generic` works with any driver, several times slower
    #[arg(long, value_name = "MODE", default_value = "native", value_parser = attach_mode())]
    mode: AttachMode,
    /// Show what is undone, and the packets by verdict
    #[arg(long, conflicts_with_all = ["from", "gue_port", "mode", "detach"])]
    show: bool,
    /// Detach the program
    #[arg(long, conflicts_with_all = ["from", "gue_port", "mode"])]
    detach: bool,
    /// Where the program is pinned: a directory on a bpffs
    #[arg(long, value_name = "DIR", default_value = decap::PIN_DIR)]
    pin_dir: PathBuf,
}

pub(super) fn prefix() -> ValueParser {
    let parse = |text: &str| {
        parse_prefix(text).map_err(|fault| format!("{}; {}", fault.message, fault.remedy))
    };
    ValueParser::new(parse)
}

pub(super) fn attach_mode() -> ValueParser {
    let parse = |text: &str| match text {
        "native" => Ok(AttachMode::Native),
        "generic" => Ok(AttachMode::Generic),
        _ => Err("use native or generic"),
    };
    ValueParser::new(parse)
}

pub(super) async fn decap(args: DecapArgs, output: Output) -> Result<(), Error> {
    let DecapArgs { interface, from, gue_port, mode, show, detach, pin_dir } = args;
    if detach {
        decap::detach(&interface, &pin_dir)?;
        return output.show(&Detached { detached: &interface }, |_| {
            format!("{interface}: detached; tunnels are not undone any more\n")
        });
    }
    let not_attached = || backend::Error::NotAttached { interface: interface.clone() };
    if show {
        let status = decap::status(&interface, &pin_dir)?.ok_or_else(not_attached)?;
        return output
            .show(&Report::of(&interface, &status), |_| table(&interface, &status, output));
    }
    let options = spec::check_sources(decap::Options { sources: from, gue_port, mode })?;
    let found = Machine::read(&[], &pin_dir).await?.interface(&interface)?;
    let replaced = decap::attach(&found, &options, &pin_dir)?;
    let status = decap::status(&interface, &pin_dir)?.ok_or_else(not_attached)?;
    output.show(&Report::of(&interface, &status), |_| {
        let done = if replaced { "replaced" } else { "attached" };
        format!("{interface}: {done}: {}\n", summary(&status.options))
    })
}

#[derive(Serialize)]
struct Detached<'a> {
    detached: &'a str,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    interface: &'a str,
    mode: &'static str,
    from: Vec<String>,
    gue_port: u16,
    verdicts: serde_json::Map<String, serde_json::Value>,
}

impl<'a> Report<'a> {
    fn of(interface: &'a str, status: &decap::Status) -> Self {
        let decap::Options { sources, gue_port, mode } = &status.options;
        let entry = |(verdict, count): &(DecapVerdict, u64)| {
            (verdict.as_str().to_owned(), serde_json::Value::from(*count))
        };
        Self {
            interface,
            mode: mode_text(*mode),
            from: sources.iter().map(prefix_text).collect(),
            gue_port: *gue_port,
            verdicts: status.verdicts.iter().map(entry).collect(),
        }
    }
}

fn mode_text(mode: AttachMode) -> &'static str {
    match mode {
        AttachMode::Native => "native",
        AttachMode::Generic => "generic",
    }
}

fn summary(options: &decap::Options) -> String {
    let decap::Options { sources, gue_port, mode } = options;
    let sources: Vec<_> = sources.iter().map(prefix_text).collect();
    let (mode, sources) = (mode_text(*mode), sources.join(", "));
    format!("ipip, and gue at port {gue_port}, from {sources}; {mode} mode")
}

fn table(interface: &str, status: &decap::Status, output: Output) -> String {
    let columns = [Column::Text("VERDICT"), Column::Number("PACKETS"), Column::Text("MEANING")];
    let mut table = Table::new(&columns, output.colour);
    for (verdict, count) in status.verdicts.iter().filter(|(_, count)| *count > 0) {
        let meaning = verdict.describe().trim().trim_end_matches('.');
        table.row(vec![cell(&verdict.as_str()), cell(&units::count(*count)), cell(&meaning)]);
    }
    format!("{interface}: {}\n\n{}", summary(&status.options), table.render())
}
