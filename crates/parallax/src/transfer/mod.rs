//! The lines of an export: one service each, after one that names the format.

mod old;

use std::time::Duration;

use parallax_core::{Authority, History, MAX_AUTHORITY, MAX_SPANS, MAX_TURNS, ServiceId, Timespan, Timestamp, Turn};
use parallax_store::OldSpan;
use serde::{Deserialize, Serialize};

/// What the first line names.
const FORMAT: &str = "parallax-export/1";

/// A longer line is none of ours: 64 timespans and 16 records of 64 keys take a fifth of it.
pub(crate) const LONGEST_LINE: u64 = 1 << 20;

/// Clocks differ by this much. What ends later is from the future, and a node that remembered it could sign nothing
/// about the service until then.
const AHEAD: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    /// The version of the program that wrote it, for people.
    #[serde(default)]
    version: String,
}

/// One service with all that is remembered of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Which.
    pub(crate) service: ServiceId,
    /// Timespans, as in a view.
    #[serde(default)]
    pub(crate) history: Vec<Timespan>,
    /// What DNS authorised, as in a view.
    #[serde(default)]
    pub(crate) authority: Vec<Authority>,
    /// Turns between certificates that overlap, for the rows of old clients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) turns: Vec<Turn>,
    /// What old notaries remembered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) old: Vec<OldSpan>,
}

impl Entry {
    /// As one line.
    pub(crate) fn write(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// Timespans and authority.
    pub(crate) fn into_history(self) -> History {
        History { spans: self.history, authority: self.authority, turns: self.turns }
    }

    fn check(&self, now: Timestamp) -> Result<(), String> {
        for (what, count, most) in [
            ("timespans", self.history.len(), MAX_SPANS),
            ("records", self.authority.len(), MAX_AUTHORITY),
            ("turns", self.turns.len(), MAX_TURNS),
            ("old timespans", self.old.len(), MAX_SPANS),
        ] {
            if count > most {
                return Err(format!("it has {count} {what}; a service has at most {most}"));
            }
        }
        let spans = self.history.iter().map(|span| (span.first_seen, span.last_seen));
        let records = self.authority.iter().map(|entry| (entry.first_seen, entry.last_seen));
        let old = self.old.iter().map(|span| (span.first_seen, span.last_seen));
        spans.chain(records).chain(old).try_for_each(|stretch| check_stretch(stretch, now))?;
        // The newest are kept: those of the future would keep out all that are to come.
        match self.turns.iter().find(|turn| turn.at.since(now) > AHEAD) {
            Some(turn) => Err(format!("a turn is at {}, which is yet to come", turn.at)),
            None => Ok(()),
        }
    }
}

fn check_stretch((first, last): (Timestamp, Timestamp), now: Timestamp) -> Result<(), String> {
    if last < first {
        return Err(format!("a timespan ends at {last}, before it begins at {first}"));
    }
    if last.since(now) > AHEAD {
        return Err(format!("a timespan ends at {last}, which is yet to come"));
    }
    Ok(())
}

/// The first line.
pub(crate) fn header() -> String {
    serde_json::json!({ "format": FORMAT, "version": env!("CARGO_PKG_VERSION") }).to_string()
}

/// What a line says.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    /// Nothing: it is empty, a comment, or the first line of an export.
    Nothing,
    /// What is known of a service.
    Entry(Box<Entry>),
}

/// Why a line says nothing that counts.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadLine {
    /// It is wrong; the others may be right.
    #[error("{0}")]
    Wrong(String),
    /// It begins an export in a format that this program does not know; what follows may mean anything.
    #[error("the format {0:?} is not known; this version reads {FORMAT:?}")]
    Foreign(String),
}

/// Reads a line of an export, or a row of an old notary. `now` tells the past from the future.
pub(crate) fn read(line: &str, now: Timestamp) -> Result<Said, BadLine> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(Said::Nothing);
    }
    let entry = if line.starts_with('{') { read_json(line)? } else { Some(old::read(line).map_err(BadLine::Wrong)?) };
    let Some(entry) = entry else { return Ok(Said::Nothing) };
    entry.check(now).map_err(BadLine::Wrong)?;
    Ok(Said::Entry(Box::new(entry)))
}

/// `None` for the first line of an export.
fn read_json(line: &str) -> Result<Option<Entry>, BadLine> {
    if let Ok(header) = serde_json::from_str::<Header>(line) {
        return if header.format == FORMAT { Ok(None) } else { Err(BadLine::Foreign(header.format)) };
    }
    serde_json::from_str(line).map(Some).map_err(|error| BadLine::Wrong(format!("it is no line of an export: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    fn span(first: &str, last: &str) -> String {
        let print = "0f".repeat(32);
        format!(
            r#"{{"key":"{print}","leaf":"{print}","leaf_md5":null,"issuer_key":null,"ca_id":"key:{print}","networks":[],"first_seen":"{first}","last_seen":"{last}"}}"#
        )
    }

    fn line(history: &str) -> String {
        format!(r#"{{"service":"tls://example.com:443","history":[{history}],"authority":[]}}"#)
    }

    #[test]
    fn lines_that_say_nothing() {
        for text in ["", "  \r\n", "# a comment", &header()] {
            assert_eq!(read(text, now()), Ok(Said::Nothing), "{text}");
        }
    }

    #[test]
    fn a_line_is_written_as_it_was_read() {
        let text = line(&span("2026-01-01T00:00:00.001Z", "2026-01-02T00:00:00.000Z"));
        let Ok(Said::Entry(entry)) = read(&text, now()) else { panic!("{:?}", read(&text, now())) };
        assert_eq!(entry.write().unwrap(), text);
        assert_eq!(entry.into_history().spans.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let (old, new) = ("2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z");
        let many = vec![span(old, new); 65].join(",");
        for (text, part) in [
            (line(&span(new, old)), "before it begins"),
            (line(&span(old, "2026-11-23T12:00:05.001Z")), "yet to come"),
            (line(&many), "65 timespans; a service has at most 64"),
            (line("7"), "no line of an export"),
            ("{".into(), "no line of an export"),
            (r#"{"service":"gopher://x"}"#.into(), "not a scheme"),
            (r#"{"history":[]}"#.into(), "missing field `service`"),
            ("[1,2]".into(), "neither a line of an export nor a row of an old notary"),
        ] {
            let error = read(&text, now()).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let turn = |at: &str| {
            let turns = format!(r#""turns":[{{"at":"{at}","leaf":"{}"}}]"#, "0f".repeat(32));
            line(&span(old, new)).replace(r#""authority":[]"#, &turns)
        };
        assert!(read(&turn(old), now()).is_ok(), "{:?}", read(&turn(old), now()));
        assert!(read(&turn("2026-11-23T12:00:05.001Z"), now()).unwrap_err().to_string().contains("yet to come"));
        let foreign = read(r#"{"format":"parallax-export/2"}"#, now());
        assert_eq!(foreign, Err(BadLine::Foreign("parallax-export/2".into())));
        assert!(read(&line(&span(old, "2026-11-23T12:00:05.000Z")), now()).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_it_panic(text in ".{0,200}", tail in "[ ,|\\t()'\":,0-9a-f]{0,80}") {
            let _ = read(&text, now());
            let _ = read(&format!("example.com:443,2{tail}"), now());
        }
    }
}
