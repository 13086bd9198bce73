//! Changes of the pools at run time.

use std::collections::BTreeSet;

use super::{
    Admin, Backend, Config,
    validate::{self, Problem},
};
use crate::{api::types::Change, control::Rejection};

/// The configuration after a change that is made at `now`, in seconds of Unix time, and the names of
/// the services it touched; `None` if all is so already.
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
        let names = touched.into_iter().map(|index| config.services[index].name.clone()).collect();
        return Ok(Some((changed, names)));
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

/// The names of the service and the backend that a key is about, if it is about any.
fn subject<'a>(config: &'a Config, key: &str) -> (Option<&'a str>, Option<&'a str>) {
    let index = |array: &str| {
        let (_, rest) = key.split_once(array)?;
        rest.split_once(']')?.0.parse::<usize>().ok()
    };
    let service = index("service[").and_then(|index| config.services.get(index));
    let backend = service.and_then(|service| service.backends.get(index("backend[")?));
    (service.map(|service| service.name.as_str()), backend.map(|backend| backend.name.as_str()))
}

/// Makes a change, valid or not; the indexes of the services it touched.
fn apply(config: &mut Config, change: &Change, now: u64) -> Result<BTreeSet<usize>, Rejection> {
    let mut touched = BTreeSet::new();
    match change {
        Change::Add { service, name, address, port, weight } => {
            let index = find_service(config, service)?;
            let service = &mut config.services[index];
            let backend = Backend {
                name: name.clone().unwrap_or_else(|| address.to_string()),
                address: *address,
                port: port.unwrap_or_else(|| service.default_port()),
                weight: weight.unwrap_or(1),
                admin: Admin::Ready,
            };
            if !service.backends.contains(&backend) {
                service.backends.push(backend);
                let _new = touched.insert(index);
            }
        }
        Change::Remove { backend, service } => {
            for (index, position) in find(config, backend, service.as_deref())? {
                let _removed = config.services[index].backends.remove(position);
                let _new = touched.insert(index);
            }
        }
        Change::Weight { backend, service, weight } => {
            touched = set(config, backend, service.as_deref(), |it| &mut it.weight, *weight)?;
        }
        Change::Drain { backend, service, deadline_seconds } => {
            let until = deadline_seconds.map(|seconds| now.saturating_add(seconds));
            let admin = Admin::Drain { until };
            touched = set(config, backend, service.as_deref(), |it| &mut it.admin, admin)?;
        }
        Change::Maintenance { backend, service } => {
            let admin = Admin::Maintenance;
            touched = set(config, backend, service.as_deref(), |it| &mut it.admin, admin)?;
        }
        Change::Ready { backend, service } => {
            touched = set(config, backend, service.as_deref(), |it| &mut it.admin, Admin::Ready)?;
        }
    }
    Ok(touched)
}

/// Gives a field of the backends of a name its value; the indexes of the services it touched.
fn set<T: PartialEq + Copy>(
    config: &mut Config,
    backend: &str,
    service: Option<&str>,
    field: impl Fn(&mut Backend) -> &mut T,
    value: T,
) -> Result<BTreeSet<usize>, Rejection> {
    let mut touched = BTreeSet::new();
    for (index, position) in find(config, backend, service)? {
        let field = field(&mut config.services[index].backends[position]);
        if std::mem::replace(field, value) != value {
            let _new = touched.insert(index);
        }
    }
    Ok(touched)
}

/// The backends of a name: indexes into [`Config::services`] and [`super::Service::backends`], at
/// most one a service. In all services if `service` is `None`.
///
/// # Errors
/// [`Rejection::NotFound`] with the names that exist, if there is none.
pub fn find(
    config: &Config,
    backend: &str,
    service: Option<&str>,
) -> Result<Vec<(usize, usize)>, Rejection> {
    let only = service.map(|service| find_service(config, service)).transpose()?;
    let services: Vec<_> = config
        .services
        .iter()
        .enumerate()
        .filter(|(index, _)| only.is_none_or(|only| only == *index))
        .collect();
    let found: Vec<_> = services
        .iter()
        .filter_map(|(index, service)| {
            let position = service.backends.iter().position(|it| it.name == backend)?;
            Some((*index, position))
        })
        .collect();
    if found.is_empty() {
        let names = services.iter().flat_map(|(_, service)| &service.backends);
        let known = list(names.map(|backend| backend.name.as_str()));
        let place = service.map(|service| format!(" in `{service}`")).unwrap_or_default();
        return Err(Rejection::NotFound(format!(
            "there is no backend `{backend}`{place}; the backends are: {known}"
        )));
    }
    Ok(found)
}

fn find_service(config: &Config, name: &str) -> Result<usize, Rejection> {
    config.services.iter().position(|service| service.name == name).ok_or_else(|| {
        let known = list(config.services.iter().map(|service| service.name.as_str()));
        Rejection::NotFound(format!("there is no service `{name}`; the services are: {known}"))
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
