//! The reputation of one mirror at another: exactly three inputs, ping, response, and dissents against agreements. It is
//! local; no message carries it.

use std::time::Duration;

use parallax_core::Timestamp;

use super::settings::Settings;
use super::wire::Measurements;

/// Pings of which the median counts.
const PINGS: usize = 5;

/// What was measured of one mirror.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Rates {
    /// The newest round trips in milliseconds, the newest last; 0 is none.
    pings: [u16; PINGS],
    response_ms: Option<f32>,
    /// Share of quizzes answered, exponentially weighted.
    answered: f32,
    /// Share of agreement, exponentially weighted.
    agreement: f32,
    quizzes: u32,
    answers: u32,
    dissents: u32,
    from: Timestamp,
}

impl Rates {
    /// Nothing is held against a newcomer.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            pings: [0; PINGS],
            response_ms: None,
            answered: 1.0,
            agreement: 1.0,
            quizzes: 0,
            answers: 0,
            dissents: 0,
            from: now,
        }
    }

    pub(super) fn ping(&mut self, took: Duration) {
        self.pings.rotate_left(1);
        if let Some(newest) = self.pings.last_mut() {
            *newest = u16::try_from(took.as_millis()).unwrap_or(u16::MAX).max(1);
        }
    }

    /// A quiz was answered, and how fast, or not.
    pub(super) fn quiz(&mut self, took: Option<Duration>, settings: &Settings) {
        self.quizzes = self.quizzes.saturating_add(1);
        self.answered = weighted(self.answered, took.is_some(), settings.weight);
        let Some(took) = took else { return };
        self.answers = self.answers.saturating_add(1);
        let newest = took.as_secs_f32() * 1000.0;
        let before = self.response_ms.unwrap_or(newest);
        self.response_ms = Some(before + (newest - before) * settings.weight);
    }

    /// An answer agreed, or a dissent turned out to be right.
    pub(super) fn agree(&mut self, settings: &Settings) {
        self.agreement = weighted(self.agreement, true, settings.weight);
    }

    /// An answer dissented without explanation.
    pub(super) fn dissent(&mut self, settings: &Settings) {
        self.agreement = weighted(self.agreement, false, settings.weight);
        // A quiz that was asked before measuring began anew may be judged after.
        self.dissents = self.dissents.saturating_add(1).min(self.answers);
    }

    /// The median of the newest pings, in milliseconds.
    pub(super) fn ping_ms(&self) -> Option<u16> {
        let mut known: Vec<u16> = self.pings.iter().copied().filter(|ping| *ping > 0).collect();
        known.sort_unstable();
        known.get(known.len() / 2).copied()
    }

    pub(super) fn agreement(&self) -> f32 {
        self.agreement
    }

    pub(super) fn is_quiet(&self, settings: &Settings) -> bool {
        self.answered < settings.least_answered
    }

    pub(super) fn dissents_too_often(&self, settings: &Settings) -> bool {
        self.agreement < settings.least_agreement
    }

    pub(super) fn is_slow(&self, settings: &Settings) -> bool {
        let slow_ping = self.ping_ms().is_some_and(|ms| u128::from(ms) > settings.most_ping.as_millis());
        slow_ping || self.response_ms.is_some_and(|ms| ms > settings.most_response.as_secs_f32() * 1000.0)
    }

    pub(super) fn measurements(&self, now: Timestamp) -> Measurements {
        Measurements {
            ping_ms: self.ping_ms().map(f32::from),
            response_ms: self.response_ms,
            quizzes: self.quizzes,
            answered: self.answers,
            dissents: self.dissents,
            from: self.from.min(now),
            to: now,
        }
    }
}

fn weighted(before: f32, good: bool, weight: f32) -> f32 {
    let newest = if good { 1.0 } else { 0.0 };
    before + (newest - before) * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_11_ping_is_the_median_and_one_slow_answer_is_no_slow_mirror() {
        let settings = Settings::default();
        let mut rates = Rates::new(Timestamp::from_unix_secs(0));
        assert_eq!(rates.ping_ms(), None);
        for ms in [20, 21, 5_000, 19, 22] {
            rates.ping(Duration::from_millis(ms));
            rates.quiz(Some(Duration::from_millis(ms)), &settings);
        }
        assert_eq!(rates.ping_ms(), Some(21));
        assert!(!rates.is_slow(&settings));
        for _ in 0..5 {
            rates.ping(Duration::from_secs(2));
        }
        assert!(rates.is_slow(&settings));
    }

    #[test]
    fn row_16_agreement_is_exponentially_weighted_and_credit_restores_it() {
        let settings = Settings::default();
        let mut rates = Rates::new(Timestamp::from_unix_secs(0));
        for _ in 0..3 {
            rates.quiz(Some(Duration::from_millis(20)), &settings);
            rates.dissent(&settings);
        }
        assert!((rates.agreement() - 0.9f32.powi(3)).abs() < 1e-6);
        assert!(rates.dissents_too_often(&settings));
        rates.agree(&settings);
        assert!(!rates.dissents_too_often(&settings));
        let measured = rates.measurements(Timestamp::from_unix_secs(9));
        assert_eq!((measured.quizzes, measured.answered, measured.dissents), (3, 3, 3));
    }
}
