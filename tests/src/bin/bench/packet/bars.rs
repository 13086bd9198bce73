//! What is to be reached, each with the row that is furthest from it.

use super::{
    report::Figure,
    row::{FLOWS, Family, Kind, Row, SERVICES, Subject},
};
use lb_common::service::ForwardMode;

/// One thing to be reached.
#[derive(Debug)]
pub(super) struct Bar {
    /// What.
    pub(super) name: &'static str,
    /// The most that is allowed: ns or a ratio.
    pub(super) limit: f64,
    /// The largest that was measured.
    pub(super) worst: f64,
    /// Where.
    pub(super) row: String,
    /// Whether it is reached.
    pub(super) met: bool,
}

const ONE: u32 = FLOWS[0];
const MOST: u32 = FLOWS[FLOWS.len() - 1];
const MOST_SERVICES: u32 = SERVICES[SERVICES.len() - 1];

/// All that could be measured.
pub(super) fn all(figures: &[Figure]) -> Vec<Bar> {
    let figures = Figures(figures);
    let is_client = |row: &Row| matches!(row.kind, Kind::Ack | Kind::Syn | Kind::Udp);
    let plain = |row: &Row| is_client(row) && row.services == 1 && row.moving == 0;
    let mode = |row: &Row, mode| plain(row) && row.flows == ONE && row.mode == mode;
    [
        figures.net("l2, 1 flow, ns", 40.0, |row| mode(row, ForwardMode::L2)),
        figures.net("ipip, 1 flow, ns", 55.0, |row| mode(row, ForwardMode::IPIP)),
        figures.net("not for a VIP, ns", 25.0, |row| row.kind == Kind::Pass),
        figures.ratio("1 M flows to 1 flow", 1.25, |row| {
            (plain(row) && row.flows == MOST).then_some(Row { flows: ONE, ..*row })
        }),
        figures.ratio("SYN to ACK", 1.1, |row| {
            (plain(row) && row.kind == Kind::Syn).then_some(Row { kind: Kind::Ack, ..*row })
        }),
        figures.ratio("IPv6 to IPv4", 1.25, |row| {
            (plain(row) && row.family == Family::V6).then_some(Row { family: Family::V4, ..*row })
        }),
        figures.ratio("4,096 services to 1, 1 flow", 1.2, |row| {
            (row.services == MOST_SERVICES && row.flows == ONE)
                .then_some(Row { services: 1, ..*row })
        }),
        figures.ratio("4,096 services to 1, flows to all of them", 1.2, |row| {
            (row.services == MOST_SERVICES && row.flows > ONE)
                .then_some(Row { services: 1, ..*row })
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

struct Figures<'a>(&'a [Figure]);

impl Figures<'_> {
    fn lb(&self) -> impl Iterator<Item = &Figure> {
        self.0.iter().filter(|figure| figure.row.subject == Subject::Lb)
    }

    fn net(&self, name: &'static str, limit: f64, of: impl Fn(&Row) -> bool) -> Option<Bar> {
        let among = self.lb().filter(|figure| of(&figure.row));
        worst(name, limit, among.map(|figure| (figure.net_ns, figure.row)))
    }

    /// Each row in relation to the one that `to` gives for it.
    fn ratio(
        &self,
        name: &'static str,
        limit: f64,
        to: impl Fn(&Row) -> Option<Row>,
    ) -> Option<Bar> {
        let base = |row: Row| self.lb().find(|figure| figure.row == row);
        let ratios = self.lb().filter_map(|figure| {
            let base = base(to(&figure.row)?)?;
            Some((figure.net_ns / base.net_ns, figure.row))
        });
        worst(name, limit, ratios)
    }
}

fn worst(name: &'static str, limit: f64, values: impl Iterator<Item = (f64, Row)>) -> Option<Bar> {
    let (worst, row) = values.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    Some(Bar { name, limit, worst, row: row.to_string(), met: worst <= limit })
}
