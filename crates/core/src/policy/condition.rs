//! The conditions of the default policy, each by its name, so that a simulation can take one away and see what it was good
//! for. A verdict for a person always rests on all of them.

use std::fmt;
use std::time::Duration;

use super::memory::LONG;

macro_rules! conditions {
    ($($(#[doc = $doc:literal])+ $variant:ident => $name:literal,)+) => {
        /// One condition of the policy `evidence`. What it asks for stands in `docs/protocols/evidence.md`; what each is
        /// worth in `docs/verdicts.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Condition {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Condition {
            /// All of them, in the order of the page that explains them.
            pub const ALL: &'static [Condition] = &[$(Condition::$variant),+];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Condition::$variant => $name,)+
                }
            }
        }
    };
}

conditions! {
    /// *Most* are more than half of the asked; without it: of those whose view is there.
    MostOfTheAsked => "most-of-the-asked",
    /// *Most* are at least two.
    MostAreTwo => "most-are-two",
    /// *Most* are of two regions where the asked name two.
    MostInTwoRegions => "most-in-two-regions",
    /// Dissent by a view's own look is fresh.
    FreshDissent => "fresh-dissent",
    /// Dissent is about my very address.
    DissentAtMyAddress => "dissent-at-my-address",
    /// A view dissents only where it does not vouch.
    VouchingSilencesDissent => "vouching-silences-dissent",
    /// A chain that is not public does not dissent from a public one.
    PublicDissent => "public-dissent",
    /// Who dissents under another CA is against.
    OtherCaIsAgainst => "other-ca-is-against",
    /// A public chain outshines one that is not.
    PublicOutshines => "public-outshines",
    /// It does so only while it is fresh.
    FreshPublic => "fresh-public",
    /// Who ever met my CA at this service speaks against it by record alone.
    MetCaIsNotAgainst => "met-ca-is-not-against",
    /// A view vouches by its own look.
    VouchesByLook => "vouches-by-look",
    /// A view vouches by a look at my address.
    VouchesThere => "vouches-there",
    /// A view vouches by memory of a day.
    VouchesByMemory => "vouches-by-memory",
    /// A view vouches by a record that names my key.
    VouchesByNamedKey => "vouches-by-named-key",
    /// A view vouches by a record that names my CA, which is not public.
    VouchesByNamedCa => "vouches-by-named-ca",
    /// A record names only a certificate for this name that is valid now.
    NamesCoveringCertificate => "names-covering-certificate",
    /// A record names only after it has stood for a day.
    NamesWhenEstablished => "names-when-established",
    /// A record that holds only others excludes me.
    RecordExcludes => "record-excludes",
    /// A record that I left excludes me.
    RecordLeft => "record-left",
    /// An emptied record takes back a chain only if it is not public.
    EmptiedForPrivate => "emptied-for-private",
    /// A record excludes and names only when no other stood within a day, or DNSSEC validated it.
    RecordSettled => "record-settled",
    /// An unsettled record of others keeps a view from being for me.
    UnsettledHoldsBack => "unsettled-holds-back",
    /// Most must have a look, or have met my key within a day.
    MostLook => "most-look",
    /// One of those for me meets me: my key, or my CA in my network.
    OneMeetsMe => "one-meets-me",
    /// A third of the asked, at least two, are for me and have met my CA at this service, or read a record that names me.
    ThirdMetMyCa => "third-met-my-ca",
    /// A view meets me by my CA in my network.
    MeetsInNetwork => "meets-in-network",
    /// A CA that is new to more than know it is held back.
    NewCaWaits => "new-ca-waits",
    /// A CA is known only after 72 hours.
    KnownAfterDays => "known-after-days",
    /// A CA is known when it is as old as anything remembered.
    KnownFromTheBeginning => "known-from-the-beginning",
    /// A CA that the record names is not new.
    NamedIsNotNew => "named-is-not-new",
    /// Dissent is answered only by most who remember my key long.
    DissentHoldsBack => "dissent-holds-back",
    /// Dissent can be answered at all.
    LongMemoryAnswers => "long-memory-answers",
    /// What was seen from the beginning of the check on is not memory.
    MemoryBeforeCheck => "memory-before-check",
    /// No TLS here, where most meet TLS, is an attack.
    NotTlsHere => "not-tls-here",
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The default policy with one thing put otherwise, for simulations that ask what that thing is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Variation {
    /// Without a condition.
    Without(Condition),
    /// A CA is known after this time instead of after 72 hours.
    KnownAfter(Duration),
    /// So many of those for me must have met my CA, however many are asked.
    MetBy(usize),
    /// So many may dissent before most must remember my key long, instead of none.
    Tolerated(usize),
}

/// The conditions that a decision rests on, and their thresholds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conditions {
    without: Option<Condition>,
    pub(super) known_after: Duration,
    met_by: Option<usize>,
    pub(super) tolerated: usize,
}

impl Default for Conditions {
    fn default() -> Self {
        Self { without: None, known_after: LONG, met_by: None, tolerated: 0 }
    }
}

impl Conditions {
    pub(super) fn varied(variation: Variation) -> Self {
        let all = Self::default();
        match variation {
            Variation::Without(condition) => Self { without: Some(condition), ..all },
            Variation::KnownAfter(known_after) => Self { known_after, ..all },
            Variation::MetBy(met_by) => Self { met_by: Some(met_by), ..all },
            Variation::Tolerated(tolerated) => Self { tolerated, ..all },
        }
    }

    /// How many of those for me must have met my CA. Of nine asked a fifth are two, so the number grows with the asked: two
    /// liars behind a poisoned resolver must not be enough because somebody asked more.
    pub(super) fn met_by(self, asked: usize) -> usize {
        self.met_by.unwrap_or_else(|| asked.div_ceil(3).max(2))
    }

    /// Something needs this; taken away, nothing is needed.
    pub(super) fn needs(self, condition: Condition, is_met: bool) -> bool {
        is_met || self.without == Some(condition)
    }

    /// This is one way to something; taken away, there is no such way.
    pub(super) fn allows(self, condition: Condition, is_so: bool) -> bool {
        is_so && self.without != Some(condition)
    }
}
