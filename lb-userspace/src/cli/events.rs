//! `lb events`.

use std::fmt::Write;

use super::{
    Error,
    output::{self, Output},
};
use crate::{
    api::client::Client,
    events::{Entry, KEPT, Page, Query},
};

/// How long one request of those that follow waits, in seconds: well within the client's patience.
const WAIT: u64 = 5;

/// Show what happened on the node
///
/// Health, drains, changes of pools, moves of slots, starts and ends of the daemon: each with its
/// number, the time in UTC, and who did it: `lb` itself, a user of the socket, or a signal. The daemon
/// keeps the last 4096 in memory, and writes all to its log as well.
#[derive(Debug, clap::Args)]
#[command(after_long_help = super::help::EVENTS)]
pub(super) struct EventsArgs {
    /// Go on with what happens from now on, until interrupted or the daemon ends
    #[arg(long, short)]
    follow: bool,
    /// Only events with a larger number
    #[arg(long, value_name = "NUMBER")]
    since: Option<u64>,
    /// Only events of this service
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
    /// The latest so many
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 100)]
    count: usize,
}

pub(super) async fn events(client: &Client, output: Output, args: EventsArgs) -> Result<(), Error> {
    let EventsArgs { follow, since, service, count } = args;
    let mut query = Query { since, service, count: Some(count), wait: None };
    let mut page = client.events(&query).await?;
    say_what_is_missing(&page, count);
    if !follow {
        return output.show(&page, |page| lines(&page.events));
    }
    loop {
        for entry in &page.events {
            output.show_line(entry, line)?;
        }
        query = Query { since: Some(page.last), count: None, wait: Some(WAIT), ..query };
        page = match client.events(&query).await {
            Ok(page) => page,
            // A daemon that ends may do so amid an answer.
            Err(error) => return Err(client.status().await.err().unwrap_or(error).into()),
        };
        say_what_is_missing(&page, KEPT);
    }
}

/// Only where the user asked for more than there is.
fn say_what_is_missing(page: &Page, count: usize) {
    if page.forgotten > 0 && page.events.len() < count {
        let forgotten = page.forgotten;
        output::complain(&format_args!(
            "{forgotten} earlier events are forgotten: the daemon keeps {KEPT}, its log has all"
        ));
    }
}

fn lines(entries: &[Entry]) -> String {
    entries.iter().map(line).collect()
}

/// As a line of its own: the columns of those that are followed cannot know each other.
fn line(Entry { sequence, time, event }: &Entry) -> String {
    let mut line = String::new();
    let subject = event.subject();
    let kind = event.kind.as_str();
    // Writing to a string cannot fail.
    let _written = write!(
        line,
        "{sequence:>5}  {time}  {kind:<12}  {:<15}  {subject:<20}  {}",
        event.who, event.cause
    );
    line.replace(char::is_control, " ") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Event, Kind};

    #[test]
    fn an_event_is_one_line_that_cannot_steer_the_terminal() {
        let event = Event::new(Kind::Down, "status 500\n\x1b[2J").of_backend("web", "web1");
        let entry = Entry { sequence: 7, time: "2026-11-21T11:09:59.123Z".into(), event };
        assert_eq!(
            line(&entry),
            "    7  2026-11-21T11:09:59.123Z  down          lb               web/web1              \
             status 500  [2J\n"
        );
    }
}
