//! The results as a picture (SVG 1.1): what becomes of the evil, and what it costs, day by day. Lines differ in dashes and
//! marks as well as in colours, which are those of Okabe and Ito.

use std::fmt::Write as _;

use super::plan::{Day, Results};

const WIDTH: f64 = 840.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = WIDTH - 250.0;
const TOP: f64 = 72.0;
const TALL: f64 = 240.0;
const GAP: f64 = 72.0;

struct Line {
    name: &'static str,
    colour: &'static str,
    dashes: &'static str,
    value: fn(&Day) -> f64,
}

const SHARES: [Line; 4] = [
    Line { name: "liars inactive", colour: "#0072b2", dashes: "", value: |day| day.liars_inactive * 100.0 },
    Line {
        name: "selective liars inactive",
        colour: "#e69f00",
        dashes: "8 4",
        value: |day| day.selective_inactive * 100.0,
    },
    Line { name: "evil among the drawn", colour: "#d55e00", dashes: "2 3", value: |day| day.evil_share * 100.0 },
    Line { name: "evil in clients' lists", colour: "#009e73", dashes: "10 3 2 3", value: |day| day.list_evil * 100.0 },
];

const MESSAGES: [Line; 2] = [
    Line { name: "the busiest mirror", colour: "#d55e00", dashes: "8 4", value: |day| f64::from(day.messages_most) },
    Line { name: "the median mirror", colour: "#0072b2", dashes: "", value: |day| f64::from(day.messages_median) },
];

/// Draws the days.
pub fn render(results: &Results) -> String {
    let plan = &results.plan;
    let whole = TOP + 2.0 * TALL + GAP + 64.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{whole}\" viewBox=\"0 0 {WIDTH} {whole}\" \
         role=\"img\" font-family=\"DejaVu Sans, Verdana, sans-serif\" font-size=\"12\">\n\
         <title>A federation of mirrors over {} days</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"24\" y=\"32\" font-size=\"17\" font-weight=\"bold\">{} mirrors, {:.0} % evil, {} days (seed {})</text>\n",
        plan.days,
        plan.nodes,
        plan.evil * 100.0,
        plan.days,
        plan.seed
    );
    panel(&mut svg, results, TOP, "percent", 100.0, &SHARES);
    let most = results.days.iter().map(|day| day.messages_most).max().unwrap_or(1);
    panel(&mut svg, results, TOP + TALL + GAP, "messages a mirror and day", rounded_up(f64::from(most)), &MESSAGES);
    svg.push_str("</svg>\n");
    svg
}

/// The next of 1, 2, 5, 10, 20, …
fn rounded_up(value: f64) -> f64 {
    let steps = (0..12).flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * 10f64.powi(power)));
    steps.into_iter().find(|step| *step >= value).unwrap_or(value)
}

fn panel(svg: &mut String, results: &Results, top: f64, unit: &str, most: f64, lines: &[Line]) {
    let days = results.days.len().max(1) as f64;
    let x = |day: f64| LEFT + (day - 1.0) / (days - 1.0).max(1.0) * (RIGHT - LEFT);
    let y = |value: f64| top + TALL - (value / most).clamp(0.0, 1.0) * TALL;
    _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{:.1}\" fill=\"#444444\">{unit}</text>", top - 10.0);
    for quarter in 0..=4 {
        let value = most * f64::from(quarter) / 4.0;
        let at = y(value);
        _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{RIGHT}\" y2=\"{at:.1}\" stroke=\"#dddddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#444444\">{value:.0}</text>",
            LEFT - 8.0,
            at + 4.0
        );
    }
    let step = (days / 10.0).ceil().max(1.0) as usize;
    for day in results.days.iter().step_by(step) {
        let at = x(f64::from(day.day));
        _ = writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#444444\">{}</text>",
            top + TALL + 18.0,
            day.day
        );
    }
    _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#444444\">day</text>",
        (LEFT + RIGHT) / 2.0,
        top + TALL + 36.0
    );
    for (number, line) in lines.iter().enumerate() {
        let points: Vec<String> = results
            .days
            .iter()
            .map(|day| format!("{:.1},{:.1}", x(f64::from(day.day)), y((line.value)(day))))
            .collect();
        let Line { name, colour, dashes, .. } = line;
        let beside = top + 12.0 + 24.0 * number as f64;
        _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>\n\
             <line x1=\"{:.1}\" y1=\"{beside:.1}\" x2=\"{:.1}\" y2=\"{beside:.1}\" stroke=\"{colour}\" stroke-width=\"2\" \
             stroke-dasharray=\"{dashes}\"/><text x=\"{:.1}\" y=\"{:.1}\">{name}</text>",
            points.join(" "),
            RIGHT + 20.0,
            RIGHT + 56.0,
            RIGHT + 64.0,
            beside + 4.0
        );
    }
}
