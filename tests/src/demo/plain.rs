//! The view as lines, where there is no terminal.

use super::{
    Watch,
    view::{Sample, ServiceView, View, short},
};

/// Prints a line a second until it is over.
pub(super) fn show(hints: &[String], look: impl FnMut() -> Sample, is_over: impl Fn() -> bool) {
    println!("try in a second terminal:");
    for hint in hints {
        println!("  {hint}");
    }
    let mut watch = Watch::new(look);
    while !is_over() {
        match watch.next() {
            Some(view) => println!("{}", line(&view)),
            None => Watch::<fn() -> Sample>::doze(),
        }
    }
}

fn line(view: &View) -> String {
    let mut line = format!(
        "{:>4} s  {:>3.0} answers/s  {} errors",
        view.elapsed.as_secs(),
        view.answers_per_second,
        view.errors
    );
    for service in &view.services {
        line += "  | ";
        line += &service_part(service);
    }
    for problem in &view.problems {
        line += "\n        ";
        line += problem;
    }
    line
}

fn service_part(service: &ServiceView) -> String {
    let rate: f64 = service.backends.iter().map(|backend| backend.packets_per_second).sum();
    let backends: Vec<_> = service
        .backends
        .iter()
        .map(|backend| match backend.state {
            "up" => format!("{} {}", backend.name, backend.answers),
            state => format!("{} {} ({state})", backend.name, backend.answers),
        })
        .collect();
    format!("{} {} packets/s: {}", service.name, short(rate), backends.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::view::tests::example;

    #[test]
    fn a_line_says_who_serves_and_what_is_wrong() {
        assert_eq!(
            line(&example()),
            "   2 s   50 answers/s  0 errors  | \
             app 60 packets/s: web1 105 (drain), web2 0 (down)\n        \
             web2 of app is down: connection refused"
        );
    }
}
