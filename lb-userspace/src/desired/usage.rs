//! Which backends take the connections of a service, when few are up.

use crate::{
    config::{Admin, Backend, Service},
    health::{TargetKey, View, agent},
};

/// Which backends take new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Those that are up.
    Normal,
    /// All, up or not: so few are up that these would be swamped, or that the checks may be wrong.
    Panic,
    /// The `sorry` backend alone.
    Sorry,
}

impl Usage {
    /// `normal`, `panic` or `sorry`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Panic => "panic",
            Self::Sorry => "sorry",
        }
    }
}

/// The backends that would take connections if all were up, and how many of them are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strength {
    /// Backends that are up.
    pub up: usize,
    /// All that have a weight and that the operator wants.
    pub of: usize,
}

/// Counts.
#[must_use]
pub fn strength(service: &Service, health: &View, agents: &agent::View) -> Strength {
    let mut strength = Strength { up: 0, of: 0 };
    let wanted = |backend: &&Backend| backend.weight > 0 && backend.admin == Admin::Ready;
    for backend in service.backends.iter().filter(wanted) {
        let key = TargetKey::of(service, backend);
        let said = agents.get(&key).filter(|_| service.agent.is_some());
        if said.is_some_and(agent::Said::is_withdrawn) {
            continue;
        }
        let up = health.get(&key).is_none_or(|finding| finding.up);
        strength.up += usize::from(up && !said.is_some_and(agent::Said::is_down));
        strength.of += 1;
    }
    strength
}

/// As configured: below the share `panic`, and if there is a `sorry` backend, also where none is up.
#[must_use]
pub fn usage(service: &Service, Strength { up, of }: Strength) -> Usage {
    let few = up * 100 < of * usize::from(service.panic);
    match &service.sorry {
        Some(_) if few || up == 0 => Usage::Sorry,
        None if few => Usage::Panic,
        Some(_) | None => Usage::Normal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file;

    /// `w1` to `w4`, and `w0` without a weight.
    fn service(keys: &str) -> Service {
        let backend = |n| format!("{{ name = 'w{n}', address = '10.0.0.1{n}', weight = {n} }},");
        let pool = [0, 1, 2, 3, 4].map(backend).concat();
        let text = format!(
            "[node]\ninterfaces = ['eth0']\n[[service]]\nname = 'web'\nvip = '192.0.2.1'\nport = 80\n\
             forward = 'l2'\ncheck.type = 'tcp'\n{keys}\nbackend = [{pool}]\n"
        );
        file::parse(&text, "test").unwrap().config.services.remove(0)
    }

    fn usage_with(keys: &str, up: &[&str], drained: &[&str]) -> Usage {
        let mut service = service(keys);
        for backend in service.backends.iter_mut().filter(|it| drained.contains(&it.name.as_str()))
        {
            backend.admin = Admin::DRAIN;
        }
        let finding = |backend: &Backend| {
            let up = up.contains(&backend.name.as_str());
            let key = TargetKey::of(&service, backend);
            (key, crate::health::Finding { up, confirmed: true, parts: 10, reason: String::new() })
        };
        let health: View = service.backends.iter().map(finding).collect();
        usage(&service, strength(&service, &health, &agent::View::new()))
    }

    #[test]
    fn panic_begins_below_its_share_of_what_is_not_drained() {
        let panic = "panic = '50%'";
        assert_eq!(usage_with(panic, &["w1", "w2"], &[]), Usage::Normal, "half is not below half");
        assert_eq!(usage_with(panic, &["w0", "w1"], &[]), Usage::Panic, "w0 has no weight");
        assert_eq!(usage_with(panic, &["w1"], &["w3", "w4"]), Usage::Normal);
        assert_eq!(usage_with(panic, &["w1"], &["w1"]), Usage::Panic, "a drained one is no help");
        assert_eq!(usage_with(panic, &[], &["w1", "w2", "w3", "w4"]), Usage::Normal, "none to use");
        assert_eq!(usage_with("", &[], &[]), Usage::Normal, "not unless it is configured");
        assert_eq!(usage_with("panic = '100%'", &["w1", "w2", "w3"], &[]), Usage::Panic);
    }

    #[test]
    fn the_sorry_backend_is_used_when_none_is_up_or_below_the_share() {
        let sorry = "sorry = { address = '10.0.0.99' }";
        assert_eq!(usage_with(sorry, &["w4"], &[]), Usage::Normal);
        assert_eq!(usage_with(sorry, &[], &[]), Usage::Sorry);
        let all = ["w1", "w2", "w3", "w4"];
        assert_eq!(usage_with(sorry, &all, &all), Usage::Sorry, "all are being worked on");
        let both = format!("panic = '50%'\n{sorry}");
        assert_eq!(usage_with(&both, &["w1"], &[]), Usage::Sorry);
        assert_eq!(usage_with(&both, &["w1", "w2"], &[]), Usage::Normal);
    }
}
