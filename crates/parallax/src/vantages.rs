//! `vantages.toml`: the vantage points that `check` asks when none are named.

use std::path::{Path, PathBuf};

use parallax_client::{BadNotaryKey, Known, NotaryAddress, NotaryKey, OldNotary, VantageUrl};
use parallax_core::{Timestamp, VantageId};
use parallax_proto::{Descriptor, StatementKey};
use serde::{Deserialize, Serialize, de};

use crate::kept::{Kept, KeptError};

/// A longer list was not made by this program.
const MOST: usize = 1000;

/// The list as it stands in the file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vantages {
    /// In the order in which they were added.
    #[serde(default, rename = "vantage", skip_serializing_if = "Vec::is_empty")]
    pub(crate) entries: Vec<Entry>,
    /// Old notaries, in the order in which they were added.
    #[serde(default, rename = "notary", skip_serializing_if = "Vec::is_empty")]
    pub(crate) notaries: Vec<NotaryEntry>,
    /// Hubs, in the order in which they were added.
    #[serde(default, rename = "hub", skip_serializing_if = "Vec::is_empty")]
    pub(crate) hubs: Vec<HubEntry>,
}

/// One hub, whose peers are asked. The same node may be a vantage point of its own too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HubEntry {
    /// Where it answers and who it must be.
    #[serde(with = "as_text")]
    pub(crate) url: VantageUrl,
    /// Its id: the pin of `url`.
    pub(crate) vantage: VantageId,
    /// When it was added.
    pub(crate) added: Timestamp,
}

/// One old notary, with the key that its replies are verified by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotaryEntry {
    /// Where it answers, `host:port`.
    #[serde(with = "as_text")]
    pub(crate) address: NotaryAddress,
    /// Its id: SHA-256 of its key.
    pub(crate) vantage: VantageId,
    /// Its public key in PEM.
    pub(crate) key: String,
    /// When it was added.
    pub(crate) added: Timestamp,
}

impl NotaryEntry {
    /// The entry of a notary whose key was read.
    pub(crate) fn new(notary: &OldNotary, added: Timestamp) -> Self {
        Self { address: notary.address().clone(), vantage: notary.id(), key: notary.key().to_pem(), added }
    }

    /// The notary, to be asked.
    pub(crate) fn notary(&self) -> Result<OldNotary, BadNotaryKey> {
        Ok(OldNotary::new(self.address.clone(), NotaryKey::from_pem(&self.key)?))
    }
}

/// One vantage point. `url` carries the pin; the rest is what its descriptor said and saves a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Where it answers and who it must be.
    #[serde(with = "as_text")]
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

mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use super::{Deserialize as _, de};

    pub(super) fn serialize<T: Display, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: serde::Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Why the list can't be used. One sentence each.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VantagesError {
    #[error(transparent)]
    File(#[from] KeptError),
    #[error("{}: {url} is pinned to another id than {vantage}; correct the entry, or remove and add it again", file.display())]
    PinMismatch { file: PathBuf, url: String, vantage: VantageId },
    #[error(
        "{address} is pinned to {pinned} and not to {met}: either it is another node now, or somebody is in between; if its operator confirms the new id, run `parallax vantage remove {pinned}` first"
    )]
    OtherPin { address: String, pinned: VantageId, met: VantageId },
    #[error("{}: the key of the notary {address} is wrong: {why}", file.display())]
    NotaryKey { file: PathBuf, address: NotaryAddress, why: String },
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

impl Kept for Vantages {
    const HEADER: &'static str = "# The vantage points that `parallax check` asks when none are named.\n\
                                  # Kept by `parallax vantage add`, `list` and `remove`.\n\n";

    type Error = VantagesError;

    fn check(&self, file: &Path) -> Result<(), VantagesError> {
        if self.len() > MOST {
            return Err(VantagesError::TooMany(self.len()));
        }
        for entry in &self.notaries {
            let why = match entry.notary() {
                Ok(notary) if notary.id() == entry.vantage => continue,
                Ok(notary) => format!("its id is {}, and not {}", notary.id(), entry.vantage),
                Err(why) => why.to_string(),
            };
            return Err(VantagesError::NotaryKey { file: file.into(), address: entry.address.clone(), why });
        }
        // The pin is what everything hangs on; one that was edited in one place only is no pin.
        let pins = self.entries.iter().map(|entry| (&entry.url, entry.vantage));
        let hubs = self.hubs.iter().map(|entry| (&entry.url, entry.vantage));
        match pins.chain(hubs).find(|(url, vantage)| url.pin() != Some(*vantage)) {
            Some((url, vantage)) => {
                Err(VantagesError::PinMismatch { file: file.into(), url: url.to_string(), vantage })
            }
            None => Ok(()),
        }
    }
}

impl Vantages {
    fn len(&self) -> usize {
        self.entries.len() + self.notaries.len() + self.hubs.len()
    }

    /// Whether nobody is listed.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a hub, or its new address. The address of one that is pinned is never pinned to another.
    pub(crate) fn add_hub(&mut self, entry: HubEntry) -> Result<Added, VantagesError> {
        let address = entry.url.authority();
        let taken = self.hubs.iter().find(|known| known.url.authority() == address && known.vantage != entry.vantage);
        if let Some(other) = taken {
            return Err(VantagesError::OtherPin { address, pinned: other.vantage, met: entry.vantage });
        }
        let is_full = self.len() >= MOST;
        match self.hubs.iter_mut().find(|known| known.vantage == entry.vantage) {
            Some(known) => {
                known.url = entry.url;
                Ok(Added::Renewed)
            }
            None if is_full => Err(VantagesError::TooMany(MOST)),
            None => {
                self.hubs.push(entry);
                Ok(Added::New)
            }
        }
    }

    /// Removes the hub with this id or at this address, and returns what went.
    pub(crate) fn remove_hub(&mut self, which: &Which) -> Vec<HubEntry> {
        let is = |entry: &HubEntry| match which {
            Which::Id(id) => entry.vantage == *id,
            Which::Hub(url) => {
                entry.url.authority() == url.authority() && url.pin().is_none_or(|pin| pin == entry.vantage)
            }
            Which::Notary(_) | Which::Url(_) => false,
        };
        self.hubs.extract_if(.., |entry| is(entry)).collect()
    }

    /// Adds an old notary. The address of one that is pinned to a key is never pinned to another.
    pub(crate) fn add_notary(&mut self, entry: NotaryEntry) -> Result<Added, VantagesError> {
        let taken = self.notaries.iter().find(|known| known.address == entry.address && known.vantage != entry.vantage);
        if let Some(other) = taken {
            let address = entry.address.to_string();
            return Err(VantagesError::OtherPin { address, pinned: other.vantage, met: entry.vantage });
        }
        let is_full = self.len() >= MOST;
        match self.notaries.iter_mut().find(|known| known.vantage == entry.vantage) {
            Some(known) => {
                known.address = entry.address;
                Ok(Added::Renewed)
            }
            None if is_full => Err(VantagesError::TooMany(MOST)),
            None => {
                self.notaries.push(entry);
                Ok(Added::New)
            }
        }
    }

    /// Removes the old notary with this id or at this address, and returns what went.
    pub(crate) fn remove_notary(&mut self, which: &Which) -> Vec<NotaryEntry> {
        let is = |entry: &NotaryEntry| match which {
            Which::Id(id) => entry.vantage == *id,
            Which::Notary(address) => entry.address == *address,
            Which::Url(_) | Which::Hub(_) => false,
        };
        self.notaries.extract_if(.., |entry| is(entry)).collect()
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
        let is_full = self.len() >= MOST;
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
    /// An old notary by its address.
    Notary(NotaryAddress),
    /// A hub by its address, and its pin where one is given.
    Hub(VantageUrl),
}

impl Which {
    fn is(&self, entry: &Entry) -> bool {
        match self {
            Self::Id(id) => entry.vantage == *id,
            Self::Notary(_) | Self::Hub(_) => false,
            Self::Url(url) => {
                entry.url.authority() == url.authority() && url.pin().is_none_or(|pin| pin == entry.vantage)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
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
        let list = || Vantages {
            entries: vec![entry(1, "192.0.2.1:8443"), entry(2, "192.0.2.2:8443")],
            ..Vantages::default()
        };
        let id = VantageId::from_bytes([1; 32]);
        let removed = |which| list().remove(&which).len();
        assert_eq!(removed(Which::Id(id)), 1);
        assert_eq!(removed(Which::Url("https://192.0.2.2:8443".parse().unwrap())), 1);
        assert_eq!(removed(Which::Url(format!("https://192.0.2.2:8443#{id}").parse().unwrap())), 0);
        assert_eq!(removed(Which::Id(VantageId::from_bytes([3; 32]))), 0);
    }

    #[test]
    fn a_hub_is_listed_beside_the_node_that_it_is() {
        let hub = |n: u8, address: &str| {
            let Entry { url, vantage, added, .. } = entry(n, address);
            HubEntry { url, vantage, added }
        };
        let mut list = Vantages::default();
        list.add(entry(1, "192.0.2.1:8443")).unwrap();
        assert_eq!(list.add_hub(hub(1, "192.0.2.1:8443")).unwrap(), Added::New);
        assert_eq!(list.add_hub(hub(1, "192.0.2.9:8443")).unwrap(), Added::Renewed);
        assert!(list.add_hub(hub(2, "192.0.2.9:8443")).unwrap_err().to_string().contains("is pinned to 0101"));
        let text = toml::to_string(&list).unwrap();
        assert_eq!(Vantages::parse(Path::new("v.toml"), &text).unwrap(), list);
        assert!(list.remove_hub(&Which::Url("https://192.0.2.9:8443".parse().unwrap())).is_empty());
        assert_eq!(list.remove_hub(&Which::Hub("https://192.0.2.9:8443".parse().unwrap())).len(), 1);
        assert_eq!((list.entries.len(), list.hubs.len()), (1, 0));
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
        let good =
            toml::to_string(&Vantages { entries: vec![entry(1, "192.0.2.1:8443")], ..Vantages::default() }).unwrap();
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
