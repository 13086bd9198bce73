//! The events of a request.

use super::{Event, Events, Kind, Who};
use crate::api::types::Change;

impl Events {
    /// Notes a change that was made, for each of the services that it touched.
    pub fn note_change(&self, change: &Change, services: &[String], who: &Who) {
        let (kind, backend, cause) = match change {
            Change::Add { service: _, name, address, port, weight } => {
                let port = port.map(|port| format!(" port {port}")).unwrap_or_default();
                let cause = format!("{address}{port}, weight {}", weight.unwrap_or(1));
                (Kind::Added, name.clone().unwrap_or_else(|| address.to_string()), cause)
            }
            Change::Remove { backend, service: _ } => {
                (Kind::Removed, backend.clone(), "the connections that it has go on".into())
            }
            Change::Weight { backend, service: _, weight } => {
                (Kind::Weight, backend.clone(), weight.to_string())
            }
            Change::Drain { backend, service: _ } => {
                (Kind::Drain, backend.clone(), "new connections go to others".into())
            }
            Change::Undrain { backend, service: _ } => {
                (Kind::Undrain, backend.clone(), "it takes its share again".into())
            }
        };
        for service in services {
            self.note(Event::new(kind, cause.as_str()).of_backend(service, &backend).by(who));
        }
    }
}
