//! What all pictures (SVG 1.1) have in common. Meaning never rests on colour alone, and the colours are those of Okabe and
//! Ito, which most people who see few colours can tell apart.

mod chart;

use crate::output::escape;

pub(crate) use chart::render as render_chart;

/// How wide a picture is.
pub(crate) const WIDTH: f64 = 960.0;
pub(crate) const MARGIN: f64 = 24.0;

pub(crate) const COLOURS: [&str; 7] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"];

/// How a picture begins, up to its definitions; `title` is what a reader without eyes hears.
pub(crate) fn open(title: &str, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" font-family=\"DejaVu Sans, Verdana, sans-serif\" font-size=\"13\">\n<title>{}</title>\n",
        xml(title)
    )
}

/// The white ground, and the title on it.
pub(crate) fn ground(title: &str) -> String {
    format!(
        "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{MARGIN}\" y=\"32\" font-size=\"18\" font-weight=\"bold\">{}</text>\n",
        xml(title)
    )
}

/// Text for an element or an attribute (XML 1.0 sections 2.2 and 2.4); [`escape`] has written out control characters.
pub(crate) fn xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in escape(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}
