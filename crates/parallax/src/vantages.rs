//! `vantages.toml`: the vantage points that `check` asks when none are named.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use parallax_client::{Known, VantageUrl};
use parallax_core::{Timestamp, VantageId};
use parallax_proto::{Descriptor, StatementKey};
use serde::{Deserialize, Serialize, de};

/// What stands above the list.
const HEADER: &str = "# The vantage points that `parallax check` asks when none are named.\n\
                      # Kept by `parallax vantage add`, `list` and `remove`.\n\n";

/// A longer list was not made by this program.
const MOST: usize = 1000;

/// The list as it stands in the file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vantages {
    /// In the order in which they were added.
    #[serde(default, rename = "vantage", skip_serializing_if = "Vec::is_empty")]
    pub(crate) entries: Vec<Entry>,
}

/// One vantage point. `url` carries the pin; the rest is what its descriptor said and saves a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Where it answers and who it must be.
    #[serde(with = "url_text")]
    pub(crate) url: VantageUrl,
    /// Its id: the pin of `url`.
    pub(crate) vantage: VantageId,
    /// The region that its operator claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    /// The regional Internet registry of its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rir: Option<String>,
    /// Who runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) operator: Option<String>,
    /// The key that signs its views.
    pub(crate) statement_key: StatementKey,
    /// Until when its descriptor counts; from then on it is asked for anew.
    pub(crate) valid_until: Timestamp,
    /// When it was added.
    pub(crate) added: Timestamp,
}

mod url_text {
    use super::{Deserialize as _, VantageUrl, de};

    pub(super) fn serialize<S: serde::Serializer>(url: &VantageUrl, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(url)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<VantageUrl, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Why the list can't be used. One sentence each.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VantagesError {
    #[error("{} can't be read: {why}", file.display())]
    Unreadable { file: PathBuf, why: io::Error },
    #[error("{} can't be written: {why}", file.display())]
    Unwritable { file: PathBuf, why: io::Error },
    #[error("{} line {line}: {why}", file.display())]
    Malformed { file: PathBuf, line: usize, why: String },
    #[error("{}: {url} is pinned to another id than {vantage}; correct the entry, or remove and add it again", file.display())]
    PinMismatch { file: PathBuf, url: String, vantage: VantageId },
    #[error(
        "{address} is pinned to {pinned} and not to {met}: either it is another node now, or somebody is in between; if its operator confirms the new id, run `parallax vantage remove {pinned}` first"
    )]
    OtherPin { address: String, pinned: VantageId, met: VantageId },
    #[error("{0} vantage points are listed, and no list may be longer")]
    TooMany(usize),
}

impl Entry {
    /// The entry of a node whose descriptor was verified.
    pub(crate) fn new(url: &VantageUrl, descriptor: &Descriptor, added: Timestamp) -> Self {
        Self {
            url: url.with_pin(descriptor.vantage),
            vantage: descriptor.vantage,
            region: descriptor.region.clone(),
            rir: descriptor.rir.clone(),
            operator: descriptor.operator.clone(),
            statement_key: descriptor.statement_key,
            valid_until: descriptor.valid_until,
            added,
        }
    }

    /// What is known of the node already.
    pub(crate) fn known(&self) -> Known {
        Known {
            statement_key: self.statement_key,
            region: self.region.clone(),
            rir: self.rir.clone(),
            valid_until: self.valid_until,
        }
    }
}

impl Vantages {
    /// Reads the list; one that is not there is empty.
    pub(crate) fn read(file: &Path) -> Result<Self, VantagesError> {
        match fs::read_to_string(file) {
            Ok(text) => Self::parse(file, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(why) => Err(VantagesError::Unreadable { file: file.into(), why }),
        }
    }

    fn parse(file: &Path, text: &str) -> Result<Self, VantagesError> {
        let list: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
            VantagesError::Malformed { file: file.into(), line, why: error.message().replace('\n', ", ") }
        })?;
        if list.entries.len() > MOST {
            return Err(VantagesError::TooMany(list.entries.len()));
        }
        // The pin is what everything hangs on; one that was edited in one place only is no pin.
        match list.entries.iter().find(|entry| entry.url.pin() != Some(entry.vantage)) {
            Some(Entry { url, vantage, .. }) => {
                Err(VantagesError::PinMismatch { file: file.into(), url: url.to_string(), vantage: *vantage })
            }
            None => Ok(list),
        }
    }

    /// Changes the list under a lock, so that two commands at once lose nothing, and replaces the file in one step.
    pub(crate) fn change<T>(
        file: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, VantagesError>,
    ) -> Result<T, VantagesError> {
        // A link stays one: what it points to is replaced.
        let file = &fs::canonicalize(file).unwrap_or_else(|_| file.into());
        let unwritable = |why| VantagesError::Unwritable { file: file.clone(), why };
        let directory = lock_directory(file).map_err(unwritable)?;
        let mut list = Self::read(file)?;
        let done = change(&mut list)?;
        list.write(file, &directory).map_err(unwritable)?;
        Ok(done)
    }

    fn write(&self, file: &Path, directory: &File) -> io::Result<()> {
        let body = toml::to_string(self).map_err(io::Error::other)?;
        let beside = file.with_extension("toml.new");
        let mut new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&beside)?;
        new.write_all(HEADER.as_bytes())?;
        new.write_all(body.as_bytes())?;
        new.sync_all()?;
        fs::rename(&beside, file)?;
        directory.sync_all()
    }

    /// Adds a vantage point, or renews what is known of it. The address of one that is pinned is never pinned to
    /// another: that is what an attacker in between would want.
    pub(crate) fn add(&mut self, entry: Entry) -> Result<Added, VantagesError> {
        let address = entry.url.authority();
        if let Some(other) =
            self.entries.iter().find(|known| known.url.authority() == address && known.vantage != entry.vantage)
        {
            return Err(VantagesError::OtherPin { address, pinned: other.vantage, met: entry.vantage });
        }
        let is_full = self.entries.len() >= MOST;
        match self.entries.iter_mut().find(|known| known.vantage == entry.vantage) {
            Some(known) => {
                *known = Entry { added: known.added, ..entry };
                Ok(Added::Renewed)
            }
            None if is_full => Err(VantagesError::TooMany(MOST)),
            None => {
                self.entries.push(entry);
                Ok(Added::New)
            }
        }
    }

    /// The vantage point with this id or at this address.
    pub(crate) fn find(&self, which: &Which) -> Option<&Entry> {
        self.entries.iter().find(|entry| which.is(entry))
    }

    /// Removes the vantage point with this id or at this address, and returns what went.
    pub(crate) fn remove(&mut self, which: &Which) -> Vec<Entry> {
        self.entries.extract_if(.., |entry| which.is(entry)).collect()
    }
}

/// What came of [`Vantages::add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It was not in the list.
    New,
    /// It was, and what is known of it was renewed.
    Renewed,
}

/// How a listed vantage point is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// By its id.
    Id(VantageId),
    /// By its address, and its pin where one is given.
    Url(VantageUrl),
}

impl Which {
    fn is(&self, entry: &Entry) -> bool {
        match self {
            Self::Id(id) => entry.vantage == *id,
            Self::Url(url) => {
                entry.url.authority() == url.authority() && url.pin().is_none_or(|pin| pin == entry.vantage)
            }
        }
    }
}

/// The directory of the file, made if need be and locked until it is dropped.
fn lock_directory(file: &Path) -> io::Result<File> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let directory = File::open(directory)?;
    directory.lock()?;
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::*;

    fn entry(n: u8, address: &str) -> Entry {
        let vantage = VantageId::from_bytes([n; 32]);
        Entry {
            url: format!("https://{address}#{vantage}").parse().unwrap(),
            vantage,
            region: Some("eu-west".into()),
            rir: None,
            operator: Some("A \"quoted\"\n[[vantage]]".into()),
            statement_key: StatementKey::from_bytes([n; 32]),
            valid_until: Timestamp::from_unix_secs(1_800_000_000),
            added: Timestamp::from_unix_secs(1_700_000_000),
        }
    }

    #[test]
    fn what_is_added_is_read_again_and_only_the_owner_writes() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("new/vantages.toml");
        assert_eq!(Vantages::read(&file).unwrap(), Vantages::default());
        for (n, address) in [(1, "192.0.2.1:8443"), (2, "[2001:db8::1]:8443")] {
            assert_eq!(Vantages::change(&file, |list| list.add(entry(n, address))).unwrap(), Added::New);
        }
        let list = Vantages::read(&file).unwrap();
        assert_eq!(list.entries, [entry(1, "192.0.2.1:8443"), entry(2, "[2001:db8::1]:8443")]);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o022, 0);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_pinned_address_is_never_pinned_to_another() {
        let mut list = Vantages::default();
        list.add(entry(1, "192.0.2.1:8443")).unwrap();
        let error = list.add(entry(2, "192.0.2.1:8443")).unwrap_err().to_string();
        assert!(error.contains("is pinned to 0101") && error.contains("not to 0202"), "{error}");
        assert_eq!(list.entries.len(), 1);
        let moved = Entry { added: Timestamp::from_unix_secs(1_750_000_000), ..entry(1, "192.0.2.9:8443") };
        assert_eq!(list.add(moved).unwrap(), Added::Renewed);
        assert_eq!(list.entries[0].url.authority(), "192.0.2.9:8443");
        assert_eq!(list.entries[0].added, Timestamp::from_unix_secs(1_700_000_000));
    }

    #[test]
    fn removed_by_id_or_address() {
        let list = || Vantages { entries: vec![entry(1, "192.0.2.1:8443"), entry(2, "192.0.2.2:8443")] };
        let id = VantageId::from_bytes([1; 32]);
        let removed = |which| list().remove(&which).len();
        assert_eq!(removed(Which::Id(id)), 1);
        assert_eq!(removed(Which::Url("https://192.0.2.2:8443".parse().unwrap())), 1);
        assert_eq!(removed(Which::Url(format!("https://192.0.2.2:8443#{id}").parse().unwrap())), 0);
        assert_eq!(removed(Which::Id(VantageId::from_bytes([3; 32]))), 0);
    }

    #[test]
    fn two_commands_at_once_lose_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("vantages.toml");
        std::thread::scope(|scope| {
            for n in 1..=8 {
                let file = &file;
                scope.spawn(move || {
                    Vantages::change(file, |list| list.add(entry(n, &format!("192.0.2.{n}:8443")))).unwrap()
                });
            }
        });
        assert_eq!(Vantages::read(&file).unwrap().entries.len(), 8);
    }

    #[test]
    fn a_link_to_the_list_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real.toml"), directory.path().join("vantages.toml"));
        fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        Vantages::change(&link, |list| list.add(entry(1, "192.0.2.1:8443"))).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(Vantages::read(&real).unwrap().entries.len(), 1);
    }

    #[test]
    fn what_was_edited_wrongly_is_named() {
        let good = toml::to_string(&Vantages { entries: vec![entry(1, "192.0.2.1:8443")] }).unwrap();
        let one = VantageId::from_bytes([1; 32]).to_string();
        let two = VantageId::from_bytes([2; 32]).to_string();
        for (text, part) in [
            (good.replacen(&one, &two, 1), "is pinned to another id"),
            (good.replacen(&format!("#{one}"), "", 1), "is pinned to another id"),
            (good.replace("https://", "http://"), "v.toml line 2: "),
            (good.replace("region", "regoin"), "v.toml line 4: unknown field"),
            ("[[vantage]]\n".into(), "v.toml line 1: missing field"),
            ("vantage = 1".into(), "v.toml line 1: "),
        ] {
            let error = Vantages::parse(Path::new("v.toml"), &text).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn what_is_known_saves_a_question() {
        let known = entry(1, "192.0.2.1:8443").known();
        assert_eq!(known.statement_key, StatementKey::from_bytes([1; 32]));
        assert_eq!(known.valid_until.since(Timestamp::from_unix_secs(1_700_000_000)), Duration::from_secs(100_000_000));
    }
}
