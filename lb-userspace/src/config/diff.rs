//! In which things two configurations differ.

mod pool;
mod proxy;
mod route;
mod vrrp;

use std::{collections::BTreeMap, fmt::Display, net::IpAddr, time::Duration};

use lb_common::route::Prefix;

use super::{Answers, Backend, Config, Service, pool::Member as _, validate::Problem};
use crate::api::plan::{Difference, Kind};

/// All in which `new` differs from `old`: the node's tables first, then the services, each with its
/// backends, then the proxies, the virtual routers and the routes. What is [`fixed`] is left out.
#[must_use]
pub fn diff(old: &Config, new: &Config) -> Vec<Difference> {
    let mut found = Vec::new();
    if old.node.seed != new.node.seed {
        // Both are secrets.
        found.push(difference(Kind::Changed, "node.seed", "another one"));
    }
    let watchdog = |config: &Config| config.node.watchdog.map_or_else(|| "none".into(), span);
    found.extend(changed("node.watchdog", watchdog(old), watchdog(new)));
    let threads = |config: &Config| {
        config.node.proxy_threads.map_or_else(|| "one per CPU".into(), |it| it.to_string())
    };
    found.extend(changed("node.proxy_threads", threads(old), threads(new)));
    let busy_poll = |config: &Config| span(config.node.proxy_busy_poll);
    found.extend(changed("node.proxy_busy_poll", busy_poll(old), busy_poll(new)));
    let drain = |config: &Config| span(config.node.proxy_drain);
    found.extend(changed("node.proxy_drain", drain(old), drain(new)));
    let sources = |config: &Config| prefixes(&config.node.tunnel_source);
    found.extend(changed("node.tunnel_source", sources(old), sources(new)));
    let Answers { echo, errors, resets } = new.answers;
    found.extend(changed("answers.echo", old.answers.echo, echo));
    found.extend(changed("answers.errors", old.answers.errors, errors));
    found.extend(changed("answers.resets", old.answers.resets, resets));
    let (before, after) = (&old.firewall.deny, &new.firewall.deny);
    let only = |these: &[Prefix], those: &[Prefix]| {
        let only = these.iter().filter(|prefix| !those.contains(prefix));
        only.map(prefix).collect::<Vec<_>>()
    };
    let deny = |kind, denied: Vec<String>| {
        denied.into_iter().map(move |it| difference(kind, "firewall.deny", it))
    };
    found.extend(deny(Kind::Removed, only(before, after)));
    found.extend(deny(Kind::Added, only(after, before)));
    found.extend(services(&old.services, &new.services));
    found.extend(proxy::proxies(&old.proxies, &new.proxies));
    found.extend(vrrp::routers(&old.vrrp, &new.vrrp));
    found.extend(route::routes(&old.routes, &new.routes));
    found
}

/// What `new` says otherwise than `old` although it cannot change while the daemon runs.
#[must_use]
pub fn fixed(old: &Config, new: &Config) -> Vec<Problem> {
    const RESTART: &str = "restore it, or restart the daemon (packets go on meanwhile)";
    const DETACH: &str = "restore it, or stop the daemon, `lb detach`, and start it again (this \
                          interrupts traffic)";
    let differs = |differs: bool, key: &str, remedy: &str| {
        let message = "it cannot change while the daemon runs";
        differs.then(|| Problem::new(key, message, remedy))
    };
    let (node, limits) = (&old.node, &old.limits);
    let rows = [
        (node.interfaces != new.node.interfaces, "node.interfaces", RESTART),
        (node.mode != new.node.mode, "node.mode", RESTART),
        (node.runtime_dir != new.node.runtime_dir, "node.runtime_dir", RESTART),
        (node.pin_dir != new.node.pin_dir, "node.pin_dir", DETACH),
        (node.probe_aliases != new.node.probe_aliases, "node.probe_aliases", RESTART),
        (*limits != new.limits, "limits", DETACH),
    ];
    rows.into_iter().filter_map(|(it, key, remedy)| differs(it, key, remedy)).collect()
}

fn services(old: &[Service], new: &[Service]) -> Vec<Difference> {
    let before: BTreeMap<_, _> = old.iter().map(|it| (&*it.name, it)).collect();
    let after: BTreeMap<_, _> = new.iter().map(|it| (&*it.name, it)).collect();
    let gone = old.iter().filter(|it| !after.contains_key(&*it.name));
    let gone = gone.map(|it| difference(Kind::Removed, subject(it), summary(it)));
    let others = new.iter().flat_map(|service| match before.get(&*service.name) {
        Some(before) => service_changes(before, service),
        None => vec![difference(Kind::Added, subject(service), summary(service))],
    });
    gone.chain(others).collect()
}

fn subject(service: &Service) -> String {
    format!("service {}", service.name)
}

fn summary(service: &Service) -> String {
    let plural = if service.backends.len() == 1 { "" } else { "s" };
    let (forward, backends) = (service.forward.as_str(), service.backends.len());
    format!("{}, {forward}, {backends} backend{plural}", place(service))
}

fn place(service: &Service) -> String {
    format!("{} port {}/{}", service.vip, service.ports, service.protocol.as_str())
}

fn service_changes(old: &Service, new: &Service) -> Vec<Difference> {
    let subject = subject(new);
    // All keys are named, so that a new one is not forgotten here.
    let Service {
        name: _,
        vip: _,
        protocol: _,
        ports: _,
        forward,
        gue_port,
        window,
        flow_table,
        on_down,
        ring_size,
        check,
        agent,
        panic,
        sorry,
        backends,
    } = new;
    let key = |key: &str, old: String, new: String| changed(&format!("{subject} {key}"), old, new);
    let texts = [
        changed(&subject, place(old), place(new)),
        key("forward", old.forward.as_str().into(), forward.as_str().into()),
        key("gue_port", old.gue_port.to_string(), gue_port.to_string()),
        key("window", span(old.window), span(*window)),
        key("flow_table", old.flow_table.to_string(), flow_table.to_string()),
        key("on_down", old.on_down.as_str().into(), on_down.as_str().into()),
        key("ring_size", old.ring_size.to_string(), ring_size.to_string()),
        key("panic", format!("{}%", old.panic), format!("{panic}%")),
        key("sorry", machine(old.sorry.as_ref()), machine(sorry.as_ref())),
    ];
    let mut found: Vec<_> = texts.into_iter().flatten().collect();
    if old.check != *check {
        // Its values may be secrets.
        let detail = match (&old.check, check) {
            (None, _) => "checks begin",
            (_, None) => "checks end",
            (Some(_), Some(_)) => "checked in another way",
        };
        found.push(difference(Kind::Changed, format!("{subject} check"), detail));
    }
    if old.agent != *agent {
        let detail = match (&old.agent, agent) {
            (None, _) => "agents are asked",
            (_, None) => "agents are asked no more",
            (Some(_), Some(_)) => "asked in another way",
        };
        found.push(difference(Kind::Changed, format!("{subject} agent"), detail));
    }
    found.extend(pool::backends(&new.name, &old.backends, backends));
    found
}

fn machine(sorry: Option<&Backend>) -> String {
    sorry.map_or_else(|| "none".into(), |it| format!("{} ({})", it.name, it.place()))
}

fn span(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

fn prefixes(prefixes: &[Prefix]) -> String {
    let texts: Vec<_> = prefixes.iter().map(prefix).collect();
    if texts.is_empty() { "none".into() } else { texts.join(", ") }
}

fn prefix(Prefix { address, length }: &Prefix) -> String {
    match address.to_ip() {
        // IPv4 stands in the tables in its mapped form.
        IpAddr::V4(v4) => format!("{v4}/{}", length.saturating_sub(96)),
        IpAddr::V6(v6) => format!("{v6}/{length}"),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "most are made for it")]
fn changed<T: PartialEq + Display>(subject: &str, old: T, new: T) -> Option<Difference> {
    (old != new).then(|| difference(Kind::Changed, subject, format!("{old} → {new}")))
}

fn difference(kind: Kind, subject: impl Into<String>, detail: impl Into<String>) -> Difference {
    Difference { kind, subject: subject.into(), detail: detail.into() }
}

#[cfg(test)]
mod tests;
