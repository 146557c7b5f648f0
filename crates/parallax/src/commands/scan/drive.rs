//! The looks of a scan: at most so many a second, so many at once, so many at one address.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::pin::pin;

use futures_util::stream::{self, FuturesUnordered};
use futures_util::{Stream, StreamExt as _};
use parallax_core::ServiceId;
use tokio::time::{Instant, sleep_until};

use super::budget::Place;
use super::pace::Pace;
use super::source::{Item, Source};
use super::summary::Summary;
use super::{Handled, Looked, Looker};
use crate::failure::Failure;
use crate::progress::Many;

/// Services that wait for the budget of their address. While there are more, no other is read: a list may be endless.
const MOST_WAITING: usize = 10_000;

/// Tries of one service whose addresses have no room: DNS may lead elsewhere each time.
const MOST_TRIES: u32 = 5;

/// A service that is to be looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Try {
    pub(super) service: ServiceId,
    /// Kept for it since the try before.
    pub(super) place: Option<Place>,
    tries: u32,
}

/// The state of a scan.
pub(super) struct Drive<'a> {
    looker: &'a Looker<'a>,
    progress: &'a Many,
    jobs: usize,
    pace: Pace,
    /// Read, and next when it is time.
    ready: Option<Try>,
    waiting: Waiting,
    summary: Summary,
}

impl<'a> Drive<'a> {
    pub(super) fn new(looker: &'a Looker<'a>, progress: &'a Many, jobs: usize, rate: u32) -> Self {
        let (pace, waiting, summary) = (Pace::new(rate), Waiting::default(), Summary::default());
        Self { looker, progress, jobs, pace, ready: None, waiting, summary }
    }

    /// Looks at all that the source gives.
    pub(super) async fn run(mut self, source: Source<'_>) -> Result<Summary, Failure> {
        let begun = Instant::now();
        let mut items = pin!(items(source).fuse());
        let mut under_way = FuturesUnordered::new();
        loop {
            let room = under_way.len() < self.jobs;
            if room && self.ready.is_none() {
                self.ready = self.waiting.due(Instant::now());
            }
            let (next, idle) = (self.waiting.next(), room && self.ready.is_none());
            tokio::select! {
                Some(looked) = under_way.next() => self.settle(looked?)?,
                () = self.pace.is_time(), if room && self.ready.is_some() => {
                    self.pace.advance(Instant::now());
                    under_way.extend(self.ready.take().map(|next| self.looker.look(next)));
                }
                Some(item) = items.next(), if idle && self.waiting.has_room() => self.take(item?)?,
                () = sleep_until(next.unwrap_or(begun)), if idle && next.is_some() => {}
                else => break,
            }
        }
        self.summary.took = begun.elapsed();
        Ok(self.summary)
    }

    fn take(&mut self, item: Item) -> Result<(), Failure> {
        match item {
            Item::Service(service) => self.ready = Some(Try { service, place: None, tries: 1 }),
            Item::Duplicate => return self.note(Handled::Duplicate),
            Item::Bad(number, why) => return self.note(Handled::Bad(number, why)),
        }
        Ok(())
    }

    fn settle(&mut self, looked: Looked) -> Result<(), Failure> {
        match looked {
            Looked::Handled(handled) => self.note(handled),
            Looked::Busy(tried, place, _) if tried.tries < MOST_TRIES => {
                self.summary.held_back += usize::from(tried.tries == 1);
                self.waiting.add(Try { place: Some(place), tries: tried.tries + 1, ..tried }, place.from);
                Ok(())
            }
            Looked::Busy(tried, _, outcome) => self.note(Handled::Looked(tried.service, outcome)),
        }
    }

    fn note(&mut self, handled: Handled) -> Result<(), Failure> {
        self.progress.done();
        self.progress.aside(|| self.summary.note(handled))
    }
}

fn items<'a>(source: Source<'a>) -> impl Stream<Item = Result<Item, Failure>> + 'a {
    stream::unfold(source, |mut source| async move { Some((source.next().await?, source)) })
}

/// Who waits for a place that is kept for it.
#[derive(Default)]
struct Waiting(BinaryHeap<Reverse<Due>>);

#[derive(PartialEq, Eq)]
struct Due {
    at: Instant,
    next: Try,
}

impl Waiting {
    fn add(&mut self, next: Try, at: Instant) {
        self.0.push(Reverse(Due { at, next }));
    }

    fn due(&mut self, now: Instant) -> Option<Try> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse(due)| due.next)
    }

    fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse(due)| due.at)
    }

    fn has_room(&self) -> bool {
        self.0.len() < MOST_WAITING
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, &self.next.service).cmp(&(other.at, &other.next.service))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
