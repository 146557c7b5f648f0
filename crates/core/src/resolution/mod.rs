//! Corroborated DNS: what my own resolver got against what those of others got (`docs/protocols/dns.md`). Pure and total,
//! like the policies for services, and under their names.

mod compare;
mod decide;
mod reasons;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::dns::DnsSet;
use crate::dns_name::DnsName;
use crate::evidence::Asked;
use crate::id::VantageId;
use crate::policy::Policy;
use crate::record_kind::RecordKind;
use crate::time::Timestamp;
use crate::verdict::{Counts, Decision, Word};

/// What one resolver tells of a name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The answer.
    pub set: DnsSet,
    /// The start of authority at the same name, where it was asked for too: by its serial a change shows that has not
    /// reached all.
    pub soa: Option<DnsSet>,
}

/// What one vantage point tells. The client makes it from verified answers only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsTestimony {
    /// Who.
    pub vantage: VantageId,
    /// What its resolver told.
    pub told: Told,
}

/// All that a decision about one name and type may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    name: DnsName,
    kind: RecordKind,
    local: Told,
    asked: Vec<Asked>,
    answers: Vec<DnsTestimony>,
}

impl Resolution {
    /// My own answer, nobody asked yet.
    pub fn new(name: DnsName, kind: RecordKind, local: Told) -> Self {
        Self { name, kind, local, asked: Vec::new(), answers: Vec::new() }
    }

    /// Notes that a vantage point was asked; asking one twice is asking it once.
    pub fn ask(&mut self, asked: Asked) {
        match self.asked.iter_mut().find(|known| known.vantage == asked.vantage) {
            Some(known) => {
                known.region = known.region.take().or(asked.region);
                known.rir = known.rir.take().or(asked.rir);
            }
            None => self.asked.push(asked),
        }
    }

    /// Adds what a vantage point tells, in the order of arrival; what it tells later replaces the earlier. One that was not
    /// asked counts as asked.
    pub fn add(&mut self, testimony: DnsTestimony) {
        self.ask(Asked { vantage: testimony.vantage, region: None, rir: None });
        match self.answers.iter_mut().find(|known| known.vantage == testimony.vantage) {
            Some(known) => *known = testimony,
            None => self.answers.push(testimony),
        }
    }

    /// The name.
    pub fn name(&self) -> &DnsName {
        &self.name
    }

    /// The record type.
    pub fn kind(&self) -> RecordKind {
        self.kind
    }

    /// What my own resolver told.
    pub fn local(&self) -> &Told {
        &self.local
    }

    /// The asked, each once, the own resolver not among them.
    pub fn asked(&self) -> &[Asked] {
        &self.asked
    }

    /// The answers, one for each vantage point at most, in order of arrival.
    pub fn answers(&self) -> &[DnsTestimony] {
        &self.answers
    }
}

/// How an answer compares with mine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SetAgreement {
    /// The same records, or as I none.
    Same,
    /// Other addresses, but each of mine lies in a network of theirs.
    SameNetworks,
    /// Another state of the zone: the serials differ.
    OtherSerial,
    /// Other addresses.
    OtherAddresses,
    /// Other records.
    Differs,
    /// Nothing to compare: one of the lookups failed, or an answer was cut.
    NothingSaid,
}

impl SetAgreement {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            SetAgreement::Same => "same",
            SetAgreement::SameNetworks => "same-networks",
            SetAgreement::OtherSerial => "other-serial",
            SetAgreement::OtherAddresses => "other-addresses",
            SetAgreement::Differs => "differs",
            SetAgreement::NothingSaid => "nothing-said",
        }
    }

    /// The one word that follows from it.
    pub const fn word(self) -> Word {
        match self {
            SetAgreement::Same | SetAgreement::SameNetworks => Word::For,
            SetAgreement::Differs => Word::Against,
            SetAgreement::OtherSerial | SetAgreement::OtherAddresses | SetAgreement::NothingSaid => Word::Aside,
        }
    }
}

/// The rule that fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NameRule {
    /// Most get what I get.
    Corroborated,
    /// Most are led into the networks that I am led into.
    SameNetworks,
    /// The owner's signature was validated here.
    DnssecSecure,
    /// Most get one other answer.
    DiffersNearMe,
    /// Most get records, I get none.
    Withheld,
    /// I get records, most get none.
    Invented,
    /// What I get is signed wrongly, what most get is not.
    BogusNearMe,
    /// My own resolver gave no answer that can be compared.
    NoAnswer,
    /// Too few answered.
    NotEnough,
    /// The zone changes: serials differ.
    Propagation,
    /// Others are led to other addresses, which is ordinary.
    OtherAddresses,
    /// The answers do not fit together.
    Unexplained,
    /// `majority`: the share of answers like mine reaches the threshold.
    MajorityAgrees,
    /// `majority`: it does not.
    MajorityDiffers,
    /// `quorum`: the quorum gets my answer.
    QuorumHeld,
    /// `quorum`: a time is required, and nobody remembers DNS answers.
    QuorumTooYoung,
    /// `quorum`: it does not.
    QuorumMissed,
    /// `unanimous`: the first three get my answer.
    Unanimous,
    /// `unanimous`: not all of them.
    NotUnanimous,
    /// `mpic`: corroborated from enough places.
    MpicCorroborated,
    /// `mpic`: too many places get another answer.
    MpicDiffers,
}

impl NameRule {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            NameRule::Corroborated => "corroborated",
            NameRule::SameNetworks => "same-networks",
            NameRule::DnssecSecure => "dnssec-secure",
            NameRule::DiffersNearMe => "differs-near-me",
            NameRule::Withheld => "withheld",
            NameRule::Invented => "invented",
            NameRule::BogusNearMe => "bogus-near-me",
            NameRule::NoAnswer => "no-answer",
            NameRule::NotEnough => "not-enough",
            NameRule::Propagation => "propagation",
            NameRule::OtherAddresses => "other-addresses",
            NameRule::Unexplained => "unexplained",
            NameRule::MajorityAgrees => "majority-agrees",
            NameRule::MajorityDiffers => "majority-differs",
            NameRule::QuorumHeld => "quorum-held",
            NameRule::QuorumTooYoung => "quorum-too-young",
            NameRule::QuorumMissed => "quorum-missed",
            NameRule::Unanimous => "unanimous",
            NameRule::NotUnanimous => "not-unanimous",
            NameRule::MpicCorroborated => "mpic-corroborated",
            NameRule::MpicDiffers => "mpic-differs",
        }
    }
}

impl fmt::Display for NameRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One answer as the policy took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JudgedAnswer {
    /// Whose.
    pub vantage: VantageId,
    /// How it compares with mine.
    pub agrees: SetAgreement,
    /// What it says of mine.
    pub word: Word,
}

/// A verdict about an answer of DNS, with its rule and reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameVerdict {
    /// The conclusion: whether what I got is what everybody gets.
    pub decision: Decision,
    /// The rule that fired.
    pub rule: NameRule,
    /// Why, in plain words with counts; at least one sentence.
    pub reasons: Vec<String>,
    /// Each answer, in the order in which they came.
    pub judged: Vec<JudgedAnswer>,
    /// How many; `agree` counts the words for, `differ` the other answers that can be compared.
    pub counts: Counts,
}

impl Policy {
    /// Decides about an answer of DNS. `now` matters to `mpic` alone.
    pub fn decide_name(&self, resolution: &Resolution, now: Timestamp) -> NameVerdict {
        decide::decide(self, resolution, now)
    }
}

#[cfg(test)]
mod tests;
