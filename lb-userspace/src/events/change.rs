//! The events of a request.

use std::time::Duration;

use super::{Event, Events, Kind, Who};
use crate::api::{
    plan::{self, Difference, Plan},
    types::Change,
};

impl Events {
    /// Notes another configuration: the file, and each thing that differs.
    pub fn note_plan(&self, kind: Kind, made: &Plan, who: &Who) {
        let Plan { file, differences, rings: _, cut, forgotten, warnings } = made;
        self.note(Event::new(kind, format!("{file}: {}", plan::count(differences))).by(who));
        for Difference { kind, subject, detail } in differences {
            let kind = match kind {
                plan::Kind::Added => Kind::Added,
                plan::Kind::Changed => Kind::Changed,
                plan::Kind::Removed => Kind::Removed,
            };
            self.note(Event::new(kind, format!("{subject}: {detail}")).by(who));
        }
        for cause in cut.iter().chain(forgotten).chain(warnings) {
            self.note(Event::new(Kind::Changed, cause).by(who));
        }
    }

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
            Change::Drain { backend, service: _, deadline_seconds } => {
                let end = deadline_seconds.map(|seconds| {
                    let span = humantime::format_duration(Duration::from_secs(seconds));
                    format!(", maintenance begins in {span}")
                });
                let cause = format!("new connections go to others{}", end.unwrap_or_default());
                (Kind::Drain, backend.clone(), cause)
            }
            Change::Maintenance { backend, service: _ } => {
                let cause = "its connections follow the service's `on_down`".into();
                (Kind::Maintenance, backend.clone(), cause)
            }
            Change::Ready { backend, service: _ } => {
                (Kind::Ready, backend.clone(), "it takes its share again".into())
            }
        };
        for service in services {
            self.note(Event::new(kind, cause.as_str()).of_backend(service, &backend).by(who));
        }
    }
}
