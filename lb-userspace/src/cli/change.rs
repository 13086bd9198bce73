//! `lb backend add`, `remove`, `weight`, `drain`, `maintenance` and `ready`.

use std::time::Duration;

use super::{
    Error,
    order::Order,
    output::{Output, complain},
    units,
};
use crate::api::{
    client::Client,
    types::{Admin, Backend, Change, Changed, Drain},
};

/// How often a drain is looked at while somebody waits for it.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn change(client: &Client, output: Output, order: Order) -> Result<(), Error> {
    let waits = order.waits();
    let change = order.into();
    let changed = client.change(&change).await?;
    output.show(&changed, |changed| text(&change, changed))?;
    if let Change::Drain { backend, service, .. } = &change
        && waits
    {
        wait(client, backend, service.as_deref()).await?;
    }
    Ok(())
}

fn text(change: &Change, changed: &Changed) -> String {
    let done = match change {
        Change::Add { .. } => "added".to_owned(),
        Change::Remove { .. } => "removed".to_owned(),
        Change::Weight { weight, .. } => format!("at weight {weight}"),
        Change::Drain { .. } => "draining".to_owned(),
        Change::Maintenance { .. } => "in maintenance".to_owned(),
        Change::Ready { .. } => "ready".to_owned(),
    };
    let Changed { backend: name, services, slots_moved } = changed;
    if services.is_empty() {
        return format!("{name} is {done} already: nothing changed\n");
    }
    let slots = units::count(*slots_moved);
    format!("{name} is {done} in {}: {slots} slots moved\n", services.join(", "))
}

/// Shows what is left of a drain until it is over, or until the operator ends it in another way.
async fn wait(client: &Client, name: &str, service: Option<&str>) -> Result<(), Error> {
    let mut last = None;
    loop {
        let backends = client.backends().await?;
        let is_meant =
            |it: &&Backend| it.name == name && service.is_none_or(|only| it.service == only);
        let drains = backends.iter().filter(is_meant).filter_map(|it| it.drain.as_ref());
        let Some(left) = drains.copied().filter(|drain| !drain.is_over()).reduce(both) else {
            let at = |admin| backends.iter().filter(is_meant).any(|it| it.admin == admin);
            complain(&match (at(Admin::Maintenance), at(Admin::Drain)) {
                (true, _) => format!("{name}: the deadline has passed: in maintenance"),
                (false, true) => format!("{name}: drained: nothing is left"),
                (false, false) => format!("{name} is not draining any more"),
            });
            return Ok(());
        };
        // A line when something happens, and now and then.
        let line = sentence(name, left);
        let told = (left.connections, left.silent_seconds / 60);
        if last.replace(told) != Some(told) {
            complain(&line);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn both(one: Drain, other: Drain) -> Drain {
    Drain {
        connections: one.connections + other.connections,
        silent_seconds: one.silent_seconds.max(other.silent_seconds),
        deadline_seconds: one.deadline_seconds.max(other.deadline_seconds),
    }
}

fn sentence(name: &str, left: Drain) -> String {
    let span = |seconds| humantime::format_duration(Duration::from_secs(seconds));
    let Drain { connections, silent_seconds, deadline_seconds } = left;
    let silent = match silent_seconds {
        0 => String::new(),
        seconds => format!(", silent ones may turn up for {}", span(seconds.into())),
    };
    let deadline = deadline_seconds.map(|left| format!(", maintenance in {}", span(left)));
    let plural = if connections == 1 { "" } else { "s" };
    format!("{name}: {connections} open connection{plural}{silent}{}", deadline.unwrap_or_default())
}
