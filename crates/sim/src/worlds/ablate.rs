//! The evidence without a part of it: what that part is worth.

use parallax_core::{Asked, Decision, DnsAnswers, Evidence, History, Policy, Rule, Testimony, Timestamp, Variation};

use super::results::Ablation;

/// What the default policy concludes without what an ablation takes away.
pub(super) fn conclude_without(
    policy: &Policy,
    ablation: Ablation,
    evidence: &Evidence,
    now: Timestamp,
) -> (Decision, Rule) {
    match ablation {
        Ablation::Condition(condition) => policy.conclude_varied(Variation::Without(condition), evidence, now),
        Ablation::Threshold(threshold) => policy.conclude_varied(threshold.variation(), evidence, now),
        part => policy.conclude(&without(evidence, part), now),
    }
}

/// The same evidence without a part of it.
fn without(evidence: &Evidence, ablation: Ablation) -> Evidence {
    let mut local = evidence.local().clone();
    if ablation == Ablation::Authorisation {
        local.dns = unauthorised(&local.dns);
    }
    let mut changed = Evidence::new(evidence.service().clone(), local, evidence.started());
    for asked in evidence.asked() {
        let region = asked.region.clone().filter(|_| ablation != Ablation::Regions);
        changed.ask(Asked { region, ..asked.clone() });
    }
    for view in evidence.views() {
        changed.add(testimony_without(view.clone(), ablation));
    }
    changed
}

fn testimony_without(mut view: Testimony, ablation: Ablation) -> Testimony {
    match ablation {
        Ablation::CrossChecks => view.there = None,
        Ablation::History => view.history = History::default(),
        Ablation::Authorisation => {
            view.look.dns = unauthorised(&view.look.dns);
            view.history.authority.clear();
        }
        Ablation::Regions | Ablation::Condition(_) | Ablation::Threshold(_) => {}
    }
    view
}

/// As if nobody had asked for records.
fn unauthorised(dns: &DnsAnswers) -> DnsAnswers {
    DnsAnswers { ca: None, tlsa: None, ..dns.clone() }
}
