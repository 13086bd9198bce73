//! What the table shows: rates and shares between two looks at the counters.

use std::time::{Duration, Instant};

use lb_userspace::api::{
    ports::endpoint,
    types::{Admin, Backend, Health, Service, Stats, Traffic},
};

use crate::traffic::Tallies;

/// All counters at one moment.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// When.
    pub(super) at: Instant,
    /// What the daemon says, or why it does not.
    pub(super) counters: Result<(Vec<Service>, Stats), String>,
    /// What became of the client's requests.
    pub(super) tallies: Tallies,
}

/// What is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct View {
    /// Since the start.
    pub(super) elapsed: Duration,
    /// The services, in the daemon's order.
    pub(super) services: Vec<ServiceView>,
    /// Answers a second.
    pub(super) answers_per_second: f64,
    /// Requests that failed since the start.
    pub(super) errors: u64,
    /// What is wrong at the moment.
    pub(super) problems: Vec<String>,
}

/// A service with its backends.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ServiceView {
    pub(super) name: String,
    pub(super) forward: String,
    pub(super) vip: String,
    pub(super) backends: Vec<BackendView>,
}

/// A line of the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct BackendView {
    pub(super) name: String,
    pub(super) state: &'static str,
    /// 0 to 1.
    pub(super) share: f64,
    /// Towards the backend and, with `nat`, back.
    pub(super) packets_per_second: f64,
    /// Likewise.
    pub(super) bytes_per_second: f64,
    /// Likewise, since the counters were made.
    pub(super) packets: u64,
    /// What the client got from it since the start.
    pub(super) answers: u64,
}

impl View {
    /// What happened between two looks.
    pub(super) fn between(started: Instant, before: &Sample, after: &Sample) -> Self {
        let seconds = after.at.duration_since(before.at).as_secs_f64();
        let errors = after.tallies.values().map(|tally| tally.errors).sum();
        let answered = answered(&after.tallies).saturating_sub(answered(&before.tallies));
        let mut view = Self {
            elapsed: after.at.duration_since(started),
            answers_per_second: per_second(answered, seconds),
            errors,
            ..Self::default()
        };
        match &after.counters {
            Ok((services, stats)) => {
                let earlier = before.counters.as_ref().ok().map(|(_, stats)| stats);
                view.services = service_views(services, earlier, stats, &after.tallies);
                view.problems.extend(stats.backends.iter().filter_map(problem));
            }
            Err(error) => view.problems.push(format!("lb does not answer: {error}")),
        }
        if let Some(tally) = after.tallies.values().find(|tally| tally.errors > 0) {
            let last = tally.last_error.as_deref().unwrap_or_default();
            view.problems.push(format!("a request failed: {last}"));
        }
        view
    }
}

fn service_views(
    services: &[Service],
    before: Option<&Stats>,
    after: &Stats,
    tallies: &Tallies,
) -> Vec<ServiceView> {
    let of_service = |service: &Service| {
        let backends = after.backends.iter().filter(|backend| backend.service == service.name);
        ServiceView {
            name: service.name.clone(),
            forward: service.forward.clone(),
            vip: endpoint(service.vip, service.port),
            backends: backends.map(|now| backend_view(before, after, now, tallies)).collect(),
        }
    };
    services.iter().map(of_service).collect()
}

fn backend_view(
    before: Option<&Stats>,
    after: &Stats,
    now: &Backend,
    tallies: &Tallies,
) -> BackendView {
    let earlier = before.and_then(|stats| {
        let is_same = |b: &&Backend| b.service == now.service && b.name == now.name;
        Some((stats.at_ms, total(&stats.backends.iter().find(is_same)?.traffic)))
    });
    let (packets, bytes) = total(&now.traffic);
    // A backend that was not there before has no rate yet.
    let (at_ms, (packets_before, bytes_before)) =
        earlier.unwrap_or((after.at_ms, (packets, bytes)));
    let seconds = Duration::from_millis(after.at_ms.saturating_sub(at_ms)).as_secs_f64();
    let answers = tallies.get(now.service.as_str()).and_then(|tally| tally.answers.get(&now.name));
    BackendView {
        name: now.name.clone(),
        state: state(now),
        share: now.share,
        packets_per_second: per_second(packets.saturating_sub(packets_before), seconds),
        bytes_per_second: per_second(bytes.saturating_sub(bytes_before), seconds),
        packets,
        answers: answers.copied().unwrap_or_default(),
    }
}

fn total(traffic: &Traffic) -> (u64, u64) {
    let Traffic { packets, bytes, reply_packets, reply_bytes } = traffic;
    (packets + reply_packets, bytes + reply_bytes)
}

fn state(backend: &Backend) -> &'static str {
    match (backend.health, backend.admin) {
        (Health::Down, _) => "down",
        (Health::Up | Health::Unchecked, Admin::Drain) => "drain",
        (Health::Up, Admin::Ready) => "up",
        (Health::Up | Health::Unchecked, Admin::Maintenance) => "maintenance",
        (Health::Up | Health::Unchecked, Admin::Sorry) => "sorry",
        (Health::Unchecked, Admin::Ready) => "ready",
    }
}

fn problem(backend: &Backend) -> Option<String> {
    let Backend { service, name, health, health_reason, next_hop, .. } = backend;
    if *health == Health::Down {
        return Some(format!("{name} of {service} is down: {health_reason}"));
    }
    next_hop.is_none().then(|| format!("{name} of {service} has no next hop"))
}

fn answered(tallies: &Tallies) -> u64 {
    tallies.values().map(crate::traffic::Tally::answered).sum()
}

#[expect(clippy::cast_precision_loss, reason = "rates are shown with three digits")]
fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// A number with at most four digits and a unit prefix.
pub(super) fn short(number: f64) -> String {
    let prefixes = ["", "k", "M", "G", "T"];
    let mut value = number;
    for prefix in prefixes {
        if value < 9999.5 {
            return format!("{value:.0}{}{prefix}", if prefix.is_empty() { "" } else { " " });
        }
        value /= 1000.0;
    }
    format!("{value:.0} P")
}

#[cfg(test)]
pub(super) mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use lb_common::{addr::Port, service::Ports};
    use lb_userspace::api::types::{At, Memory};

    use super::*;
    use crate::traffic::Tally;

    fn one(port: u16) -> Ports {
        Ports::one(Port::new(port))
    }

    fn backend(name: &str, packets: u64, health: Health, admin: Admin) -> Backend {
        Backend {
            service: "app".into(),
            name: name.into(),
            proxy: false,
            at: At::Host { address: [10, 0, 1, 11].into(), port: one(8080) },
            weight: 1,
            admin,
            drain: None,
            health,
            health_reason: "connection refused".into(),
            share: 0.5,
            next_hop: Some("eth0 02:00:00:00:00:01".into()),
            traffic: Traffic {
                packets,
                bytes: 100 * packets,
                reply_packets: packets,
                reply_bytes: 0,
            },
        }
    }

    fn sample(at: Instant, at_ms: u64, packets: u64, answers: u64) -> Sample {
        let service = Service {
            name: "app".into(),
            vip: [10, 0, 0, 20].into(),
            protocol: "tcp".into(),
            port: one(80),
            forward: "nat".into(),
            window_seconds: 3600,
            on_down: "rst".into(),
            ring_size: 65537,
            backends: 2,
            backends_up: 1,
            panic_percent: 0,
            usage: "normal".into(),
            memory: Memory::default(),
            traffic: Traffic::default(),
        };
        let backends = vec![
            backend("web1", packets, Health::Up, Admin::Drain),
            backend("web2", packets, Health::Down, Admin::Ready),
        ];
        let answers = BTreeMap::from([("web1".to_owned(), answers)]);
        Sample {
            at,
            counters: Ok((vec![service], Stats { at_ms, verdicts: BTreeMap::new(), backends })),
            tallies: Tallies::from([("app", Tally { answers, ..Tally::default() })]),
        }
    }

    /// A view of two backends over two seconds.
    pub(in super::super) fn example() -> View {
        let start = Instant::now();
        let later = start + Duration::from_secs(2);
        View::between(start, &sample(start, 1000, 10, 5), &sample(later, 3000, 40, 105))
    }

    #[test]
    fn rates_are_differences_over_time() {
        let view = example();
        let service = &view.services[0];
        assert_eq!(service.vip, "10.0.0.20:80");
        let expected = BackendView {
            name: "web1".into(),
            state: "drain",
            share: 0.5,
            packets_per_second: 30.0,
            bytes_per_second: 1500.0,
            packets: 80,
            answers: 105,
        };
        assert_eq!(service.backends[0], expected);
        assert_eq!(service.backends[1].state, "down");
        assert!((view.answers_per_second - 50.0).abs() < 1e-9);
        assert_eq!(view.problems, ["web2 of app is down: connection refused"]);
    }

    #[test]
    fn a_daemon_that_does_not_answer_is_a_problem_not_an_end() {
        let start = Instant::now();
        let before = sample(start, 1000, 10, 5);
        let mut after = sample(start + Duration::from_secs(1), 2000, 10, 55);
        after.counters = Err("connection refused".into());
        let view = View::between(start, &before, &after);
        assert_eq!(view.problems, ["lb does not answer: connection refused"]);
        assert!((view.answers_per_second - 50.0).abs() < 1e-9);
        // And its successor has no rates at first.
        let view = View::between(start, &after, &sample(start, 5, 10, 55));
        assert!(view.services[0].backends[0].packets_per_second.abs() < 1e-9);
    }

    #[test]
    fn numbers_stay_short() {
        for (number, text) in
            [(0.0, "0"), (9999.0, "9999"), (10_000.0, "10 k"), (12_345_678.0, "12 M")]
        {
            assert_eq!(short(number), text);
        }
    }
}
