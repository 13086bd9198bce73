//! What is measured: kinds of load, and the figures that each gives.

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use super::{
    bulk, idle,
    load::{self, Manner},
    machines::Machines,
    subject::Subject,
};

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Scenario {
    /// One stream, as fast as it goes
    Bulk1,
    /// Eight streams
    Bulk8,
    /// Requests of 100 bytes, one after another, over one connection
    Lat1,
    /// The same over 64 connections at once
    Lat64,
    /// A connection for each request, 32 at once
    Conn,
    /// 9,000 sessions that say nothing
    Idle,
}

/// A figure's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Metric {
    /// What the server received, in 10^9 bits a second.
    Gbps,
    /// The seconds of CPUs for 10^9 bytes.
    CpuPerGb,
    /// Answers a second.
    Rate,
    /// The time from request to answer that half of them did not exceed, in µs.
    P50,
    /// The time that 99 of 100 did not exceed, in µs.
    P99,
    /// The seconds of CPUs for 1,000 requests or connections.
    CpuPer1000,
    /// Resident memory.
    BytesPerSession,
}

/// What one turn gives.
pub(super) type Figures = Vec<(Metric, f64)>;

impl Scenario {
    /// Its name in tables and JSON.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Bulk1 => "bulk1",
            Self::Bulk8 => "bulk8",
            Self::Lat1 => "lat1",
            Self::Lat64 => "lat64",
            Self::Conn => "conn",
            Self::Idle => "idle",
        }
    }

    /// One turn of a subject, on machines of its own with this congestion control.
    pub(super) fn measure(
        self,
        subject: Subject,
        length: Duration,
        congestion_control: &str,
    ) -> Result<Figures> {
        let machines = Machines::build(congestion_control)?;
        match self {
            Self::Bulk1 => bulk::measure(&machines, subject, 1, length),
            Self::Bulk8 => bulk::measure(&machines, subject, 8, length),
            Self::Lat1 => load::measure(&machines, subject, 1, Manner::Kept, length),
            Self::Lat64 => load::measure(&machines, subject, 64, Manner::Kept, length),
            Self::Conn => load::measure(&machines, subject, 32, Manner::Fresh, length),
            Self::Idle => idle::measure(&machines, subject),
        }
    }
}

impl Metric {
    /// Its name in tables and JSON.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Gbps => "gbps",
            Self::CpuPerGb => "cpu_s_per_gb",
            Self::Rate => "rate",
            Self::P50 => "p50_us",
            Self::P99 => "p99_us",
            Self::CpuPer1000 => "cpu_s_per_1000",
            Self::BytesPerSession => "bytes_per_session",
        }
    }
}
