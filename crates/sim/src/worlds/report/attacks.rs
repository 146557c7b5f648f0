//! What happens to those who are attacked.

use parallax_core::Rule;

use super::super::names::{Attack, Cell as Drawn, Chain};
use super::super::results::{Kind, Results, Tally};
use super::{
    Cell, Table, attacks_with, deceived, distrusted, main_number, numbers_asked, policies, text, trusted, undecided,
};
use crate::statistics::Proportion;

/// Attacks that are missed, by what the attacker's certificate is worth.
pub(super) fn missed(results: &Results) -> Table {
    let asked = main_number(results);
    let mut rows = Vec::new();
    for attack in attacks_with(results, asked) {
        for chain in Chain::ALL {
            let tally = |policy: &&str| {
                results.total(policy, None, |kind| {
                    kind.is_deceived() && (kind.asked, kind.attack, kind.chain) == (asked, Some(attack), Some(chain))
                })
            };
            let tallies: Vec<Tally> = policies(results).iter().map(tally).collect();
            let visits = tallies.first().map_or(0, |tally| tally.visits);
            if visits > 0 {
                let first = [text(attack.to_string()), text(chain.to_string()), Cell::Count(visits)];
                rows.push(first.into_iter().chain(tallies.iter().map(trusted)).collect());
            }
        }
    }
    Table {
        name: "missed".into(),
        title: format!("Attacks that are missed (trusted), {asked} asked, %"),
        columns: columns(&["attack", "certificate", "visits"], results),
        rows,
    }
}

/// What attacks do to users who meet the site itself.
pub(super) fn spared(results: &Results) -> Vec<Table> {
    let asked = main_number(results);
    let spared: Vec<Attack> =
        attacks_with(results, asked).into_iter().filter(|attack| attack.spares_the_user()).collect();
    let each = |name: &str, count: fn(&Tally) -> Cell| {
        let rows = spared.iter().map(|attack| {
            let tally = |policy: &&str| {
                let wanted = |kind: &Kind| !kind.is_deceived() && (kind.asked, kind.attack) == (asked, Some(*attack));
                results.total(policy, None, wanted)
            };
            let tallies: Vec<Tally> = policies(results).iter().map(tally).collect();
            let visits = tallies.first().map_or(0, |tally| tally.visits);
            let first = [text(attack.to_string()), Cell::Count(visits)];
            first.into_iter().chain(tallies.iter().map(count)).collect()
        });
        Table {
            name: format!("spared {name}"),
            title: format!("Users who meet the site itself amid an attack on others: {name}, {asked} asked, %"),
            columns: columns(&["attack", "visits"], results),
            rows: rows.collect(),
        }
    };
    vec![each("distrusted", distrusted), each("undecided", undecided)]
}

/// Hijacks that capture the user: missed over the share of captured vantage points, for each number of asked.
pub(super) fn by_share(results: &Results) -> Table {
    let mut rows = Vec::new();
    for asked in numbers_asked(results) {
        for attack in attacks_with(results, asked).into_iter().filter(is_on_the_curve) {
            let drawn = Drawn { asked, attack: Some(attack) };
            let tallies: Vec<Tally> =
                policies(results).iter().map(|policy| deceived(results, policy, None, drawn)).collect();
            let first = tallies.first().cloned().unwrap_or_default();
            let realised = 100.0 * realised(&first);
            let row = [Cell::Count(asked.into()), text(attack.to_string()), Cell::Mean(Some(realised))];
            let row = row.into_iter().chain([Cell::Count(first.visits)]);
            rows.push(row.chain(tallies.iter().map(trusted)).collect());
        }
    }
    Table {
        name: "hijacks".into(),
        title: "Attacks that are missed (trusted) over the share of the asked vantage points that is captured, %"
            .into(),
        columns: columns(&["asked", "attack", "captured", "visits"], results),
        rows,
    }
}

/// Near the user nobody else is captured; by a more specific prefix everybody is.
pub(super) fn is_on_the_curve(attack: &Attack) -> bool {
    matches!(attack, Attack::NearMe { resolver: false } | Attack::Hijack { with_me: true, .. } | Attack::SubPrefix)
}

/// The share of the asked, 0 to 1, that was truly captured.
pub(super) fn realised(tally: &Tally) -> f64 {
    if tally.asked == 0 { 0.0 } else { tally.captured as f64 / tally.asked as f64 }
}

/// A table for each policy: which rule speaks of which attack.
pub(super) fn rules(results: &Results) -> Vec<Table> {
    policies(results).into_iter().map(|policy| rules_of(results, policy)).collect()
}

fn rules_of(results: &Results, policy: &str) -> Table {
    let asked = main_number(results);
    let whole = results.total(policy, None, |kind| kind.asked == asked);
    let fired: Vec<Rule> = whole.rules.keys().copied().collect();
    let attacks = attacks_with(results, asked).into_iter().map(Some);
    let rows = std::iter::once(None).chain(attacks).map(|attack| {
        let tally = results.total(policy, None, |kind| (kind.asked, kind.attack) == (asked, attack));
        let share = |rule: &Rule| {
            let hits = tally.rules.get(rule).copied().unwrap_or_default();
            Cell::Share(Proportion::new(hits, tally.visits))
        };
        let name = attack.map_or("none".into(), |attack| attack.to_string());
        [text(name), Cell::Count(tally.visits)].into_iter().chain(fired.iter().map(share)).collect()
    });
    Table {
        name: format!("rules {policy}"),
        title: format!("Which rule of {policy} fires under which attack, {asked} asked, %"),
        rows: rows.collect(),
        columns: ["attack", "visits"]
            .map(String::from)
            .into_iter()
            .chain(fired.iter().map(|rule| rule.as_str().into()))
            .collect(),
    }
}

fn columns(first: &[&str], results: &Results) -> Vec<String> {
    first.iter().copied().chain(policies(results)).map(String::from).collect()
}
