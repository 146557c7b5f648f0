//! Flag over environment over file over default, and where each value came from.

use std::fmt;
use std::path::{Path, PathBuf};

use parallax_core::DnsName;

use super::SettingsError;
use super::file::{File, Raw, domain_key};
use super::keys::Key;
use super::paths::Environment;
use super::values::Value;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The command line.
    Flag(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// The configuration file.
    File {
        /// Which.
        path: PathBuf,
        /// Its line.
        line: usize,
    },
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Variable(variable) => f.write_str(variable),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One key as it is in force, for `config show`.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// Which.
    pub(crate) key: &'static Key,
    /// Its value as TOML.
    pub(crate) toml: String,
    /// Whether the value is empty and stands for what the key says.
    pub(crate) is_empty: bool,
    /// Where it came from.
    pub(crate) origin: Origin,
}

/// What a command line says of a key.
pub(crate) type Flag = (&'static Key, String);

/// The layers that a value is picked from.
pub(crate) struct Layers<'a> {
    flags: &'a [Flag],
    env: Environment<'a>,
    file: &'a File,
    /// The domains whose own values go before the file's others, the longest name first.
    domains: Vec<&'a DnsName>,
    shown: Vec<Shown>,
}

impl<'a> Layers<'a> {
    /// Layers with nothing picked yet.
    pub(crate) fn new(flags: &'a [Flag], env: Environment<'a>, file: &'a File) -> Self {
        Self { flags, env, file, domains: Vec::new(), shown: Vec::new() }
    }

    /// Layers for one domain of the file: what it says of that domain goes before what it says of the domains above it,
    /// and that before what it says of all.
    pub(crate) fn of_domain(flags: &'a [Flag], env: Environment<'a>, file: &'a File, domain: &'a DnsName) -> Self {
        let mut domains: Vec<_> = file.domains().filter(|known| is_within(domain.as_str(), known)).collect();
        domains.sort_by_key(|known| std::cmp::Reverse(known.as_str().len()));
        Self { domains, ..Self::new(flags, env, file) }
    }

    /// The value of a key that always has one.
    pub(crate) fn pick<T: Value>(&mut self, key: &'static Key, default: T) -> Result<T, SettingsError> {
        let (value, origin) = match self.find(key)? {
            Some((raw, origin)) => (self.read(key, &raw, &origin)?, origin),
            None => (default, Origin::Default),
        };
        self.shown.push(Shown { key, toml: value.write(), is_empty: false, origin });
        Ok(value)
    }

    /// The value of a key that may be empty.
    pub(crate) fn pick_optional<T: Value>(&mut self, key: &'static Key) -> Result<Option<T>, SettingsError> {
        let (value, origin) = match self.find(key)? {
            // In a flag it is most likely a shell variable that was not set.
            Some((Raw::Text(text), origin @ Origin::Flag(_))) if text.is_empty() => {
                return Err(SettingsError::Bad {
                    origin,
                    why: "the value is empty; give one, or leave the flag out".into(),
                });
            }
            Some((Raw::Text(text), origin)) if text.is_empty() => (None, origin),
            Some((raw, origin)) => (Some(self.read::<T>(key, &raw, &origin)?), origin),
            None => (None, Origin::Default),
        };
        let toml = value.as_ref().map_or_else(|| "\"\"".into(), Value::write);
        self.shown.push(Shown { key, toml, is_empty: value.is_none(), origin });
        Ok(value)
    }

    /// What was picked, in order.
    pub(crate) fn into_shown(self) -> Vec<Shown> {
        self.shown
    }

    fn find(&self, key: &'static Key) -> Result<Option<(Raw, Origin)>, SettingsError> {
        // The last one said wins, as with most commands.
        if let Some((_, text)) = self.flags.iter().rev().find(|(flagged, _)| *flagged == key) {
            return Ok(Some((Raw::Text(text.clone()), Origin::Flag(key.flag))));
        }
        // A variable that is set to nothing counts as not set.
        if let Some(text) = (self.env)(key.variable).filter(|text| !text.is_empty()) {
            let text = text.into_string().map_err(|_| SettingsError::NotText { variable: key.variable })?;
            return Ok(Some((Raw::Text(text), Origin::Variable(key.variable))));
        }
        let of_domain = self.domains.iter().find_map(|domain| self.file.value_for(domain, key));
        let said = of_domain.or_else(|| self.file.value(key));
        Ok(said.map(|(line, raw)| (raw.clone(), Origin::File { path: self.file.path().into(), line })))
    }

    fn read<T: Value>(&self, key: &'static Key, raw: &Raw, origin: &Origin) -> Result<T, SettingsError> {
        T::read(raw).map_err(|why| match origin {
            Origin::File { path, line } => {
                SettingsError::BadKey { file: path.clone(), line: *line, key: self.name(key), why }
            }
            origin => SettingsError::Bad { origin: origin.clone(), why },
        })
    }

    /// The key as it stands in the file.
    fn name(&self, key: &'static Key) -> String {
        let domain = self.domains.iter().find(|domain| self.file.value_for(domain, key).is_some());
        domain.map_or_else(|| key.path.to_owned(), |domain| format!("{}.{}", domain_key(domain.as_str()), key.name()))
    }
}

/// Whether a name is this domain or lies below it.
pub(crate) fn is_within(name: &str, domain: &DnsName) -> bool {
    let above = name.strip_suffix(domain.as_str());
    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

/// The file to read: the one that was named, else the usual one. The second value is whether it must be there.
pub(crate) fn choose_file(
    named: Option<&Path>,
    variable: &'static str,
    env: Environment<'_>,
) -> Result<(PathBuf, bool), SettingsError> {
    match named.map(PathBuf::from).or_else(|| env(variable).filter(|path| !path.is_empty()).map(PathBuf::from)) {
        Some(path) => Ok((path, true)),
        None => Ok((super::paths::config_file(env)?, false)),
    }
}
