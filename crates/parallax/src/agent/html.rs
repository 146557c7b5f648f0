//! Writing HTML: whatever is not ours is escaped, and the type says so.

use std::fmt::{self, Write as _};

/// A piece of HTML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    /// What was written here, tags and all.
    pub(super) fn ours(text: &'static str) -> Self {
        Self(text.into())
    }

    /// Text of anybody: no tag, no attribute and no direction of writing comes of it.
    pub(super) fn text(text: &str) -> Self {
        let mut out = String::with_capacity(text.len());
        for character in text.chars() {
            match character {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#39;"),
                '\n' => out.push('\n'),
                c if c.is_control() || turns(c) => {
                    let _ = write!(out, "{}", c.escape_unicode());
                }
                other => out.push(other),
            }
        }
        Self(out)
    }

    /// Joins pieces.
    pub(super) fn all(pieces: impl IntoIterator<Item = Html>) -> Self {
        Self(pieces.into_iter().map(|piece| piece.0).collect())
    }

    /// An element around a piece.
    pub(super) fn within(self, name: &'static str) -> Self {
        Self(format!("<{name}>{}</{name}>\n", self.0))
    }
}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The characters that turn the direction of writing (Unicode TR 9), with which a text can look like another.
fn turns(character: char) -> bool {
    matches!(character, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Fills in the places `{}` of a text of ours, one after the other.
pub(super) fn filled(template: &'static str, places: &[&Html]) -> Html {
    let mut parts = template.split("{}");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for (part, place) in parts.zip(places) {
        out.push_str(&place.0);
        out.push_str(part);
    }
    Html(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_strangers_is_more_than_text() {
        let poison = "<script>alert(1)</script>\"' onload=x & \u{202e}txt\0\u{1b}[31m";
        let html = filled("<p title=\"{}\">{}</p>", &[&Html::text(poison), &Html::text(poison)]).to_string();
        assert_eq!(html.matches('<').count(), 2, "{html}");
        assert_eq!(html.matches('"').count(), 2, "{html}");
        assert!(!html.contains(['\u{202e}', '\0', '\u{1b}', '\'']), "{html}");
        assert_eq!(filled("{}", &[&Html::text("{}")]).to_string(), "{}", "a place is filled once");
    }
}
