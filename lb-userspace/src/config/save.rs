//! A configuration file with the run-time changes written into it; all else stays as it stands, with
//! comments and form.

use std::collections::BTreeMap;

use toml_edit::{
    Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value, value,
};

use super::{Admin, Backend, Config, Service, diff, file};

/// Why a file cannot be written for a configuration.
#[derive(Debug, thiserror::Error)]
pub enum Unsaved {
    /// The text is not the one that was read.
    #[error("{0} is not the configuration that was read: `lb reload` first")]
    Other(String),
    /// The text would say something else.
    #[error(
        "the changes cannot be written into {file}: it would still differ in {subject}; change it by \
         hand as `lb diff` says, then `lb reload`"
    )]
    Differs {
        /// The file.
        file: String,
        /// The first difference that would be left.
        subject: String,
    },
}

/// The text of a file that says what `running` is; `text`, named `name`, says what `file` is. A
/// deadline of a drain is not written.
pub fn save(text: &str, name: &str, file: &Config, running: &Config) -> Result<String, Unsaved> {
    let other = || Unsaved::Other(name.to_owned());
    let mut document: DocumentMut = text.parse().map_err(|_| other())?;
    for (index, service) in file.services.iter().enumerate() {
        let Some(wanted) = running.services.iter().find(|it| it.name == service.name) else {
            return Err(other());
        };
        if service.backends != wanted.backends {
            let mut pool = Pool::of(&mut document, index).ok_or_else(other)?;
            pool.rewrite(service, wanted).ok_or_else(other)?;
        }
    }
    let saved = document.to_string();
    let written = file::parse(&saved, name).map_err(|_| other())?;
    match diff(&written.config, &without_deadlines(running)).into_iter().next() {
        None => Ok(saved),
        Some(left) => Err(Unsaved::Differs { file: name.to_owned(), subject: left.subject }),
    }
}

fn without_deadlines(config: &Config) -> Config {
    let mut config = config.clone();
    for backend in config.services.iter_mut().flat_map(|service| &mut service.backends) {
        if let Admin::Drain { .. } = backend.admin {
            backend.admin = Admin::DRAIN;
        }
    }
    config
}

/// The array of a service's backends, in either of its forms.
enum Pool<'a> {
    Tables(&'a mut ArrayOfTables),
    Inline(&'a mut Array),
}

impl<'a> Pool<'a> {
    /// That of the service of an index; empty where the file has none.
    fn of(document: &'a mut DocumentMut, index: usize) -> Option<Self> {
        let pool = match document.get_mut("service")? {
            Item::ArrayOfTables(services) => {
                let none = Item::ArrayOfTables(ArrayOfTables::new());
                services.get_mut(index)?.entry("backend").or_insert(none)
            }
            services @ (Item::None | Item::Value(_) | Item::Table(_)) => {
                let service = services.as_array_mut()?.get_mut(index)?.as_inline_table_mut()?;
                let pool = service.get_or_insert("backend", Array::new());
                return pool.as_array_mut().map(Self::Inline);
            }
        };
        match pool {
            Item::ArrayOfTables(tables) => Some(Self::Tables(tables)),
            item @ (Item::None | Item::Value(_) | Item::Table(_)) => {
                item.as_array_mut().map(Self::Inline)
            }
        }
    }

    /// Makes of the backends of `file`, which stand there, those of `wanted`.
    fn rewrite(&mut self, file: &Service, wanted: &Service) -> Option<()> {
        let named: BTreeMap<_, _> = wanted.backends.iter().map(|it| (&it.name, it)).collect();
        let after = |backend: &Backend| named.get(&backend.name).filter(|it| it.is_at(backend));
        for (place, backend) in file.backends.iter().enumerate() {
            if let Some(wanted) = after(backend).filter(|wanted| **wanted != backend) {
                self.update(place, wanted, backend)?;
            }
        }
        for (place, _) in
            file.backends.iter().enumerate().rev().filter(|(_, it)| after(it).is_none())
        {
            self.remove(place);
        }
        let is_new =
            |it: &&Backend| !file.backends.iter().any(|old| old.name == it.name && old.is_at(it));
        for backend in wanted.backends.iter().filter(is_new) {
            self.push(backend, wanted.default_port());
        }
        Some(())
    }

    fn update(&mut self, place: usize, wanted: &Backend, says: &Backend) -> Option<()> {
        match self {
            Self::Tables(tables) => set(tables.get_mut(place)?, wanted, says),
            Self::Inline(array) => {
                let table = array.get_mut(place)?.as_inline_table_mut()?;
                set(table, wanted, says);
                table.fmt();
            }
        }
        Some(())
    }

    fn remove(&mut self, place: usize) {
        match self {
            Self::Tables(tables) => drop(tables.remove(place)),
            Self::Inline(array) => drop(array.remove(place)),
        }
    }

    fn push(&mut self, backend: &Backend, default_port: u16) {
        let Backend { name, address, port, .. } = backend;
        let plain = Backend { weight: 1, admin: Admin::Ready, ..backend.clone() };
        let fill = |table: &mut dyn TableLike| {
            let _: Option<Item> = table.insert("name", value(name));
            let _: Option<Item> = table.insert("address", value(address.to_string()));
            if *port != default_port {
                let _: Option<Item> = table.insert("port", value(i64::from(*port)));
            }
            set(table, backend, &plain);
        };
        match self {
            Self::Tables(tables) => {
                let mut table = Table::new();
                fill(&mut table);
                tables.push(table);
            }
            Self::Inline(array) => {
                let mut table = InlineTable::new();
                fill(&mut table);
                // On a line of its own where the others are, without their comments.
                let before = array.iter().last().and_then(|last| last.decor().prefix()?.as_str());
                let before = before.unwrap_or_default();
                let before = &before[before.rfind('\n').unwrap_or(0)..];
                // A comment behind the last comma belongs to the line that it stands in.
                let end = array.trailing().as_str().unwrap_or_default().to_owned();
                let (comment, end) = end.split_at(end.find('\n').unwrap_or(end.len()));
                let before = format!("{comment}{before}");
                array.set_trailing(end);
                array.push_formatted(Value::from(table).decorated(before, ""));
            }
        }
    }
}

/// Writes weight and admin where they differ from what the table says.
fn set(table: &mut dyn TableLike, wanted: &Backend, says: &Backend) {
    if wanted.weight != says.weight {
        let _: Option<Item> = table.insert("weight", value(i64::from(wanted.weight)));
    }
    if wanted.admin.as_str() != says.admin.as_str() {
        let _: Option<Item> = match wanted.admin {
            Admin::Ready => table.remove("admin"),
            Admin::Drain { .. } | Admin::Maintenance => {
                table.insert("admin", value(wanted.admin.as_str()))
            }
        };
    }
}

#[cfg(test)]
mod tests;
