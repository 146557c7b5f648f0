//! Reasons in plain words, with counts.

use super::decide::Bench;
use super::{NameRule, SetAgreement};
use crate::dns::{DnsSet, Dnssec};
use crate::verdict::Word;

pub(super) fn of(bench: &Bench<'_>, rule: NameRule) -> Vec<String> {
    let mut reasons = vec![main_reason(bench, rule)];
    reasons.extend(cache_reason(bench, rule));
    let silent = bench.asked() - bench.judged.len();
    if silent > 0 {
        reasons.push(format!("{silent} of {} asked gave no usable answer; silence speaks neither way.", bench.asked()));
    }
    let failed = bench.judged.len() - bench.answering().len();
    if failed > 0 {
        reasons.push(format!("The resolvers of {failed} that answered failed, or told more than can be compared."));
    }
    reasons
}

fn main_reason(bench: &Bench<'_>, rule: NameRule) -> String {
    let asked = bench.asked();
    let (agree, looks) = bench.tally();
    let mine = &bench.resolution.local().set;
    let same = bench.count(|judged| judged.agrees == SetAgreement::Same);
    let against = bench.count(|judged| judged.word == Word::Against);
    match rule {
        NameRule::Corroborated => format!("{same} of {asked} asked get {} too.", what(mine)),
        NameRule::SameNetworks => format!(
            "{agree} of {asked} asked are led into the networks that you are led into ({same} to the same addresses)."
        ),
        NameRule::DnssecSecure => "Your answer carries the owner's DNSSEC signature, validated here.".into(),
        NameRule::DiffersNearMe => {
            format!("{against} of {asked} asked get other records than you, and most of them the same ones.")
        }
        NameRule::Withheld => {
            format!("You are told that there is no such record; {against} of {asked} asked get some.")
        }
        NameRule::Invented => {
            format!("You get records; {against} of {asked} asked are told that there are none, or get others.")
        }
        NameRule::BogusNearMe => format!(
            "What you get fails DNSSEC: its signatures are wrong or missing. {} of {asked} asked get an answer.",
            bench.answering().len()
        ),
        NameRule::NoAnswer => format!("Your own resolver gave nothing that can be compared ({}).", failure(mine)),
        NameRule::NotEnough if asked == 0 => "Nobody was asked: no vantage point is configured.".into(),
        NameRule::NotEnough => format!(
            "{} of {asked} asked gave an answer, {agree} of them yours; that is too few for this policy.",
            bench.answering().len()
        ),
        NameRule::Propagation => {
            "The zone is changing: not all name servers or caches have its newest state yet.".into()
        }
        NameRule::OtherAddresses => format!(
            "{} of {looks} answers lead to other addresses{}. That is ordinary, as many sites answer by region, and it is what a poisoned answer looks like too.",
            looks - agree,
            if agree == 0 { ", and none into a network of yours" } else { "" }
        ),
        NameRule::Unexplained => format!(
            "{agree} of {asked} asked get what you get, {against} something else; no other answer is that of most."
        ),
        NameRule::MajorityAgrees | NameRule::MajorityDiffers | NameRule::QuorumHeld | NameRule::QuorumMissed => {
            format!("{agree} of {looks} answers are like yours.")
        }
        NameRule::QuorumTooYoung => format!(
            "{agree} of {looks} answers are like yours now; --min-duration asks for a time, and nobody remembers DNS answers."
        ),
        NameRule::Unanimous => "You and the first three get the same records.".into(),
        NameRule::NotUnanimous => "Of the first three, not all get the same records as you.".into(),
        NameRule::MpicCorroborated | NameRule::MpicDiffers => {
            format!("{agree} of {asked} perspectives corroborate your answer, {} do not.", looks - agree)
        }
    }
}

fn what(mine: &DnsSet) -> &'static str {
    if mine.records.is_empty() { "no such record" } else { "your records" }
}

fn failure(mine: &DnsSet) -> String {
    match (mine.dnssec, mine.cut) {
        (Dnssec::Bogus, _) => "its DNSSEC signatures are wrong or missing".into(),
        (_, true) => "more records than are compared".into(),
        _ => mine.rcode.clone(),
    }
}

/// What a cache near me may have to do with it.
fn cache_reason(bench: &Bench<'_>, rule: NameRule) -> Option<String> {
    let differs =
        matches!(rule, NameRule::DiffersNearMe | NameRule::Invented | NameRule::Unexplained | NameRule::Propagation);
    let ttl = bench.resolution.local().set.min_ttl.filter(|ttl| differs && *ttl > 0)?;
    Some(format!(
        "If the owner has just changed them, yours come from a cache that forgets them in {ttl} s: ask again then."
    ))
}
