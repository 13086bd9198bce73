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
            found.iter().for_each(|(pool, place)| config.remove(*pool, *place));
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
    let Change::Add { service, name, address, port, weight } = change else { return Ok(false) };
    let (weight, admin) = (weight.unwrap_or(1), Admin::Ready);
    match pool {
        Pool::Service(place) => {
            let service = &mut config.services[place];
            let name = name.clone().unwrap_or_else(|| address.to_string());
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
            let name = name.clone().unwrap_or_else(|| address.to_string());
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
fn set<T: PartialEq>(
    config: &mut Config,
    backend: &str,
    pool: Option<&str>,
    field: impl for<'a> Fn((&'a mut u16, &'a mut Admin)) -> &'a mut T,
    value: T,
) -> Result<BTreeSet<Pool>, Rejection>
where
    T: Copy,
{
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
mod tests {
    use super::*;
    use crate::config::file;

    const NOW: u64 = 1_800_000_000;

    fn change(config: &Config, order: &Change) -> Result<Option<(Config, Vec<String>)>, Rejection> {
        super::change(config, order, NOW)
    }

    fn config() -> Config {
        file::embedded().unwrap().config
    }

    fn add(service: &str, address: &str) -> Change {
        let (name, port, weight) = (None, None, None);
        Change::Add {
            service: service.into(),
            name,
            address: address.parse().unwrap(),
            port,
            weight,
        }
    }

    fn weight(backend: &str, service: Option<&str>, weight: u16) -> Change {
        Change::Weight { backend: backend.into(), service: service.map(Into::into), weight }
    }

    #[test]
    fn a_backend_is_added_with_defaults_once() {
        let (after, touched) = change(&config(), &add("web", "10.0.0.14")).unwrap().unwrap();
        assert_eq!(touched, ["web"]);
        let new = Backend {
            name: "10.0.0.14".into(),
            address: [10, 0, 0, 14].into(),
            port: 80,
            weight: 1,
            admin: Admin::Ready,
        };
        assert_eq!(after.services[0].backends.last(), Some(&new));
        let mut expected = config();
        expected.services[0].backends.push(new);
        assert_eq!(after, expected, "nothing else changes");
        assert_eq!(change(&after, &add("web", "10.0.0.14")), Ok(None));
    }

    #[test]
    fn a_change_touches_all_services_of_a_name_or_one() {
        let (after, touched) = change(&config(), &weight("web2", None, 5)).unwrap().unwrap();
        assert_eq!(touched, ["web", "web6", "app", "app6"]);
        assert!(after.services.iter().all(|service| service.backends[1].weight == 5));
        let (_, touched) = change(&after, &weight("web2", Some("app"), 7)).unwrap().unwrap();
        assert_eq!(touched, ["app"]);
        assert_eq!(change(&after, &weight("web2", None, 5)), Ok(None));

        let remove = Change::Remove { backend: "web1".into(), service: Some("web6".into()) };
        let (after, touched) = change(&config(), &remove).unwrap().unwrap();
        assert_eq!(touched, ["web6"]);
        let counts: Vec<_> = after.services.iter().map(|it| it.backends.len()).collect();
        assert_eq!(counts, [3, 2, 3, 3]);
    }

    #[test]
    fn an_operator_has_a_backend_in_one_of_three_states() {
        let (backend, service) = (String::from("web1"), Some(String::from("web")));
        let orders = |backend: String, service: Option<String>| {
            let drain = |deadline_seconds| {
                let (backend, service) = (backend.clone(), service.clone());
                Change::Drain { backend, service, deadline_seconds }
            };
            [
                (drain(None), Admin::DRAIN),
                (drain(Some(600)), Admin::Drain { until: Some(NOW + 600) }),
                (
                    Change::Maintenance { backend: backend.clone(), service: service.clone() },
                    Admin::Maintenance,
                ),
                (Change::Ready { backend, service }, Admin::Ready),
            ]
        };
        let mut config = config();
        for (order, admin) in orders(backend, service) {
            let (after, touched) = change(&config, &order).unwrap().unwrap();
            assert_eq!(
                (&*touched, after.services[0].backends[0].admin),
                (&["web".into()][..], admin)
            );
            assert_eq!(change(&after, &order), Ok(None), "once");
            config = after;
        }
    }

    #[test]
    fn what_breaks_a_rule_is_invalid() {
        let invalid = |order: &Change| match change(&config(), order) {
            Err(Rejection::Invalid(message)) => message,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            invalid(&add("web", "fd00::99")),
            "fd00::99 in web: fd00::99 of backend `fd00::99` is IPv6, but the VIP 10.0.0.10 is IPv4; use the \
             backend's IPv4 address, make a service with an IPv6 VIP, or set `forward = \"ipip\"` or \
             \"gue\""
        );
        assert_eq!(
            invalid(&weight("web1", None, 1001)),
            "web1 in web, web6, app, app6: 1001 is not a weight; use 0 to 1000"
        );
        assert_eq!(
            invalid(&add("app", "10.0.0.20")),
            "10.0.0.20 in app: 10.0.0.20 of backend `10.0.0.20` is a VIP of this node; use the \
             backend's own address"
        );
        assert_eq!(
            invalid(&add("web", "10.0.0.11")),
            "10.0.0.11 port 80 is in `web` twice, as `web1` and as `10.0.0.11`; remove one, and \
             use `weight` for a larger share"
        );
        let one_left = ["web2", "web3"].iter().fold(config(), |config, name| {
            change(&config, &weight(name, None, 0)).unwrap().unwrap().0
        });
        let last = Change::Remove { backend: "web1".into(), service: Some("web".into()) };
        assert!(matches!(change(&one_left, &last), Err(Rejection::Invalid(_))));
    }

    #[test]
    fn unknown_names_are_answered_with_the_known() {
        let drain = |backend: &str, service: Option<&str>| {
            let (backend, service) = (backend.into(), service.map(Into::into));
            change(&config(), &Change::Drain { backend, service, deadline_seconds: None })
        };
        let not_found = |text: &str| Err(Rejection::NotFound(text.into()));
        assert_eq!(
            drain("web9", Some("app")),
            not_found("there is no backend `web9` in `app`; the backends are: web1, web2, web3")
        );
        assert_eq!(
            drain("web1", Some("wbe")),
            not_found("there is no service `wbe`; the services are: app, app6, web, web6")
        );
    }
}
