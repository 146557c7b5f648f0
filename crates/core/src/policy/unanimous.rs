//! The rule of the Secure Mirrors proposal: local and the first three looks agree in everything.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Tally, plain_verdict, reasons};
use crate::dns::DnsAnswers;
use crate::evidence::Evidence;
use crate::id::{Fingerprint, VantageId};
use crate::observation::Met;
use crate::verdict::{Decision, Rule, Verdict};

const MIRRORS: usize = 3;

pub(super) fn decide(evidence: &Evidence) -> Verdict {
    let tally = Tally::of(evidence);
    let Some(mine) = tally.mine else {
        return plain_verdict(evidence, Decision::Undecided, Rule::NotEnough, vec![reasons::no_key(evidence)]);
    };
    let Some(looks) = tally.looks.get(..MIRRORS) else {
        let reason = format!(
            "{} of {} asked saw a key; this policy wants {MIRRORS}.",
            tally.looks.len(),
            evidence.asked().len()
        );
        return plain_verdict(evidence, Decision::Undecided, Rule::NotEnough, vec![reason]);
    };
    let others = |differs: &dyn Fn(&DnsAnswers, &Met) -> bool| {
        looks.iter().filter(|(view, met)| differs(&view.look.dns, met)).count()
    };
    let local = addresses(evidence.local_dns());
    let mut found = Vec::new();
    let mut note = |count: usize, what: &str| {
        if count > 0 {
            found.push(format!("{count} of the first {MIRRORS} looks {what}."));
        }
    };
    note(others(&|dns, _| addresses(dns) != local), "got other addresses from DNS than you");
    note(others(&|_, met| issuer(met) != issuer(mine)), "met a certificate of another issuer key");
    let locally = usize::from(!is_authorised(evidence.local_dns(), mine));
    note(
        others(&|dns, _| !is_authorised(dns, mine)) + locally,
        "(your own included) got a record that names another CA",
    );
    if found.is_empty() {
        let reason = format!("You and the first {MIRRORS} looks have the same addresses and the same issuer key.");
        plain_verdict(evidence, Decision::Trusted, Rule::Unanimous, vec![reason])
    } else {
        plain_verdict(evidence, Decision::Distrusted, Rule::NotUnanimous, found)
    }
}

pub(super) fn is_settled(evidence: &Evidence, open: &[VantageId]) -> bool {
    let tally = Tally::of(evidence);
    tally.mine.is_none() || tally.looks.len() >= MIRRORS || tally.looks.len() + open.len() < MIRRORS
}

/// The A set; where there is none, the AAAA set.
fn addresses(dns: &DnsAnswers) -> BTreeSet<IpAddr> {
    let a: BTreeSet<IpAddr> = dns.a.iter().flatten().copied().map(IpAddr::V4).collect();
    if a.is_empty() { dns.aaaa.iter().flatten().copied().map(IpAddr::V6).collect() } else { a }
}

fn issuer(met: &Met) -> Fingerprint {
    met.issuer_key.unwrap_or(met.key)
}

/// Where a record exists, it must hold a key of my chain; where there is none or the lookup failed, nothing is asked.
fn is_authorised(dns: &DnsAnswers, mine: &Met) -> bool {
    dns.record().is_none_or(|record| {
        record.is_empty() || record.leaf.contains(&mine.key) || mine.path.iter().any(|key| record.ca.contains(key))
    })
}
