//! The loss of a node, and a hand-over, as clients see them.
//!
//! Each run has a site of its own: 1,000 connections that say something ten times a second, and 200 new
//! ones a second. The gap is the longest time in which none of the new ones was answered promptly.

mod attempts;
mod subject;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use clap::Args;
use lb_tests::{
    cleanup, netns,
    plan::VIPS,
    run::eventually,
    second::Second,
    sessions::{Fate, Server, Sessions},
    site::{Options as SiteOptions, Site, mount_bpffs},
};
use serde::Serialize;

use self::{
    attempts::{Attempts, Seen},
    subject::Subject,
};
use crate::write_json;

const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 10));
const PORT: u16 = 7000;
const LIVE: usize = 1000;
/// How long anything may take to come to rest.
const SETTLE: Duration = Duration::from_secs(30);
/// How often live connections may begin anew.
const BEGINNINGS: usize = 5;
/// How long all goes well before the event.
const BEFORE: Duration = Duration::from_secs(2);
/// How long connections have after it: a TCP that retransmits has doubled its patience several times.
const AFTER: Duration = Duration::from_secs(6);

/// How to measure.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Runs of each subject, interval and event
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Write the results here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What happens to the master.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// All its processes are killed, and its link is down.
    Loss,
    /// It hands over.
    Planned,
}

impl Event {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Planned => "planned",
        }
    }
}

#[derive(Serialize)]
struct Row {
    subject: &'static str,
    advert_ms: u32,
    event: &'static str,
    gap_ms: Vec<f64>,
    live: usize,
    broken: Vec<usize>,
    failed: Vec<usize>,
}

#[derive(Serialize)]
struct Report {
    rows: Vec<Row>,
}

/// Measures all in turn, and shows the results.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let _: bool = mount_bpffs()?;
    let mut rows = Vec::new();
    for event in [Event::Loss, Event::Planned] {
        for advert_ms in [100, 10] {
            for subject in Subject::ALL {
                let (subject, event) = (subject.as_str(), event.as_str());
                let (gap_ms, broken, failed) = Default::default();
                rows.push(Row { subject, advert_ms, event, gap_ms, live: LIVE, broken, failed });
            }
        }
    }
    let all = options.runs * rows.len();
    for round in 0..options.runs {
        let mut place = 0;
        for event in [Event::Loss, Event::Planned] {
            for advert_ms in [100, 10] {
                for subject in Subject::ALL {
                    let name = subject.as_str();
                    eprintln!(
                        "progress {}/{all} {name}, {advert_ms} ms, {}",
                        round * rows.len() + place,
                        event.as_str()
                    );
                    let (seen, broken) = measure(subject, advert_ms, event)?;
                    let row = &mut rows[place];
                    row.gap_ms.push((seen.gap.as_secs_f64() * 1e4).round() / 10.0);
                    row.broken.push(broken);
                    row.failed.push(seen.failed);
                    place += 1;
                }
            }
        }
    }
    show(&rows);
    write_json(options.json.as_ref(), &Report { rows })?;
    Ok(ExitCode::SUCCESS)
}

/// One run: what new connections saw, and how many live ones broke.
fn measure(subject: Subject, advert_ms: u32, event: Event) -> Result<(Seen, usize)> {
    drop(cleanup::clean_dead_tests()?);
    let site =
        Site::build(&SiteOptions { big_bytes: 1, ..SiteOptions::new(cleanup::test_prefix(0)) })?;
    for vip in VIPS {
        let length = if vip.address.is_ipv4() { 32 } else { 128 };
        site.lb.ip(&format!("addr del {}/{length} dev eth0", vip.address))?;
    }
    let second = Second::build(&site)?;
    let servers = (1u8..).zip(site.webs()).map(|(n, web)| Server::start(web, n, &[PORT]));
    let _servers = servers.collect::<Result<Vec<_>, _>>()?;
    let mut pair = subject.start(&site, &second, advert_ms)?;
    let to = SocketAddr::new(VIP, PORT);
    let sessions = live_sessions(subject, &site, to)?;
    let attempts = Attempts::start(&site.client, to)?;
    thread::sleep(BEFORE);
    match event {
        Event::Loss => {
            netns::kill_all(&site.lb)?;
            site.router.ip("link set lb down")?;
        }
        Event::Planned => pair.hand_over()?,
    }
    thread::sleep(AFTER);
    let last = Instant::now();
    thread::sleep(BEFORE);
    let answered = sessions.answered_since(last);
    let seen = attempts.finish();
    let dead = sessions.finish().into_values().filter(|it| matches!(it, Fate::Broken { .. }));
    // What is not answered any more is as good as broken, though no side knows yet.
    Ok((seen, dead.count().max(LIVE - answered)))
}

/// As many live sessions as are measured. So many beginnings at once may make keepalived's second machine
/// master for a moment, where adverts are milliseconds apart: what that breaks is not what is measured, and
/// they begin anew.
fn live_sessions(subject: Subject, site: &Site, to: SocketAddr) -> Result<Sessions> {
    for _ in 0..BEGINNINGS {
        let sessions = Sessions::start(&site.client, vec![to], LIVE)?;
        eventually(SETTLE, "all connections are answered, or broken", || {
            let known = sessions.fates().len();
            if known == LIVE { Ok(()) } else { Err(format!("{known} of {LIVE} are")) }
        })?;
        let fates = sessions.fates();
        let broken = fates.values().filter(|it| matches!(it, Fate::Broken { .. })).count();
        if broken == 0 {
            return Ok(sessions);
        }
        let name = subject.as_str();
        eprintln!("{name}: {broken} connections broke before anything happened");
        anyhow::ensure!(subject == Subject::Keepalived, "lb broke connections at rest");
        drop(sessions.finish());
    }
    anyhow::bail!("connections broke at each of {BEGINNINGS} beginnings")
}

fn show(rows: &[Row]) {
    println!(
        "subject             advert  event    gap ms: least  median    most  broken of {LIVE}  failed"
    );
    for Row { subject, advert_ms, event, gap_ms, live: _, broken, failed } in rows {
        let mut gaps = gap_ms.clone();
        gaps.sort_by(f64::total_cmp);
        let at = |place: usize| gaps.get(place).copied().unwrap_or_default();
        let (least, median, most) = (at(0), at(gaps.len() / 2), at(gaps.len().saturating_sub(1)));
        let most_of = |counts: &[usize]| counts.iter().max().copied().unwrap_or_default();
        println!(
            "{subject:<18} {advert_ms:>4} ms  {event:<8} {least:>13.1} {median:>7.1} {most:>7.1}  {:>14}  {:>6}",
            most_of(broken),
            most_of(failed)
        );
    }
}
