//! What a scan came to.

use std::collections::BTreeMap;
use std::time::Duration;

use parallax_core::Outcome;

use super::Handled;
use crate::failure::Failure;
use crate::output;

/// Counts, by class of failure.
#[derive(Debug, Default)]
pub(super) struct Summary {
    outcomes: BTreeMap<Outcome, usize>,
    not_recorded: usize,
    duplicates: usize,
    bad: usize,
    /// Services that had to wait for the budget of their address.
    pub(super) held_back: usize,
    pub(super) took: Duration,
}

impl Summary {
    /// Counts one, and says what went wrong: services on standard output, the rest on standard error.
    pub(super) fn note(&mut self, handled: Handled) -> Result<(), Failure> {
        match handled {
            Handled::Looked(service, outcome) => {
                *self.outcomes.entry(outcome).or_default() += 1;
                if outcome != Outcome::Seen {
                    return output::print(&format!("{:<11} {service}\n", outcome.as_str()));
                }
            }
            Handled::NotRecorded(error) => {
                self.not_recorded += 1;
                output::say(&error.to_string());
            }
            Handled::Duplicate => self.duplicates += 1,
            Handled::Bad(number, why) => {
                self.bad += 1;
                output::say(&format!("line {number}: {why}"));
            }
        }
        Ok(())
    }

    fn looked(&self) -> usize {
        self.outcomes.values().sum::<usize>() + self.not_recorded
    }

    fn seen(&self) -> usize {
        self.outcomes.get(&Outcome::Seen).copied().unwrap_or_default()
    }

    /// Whether everything that was named was seen and is remembered.
    pub(super) fn is_complete(&self) -> bool {
        self.seen() == self.looked() && self.bad == 0
    }

    pub(super) fn render(&self) -> String {
        let took = self.took.as_secs_f64();
        let rate = if took > 0.0 { self.looked() as f64 / took } else { 0.0 };
        let mut text =
            format!("seen: {} of {} services in {took:.1} s, {rate:.1} looks/s\n", self.seen(), self.looked());
        for (outcome, count) in self.outcomes.iter().filter(|(outcome, _)| **outcome != Outcome::Seen) {
            text.push_str(&format!("  {:<11} {count}: {}\n", outcome.as_str(), outcome.sentence()));
        }
        if self.not_recorded > 0 {
            text.push_str(&format!("  not-recorded {}: their rows in the store are damaged\n", self.not_recorded));
        }
        if self.held_back > 0 {
            text.push_str(&format!("waited: {} for the budget of their address (--per-address)\n", self.held_back));
        }
        if self.bad + self.duplicates > 0 {
            text.push_str(&format!("skipped: {} bad lines, {} named twice\n", self.bad, self.duplicates));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_means_all_of_it() {
        let looked = |outcome| Handled::Looked("example.com".parse().unwrap(), outcome);
        let mut summary = Summary::default();
        assert!(summary.is_complete(), "nothing to do is done");
        summary.note(looked(Outcome::Seen)).unwrap();
        summary.note(Handled::Duplicate).unwrap();
        assert!(summary.is_complete());
        summary.note(looked(Outcome::Timeout)).unwrap();
        summary.note(Handled::Bad(3, "why".into())).unwrap();
        assert!(!summary.is_complete());
        summary.took = Duration::from_secs(2);
        let wanted = "seen: 1 of 2 services in 2.0 s, 1.0 looks/s\n  timeout     1: no answer in time\n\
                      skipped: 1 bad lines, 1 named twice\n";
        assert_eq!(summary.render(), wanted);
    }
}
