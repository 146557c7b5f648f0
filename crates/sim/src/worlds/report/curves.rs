//! Missed attacks over the share of captured vantage points: a panel for each number of asked, a curve for each policy.

use super::super::names::{Attack, Cell as Drawn};
use super::super::results::{Results, Tally};
use super::attacks::{is_on_the_curve, realised};
use super::{attacks_with, deceived, numbers_asked, policies};
use crate::chart::{Chart, Curve, Panel, Point};
use crate::statistics::Proportion;

pub(super) fn chart(results: &Results) -> Chart {
    let panel = |asked: u8| Panel {
        title: format!("{asked} asked"),
        curves: policies(results).into_iter().map(|policy| curve(results, policy, asked)).collect(),
    };
    Chart {
        title: format!("Missed attacks in world {}", results.world),
        across: "vantage points captured, % of the asked".into(),
        up: "missed (trusted), % of attacks".into(),
        panels: numbers_asked(results).into_iter().map(panel).collect(),
        notes: vec![
            "Vertical bars: 95 % intervals (Wilson). The user is captured at every point. At 0: an attacker near the user; \
             at 100: a more specific prefix."
                .into(),
        ],
    }
}

fn curve(results: &Results, policy: &str, asked: u8) -> Curve {
    let attacks = attacks_with(results, asked).into_iter().filter(is_on_the_curve);
    let tally = |attack: Attack| deceived(results, policy, None, Drawn { asked, attack: Some(attack) });
    let mut points: Vec<Point> = attacks.filter_map(|attack| point(attack, &tally(attack))).collect();
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    Curve { name: policy.into(), points }
}

fn point(attack: Attack, tally: &Tally) -> Option<Point> {
    let Proportion { share, low, high, .. } = Proportion::new(tally.trusted, tally.visits);
    let x = match attack {
        Attack::SubPrefix => 1.0,
        Attack::Hijack { .. } => realised(tally),
        _ => 0.0,
    };
    Some(Point { x: 100.0 * x, y: 100.0 * share?, low: 100.0 * low, high: 100.0 * high })
}
