//! `lb backend-setup`.

use std::{net::IpAddr, path::PathBuf};

use clap::{builder::ValueParser, value_parser};
use lb_common::{route::Prefix, service::ForwardMode};

use super::{
    Error,
    decap::{attach_mode, prefix},
    help,
    output::{self, Output},
    table::{Column, Table, cell},
};
use crate::{
    backend::{
        GUE_PORT, Requirement, decap,
        machine::Machine,
        requirements,
        setup::{self, Item, State},
        spec::Pieces,
    },
    config::{AttachMode, Config, file},
};

/// Show, make or check what a backend needs
///
/// Run it on the backend. `--print` looks at nothing and changes nothing: it shows a script. `--check`
/// compares this machine with it. `--apply` does what is missing, and nothing that is there already;
/// routes are left to you. Nothing of it outlives a reboot: let a unit run `--apply` at boot.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help::BACKEND_SETUP)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["print", "apply", "check"]))]
#[command(group = clap::ArgGroup::new("origin").required(true).args(["mode", "config"]))]
pub(super) struct SetupArgs {
    /// Show it as a shell script
    #[arg(long)]
    print: bool,
    /// Do what is missing; needs root
    #[arg(long)]
    apply: bool,
    /// Show what is there and what is missing; the exit code is 1 if anything is
    #[arg(long)]
    check: bool,
    /// How the service forwards: l2, ipip, gue, nat
    #[arg(long, value_name = "MODE", value_parser = ValueParser::new(forward_mode))]
    mode: Option<ForwardMode>,
    /// The service's address; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    vip: Vec<IpAddr>,
    /// Take mode, VIP, GUE port and, without --from, the tunnels' sources from this node's
    /// configuration
    #[arg(long, value_name = "FILE", requires = "service", conflicts_with_all = ["mode", "vip", "gue_port"])]
    config: Option<PathBuf>,
    /// The name of that service
    #[arg(long, value_name = "NAME", requires = "config")]
    service: Option<String>,
    /// The interface that the nodes' packets arrive at
    #[arg(long, value_name = "NAME", default_value = "eth0")]
    interface: String,
    /// What undoes tunnels: `decap` (the program of `lb decap`) or `kernel` (tunnel devices)
    #[arg(long, value_name = "END", default_value = "decap", value_parser = ["decap", "kernel"])]
    tunnel: String,
    /// The prefix of the nodes' tunnel addresses, for `--tunnel decap`; may be repeated. With
    /// `--tunnel kernel` its family alone counts
    #[arg(long, value_name = "PREFIX", value_parser = prefix())]
    from: Vec<Prefix>,
    /// The UDP port that GUE arrives at
    #[arg(long, value_name = "PORT", default_value_t = GUE_PORT)]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    gue_port: u16,
    /// How `lb decap` is attached: native or generic
    #[arg(long, value_name = "MODE", default_value = "native", value_parser = attach_mode())]
    attach: AttachMode,
    /// The node's address in the backends' network, for nat
    #[arg(long, value_name = "ADDRESS")]
    gateway: Option<IpAddr>,
    /// Where `lb decap` is pinned: a directory on a bpffs
    #[arg(long, value_name = "DIR", default_value = decap::PIN_DIR)]
    pin_dir: PathBuf,
}

fn forward_mode(text: &str) -> Result<ForwardMode, &'static str> {
    [ForwardMode::L2, ForwardMode::IPIP, ForwardMode::GUE, ForwardMode::NAT]
        .into_iter()
        .find(|mode| mode.as_str() == text)
        .ok_or("use l2, ipip, gue or nat")
}

pub(super) async fn setup(args: SetupArgs, output: Output) -> Result<(), Error> {
    let list = requirements(&pieces(&args)?.fit()?);
    if args.print {
        let unseen = setup::check(&list, &Machine::default());
        let commands: Vec<_> = unseen.iter().map(Printed::of).collect();
        return output.show(&commands, |_| setup::script(&list));
    }
    if args.apply {
        setup::apply(&list, &args.interface, &args.pin_dir, |step| {
            output::complain(&format_args!("+ {step}"));
        })
        .await?;
    }
    report(&list, &args, output).await
}

/// What `--print --json` prints: no machine was looked at.
#[derive(serde::Serialize)]
struct Printed<'a> {
    requirement: &'a str,
    commands: &'a [String],
}

impl<'a> Printed<'a> {
    fn of(item: &'a Item) -> Self {
        Self { requirement: &item.requirement, commands: &item.remedy }
    }
}

async fn report(list: &[Requirement], args: &SetupArgs, output: Output) -> Result<(), Error> {
    let items = setup::check(list, &Machine::read(list, &args.pin_dir).await?);
    output.show(&items, |items| table(items, output.colour))?;
    if items.iter().any(|item| item.state == State::Missing) {
        return Err(Error::NotReady);
    }
    Ok(())
}

fn pieces(args: &SetupArgs) -> Result<Pieces, Error> {
    let pieces = Pieces {
        mode: args.mode.unwrap_or(ForwardMode::L2),
        vips: args.vip.clone(),
        interface: args.interface.clone(),
        kernel_tunnel: args.tunnel == "kernel",
        from: args.from.clone(),
        gue_port: args.gue_port,
        attach: args.attach,
        gateway: args.gateway,
    };
    let (Some(config), Some(name)) = (&args.config, &args.service) else { return Ok(pieces) };
    let Config { node, services, .. } = file::load(config)?.config;
    if let Some(service) = services.iter().find(|service| service.name == *name) {
        return Ok(pieces.with_service(&node, service));
    }
    let known: Vec<_> = services.iter().map(|service| service.name.as_str()).collect();
    let (config, known) = (config.display(), known.join(", "));
    Err(Error::NotFound(format!("{config} has no service `{name}`; its services are: {known}")))
}

fn table(items: &[Item], colour: bool) -> String {
    let columns = [Column::Text("STATE"), Column::Text("REQUIREMENT"), Column::Text("FOUND")];
    let mut table = Table::new(&columns, colour);
    for Item { requirement, state, found, remedy: _ } in items {
        let state = match state {
            State::Ok => "ok",
            State::Missing => "missing",
            State::Note => "note",
        };
        table.row(vec![cell(&state), cell(requirement), cell(&found.as_deref().unwrap_or(""))]);
    }
    let mut text = table.render();
    for (state, title) in
        [(State::Missing, "What is missing is made by"), (State::Note, "If you like")]
    {
        let these = items.iter().filter(|item| item.state == state);
        let lines: Vec<_> = these.flat_map(|item| &item.remedy).map(String::as_str).collect();
        if !lines.is_empty() {
            text += &["\n", title, ":\n  ", &lines.join("\n  "), "\n"].concat();
        }
    }
    text
}
