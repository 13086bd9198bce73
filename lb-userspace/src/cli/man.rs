//! Man pages, made from the commands themselves.

use std::{fs, io, path::Path};

use clap::{Arg, ArgAction, Command};
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, italic, roman},
};

use super::{Error, args::Args, output::Output};

/// Commands of the administrator (man-pages(7)).
const SECTION: &str = "8";

/// Writes the pages of all commands into a directory.
pub(super) fn write(directory: &Path, output: Output) -> Result<(), Error> {
    let failed = |cause| Error::Write { to: directory.display().to_string(), cause };
    fs::create_dir_all(directory).map_err(failed)?;
    let mut lb = Args::whole_command().disable_help_subcommand(true);
    lb.build();
    write_all(&lb, directory).map_err(failed)?;
    output.print(&format!("man pages written to {}\n", directory.display()))
}

fn write_all(command: &Command, directory: &Path) -> io::Result<()> {
    command.get_subcommands().try_for_each(|command| write_all(command, directory))?;
    fs::write(directory.join(format!("{}.{SECTION}", name(command))), page(command)?)
}

/// `lb-backend-drain`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &Command) -> io::Result<String> {
    let man = Man::new(command.clone())
        .title(name(command).to_uppercase())
        .section(SECTION)
        // An empty argument must be written as one, or the next takes its place.
        .date("\"\"")
        .source(concat!("lb ", env!("CARGO_PKG_VERSION")))
        .manual("System Administration");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis(command).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(help) = command.get_after_long_help() {
        help.to_string().split("\n\n").try_for_each(|text| section(text).to_writer(&mut page))?;
    }
    if name(command) != "lb" {
        let mut others = Roff::new();
        let _: &mut Roff = others.control("SH", ["SEE ALSO"]).text([bold("lb"), roman("(8)")]);
        others.to_writer(&mut page)?;
    }
    Ok(without_backticks(&String::from_utf8_lossy(&page)))
}

/// The one of `clap_mangen` leaves out the values of options.
fn synopsis(command: &Command) -> Roff {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let mut line = vec![bold(name)];
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let (positional, options): (Vec<_>, Vec<_>) = shown.partition(|arg| arg.is_positional());
    let takes_part = |arg: &&Arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::SetTrue);
    for arg in options.into_iter().filter(takes_part).chain(positional) {
        let (open, close) = if arg.is_required_set() { ("", "") } else { ("[", "]") };
        line.extend([roman(" "), roman(open)]);
        line.extend(usage(arg));
        line.push(roman(close));
    }
    if command.has_subcommands() {
        line.extend([roman(" "), italic("COMMAND")]);
    }
    let mut roff = Roff::new();
    let _: &mut Roff = roff.control("SH", ["SYNOPSIS"]).text(line);
    roff
}

/// `--socket PATH`, `--watch [SECONDS]` or `SERVICE`.
fn usage(arg: &Arg) -> Vec<Inline> {
    let range = arg.get_num_args().unwrap_or_default();
    let value = arg.get_value_names().filter(|_| range.takes_values());
    let value = value.map(|names| italic(names.join(" ")));
    let optional = range.min_values() == 0;
    match (arg.get_long(), value) {
        (Some(option), Some(value)) if optional => {
            vec![bold(format!("--{option}")), roman(" ["), value, roman("]")]
        }
        (Some(option), Some(value)) => vec![bold(format!("--{option}")), roman(" "), value],
        (Some(option), None) => vec![bold(format!("--{option}"))],
        (None, value) => value.into_iter().collect(),
    }
}

/// A section of the help text: see [`super::help`].
fn section(text: &str) -> Roff {
    let (heading, body) = text.split_once('\n').unwrap_or((text, ""));
    let mut roff = Roff::new();
    match heading.trim_end_matches(':') {
        "Examples" => {
            let _: &mut Roff = roff.control("SH", ["EXAMPLES"]).control("nf", []);
            for line in body.lines() {
                let _: &mut Roff = roff.text([roman(line.trim_start())]);
            }
            let _: &mut Roff = roff.control("fi", []);
        }
        "Exit codes" => entries(roff.control("SH", ["EXIT STATUS"]), body),
        other => entries(roff.control("SH", [other.to_uppercase().as_str()]), body),
    }
    roff
}

fn entries(roff: &mut Roff, body: &str) {
    for line in body.lines() {
        let entry = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '));
        let text = match entry.and_then(|entry| entry.split_once("  ")) {
            Some((term, text)) => {
                let _: &mut Roff = roff.control("TP", []).text([bold(term)]);
                text
            }
            None => line,
        };
        let _: &mut Roff = roff.text([roman(text.trim())]);
    }
}

/// What the help texts have in backticks is bold here.
fn without_backticks(page: &str) -> String {
    let mut pieces = page.split('`');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for (piece, font) in pieces.zip([r"\fB", r"\fR"].into_iter().cycle()) {
        text.push_str(font);
        text.push_str(piece);
    }
    text
}
