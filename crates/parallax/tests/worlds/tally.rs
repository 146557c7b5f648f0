//! What came of the visits, and how it compares.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use parallax_core::{Decision, Rule};

use crate::sample::{Drawn, Sample};
use crate::support::Run;

/// One visit that was staged and checked.
pub(crate) struct Checked {
    labels: [String; 3],
    replay: String,
    /// All answers were waited for: then the rule is compared, too.
    whole: bool,
    expected: String,
    actual: String,
    json: String,
    took: Duration,
}

impl Checked {
    pub(crate) fn of(drawn: &Drawn, expected: (Decision, Rule), whole: bool, run: &Run, took: Duration) -> Self {
        let scenario = &drawn.scenario;
        let event = scenario.event.map_or("none".to_owned(), |(kind, _)| kind.to_string());
        let attack = scenario.attack.map_or("none".to_owned(), |(attack, ..)| attack.to_string());
        let (decision, rule) = expected;
        let json = if run.stdout.is_empty() { serde_json::Value::Null } else { run.json() };
        let word = |key: &str| json[key].as_str().unwrap_or("?").to_owned();
        let tell = |decision: String, rule: String| if whole { format!("{decision} ({rule})") } else { decision };
        Self {
            labels: [format!("class {}", scenario.class), format!("event {event}"), format!("attack {attack}")],
            replay: format!("mixture {} visit {}", drawn.mixture, serde_json::to_string(&scenario.visit).unwrap()),
            whole,
            expected: tell(decision.to_string(), rule.to_string()),
            actual: tell(word("verdict"), word("rule")),
            json: format!("{json} {}", run.stderr),
            took,
        }
    }

    fn is_equal(&self) -> bool {
        self.expected == self.actual
    }
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
        let mut text = String::new();
        for one in self.checked.iter().filter(|one| !one.is_equal()) {
            let _ = writeln!(text, "{} [{}]", one.replay, one.labels.join(", "));
            let _ = writeln!(text, "  simulation: {}  command: {}", one.expected, one.actual);
            let _ = writeln!(text, "  {}", one.json);
        }
        text
    }

    /// Staged and equal, by class, event and attack; then what was not staged.
    pub(crate) fn report(&self, sample: &Sample) -> String {
        let mut rows = BTreeMap::<(usize, &str), (usize, usize)>::new();
        for one in self.checked.iter().filter(|one| one.whole) {
            for (kind, label) in one.labels.iter().enumerate() {
                let (staged, equal) = rows.entry((kind, label)).or_default();
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
