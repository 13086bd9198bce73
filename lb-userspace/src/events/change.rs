//! The events of a request.

use std::time::Duration;

use super::{Event, Events, Kind, Who};
use crate::api::{
    plan::{self, Difference, Plan},
    types::{Change, Changed},
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

    /// Notes a change that was made, for each of the services and proxies that it touched.
    pub fn note_change(&self, change: &Change, changed: &Changed, who: &Who) {
        let (kind, cause) = match change {
            Change::Add { service: _, name: _, address, port, weight } => {
                let port = port.map(|port| format!(" port {port}")).unwrap_or_default();
                (Kind::Added, format!("{address}{port}, weight {}", weight.unwrap_or(1)))
            }
            Change::Remove { .. } => (Kind::Removed, "it gets no new connections".into()),
            Change::Weight { weight, .. } => (Kind::Weight, weight.to_string()),
            Change::Drain { deadline_seconds, .. } => {
                let end = deadline_seconds.map(|seconds| {
                    let span = humantime::format_duration(Duration::from_secs(seconds));
                    format!(", maintenance begins in {span}")
                });
                let cause = format!("new connections go to others{}", end.unwrap_or_default());
                (Kind::Drain, cause)
            }
            Change::Maintenance { .. } => {
                (Kind::Maintenance, "its connections follow `on_down`".into())
            }
            Change::Ready { .. } => (Kind::Ready, "it takes its share again".into()),
        };
        let Changed { backend, services, slots_moved: _ } = changed;
        for service in services {
            self.note(Event::new(kind, cause.as_str()).of_backend(service, backend).by(who));
        }
    }
}
