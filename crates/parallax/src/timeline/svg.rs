//! The timeline as a picture. Meaning rests on letters and patterns as well as on colours.

use std::fmt::Write as _;

use super::{Bar, Kind, Timeline, Track, letter};
use crate::output::{day, escape, minute};
use crate::picture::{COLOURS, MARGIN, WIDTH, ground, open, xml};
use parallax_core::Timestamp;

/// Where bars begin and end.
const LEFT: f64 = 200.0;
const RIGHT: f64 = WIDTH - MARGIN;
const TOP: f64 = 64.0;
const LANE: f64 = 22.0;
const GAP: f64 = 16.0;
const LEGEND_LINE: f64 = 24.0;
/// Characters of a name that have room on the left.
const NAME: usize = 21;
const MS_PER_DAY: i64 = 86_400_000;

/// Lines and dots over the colour, one for each key in turn; none over the first.
const PATTERNS: [&str; 5] = ["", "M0 8L8 0", "M0 0L8 8", "M0 4H8", "M4 0V8"];

/// Draws the timeline.
pub(crate) fn render(timeline: &Timeline) -> String {
    let keys = timeline.keys();
    let lanes: Vec<Vec<usize>> = timeline.tracks.iter().map(|track| lanes(&track.bars)).collect();
    let tall: f64 = lanes.iter().map(|lanes| height(lanes) + GAP).sum();
    let axis = TOP + tall;
    let legend = axis + 56.0;
    let whole = legend + LEGEND_LINE * (keys.len() as f64 + 1.0) + MARGIN;
    let mut svg = head(timeline, whole, keys.len());
    let scale = Scale::new(timeline.range());
    svg.push_str(&scale.axis(axis));
    let mut y = TOP;
    for (track, lanes) in timeline.tracks.iter().zip(&lanes) {
        draw_track(&mut svg, track, lanes, &keys, &scale, y);
        y += height(lanes) + GAP;
    }
    draw_legend(&mut svg, timeline, &keys, legend);
    svg.push_str("</svg>\n");
    svg
}

fn height(lanes: &[usize]) -> f64 {
    LANE * (lanes.iter().max().map_or(0, |lane| *lane) as f64 + 1.0)
}

/// A lane for each bar, so that none covers another of its vantage point.
fn lanes(bars: &[Bar]) -> Vec<usize> {
    let mut ends: Vec<Timestamp> = Vec::new();
    bars.iter()
        .map(|bar| match ends.iter().position(|end| *end < bar.first) {
            Some(lane) => {
                ends.iter_mut().skip(lane).take(1).for_each(|end| *end = bar.last);
                lane
            }
            None => {
                ends.push(bar.last);
                ends.len() - 1
            }
        })
        .collect()
}

fn head(timeline: &Timeline, whole: f64, keys: usize) -> String {
    let (from, to) = timeline.range();
    let range = format!("{} to {}", day(Timestamp::from_unix_ms(from)), day(Timestamp::from_unix_ms(to)));
    let mut svg = open(&format!("{} over time", timeline.service), whole);
    svg.push_str("<defs>\n");
    for (number, path) in PATTERNS.iter().enumerate().skip(1).filter(|(number, _)| *number < keys) {
        _ = writeln!(
            svg,
            "<pattern id=\"p{number}\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\">\
             <path d=\"{path}\" stroke=\"#000000\" stroke-opacity=\"0.45\" stroke-width=\"1.5\"/></pattern>"
        );
    }
    _ = writeln!(
        svg,
        "</defs>\n{}<text x=\"{RIGHT}\" y=\"32\" text-anchor=\"end\" fill=\"#444444\">{range}</text>",
        ground(&timeline.service.to_string())
    );
    svg
}

/// From moments to places.
struct Scale {
    start: i64,
    end: i64,
}

impl Scale {
    fn new((start, end): (i64, i64)) -> Self {
        Self { start, end }
    }

    fn x(&self, ms: i64) -> f64 {
        let share = (ms - self.start) as f64 / (self.end - self.start) as f64;
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    /// At most eight marks, a whole number of days apart, or of minutes where all of it is a few days.
    fn axis(&self, y: f64) -> String {
        let step = self.step();
        let mut svg = format!("<g stroke=\"#888888\"><line x1=\"{LEFT}\" y1=\"{y}\" x2=\"{RIGHT}\" y2=\"{y}\"/></g>\n");
        let mut at = self.start.div_euclid(step).saturating_add(1).saturating_mul(step);
        while at <= self.end {
            let x = self.x(at);
            let moment = Timestamp::from_unix_ms(at);
            let label = if step < MS_PER_DAY { minute(moment) } else { day(moment) };
            _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"#dddddd\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\" fill=\"#444444\">{label}</text>",
                y + 6.0,
                x.clamp(LEFT, RIGHT - 40.0),
                y + 22.0
            );
            at = at.saturating_add(step);
        }
        svg
    }

    fn step(&self) -> i64 {
        let minutes = [1, 5, 15, 60, 180, 720].map(|minutes| minutes * 60_000);
        let days = [1, 2, 7, 14, 28, 61, 91, 183, 365, 730, 1826].map(|days| days * MS_PER_DAY);
        let wide = |step: &i64| (self.end - self.start) / step <= 7;
        let few = (self.end - self.start) / 5;
        minutes.into_iter().chain(days).find(wide).unwrap_or(few)
    }
}

fn draw_track(svg: &mut String, track: &Track, lanes: &[usize], keys: &[&str], scale: &Scale, y: f64) {
    let name = escape(&track.who);
    let shown: String = match name.chars().count() > NAME {
        true => name.chars().take(NAME - 1).chain(['…']).collect(),
        false => name.clone(),
    };
    let middle = y + LANE / 2.0;
    // What is not covered by a bar is a gap: the thin line shows that nothing was seen.
    _ = writeln!(
        svg,
        "<g><title>{}</title><text x=\"{MARGIN}\" y=\"{:.1}\">{}</text></g>\n\
         <line x1=\"{LEFT}\" y1=\"{middle:.1}\" x2=\"{RIGHT}\" y2=\"{middle:.1}\" stroke=\"#bbbbbb\" stroke-dasharray=\"2 4\"/>",
        xml(&name),
        middle + 4.5,
        xml(&shown)
    );
    for (bar, lane) in track.bars.iter().zip(lanes) {
        let number = keys.iter().position(|key| *key == bar.key).unwrap_or_default();
        let beside = track.bars.iter().zip(lanes).filter(|(other, at)| *at == lane && other.first > bar.last);
        let next = beside.map(|(other, _)| scale.x(other.first.unix_ms())).fold(RIGHT, f64::min);
        draw_bar(svg, bar, number, scale, (y + LANE * *lane as f64, next));
    }
}

/// `next` is where the next bar of the lane begins: the letter of a narrow bar stands before it, where it has room.
fn draw_bar(svg: &mut String, bar: &Bar, number: usize, scale: &Scale, (y, next): (f64, f64)) {
    let (from, to) = (scale.x(bar.first.unix_ms()), scale.x(bar.last.unix_ms()));
    let width = (to - from).max(4.0);
    let from = from.min(RIGHT - width);
    let title = format!("{}: {}, {} to {}", letter(number), bar.key, minute(bar.first), minute(bar.last));
    _ = write!(svg, "<g><title>{}{}</title>", xml(&title), kind(bar.kind));
    svg.push_str(&swatch(from, y + 2.0, width, LANE - 4.0, number, bar.kind));
    let name = letter(number);
    let room = tag_width(&name) + 4.0;
    if width >= room {
        svg.push_str(&tag(from + width / 2.0, y + LANE / 2.0, &name));
    } else if from + width + room <= next {
        svg.push_str(&tag(from + width + room / 2.0, y + LANE / 2.0, &name));
    }
    svg.push_str("</g>\n");
}

/// What stands behind a bar, where it is not a proof.
fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Proved => "",
        Kind::Sighting => " (a sighting: the key was not proved)",
        Kind::Old => " (told by an old notary)",
    }
}

/// Colour and pattern of a key; what was not proved has a broken edge and is paler.
fn swatch(x: f64, y: f64, width: f64, height: f64, number: usize, kind: Kind) -> String {
    let colour = COLOURS.get(number % COLOURS.len()).copied().unwrap_or_default();
    let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\"");
    let edge = match kind {
        Kind::Proved => "stroke=\"#333333\" stroke-width=\"0.8\"",
        _ => "fill-opacity=\"0.45\" stroke=\"#333333\" stroke-dasharray=\"3 2\"",
    };
    let mut svg = format!("<rect {place} fill=\"{colour}\" {edge}/>");
    let pattern = number % PATTERNS.len();
    if pattern > 0 {
        _ = write!(svg, "<rect {place} fill=\"url(#p{pattern})\"/>");
    }
    svg
}

fn tag_width(name: &str) -> f64 {
    7.0 + 9.0 * name.len() as f64
}

/// A letter that can be read on any colour.
fn tag(x: f64, y: f64, name: &str) -> String {
    let width = tag_width(name);
    format!(
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"14\" rx=\"3\" fill=\"#ffffff\"/>\
         <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\" font-weight=\"bold\">{name}</text>",
        x - width / 2.0,
        y - 7.0,
        y + 4.0
    )
}

fn draw_legend(svg: &mut String, timeline: &Timeline, keys: &[&str], top: f64) {
    let kinds = "Broken edge: not proved, or told by an old notary. Dotted line: nothing seen.";
    for (number, key) in keys.iter().enumerate() {
        let y = top + LEGEND_LINE * number as f64;
        let bars = || timeline.tracks.iter().flat_map(|track| &track.bars).filter(|bar| bar.key == *key);
        let kind = bars().map(|bar| bar.kind).min().unwrap_or(Kind::Proved);
        let (first, last) = (bars().map(|bar| bar.first).min(), bars().map(|bar| bar.last).max());
        let dates = first.zip(last).map(|(first, last)| format!("{} to {}", day(first), day(last)));
        svg.push_str(&swatch(MARGIN, y, 36.0, 16.0, number, kind));
        svg.push_str(&tag(MARGIN + 18.0, y + 8.0, &letter(number)));
        _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-family=\"DejaVu Sans Mono, monospace\" font-size=\"12\">{}</text>\
             <text x=\"{RIGHT}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"12\" fill=\"#444444\">{}</text>",
            MARGIN + 48.0,
            y + 12.5,
            xml(key),
            y + 12.5,
            dates.unwrap_or_default()
        );
    }
    let y = top + LEGEND_LINE * keys.len() as f64 + 16.0;
    _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{y:.1}\" font-size=\"11\" fill=\"#444444\">{kinds}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::tests::{bar, year};

    #[test]
    fn a_year_as_a_picture() {
        let svg = render(&year());
        assert_eq!(svg.matches("<svg").count(), 1);
        for part in ["<title>tls://shop.example:443 over time</title>", "url(#p1)", "2025-", "stroke-dasharray=\"3 2\""]
        {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        assert!(svg.contains("&lt;198.51.100.9:8443"), "{svg}");
        insta::assert_snapshot!(svg);
    }

    #[test]
    fn no_text_breaks_out() {
        let hostile = "</text><script>&\"'\u{1b}\u{0}\u{ffff}\u{202e}";
        let track =
            Track { who: hostile.into(), bars: vec![Bar { key: hostile.into(), ..bar(1, Kind::Proved, 1, 2) }] };
        let svg = render(&Timeline { tracks: vec![track], ..year() });
        assert!(!svg.contains("<script") && !svg.contains(['\u{1b}', '\u{0}', '\u{ffff}', '\u{202e}']), "{svg}");
    }

    #[test]
    fn bars_of_one_vantage_point_never_cover_each_other() {
        let proved = |key, first, last| bar(key, Kind::Proved, first, last);
        let bars = [proved(1, 0, 10), proved(2, 5, 8), proved(3, 9, 20), proved(1, 12, 13), proved(4, 10, 11)];
        assert_eq!(lanes(&bars), [0, 1, 1, 0, 2]);
    }

    #[test]
    fn marks_on_the_axis_are_few_and_never_none() {
        for span in [60_000, 3_600_000, MS_PER_DAY, 30 * MS_PER_DAY, 366 * MS_PER_DAY, 9_000 * 365 * MS_PER_DAY] {
            let marks = Scale::new((1_000, 1_000 + span)).axis(0.0).matches("<text").count();
            assert!((1..=8).contains(&marks), "{span}: {marks}");
        }
    }
}
