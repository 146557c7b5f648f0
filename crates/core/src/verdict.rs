//! What a policy concludes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::VantageId;

/// The conclusion. *Undecided is not distrusted.*
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// The server I reach is the one everybody else reaches.
    Trusted,
    /// It is not.
    Distrusted,
    /// The evidence does not say.
    Undecided,
}

impl Decision {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Decision::Trusted => "trusted",
            Decision::Distrusted => "distrusted",
            Decision::Undecided => "undecided",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The rule that fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// Most see my key.
    Corroborated,
    /// Other keys are seen, and a record of the owner names mine.
    DiverseAuthorised,
    /// Other keys are seen, and all fit together.
    DiverseConsistent,
    /// Others reach another server: the difference lies near me.
    MitmNearMe,
    /// My DNS leads me elsewhere.
    DnsDiverted,
    /// Part of the network sees another server.
    PartialHijack,
    /// The owner's record names another CA.
    UnauthorisedCa,
    /// The owner's record named my CA and no longer does.
    Revoked,
    /// A private key that is long remembered.
    StablePrivate,
    /// Everybody sees a CA that nobody remembers.
    GlobalChange,
    /// The views do not fit together.
    Unexplained,
    /// Too little to decide from.
    NotEnough,
    /// `majority`: the share of looks with my key reaches the threshold.
    MajorityAgrees,
    /// `majority`: it does not.
    MajorityDiffers,
    /// `quorum`: my certificate is seen by the quorum, and has been for the required time.
    QuorumHeld,
    /// `quorum`: an inconsistent site whose valid certificate the quorum has seen within 30 days.
    QuorumWeak,
    /// `quorum`: seen by the quorum, but not for the required time.
    QuorumTooYoung,
    /// `quorum`: my certificate is not seen by the quorum.
    QuorumMissed,
    /// `unanimous`: all agree.
    Unanimous,
    /// `unanimous`: not all agree.
    NotUnanimous,
    /// `mpic`: corroborated from enough places.
    MpicCorroborated,
    /// `mpic`: too many places see another key.
    MpicDiffers,
    /// The user's own word, whatever the policy says ([`crate::Accepted`]). No policy fires it.
    Accepted,
}

impl Rule {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Rule::Corroborated => "corroborated",
            Rule::DiverseAuthorised => "diverse-authorised",
            Rule::DiverseConsistent => "diverse-consistent",
            Rule::MitmNearMe => "mitm-near-me",
            Rule::DnsDiverted => "dns-diverted",
            Rule::PartialHijack => "partial-hijack",
            Rule::UnauthorisedCa => "unauthorised-ca",
            Rule::Revoked => "revoked",
            Rule::StablePrivate => "stable-private",
            Rule::GlobalChange => "global-change",
            Rule::Unexplained => "unexplained",
            Rule::NotEnough => "not-enough",
            Rule::MajorityAgrees => "majority-agrees",
            Rule::MajorityDiffers => "majority-differs",
            Rule::QuorumHeld => "quorum-held",
            Rule::QuorumWeak => "quorum-weak",
            Rule::QuorumTooYoung => "quorum-too-young",
            Rule::QuorumMissed => "quorum-missed",
            Rule::Unanimous => "unanimous",
            Rule::NotUnanimous => "not-unanimous",
            Rule::MpicCorroborated => "mpic-corroborated",
            Rule::MpicDiffers => "mpic-differs",
            Rule::Accepted => "accepted",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The one word that a view gets from the policy `evidence`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// It vouches for what I met.
    For,
    /// It speaks against it.
    Against,
    /// It says neither.
    #[default]
    Aside,
}

impl Word {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Word::For => "for",
            Word::Against => "against",
            Word::Aside => "aside",
        }
    }
}

/// How a view's look compares with mine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// The same certificate.
    SameLeaf,
    /// Another certificate with the same key.
    SameKey,
    /// Another key under the same CA.
    SameCa,
    /// Another key under another CA.
    Differs,
    /// Nothing to compare: one of the looks failed or proved nothing.
    NothingSeen,
}

impl Agreement {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Agreement::SameLeaf => "same-leaf",
            Agreement::SameKey => "same-key",
            Agreement::SameCa => "same-ca",
            Agreement::Differs => "differs",
            Agreement::NothingSeen => "nothing-seen",
        }
    }
}

/// One view as the policy took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Whose view.
    pub vantage: VantageId,
    /// How its look compares with mine.
    pub agrees: Agreement,
    /// What the view says. Policies other than `evidence` say *for* where the look shows my key, *against* where it
    /// shows another.
    pub word: Word,
}

/// How many were asked and what they said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Distinct vantage points asked, the own machine not counted.
    pub asked: usize,
    /// Those whose view counts.
    pub answered: usize,
    /// Those whose look shows my key.
    pub agree: usize,
    /// Those whose look shows another.
    pub differ: usize,
}

/// A verdict with its rule and reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The conclusion.
    pub decision: Decision,
    /// The rule that fired.
    pub rule: Rule,
    /// Why, in plain words with counts; at least one sentence.
    pub reasons: Vec<String>,
    /// Each view, in the order of the evidence.
    pub judged: Vec<Judged>,
    /// How many.
    pub counts: Counts,
}
