//! Tables for people: aligned, without borders.

use comfy_table::{Cell, CellAlignment, Color, Table as Grid, presets};

use crate::api::types::{Admin, Drain, Health};

/// How a column is aligned.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    /// Text, to the left.
    Text(&'static str),
    /// Numbers, to the right.
    Number(&'static str),
}

/// A table that is filled row by row.
pub(super) struct Table(Grid);

impl Table {
    pub(super) fn new(columns: &[Column], colour: bool) -> Self {
        let mut grid = Grid::new();
        let _grid = grid.load_preset(presets::NOTHING);
        let _grid = if colour { grid.enforce_styling() } else { grid.force_no_tty() };
        let titles = columns.iter().map(|column| match column {
            Column::Text(title) => Cell::new(title),
            Column::Number(title) => Cell::new(title).set_alignment(CellAlignment::Right),
        });
        let _grid = grid.set_header(titles);
        for (column, kind) in grid.column_iter_mut().zip(columns) {
            let _column = column.set_padding((0, 2));
            if let Column::Number(_) = kind {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        Self(grid)
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        let _grid = self.0.add_row(cells);
    }

    /// The text, with a newline after each line.
    pub(super) fn render(&self) -> String {
        self.0.trim_fmt() + "\n"
    }
}

/// A cell; what could steer the terminal is taken out.
pub(super) fn cell(text: &dyn ToString) -> Cell {
    Cell::new(text.to_string().replace(char::is_control, " "))
}

pub(super) fn health(health: Health) -> Cell {
    match health {
        Health::Up => cell(&"up").fg(Color::Green),
        Health::Down => cell(&"down").fg(Color::Red),
        Health::Unchecked => cell(&"unchecked"),
    }
}

pub(super) fn admin(admin: Admin, drain: Option<&Drain>) -> Cell {
    match admin {
        Admin::Ready => cell(&"ready"),
        Admin::Drain => match drain {
            Some(drain) if drain.is_over() => cell(&"drained").fg(Color::Yellow),
            Some(drain) => cell(&format!("drain, {} open", drain.connections)).fg(Color::Yellow),
            None => cell(&"drain").fg(Color::Yellow),
        },
        Admin::Maintenance => cell(&"maintenance").fg(Color::Yellow),
        Admin::Sorry => cell(&"sorry"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(colour: bool) -> String {
        let mut table = Table::new(&[Column::Text("NAME"), Column::Number("N")], colour);
        table.row(vec![cell(&"a\x1b[2J"), cell(&7)]);
        table.row(vec![health(Health::Down), cell(&1234)]);
        table.render()
    }

    #[test]
    fn columns_are_aligned_and_plain() {
        assert_eq!(table(false), "NAME      N\na [2J     7\ndown   1234\n");
    }

    #[test]
    fn colours_do_not_move_columns() {
        let text = table(true);
        let last = text.lines().last().unwrap();
        assert_eq!(last, "\x1b[38;5;9mdown   \x1b[39m1234");
    }
}
