//! The turns: every subject once a round, so that whatever the machine does besides hits them all.

use anyhow::{Context as _, Result};

use super::{
    contender::{ALL, Contender, Subject},
    pktgen,
    site::{Role, Site},
};

/// Long enough that nearly every flow has come through once, in seconds.
const WARM_UP: f64 = 2.0;

/// What a balancer does after it was set up: what its kernel and its daemon still have to tidy up is not
/// what is measured.
const SETTLE: &str = "sleep 5";

/// How to measure.
pub(super) struct Orders {
    /// Only these subjects; all if there are none.
    pub(super) only: Vec<String>,
    /// Each subject is measured so often.
    pub(super) rounds: usize,
    /// Each time for so long.
    pub(super) seconds: f64,
    /// With each of these numbers of flows.
    pub(super) flows: Vec<u16>,
}

/// What came out for a subject.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    pub(super) subject: &'static str,
    pub(super) flows: u16,
    /// Packets per second that were counted, by round.
    pub(super) pps: Vec<f64>,
    /// Packets per second that the generator sent, by round.
    pub(super) offered: Vec<f64>,
}

/// All turns at a site.
pub(super) fn measure(
    site: &mut Site,
    orders: &Orders,
    tell: impl Fn(u64, &str),
) -> Result<Vec<Series>> {
    let mut series: Vec<Series> = Vec::new();
    let mut done = 0;
    for round in 1..=orders.rounds {
        for contender in &ALL {
            for reading in turn(site, orders, contender)? {
                let Reading { subject, flows, pps, offered } = reading;
                let flow_word = if flows == 1 { "flow" } else { "flows" };
                done += 1;
                let news = format!(
                    "round {round}: {subject}, {flows} {flow_word}: {pps:.0} of {offered:.0} packets/s"
                );
                tell(done, &news);
                let known = series.iter_mut().find(|it| it.subject == subject && it.flows == flows);
                match known {
                    Some(known) => {
                        known.pps.push(pps);
                        known.offered.push(offered);
                    }
                    None => series.push(Series {
                        subject,
                        flows,
                        pps: vec![pps],
                        offered: vec![offered],
                    }),
                }
            }
        }
    }
    Ok(series)
}

struct Reading {
    subject: &'static str,
    flows: u16,
    pps: f64,
    offered: f64,
}

/// A contender's turn: it is set up, each of its subjects is measured, and it is taken down.
fn turn(site: &mut Site, orders: &Orders, contender: &Contender) -> Result<Vec<Reading>> {
    let chosen: Vec<&Subject> =
        contender.subjects.iter().filter(|subject| orders.includes(subject.name)).collect();
    let [first, ..] = chosen.as_slice() else { return Ok(Vec::new()) };
    let (up, down) = ((contender.up)(&site.plan), (contender.down)(&site.plan));
    let mut readings = Vec::new();
    let _ = site.run(Role::Balancer, &up).with_context(|| first.name)?;
    let _ = site.run(Role::Balancer, SETTLE)?;
    for subject in chosen {
        for flows in &orders.flows {
            let reading = read(site, orders, contender.counted_at, subject, *flows);
            readings.push(reading.with_context(|| subject.name)?);
        }
    }
    let _ = site.run(Role::Balancer, &down)?;
    Ok(readings)
}

fn read(
    site: &mut Site,
    orders: &Orders,
    counted_at: Role,
    subject: &Subject,
    flows: u16,
) -> Result<Reading> {
    let start = pktgen::start(&site.plan, subject.vip, flows);
    let _ = site.run(Role::Generator, &start)?;
    let warm_up = site.plan.rate(counted_at, WARM_UP);
    let _ = site.run(counted_at, &warm_up)?;
    let count = site.plan.rate(counted_at, orders.seconds);
    let pps = per_second(&site.run(counted_at, &count)?)?;
    let stop = pktgen::stop(&site.plan);
    let offered = per_second(&site.run(Role::Generator, &stop)?)?;
    Ok(Reading { subject: subject.name, flows, pps, offered })
}

impl Orders {
    /// How many measurements that makes.
    pub(super) fn total(&self) -> u64 {
        let subjects = ALL.iter().flat_map(|contender| contender.subjects);
        let chosen = subjects.filter(|subject| self.includes(subject.name)).count();
        (self.rounds * self.flows.len() * chosen) as u64
    }

    pub(super) fn includes(&self, subject: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == subject)
    }
}

/// Of a line `PACKETS NANOSECONDS`.
fn per_second(said: &str) -> Result<f64> {
    let numbers = said.split_whitespace().map(str::parse::<f64>).collect::<Result<Vec<_>, _>>();
    match numbers.as_deref() {
        Ok([packets, nanoseconds]) if *nanoseconds > 0.0 => Ok(packets * 1e9 / nanoseconds),
        _ => anyhow::bail!("expected packets and nanoseconds, not `{}`", said.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_become_rates() {
        assert_eq!(per_second("150 500000000\n").unwrap().to_bits(), 300.0_f64.to_bits());
        for wrong in ["", "150", "150 0", "150 x", "1 2 3"] {
            let error = per_second(wrong).unwrap_err().to_string();
            assert!(error.contains(&format!("`{wrong}`")), "{error}");
        }
    }
}
