//! The timeline in 80 columns of text.

use super::{Bar, Kind, Timeline, Track, letter, short};
use crate::output::{day, escape, length, wrap};

/// Columns of a bar.
const WIDTH: usize = 40;

/// Writes the timeline: for each vantage point a line for each key, the oldest first.
pub(crate) fn render(timeline: &Timeline) -> String {
    let (start, end) = timeline.range();
    let column = std::time::Duration::from_millis(u64::try_from(end - start).unwrap_or_default() / WIDTH as u64);
    let scale = format!("{}, one column is {}", timeline.service, length(column));
    let mut text = wrap("", &scale);
    let keys = timeline.keys();
    for track in &timeline.tracks {
        text.push('\n');
        text.push_str(&wrap("", &escape(&track.who)));
        if track.bars.is_empty() {
            text.push_str("  nothing is remembered\n");
        }
        for (number, key) in keys.iter().enumerate() {
            text.push_str(&row(track, key, &letter(number), (start, end)));
        }
    }
    text.push_str("\n# key proved  ? sighting  o told by an old notary  : a gap within  . not seen\n");
    text
}

/// Empty when the vantage point never saw the key.
fn row(track: &Track, key: &str, letter: &str, range: (i64, i64)) -> String {
    let bars: Vec<&Bar> = track.bars.iter().filter(|bar| bar.key == key).collect();
    let (Some(first), Some(last)) = (bars.iter().map(|bar| bar.first).min(), bars.iter().map(|bar| bar.last).max())
    else {
        return String::new();
    };
    let columns: String = (0..WIDTH).map(|column| mark(&bars, column, range)).collect();
    format!("  {letter:<3}{:<8} {columns} {}..{}\n", short(key), day(first), day(last))
}

fn mark(bars: &[&Bar], column: usize, (start, end): (i64, i64)) -> char {
    let at = |moment: i64| position(moment, (start, end));
    let mut here = bars.iter().filter(|bar| (at(bar.first.unix_ms())..=at(bar.last.unix_ms())).contains(&column));
    let Some(first) = here.next() else { return '.' };
    let kind = here.clone().map(|bar| bar.kind).min().map_or(first.kind, |kind| kind.min(first.kind));
    let mut reached = first.last;
    for next in here {
        if next.first > reached {
            return ':';
        }
        reached = reached.max(next.last);
    }
    match kind {
        Kind::Proved => '#',
        Kind::Sighting => '?',
        Kind::Old => 'o',
    }
}

/// The column of a moment.
fn position(moment: i64, (start, end): (i64, i64)) -> usize {
    let share = (moment - start) as f64 / (end - start) as f64;
    // A share of 1 is the end of the last column.
    ((share * WIDTH as f64) as usize).min(WIDTH - 1)
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;
    use crate::timeline::tests::{bar, year};

    #[test]
    fn a_year_in_80_columns() {
        let text = render(&year());
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_gap_is_seen_however_short() {
        let bars = vec![bar(1, Kind::Proved, 0, 100), bar(1, Kind::Proved, 103, 1000)];
        let track = Track { who: "\u{1b}[2Jme".into(), bars };
        let text = render(&Timeline { tracks: vec![track], ..year() });
        assert_eq!(text.matches(':').count(), "tls://shop.example:443".matches(':').count() + 2, "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn nothing_is_said_as_such() {
        let track = Track { who: "me".into(), bars: vec![] };
        assert!(render(&Timeline { tracks: vec![track], ..year() }).contains("nothing is remembered"));
    }
}
