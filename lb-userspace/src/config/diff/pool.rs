//! In which backends two pools differ.

use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

use super::{changed, difference};
use crate::{
    api::plan::{Difference, Kind},
    config::{Admin, pool::Member},
};

/// The differences between the pools of one service or proxy.
pub(super) fn backends<B: Member>(pool: &str, old: &[B], new: &[B]) -> Vec<Difference> {
    let named = |backends: &[B]| -> BTreeMap<String, B> {
        backends.iter().map(|it| (it.name().to_owned(), it.clone())).collect()
    };
    let (before, after) = (named(old), named(new));
    let subject = |backend: &B| format!("backend {pool}/{}", backend.name());
    let gone = old.iter().filter(|it| !after.contains_key(it.name()));
    let gone = gone.map(|it| difference(Kind::Removed, subject(it), it.place()));
    let others = new.iter().flat_map(|it| {
        let subject = subject(it);
        let Some(before) = before.get(it.name()) else {
            return vec![difference(Kind::Added, subject, all_of(it))];
        };
        let key = |key: &str| format!("{subject} {key}");
        let ((old_weight, old_admin), (weight, state)) = (before.standing(), it.standing());
        let changes = [
            changed(&subject, before.place(), it.place()),
            changed(&key("weight"), old_weight, weight),
            changed(&key("admin"), admin(old_admin), admin(state)),
        ];
        changes.into_iter().flatten().collect()
    });
    gone.chain(others).collect()
}

fn all_of(backend: &impl Member) -> String {
    let (weight, state) = backend.standing();
    let state = match state {
        Admin::Ready => String::new(),
        Admin::Drain { .. } | Admin::Maintenance => format!(", {}", admin(state)),
    };
    format!("{}, weight {weight}{state}", backend.place())
}

fn admin(admin: Admin) -> String {
    match admin {
        Admin::Drain { until: Some(until) } => {
            let end = UNIX_EPOCH + Duration::from_secs(until);
            format!("drain until {}", humantime::format_rfc3339_seconds(end))
        }
        Admin::Ready | Admin::Drain { until: None } | Admin::Maintenance => admin.as_str().into(),
    }
}
