//! Text in 80 columns.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// What every screen and mail has.
pub(crate) const COLUMNS: usize = 80;

/// Breaks text at spaces so that no line is wider than [`COLUMNS`]; the first line begins with `lead`, the others with
/// as much space. A word that fits on no line is cut. Ends in a newline.
pub(crate) fn wrap(lead: &str, text: &str) -> String {
    let indent = lead.width().min(COLUMNS / 2);
    let room = COLUMNS - indent;
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        for part in parts(word, room) {
            place(&mut lines, part, room);
        }
    }
    let space = " ".repeat(indent);
    let lead = |index| if index == 0 { lead } else { space.as_str() };
    lines.iter().enumerate().map(|(index, line)| format!("{}{line}\n", lead(index))).collect()
}

fn place(lines: &mut Vec<String>, part: &str, room: usize) {
    match lines.last_mut() {
        Some(line) if line.is_empty() => line.push_str(part),
        Some(line) if line.width() + 1 + part.width() <= room => {
            line.push(' ');
            line.push_str(part);
        }
        _ => lines.push(part.into()),
    }
}

fn parts(word: &str, room: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = word;
    while rest.width() > room {
        let (part, left) = rest.split_at(fitting(rest, room));
        parts.push(part);
        rest = left;
    }
    parts.push(rest);
    parts
}

/// How many bytes of `text` fit into `room` columns; at least one character.
fn fitting(text: &str, room: usize) -> usize {
    let mut used = 0;
    let too_wide = text.char_indices().find(|(at, c)| {
        used += c.width().unwrap_or(0);
        used > room && *at > 0
    });
    too_wide.map_or(text.len(), |(at, _)| at)
}

/// Cuts text to `room` columns, with `…` where something is missing.
pub(crate) fn cut(text: &str, room: usize, from: Cut) -> String {
    if text.width() <= room {
        return text.into();
    }
    let room = room.saturating_sub(1);
    let tail_room = match from {
        Cut::End => 0,
        Cut::Middle => room / 2,
    };
    let head = take(text.chars(), room - tail_room);
    let tail: String = take(text.chars().rev(), tail_room).chars().rev().collect();
    format!("{head}…{tail}")
}

/// Where [`cut`] cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The end goes.
    End,
    /// The middle goes: both ends of an address tell something.
    Middle,
}

fn take(chars: impl Iterator<Item = char>, room: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= room
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces_and_long_words_are_cut() {
        let text = wrap("  - ", &"word ".repeat(40));
        assert!(text.lines().all(|line| line.width() <= COLUMNS), "{text}");
        assert!(text.starts_with("  - word word") && text.contains("\n    word"), "{text}");
        let long = "x".repeat(200);
        let text = wrap("  ", &format!("see {long} there"));
        assert!(text.lines().all(|line| line.width() <= COLUMNS), "{text}");
        assert_eq!(text.replace(['\n', ' '], ""), format!("see{long}there"));
        assert_eq!(wrap("next: ", ""), "next: \n");
    }

    #[test]
    fn wide_characters_count_twice() {
        let text = wrap("", &"認".repeat(100));
        assert_eq!(text.lines().map(|line| line.width()).collect::<Vec<_>>(), [80, 80, 40]);
        assert_eq!(cut("認証局認証局", 6, Cut::End), "認証…");
    }

    #[test]
    fn a_cut_says_that_it_cut() {
        assert_eq!(cut("example", 7, Cut::End), "example");
        assert_eq!(cut("example", 6, Cut::End), "examp…");
        assert_eq!(cut("node-1.example.com:8443", 12, Cut::Middle), "node-1…:8443");
        assert_eq!(cut("example", 0, Cut::Middle), "…");
    }
}
