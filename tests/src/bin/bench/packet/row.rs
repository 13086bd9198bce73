//! What is measured.

use std::fmt;

use lb_common::{addr::Protocol, service::ForwardMode, verdict::Verdict};

use super::world::Spec;

/// One row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) subject: Subject,
    pub(super) mode: ForwardMode,
    pub(super) family: Family,
    pub(super) kind: Kind,
    /// The clients' flows, a power of two.
    pub(super) flows: u32,
    /// The services of the node, a power of two; flows are dealt out to them.
    pub(super) services: u32,
    /// The share of slots that are moving, in hundredths.
    pub(super) moving: u32,
}

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The node's program.
    Lb,
    /// A program of the driver's object.
    Floor(&'static str),
}

impl Subject {
    pub(super) const EMPTY: Self = Self::Floor("empty");
    pub(super) const SWAP: Self = Self::Floor("swap");
    pub(super) const GROW: Self = Self::Floor("grow");

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Lb => "lb",
            Self::Floor(program) => program,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        }
    }
}

/// The kind of packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ack,
    Syn,
    Udp,
    /// Not for a VIP.
    Pass,
    /// "Fragmentation needed" of a router, about a packet to a client.
    IcmpError,
    /// A later fragment.
    Fragment,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Syn => "syn",
            Self::Udp => "udp",
            Self::Pass => "pass",
            Self::IcmpError => "icmp-error",
            Self::Fragment => "fragment",
        }
    }
}

pub(super) const MODES: [ForwardMode; 4] =
    [ForwardMode::L2, ForwardMode::NAT, ForwardMode::IPIP, ForwardMode::GUE];
pub(super) const FLOWS: [u32; 4] = [1, 64, 1 << 14, 1 << 20];
pub(super) const KINDS: [Kind; 3] = [Kind::Ack, Kind::Syn, Kind::Udp];
/// Of the rows about many services.
pub(super) const SERVICES: [u32; 2] = [256, 4096];
/// Of the rows about a ring that has changed, in hundredths.
pub(super) const MOVING: [u32; 2] = [1, 100];

impl Row {
    /// A client's packet, one service, nothing moving.
    pub(super) const fn new(mode: ForwardMode, family: Family, kind: Kind, flows: u32) -> Self {
        Self { subject: Subject::Lb, mode, family, kind, flows, services: 1, moving: 0 }
    }

    const fn floor(subject: Subject) -> Self {
        Self { subject, services: 0, ..Self::new(ForwardMode::L2, Family::V4, Kind::Ack, 1) }
    }

    /// The node that it runs on.
    pub(super) fn world(&self) -> Spec {
        let protocol = if self.kind == Kind::Udp { Protocol::UDP } else { Protocol::TCP };
        let Self { mode, family, services, moving, .. } = *self;
        // Connections that are being opened are not those that are remembered.
        let opening = self.kind == Kind::Syn && moving > 0;
        Spec { mode, family, protocol, services, moving, opening }
    }

    /// What must become of its packets.
    pub(super) const fn verdict(&self) -> Verdict {
        match self.kind {
            Kind::Pass => Verdict::NoService,
            Kind::Ack | Kind::Syn | Kind::Udp | Kind::IcmpError | Kind::Fragment => {
                Verdict::Transmitted
            }
        }
    }

    /// Whether the program puts a header before the packet.
    pub(super) fn grows(&self) -> bool {
        match self.subject {
            Subject::Lb => self.mode.is_tunnel() && self.kind != Kind::Pass,
            Subject::Floor(_) => self.subject == Subject::GROW,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, mode, family, kind, flows, services, moving } = self;
        let (subject, mode, family) = (subject.as_str(), mode.as_str(), family.as_str());
        let kind = kind.as_str();
        write!(f, "{subject} {mode} {family} {kind} flows={flows} services={services}")?;
        write!(f, " moving={moving}%")
    }
}

/// The rows whose description contains `only`, after the floors, which all figures need.
pub(super) fn all(only: Option<&str>) -> Vec<Row> {
    let floors = [Subject::EMPTY, Subject::SWAP, Subject::GROW].map(Row::floor);
    let wanted = |row: &Row| only.is_none_or(|text| row.to_string().contains(text));
    floors.into_iter().chain(of_lb().into_iter().filter(wanted)).collect()
}

fn of_lb() -> Vec<Row> {
    let mut rows = Vec::new();
    for mode in MODES {
        for family in Family::BOTH {
            for kind in KINDS {
                rows.extend(FLOWS.map(|flows| Row::new(mode, family, kind, flows)));
            }
        }
    }
    for family in Family::BOTH {
        let row = |mode, kind, flows| Row::new(mode, family, kind, flows);
        rows.extend([ForwardMode::L2, ForwardMode::NAT].map(|mode| row(mode, Kind::Pass, 1)));
        rows.extend([1, 64].map(|flows| row(ForwardMode::L2, Kind::IcmpError, flows)));
        rows.extend([1, 64].map(|flows| row(ForwardMode::L2, Kind::Fragment, flows)));
    }
    for services in SERVICES {
        rows.extend([1, 1 << 14].map(|flows| {
            let row = Row::new(ForwardMode::L2, Family::V4, Kind::Ack, flows);
            Row { services, ..row }
        }));
    }
    for moving in MOVING {
        for kind in [Kind::Ack, Kind::Syn] {
            rows.extend(FLOWS.map(|flows| {
                let row = Row::new(ForwardMode::L2, Family::V4, kind, flows);
                Row { moving, ..row }
            }));
        }
    }
    rows
}
