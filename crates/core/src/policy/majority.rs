//! Panorama's rule: the share of looks with my key.

use super::{Share, Tally, plain_verdict};
use crate::evidence::Evidence;
use crate::notary;
use crate::verdict::{Decision, Rule, Verdict};

pub(super) fn decide(evidence: &Evidence, threshold: Share, min_views: usize) -> Verdict {
    let tally = Tally::of(evidence);
    let (by_md5, not_by_md5) = notary::tally(evidence);
    let (agree, looks) = (tally.agree + by_md5, tally.looks.len() + by_md5 + not_by_md5);
    if tally.mine.is_none() {
        return plain_verdict(evidence, Decision::Undecided, Rule::NotEnough, vec![super::reasons::no_key(evidence)]);
    }
    if looks < min_views.max(1) {
        let reason = format!(
            "{looks} of {} asked saw a key; this policy wants at least {}.",
            evidence.asked().len() + evidence.asked_notaries().len(),
            min_views.max(1)
        );
        return plain_verdict(evidence, Decision::Undecided, Rule::NotEnough, vec![reason]);
    }
    let reason = format!("{agree} of {looks} looks show the key that you see; the threshold is {threshold}.");
    if threshold.is_reached(agree, looks) {
        plain_verdict(evidence, Decision::Trusted, Rule::MajorityAgrees, vec![reason])
    } else {
        plain_verdict(evidence, Decision::Distrusted, Rule::MajorityDiffers, vec![reason])
    }
}

/// `open` is how many more looks may come.
pub(super) fn is_settled(evidence: &Evidence, threshold: Share, min_views: usize, open: usize) -> bool {
    let tally = Tally::of(evidence);
    let (by_md5, not_by_md5) = notary::tally(evidence);
    let (agree, looks) = (tally.agree + by_md5, tally.looks.len() + by_md5 + not_by_md5);
    let least = min_views.max(1);
    if tally.mine.is_none() || looks + open < least {
        return true;
    }
    let surely = threshold.is_reached(agree, looks + open);
    let never = !threshold.is_reached(agree + open, looks + open);
    looks >= least && (surely || never)
}
