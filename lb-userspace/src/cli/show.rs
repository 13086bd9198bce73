//! `lb status`, `lb service list` and `lb backend list`.

use std::{fmt::Write, time::Duration};

use super::{
    Error,
    output::Output,
    table::{self, Column, Table, cell},
    units,
};
use crate::api::{
    client::Client,
    ports::endpoint,
    types::{Backend, Service, Status},
};

pub(super) async fn status(client: &Client, output: Output) -> Result<(), Error> {
    output.show(&client.status().await?, status_text)
}

fn status_text(status: &Status) -> String {
    let Status {
        version,
        pid,
        uptime_seconds,
        took_over,
        interfaces,
        services,
        backends,
        backends_up,
        ring_bytes,
        config,
        changes,
        problems,
    } = status;
    let uptime = humantime::format_duration(Duration::from_secs(*uptime_seconds));
    let origin = if *took_over { "took over the running data plane" } else { "started afresh" };
    let interfaces: Vec<_> =
        interfaces.iter().map(|it| format!("{} ({})", it.name, it.mode)).collect();
    let ring_bytes = units::bytes(*ring_bytes);
    let changes = match changes {
        0 => String::new(),
        1 => ", 1 run-time change (`lb diff`)".into(),
        many => format!(", {many} run-time changes (`lb diff`)"),
    };
    let mut text = format!(
        "Daemon      lb {version}, process {pid}, up for {uptime}, {origin}\n\
         Config      {config}{changes}\n\
         Interfaces  {}\n\
         Services    {services}\n\
         Backends    {backends}, {backends_up} up\n\
         Rings       {ring_bytes}\n",
        interfaces.join(", ")
    );
    if problems.is_empty() {
        text.push_str("Problems    none\n");
    }
    for (index, problem) in problems.iter().enumerate() {
        let label = if index == 0 { "Problems" } else { "" };
        let problem = problem.replace(char::is_control, " ");
        // Writing to a string cannot fail.
        let _written = writeln!(text, "{label:<10}  {problem}");
    }
    text
}

pub(super) async fn services(client: &Client, output: Output) -> Result<(), Error> {
    output.show(&client.services().await?, |services| service_table(services, output.colour))
}

fn service_table(services: &[Service], colour: bool) -> String {
    let columns = [
        Column::Text("SERVICE"),
        Column::Text("VIP"),
        Column::Text("PROTOCOL"),
        Column::Text("FORWARD"),
        Column::Number("WINDOW"),
        Column::Text("ON DOWN"),
        Column::Number("UP"),
        Column::Text("USAGE"),
        Column::Number("RING"),
        Column::Number("MOVING"),
        Column::Number("SETTLED"),
        Column::Number("FLOWS"),
        Column::Number("PACKETS"),
        Column::Number("BYTES"),
    ];
    let mut table = Table::new(&columns, colour);
    for service in services {
        let Service {
            name,
            vip,
            protocol,
            port,
            forward,
            window_seconds,
            on_down,
            ring_size,
            backends,
            backends_up,
            panic_percent: _,
            usage,
            memory,
            traffic,
        } = service;
        table.row(vec![
            cell(&name),
            cell(&endpoint(*vip, *port)),
            cell(&protocol),
            cell(&forward),
            cell(&humantime::format_duration(Duration::from_secs(*window_seconds))),
            cell(&on_down),
            cell(&format!("{backends_up}/{backends}")),
            cell(&usage),
            cell(&ring_size),
            cell(&memory.moving),
            cell(&memory.settled),
            cell(&units::count(memory.flows.into())),
            cell(&units::count(traffic.packets)),
            cell(&units::bytes(traffic.bytes)),
        ]);
    }
    table.render()
}

pub(super) async fn backends(
    client: &Client,
    output: Output,
    service: Option<&str>,
) -> Result<(), Error> {
    let mut backends = client.backends().await?;
    if let Some(service) = service {
        backends.retain(|backend| backend.service == service);
        if backends.is_empty() {
            make_sure_of(service, client).await?;
        }
    }
    output.show(&backends, |backends| backend_table(backends, output.colour))
}

async fn make_sure_of(name: &str, client: &Client) -> Result<(), Error> {
    let services = client.services().await?.into_iter().map(|it| it.name);
    let proxies: Vec<_> = client.proxies().await?.into_iter().map(|it| it.name).collect();
    let (kinds, those) = if proxies.is_empty() {
        ("service", "services")
    } else {
        ("service or proxy", "services and proxies")
    };
    let known: Vec<_> = services.chain(proxies).collect();
    if known.iter().any(|it| it == name) {
        return Ok(());
    }
    let known = known.join(", ");
    Err(Error::NotFound(format!("there is no {kinds} `{name}`; the {those} are: {known}")))
}

fn backend_table(backends: &[Backend], colour: bool) -> String {
    let columns = [
        Column::Text("SERVICE"),
        Column::Text("BACKEND"),
        Column::Text("ADDRESS"),
        Column::Number("WEIGHT"),
        Column::Number("SHARE"),
        Column::Text("ADMIN"),
        Column::Text("HEALTH"),
        Column::Text("NEXT HOP"),
        Column::Text("REASON"),
    ];
    let mut table = Table::new(&columns, colour);
    for backend in backends {
        let Backend {
            service,
            proxy,
            name,
            at,
            weight,
            admin,
            drain,
            health,
            health_reason,
            share,
            next_hop,
            traffic: _,
        } = backend;
        table.row(vec![
            cell(&service),
            cell(&name),
            cell(&at),
            cell(&weight),
            cell(&units::percent(*share)),
            table::admin(*admin, drain.as_ref()),
            table::health(*health),
            cell(&next_hop.as_deref().unwrap_or(if *proxy { "-" } else { "unresolved" })),
            cell(&health_reason),
        ]);
    }
    table.render()
}
