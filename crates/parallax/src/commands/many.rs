//! `parallax check -`: services from standard input, one verdict a line, in the order in which they came.

use std::io::{self, BufRead, Read as _};
use std::pin::pin;

use futures_util::{StreamExt as _, stream};
use parallax_client::{Checker, Report};
use parallax_core::ServiceId;
use tokio::sync::mpsc;

use super::check::{status, warn_of_own_word};
use crate::args::CheckArgs;
use crate::failure::{DONE, Failure, NOT, UNDECIDED, USAGE};
use crate::output;
use crate::progress::Many;

/// Checks under way at once.
const AT_ONCE: usize = 16;

/// Lines read ahead of the checks.
const AHEAD: usize = 4096;

/// Bytes of a line; a longer one is no service.
const LONGEST_LINE: u64 = 4096;

/// Checks what comes in; the exit status is the gravest.
pub(super) async fn run(args: &CheckArgs, checker: &Checker) -> Result<u8, Failure> {
    let progress = Many::new();
    tokio::select! {
        done = check_all(args, checker, &progress) => done,
        never = progress.show_in_time() => match never {},
    }
}

async fn check_all(args: &CheckArgs, checker: &Checker, progress: &Many) -> Result<u8, Failure> {
    let lines = read_ahead(progress.counter());
    let lines = stream::unfold(lines, |mut lines| async { Some((lines.recv().await?, lines)) });
    let mut results = pin!(lines.map(|line| judge(checker, line)).buffered(AT_ONCE));
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

/// A line that says something, or why it can't be read.
struct Line {
    number: usize,
    service: Result<ServiceId, String>,
}

enum Judged {
    Checked(Box<Report>),
    Bad { number: usize, why: String },
}

async fn judge(checker: &Checker, line: Line) -> Judged {
    match line.service {
        Ok(service) => Judged::Checked(Box::new(checker.report(&service).await)),
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

/// Reads on a thread of its own, so that a terminal or a slow pipe holds up no check. `count` hears of every line.
fn read_ahead(count: impl Fn() + Send + 'static) -> mpsc::Receiver<Line> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut number = 0;
        while let Some(text) = next_line(&mut input) {
            number += 1;
            let Some(service) = parse(text) else { continue };
            count();
            // Nobody listens any more when the command ended.
            if sender.blocking_send(Line { number, service }).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The next line; `Err` when it can't be a service's. `None` at the end.
fn next_line(input: &mut impl BufRead) -> Option<Result<String, String>> {
    let mut line = Vec::new();
    match input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
        Ok(0) => return None,
        Ok(_) => {}
        Err(error) => return Some(Err(format!("standard input can't be read: {error}"))),
    }
    if line.len() as u64 == LONGEST_LINE && line.last() != Some(&b'\n') {
        skip_line(input);
        return Some(Err(format!("the line is longer than {LONGEST_LINE} bytes; write one service a line")));
    }
    Some(String::from_utf8(line).map_err(|_| "the line is not text in UTF-8".into()))
}

fn skip_line(input: &mut impl BufRead) {
    while let Ok(chunk) = input.fill_buf() {
        let (length, end) = match chunk.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (chunk.len(), chunk.is_empty()),
        };
        input.consume(length);
        if end {
            break;
        }
    }
}

/// The service of a line; `None` for empty lines and comments.
fn parse(line: Result<String, String>) -> Option<Result<ServiceId, String>> {
    match line {
        Ok(text) => match text.trim() {
            "" => None,
            text if text.starts_with('#') => None,
            text => Some(text.parse().map_err(|error: parallax_core::BadService| error.to_string())),
        },
        Err(why) => Some(Err(why)),
    }
}

#[cfg(test)]
mod tests {
    use parallax_core::Decision;

    use super::*;

    fn lines(input: &[u8]) -> Vec<Result<String, String>> {
        let mut input = io::BufReader::with_capacity(64, input);
        std::iter::from_fn(|| next_line(&mut input)).collect()
    }

    #[test]
    fn lines_are_bounded() {
        let long = [b"a\n".as_slice(), &[b'x'; 3 * 4096], b"\nb\n\xff\nlast"].concat();
        let read = lines(&long);
        assert_eq!(read.len(), 5, "{read:?}");
        assert_eq!(read[0], Ok("a\n".into()));
        assert!(read[1].as_ref().unwrap_err().contains("4096"));
        assert_eq!(read[2], Ok("b\n".into()));
        assert!(read[3].as_ref().unwrap_err().contains("UTF-8"));
        assert_eq!(read[4], Ok("last".into()));
        assert_eq!(lines(&[b'x'; 4096]).len(), 1);
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn comments_and_empty_lines_are_no_services() {
        for text in ["", "  \t", "# example.com", "  # x"] {
            assert!(parse(Ok(text.into())).is_none(), "{text}");
        }
        assert_eq!(parse(Ok(" example.com\r\n".into())).unwrap().unwrap().to_string(), "tls://example.com:443");
        assert!(parse(Ok("example.com:0".into())).unwrap().is_err());
    }

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
