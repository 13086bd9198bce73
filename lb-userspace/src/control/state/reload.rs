//! Another configuration file while the daemon runs: what it would change, and the change.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use super::{State, store};
use crate::{
    api::plan::{Difference, Plan, Ring},
    config::{
        self, Admin, Config, Service, file,
        file::Loaded,
        proxy::{self, OnDown},
        validate,
    },
    control::Rejection,
    dataplane::Dataplane,
    desired::{Inputs, derive},
    health::{Finding, TargetKey},
    reconcile,
};

impl<D: Dataplane> State<D> {
    /// What differs at run time from the file.
    pub fn diff(&self) -> Vec<Difference> {
        config::diff(&self.file.config, &self.config)
    }

    /// The file that the configuration in force came from, as it was named.
    pub fn file_name(&self) -> &str {
        self.file.name()
    }

    /// What a file would change.
    pub fn plan(&self, file: &Loaded) -> Result<Plan, Rejection> {
        let (config, forgotten) = self.over(file)?;
        self.compare(file, &config, forgotten)
    }

    /// Puts a file in force, with the run-time changes over it as far as they have an object in it; or
    /// leaves all as it was. Health, drains, counters and connections of what stays survive.
    pub fn apply(&mut self, file: Loaded) -> Result<Plan, Rejection> {
        let (config, forgotten) = self.over(&file)?;
        let plan = self.compare(&file, &config, forgotten)?;
        let _ = self.replace(config)?;
        self.file = file;
        self.keep();
        Ok(plan)
    }

    /// Drops the run-time changes.
    pub fn revert(&mut self) -> Result<Plan, Rejection> {
        let config = self.file.config.clone();
        let plan = self.compare(&self.file, &config, Vec::new())?;
        let _ = self.replace(config)?;
        self.keep();
        Ok(plan)
    }

    /// Writes the run-time changes into the daemon's file; gives those that were written.
    pub fn save(&mut self, path: &Path) -> Result<Vec<Difference>, Rejection> {
        let name = path.display().to_string();
        let failed = |error| Rejection::Failed(format!("{name} cannot be written: {error}"));
        let on_disk = file::load(path).map_err(|error| Rejection::Invalid(error.to_string()))?;
        let text = self.file.text();
        if on_disk.text() != text {
            return Err(Rejection::Invalid(config::Unsaved::Other(name).to_string()));
        }
        let invalid = |error: config::Unsaved| Rejection::Invalid(error.to_string());
        let saved = config::save(text, &name, &self.file.config, &self.config).map_err(invalid)?;
        let file = file::parse(&saved, &name);
        let file = file.map_err(|error| Rejection::Invalid(error.to_string()))?;
        let written = self.diff();
        let permissions = fs::metadata(path).map_err(failed)?.permissions();
        store::replace(path, &saved, permissions).map_err(failed)?;
        self.file = file;
        self.keep();
        Ok(written)
    }

    /// What would run with a file, and which run-time changes it leaves without an object.
    fn over(&self, file: &Loaded) -> Result<(Config, Vec<String>), Rejection> {
        let fixed = config::fixed(&self.config, &file.config);
        if !fixed.is_empty() {
            return Err(Rejection::Invalid(file.reject(fixed).to_string()));
        }
        let (config, forgotten) = self.layer().over(&file.config);
        let problems = validate::check(&config);
        if problems.is_empty() {
            return Ok((config, forgotten));
        }
        let why = config::sentences(&config, &problems);
        Err(Rejection::Invalid(format!(
            "{why}\nthe file alone is valid, with the run-time changes over it it is not: see `lb \
             diff`, then `lb revert` or change the file"
        )))
    }

    fn compare(
        &self,
        file: &Loaded,
        config: &Config,
        forgotten: Vec<String>,
    ) -> Result<Plan, Rejection> {
        let rings = self.rings(config).map_err(|error| Rejection::Failed(error.to_string()))?;
        Ok(Plan {
            file: file.name().to_owned(),
            differences: config::diff(&self.config, config),
            rings,
            cut: [cut(&self.config, config), cut_sessions(&self.config, config)].concat(),
            forgotten,
            warnings: file.warnings.iter().map(ToString::to_string).collect(),
        })
    }

    /// The rings that change; what is new counts as up already.
    fn rings(&self, config: &Config) -> Result<Vec<Ring>, reconcile::Error> {
        let mut health = Arc::unwrap_or_clone(self.health.clone());
        for service in config.services.iter().filter(|service| service.check.is_some()) {
            for backend in &service.backends {
                let up = Finding {
                    up: true,
                    confirmed: false,
                    parts: crate::health::FULL,
                    reason: String::new(),
                };
                let _ = health.entry(TargetKey::of(service, backend)).or_insert(up);
            }
        }
        let moved = self.reconciler.preview(&derive(Inputs {
            config,
            health: &health,
            agents: &self.agents,
            topology: &self.topology,
            last_hops: &self.last_hops,
            leaving: self.reconciler.leaving(),
        }))?;
        let rings = config.services.iter().filter_map(|service| {
            let moved = *moved.get(&service.key())?;
            let connections = self.reconciler.memory(&service.key()).map(|memory| memory.flows);
            Some(connections.map(|connections| Ring {
                service: service.name.clone(),
                slots: service.ring_size,
                moved,
                connections,
            }))
        });
        rings.collect()
    }
}

/// What a change of the configuration does to sessions of proxies that are open: whoever is not a proxy any
/// more lets them go on.
fn cut_sessions(old: &Config, new: &Config) -> Vec<String> {
    let mut cut = Vec::new();
    for proxy in &old.proxies {
        let after = new.proxies.iter().find(|it| it.name == proxy.name);
        let Some(after) = after.filter(|it| it.on_down == OnDown::Close) else { continue };
        for backend in proxy.backends.iter().filter(|it| it.admin != Admin::Maintenance) {
            let serves = |it: &proxy::Backend| {
                let is_same = (&it.name, &it.address) == (&backend.name, &backend.address);
                is_same && it.admin != Admin::Maintenance
            };
            if !after.backends.iter().any(serves) {
                let (proxy, backend) = (&proxy.name, &backend.name);
                let policy = "its sessions are reset, by `on_down = \"close\"`";
                cut.push(format!("backend {proxy}/{backend}: {policy}"));
            }
        }
    }
    cut
}

/// What a change of the configuration does to connections that are open, where it does anything.
fn cut(old: &Config, new: &Config) -> Vec<String> {
    let keys: BTreeSet<_> = new.services.iter().map(Service::key).collect();
    let mut cut = Vec::new();
    if old.node.seed != new.node.seed {
        cut.push("all connections may change their backends and break: the seed is another".into());
    }
    for service in &old.services {
        let name = &service.name;
        if !keys.contains(&service.key()) {
            cut.push(format!("service {name}: its connections end: nothing answers for them"));
        }
        let Some(after) = new.services.iter().find(|it| it.key() == service.key()) else {
            continue;
        };
        if after.ring_size != service.ring_size {
            cut.push(format!(
                "service {name}: its connections may change their backends and break: the ring has \
                 another size"
            ));
        }
        for backend in &service.backends {
            let ends = |it: &&config::Backend| it.is_at(backend) && it.admin == Admin::Maintenance;
            if backend.admin != Admin::Maintenance && after.backends.iter().any(|it| ends(&it)) {
                let policy = after.on_down.as_str();
                let backend = &backend.name;
                cut.push(format!(
                    "backend {name}/{backend}: its connections follow `on_down = \"{policy}\"`"
                ));
            }
        }
    }
    cut
}
