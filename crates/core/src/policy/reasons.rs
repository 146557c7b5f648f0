//! Reasons in plain words, with counts.

use std::time::Duration;

use super::evidence::{Bench, Sense};
use super::upgrade;
use crate::evidence::Evidence;
use crate::observation::Outcome;
use crate::scheme::Scheme;
use crate::verdict::{Rule, Word};

/// Why there is no key of my own to compare.
pub(super) fn no_key(evidence: &Evidence) -> String {
    if let Some(reason) = upgrade::no_key(evidence) {
        return reason;
    }
    let look = &evidence.local().now;
    match (look.outcome, &look.met) {
        (Outcome::Seen, Some(met)) => format!(
            "Your own look saw a certificate ({}), but the server did not prove that it holds the key.",
            met.protocol
        ),
        (outcome, _) => format!("Your own look met no key: {}.", outcome.sentence()),
    }
}

/// A length of time as people say it: the largest unit of which there are at least two.
pub(super) fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// The reasons of the default policy.
pub(super) fn of(bench: &Bench<'_>, rule: Rule) -> Vec<String> {
    let mut reasons = vec![main_reason(bench, rule)];
    if bench.mine.is_none() && rule == Rule::NotEnough {
        return reasons;
    }
    let failed = bench.views.len() - bench.count(|sense| sense.looks);
    let silent = bench.evidence.asked().len() - bench.views.len();
    if silent > 0 {
        reasons.push(format!(
            "{silent} of {} asked gave no usable answer or were not waited for; silence speaks neither way.",
            asked(bench)
        ));
    }
    let shown_another = bench.count(|sense| sense.shown_another);
    if shown_another > 0 {
        reasons.push(format!(
            "{shown_another} of those that vouch are shown another key at your address now; they met yours within a day, or read it in the owner's record."
        ));
    }
    if failed > 0 {
        reasons.push(format!("The looks of {failed} that answered failed."));
    }
    if bench.regions() < 2 && asked(bench) > 0 {
        reasons.push("The vantage points name fewer than two regions, so one region could speak for all.".into());
    }
    reasons
}

fn asked(bench: &Bench<'_>) -> usize {
    bench.evidence.asked().len()
}

fn main_reason(bench: &Bench<'_>, rule: Rule) -> String {
    let asked = asked(bench);
    let count = |what: fn(&Sense) -> bool| bench.count(what);
    let vouching = count(|sense| sense.word == Word::For);
    let against = count(|sense| sense.word == Word::Against);
    let seeing = count(|sense| sense.shows_mine);
    match rule {
        Rule::Corroborated => format!("{seeing} of {asked} asked see the key that you see."),
        Rule::DiverseAuthorised => format!(
            "{vouching} of {asked} asked vouch for your key or its CA; others are served other keys, and the owner's record in DNS names yours ({} of them read it).",
            count(|sense| sense.names)
        ),
        Rule::DiverseConsistent => format!(
            "{vouching} of {asked} asked vouch for your key; {} see another now, and none of them speaks against yours.",
            count(|sense| sense.looks && !sense.shows_mine)
        ),
        Rule::MitmNearMe if bench.mine.is_none() && bench.evidence.local().now.lacks_upgrade() => {
            no_key(bench.evidence)
        }
        Rule::MitmNearMe if bench.mine.is_none() => {
            let protocol = bench.evidence.service().scheme().protocol();
            format!(
                "What answers you does not speak {protocol}; {} of {asked} asked meet {protocol} there.",
                count(|sense| sense.looks_now)
            )
        }
        Rule::MitmNearMe => format!(
            "{} of {asked} asked see another key at the very address that you reached, and nobody sees yours: somebody between you and the network answers in the server's place.",
            count(|sense| sense.dissents)
        ),
        Rule::DnsDiverted => format!(
            "{against} of {asked} asked are led elsewhere by their DNS and meet a certificate of a public CA there; you were led to a server without one."
        ),
        Rule::PartialHijack => format!(
            "{} of {asked} asked see a key of another CA at your address, {vouching} vouch for yours: the network is divided.",
            count(|sense| sense.dissents_under_another_ca)
        ),
        Rule::UnauthorisedCa => format!(
            "The owner's records in DNS, as {} of {asked} asked read them, name other keys than those of your certificate.",
            count(|sense| sense.excludes)
        ),
        Rule::Revoked => format!(
            "The owner's record in DNS named your certificate's CA until lately and no longer does ({} of {asked} asked).",
            count(|sense| sense.left)
        ),
        Rule::StablePrivate => format!(
            "Too few can look now, but {} of {asked} asked have known this private key for days.",
            count(|sense| sense.remembers_long)
        ),
        // A host key has no CA, and no record speaks for it.
        Rule::GlobalChange if bench.evidence.service().scheme() == Scheme::Ssh => format!(
            "{vouching} of {asked} asked see your key too, but it is new to {}: whoever controls the way to the server would be seen by all alike. Only time can tell.",
            count(|sense| sense.finds_ca_new)
        ),
        Rule::GlobalChange => format!(
            "{vouching} of {asked} asked see your key too, but its CA is new to {}: whoever controls the way to the server would be seen by all alike. Only time or the owner's record in DNS can tell.",
            count(|sense| sense.finds_ca_new)
        ),
        Rule::NotEnough if bench.mine.is_none() => no_key(bench.evidence),
        Rule::NotEnough if asked == 0 && !bench.evidence.asked_notaries().is_empty() => {
            "Nobody was asked who can vouch for a key.".into()
        }
        Rule::NotEnough if asked == 0 => "Nobody was asked: no vantage point is configured.".into(),
        Rule::NotEnough => format!(
            "{} of {asked} asked could look or have seen your key within a day; more than half, and at least 2, are needed.",
            count(|sense| sense.counts)
        ),
        _ => format!(
            "{vouching} of {asked} asked vouch for your key, {against} speak against it; the views do not fit together."
        ),
    }
}
