//! `lb route`.

use std::time::{Duration, UNIX_EPOCH};

use comfy_table::{Cell, Color};

use super::{
    Error,
    output::Output,
    table::{Column, Table, cell},
};
use crate::{
    api::{client::Client, types::RouteOrder},
    speaker::message::{Route, RouteState},
};

pub(super) async fn list(client: &Client, output: Output) -> Result<(), Error> {
    output.show(&client.routes().await?, |routes| text(routes, output.colour))
}

fn text(routes: &[Route], colour: bool) -> String {
    if routes.is_empty() {
        return "no routes: add [[route]] tables to the configuration\n".into();
    }
    let columns = ["ROUTE", "STATE", "SINCE", "INTERFACE", "ADDRESSES", "WHY"];
    let mut table = Table::new(&columns.map(Column::Text), colour);
    for route in routes {
        table.row(row(route));
    }
    let mut text = table.render();
    for Route { name, cause, problems, .. } in routes {
        let others = problems.iter().filter(|problem| *problem != cause);
        text.extend(others.map(|problem| format!("{name}: {problem}\n")));
    }
    text
}

fn row(route: &Route) -> Vec<Cell> {
    // All keys are named, so that a new one is not forgotten here.
    let Route { name, state, since, cause, wanted: _, interface, addresses, problems: _ } = route;
    let since = UNIX_EPOCH + Duration::from_secs(*since);
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    let colour = match state {
        RouteState::Announced => Color::Green,
        RouteState::Withdrawn => Color::Yellow,
    };
    vec![
        cell(name),
        cell(&state.as_str()).fg(colour),
        cell(&humantime::format_rfc3339_seconds(since)),
        cell(interface),
        cell(&addresses.join(", ")),
        cell(cause),
    ]
}

pub(super) async fn withdraw(
    client: &Client,
    output: Output,
    route: Option<String>,
) -> Result<(), Error> {
    client.withdraw(&RouteOrder { route }).await?;
    output.show(&(), |()| "withdrawn: `lb route list` shows how they are\n".into())
}

pub(super) async fn announce(
    client: &Client,
    output: Output,
    route: Option<String>,
) -> Result<(), Error> {
    client.announce(&RouteOrder { route }).await?;
    let text = "announced as soon as all is well: `lb route list` shows how they are\n";
    output.show(&(), |()| text.into())
}
