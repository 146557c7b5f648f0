//! The configuration file: TOML, every key known, every complaint with its line.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use parallax_core::{DnsName, plainly};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::SettingsError;
use super::keys::{ALL, DOMAIN_SECTION, Key, OF_DOMAINS};
use crate::output::quote_toml;

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
    values: Said,
    domains: BTreeMap<DnsName, Said>,
}

/// What is said of each key, and on which line.
type Said = BTreeMap<&'static str, (usize, Raw)>;

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
        let mut file = Self { path: path.into(), found: true, ..Self::default() };
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

    /// The domains that it says something of, in the order of their names.
    pub(crate) fn domains(&self) -> impl Iterator<Item = &DnsName> {
        self.domains.keys()
    }

    /// What it says of a key for a domain alone, and on which line.
    pub(crate) fn value_for(&self, domain: &DnsName, key: &Key) -> Option<(usize, &Raw)> {
        self.domains.get(domain)?.get(key.path).map(|(line, raw)| (*line, raw))
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
            if path == DOMAIN_SECTION {
                self.take_domains(text, entry.span().start, value.get_ref())?;
                continue;
            }
            let line = line_of(text, entry.span().start);
            match ALL.iter().find(|key| key.path == path) {
                Some(key) => drop(self.values.insert(key.path, (line, raw(value.get_ref())))),
                None => return Err(self.unknown(text, entry.span().start, &path)),
            }
        }
        Ok(())
    }

    /// `[check.domains."example.com"]`: a table for each domain.
    fn take_domains(&mut self, text: &str, at: usize, content: &DeValue<'_>) -> Result<(), SettingsError> {
        let bad = |at, domain: &str, why: &str| self.bad_domain(text, at, domain, why);
        let DeValue::Table(domains) = content else { return Err(bad(at, "", "write [check.domains.\"example.com\"]")) };
        let mut taken = BTreeMap::new();
        for (name, content) in domains {
            let (at, given) = (name.span().start, name.get_ref());
            let domain = parse_domain(given).map_err(|why| bad(at, given, &why))?;
            let DeValue::Table(entries) = content.get_ref() else {
                return Err(bad(at, given, "a domain has keys of its own, such as { replies = 20 }"));
            };
            if taken.insert(domain, self.take_domain(text, given, entries)?).is_some() {
                return Err(bad(at, given, "the same domain stands here twice, in two spellings"));
            }
        }
        self.domains = taken;
        Ok(())
    }

    fn take_domain(&self, text: &str, domain: &str, entries: &DeTable<'_>) -> Result<Said, SettingsError> {
        let mut said = Said::new();
        for (entry, value) in entries {
            let at = entry.span().start;
            let Some(key) = OF_DOMAINS.iter().find(|key| key.name() == entry.get_ref()) else {
                let names: Vec<_> = OF_DOMAINS.iter().map(|key| key.name()).collect();
                let entry: String = entry.get_ref().chars().take(60).collect();
                let why = format!("unknown key \"{entry}\"; a domain may have {}", names.join(", "));
                return Err(self.bad_domain(text, at, domain, &why));
            };
            said.insert(key.path, (line_of(text, at), raw(value.get_ref())));
        }
        Ok(said)
    }

    fn bad_domain(&self, text: &str, at: usize, domain: &str, why: &str) -> SettingsError {
        let key = if domain.is_empty() {
            DOMAIN_SECTION.to_owned()
        } else {
            domain_key(&domain.chars().take(60).collect::<String>())
        };
        SettingsError::BadKey { file: self.path.clone(), line: line_of(text, at), key, why: why.into() }
    }

    fn unknown(&self, text: &str, at: usize, key: &str) -> SettingsError {
        let key: String = key.chars().take(60).collect();
        let nearest = nearest(&key);
        SettingsError::UnknownKey { file: self.path.clone(), line: line_of(text, at), key, nearest }
    }
}

/// How a domain's section is named: `check.domains."example.com"`.
pub(crate) fn domain_key(domain: &str) -> String {
    format!("{DOMAIN_SECTION}.{}", quote_toml(domain))
}

fn parse_domain(given: &str) -> Result<DnsName, String> {
    if given.starts_with("*.") {
        return Err("a domain goes for all names below it; leave the *. out".into());
    }
    given.parse().map_err(|error: parallax_core::BadDnsName| error.to_string())
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
    fn domains_have_values_of_their_own() {
        let file = parse("[check]\nreplies = 7\n[check.domains.\"Bücher.example.\"]\nreplies = 20\n").unwrap();
        let domain: DnsName = "xn--bcher-kva.example".parse().unwrap();
        assert_eq!(file.domains().collect::<Vec<_>>(), [&domain]);
        assert_eq!(file.value_for(&domain, &keys::REPLIES), Some((4, &Raw::Integer(20))));
        assert_eq!(file.value_for(&domain, &keys::THRESHOLD), None);
        assert_eq!(file.value_for(&"example".parse().unwrap(), &keys::REPLIES), None);
    }

    #[test]
    fn a_domain_that_is_none_is_named_with_its_line() {
        for (text, wanted) in [
            ("[check]\ndomains = 7", "c.toml line 2: check.domains: write [check.domains.\"example.com\"]"),
            ("[check.domains]\n\"a.example\" = 7", "c.toml line 2: check.domains.\"a.example\": a domain has keys"),
            ("[check.domains.\"*.a.example\"]", "c.toml line 1: check.domains.\"*.a.example\": a domain goes for all"),
            (
                "[check.domains.\"192.0.2.7\"]",
                "c.toml line 1: check.domains.\"192.0.2.7\": \"192.0.2.7\" is an address",
            ),
            ("[check.domains.\"a:443\"]", "c.toml line 1: check.domains.\"a:443\": \"a:443\" is more than a DNS name"),
            ("[check.domains.\"\"]", "c.toml line 1: check.domains: no name was given"),
            ("[check.domains.a]\n[check.domains.A]", "c.toml line 1: check.domains.\"a\": the same domain"),
            (
                "[check.domains.a]\nrepies = 1",
                "c.toml line 2: check.domains.\"a\": unknown key \"repies\"; a domain may",
            ),
            ("[check.domains.a]\ntimeout_ms = 1", "c.toml line 2: check.domains.\"a\": unknown key \"timeout_ms\""),
            ("[look.domains.a]\nreplies = 1", "c.toml line 1: unknown key \"look.domains\""),
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
