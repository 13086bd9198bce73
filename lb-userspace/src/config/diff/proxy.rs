//! In which proxies two configurations differ.

use std::collections::BTreeMap;

use super::{difference, pool};
use crate::{
    api::plan::{Difference, Kind},
    config::proxy::Proxy,
};

/// One line for each that differs, and one for each of its backends that does.
pub(super) fn proxies(old: &[Proxy], new: &[Proxy]) -> Vec<Difference> {
    let before: BTreeMap<_, _> = old.iter().map(|it| (&*it.name, it)).collect();
    let after: BTreeMap<_, _> = new.iter().map(|it| (&*it.name, it)).collect();
    let gone = old.iter().filter(|it| !after.contains_key(&*it.name));
    let gone = gone.map(|it| difference(Kind::Removed, subject(it), summary(it)));
    let others = new.iter().flat_map(|proxy| match before.get(&*proxy.name) {
        Some(before) => {
            let keys = changed_keys(before, proxy);
            let detail = || format!("changed in {}", keys.join(", "));
            let keys =
                (!keys.is_empty()).then(|| difference(Kind::Changed, subject(proxy), detail()));
            let backends = pool::backends(&proxy.name, &before.backends, &proxy.backends);
            keys.into_iter().chain(backends).collect()
        }
        None => vec![difference(Kind::Added, subject(proxy), summary(proxy))],
    });
    gone.chain(others).collect()
}

fn subject(proxy: &Proxy) -> String {
    format!("proxy {}", proxy.name)
}

fn summary(Proxy { listen, backends, .. }: &Proxy) -> String {
    let plural = if backends.len() == 1 { "" } else { "s" };
    let listen: Vec<_> = listen.iter().map(ToString::to_string).collect();
    format!("{}, {} backend{plural}", listen.join(", "), backends.len())
}

/// Values may be secrets.
fn changed_keys(old: &Proxy, new: &Proxy) -> Vec<&'static str> {
    // All keys are named, so that a new one is not forgotten here.
    let Proxy {
        name: _,
        listen,
        balance,
        max_connections,
        queue,
        timeouts,
        retries,
        sockets,
        accept_proxy,
        send_proxy,
        on_down,
        eject,
        check,
        mysql,
        backends: _,
    } = new;
    let limits = |it: &Proxy| -> BTreeMap<String, (bool, Option<u32>)> {
        let backends = it.backends.iter();
        backends.map(|it| (it.name.clone(), (it.backup, it.max_connections))).collect()
    };
    let (before, after) = (limits(old), limits(new));
    let other = |(name, limits): (&String, _)| before.get(name).is_some_and(|it| it != limits);
    let keys = [
        ("listen", *listen != old.listen),
        ("balance", *balance != old.balance),
        ("max_connections", *max_connections != old.max_connections),
        ("queue", *queue != old.queue),
        ("timeout", *timeouts != old.timeouts),
        ("retries", *retries != old.retries),
        ("nodelay, keepalive or source", *sockets != old.sockets),
        ("accept_proxy", *accept_proxy != old.accept_proxy),
        ("send_proxy", *send_proxy != old.send_proxy),
        ("on_down", *on_down != old.on_down),
        ("eject", *eject != old.eject),
        ("check", *check != old.check),
        ("protocol, role or monitor", *mysql != old.mysql),
        ("backend.backup or backend.max_connections", after.iter().any(other)),
    ];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}
