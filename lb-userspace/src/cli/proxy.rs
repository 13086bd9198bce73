//! `lb proxy list`, `lb sessions`, `lb session kill` and the forwarder's own process.

use std::{os::fd::RawFd, path::Path, time::Duration};

use comfy_table::{Cell, Color};

use super::{
    Error, log,
    output::Output,
    table::{self, Column, Table, cell},
    units,
};
use crate::{
    api::{
        client::Client,
        proxy::{Kill, Proxy, ProxyBackend, Session},
    },
    forwarder::process,
    proxy::Stage,
};

pub(super) async fn list(client: &Client, output: Output) -> Result<(), Error> {
    output.show(&client.proxies().await?, |proxies| text(proxies, output.colour))
}

fn text(proxies: &[Proxy], colour: bool) -> String {
    if proxies.is_empty() {
        return "no proxies: add [[proxy]] tables to the configuration\n".into();
    }
    let columns = [
        Column::Text("PROXY"),
        Column::Text("BACKEND"),
        Column::Text("ADDRESS"),
        Column::Text("ROLE"),
        Column::Number("WEIGHT"),
        Column::Text("ADMIN"),
        Column::Text("HEALTH"),
        Column::Text("TAKES"),
        Column::Number("SESSIONS"),
        Column::Number("TOTAL"),
        Column::Number("IN"),
        Column::Number("OUT"),
        Column::Number("ERRORS"),
        Column::Text("REASON"),
    ];
    let mut table = Table::new(&columns, colour);
    for proxy in proxies {
        for backend in &proxy.backends {
            table.row(row(proxy, backend));
        }
    }
    let mut text = table.render();
    for Proxy { name, problems, .. } in proxies {
        text.extend(problems.iter().map(|problem| format!("{name}: {problem}\n")));
    }
    text
}

fn row(proxy: &Proxy, backend: &ProxyBackend) -> Vec<Cell> {
    // All keys are named, so that a new one is not forgotten here.
    let ProxyBackend {
        name,
        address,
        weight,
        backup,
        admin,
        deadline_seconds: _,
        health,
        health_reason,
        open,
        ejected,
        traffic,
    } = backend;
    let role = match &proxy.primary {
        Some(primary) if primary == name => "primary",
        _ if proxy.role.is_some() => "other",
        _ if *backup => "backup",
        _ => "",
    };
    let (takes, colour) = match (open, ejected) {
        (true, false) => ("sessions", Color::Green),
        (true, true) => ("ejected", Color::Yellow),
        (false, _) => ("none", Color::Red),
    };
    vec![
        cell(&proxy.name),
        cell(name),
        cell(address),
        cell(&role),
        cell(weight),
        table::admin(*admin, None),
        table::health(*health),
        cell(&takes).fg(colour),
        cell(&traffic.sessions),
        cell(&units::count(traffic.sessions_total)),
        cell(&units::bytes(traffic.bytes_in)),
        cell(&units::bytes(traffic.bytes_out)),
        cell(&units::count(traffic.connect_errors)),
        cell(health_reason),
    ]
}

pub(super) async fn sessions(
    client: &Client,
    output: Output,
    proxy: Option<&str>,
    backend: Option<&str>,
) -> Result<(), Error> {
    let mut sessions = client.sessions().await?;
    sessions.retain(|it| proxy.is_none_or(|wanted| it.proxy == wanted));
    sessions.retain(|it| backend.is_none() || it.backend.as_deref() == backend);
    output.show(&sessions, |sessions| session_table(sessions, output.colour))
}

fn session_table(sessions: &[Session], colour: bool) -> String {
    let columns = [
        Column::Text("SESSION"),
        Column::Text("PROXY"),
        Column::Text("CLIENT"),
        Column::Text("BACKEND"),
        Column::Text("STAGE"),
        Column::Number("AGE"),
        Column::Number("IN"),
        Column::Number("OUT"),
    ];
    let mut table = Table::new(&columns, colour);
    for session in sessions {
        let Session { id, proxy, client, backend, age_ms, bytes_in, bytes_out, stage } = session;
        let client = client.map_or_else(|| "unix".into(), |it| it.to_string());
        let age = Duration::from_secs(age_ms / 1000);
        table.row(vec![
            cell(id),
            cell(proxy),
            cell(&client),
            cell(&backend.as_deref().unwrap_or("none yet")),
            cell(&stage_text(*stage)),
            cell(&humantime::format_duration(age)),
            cell(&units::bytes(*bytes_in)),
            cell(&units::bytes(*bytes_out)),
        ]);
    }
    table.render()
}

const fn stage_text(stage: Stage) -> &'static str {
    match stage {
        Stage::Header => "header",
        Stage::Waiting => "waiting",
        Stage::Connecting => "connecting",
        Stage::Open => "open",
        Stage::HalfClosed => "half-closed",
    }
}

pub(super) async fn kill(client: &Client, output: Output, session: String) -> Result<(), Error> {
    client.kill(&Kill { session }).await?;
    output.show(&(), |()| "reset\n".into())
}

pub(super) async fn forward(socket: &Path, legacy: Option<RawFd>) -> Result<(), Error> {
    log::start()?;
    process::run(socket, legacy).await.map_err(Error::Node)
}
