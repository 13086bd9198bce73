//! `lb vrrp`, `lb failover` and the speaker's own process.

use std::{
    os::fd::RawFd,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use comfy_table::Cell;

use super::{
    Error, log,
    output::Output,
    table::{Column, Table, cell},
    units,
};
use crate::{
    api::{
        client::Client,
        types::{Failover, Routers},
    },
    cluster::{Node, PORT, Ring, View},
    speaker::{
        message::{self, Router},
        process,
    },
    vrrp::State,
};

pub(super) async fn show(client: &Client, output: Output) -> Result<(), Error> {
    output.show(&client.routers().await?, |Routers { view, cluster }| {
        text(view, output.colour) + &rings(cluster, output.colour)
    })
}

/// The rings here and on the other nodes.
fn rings(View { nodes, rings }: &View, colour: bool) -> String {
    if rings.is_empty() {
        return String::new();
    }
    if nodes.is_empty() {
        return format!(
            "\nno other node says what its rings look like: is UDP port {PORT} open between them?\n"
        );
    }
    let columns = [
        Column::Text("SERVICE"),
        Column::Text("RING"),
        Column::Text("NODE"),
        Column::Text("ITS RING"),
        Column::Text(""),
    ];
    let mut table = Table::new(&columns, colour);
    for Ring { service, digest, others } in rings {
        for (Node { name, address }, other) in nodes.iter().zip(others) {
            let same = match (&other.digest, other.differs) {
                (Some(there), _) if there == digest => "the same",
                (_, true) => "differs",
                (_, false) => "changing",
            };
            let there = other.digest.as_deref().unwrap_or("none");
            table.row(vec![
                cell(service),
                cell(digest),
                cell(&format!("{name} ({address})")),
                cell(&there),
                cell(&same),
            ]);
        }
    }
    format!("\n{}", table.render())
}

fn text(message::View { routers, rejected }: &message::View, colour: bool) -> String {
    if routers.is_empty() {
        return "no virtual routers: add [[vrrp]] tables to the configuration\n".into();
    }
    let columns = [
        Column::Text("ROUTER"),
        Column::Text("STATE"),
        Column::Text("SINCE"),
        Column::Text("MASTER"),
        Column::Text("PRIORITY"),
        Column::Text("LINK"),
        Column::Number("SENT"),
        Column::Number("RECEIVED"),
        Column::Number("CHANGES"),
        Column::Text("ADDRESSES"),
    ];
    let mut table = Table::new(&columns, colour);
    for router in routers {
        table.row(row(router));
    }
    let mut text = table.render();
    for Router { name, problems, .. } in routers {
        text.extend(problems.iter().map(|problem| format!("{name}: {problem}\n")));
    }
    for (interface, counts) in rejected {
        let counts: Vec<_> = counts.iter().map(|(why, count)| format!("{why} {count}")).collect();
        text.extend(["ignored on ", interface, ": ", &counts.join(", "), "\n"]);
    }
    text
}

fn row(router: &Router) -> Vec<Cell> {
    // All keys are named, so that a new one is not forgotten here.
    let Router {
        name,
        group: _,
        interface,
        id,
        version,
        state,
        since,
        cause: _,
        priority,
        configured_priority,
        interval_ms: _,
        addresses,
        peer,
        counters,
        problems: _,
    } = router;
    let since = UNIX_EPOCH + Duration::from_secs(*since);
    let master = match (state, peer) {
        (State::Master, None) => "this node".into(),
        (State::Master, Some(rival)) => format!("this node and {}", rival.address),
        (State::Backup | State::Fault, Some(peer)) => {
            format!("{} ({})", peer.address, peer.priority)
        }
        (State::Backup | State::Fault, None) => "none heard".into(),
    };
    let priority = if priority == configured_priority {
        priority.to_string()
    } else {
        format!("{priority} of {configured_priority}")
    };
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    vec![
        cell(name),
        cell(&state.as_str()),
        cell(&humantime::format_rfc3339_seconds(since)),
        cell(&master),
        cell(&priority),
        cell(&format!("{interface} v{version} id {id}")),
        cell(&units::count(counters.sent)),
        cell(&units::count(counters.received)),
        cell(&(counters.became_master + counters.left_master)),
        cell(&addresses.join(", ")),
    ]
}

pub(super) async fn fail_over(
    client: &Client,
    output: Output,
    router: Option<String>,
) -> Result<(), Error> {
    client.fail_over(&Failover { router }).await?;
    output.show(&(), |()| "handed over: `lb vrrp` shows who is master now\n".into())
}

pub(super) async fn speak(socket: &Path, legacy: Option<RawFd>) -> Result<(), Error> {
    log::start()?;
    process::run(socket, legacy).await.map_err(Error::Node)
}
