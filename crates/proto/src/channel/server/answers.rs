//! What is being worked on, and the last answers: a lost one is asked for again.

use std::collections::{HashMap, VecDeque};

use parallax_core::Timestamp;

use super::super::talk::RequestId;
use super::settings::ServerSettings;

/// How a request stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not met within a minute.
    New,
    /// Being worked on.
    UnderWay,
    /// Done; the answer, unless it was too large to be kept.
    Done(Option<Vec<u8>>),
    /// The id stands for another request.
    Other,
}

#[derive(Debug)]
struct Done {
    request_id: RequestId,
    run: [u8; 32],
    at: Timestamp,
    plaintext: Option<Vec<u8>>,
}

/// Requests of one channel by their ids.
#[derive(Debug, Default)]
pub(super) struct Answers {
    under_way: HashMap<RequestId, [u8; 32]>,
    done: VecDeque<Done>,
    bytes: usize,
}

impl Answers {
    /// How the request with this id and this hash of its `run` stands.
    pub(super) fn standing(
        &mut self,
        settings: &ServerSettings,
        request_id: &RequestId,
        run: &[u8; 32],
        now: Timestamp,
    ) -> Standing {
        self.forget(settings, now);
        if let Some(known) = self.under_way.get(request_id) {
            return if known == run { Standing::UnderWay } else { Standing::Other };
        }
        match self.done.iter().find(|done| done.request_id == *request_id) {
            Some(done) if done.run == *run => Standing::Done(done.plaintext.clone()),
            Some(_) => Standing::Other,
            None => Standing::New,
        }
    }

    /// How the request with this id stands, whatever it is.
    pub(super) fn of(&self, request_id: &RequestId) -> Standing {
        if self.under_way.contains_key(request_id) {
            return Standing::UnderWay;
        }
        let done = self.done.iter().find(|done| done.request_id == *request_id);
        done.map_or(Standing::New, |done| Standing::Done(done.plaintext.clone()))
    }

    /// Begins one; `false` when too many are under way.
    pub(super) fn begin(&mut self, settings: &ServerSettings, request_id: RequestId, run: [u8; 32]) -> bool {
        let room = self.under_way.len() < settings.requests_at_once;
        if room {
            self.under_way.insert(request_id, run);
        }
        room
    }

    /// Keeps an answer.
    pub(super) fn finish(
        &mut self,
        settings: &ServerSettings,
        request_id: RequestId,
        plaintext: Vec<u8>,
        now: Timestamp,
    ) {
        let Some(run) = self.under_way.remove(&request_id) else { return };
        let plaintext = (plaintext.len() <= settings.kept_bytes).then_some(plaintext);
        self.bytes += plaintext.as_ref().map_or(0, Vec::len);
        self.done.push_back(Done { request_id, run, at: now, plaintext });
        self.forget(settings, now);
    }

    /// Nobody works on it any more: asked again, it is done anew.
    pub(super) fn abandon(&mut self, request_id: &RequestId) {
        self.under_way.remove(request_id);
    }

    fn forget(&mut self, settings: &ServerSettings, now: Timestamp) {
        while self.done.len() > settings.kept_answers
            || self.done.front().is_some_and(|done| now.since(done.at) > settings.kept_for)
        {
            let gone = self.done.pop_front().and_then(|done| done.plaintext);
            self.bytes -= gone.map_or(0, |plaintext| plaintext.len());
        }
        // Of the oldest only the fact stays, so that they are not done twice.
        for done in &mut self.done {
            if self.bytes <= settings.kept_bytes {
                break;
            }
            self.bytes -= done.plaintext.take().map_or(0, |plaintext| plaintext.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_last_sixty_four_are_kept_for_a_minute() {
        let settings = ServerSettings::default();
        let mut answers = Answers::default();
        let start = Timestamp::from_unix_secs(1_000_000);
        let id = |n: u32| n.to_string().parse::<RequestId>().unwrap();
        for n in 0..70 {
            assert_eq!(answers.standing(&settings, &id(n), &[1; 32], start), Standing::New);
            assert!(answers.begin(&settings, id(n), [1; 32]));
            assert_eq!(answers.standing(&settings, &id(n), &[1; 32], start), Standing::UnderWay);
            assert_eq!(answers.standing(&settings, &id(n), &[2; 32], start), Standing::Other);
            answers.finish(&settings, id(n), vec![n as u8], start);
        }
        let minute = start.plus(Duration::from_secs(60));
        assert_eq!(answers.standing(&settings, &id(5), &[1; 32], start), Standing::New);
        assert_eq!(answers.standing(&settings, &id(6), &[1; 32], minute), Standing::Done(Some(vec![6])));
        assert_eq!(answers.standing(&settings, &id(6), &[2; 32], minute), Standing::Other);
        let later = minute.plus(Duration::from_millis(1));
        assert_eq!(answers.standing(&settings, &id(69), &[1; 32], later), Standing::New);
        assert_eq!(answers.bytes, 0);
    }

    #[test]
    fn what_is_kept_and_what_is_under_way_have_bounds() {
        let settings = ServerSettings { kept_bytes: 10, requests_at_once: 3, ..Default::default() };
        let mut answers = Answers::default();
        let now = Timestamp::from_unix_secs(1_000_000);
        let id = |n: u32| n.to_string().parse::<RequestId>().unwrap();
        assert!((0..3).all(|n| answers.begin(&settings, id(n), [0; 32])));
        assert!(!answers.begin(&settings, id(3), [0; 32]));
        answers.finish(&settings, id(0), vec![0; 8], now);
        answers.finish(&settings, id(1), vec![0; 8], now);
        answers.finish(&settings, id(2), vec![0; 11], now);
        answers.finish(&settings, id(9), vec![0; 1], now);
        assert_eq!(answers.standing(&settings, &id(0), &[0; 32], now), Standing::Done(None));
        assert_eq!(answers.standing(&settings, &id(1), &[0; 32], now), Standing::Done(Some(vec![0; 8])));
        assert_eq!(answers.standing(&settings, &id(2), &[0; 32], now), Standing::Done(None));
        assert_eq!(answers.standing(&settings, &id(9), &[0; 32], now), Standing::New, "an answer to nothing");
        assert!(answers.begin(&settings, id(5), [0; 32]));
        answers.abandon(&id(5));
        assert_eq!(answers.standing(&settings, &id(5), &[0; 32], now), Standing::New);
    }
}
