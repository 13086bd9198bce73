//! The daemon's log.

use std::{
    env,
    io::{self, IsTerminal},
};

use tracing_subscriber::{EnvFilter, filter::ParseError};

use super::{Error, output::colour_allowed};

const VARIABLE: &str = "LB_LOG";

/// Starts the log, with what the environment wants to see.
pub(super) fn start() -> Result<(), Error> {
    let failed = |error: &dyn std::fmt::Display| Error::LogFilter(error.to_string());
    let wanted = match env::var(VARIABLE) {
        Ok(wanted) => wanted,
        Err(env::VarError::NotPresent) => String::new(),
        Err(error @ env::VarError::NotUnicode(_)) => return Err(failed(&error)),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter(&wanted).map_err(|error| failed(&error))?)
        .with_ansi(io::stderr().is_terminal() && colour_allowed())
        .with_writer(io::stderr)
        // A reader that has gone is no reason to end.
        .log_internal_errors(false)
        .init();
    Ok(())
}

/// `info`, and what is wanted besides; a level without a module takes its place.
fn filter(wanted: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(format!("info,{wanted}"))
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::Layer;

    use super::*;

    #[test]
    fn what_is_wanted_is_added_to_info() {
        use tracing::Level;

        let shown = |wanted: &str| {
            let subscriber =
                filter(wanted).unwrap().with_subscriber(tracing_subscriber::registry());
            tracing::subscriber::with_default(subscriber, || {
                (
                    tracing::enabled!(target: "lb_userspace::node", Level::INFO),
                    tracing::enabled!(target: "lb_userspace::node", Level::DEBUG),
                    tracing::enabled!(target: "lb::drops", Level::DEBUG),
                )
            })
        };
        for (wanted, expected) in [
            ("", (true, false, false)),
            ("info", (true, false, false)),
            ("lb::drops=debug", (true, false, true)),
            ("info,lb::drops=debug", (true, false, true)),
            ("debug", (true, true, true)),
            ("warn", (false, false, false)),
            ("warn,lb::drops=debug", (false, false, true)),
            ("off", (false, false, false)),
        ] {
            assert_eq!(shown(wanted), expected, "{wanted}");
        }
        assert!(filter("lb=loud").is_err());
    }
}
