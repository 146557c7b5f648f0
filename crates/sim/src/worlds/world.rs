//! All parameters of a world, from one TOML text. Every number in it is an assumption.

use std::fmt;

use parallax_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::{EventKind, SiteClass};

/// A world: how sites, users, vantage points, events and attackers are drawn. Shares are between 0 and 1; weights are
/// at least 0, and only their proportion counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// What it is called in tables.
    pub name: String,
    /// What it assumes, in a sentence.
    pub about: String,
    /// When all visits take place: only rules that hang on the date (`mpic`) notice.
    pub moment: Timestamp,
    /// Who checks.
    pub users: Users,
    /// Who is asked.
    pub vantages: Vantages,
    /// The regions, at least one, at most 16. Their order is that of the topology's regions.
    pub regions: Vec<Region>,
    /// What is checked.
    pub sites: Sites,
    /// What happens in the life of a site, and around it.
    pub events: Events,
    /// Who attacks, and how.
    pub attackers: Attackers,
}

/// Who checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    /// Share of users whose vantage points all stand in one region.
    pub one_region_share: f64,
}

/// Who is asked. A node looks at each service that it knows once an interval, and when it is asked and has no look
/// younger than a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vantages {
    /// Hours between two looks of one vantage point at one service, from 1 to 48.
    pub interval_hours: u32,
    /// Share that gives no answer at all.
    pub silent_share: f64,
    /// Share of second questions (to look anew, to look at the user's address) that get no answer in time.
    pub lost_share: f64,
    /// Share whose look fails for reasons of its own, though it answers.
    pub failing_share: f64,
    /// Share that has not looked for longer than its interval.
    pub asleep_share: f64,
    /// For how many days at most, from 1 to 400.
    pub asleep_days: u32,
    /// Share that has never met the service before.
    pub unacquainted_share: f64,
}

/// A region that operators claim, and the registry of its addresses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// As a node writes it, such as `eu-west`.
    pub name: String,
    /// The regional Internet registry, such as `RIPE`.
    pub rir: String,
    /// How many users and vantage points stand there.
    pub weight: f64,
}

/// What is checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sites {
    /// Share of services that the vantage points have known for less than seven days.
    pub young_share: f64,
    /// For how many days the others are known at most, from 8 to 730; evenly spread.
    pub known_days: u32,
    /// How many public CAs issue for sites, from 2 to 40, all alike.
    pub public_cas: u32,
    /// How common each class of sites is.
    pub classes: Classes,
    /// After how many days certificates are renewed.
    pub renewals: Vec<Renewal>,
    /// Share of renewals that come with a new key.
    pub new_key_share: f64,
    /// Share of looks that DNS leads to another front than the usual one, where sites have several.
    pub stray_share: f64,
    /// Share of sites with several fronts that keep them in one network (IPv4 /16).
    pub one_network_share: f64,
    /// Share of sites under a public CA that name it, or their key, in DNS.
    pub record_share: f64,
    /// Share of sites with records in DNS that sign them.
    pub dnssec_share: f64,
    /// Share of anycast sites at which each place has a key of its own.
    pub anycast_own_keys_share: f64,
    /// Share of looks that sites with an RSA and an ECDSA certificate show the RSA one.
    pub rsa_share: f64,
    /// Share of these sites whose balancer shows a party the same one always.
    pub sticky_share: f64,
}

/// How common each class of sites is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    /// One server, one address.
    pub single: f64,
    /// Two to four addresses given to everybody, one certificate.
    pub round_robin: f64,
    /// Two to four addresses given to everybody, each with a key of its own.
    pub round_robin_own_keys: f64,
    /// An address for each region, one certificate.
    pub geo_one_leaf: f64,
    /// An address for each region, each with a key of its own from one CA.
    pub geo_own_keys: f64,
    /// One address, an RSA and an ECDSA certificate from two CAs.
    pub two_kinds: f64,
    /// Two content networks with a CA each; DNS chooses.
    pub two_networks: f64,
    /// Four to twelve places, each with an address and a key of its own from one CA; DNS chooses.
    pub site_keys: f64,
    /// One address announced from many places.
    pub anycast: f64,
    /// One server under a CA that no browser knows.
    pub private: f64,
    /// The same, and the owner names the CA or the key in DNS; a third has a key for each region.
    pub private_authorised: f64,
}

/// After how many days certificates are renewed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renewal {
    /// Days, from 1 to 400.
    pub days: u32,
    /// How common.
    pub weight: f64,
}

/// What happens in the life of a site, and around it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Share of visits amid an event.
    pub share: f64,
    /// How long ago it began at most, in hours, from 1 to 720; short is as likely as ten times as long, from a minute on.
    pub age_hours: u32,
    /// How common each is.
    pub kinds: Kinds,
    /// Share of changes of the CA that owners with records announce in DNS two days ahead.
    pub announced_share: f64,
    /// Share of changes of the content network that bring another CA.
    pub moved_ca_share: f64,
    /// Share of moves after which the old servers go on for as long as DNS leads anybody there.
    pub kept_share: f64,
    /// For how many minutes at most DNS answers with the old address, from 1 to 10080; short as likely as ten times as long.
    pub lag_minutes: u32,
    /// Share of geo-blocks that show a certificate of the gatekeeper instead of cutting the connection.
    pub block_page_share: f64,
}

/// How common each event is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kinds {
    /// The certificate was renewed.
    pub renewal: f64,
    /// A new key out of turn, from the same CA.
    pub key_roll: f64,
    /// Another CA.
    pub ca_change: f64,
    /// Another content network: new addresses, new keys, perhaps another CA.
    pub network_change: f64,
    /// A new address, the same CA; DNS has not told everybody yet.
    pub dns_window: f64,
    /// Some parties can't reach the site, or one of its fronts.
    pub outage: f64,
    /// DNS fails for a region.
    pub servfail: f64,
    /// The user is in a network that answers in place of every server until somebody has paid. The key that the user
    /// meets is not the site's: trusted would be wrong.
    pub captive_portal: f64,
    /// The site refuses a region in which the user is not.
    pub geo_block: f64,
    /// The clock of a vantage point, or of the user, is wrong.
    pub clock_skew: f64,
}

/// Who attacks, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attackers {
    /// What the attacker's certificate is worth.
    pub chains: Chains,
    /// Share of attackers near the user with the user's resolver who lead the user to an address where nobody else meets
    /// anything; the others let DNS lead to the site's address.
    pub dark_address_share: f64,
    /// Share of attackers with a certificate of the site's own private CA whose certificate is for another name.
    pub other_name_share: f64,
    /// Share of owners who leave a CA by emptying the record instead of naming the new one.
    pub emptied_share: f64,
    /// Share of attackers behind a poisoned resolver whose server answers everybody.
    pub open_server_share: f64,
    /// Share of them who stand in the site's network (IPv4 /16).
    pub same_network_share: f64,
    /// Share of hijackers who answer for the site's DNS too, and name their own CA there.
    pub dns_share: f64,
    /// For how many hours a hijack has lasted at most, from 1 to 720; short is as likely as ten times as long.
    pub hijack_hours: u32,
    /// For how many days an attacker in front of the server has been there at most, from 1 to 400; likewise.
    pub server_days: u32,
    /// For how many days at most the record has been withdrawn that a rollback brings back, from 1 to 400; likewise.
    pub withdrawn_days: u32,
    /// How many pairs of victim and hijacker are looked at in the topology, from 8 to 4096.
    pub pairs: u32,
}

/// What the attacker's certificate is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chains {
    /// A root of the attacker's own, known to nobody.
    pub own_root: f64,
    /// A certificate for the name from a public CA that is not the site's.
    pub other_ca: f64,
    /// A certificate for the name from the site's own CA.
    pub site_ca: f64,
}

/// Why a text is no world.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WorldError {
    /// It is no TOML, or lacks or has a field too many.
    #[error("this is no world: {0}")]
    Text(String),
    /// A share is out of range.
    #[error("{field} is {value}; a share lies between 0 and 1")]
    Share {
        /// Where it stands.
        field: String,
        /// What stands there.
        value: f64,
    },
    /// A weight is negative or no number.
    #[error("{field} is {value}; a weight is a number of at least 0")]
    Weight {
        /// Where it stands.
        field: String,
        /// What stands there.
        value: f64,
    },
    /// Nothing could ever be drawn.
    #[error("all weights in {0} are 0; at least one must be greater")]
    NoWeight(String),
    /// A count or length of time is out of range.
    #[error("{field} is {value}; it must be from {low} to {high}")]
    Range {
        /// Where it stands.
        field: String,
        /// What stands there.
        value: u64,
        /// At least this.
        low: u64,
        /// At most this.
        high: u64,
    },
    /// A text that tables need is empty or too long.
    #[error("{0} must be a text of 1 to 200 characters")]
    Empty(String),
    /// There is no world of that name.
    #[error("there is no built-in world \"{0}\"; there are a, b and c, or name a file")]
    Unknown(String),
}

impl World {
    /// Names of the built-in worlds. `a` is the documented one; `b` and `c` were fixed before the first run.
    pub const BUILT_IN: [&'static str; 3] = ["a", "b", "c"];

    /// The text of a built-in world.
    pub fn built_in_text(name: &str) -> Result<&'static str, WorldError> {
        match name {
            "a" => Ok(include_str!("../../worlds/a.toml")),
            "b" => Ok(include_str!("../../worlds/b.toml")),
            "c" => Ok(include_str!("../../worlds/c.toml")),
            other => Err(WorldError::Unknown(other.chars().take(40).collect())),
        }
    }

    /// A built-in world.
    pub fn built_in(name: &str) -> Result<Self, WorldError> {
        Self::parse(Self::built_in_text(name)?)
    }

    /// Reads and checks a world.
    pub fn parse(text: &str) -> Result<Self, WorldError> {
        let world: World =
            toml::from_str(text).map_err(|error| WorldError::Text(error.to_string().trim_end().to_owned()))?;
        world.checked()
    }

    fn checked(self) -> Result<Self, WorldError> {
        for (field, text) in [("name", &self.name), ("about", &self.about)] {
            text_of_length(field, text)?;
        }
        self.check_shares()?;
        self.check_weights()?;
        self.check_ranges()?;
        Ok(self)
    }

    fn check_shares(&self) -> Result<(), WorldError> {
        let Self { users, vantages, sites, events, attackers, .. } = self;
        let shares = [
            ("users.one_region_share", users.one_region_share),
            ("vantages.silent_share", vantages.silent_share),
            ("vantages.lost_share", vantages.lost_share),
            ("vantages.failing_share", vantages.failing_share),
            ("vantages.asleep_share", vantages.asleep_share),
            ("vantages.unacquainted_share", vantages.unacquainted_share),
            ("sites.young_share", sites.young_share),
            ("sites.new_key_share", sites.new_key_share),
            ("sites.stray_share", sites.stray_share),
            ("sites.one_network_share", sites.one_network_share),
            ("sites.record_share", sites.record_share),
            ("sites.dnssec_share", sites.dnssec_share),
            ("sites.anycast_own_keys_share", sites.anycast_own_keys_share),
            ("sites.rsa_share", sites.rsa_share),
            ("sites.sticky_share", sites.sticky_share),
            ("events.share", events.share),
            ("events.announced_share", events.announced_share),
            ("events.moved_ca_share", events.moved_ca_share),
            ("events.kept_share", events.kept_share),
            ("events.block_page_share", events.block_page_share),
            ("attackers.dark_address_share", attackers.dark_address_share),
            ("attackers.other_name_share", attackers.other_name_share),
            ("attackers.emptied_share", attackers.emptied_share),
            ("attackers.open_server_share", attackers.open_server_share),
            ("attackers.same_network_share", attackers.same_network_share),
            ("attackers.dns_share", attackers.dns_share),
        ];
        match shares.into_iter().find(|(_, value)| !(0.0..=1.0).contains(value)) {
            Some((field, value)) => Err(WorldError::Share { field: field.into(), value }),
            None => Ok(()),
        }
    }

    fn check_weights(&self) -> Result<(), WorldError> {
        let regions: Vec<_> = self.regions.iter().map(|region| region.weight).collect();
        let renewals: Vec<_> = self.sites.renewals.iter().map(|renewal| renewal.weight).collect();
        weights("regions", &regions)?;
        weights("sites.renewals", &renewals)?;
        weights("sites.classes", &self.sites.classes.weights())?;
        weights("events.kinds", &self.events.kinds.weights())?;
        weights("attackers.chains", &self.attackers.chains.weights())
    }

    fn check_ranges(&self) -> Result<(), WorldError> {
        let Self { vantages, sites, events, attackers, .. } = self;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        for (field, value, low, high) in [
            ("the number of regions", number(self.regions.len()), 1, 16),
            ("the number of sites.renewals", number(sites.renewals.len()), 1, 16),
            ("vantages.interval_hours", vantages.interval_hours, 1, 48),
            ("vantages.asleep_days", vantages.asleep_days, 1, 400),
            ("sites.known_days", sites.known_days, 8, 730),
            ("sites.public_cas", sites.public_cas, 2, 40),
            ("events.age_hours", events.age_hours, 1, 720),
            ("events.lag_minutes", events.lag_minutes, 1, 10_080),
            ("attackers.hijack_hours", attackers.hijack_hours, 1, 720),
            ("attackers.server_days", attackers.server_days, 1, 400),
            ("attackers.withdrawn_days", attackers.withdrawn_days, 1, 400),
            ("attackers.pairs", attackers.pairs, 8, 4096),
        ] {
            in_range(field, value, low, high)?;
        }
        for renewal in &sites.renewals {
            in_range("sites.renewals.days", renewal.days, 1, 400)?;
        }
        for region in &self.regions {
            text_of_length("regions.name", &region.name)?;
            text_of_length("regions.rir", &region.rir)?;
        }
        Ok(())
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.about)
    }
}

impl Classes {
    /// In the order of [`SiteClass::ALL`].
    pub(crate) fn weights(&self) -> [f64; SiteClass::ALL.len()] {
        [
            self.single,
            self.round_robin,
            self.round_robin_own_keys,
            self.geo_one_leaf,
            self.geo_own_keys,
            self.two_kinds,
            self.two_networks,
            self.site_keys,
            self.anycast,
            self.private,
            self.private_authorised,
        ]
    }
}

impl Kinds {
    /// In the order of [`EventKind::ALL`].
    pub(crate) fn weights(&self) -> [f64; EventKind::ALL.len()] {
        [
            self.renewal,
            self.key_roll,
            self.ca_change,
            self.network_change,
            self.dns_window,
            self.outage,
            self.servfail,
            self.captive_portal,
            self.geo_block,
            self.clock_skew,
        ]
    }
}

impl Chains {
    /// In the order of [`super::Chain::ALL`].
    pub(crate) fn weights(&self) -> [f64; 3] {
        [self.own_root, self.other_ca, self.site_ca]
    }
}

fn text_of_length(field: &str, text: &str) -> Result<(), WorldError> {
    if (1..=200).contains(&text.chars().count()) { Ok(()) } else { Err(WorldError::Empty(field.into())) }
}

fn weights(field: &str, weights: &[f64]) -> Result<(), WorldError> {
    match weights.iter().find(|weight| !weight.is_finite() || **weight < 0.0) {
        Some(weight) => Err(WorldError::Weight { field: field.into(), value: *weight }),
        None if weights.iter().sum::<f64>() <= 0.0 => Err(WorldError::NoWeight(field.into())),
        None => Ok(()),
    }
}

fn in_range(field: &str, value: u32, low: u32, high: u32) -> Result<(), WorldError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let [value, low, high] = [value, low, high].map(u64::from);
    Err(WorldError::Range { field: field.into(), value, low, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_worlds_are_worlds() {
        for name in World::BUILT_IN {
            let world = World::built_in(name).unwrap();
            assert_eq!(world.name, name);
            let again = toml::to_string(&world).unwrap();
            assert_eq!(World::parse(&again).unwrap(), world);
        }
        assert!(World::built_in("d").unwrap_err().to_string().contains("a, b and c"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_value() {
        let text = World::built_in_text("a").unwrap();
        let broken = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            World::parse(&text.replacen(from, to, 1)).unwrap_err().to_string()
        };
        let share = broken("young_share = 0.15", "young_share = 1.5");
        assert_eq!(share, "sites.young_share is 1.5; a share lies between 0 and 1");
        let range = broken("interval_hours = 12", "interval_hours = 72");
        assert_eq!(range, "vantages.interval_hours is 72; it must be from 1 to 48");
        let weight = broken("own_root = 40", "own_root = -40");
        assert_eq!(weight, "attackers.chains is -40; a weight is a number of at least 0");
        assert!(broken("young_share = 0.15", "old_share = 0.15").contains("old_share"));
        assert!(broken("young_share = 0.15", "young_share = nan").contains("between 0 and 1"));
        assert!(World::parse("").unwrap_err().to_string().starts_with("this is no world: "));
    }
}
