//! What was changed at run time: a layer over the file's configuration.
//!
//! It is never kept beside the two configurations but found by comparing them, so that it cannot
//! disagree with them; written down it outlives the daemon.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Admin, Config,
    pool::{AnyBackend, Member},
};

/// The run-time changes of all pools, in the configuration's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Layer(Vec<Override>);

/// One backend that is otherwise than the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    /// The service, or the proxy.
    service: String,
    backend: String,
    is: Is,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Is {
    /// The file does not have it, or another one of that name.
    Added(AnyBackend),
    /// The file has it.
    Removed,
    /// The file has it with other values.
    Set {
        #[serde(skip_serializing_if = "Option::is_none")]
        weight: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        admin: Option<Admin>,
    },
}

impl Layer {
    /// What makes `running` of `file`. Only pools differ between them.
    #[must_use]
    pub fn between(file: &Config, running: &Config) -> Self {
        let services: BTreeMap<_, _> = file.services.iter().map(|it| (&it.name, it)).collect();
        let proxies: BTreeMap<_, _> = file.proxies.iter().map(|it| (&it.name, it)).collect();
        let of_services = running.services.iter().filter_map(|it| {
            Some(overrides(&it.name, &services.get(&it.name)?.backends, &it.backends))
        });
        let of_proxies = running.proxies.iter().filter_map(|it| {
            Some(overrides(&it.name, &proxies.get(&it.name)?.backends, &it.backends))
        });
        Self(of_services.chain(of_proxies).flatten().collect())
    }

    /// Whether nothing was changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A configuration with these changes, valid or not, and a sentence for each that has lost its
    /// object.
    #[must_use]
    pub fn over(&self, file: &Config) -> (Config, Vec<String>) {
        let (mut config, mut lost) = (file.clone(), Vec::new());
        for change in &self.0 {
            if let Err(reason) = change.apply(&mut config) {
                let Override { service, backend, is } = change;
                lost.push(format!("{service}/{backend}, {}, is forgotten: {reason}", is.as_str()));
            }
        }
        (config, lost)
    }
}

fn overrides<B: Member>(pool: &str, file: &[B], running: &[B]) -> Vec<Override> {
    let named = |backends: &[B]| -> BTreeMap<String, B> {
        backends.iter().map(|it| (it.name().to_owned(), it.clone())).collect()
    };
    let (before, after) = (named(file), named(running));
    let entry = |backend: &str, is| {
        let (service, backend) = (pool.to_owned(), backend.to_owned());
        Override { service, backend, is }
    };
    let stays = |it: &B| after.get(it.name()).is_some_and(|running| it.is_at(running));
    let gone = file.iter().filter(|it| !stays(it));
    let gone = gone.map(|it| entry(it.name(), Is::Removed));
    let set = running.iter().filter_map(|backend| {
        let is = difference(before.get(backend.name()), backend)?;
        Some(entry(backend.name(), is))
    });
    gone.chain(set).collect()
}

fn difference<B: Member>(file: Option<&B>, running: &B) -> Option<Is> {
    let Some(file) = file.filter(|file| file.is_at(running)) else {
        return Some(Is::Added(running.any()));
    };
    let ((old_weight, old_admin), (weight, admin)) = (file.standing(), running.standing());
    let weight = (weight != old_weight).then_some(weight);
    let admin = (admin != old_admin).then_some(admin);
    (weight.is_some() || admin.is_some()).then_some(Is::Set { weight, admin })
}

impl Override {
    fn apply(&self, config: &mut Config) -> Result<(), &'static str> {
        let service = config.services.iter_mut().find(|it| it.name == self.service);
        if let Some(service) = service {
            return self.apply_to(&mut service.backends);
        }
        let proxy = config.proxies.iter_mut().find(|it| it.name == self.service);
        self.apply_to(&mut proxy.ok_or("the file has no such service or proxy")?.backends)
    }

    fn apply_to<B: Member>(&self, pool: &mut Vec<B>) -> Result<(), &'static str> {
        let place = pool.iter().position(|it| it.name() == self.backend);
        match (&self.is, place) {
            (Is::Added(any), place) => {
                let backend = B::of(any).ok_or("the file has a pool of another kind")?;
                match place.and_then(|place| pool.get_mut(place)) {
                    None => pool.push(backend.clone()),
                    // What no command can set is as the file says.
                    Some(old) if backend.is_at(old) => {
                        let (weight, admin) = old.standing_mut();
                        (*weight, *admin) = backend.standing();
                    }
                    Some(_) => return Err("the file has another backend of that name"),
                }
            }
            (Is::Removed, Some(place)) => drop(pool.remove(place)),
            (Is::Removed, None) => {}
            (Is::Set { weight, admin }, place) => {
                let backend = place.and_then(|place| pool.get_mut(place));
                let backend = backend.ok_or("the file has no such backend")?;
                let (its_weight, its_admin) = backend.standing_mut();
                *its_weight = weight.unwrap_or(*its_weight);
                *its_admin = admin.unwrap_or(*its_admin);
            }
        }
        Ok(())
    }
}

impl Is {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Added(_) => "added",
            Self::Removed => "removed",
            Self::Set { .. } => "changed",
        }
    }
}

#[cfg(test)]
mod tests;
