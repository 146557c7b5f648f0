//! The configuration file: TOML, every key known, every complaint with its line.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use parallax_core::plainly;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::SettingsError;
use super::keys::{ALL, Key};

/// A larger file is no configuration.
const LARGEST: u64 = 1024 * 1024;

/// A value as it was written, before anybody knows what it should be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Raw {
    /// Text; flags and environment variables always are.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A list.
    List(Vec<Raw>),
    /// Something that no key takes.
    Other,
}

/// What a configuration file says.
#[derive(Debug, Default)]
pub(crate) struct File {
    path: PathBuf,
    found: bool,
    values: BTreeMap<&'static str, (usize, Raw)>,
}

impl File {
    /// Reads the file. One that is not there is empty, unless it was asked for by name.
    pub(crate) fn read(path: &Path, must_exist: bool) -> Result<Self, SettingsError> {
        let unreadable = |why: io::Error| SettingsError::Unreadable { file: path.into(), why: plainly(&why) };
        match std::fs::metadata(path) {
            Ok(data) if data.len() > LARGEST => {
                Err(SettingsError::Unreadable { file: path.into(), why: "it is larger than 1 MiB".into() })
            }
            Ok(_) => Self::parse(path, &std::fs::read_to_string(path).map_err(unreadable)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => {
                Ok(Self { path: path.into(), ..Self::default() })
            }
            Err(error) => Err(unreadable(error)),
        }
    }

    /// Reads what would be in the file at `path`.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let table = DeTable::parse(text).map_err(|error| SettingsError::NotToml {
            file: path.into(),
            line: error.span().map_or(1, |span| line_of(text, span.start)),
            why: error.message().replace('\n', ", "),
        })?;
        let mut file = Self { path: path.into(), found: true, values: BTreeMap::new() };
        for (section, content) in table.get_ref() {
            file.take_section(text, section, content)?;
        }
        Ok(file)
    }

    /// Where it is, or would be.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is there.
    pub(crate) fn is_found(&self) -> bool {
        self.found
    }

    /// What it says of a key, and on which line.
    pub(crate) fn value(&self, key: &Key) -> Option<(usize, &Raw)> {
        self.values.get(key.path).map(|(line, raw)| (*line, raw))
    }

    fn take_section(
        &mut self,
        text: &str,
        section: &Spanned<std::borrow::Cow<'_, str>>,
        content: &Spanned<DeValue<'_>>,
    ) -> Result<(), SettingsError> {
        let name = section.get_ref();
        let known = ALL.iter().any(|key| key.section() == name);
        let DeValue::Table(entries) = content.get_ref() else {
            return Err(self.unknown(text, section.span().start, name));
        };
        if !known {
            return Err(self.unknown(text, section.span().start, name));
        }
        for (entry, value) in entries {
            let path = format!("{name}.{}", entry.get_ref());
            let line = line_of(text, entry.span().start);
            match ALL.iter().find(|key| key.path == path) {
                Some(key) => drop(self.values.insert(key.path, (line, raw(value.get_ref())))),
                None => return Err(self.unknown(text, entry.span().start, &path)),
            }
        }
        Ok(())
    }

    fn unknown(&self, text: &str, at: usize, key: &str) -> SettingsError {
        let key: String = key.chars().take(60).collect();
        let nearest = nearest(&key);
        SettingsError::UnknownKey { file: self.path.clone(), line: line_of(text, at), key, nearest }
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Raw::Other, Raw::Integer)
        }
        DeValue::Float(number) => number.as_str().parse().map_or(Raw::Other, Raw::Float),
        DeValue::Boolean(value) => Raw::Bool(*value),
        DeValue::Array(values) => Raw::List(values.iter().map(|value| raw(value.get_ref())).collect()),
        DeValue::Datetime(_) | DeValue::Table(_) => Raw::Other,
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// The known key that was most likely meant: the one with the fewest letters changed.
fn nearest(key: &str) -> &'static str {
    let name = key.rsplit('.').next().unwrap_or(key);
    let score = |known: &&&Key| distance(known.path, key).min(distance(known.name(), name));
    ALL.iter().min_by_key(score).map_or("check.policy", |known| known.path)
}

/// Levenshtein's distance.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(other.chars()) {
            let best = (diagonal + usize::from(a != b)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            (*cell, left) = (best, best);
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::keys;

    fn parse(text: &str) -> Result<File, String> {
        File::parse(Path::new("c.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn values_come_with_their_line() {
        let file = parse("[check]\n\npolicy = \"quorum\"\nreplies = 0x10\nthreshold = 0.7\n").unwrap();
        assert_eq!(file.value(&keys::POLICY), Some((3, &Raw::Text("quorum".into()))));
        assert_eq!(file.value(&keys::REPLIES), Some((4, &Raw::Integer(16))));
        assert_eq!(file.value(&keys::THRESHOLD), Some((5, &Raw::Float(0.7))));
        assert_eq!(file.value(&keys::TIMEOUT), None);
        assert_eq!(parse("check.policy = \"mpic\"").unwrap().value(&keys::POLICY).unwrap().0, 1);
    }

    #[test]
    fn what_is_not_known_is_named_with_its_line() {
        for (text, wanted) in [
            ("[check]\npolcy = 1", "c.toml line 2: unknown key \"check.polcy\"; did you mean check.policy?"),
            ("\n[chek]\n", "c.toml line 2: unknown key \"chek\""),
            ("policy = \"mpic\"", "c.toml line 1: unknown key \"policy\"; did you mean check.policy?"),
            ("check = 1", "c.toml line 1: unknown key \"check\""),
            ("[[check]]\n", "c.toml line 1: unknown key \"check\""),
            ("[check]\npolicy =\n", "c.toml line 2: "),
            ("[check]\npolicy = 1\npolicy = 2\n", "c.toml line 3: "),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.starts_with(wanted), "{text:?}: {message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn distance_counts_changed_letters() {
        for (one, other, wanted) in [("", "", 0), ("a", "", 1), ("", "ab", 2), ("polcy", "policy", 1), ("ab", "ba", 2)]
        {
            assert_eq!(distance(one, other), wanted, "{one} {other}");
        }
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let missing = Path::new("/nonexistent/parallax.toml");
        assert!(!File::read(missing, false).unwrap().is_found());
        assert!(matches!(File::read(missing, true), Err(SettingsError::Unreadable { .. })));
        assert!(matches!(File::read(Path::new("/"), true), Err(SettingsError::Unreadable { .. })));
    }
}
