//! `parallax check -`: services from standard input, one verdict a line, in the order in which they came.

use std::pin::pin;

use futures_util::{StreamExt as _, stream};
use parallax_client::{Checker, Report};

use super::check::{status, under, warn_of_own_word};
use crate::args::CheckArgs;
use crate::failure::{DONE, Failure, NOT, UNDECIDED, USAGE};
use crate::lines::{self, LONGEST_SERVICE, Lines, ServiceLine};
use crate::output;
use crate::progress::Many;
use crate::settings::Settings;

/// Checks under way at once.
const AT_ONCE: usize = 16;

/// Checks what comes in; the exit status is the gravest.
pub(super) async fn run(args: &CheckArgs, checker: &Checker, settings: &Settings) -> Result<u8, Failure> {
    let progress = Many::new("checked");
    progress.show_while(check_all(args, checker, settings, &progress)).await
}

async fn check_all(args: &CheckArgs, checker: &Checker, settings: &Settings, progress: &Many) -> Result<u8, Failure> {
    let lines = lines::services(Lines::open("-", LONGEST_SERVICE, "")?, progress.counter());
    let lines = stream::unfold(lines, |mut lines| async { Some((lines.recv().await?, lines)) });
    let mut results = pin!(lines.map(|line| judge(checker, settings, line)).buffered(AT_ONCE));
    let mut gravest = None;
    while let Some(result) = results.next().await {
        progress.done();
        let status = progress.aside(|| show(args, &result))?;
        gravest = gravest.max(Some(Gravity(status)));
    }
    let Some(Gravity(status)) = gravest else {
        return Err(Failure::usage("standard input names no service; write one a line, such as example.com"));
    };
    Ok(status)
}

enum Judged {
    Checked(Box<Report>),
    Bad { number: usize, why: String },
}

async fn judge(checker: &Checker, settings: &Settings, line: ServiceLine) -> Judged {
    match line.service {
        Ok(service) => {
            let checker = under(checker, settings.check_of(&service.host().to_string()));
            Judged::Checked(Box::new(checker.report(&service).await))
        }
        Err(why) => Judged::Bad { number: line.number, why },
    }
}

fn show(args: &CheckArgs, judged: &Judged) -> Result<u8, Failure> {
    match judged {
        Judged::Bad { number, why } => {
            output::say(&format!("line {number}: {why}"));
            Ok(USAGE)
        }
        Judged::Checked(report) => {
            warn_of_own_word(report);
            if args.json {
                output::print_json(&report.to_json())?;
            } else if !args.quiet {
                output::print(&output::line(&report.verdict, report.service()))?;
            }
            Ok(status(report.verdict.decision))
        }
    }
}

/// Exit statuses, the gravest last: one distrusted service must not hide behind a line that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gravity(u8);

impl Gravity {
    const ORDER: [u8; 4] = [DONE, UNDECIDED, USAGE, NOT];

    fn rank(self) -> Option<usize> {
        Self::ORDER.iter().position(|status| *status == self.0)
    }
}

impl PartialOrd for Gravity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Gravity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

#[cfg(test)]
mod tests {
    use parallax_core::Decision;

    use super::*;

    #[test]
    fn the_gravest_counts() {
        let gravest = |statuses: &[u8]| statuses.iter().map(|status| Gravity(*status)).max().unwrap().0;
        assert_eq!(gravest(&[DONE, UNDECIDED]), UNDECIDED);
        assert_eq!(gravest(&[UNDECIDED, USAGE, DONE]), USAGE);
        assert_eq!(gravest(&[USAGE, NOT, UNDECIDED]), NOT);
        for decision in [Decision::Trusted, Decision::Distrusted, Decision::Undecided] {
            assert!(Gravity(status(decision)).rank().is_some());
        }
    }
}
