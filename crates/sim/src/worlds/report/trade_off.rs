//! What a stricter or laxer default policy would win and lose: along each curve one threshold moves.

use parallax_core::Condition;

use super::super::names::{Attack, Chain, Threshold};
use super::super::results::{Ablation, Kind, Results};
use super::super::run::Plan;
use super::ablations::ablated;
use super::{honest, numbers_asked};
use crate::chart::{Chart, Curve, Panel, Point};
use crate::statistics::Proportion;

/// A threshold that moves from lax to strict, and an attack that it is there for.
struct Scale {
    name: &'static str,
    attack: Attack,
    /// `None` is the policy as it is.
    steps: &'static [Option<Ablation>],
}

const WITHOUT_WAIT: Option<Ablation> = Some(Ablation::Condition(Condition::KnownAfterDays));
const WITHOUT_MEETING: Option<Ablation> = Some(Ablation::Condition(Condition::ThirdMetMyCa));
const WITHOUT_DISSENT: Option<Ablation> = Some(Ablation::Condition(Condition::DissentHoldsBack));

const fn step(threshold: Threshold) -> Option<Ablation> {
    Some(Ablation::Threshold(threshold))
}

const SCALES: [Scale; 3] = [
    Scale {
        name: "new CA waits",
        attack: Attack::NearServer,
        steps: &[
            WITHOUT_WAIT,
            step(Threshold::KnownAfter12Hours),
            step(Threshold::KnownAfter24Hours),
            step(Threshold::KnownAfter48Hours),
            None,
            step(Threshold::KnownAfter120Hours),
            step(Threshold::KnownAfter168Hours),
        ],
    },
    Scale {
        name: "have met the CA",
        attack: Plan::ONE_LIAR,
        steps: &[
            WITHOUT_MEETING,
            step(Threshold::OneMetMyCa),
            step(Threshold::TwoMetMyCa),
            step(Threshold::ThreeMetMyCa),
        ],
    },
    Scale {
        name: "may dissent",
        attack: Attack::Hijack { captured: 50, with_me: true },
        steps: &[WITHOUT_DISSENT, step(Threshold::TwoMayDissent), step(Threshold::OneMayDissent), None],
    },
];

/// Where fewer are asked, most are all but one: hardly any threshold has room.
const FEWEST: u8 = 3;

/// A panel for each number of asked; nothing where no threshold was put otherwise.
pub(super) fn chart(results: &Results) -> Option<Chart> {
    let (policy, _) = ablated(results, Ablation::is_threshold)?;
    let panel = |asked: u8| Panel {
        title: format!("{asked} asked"),
        curves: SCALES.iter().map(|scale| curve(results, policy, scale, asked)).collect(),
    };
    Some(Chart {
        title: format!("What stricter thresholds win and lose in world {}", results.world),
        across: "honest visits undecided, %".into(),
        up: "missed (trusted), % of attacks".into(),
        panels: numbers_asked(results).into_iter().filter(|asked| *asked >= FEWEST).map(panel).collect(),
        notes: vec![
            "New CA waits, from left to right: 0, 12, 24, 48, 72 (as it is), 120 and 168 hours; missed are attackers in front \
             of the server."
                .into(),
            "Have met the CA: 0, 1, 2 (as it is where 3 or 5 are asked) and 3 (as it is of 7 and 9) of those who vouch; \
             missed: a poisoned resolver, helped by a fifth of the asked."
                .into(),
            "May dissent: any, 2, 1 and 0 (as it is) before most must remember the key long; missed: hijacks of half of \
             the asked."
                .into(),
            "Certificates of the site's own CA are left out. Vertical bars: 95 % intervals (Wilson).".into(),
        ],
    })
}

fn curve(results: &Results, policy: &str, scale: &Scale, asked: u8) -> Curve {
    // That three of three vouch is no threshold.
    let possible = |step: &&Option<Ablation>| asked > 3 || **step != Some(Ablation::Threshold(Threshold::ThreeMetMyCa));
    let point = |step: &Option<Ablation>| {
        let visits = honest(results, policy, *step, asked);
        let wanted = |kind: &Kind| {
            let attacked = (kind.asked, kind.attack) == (asked, Some(scale.attack));
            attacked && kind.is_deceived() && kind.chain != Some(Chain::SiteCa)
        };
        let attacked = results.total(policy, *step, wanted);
        let across = Proportion::new(visits.undecided, visits.visits).share?;
        let Proportion { share, low, high, .. } = Proportion::new(attacked.trusted, attacked.visits);
        Some(Point { x: 100.0 * across, y: 100.0 * share?, low: 100.0 * low, high: 100.0 * high })
    };
    Curve { name: scale.name.into(), points: scale.steps.iter().filter(possible).filter_map(point).collect() }
}
