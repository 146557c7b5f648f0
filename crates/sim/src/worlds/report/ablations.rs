//! What each part of a policy is worth: what it costs to be without.

use std::collections::BTreeSet;

use super::super::names::Cell as Drawn;
use super::super::results::{Ablation, Kind, Results, Tally};
use super::{Cell, Table, attacks_with, deceived, distrusted, honest, main_number, overview, text, trusted, undecided};

/// A row for each ablation, the whole policy first; nothing where nothing was taken away.
pub(super) fn table(results: &Results) -> Option<Table> {
    let ablated: BTreeSet<(&str, Ablation)> =
        results.rows.iter().filter_map(|row| Some((row.policy.as_str(), row.without?))).collect();
    let (policy, _) = ablated.first().copied()?;
    let asked = main_number(results);
    let whole = Judged::new(results, policy, None, asked);
    let mut rows = vec![whole.row("the whole", &whole)];
    for (_, ablation) in ablated.iter().filter(|(of, _)| *of == policy) {
        rows.push(Judged::new(results, policy, Some(*ablation), asked).row(ablation.as_str(), &whole));
    }
    let titles = ["without", "distrusted", "undecided", "near me", "f = 0.2", "f = 0.5", "f = 0.8", "worst", "where"];
    Some(Table {
        name: "ablations".into(),
        title: format!(
            "{policy} without one of its parts: honest visits distrusted and undecided, attacks missed, {asked} asked, \
             %; worst is the largest loss anywhere, all attacks looked at, in points"
        ),
        columns: titles.map(String::from).to_vec(),
        rows,
    })
}

/// As much of the table as a screen has room for.
pub(super) fn glance(results: &Results) -> Option<Table> {
    const SHOWN: [&str; 5] = ["without", "distrusted", "undecided", "worst", "where"];
    let whole = table(results)?;
    let places: Vec<usize> =
        SHOWN.iter().filter_map(|title| whole.columns.iter().position(|one| one == title)).collect();
    let pick = |row: &Vec<Cell>| places.iter().filter_map(|place| row.get(*place).cloned()).collect();
    let rows = whole.rows.iter().map(pick).collect();
    let title = whole.title.replace("attacks missed, ", "");
    Some(Table { columns: SHOWN.map(String::from).to_vec(), rows, title, ..whole })
}

/// What one ablation makes of the visits.
struct Judged {
    figures: Vec<Cell>,
    /// Everything that should be small, by name.
    costs: Vec<(String, f64)>,
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
        let mut costs = vec![
            ("distrusted".to_string(), percent(honest.distrusted, &honest)),
            ("undecided".to_string(), percent(honest.undecided, &honest)),
        ];
        for attack in attacks_with(&own, asked) {
            let tally = |stranger: bool| {
                let wanted =
                    |kind: &Kind| (kind.asked, kind.attack, kind.is_deceived()) == (asked, Some(attack), stranger);
                own.total(policy, without, wanted)
            };
            let (deceived, spared) = (tally(true), tally(false));
            costs.push((attack.to_string(), percent(deceived.trusted, &deceived)));
            if attack.spares_the_user() {
                costs.push((format!("{attack}, distrusted"), percent(spared.distrusted, &spared)));
            }
        }
        Self { figures, costs }
    }

    fn row(&self, name: &str, whole: &Judged) -> Vec<Cell> {
        let losses = self.costs.iter().zip(&whole.costs).map(|(own, whole)| (own.0.as_str(), own.1 - whole.1));
        // Of equal losses the first: what honest users lose.
        let (place, loss) = losses.rev().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(("", 0.0));
        let place = if loss > 0.0 { place } else { "-" };
        std::iter::once(text(name))
            .chain(self.figures.iter().cloned())
            .chain([Cell::Points(Some(loss)), text(place)])
            .collect()
    }
}

fn percent(hits: u64, tally: &Tally) -> f64 {
    if tally.visits == 0 { 0.0 } else { 100.0 * hits as f64 / tally.visits as f64 }
}
