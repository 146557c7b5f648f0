//! What the rows of the tables are called.

use std::fmt;
use std::time::Duration;

use parallax_core::Variation;
use serde::{Deserialize, Serialize};

/// Names in kebab case, as they stand in JSON and tables.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$item_doc])* #[serde(rename = $text)] $item),+
        }

        impl $name {
            /// All, in the order of the tables.
            pub const ALL: [$name; [$($name::$item),+].len()] = [$($name::$item),+];

            /// As it stands in JSON and tables.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$item => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

named! {
    /// How a site is built.
    SiteClass {
        /// One server, one address.
        Single = "single",
        /// Several addresses given to everybody, one certificate.
        RoundRobin = "round-robin",
        /// Several addresses given to everybody, each with a key of its own.
        RoundRobinOwnKeys = "round-robin-own-keys",
        /// An address for each region, one certificate.
        GeoOneLeaf = "geo-one-leaf",
        /// An address and a key for each region, one CA.
        GeoOwnKeys = "geo-own-keys",
        /// One address, an RSA and an ECDSA certificate from two CAs.
        TwoKinds = "rsa-and-ecdsa",
        /// Two content networks with a CA each.
        TwoNetworks = "two-networks",
        /// Many places, each with an address and a key of its own, one CA.
        SiteKeys = "site-keys",
        /// One address announced from many places.
        Anycast = "anycast",
        /// A CA that no browser knows.
        Private = "private",
        /// The same, authorised in DNS.
        PrivateAuthorised = "private-authorised",
    }
}

named! {
    /// What happens in the life of a site, and around it.
    EventKind {
        /// The certificate was renewed.
        Renewal = "renewal",
        /// A new key out of turn.
        KeyRoll = "key-roll",
        /// Another CA.
        CaChange = "ca-change",
        /// Another content network.
        NetworkChange = "network-change",
        /// A new address that DNS has not told everybody yet.
        DnsWindow = "dns-window",
        /// Some can't reach the site, or one of its fronts.
        Outage = "outage",
        /// DNS fails for a region.
        Servfail = "servfail",
        /// The user's network answers in place of every server.
        CaptivePortal = "captive-portal",
        /// The site refuses a region.
        GeoBlock = "geo-block",
        /// A clock is wrong.
        ClockSkew = "clock-skew",
    }
}

named! {
    /// What the attacker's certificate is worth.
    Chain {
        /// A root of the attacker's own.
        OwnRoot = "own-root",
        /// A public CA that is not the site's.
        OtherCa = "other-ca",
        /// The site's own CA.
        SiteCa = "site-ca",
    }
}

named! {
    /// Where lying vantage points stand.
    Placement {
        /// Anywhere.
        Independent = "independent",
        /// All in one network, and so in one region.
        OneNetwork = "one-network",
        /// Each in a region that nobody else names.
        ThinRegions = "thin-regions",
    }
}

named! {
    /// The attack that lying vantage points help.
    Helped {
        /// On the path near the user.
        NearMe = "near-me",
        /// The user's resolver is poisoned.
        Resolver = "resolver",
        /// A hijack that captures the user and a fifth of the vantage points.
        Hijack = "hijack",
    }
}

named! {
    /// A threshold of the default policy put otherwise.
    Threshold {
        /// A CA is known after half a day instead of after three.
        KnownAfter12Hours = "known-after-12-hours",
        /// After a day.
        KnownAfter24Hours = "known-after-24-hours",
        /// After two days.
        KnownAfter48Hours = "known-after-48-hours",
        /// After five days.
        KnownAfter120Hours = "known-after-120-hours",
        /// After seven days.
        KnownAfter168Hours = "known-after-168-hours",
        /// One who has met my CA is enough, instead of a third of the asked and at least two.
        OneMetMyCa = "one-met-my-ca",
        /// Two are enough, however many are asked.
        TwoMetMyCa = "two-met-my-ca",
        /// Three must have met it, however many are asked.
        ThreeMetMyCa = "three-met-my-ca",
        /// One may dissent before most must remember my key long, instead of none.
        OneMayDissent = "one-may-dissent",
        /// Two may.
        TwoMayDissent = "two-may-dissent",
    }
}

impl Threshold {
    /// What that is in the policy.
    pub fn variation(self) -> Variation {
        let known_after = |hours: u64| Variation::KnownAfter(Duration::from_secs(hours * 3600));
        match self {
            Threshold::KnownAfter12Hours => known_after(12),
            Threshold::KnownAfter24Hours => known_after(24),
            Threshold::KnownAfter48Hours => known_after(48),
            Threshold::KnownAfter120Hours => known_after(120),
            Threshold::KnownAfter168Hours => known_after(168),
            Threshold::OneMetMyCa => Variation::MetBy(1),
            Threshold::TwoMetMyCa => Variation::MetBy(2),
            Threshold::ThreeMetMyCa => Variation::MetBy(3),
            Threshold::OneMayDissent => Variation::Tolerated(1),
            Threshold::TwoMayDissent => Variation::Tolerated(2),
        }
    }
}

/// An attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Attack {
    /// On the path near the user.
    NearMe {
        /// The user's resolver is the attacker's, too.
        resolver: bool,
    },
    /// The user's resolver leads to the attacker's server.
    Resolver,
    /// Another origin of the same prefix.
    Hijack {
        /// Share of the asked vantage points that is captured, in percent.
        captured: u8,
        /// The user is captured, too.
        with_me: bool,
    },
    /// A more specific prefix: everybody is captured.
    SubPrefix,
    /// In front of the server: everybody meets the attacker.
    NearServer,
    /// Vantage points that lie for another attack.
    Liars {
        /// How many of the asked, in percent.
        share: u8,
        /// Where they stand.
        placement: Placement,
        /// What they help.
        helped: Helped,
    },
    /// Vantage points that speak against an honest site.
    Flood {
        /// How many of the asked, in percent.
        share: u8,
        /// Where they stand.
        placement: Placement,
    },
    /// Near the user, with a certificate of a CA that the owner has withdrawn; DNS brings the old record back.
    Rollback {
        /// Share of the asked vantage points that read the old record, in percent.
        fooled: u8,
    },
    /// Near the user, who is told that the server speaks no TLS (STARTTLS taken out).
    Strip,
}

impl Attack {
    /// Whether the user meets the site itself: then distrusted is the false answer.
    pub fn spares_the_user(self) -> bool {
        matches!(self, Attack::Flood { .. } | Attack::Hijack { with_me: false, .. })
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attack::NearMe { resolver: false } => f.pad("near-me"),
            Attack::NearMe { resolver: true } => f.pad("near-me-with-resolver"),
            Attack::Resolver => f.pad("resolver"),
            Attack::Hijack { captured, with_me: true } => f.pad(&format!("hijack-{captured}")),
            Attack::Hijack { captured, with_me: false } => f.pad(&format!("hijack-{captured}-without-me")),
            Attack::SubPrefix => f.pad("sub-prefix"),
            Attack::NearServer => f.pad("near-server"),
            Attack::Liars { share, placement, helped } => f.pad(&format!("liars-{share}-{placement}-{helped}")),
            Attack::Flood { share, placement } => f.pad(&format!("flood-{share}-{placement}")),
            Attack::Rollback { fooled } => f.pad(&format!("rollback-{fooled}")),
            Attack::Strip => f.pad("strip"),
        }
    }
}

/// What is drawn: how many are asked, and who attacks. The class of the site, the event and the attacker's certificate
/// come from the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// How many vantage points are asked, from 1 to 32.
    pub asked: u8,
    /// The attack; `None` in honest visits.
    pub attack: Option<Attack>,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attack {
            Some(attack) => write!(f, "{attack}/{}", self.asked),
            None => write!(f, "honest/{}", self.asked),
        }
    }
}

/// One visit: with its world it is all that is needed to make it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VisitId {
    /// The seed of the run.
    pub seed: u64,
    /// What was drawn.
    pub cell: Cell,
    /// Which visit of the cell.
    pub index: u64,
}

impl VisitId {
    /// A number of the cell that stays the same however many cells a run has.
    pub(crate) fn purpose(&self) -> u64 {
        let share = |share: u8, rest: u64| u64::from(share) << 8 | rest;
        let (kind, detail) = match self.cell.attack {
            None => (0, 0),
            Some(Attack::NearMe { resolver }) => (1, u64::from(resolver)),
            Some(Attack::Resolver) => (2, 0),
            Some(Attack::Hijack { captured, with_me }) => (3, share(captured, u64::from(with_me))),
            Some(Attack::SubPrefix) => (4, 0),
            Some(Attack::NearServer) => (5, 0),
            Some(Attack::Liars { share: of, placement, helped }) => {
                (6, share(of, placement as u64 * 4 + helped as u64))
            }
            Some(Attack::Flood { share: of, placement }) => (7, share(of, placement as u64)),
            Some(Attack::Rollback { fooled }) => (8, share(fooled, 0)),
            Some(Attack::Strip) => (9, 0),
        };
        u64::from(self.cell.asked) << 40 | kind << 32 | detail
    }
}
