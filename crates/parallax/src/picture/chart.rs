//! Curves as a picture. Each curve has a colour, a dash and a mark of its own, and a bar at each point for its interval.

use std::fmt::Write as _;

use parallax_sim::{Chart, Curve, Panel, Point};

use super::{MARGIN, WIDTH, ground, open, xml};

const PANELS_A_ROW: usize = 2;
const GAP: f64 = 32.0;
/// What a panel takes of a row.
const PANEL: f64 = (WIDTH - 2.0 * MARGIN - GAP) / PANELS_A_ROW as f64;
/// Room for the numbers and the name of the axis that goes up.
const BESIDE: f64 = 56.0;
const PLOT: f64 = PANEL - BESIDE;
const TALL: f64 = 240.0;
/// From the top of one row to the top of the next.
const ROW: f64 = TALL + 96.0;
const TOP: f64 = 84.0;
const LEGEND_LINE: f64 = 24.0;
/// Names of curves that stand beside each other.
const NAMES_A_LINE: usize = 5;

/// How one curve looks.
struct Look {
    colour: &'static str,
    dash: &'static str,
    mark: Mark,
    width: f64,
}

enum Mark {
    Disc,
    Square,
    Triangle,
    Diamond,
    Cross,
}

/// The first is the one that matters most. Their greys differ, too.
const LOOKS: [Look; NAMES_A_LINE] = [
    Look { colour: "#000000", dash: "", mark: Mark::Disc, width: 2.4 },
    Look { colour: "#d55e00", dash: "8 4", mark: Mark::Square, width: 1.6 },
    Look { colour: "#0072b2", dash: "2 3", mark: Mark::Triangle, width: 1.6 },
    Look { colour: "#009e73", dash: "10 3 2 3", mark: Mark::Diamond, width: 1.6 },
    Look { colour: "#cc79a7", dash: "5 2", mark: Mark::Cross, width: 1.6 },
];

/// Draws the chart.
pub(crate) fn render(chart: &Chart) -> String {
    let names = names(chart);
    let rows = chart.panels.len().div_ceil(PANELS_A_ROW) as f64;
    let legend = TOP + rows * ROW;
    let lines = names.len().div_ceil(NAMES_A_LINE) + chart.notes.len();
    let mut svg = open(&chart.title, legend + lines as f64 * LEGEND_LINE + MARGIN);
    svg.push_str(&ground(&chart.title));
    for (number, panel) in chart.panels.iter().enumerate() {
        let x = MARGIN + BESIDE + (number % PANELS_A_ROW) as f64 * (PANEL + GAP);
        let y = TOP + (number / PANELS_A_ROW) as f64 * ROW;
        let frame = Frame { x, y, most: most(chart, |point| point.high), across: most(chart, |point| point.x) };
        frame.draw(&mut svg, chart, &panel.title);
        draw_curves(&mut svg, panel, &names, &frame);
    }
    draw_legend(&mut svg, chart, &names, legend);
    svg.push_str("</svg>\n");
    svg
}

/// The names of all curves, each once, in the order in which they come.
fn names(chart: &Chart) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for curve in chart.panels.iter().flat_map(|panel| &panel.curves) {
        if !names.contains(&curve.name.as_str()) {
            names.push(&curve.name);
        }
    }
    names
}

/// Where an axis ends, in percent: the same in all panels, so that they can be compared.
fn most(chart: &Chart, along: impl Fn(&Point) -> f64) -> f64 {
    let points = chart.panels.iter().flat_map(|panel| &panel.curves).flat_map(|curve| &curve.points);
    let highest = points.map(along).fold(0.0, f64::max);
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0].into_iter().find(|most| highest <= *most).unwrap_or(100.0)
}

/// The axes of one panel.
struct Frame {
    x: f64,
    y: f64,
    /// Where the axis that goes up ends.
    most: f64,
    /// Where the one that goes to the right does.
    across: f64,
}

impl Frame {
    const MARKS: usize = 5;

    fn right(&self, percent: f64) -> f64 {
        self.x + percent.clamp(0.0, self.across) / self.across * PLOT
    }

    fn up(&self, percent: f64) -> f64 {
        self.y + TALL - percent.clamp(0.0, self.most) / self.most * TALL
    }

    fn draw(&self, svg: &mut String, chart: &Chart, title: &str) {
        let (x, y, middle) = (self.x, self.y, self.x + PLOT / 2.0);
        _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" font-weight=\"bold\">{}</text>", y - 12.0, xml(title));
        for mark in 0..=Self::MARKS {
            self.mark(svg, mark as f64 / Self::MARKS as f64);
        }
        let (across, up) = (xml(&chart.across), xml(&chart.up));
        let (side, half) = (x - BESIDE + 12.0, y + TALL / 2.0);
        _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{PLOT:.1}\" height=\"{TALL:.1}\" fill=\"none\" stroke=\"#888888\"/>\
             <text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"12\">{across}</text>\
             <text x=\"{side:.1}\" y=\"{half:.1}\" text-anchor=\"middle\" font-size=\"12\" \
             transform=\"rotate(-90 {side:.1} {half:.1})\">{up}</text>",
            y + TALL + 40.0
        );
    }

    /// Lines and numbers at this share of both axes.
    fn mark(&self, svg: &mut String, share: f64) {
        let (x, y) = (self.right(self.across * share), self.up(self.most * share));
        let (right, bottom) = (self.x + PLOT, self.y + TALL);
        _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {:.1}V{bottom:.1}M{:.1} {y:.1}H{right:.1}\" stroke=\"#e4e4e4\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\" fill=\"#444444\">{}</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"11\" fill=\"#444444\">{}</text>",
            self.y,
            self.x,
            bottom + 18.0,
            number(self.across * share),
            self.x - 8.0,
            y + 4.0,
            number(self.most * share)
        );
    }
}

/// `20`, `0.4`.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(String::from).unwrap_or(text)
}

fn draw_curves(svg: &mut String, panel: &Panel, names: &[&str], frame: &Frame) {
    // The first is drawn last: nothing covers it.
    for curve in panel.curves.iter().rev() {
        let place = names.iter().position(|name| *name == curve.name).unwrap_or_default();
        if let Some(look) = LOOKS.get(place % LOOKS.len()) {
            draw_curve(svg, curve, look, frame);
        }
    }
}

fn draw_curve(svg: &mut String, curve: &Curve, look: &Look, frame: &Frame) {
    let Look { colour, dash, width, .. } = look;
    let place = |point: &Point| format!("{:.1},{:.1}", frame.right(point.x), frame.up(point.y));
    let line: Vec<String> = curve.points.iter().map(place).collect();
    _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-dasharray=\"{}\"/>",
        line.join(" "),
        if dash.is_empty() { "none" } else { dash }
    );
    for point in &curve.points {
        let (x, low, high) = (frame.right(point.x), frame.up(point.low), frame.up(point.high));
        let title = format!(
            "{}: {:.2} % ({:.2} to {:.2}) at {} %",
            curve.name,
            point.y,
            point.low,
            point.high,
            number(point.x)
        );
        _ = writeln!(
            svg,
            "<g><title>{}</title><path d=\"M{x:.1} {low:.1}V{high:.1}M{:.1} {low:.1}h6M{:.1} {high:.1}h6\" \
             stroke=\"{colour}\" stroke-width=\"1.2\"/>{}</g>",
            xml(&title),
            x - 3.0,
            x - 3.0,
            draw_mark(x, frame.up(point.y), look)
        );
    }
}

fn draw_mark(x: f64, y: f64, look: &Look) -> String {
    let path = match look.mark {
        Mark::Disc => "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
        Mark::Square => "m-3.5 -3.5h7v7h-7z",
        Mark::Triangle => "m0 -4.5l4.5 8h-9z",
        Mark::Diamond => "m0 -5l5 5l-5 5l-5 -5z",
        Mark::Cross => "m-4 -4l8 8m0 -8l-8 8",
    };
    let Look { colour, .. } = look;
    match look.mark {
        Mark::Cross => format!("<path d=\"M{x:.1} {y:.1}{path}\" stroke=\"{colour}\" stroke-width=\"2\"/>"),
        _ => format!("<path d=\"M{x:.1} {y:.1}{path}\" fill=\"{colour}\"/>"),
    }
}

fn draw_legend(svg: &mut String, chart: &Chart, names: &[&str], top: f64) {
    let each = (WIDTH - 2.0 * MARGIN) / NAMES_A_LINE as f64;
    for ((number, name), look) in names.iter().enumerate().zip(LOOKS.iter().cycle()) {
        let x = MARGIN + (number % NAMES_A_LINE) as f64 * each;
        let y = top + (number / NAMES_A_LINE) as f64 * LEGEND_LINE;
        let Look { colour, dash, width, .. } = look;
        _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {y:.1}h44\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-dasharray=\"{}\"/>{}\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            if dash.is_empty() { "none" } else { dash },
            draw_mark(x + 22.0, y, look),
            x + 52.0,
            y + 4.5,
            xml(name)
        );
    }
    let below = top + names.len().div_ceil(NAMES_A_LINE) as f64 * LEGEND_LINE;
    for (number, note) in chart.notes.iter().enumerate() {
        let y = below + number as f64 * LEGEND_LINE;
        _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{y:.1}\" font-size=\"11\" fill=\"#444444\">{}</text>", xml(note));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f64, y: f64) -> Point {
        Point { x, y, low: (y - 2.0).max(0.0), high: (y + 2.0).min(100.0) }
    }

    fn chart() -> Chart {
        let curve = |name: &str, ys: [f64; 5]| Curve {
            name: name.into(),
            points: [20.0, 40.0, 60.0, 80.0, 100.0].into_iter().zip(ys).map(|(x, y)| point(x, y)).collect(),
        };
        let panel = |asked: u32| Panel {
            title: format!("{asked} asked"),
            curves: vec![
                curve("evidence", [0.2, 1.0, 2.8, 11.5, 27.0]),
                curve("majority", [9.7, 30.0, 50.5, 90.2, 100.0]),
                curve("quorum", [4.5, 20.0, 28.4, 74.8, 100.0]),
                curve("unanimous", [10.7, 12.0, 15.4, 32.1, 60.0]),
                curve("mpic", [1.9, 8.0, 16.2, 51.8, 100.0]),
            ],
        };
        Chart {
            title: "Missed attacks".into(),
            across: "vantage points captured, %".into(),
            up: "missed, %".into(),
            panels: [3, 5, 9].map(panel).to_vec(),
            notes: vec!["Bars: 95 % intervals.".into()],
        }
    }

    #[test]
    fn curves_as_a_picture() {
        let svg = render(&chart());
        assert_eq!((svg.matches("<svg").count(), svg.matches("<polyline").count()), (1, 15));
        for part in ["missed, %", "evidence: 2.80 % (0.80 to 4.80) at 60 %", ">unanimous</text>", ">5 asked</text>"] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        insta::assert_snapshot!(svg);
    }

    #[test]
    fn no_two_curves_look_alike() {
        let looks: Vec<_> = LOOKS.iter().map(|look| (look.colour, look.dash, draw_mark(0.0, 0.0, look))).collect();
        for (at, look) in looks.iter().enumerate() {
            let others = looks.iter().skip(at + 1);
            assert!(others.clone().all(|other| look.0 != other.0 && look.1 != other.1));
            let shape = |mark: &str| mark.replace(|c: char| c == '#' || c.is_ascii_hexdigit(), "");
            assert!(others.clone().all(|other| shape(&look.2) != shape(&other.2)), "{look:?}");
        }
    }

    #[test]
    fn the_axis_ends_above_the_highest_bar_and_small_values_can_be_told_apart() {
        let with = |high: f64| {
            let mut chart = chart();
            for panel in &mut chart.panels {
                panel.curves = vec![Curve { name: "a".into(), points: vec![Point { x: 0.0, y: 0.0, low: 0.0, high }] }];
            }
            most(&chart, |point| point.high)
        };
        assert_eq!([0.0, 0.3, 4.9, 5.1, 50.1, 100.0].map(with), [1.0, 1.0, 5.0, 10.0, 100.0, 100.0]);
        assert_eq!([0.0, 0.2, 20.0, 100.0].map(number), ["0", "0.2", "20", "100"]);
    }

    #[test]
    fn the_axis_to_the_right_ends_behind_the_last_point() {
        let mut near = chart();
        for panel in &mut near.panels {
            let points = vec![point(1.8, 30.0), point(4.2, 10.0)];
            panel.curves = vec![Curve { name: "a".into(), points }];
        }
        let svg = render(&near);
        assert!(svg.contains(">3</text>") && !svg.contains(">80</text>"), "{svg}");
        let frame = Frame { x: 0.0, y: 0.0, most: 50.0, across: most(&near, |point| point.x) };
        assert_eq!((frame.right(0.0), frame.right(2.5), frame.right(5.0)), (0.0, PLOT / 2.0, PLOT));
    }

    #[test]
    fn nothing_to_draw_and_hostile_names_are_drawn_all_the_same() {
        let none = Chart { panels: vec![], notes: vec![], ..chart() };
        assert!(render(&none).ends_with("</svg>\n"));
        let hostile = "</text><script>&\"'\u{1b}".to_string();
        let mut chart = Chart { title: hostile.clone(), across: hostile.clone(), ..chart() };
        chart.notes.push(hostile.clone());
        for panel in &mut chart.panels {
            panel.title = hostile.clone();
            panel.curves.iter_mut().for_each(|curve| curve.name = hostile.clone());
        }
        let svg = render(&chart);
        assert!(!svg.contains("<script") && !svg.contains('\u{1b}'), "{svg}");
    }
}
