//! The view as a table that fills a terminal.

use std::{io, time::Duration};

use ratatui::{
    Frame,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers},
    layout::{Constraint, Layout},
    style::{Color, Style, Stylize},
    text::Line,
    widgets::{Paragraph, Row, Table, Wrap},
};

use super::{
    Watch,
    view::{BackendView, Sample, ServiceView, View, short},
};
use crate::Error;

const HEADER: [&str; 8] =
    ["service", "backend", "state", "share", "packets/s", "bytes/s", "packets", "answers"];
const WIDTHS: [u16; 8] = [20, 7, 5, 6, 9, 8, 8, 7];

/// Draws the view every second until it is over or the user ends it.
pub(super) fn show(
    hints: &[String],
    look: impl FnMut() -> Sample,
    is_over: impl Fn() -> bool,
) -> Result<(), Error> {
    let mut terminal = ratatui::try_init().map_err(Error::file("draw on", "the terminal"))?;
    let result = draw_until(&mut terminal, hints, look, is_over);
    ratatui::restore();
    result.map_err(Error::file("draw on", "the terminal"))
}

fn draw_until(
    terminal: &mut ratatui::DefaultTerminal,
    hints: &[String],
    look: impl FnMut() -> Sample,
    is_over: impl Fn() -> bool,
) -> io::Result<()> {
    let mut watch = Watch::new(look);
    let mut view = View::default();
    while !is_over() {
        if let Some(next) = watch.next() {
            view = next;
        }
        let _: ratatui::CompletedFrame<'_> = terminal.draw(|frame| draw(frame, &view, hints))?;
        if event::poll(Duration::from_millis(100))? && is_end(&event::read()?) {
            break;
        }
    }
    Ok(())
}

/// In raw mode, Ctrl-C is a key like any other.
fn is_end(event: &Event) -> bool {
    let Event::Key(KeyEvent { code, modifiers, .. }) = event else { return false };
    let ctrl_c = *code == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL);
    ctrl_c || matches!(code, KeyCode::Char('q') | KeyCode::Esc)
}

fn draw(frame: &mut Frame<'_>, view: &View, hints: &[String]) {
    let rows: Vec<Row<'_>> = view.services.iter().flat_map(rows).collect();
    let table_height = rows.len() as u16 + 1;
    let areas = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(table_height),
        Constraint::Length(1),
        Constraint::Length(view.problems.len() as u16),
        Constraint::Length(1),
        Constraint::Fill(1),
    ])
    .split(frame.area());
    let title = format!(
        "lb demo, {} s: real requests to four virtual addresses   (q ends it and cleans up)",
        view.elapsed.as_secs()
    );
    frame.render_widget(Line::from(title).bold(), areas[0]);
    let table = Table::new(rows, WIDTHS.map(Constraint::Length))
        .header(Row::new(HEADER).style(Style::new().underlined()));
    frame.render_widget(table, areas[1]);
    frame.render_widget(client(view), areas[2]);
    let problems: Vec<_> = view.problems.iter().map(|text| Line::from(text.as_str())).collect();
    frame.render_widget(Paragraph::new(problems).fg(Color::Red), areas[3]);
    frame.render_widget(Line::from("Try in a second terminal:").bold(), areas[4]);
    let hints: Vec<_> = hints.iter().map(|hint| Line::from(hint.as_str())).collect();
    frame.render_widget(Paragraph::new(hints).wrap(Wrap { trim: false }), areas[5]);
}

fn client(view: &View) -> Line<'_> {
    let text = format!(
        "client: {:.0} answers/s, {} requests failed since the start",
        view.answers_per_second, view.errors
    );
    if view.errors == 0 { Line::from(text).green() } else { Line::from(text).red() }
}

/// A service's rows: what names it stands beside its first backends.
fn rows(service: &ServiceView) -> Vec<Row<'static>> {
    let labels = [format!("{} ({})", service.name, service.forward), format!(" {}", service.vip)];
    let count = service.backends.len().max(labels.len());
    (0..count)
        .map(|index| {
            let label = labels.get(index).cloned().unwrap_or_default();
            row(label, service.backends.get(index))
        })
        .collect()
}

fn row(label: String, backend: Option<&BackendView>) -> Row<'static> {
    let Some(backend) = backend else { return Row::new([label]) };
    let color = match backend.state {
        "down" => Color::Red,
        "drain" => Color::Yellow,
        _ => Color::Reset,
    };
    Row::new([
        label,
        backend.name.clone(),
        backend.state.into(),
        format!("{:.1} %", backend.share * 100.0),
        short(backend.packets_per_second),
        short(backend.bytes_per_second),
        backend.packets.to_string(),
        backend.answers.to_string(),
    ])
    .fg(color)
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::demo::view::tests::example;

    #[test]
    fn the_table_shows_every_backend_and_what_to_try() {
        let mut terminal = Terminal::new(TestBackend::new(80, 12)).unwrap();
        let hints = ["lb stats".to_owned()];
        let _: ratatui::CompletedFrame<'_> =
            terminal.draw(|frame| draw(frame, &example(), &hints)).unwrap();
        let screen = terminal.backend().to_string();
        for text in [
            "app (nat)            web1    drain 50.0 % 30        1500     80       105",
            " 10.0.0.20:80        web2    down  50.0 %",
            "client: 50 answers/s, 0 requests failed",
            "web2 of app is down: connection refused",
            "lb stats",
        ] {
            assert!(screen.contains(text), "{text:?} is not in\n{screen}");
        }
    }
}
