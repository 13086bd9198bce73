//! What was changed at run time: a layer over the file's configuration.
//!
//! It is never kept beside the two configurations but found by comparing them, so that it cannot
//! disagree with them; written down it outlives the daemon.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Admin, Backend, Config, Service};

/// The run-time changes of all pools, in the configuration's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Layer(Vec<Override>);

/// One backend that is otherwise than the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    service: String,
    backend: String,
    is: Is,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Is {
    /// The file does not have it, or another one of that name.
    Added(Backend),
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
        let by_name: BTreeMap<_, _> = file.services.iter().map(|it| (&it.name, it)).collect();
        let pairs = running.services.iter().filter_map(|it| Some((*by_name.get(&it.name)?, it)));
        Self(pairs.flat_map(|(file, running)| overrides(file, running)).collect())
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

fn overrides(file: &Service, running: &Service) -> Vec<Override> {
    let named = |service: &Service| -> BTreeMap<String, Backend> {
        service.backends.iter().map(|it| (it.name.clone(), it.clone())).collect()
    };
    let (before, after) = (named(file), named(running));
    let entry = |backend: &str, is| {
        let (service, backend) = (running.name.clone(), backend.to_owned());
        Override { service, backend, is }
    };
    let stays = |it: &Backend| after.get(&it.name).is_some_and(|running| it.is_at(running));
    let gone = file.backends.iter().filter(|it| !stays(it));
    let gone = gone.map(|it| entry(&it.name, Is::Removed));
    let set = running.backends.iter().filter_map(|backend| {
        let is = difference(before.get(&backend.name), backend)?;
        Some(entry(&backend.name, is))
    });
    gone.chain(set).collect()
}

fn difference(file: Option<&Backend>, running: &Backend) -> Option<Is> {
    let Some(file) = file.filter(|file| file.is_at(running)) else {
        return Some(Is::Added(running.clone()));
    };
    let Backend { name: _, address: _, port: _, weight, admin } = *running;
    let weight = (weight != file.weight).then_some(weight);
    let admin = (admin != file.admin).then_some(admin);
    (weight.is_some() || admin.is_some()).then_some(Is::Set { weight, admin })
}

impl Override {
    fn apply(&self, config: &mut Config) -> Result<(), &'static str> {
        let service = config.services.iter_mut().find(|it| it.name == self.service);
        let pool = &mut service.ok_or("the file has no such service")?.backends;
        let place = pool.iter().position(|it| it.name == self.backend);
        match (&self.is, place) {
            (Is::Added(backend), None) => pool.push(backend.clone()),
            (Is::Added(backend), Some(place)) if backend.is_at(&pool[place]) => {
                pool[place] = backend.clone();
            }
            (Is::Added(_), Some(_)) => return Err("the file has another backend of that name"),
            (Is::Removed, Some(place)) => drop(pool.remove(place)),
            (Is::Removed, None) => {}
            (Is::Set { weight, admin }, Some(place)) => {
                let backend = &mut pool[place];
                backend.weight = weight.unwrap_or(backend.weight);
                backend.admin = admin.unwrap_or(backend.admin);
            }
            (Is::Set { .. }, None) => return Err("the file has no such backend"),
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
