//! Tables, before anybody writes them.

use serde_json::{Map, Value, json};

use crate::statistics::Proportion;

/// A table with one line of titles.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// What it is called where it is filled in, and in JSON.
    pub name: String,
    /// What it shows, with the unit.
    pub title: String,
    /// The titles of the columns, each once.
    pub columns: Vec<String>,
    /// As many cells in each row.
    pub rows: Vec<Vec<Cell>>,
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A name.
    Text(String),
    /// How many.
    Count(u64),
    /// How large a share, shown in percent.
    Share(Proportion),
    /// How many on average; none of nothing.
    Mean(Option<f64>),
    /// By how many points two shares, given in percent, differ.
    Points(Option<f64>),
}

impl Cell {
    /// As a document shows it: with the whole interval.
    pub fn whole(&self) -> String {
        match self {
            Cell::Share(share) => share.to_string(),
            other => other.short(),
        }
    }

    /// As a screen shows it.
    pub fn short(&self) -> String {
        match self {
            Cell::Text(text) => text.clone(),
            Cell::Count(count) => thousands(*count),
            Cell::Share(share) => share.short(),
            Cell::Mean(mean) => mean.map_or("-".into(), |mean| format!("{mean:.2}")),
            Cell::Points(points) => points.map_or("-".into(), |points| format!("{points:+.2}")),
        }
    }

    fn json(&self) -> Value {
        match self {
            Cell::Text(text) => json!(text),
            Cell::Count(count) => json!(count),
            Cell::Share(share) => json!(share),
            Cell::Mean(number) | Cell::Points(number) => json!(number),
        }
    }

    fn is_number(&self) -> bool {
        !matches!(self, Cell::Text(_))
    }
}

impl Table {
    /// In Markdown, without its title.
    pub fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let under = |place: usize| match self.rows.first().and_then(|row| row.get(place)) {
            Some(cell) if cell.is_number() => "---:".to_string(),
            _ => "---".to_string(),
        };
        let mut text = line(self.columns.iter().map(|title| plain(title)).collect());
        text.push_str(&line((0..self.columns.len()).map(under).collect()));
        for row in &self.rows {
            text.push_str(&line(row.iter().map(|cell| plain(&cell.whole())).collect()));
        }
        text
    }

    /// Each row as an object, by the titles of the columns.
    pub fn json(&self) -> Value {
        let object = |row: &Vec<Cell>| -> Map<String, Value> {
            self.columns.iter().cloned().zip(row.iter().map(Cell::json)).collect()
        };
        json!({ "name": self.name, "title": self.title, "rows": self.rows.iter().map(object).collect::<Vec<_>>() })
    }
}

/// Text that neither ends a cell nor begins anything: names come from files.
pub(super) fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '\\' | '<' | '>' | '`' | '*' | '_' | '[' | ']' => {
                safe.push('\\');
                safe.push(c);
            }
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// `1,000,000`.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            name: "t".into(),
            title: "A table, %".into(),
            columns: ["site", "visits", "blocked", "questions", "change"].map(String::from).to_vec(),
            rows: vec![
                vec![
                    Cell::Text("a|b <!-- \n".into()),
                    Cell::Count(1_000_000),
                    Cell::Share(Proportion::new(12, 100_000)),
                    Cell::Mean(Some(5.126)),
                    Cell::Points(Some(-0.004)),
                ],
                vec![
                    Cell::Text("none".into()),
                    Cell::Count(0),
                    Cell::Share(Proportion::new(0, 0)),
                    Cell::Mean(None),
                    Cell::Points(Some(1.5)),
                ],
            ],
        }
    }

    #[test]
    fn as_markdown() {
        let expected = "\
            | site | visits | blocked | questions | change |\n\
            | --- | ---: | ---: | ---: | ---: |\n\
            | a\\|b \\<!--   | 1,000,000 | 0.012 (0.007 to 0.021) | 5.13 | -0.00 |\n\
            | none | 0 | - | - | +1.50 |\n";
        assert_eq!(table().markdown(), expected);
    }

    #[test]
    fn as_json() {
        let json = table().json();
        let row = json.pointer("/rows/0").unwrap();
        assert_eq!((row["visits"].as_u64(), row["blocked"]["hits"].as_u64()), (Some(1_000_000), Some(12)));
        assert_eq!((row["blocked"]["share"].as_f64(), row["questions"].as_f64()), (Some(0.00012), Some(5.126)));
        assert_eq!(json.pointer("/rows/1/blocked/share"), Some(&Value::Null));
    }

    #[test]
    fn thousands_are_parted() {
        let counts = [0, 12, 999, 1_000, 12_345, 123_456, 1_234_567];
        assert_eq!(counts.map(thousands), ["0", "12", "999", "1,000", "12,345", "123,456", "1,234,567"]);
    }
}
