//! The rules of what virtual routers and routes track.

use std::time::Duration;

use super::{
    Problem,
    node::interface,
    vrrp::{Broken, at_most, say, spell},
};
use crate::config::{
    Config, Service,
    vrrp::{Track, Tracked},
};

/// The rules of each; `key` is the table that has them.
pub(super) fn check(key: impl Fn(&str) -> String, tracks: &[Track]) -> Vec<Problem> {
    let rules = |(position, track): (usize, &Track)| {
        let again = tracks.iter().take(position).any(|it| it.what == track.what);
        one(&key(&format!("track[{position}]")), track, again)
    };
    tracks.iter().enumerate().flat_map(rules).collect()
}

/// The rules of one; `key` is its table, and `again` says that another one tracks the same.
fn one(key: &str, track: &Track, again: bool) -> Vec<Problem> {
    let Track { what, weight: _, rise, fall } = track;
    let (name, own) = match what {
        Tracked::Interface(_) => ("interface", Vec::new()),
        Tracked::Script { command, interval, timeout } => {
            ("script", script(command, *interval, *timeout))
        }
        Tracked::Datapath => ("datapath", Vec::new()),
        Tracked::Service(_) => ("service", Vec::new()),
    };
    let zeros = [("rise", rise), ("fall", fall)].into_iter().filter(|(_, number)| **number == 0);
    let zeros =
        zeros.map(|(name, _)| say(name, "0 results cannot change anything", "use 1 or more"));
    let again = again.then(|| say(name, "it is tracked already", "keep one of both"));
    let broken = own.into_iter().chain(zeros).chain(again);
    let problem = |(name, message, remedy)| Problem::new(format!("{key}.{name}"), message, remedy);
    let unnamable = match what {
        Tracked::Interface(it) => interface(|| format!("{key}.interface"), it),
        Tracked::Script { .. } | Tracked::Datapath | Tracked::Service(_) => None,
    };
    unnamable.into_iter().chain(broken.map(problem)).collect()
}

fn script(command: &[String], interval: Duration, timeout: Duration) -> Vec<Broken> {
    let program = match command.first() {
        None => Some(say("script", "it is empty", "write `script = [\"/usr/local/bin/ok\"]`")),
        Some(program) if program.starts_with('/') => None,
        Some(_) => Some(say("script", "not an absolute path", "begin it with `/`")),
    };
    let late = if timeout.is_zero() {
        Some(say("timeout", "no script can end in no time", "use \"500ms\", for example"))
    } else if timeout > interval {
        let (timeout, interval) = (spell(timeout), spell(interval));
        let message = format!("{timeout} is more than the interval of {interval}");
        Some(say("timeout", message, "shorten it, or lengthen `interval`"))
    } else {
        at_most("interval", interval)
    };
    program.into_iter().chain(late).collect()
}

/// What the services of tracks are called, with the keys.
fn tracked_services(config: &Config) -> Vec<(String, &str)> {
    let routers = config.vrrp.iter().map(|it| &it.tracks).enumerate();
    let routes = config.routes.iter().map(|it| &it.tracks).enumerate();
    let of_routers = routers.flat_map(|(index, tracks)| named(format!("vrrp[{index}]"), tracks));
    let of_routes = routes.flat_map(|(index, tracks)| named(format!("route[{index}]"), tracks));
    of_routers.chain(of_routes).collect()
}

fn named(table: String, tracks: &[Track]) -> impl Iterator<Item = (String, &str)> {
    tracks.iter().enumerate().filter_map(move |(place, track)| match &track.what {
        Tracked::Service(name) => Some((format!("{table}.track[{place}].service"), name.as_str())),
        Tracked::Interface(_) | Tracked::Script { .. } | Tracked::Datapath => None,
    })
}

fn find<'a>(config: &'a Config, name: &str) -> Option<&'a Service> {
    config.services.iter().find(|it| it.name == name)
}

/// That services are tracked which are not there.
pub(super) fn unknown_services(config: &Config) -> Vec<Problem> {
    let unknown = tracked_services(config).into_iter();
    let unknown = unknown.filter(|(_, name)| find(config, name).is_none());
    let problem = |(key, name): (String, &str)| {
        let message = format!("there is no service `{}`", name.escape_debug());
        Problem::new(key, message, "use the name of a [[service]]")
    };
    unknown.map(problem).collect()
}

/// That services are tracked which nothing checks.
pub(super) fn unchecked_services(config: &Config) -> Vec<Problem> {
    let is_unchecked = |service: &Service| service.check.is_none() && service.agent.is_none();
    let unchecked = tracked_services(config).into_iter();
    let unchecked = unchecked.filter(|(_, name)| find(config, name).is_some_and(is_unchecked));
    let problem = |(key, name): (String, &str)| {
        let message = format!("`{name}` has no check: all its backends count as healthy, always");
        Problem::new(key, message, "add a [service.check]")
    };
    unchecked.map(problem).collect()
}
