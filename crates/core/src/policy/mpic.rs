//! Multi-perspective issuance corroboration: CA/Browser Forum Baseline Requirements section 3.2.2.9.

use std::collections::BTreeSet;

use super::{Tally, plain_verdict, reasons};
use crate::evidence::Evidence;
use crate::id::VantageId;
use crate::time::Timestamp;
use crate::verdict::{Decision, Rule, Verdict};

/// The steps of the ballot: from when, how many remote perspectives at least.
const LEAST: [(i64, usize); 3] = [
    (1_773_532_800, 3), // 2026-03-15
    (1_781_481_600, 4), // 2026-06-15
    (1_797_292_800, 5), // 2026-12-15
];

/// How many must be asked at least, at this moment.
pub fn least_asked(now: Timestamp) -> usize {
    LEAST.iter().rev().find(|(from, _)| now >= Timestamp::from_unix_secs(*from)).map_or(2, |(_, least)| *least)
}

/// How many may fail to corroborate.
pub(crate) fn quorum_slack(asked: usize) -> usize {
    if asked >= 6 { 2 } else { 1 }
}

struct Standing {
    asked: usize,
    agree: usize,
    differ: usize,
    rirs: usize,
    least: usize,
}

impl Standing {
    fn of(evidence: &Evidence, tally: &Tally<'_>, now: Timestamp) -> Self {
        let agreeing = |vantage: VantageId| {
            tally
                .looks
                .iter()
                .any(|(view, met)| view.vantage == vantage && tally.mine.is_some_and(|mine| mine.key == met.key))
        };
        let rirs =
            evidence.asked().iter().filter(|asked| agreeing(asked.vantage)).filter_map(|asked| asked.rir.as_deref());
        Self {
            asked: evidence.asked().len(),
            agree: tally.agree,
            differ: tally.differ(),
            rirs: rirs.collect::<BTreeSet<_>>().len(),
            least: least_asked(now),
        }
    }

    fn decision(&self) -> Decision {
        let slack = quorum_slack(self.asked);
        if self.differ > slack {
            Decision::Distrusted
        } else if self.asked >= self.least && self.agree + slack >= self.asked && self.agree > 0 && self.rirs >= 2 {
            Decision::Trusted
        } else {
            Decision::Undecided
        }
    }

    fn reasons(&self) -> Vec<String> {
        let Self { asked, agree, differ, rirs, least } = self;
        let mut reasons = vec![format!(
            "{agree} of {asked} perspectives corroborate your key, {differ} see another; {} may fail.",
            quorum_slack(*asked)
        )];
        if asked < least {
            reasons.push(format!("At this date at least {least} perspectives must be asked."));
        }
        if *rirs < 2 {
            reasons.push(format!("The corroborating ones stand in {rirs} known registry region(s); 2 are needed."));
        }
        reasons
    }
}

pub(super) fn decide(evidence: &Evidence, now: Timestamp) -> Verdict {
    let tally = Tally::of(evidence);
    if tally.mine.is_none() {
        return plain_verdict(evidence, Decision::Undecided, Rule::NotEnough, vec![reasons::no_key(evidence)]);
    }
    let standing = Standing::of(evidence, &tally, now);
    let decision = standing.decision();
    let rule = match decision {
        Decision::Trusted => Rule::MpicCorroborated,
        Decision::Distrusted => Rule::MpicDiffers,
        Decision::Undecided => Rule::NotEnough,
    };
    plain_verdict(evidence, decision, rule, standing.reasons())
}

pub(super) fn is_settled(evidence: &Evidence, open: &[VantageId], now: Timestamp) -> bool {
    let tally = Tally::of(evidence);
    if tally.mine.is_none() {
        return true;
    }
    let standing = Standing::of(evidence, &tally, now);
    let slack = quorum_slack(standing.asked);
    let hopeless = standing.agree + open.len() + slack < standing.asked || standing.asked < standing.least;
    match standing.decision() {
        Decision::Trusted | Decision::Distrusted => true,
        Decision::Undecided => hopeless && standing.differ + open.len() <= slack,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_the_ballot() {
        for (date, wanted) in [
            ("2026-03-14T23:59:59Z", 2),
            ("2026-03-15T00:00:00Z", 3),
            ("2026-06-15T00:00:00Z", 4),
            ("2026-12-14T23:59:59Z", 4),
            ("2026-12-15T00:00:00Z", 5),
        ] {
            assert_eq!(least_asked(date.parse().unwrap()), wanted, "{date}");
        }
        assert_eq!([2, 5, 6, 9].map(quorum_slack), [1, 1, 2, 2]);
    }
}
