//! What each part of a policy is worth: what it costs to be without, or to have a threshold put otherwise.

use std::collections::BTreeSet;

use super::super::names::{Attack, Cell as Drawn, SiteClass};
use super::super::results::{Ablation, Kind, Results, Tally};
use super::super::run::Plan;
use super::super::scenario::Truth;
use super::{
    Cell, Table, attacks_with, deceived, distrusted, honest, main_number, numbers_asked, overview, text, trusted,
    undecided,
};

/// A row for each part that was taken away, the whole policy first; nothing where nothing was.
pub(super) fn table(results: &Results) -> Option<Table> {
    let (policy, ablated) = ablated(results, |ablation| !ablation.is_threshold())?;
    let asked = main_number(results);
    let whole = Judged::new(results, policy, None, asked);
    let rows = std::iter::once(whole.row("the whole", &whole)).chain(
        ablated.into_iter().map(|part| Judged::new(results, policy, Some(part), asked).row(part.as_str(), &whole)),
    );
    let titles = [
        "without",
        "distrusted",
        "undecided",
        "near me",
        "f = 0.2",
        "f = 0.5",
        "f = 0.8",
        "worst",
        "where",
        "fewer blocked",
        "of",
    ];
    Some(Table {
        name: "ablations".into(),
        title: format!(
            "{policy} without one of its parts: honest visits distrusted and undecided, attacks missed, {asked} asked, \
             %; worst is the largest loss anywhere, all classes of sites and attacks looked at, in points; fewer blocked: \
             by how many points fewer visits to an attacker are distrusted, and of which attack"
        ),
        columns: titles.map(String::from).to_vec(),
        rows: rows.collect(),
    })
}

/// As much of the table as a screen has room for.
pub(super) fn glance(results: &Results) -> Option<Table> {
    const SHOWN: [&str; 3] = ["without", "worst", "where"];
    let whole = table(results)?;
    let places: Vec<usize> =
        SHOWN.iter().filter_map(|title| whole.columns.iter().position(|one| one == title)).collect();
    let pick = |row: &Vec<Cell>| places.iter().filter_map(|place| row.get(*place).cloned()).collect();
    let rows = whole.rows.iter().map(pick).collect();
    let asked = main_number(results);
    let title =
        format!("the default policy without one of its parts, {asked} asked: the largest loss anywhere, in points");
    Some(Table { columns: SHOWN.map(String::from).to_vec(), rows, title, ..whole })
}

/// A row for each threshold put otherwise and number of asked, that of the policy first.
pub(super) fn thresholds(results: &Results) -> Option<Table> {
    let (policy, ablated) = ablated(results, Ablation::is_threshold)?;
    let attacks = [
        ("poisoned resolver, one liar", Plan::ONE_LIAR),
        ("f = 0.5", Attack::Hijack { captured: 50, with_me: true }),
        ("f = 0.8", Attack::Hijack { captured: 80, with_me: true }),
        ("f = 1", Attack::SubPrefix),
        ("at server", Attack::NearServer),
    ];
    let mut rows = Vec::new();
    for asked in numbers_asked(results) {
        for part in std::iter::once(None).chain(ablated.iter().copied().map(Some)) {
            let visits = honest(results, policy, part, asked);
            let name = part.map_or("as it is", Ablation::as_str);
            let missed = attacks
                .map(|(_, attack)| trusted(&deceived(results, policy, part, Drawn { asked, attack: Some(attack) })));
            let first = [Cell::Count(asked.into()), text(name), distrusted(&visits), undecided(&visits)];
            rows.push(first.into_iter().chain(missed).collect());
        }
    }
    let titles = ["asked", "threshold", "distrusted", "undecided"].into_iter().chain(attacks.map(|(name, _)| name));
    Some(Table {
        name: "thresholds".into(),
        title: format!(
            "{policy} with one threshold put otherwise: honest visits distrusted and undecided, attacks missed, %"
        ),
        columns: titles.map(String::from).collect(),
        rows,
    })
}

/// The policy that was tried without something, and without what.
pub(super) fn ablated(results: &Results, wanted: impl Fn(Ablation) -> bool) -> Option<(&str, Vec<Ablation>)> {
    let all: BTreeSet<(&str, Ablation)> =
        results.rows.iter().filter_map(|row| Some((row.policy.as_str(), row.without?))).collect();
    let (policy, _) = all.first().copied()?;
    let those = all.into_iter().filter(|(of, part)| *of == policy && wanted(*part)).map(|(_, part)| part);
    Some((policy, those.collect())).filter(|(_, those): &(&str, Vec<Ablation>)| !those.is_empty())
}

/// What one ablation makes of the visits.
struct Judged {
    figures: Vec<Cell>,
    /// Everything that should be small, by name.
    costs: Vec<(String, f64)>,
    /// How many visits to an attacker are blocked, by attack.
    blocked: Vec<(String, f64)>,
}

impl Judged {
    fn new(results: &Results, policy: &str, without: Option<Ablation>, asked: u8) -> Self {
        let rows = results.rows.iter().filter(|row| row.policy == policy && row.without == without);
        let own = Results { rows: rows.cloned().collect(), ..Results::default() };
        let honest = honest(&own, policy, without, asked);
        let missed = overview::shown().map(|attack| {
            let drawn = Drawn { asked, attack: Some(attack) };
            trusted(&deceived(&own, policy, without, drawn))
        });
        let figures = [distrusted(&honest), undecided(&honest)].into_iter().chain(missed).collect();
        let total =
            |wanted: &dyn Fn(&Kind) -> bool| own.total(policy, without, |kind| kind.asked == asked && wanted(kind));
        let mut costs = vec![
            ("distrusted".to_string(), percent(honest.distrusted, &honest)),
            ("undecided".to_string(), percent(honest.undecided, &honest)),
        ];
        for class in SiteClass::ALL {
            let visits = total(&|kind| kind.is_honest() && kind.class == Some(class));
            costs.push((format!("{class}, distrusted"), percent(visits.distrusted, &visits)));
            costs.push((format!("{class}, undecided"), percent(visits.undecided, &visits)));
        }
        let mut blocked = Vec::new();
        for attack in attacks_with(&own, asked) {
            let of = |kind: &Kind| kind.attack == Some(attack);
            let deceived = total(&|kind| of(kind) && kind.is_deceived());
            costs.push((attack.to_string(), percent(deceived.trusted, &deceived)));
            if attack.spares_the_user() {
                let spared = total(&|kind| of(kind) && !kind.is_deceived());
                costs.push((format!("{attack}, distrusted"), percent(spared.distrusted, &spared)));
            } else {
                let met = total(&|kind| of(kind) && kind.truth != Truth::Owner);
                blocked.push((attack.to_string(), percent(met.distrusted, &met)));
            }
        }
        Self { figures, costs, blocked }
    }

    fn row(&self, name: &str, whole: &Judged) -> Vec<Cell> {
        let worst = largest(&self.costs, &whole.costs);
        let fewer = largest(&whole.blocked, &self.blocked);
        std::iter::once(text(name)).chain(self.figures.iter().cloned()).chain(worst).chain(fewer).collect()
    }
}

/// By how much a figure is larger than it was, at most, and which; of equal ones the first.
fn largest(now: &[(String, f64)], before: &[(String, f64)]) -> [Cell; 2] {
    let losses = now.iter().zip(before).map(|(now, before)| (now.0.as_str(), now.1 - before.1));
    let (place, loss) = losses.rev().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(("", 0.0));
    [Cell::Points(Some(loss)), text(if loss > 0.0 { place } else { "-" })]
}

fn percent(hits: u64, tally: &Tally) -> f64 {
    if tally.visits == 0 { 0.0 } else { 100.0 * hits as f64 / tally.visits as f64 }
}
