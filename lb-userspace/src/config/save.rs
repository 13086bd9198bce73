//! A configuration file with the run-time changes written into it; all else stays as it stands, with
//! comments and form.

use std::collections::BTreeMap;

use toml_edit::{
    Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value, value,
};

use super::{Admin, Backend, Config, diff, file, pool::Member, proxy};

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
        let wanted = running.services.iter().find(|it| it.name == service.name);
        let (old, new) = (&service.backends, &wanted.ok_or_else(other)?.backends);
        let place = ("service", index);
        rewrite(&mut document, place, old, new, service.default_port()).ok_or_else(other)?;
    }
    for (index, proxy) in file.proxies.iter().enumerate() {
        let wanted = running.proxies.iter().find(|it| it.name == proxy.name);
        let (old, new) = (&proxy.backends, &wanted.ok_or_else(other)?.backends);
        rewrite(&mut document, ("proxy", index), old, new, 0).ok_or_else(other)?;
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
    let services = config.services.iter_mut().flat_map(|it| &mut it.backends);
    let proxies = config.proxies.iter_mut().flat_map(|it| &mut it.backends);
    for admin in services.map(|it| &mut it.admin).chain(proxies.map(|it| &mut it.admin)) {
        if let Admin::Drain { .. } = admin {
            *admin = Admin::DRAIN;
        }
    }
    config
}

/// Makes of the backends of `old`, which stand in the pool at this place, those of `new`.
fn rewrite<B: Saved>(
    document: &mut DocumentMut,
    place: (&str, usize),
    old: &[B],
    new: &[B],
    usual_port: u16,
) -> Option<()> {
    if old == new {
        return Some(());
    }
    Pool::of(document, place)?.rewrite(old, new, usual_port)
}

/// A backend that a file can have.
trait Saved: Member {
    /// Writes a new one, but for its weight and its state; `usual_port` needs no mention.
    fn write(&self, table: &mut dyn TableLike, usual_port: u16);
}

impl Saved for Backend {
    fn write(&self, table: &mut dyn TableLike, usual_port: u16) {
        let Self { name, address, port, weight: _, admin: _ } = self;
        put(table, "name", name);
        put(table, "address", address.to_string());
        if *port != usual_port {
            put(table, "port", i64::from(*port));
        }
    }
}

impl Saved for proxy::Backend {
    fn write(&self, table: &mut dyn TableLike, _usual_port: u16) {
        let Self { name, address, weight: _, backup, max_connections, admin: _ } = self;
        put(table, "name", name);
        put(table, "address", address.to_string());
        if *backup {
            put(table, "backup", true);
        }
        if let Some(most) = max_connections {
            put(table, "max_connections", i64::from(*most));
        }
    }
}

fn put(table: &mut dyn TableLike, key: &str, content: impl Into<Value>) {
    let _: Option<Item> = table.insert(key, value(content));
}

/// The array of a pool's backends, in either of its forms.
enum Pool<'a> {
    Tables(&'a mut ArrayOfTables),
    Inline(&'a mut Array),
}

impl<'a> Pool<'a> {
    /// That of the service or proxy of an index; empty where the file has none.
    fn of(document: &'a mut DocumentMut, (array, index): (&str, usize)) -> Option<Self> {
        let pool = match document.get_mut(array)? {
            Item::ArrayOfTables(owners) => {
                let none = Item::ArrayOfTables(ArrayOfTables::new());
                owners.get_mut(index)?.entry("backend").or_insert(none)
            }
            owners @ (Item::None | Item::Value(_) | Item::Table(_)) => {
                let owner = owners.as_array_mut()?.get_mut(index)?.as_inline_table_mut()?;
                let pool = owner.get_or_insert("backend", Array::new());
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

    /// Makes of the backends of `old`, which stand there, those of `new`.
    fn rewrite<B: Saved>(&mut self, old: &[B], new: &[B], usual_port: u16) -> Option<()> {
        let named: BTreeMap<_, _> = new.iter().map(|it| (it.name(), it)).collect();
        let after = |backend: &B| named.get(backend.name()).copied().filter(|it| it.is_at(backend));
        for (place, backend) in old.iter().enumerate() {
            if let Some(wanted) = after(backend).filter(|wanted| *wanted != backend) {
                self.update(place, wanted, backend)?;
            }
        }
        for (place, _) in old.iter().enumerate().rev().filter(|(_, it)| after(it).is_none()) {
            self.remove(place);
        }
        let is_new = |it: &&B| !old.iter().any(|old| old.name() == it.name() && old.is_at(it));
        for backend in new.iter().filter(is_new) {
            self.push(backend, usual_port);
        }
        Some(())
    }

    fn update<B: Saved>(&mut self, place: usize, wanted: &B, says: &B) -> Option<()> {
        let (wanted, says) = (wanted.standing(), says.standing());
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

    fn push<B: Saved>(&mut self, backend: &B, usual_port: u16) {
        let fill = |table: &mut dyn TableLike| {
            backend.write(table, usual_port);
            set(table, backend.standing(), (1, Admin::Ready));
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
fn set(table: &mut dyn TableLike, wanted: (u16, Admin), says: (u16, Admin)) {
    let ((weight, admin), (old_weight, old_admin)) = (wanted, says);
    if weight != old_weight {
        put(table, "weight", i64::from(weight));
    }
    if admin.as_str() != old_admin.as_str() {
        match admin {
            Admin::Ready => drop(table.remove("admin")),
            Admin::Drain { .. } | Admin::Maintenance => put(table, "admin", admin.as_str()),
        }
    }
}

#[cfg(test)]
mod tests;
