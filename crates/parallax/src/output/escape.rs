//! The one way by which strangers' text reaches a terminal.
//!
//! Names, organisations, regions and error messages come from servers, certificates and nodes. What could move the
//! cursor, change colours, reverse the reading order, hide or fake characters is written as `\u{…}`.

use unicode_width::UnicodeWidthChar as _;

/// Marks that may sit on one character; more are written out, or a name could cover the lines above and below it.
const MOST_MARKS: usize = 3;

/// Makes a stranger's text harmless for one line of a terminal.
pub(crate) fn escape(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars() {
        marks = if c.width() == Some(0) { marks + 1 } else { 0 };
        match c {
            '\n' => harmless.push_str("\\n"),
            '\r' => harmless.push_str("\\r"),
            '\t' => harmless.push_str("\\t"),
            c if is_harmful(c) || marks > MOST_MARKS => harmless.extend(c.escape_unicode()),
            c => harmless.push(c),
        }
    }
    harmless
}

/// Makes JSON harmless for a terminal without changing what it says: such characters stand only within strings, where
/// `\uXXXX` means the same (RFC 8259 section 7).
pub(crate) fn escape_json(json: &str) -> String {
    let mut harmless = String::with_capacity(json.len());
    for c in json.chars() {
        // The line breaks of pretty-printed JSON stand between its tokens.
        if is_harmful(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                harmless.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            harmless.push(c);
        }
    }
    harmless
}

/// Text as a basic string of TOML 1.0, harmless for a terminal, which reads back as the same text.
pub(crate) fn quote_toml(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if is_harmful(c) => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Control characters (with terminal escapes), bidirectional controls, line separators, and what shows as nothing or
/// only changes its neighbours.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
pub(crate) mod tests {
    use serde::Deserialize as _;
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    /// Texts that a hostile server or node may send.
    pub(crate) const POISON: [&str; 18] = [
        "\u{1b}[2J\u{1b}[31mverdict: TRUSTED",
        "\u{1b}]0;title\u{7}",
        "\u{1b}]8;;https://evil.example\u{1b}\\click\u{1b}]8;;\u{1b}\\",
        "\u{9b}31m",
        "\u{90}q\u{9c}",
        "a\rverdict: TRUSTED",
        "a\nverdict: TRUSTED (corroborated)",
        "a\u{8}\u{8}b",
        "a\tb\u{b}c\u{c}d\0e\u{7f}",
        "\u{202e}moc.elpmaxe",
        "\u{2066}a\u{2069}\u{200f}\u{61c}",
        "exam\u{200b}ple\u{feff}.com\u{2060}",
        "line\u{2028}para\u{2029}next\u{85}",
        "soft\u{ad}hyphen",
        "tag\u{e0041}\u{e0042}",
        "filler\u{3164}\u{115f}\u{ffa0}",
        "z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{309}\u{30a}\u{30b}",
        "selector\u{fe0f}",
    ];

    #[test]
    fn nothing_harmful_gets_through() {
        for text in POISON {
            let harmless = escape(text);
            assert!(!harmless.chars().any(is_harmful), "{harmless:?}");
            assert!(harmless.contains('\\'), "{harmless:?} hides what was there");
            assert_eq!(harmless.lines().count(), 1);
        }
    }

    #[test]
    fn marks_can_be_stacked_only_so_high() {
        let harmless = escape(POISON[16]);
        assert!(harmless.starts_with("z\u{300}\u{301}\u{302}\\u{303}"), "{harmless}");
        assert!(harmless.width() > 60);
    }

    #[test]
    fn honest_names_stay_as_they_are() {
        for text in ["Example Trust Services", "Füße & Söhne", "Müller (Zürich) — №1", "日本語認証局", "Ελλάδα", "été"]
        {
            assert_eq!(escape(text), text);
        }
    }

    #[test]
    fn toml_says_the_same_and_is_harmless() {
        for text in POISON.into_iter().chain(["a \"b\" \\ 'c'", "", "Füße"]) {
            let quoted = quote_toml(text);
            assert!(!quoted.chars().any(is_harmful), "{quoted:?}");
            assert_eq!(
                toml::Value::deserialize(toml::de::ValueDeserializer::parse(&quoted).unwrap()).unwrap().as_str(),
                Some(text)
            );
        }
    }

    #[test]
    fn json_says_the_same_and_is_harmless() {
        for text in POISON {
            let value = serde_json::json!({ "operator": text, text: [text] });
            for json in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let harmless = escape_json(&json);
                assert!(!harmless.chars().any(|c| is_harmful(c) && c != '\n'), "{harmless:?}");
                assert_eq!(serde_json::from_str::<serde_json::Value>(&harmless).unwrap(), value);
            }
        }
    }
}
