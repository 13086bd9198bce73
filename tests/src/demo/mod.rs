//! The demo: the site, a node with its default configuration, a little traffic, and a live table.

mod hints;
mod plain;
mod screen;
mod view;

use std::{
    io::{self, IsTerminal},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Error, cleanup,
    node::Node,
    plan::VIPS,
    run,
    site::{self, Options, Site},
    traffic::{Tallies, Traffic},
};
use hints::hints;
use view::{Sample, View};

/// What the names of everything that the demo makes begin with: fixed, so that the next demo finds
/// what a crashed one left.
pub const PREFIX: &str = "lb-demo";
/// From one request to the next at each service: 50 a second over four of them.
const INTERVAL: Duration = Duration::from_millis(80);
/// From one look at the counters to the next.
const REFRESH: Duration = Duration::from_secs(1);

/// How the demo went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What is wrong with it, in sentences; empty if all servers served and no request failed.
    pub complaints: Vec<String>,
}

/// Runs the demo until `stop` is set, the user ends it, or `duration` is over; then everything is
/// removed.
pub fn run(duration: Option<Duration>, stop: &AtomicBool) -> Result<Outcome, Error> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    run::check_tools()?;
    clean()?;
    if site::mount_bpffs()? {
        println!("mounted a bpffs at {} (it stays)", site::BPFFS);
    }
    let shown = show(duration, stop);
    // Everything was removed on the way out of `show`, whatever came of it.
    println!("removed the demo's namespaces, processes, pinned maps and directories");
    shown.map(|tallies| Outcome { complaints: complaints(&tallies) })
}

/// Removes what a crashed demo left, and says so.
pub fn clean() -> Result<(), Error> {
    for removed in cleanup::clean(PREFIX)? {
        println!("removed what an earlier demo left: {removed}");
    }
    Ok(())
}

fn show(duration: Option<Duration>, stop: &AtomicBool) -> Result<Tallies, Error> {
    println!("building the site: a client, a router, a node, three web servers");
    let site = Site::build(&Options::new(PREFIX))?;
    println!("starting lb");
    let node = site.start_default_node()?;
    node.wait_until_ready()?;
    let traffic = Traffic::start(&site, &VIPS, INTERVAL)?;
    let hints = hints(&site, &node);
    let end = duration.map(|duration| Instant::now() + duration);
    let is_over = || stop.load(Ordering::Relaxed) || end.is_some_and(|end| Instant::now() >= end);
    if io::stdout().is_terminal() {
        screen::show(&hints, || look(&node, &traffic), is_over)?;
    } else {
        plain::show(&hints, || look(&node, &traffic), is_over);
    }
    Ok(traffic.finish())
}

/// All counters at this moment.
fn look(node: &Node<'_>, traffic: &Traffic) -> Sample {
    let counters = node.services().and_then(|services| Ok((services, node.stats()?)));
    Sample {
        at: Instant::now(),
        counters: counters.map_err(|error| error.to_string()),
        tallies: traffic.tally(),
    }
}

/// Turns looks into views, one every [`REFRESH`].
struct Watch<L> {
    look: L,
    before: Sample,
    started: Instant,
}

impl<L: FnMut() -> Sample> Watch<L> {
    fn new(mut look: L) -> Self {
        let before = look();
        Self { look, started: before.at, before }
    }

    /// The next view, once it is due.
    fn next(&mut self) -> Option<View> {
        if self.before.at.elapsed() < REFRESH {
            return None;
        }
        let after = (self.look)();
        let view = View::between(self.started, &self.before, &after);
        self.before = after;
        Some(view)
    }

    /// Sleeps for a moment in which nothing is due.
    fn doze() {
        thread::sleep(Duration::from_millis(50));
    }
}

fn complaints(tallies: &Tallies) -> Vec<String> {
    let mut complaints = Vec::new();
    for (service, tally) in tallies {
        if tally.errors > 0 {
            let last = tally.last_error.as_deref().unwrap_or_default();
            complaints
                .push(format!("{service}: {} requests failed, the last: {last}", tally.errors));
        }
        for web in (1..=WEBS).map(|number| format!("web{number}")) {
            if !tally.answers.contains_key(&web) {
                complaints.push(format!("{service}: {web} served nothing"));
            }
        }
    }
    complaints
}

/// The web servers of the default configuration.
const WEBS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::Tally;

    #[test]
    fn idle_servers_and_failed_requests_are_complained_about() {
        let answers: std::collections::BTreeMap<_, _> =
            ["web1", "web2", "web3"].map(|web| (web.to_owned(), 7)).into();
        let good = Tally { answers, ..Tally::default() };
        assert!(complaints(&Tallies::from([("web", good.clone())])).is_empty());

        let mut idle = good.clone();
        let _: Option<u64> = idle.answers.remove("web2");
        let failed = Tally { errors: 2, last_error: Some("refused".into()), ..good };
        assert_eq!(
            complaints(&Tallies::from([("app", failed), ("web", idle)])),
            ["app: 2 requests failed, the last: refused", "web: web2 served nothing"]
        );
    }
}
