//! The commands that change backends, their arguments and their help.

use std::{net::IpAddr, time::Duration};

use clap::{Subcommand, builder::ValueParser, value_parser};

use super::help;
use crate::{api::types::Change, config::MAX_WEIGHT};

#[derive(Debug, Subcommand)]
pub(super) enum Order {
    /// Add a backend to a service
    ///
    /// The configuration file is not changed: `lb diff` shows the backend, `lb save` writes it there.
    #[command(after_long_help = "\
Examples:
  lb backend add web 10.0.0.14
  lb backend add web 10.0.0.14 --name web4 --weight 2
  lb backend add app 10.0.1.14 --name app4 --port 8080")]
    Add {
        /// The service's name
        service: String,
        /// The backend's address; of the VIP's family, unless the packets travel in a tunnel
        address: IpAddr,
        /// Its name; the address if left out
        #[arg(long)]
        name: Option<String>,
        /// Its port, for services with `forward = "nat"`; the service's if left out
        #[arg(long, value_parser = value_parser!(u16).range(1..))]
        port: Option<u16>,
        /// Its share in relation to the others, 0 to 1000; 1 if left out
        #[arg(long, value_parser = weight())]
        weight: Option<u16>,
    },
    /// Remove a backend
    ///
    /// New connections go to other backends. Those that it has go on until they end.
    #[command(after_long_help = "\
Examples:
  lb backend remove web4
  lb backend remove web4 --service web")]
    Remove(Target),
    /// Set the weight of a backend
    ///
    /// Weights count in relation to each other; 0 is as good as a drain. Open connections stay where
    /// they are.
    #[command(after_long_help = "\
Examples:
  lb backend weight web1 3
  lb backend weight web1 0 --service web")]
    Weight {
        /// The backend's name
        name: String,
        /// Its new weight, 0 to 1000
        #[arg(value_parser = weight())]
        weight: u16,
        /// Only in this service; in all that have the backend if left out
        #[arg(long, value_name = "SERVICE")]
        service: Option<String>,
    },
    /// Take a backend out of the ring
    ///
    /// It gets no new connections. Those that it has go on until they end, or until the deadline:
    /// then its maintenance begins. Draining what is draining already is no error.
    #[command(after_long_help = help::DRAIN)]
    Drain {
        #[command(flatten)]
        target: Target,
        /// When maintenance begins, such as 10m; never if left out
        #[arg(long, value_name = "TIME", value_parser = ValueParser::new(humantime::parse_duration))]
        deadline: Option<Duration>,
        /// Go on until nothing is left, showing what is
        #[arg(long)]
        wait: bool,
    },
    /// Take a backend out of the ring at once, and check it no more
    ///
    /// The connections that it has follow the service's `on_down`: by default they are reset, so that
    /// clients connect anew at once. To let them end, drain first.
    #[command(after_long_help = "\
Examples:
  lb backend maintenance web2
  lb backend maintenance web2 --service web")]
    Maintenance(Target),
    /// Take a backend into the ring again, from a drain or from maintenance
    ///
    /// After maintenance its checks have to find it up first.
    #[command(after_long_help = "\
Examples:
  lb backend ready web2")]
    Ready(Target),
}

impl Order {
    /// Whether to wait until the drain is over.
    pub(super) fn waits(&self) -> bool {
        matches!(self, Self::Drain { wait: true, .. })
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// The backend's name
    name: String,
    /// Only in this service; in all that have the backend if left out
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
}

impl From<Order> for Change {
    fn from(order: Order) -> Self {
        match order {
            Order::Add { service, address, name, port, weight } => {
                Self::Add { service, name, address, port, weight }
            }
            Order::Remove(Target { name: backend, service }) => Self::Remove { backend, service },
            Order::Weight { name: backend, weight, service } => {
                Self::Weight { backend, service, weight }
            }
            Order::Drain { target: Target { name: backend, service }, deadline, wait: _ } => {
                let deadline_seconds = deadline.map(|deadline| deadline.as_secs());
                Self::Drain { backend, service, deadline_seconds }
            }
            Order::Maintenance(Target { name: backend, service }) => {
                Self::Maintenance { backend, service }
            }
            Order::Ready(Target { name: backend, service }) => Self::Ready { backend, service },
        }
    }
}

fn weight() -> ValueParser {
    value_parser!(u16).range(..=i64::from(MAX_WEIGHT)).into()
}
