//! Changes of the pools at run time.

use std::{collections::BTreeSet, net::SocketAddr};

use super::{
    Admin, Backend, Config,
    pool::Pool,
    proxy,
    validate::{self, Problem},
};
use crate::{api::types::Change, control::Rejection};

/// The configuration after a change that is made at `now`, in seconds of Unix time, and the names of
/// the services and proxies it touched; `None` if all is so already.
///
/// # Errors
/// [`Rejection::NotFound`] with the names that exist, or [`Rejection::Invalid`] if the result
/// would break a rule.
pub fn change(
    config: &Config,
    change: &Change,
    now: u64,
) -> Result<Option<(Config, Vec<String>)>, Rejection> {
    let mut changed = config.clone();
    let touched = apply(&mut changed, change, now)?;
    if touched.is_empty() {
        return Ok(None);
    }
    let problems = validate::check(&changed);
    if problems.is_empty() {
        let names = config.pools().filter(|(pool, _)| touched.contains(pool));
        return Ok(Some((changed, names.map(|(_, name)| name.to_owned()).collect())));
    }
    Err(Rejection::Invalid(sentences(&changed, &problems)))
}

/// The problems of a configuration in a line each; what several services have in common is said once.
#[must_use]
pub fn sentences(config: &Config, problems: &[Problem]) -> String {
    let mut sentences: Vec<(String, Option<&str>, Vec<&str>)> = Vec::new();
    for problem in problems {
        let text = format!("{}; {}", problem.message, problem.remedy);
        let (service, backend) = subject(config, &problem.key);
        // A sentence that names its service says enough.
        let service = service.filter(|name| !text.contains(&format!("`{name}`")));
        match sentences.iter_mut().find(|(other, of, _)| *other == text && *of == backend) {
            Some((_, _, services)) => services.extend(service),
            None => sentences.push((text, backend, service.into_iter().collect())),
        }
    }
    let lines = sentences.into_iter().map(|(text, backend, services)| {
        match (backend, services.join(", ")) {
            (_, services) if services.is_empty() => text,
            (Some(backend), services) => format!("{backend} in {services}: {text}"),
            (None, services) => format!("{services}: {text}"),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The names of the pool and the backend that a key is about, if it is about any.
fn subject<'a>(config: &'a Config, key: &str) -> (Option<&'a str>, Option<&'a str>) {
    let index = |array: &str| {
        let (_, rest) = key.split_once(array)?;
        rest.split_once(']')?.0.parse::<usize>().ok()
    };
    let service = index("service[").map(Pool::Service);
    let Some(pool) = service.or_else(|| index("proxy[").map(Pool::Proxy)) else {
        return (None, None);
    };
    let name = config.pools().find(|(it, _)| *it == pool).map(|(_, name)| name);
    let backend = index("backend[").and_then(|place| config.members(pool).get(place).copied());
    (name, backend)
}

/// The configuration with maintenance for the backends whose drain is over at `now`, in seconds of Unix
/// time, and the names of their pools and their own; `None` if there are none.
#[must_use]
pub fn end_drains(config: &Config, now: u64) -> Option<(Config, Vec<(String, String)>)> {
    let is_over = |admin| matches!(admin, Admin::Drain { until: Some(until) } if until <= now);
    let (mut changed, mut ended) = (None, Vec::new());
    for (pool, name) in config.pools() {
        for (place, (_, admin)) in config.standings(pool).into_iter().enumerate() {
            let changed = is_over(admin).then(|| changed.get_or_insert_with(|| config.clone()));
            let standing = changed.and_then(|it| it.standing_mut(pool, place));
            let Some((_, admin)) = standing else { continue };
            *admin = Admin::Maintenance;
            let backend = config.members(pool).get(place).copied().unwrap_or_default();
            ended.push((name.to_owned(), backend.to_owned()));
        }
    }
    changed.map(|config| (config, ended))
}

/// The name of the backend that a change is about: a new one may have it from its address.
#[must_use]
pub fn subject_of(config: &Config, change: &Change) -> String {
    match change {
        Change::Add { name: Some(name), .. } => name.clone(),
        Change::Add { name: None, service, address, port, .. } => {
            match (find_pool(config, service), port) {
                (Ok(Pool::Proxy(_)), Some(port)) => SocketAddr::new(*address, *port).to_string(),
                (Ok(_) | Err(_), _) => address.to_string(),
            }
        }
        Change::Remove { backend, .. }
        | Change::Weight { backend, .. }
        | Change::Drain { backend, .. }
        | Change::Maintenance { backend, .. }
        | Change::Ready { backend, .. } => backend.clone(),
    }
}

/// Makes a change, valid or not; the pools it touched.
fn apply(config: &mut Config, change: &Change, now: u64) -> Result<BTreeSet<Pool>, Rejection> {
    match change {
        Change::Add { service, .. } => {
            let pool = find_pool(config, service)?;
            let touched = add(config, pool, change)?;
            Ok(touched.then_some(pool).into_iter().collect())
        }
        Change::Remove { backend, service } => {
            let found = find(config, backend, service.as_deref())?;
            for (pool, place) in &found {
                config.remove(*pool, *place);
            }
            Ok(found.into_iter().map(|(pool, _)| pool).collect())
        }
        Change::Weight { backend, service, weight } => {
            set(config, backend, service.as_deref(), |(it, _)| it, *weight)
        }
        Change::Drain { backend, service, deadline_seconds } => {
            let until = deadline_seconds.map(|seconds| now.saturating_add(seconds));
            set(config, backend, service.as_deref(), |(_, it)| it, Admin::Drain { until })
        }
        Change::Maintenance { backend, service } => {
            set(config, backend, service.as_deref(), |(_, it)| it, Admin::Maintenance)
        }
        Change::Ready { backend, service } => {
            set(config, backend, service.as_deref(), |(_, it)| it, Admin::Ready)
        }
    }
}

/// Adds a backend; gives whether it was not there.
fn add(config: &mut Config, pool: Pool, change: &Change) -> Result<bool, Rejection> {
    let Change::Add { service, name: _, address, port, weight } = change else { return Ok(false) };
    let name = subject_of(config, change);
    let (weight, admin) = (weight.unwrap_or(1), Admin::Ready);
    match pool {
        Pool::Service(place) => {
            let service = &mut config.services[place];
            let port = port.unwrap_or_else(|| service.default_port());
            let new = Backend { name, address: *address, port, weight, admin };
            Ok(push(&mut service.backends, new))
        }
        Pool::Proxy(place) => {
            let Some(port) = *port else {
                let text = format!("{address} has no port, and `{service}` is a proxy: add --port");
                return Err(Rejection::Invalid(text));
            };
            let address = proxy::Place::Tcp(SocketAddr::new(*address, port));
            let new = proxy::Backend {
                name,
                address,
                weight,
                backup: false,
                max_connections: None,
                admin,
            };
            Ok(push(&mut config.proxies[place].backends, new))
        }
    }
}

fn push<B: PartialEq>(pool: &mut Vec<B>, new: B) -> bool {
    let is_new = !pool.contains(&new);
    if is_new {
        pool.push(new);
    }
    is_new
}

/// Gives a field of the backends of a name its value; the pools it touched.
fn set<T: Copy + PartialEq>(
    config: &mut Config,
    backend: &str,
    pool: Option<&str>,
    field: impl for<'a> Fn((&'a mut u16, &'a mut Admin)) -> &'a mut T,
    value: T,
) -> Result<BTreeSet<Pool>, Rejection> {
    let mut touched = BTreeSet::new();
    for (pool, place) in find(config, backend, pool)? {
        let Some(standing) = config.standing_mut(pool, place) else { continue };
        if std::mem::replace(field(standing), value) != value {
            let _new = touched.insert(pool);
        }
    }
    Ok(touched)
}

/// The backends of a name, at most one a pool, by their places there. In all pools if none is named.
///
/// # Errors
/// [`Rejection::NotFound`] with the names that exist, if there is none.
fn find(
    config: &Config,
    backend: &str,
    pool: Option<&str>,
) -> Result<Vec<(Pool, usize)>, Rejection> {
    let only = pool.map(|name| find_pool(config, name)).transpose()?;
    let pools = config.pools().map(|(pool, _)| pool);
    let pools: Vec<_> = pools.filter(|it| only.is_none_or(|only| only == *it)).collect();
    let place = |pool: &Pool| {
        let place = config.members(*pool).into_iter().position(|it| it == backend)?;
        Some((*pool, place))
    };
    let found: Vec<_> = pools.iter().filter_map(place).collect();
    if found.is_empty() {
        let known = list(pools.iter().flat_map(|pool| config.members(*pool)));
        let place = pool.map(|pool| format!(" in `{pool}`")).unwrap_or_default();
        return Err(Rejection::NotFound(format!(
            "there is no backend `{backend}`{place}; the backends are: {known}"
        )));
    }
    Ok(found)
}

fn find_pool(config: &Config, name: &str) -> Result<Pool, Rejection> {
    let found = config.pools().find(|(_, it)| *it == name).map(|(pool, _)| pool);
    found.ok_or_else(|| {
        let known = list(config.pools().map(|(_, name)| name));
        let kinds = if config.proxies.is_empty() { "service" } else { "service or proxy" };
        let those = if config.proxies.is_empty() { "services" } else { "services and proxies" };
        Rejection::NotFound(format!("there is no {kinds} `{name}`; the {those} are: {known}"))
    })
}

/// Names in order, once each; a long list is cut.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 20;
    let names: BTreeSet<_> = names.collect();
    let shown: Vec<_> = names.iter().copied().take(SHOWN).collect();
    match (shown.is_empty(), names.len() - shown.len()) {
        (true, _) => "(none)".to_owned(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests;
