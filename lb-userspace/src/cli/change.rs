//! `lb backend add`, `remove`, `weight`, `drain` and `undrain`.

use super::{Error, output::Output, units};
use crate::api::{
    client::Client,
    types::{Change, Changed},
};

pub(super) async fn change(client: &Client, output: Output, change: Change) -> Result<(), Error> {
    let changed = client.change(&change).await?;
    output.show(&changed, |changed| text(&change, changed))
}

fn text(change: &Change, changed: &Changed) -> String {
    let (name, done) = match change {
        Change::Add { name, address, .. } => {
            (name.clone().unwrap_or_else(|| address.to_string()), "added".to_owned())
        }
        Change::Remove { backend, .. } => (backend.clone(), "removed".to_owned()),
        Change::Weight { backend, weight, .. } => (backend.clone(), format!("at weight {weight}")),
        Change::Drain { backend, .. } => (backend.clone(), "draining".to_owned()),
        Change::Undrain { backend, .. } => (backend.clone(), "ready".to_owned()),
    };
    let Changed { services, slots_moved } = changed;
    if services.is_empty() {
        return format!("{name} is {done} already: nothing changed\n");
    }
    let slots = units::count(*slots_moved);
    format!("{name} is {done} in {}: {slots} slots moved\n", services.join(", "))
}
