//! What came of the visits, and how it compares.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use parallax_core::{Policy, VantageId};
use parallax_sim::worlds::{Gathered, Scenario};
use serde_json::Value;

use crate::sample::{Drawn, Sample, Trait};
use crate::support::Run;

/// One visit that was staged and checked.
pub(crate) struct Checked {
    labels: Vec<String>,
    replay: String,
    /// All answers were waited for.
    whole: bool,
    expected: String,
    actual: String,
    json: Value,
    stderr: String,
    took: Duration,
}

impl Checked {
    /// Compares what the command printed with what the simulation concludes. With all answers in, that is the decision, the
    /// rule, and of each of the `asked` how its look compares with the user's and what it says; else the decision alone.
    pub(crate) fn of(drawn: &Drawn, asked: &[VantageId], whole: bool, run: &Run, took: Duration) -> Self {
        let scenario = &drawn.scenario;
        let event = scenario.event.map_or("none".to_owned(), |(kind, _)| kind.to_string());
        let attack = scenario.attack.map_or("none".to_owned(), |(attack, ..)| attack.to_string());
        let mut labels =
            vec![format!("class {}", scenario.class), format!("event {event}"), format!("attack {attack}")];
        labels.extend(Trait::all_of(scenario).map(|one| format!("trait {}", one.as_str())));
        let json = if run.stdout.is_empty() { Value::Null } else { run.json() };
        let (expected, actual) = match whole {
            true => (simulated(scenario), printed(&json, asked)),
            false => (decision(&simulated(scenario)), decision(&printed(&json, asked))),
        };
        Self {
            labels,
            replay: format!("mixture {} visit {}", drawn.mixture, serde_json::to_string(&scenario.visit).unwrap()),
            whole,
            expected,
            actual,
            json,
            stderr: run.stderr.clone(),
            took,
        }
    }

    pub(crate) fn is_equal(&self) -> bool {
        self.expected == self.actual
    }

    pub(crate) fn mismatch(&self) -> String {
        let (replay, labels) = (&self.replay, self.labels.join(", "));
        let (expected, actual) = (&self.expected, &self.actual);
        format!(
            "{replay} [{labels}]\n  simulation: {expected}\n  command:    {actual}\n  {} {}\n",
            self.json, self.stderr
        )
    }
}

/// `DECISION RULE`, then of each vantage point in the order of the visit `AGREEMENT/WORD`, or `-` when it gave no answer.
pub(crate) fn simulated(scenario: &Scenario) -> String {
    let Gathered { evidence, now, .. } = scenario.gather();
    let verdict = Policy::default().decide(&evidence, now);
    let words = evidence.asked().iter().map(|asked| {
        let judged = verdict.judged.iter().find(|judged| judged.vantage == asked.vantage);
        judged.map_or("-".to_owned(), |judged| format!("{}/{}", text(&judged.agrees), text(&judged.word)))
    });
    let words = words.collect::<Vec<_>>().join(" ");
    format!("{} {} {words}", text(&verdict.decision), text(&verdict.rule))
}

fn text(name: &impl serde::Serialize) -> String {
    serde_json::to_value(name).unwrap().as_str().unwrap().to_owned()
}

/// The same of what the command printed.
fn printed(json: &Value, asked: &[VantageId]) -> String {
    let word = |json: &Value, key: &str| json[key].as_str().unwrap_or("?").to_owned();
    let views = json["views"].as_array().map_or(&[][..], Vec::as_slice);
    let words = asked.iter().map(|vantage| {
        let view = views.iter().find(|view| view["vantage"] == vantage.to_string());
        view.map_or("-".to_owned(), |view| format!("{}/{}", word(view, "agrees"), word(view, "word")))
    });
    format!("{} {} {}", word(json, "verdict"), word(json, "rule"), words.collect::<Vec<_>>().join(" "))
}

fn decision(told: &str) -> String {
    told.split(' ').next().unwrap_or_default().to_owned()
}

/// All that were checked.
#[derive(Default)]
pub(crate) struct Tally {
    checked: Vec<Checked>,
}

impl Tally {
    pub(crate) fn take(&mut self, checked: Checked) {
        self.checked.push(checked);
    }

    pub(crate) fn is_equal(&self) -> bool {
        self.checked.iter().all(Checked::is_equal)
    }

    /// Each mismatch with what it takes to see it again.
    pub(crate) fn mismatches(&self) -> String {
        self.checked.iter().filter(|one| !one.is_equal()).map(Checked::mismatch).collect()
    }

    /// Staged and equal, by class, event and attack; then what was not staged.
    pub(crate) fn report(&self, sample: &Sample) -> String {
        let mut rows = BTreeMap::<(usize, &str), (usize, usize)>::new();
        for one in self.checked.iter().filter(|one| one.whole) {
            for (kind, label) in one.labels.iter().enumerate() {
                // Of the traits a visit may have several.
                let (staged, equal) = rows.entry((kind.min(3), label)).or_default();
                *staged += 1;
                *equal += usize::from(one.is_equal());
            }
        }
        let mut text = String::new();
        for ((_, label), (staged, equal)) in rows {
            let _ = writeln!(text, "{label:<48} staged {staged:>4}  equal {equal:>4}");
        }
        for (name, whole) in [("verdict and rule, all answers in", true), ("verdict, decided early", false)] {
            let those = || self.checked.iter().filter(|one| one.whole == whole);
            let equal = those().filter(|one| one.is_equal()).count();
            let _ = writeln!(text, "{name:<48} staged {:>4}  equal {equal:>4}", those().count());
        }
        for (why, count) in &sample.passed_over {
            let _ = writeln!(text, "passed over because {why}: {count}");
        }
        for wish in &sample.not_found {
            let _ = writeln!(text, "not staged: {wish}");
        }
        let slowest = self.checked.iter().map(|one| one.took).max().unwrap_or_default();
        let _ = writeln!(text, "slowest check {:.1} s", slowest.as_secs_f64());
        text
    }
}
