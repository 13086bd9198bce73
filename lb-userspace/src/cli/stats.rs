//! `lb stats`.

use std::{collections::BTreeMap, time::Duration};

use comfy_table::Cell;
use lb_common::verdict::Verdict;

use super::{
    Error,
    output::Output,
    table::{self, Column, Table, cell},
    units,
};
use crate::api::{
    client::Client,
    types::{At, Backend, Stats, Traffic},
};

pub(super) async fn stats(
    client: &Client,
    output: Output,
    watch: Option<Duration>,
) -> Result<(), Error> {
    let Some(period) = watch else {
        return output.show(&client.stats().await?, |stats| text(stats, None, output.colour));
    };
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last: Option<Stats> = None;
    loop {
        let _instant = ticks.tick().await;
        let stats = client.stats().await?;
        let rates = Rates::between(last.as_ref(), &stats);
        output.show(&stats, |stats| {
            frame(&text(stats, Some(&rates), output.colour), output, last.is_none())
        })?;
        last = Some(stats);
    }
}

/// On a terminal each sample takes the place of the last; elsewhere a blank line parts them.
fn frame(text: &str, output: Output, first: bool) -> String {
    const CLEAR: &str = "\x1b[H\x1b[2J";
    match (output.terminal, first) {
        (true, _) => format!("{CLEAR}{text}"),
        (false, true) => text.to_owned(),
        (false, false) => format!("\n{text}"),
    }
}

/// What passed in a second between two samples; empty without an earlier one.
#[derive(Debug, Default, PartialEq)]
struct Rates<'a> {
    verdicts: BTreeMap<&'a str, u64>,
    backends: BTreeMap<Key<'a>, Traffic>,
}

type Key<'a> = (&'a str, &'a str, &'a At);

fn key(backend: &Backend) -> Key<'_> {
    (&backend.service, &backend.name, &backend.at)
}

impl<'a> Rates<'a> {
    /// Counters that went back, as after a restart of the node, have no rate.
    fn between(old: Option<&Stats>, new: &'a Stats) -> Self {
        let Some(old) = old else { return Self::default() };
        let Some(span) = new.at_ms.checked_sub(old.at_ms).filter(|span| *span > 0) else {
            return Self::default();
        };
        let rate = |old: u64, new: u64| Some(per_second(new.checked_sub(old)?, span));
        let verdict = |(name, new): (&'a String, &u64)| {
            Some((name.as_str(), rate(*old.verdicts.get(name)?, *new)?))
        };
        let earlier: BTreeMap<_, _> = old.backends.iter().map(|it| (key(it), it.traffic)).collect();
        let backend = |new: &'a Backend| {
            let old = earlier.get(&key(new))?;
            let Traffic { packets, bytes, reply_packets, reply_bytes } = new.traffic;
            let traffic = Traffic {
                packets: rate(old.packets, packets)?,
                bytes: rate(old.bytes, bytes)?,
                reply_packets: rate(old.reply_packets, reply_packets)?,
                reply_bytes: rate(old.reply_bytes, reply_bytes)?,
            };
            Some((key(new), traffic))
        };
        Self {
            verdicts: new.verdicts.iter().filter_map(verdict).collect(),
            backends: new.backends.iter().filter_map(backend).collect(),
        }
    }
}

fn per_second(number: u64, span_ms: u64) -> u64 {
    u64::try_from(u128::from(number) * 1000 / u128::from(span_ms)).unwrap_or(u64::MAX)
}

fn text(stats: &Stats, rates: Option<&Rates<'_>>, colour: bool) -> String {
    let verdicts = verdict_table(stats, rates, colour);
    let backends = backend_table(stats, rates, colour);
    format!("{verdicts}\n{backends}")
}

fn verdict_table(stats: &Stats, rates: Option<&Rates<'_>>, colour: bool) -> String {
    let counted = stats.verdicts.iter().filter(|(_, packets)| **packets > 0);
    let mut columns = vec![Column::Text("VERDICT"), Column::Number("PACKETS")];
    if rates.is_some() {
        columns.push(Column::Number("PACKETS/S"));
    }
    columns.push(Column::Text("MEANING"));
    let mut table = Table::new(&columns, colour);
    for (name, packets) in counted {
        let mut row = vec![cell(&name), cell(&units::count(*packets))];
        if let Some(rates) = rates {
            row.push(rate(rates.verdicts.get(name.as_str()), units::count));
        }
        let meaning = Verdict::ALL.iter().find(|verdict| verdict.as_str() == name);
        row.push(cell(&meaning.map_or("", |verdict| verdict.describe().trim())));
        table.row(row);
    }
    table.render()
}

fn backend_table(stats: &Stats, rates: Option<&Rates<'_>>, colour: bool) -> String {
    let mut columns = vec![
        Column::Text("SERVICE"),
        Column::Text("BACKEND"),
        Column::Text("HEALTH"),
        Column::Number("SHARE"),
        Column::Number("PACKETS"),
        Column::Number("BYTES"),
    ];
    if rates.is_some() {
        columns.extend([Column::Number("PACKETS/S"), Column::Number("BYTES/S")]);
    }
    let mut table = Table::new(&columns, colour);
    for backend in &stats.backends {
        let mut row = vec![
            cell(&backend.service),
            cell(&backend.name),
            table::health(backend.health),
            cell(&units::percent(backend.share)),
            cell(&units::count(backend.traffic.packets)),
            cell(&units::bytes(backend.traffic.bytes)),
        ];
        if let Some(rates) = rates {
            let traffic = rates.backends.get(&key(backend));
            row.push(rate(traffic.map(|it| &it.packets), units::count));
            row.push(rate(traffic.map(|it| &it.bytes), units::bytes_per_second));
        }
        table.row(row);
    }
    table.render()
}

fn rate(rate: Option<&u64>, spell: fn(u64) -> String) -> Cell {
    cell(&rate.map_or_else(|| "-".to_owned(), |rate| spell(*rate)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_common::service::Ports;

    use crate::api::types::{Admin, Health};

    fn sample(at_ms: u64, packets: u64) -> Stats {
        let backend = Backend {
            service: "web".into(),
            proxy: false,
            name: "web1".into(),
            at: At::Host {
                address: [10, 0, 0, 11].into(),
                port: Ports::one(lb_common::addr::Port::new(80)),
            },
            weight: 1,
            admin: Admin::Ready,
            drain: None,
            health: Health::Up,
            health_reason: String::new(),
            share: 1.0,
            next_hop: None,
            traffic: Traffic { packets, bytes: packets * 100, ..Traffic::default() },
        };
        let verdicts = [("redirected".to_owned(), packets), ("denied".to_owned(), 0)].into();
        Stats { at_ms, verdicts, backends: vec![backend] }
    }

    #[test]
    fn rates_are_per_second_between_two_samples() {
        let (old, new) = (sample(1000, 50), sample(3000, 150));
        let rates = Rates::between(Some(&old), &new);
        assert_eq!(rates.verdicts, [("denied", 0), ("redirected", 50)].into());
        let traffic = rates.backends.get(&key(&new.backends[0])).unwrap();
        assert_eq!((traffic.packets, traffic.bytes), (50, 5000));
    }

    #[test]
    fn counters_that_went_back_have_no_rate() {
        let none = Rates::default();
        assert_eq!(Rates::between(None, &sample(1000, 5)), none);
        assert_eq!(Rates::between(Some(&sample(1000, 5)), &sample(1000, 6)), none);
        assert_eq!(Rates::between(Some(&sample(2000, 5)), &sample(1000, 6)), none);
        let fewer = sample(2000, 4);
        assert!(Rates::between(Some(&sample(1000, 5)), &fewer).backends.is_empty());
    }

    #[test]
    fn verdicts_without_packets_are_left_out() {
        let text = text(&sample(0, 5), None, false);
        assert!(text.contains("redirected        5  Sent out by another interface."), "{text}");
        assert!(!text.contains("denied"), "{text}");
    }
}
