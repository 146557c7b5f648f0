//! A table that fits into 80 columns whatever strangers call themselves.

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

use super::wrap::{COLUMNS, Cut, cut};

/// Space between two columns.
const GAP: usize = 2;

/// One column: its title, and how narrow it may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Stands above it.
    pub(crate) title: &'static str,
    /// Never narrower than this; a column whose content is narrower stays that narrow.
    pub(crate) least: usize,
    /// Where its content is cut.
    pub(crate) cut: Cut,
}

/// One cell: harmless text (see [`super::escape()`]) and its style.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell without style.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new() }
    }

    /// The cell in a style. Meaning never rests on it.
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

/// Writes the table, at most [`COLUMNS`] wide, with its titles.
pub(crate) fn render(columns: &[Column], rows: &[Vec<Cell>]) -> String {
    let widths = fit(columns, rows);
    let titles: Vec<Cell> = columns.iter().map(|column| Cell::styled(column.title, Style::new().bold())).collect();
    std::iter::once(&titles).chain(rows).map(|row| line(columns, &widths, row)).collect()
}

fn line(columns: &[Column], widths: &[usize], row: &[Cell]) -> String {
    let mut line = String::new();
    let mut owed = 0;
    for ((column, width), cell) in columns.iter().zip(widths).zip(row) {
        let text = cut(&cell.text, *width, column.cut);
        // Space is written only before what follows it: no line ends in blanks.
        if !text.is_empty() {
            line.push_str(&" ".repeat(owed));
            owed = 0;
            let style = cell.style;
            line.push_str(&format!("{style}{text}{style:#}"));
        }
        owed += width.saturating_sub(text.width()) + GAP;
    }
    line.push('\n');
    line
}

/// As wide as the content, then the widest shrinks, column by column, until all fit.
fn fit(columns: &[Column], rows: &[Vec<Cell>]) -> Vec<usize> {
    let content = |index: usize| rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.text.width()).max();
    let mut widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| column.title.width().max(content(index).unwrap_or(0)).min(COLUMNS))
        .collect();
    let gaps = GAP * columns.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > COLUMNS {
        let can_shrink = |(width, column): &(&mut usize, &Column)| **width > column.least.max(1);
        let widest = widths.iter_mut().zip(columns).filter(can_shrink).max_by_key(|(width, _)| **width);
        match widest {
            Some((width, _)) => *width -= 1,
            None => break,
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS_OF_TEST: [Column; 3] = [
        Column { title: "WHO", least: 12, cut: Cut::Middle },
        Column { title: "KEY", least: 8, cut: Cut::End },
        Column { title: "CA", least: 12, cut: Cut::End },
    ];

    fn row(cells: [&str; 3]) -> Vec<Cell> {
        cells.into_iter().map(Cell::new).collect()
    }

    #[test]
    fn short_content_stays_narrow() {
        let table = render(&COLUMNS_OF_TEST, &[row(["you", "3f2a9c01", "Example"]), row(["node", "", ""])]);
        let plain = anstream::adapter::strip_str(&table).to_string();
        assert_eq!(plain, "WHO   KEY       CA\nyou   3f2a9c01  Example\nnode\n");
    }

    #[test]
    fn long_content_never_makes_it_wider_than_the_screen() {
        let long = "x".repeat(300);
        let wide = "局".repeat(300);
        for text in [long.as_str(), wide.as_str()] {
            let table = render(&COLUMNS_OF_TEST, &[row([text, "3f2a9c01", text]), row([text, text, text])]);
            let plain = anstream::adapter::strip_str(&table).to_string();
            assert_eq!(plain.lines().count(), 3);
            assert!(plain.lines().all(|line| line.width() <= COLUMNS), "{plain}");
            assert!(plain.contains("3f2a9c01"), "{plain}");
        }
    }
}
