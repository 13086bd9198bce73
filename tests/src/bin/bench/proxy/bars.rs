//! What is to be reached: ratios of lb to stock and to tuned HAProxy.

use super::{
    results::Results,
    scenario::{Metric, Scenario},
    subject::Subject,
};

/// What the median of the ratios may be.
enum Limit {
    Least(f64),
    Most(f64),
}

use Limit::{Least, Most};

/// What of lb in relation to whom, and the limit.
const BARS: [(Scenario, Metric, Subject, Limit); 11] = [
    (Scenario::Bulk1, Metric::Gbps, Subject::Haproxy, Least(1.4)),
    (Scenario::Bulk1, Metric::Gbps, Subject::HaproxyTuned, Least(1.0)),
    (Scenario::Bulk1, Metric::CpuPerGb, Subject::Haproxy, Most(0.7)),
    (Scenario::Bulk8, Metric::Gbps, Subject::Haproxy, Least(1.4)),
    (Scenario::Bulk8, Metric::Gbps, Subject::HaproxyTuned, Least(1.0)),
    (Scenario::Bulk8, Metric::CpuPerGb, Subject::Haproxy, Most(0.7)),
    (Scenario::Lat1, Metric::P50, Subject::Haproxy, Most(0.95)),
    (Scenario::Lat64, Metric::Rate, Subject::Haproxy, Least(1.1)),
    (Scenario::Lat64, Metric::P99, Subject::Haproxy, Most(1.0)),
    (Scenario::Conn, Metric::Rate, Subject::Haproxy, Least(1.0)),
    (Scenario::Idle, Metric::BytesPerSession, Subject::Haproxy, Most(0.5)),
];

/// Which were met and which were missed, of those that were measured.
pub(super) fn show(results: &Results) {
    for (scenario, metric, to, limit) in BARS {
        let Some(ratios) = results.ratios((scenario, metric), Subject::Lb, to) else { continue };
        let ratio = ratios.median;
        let (is_met, limit) = match limit {
            Least(limit) => (ratio >= limit, format!("at least {limit}")),
            Most(limit) => (ratio <= limit, format!("at most {limit}")),
        };
        let verdict = if is_met { "met   " } else { "missed" };
        let (scenario, metric, to) = (scenario.as_str(), metric.as_str(), to.as_str());
        println!("{verdict} {scenario} {metric} of lb to {to}: {ratio:.2} of {limit}");
    }
}
