//! What a mirror may change about how it takes part. Everything that is counted "a day" goes by [`Settings::day`], so that
//! a lab can run a month in seconds.

use std::time::Duration;

/// How a mirror vets, rates and removes others. The defaults are those of `docs/protocols/mirrors.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What counts as a day.
    pub day: Duration,
    /// Messages that this mirror sends a day at most. Health checks stop at 60 % of it, tests at 85 %.
    pub messages_a_day: u32,
    /// Health checks (a ping and a quiz) a day, over all mirrors.
    pub visits_a_day: u32,
    /// Health checks a day of one mirror at most.
    pub visits_each: u32,
    /// Mirrors that are asked the same thing at the same moment, beside those that are under test.
    pub companions: usize,
    /// How long answers of one round are waited for.
    pub round_time: Duration,
    /// How old one's own look may be when a round compares with it.
    pub own_look_age: Duration,
    /// Mirrors of one network that have not yet been active: the oldest goes.
    pub unproven_a_network: usize,
    /// Mirrors that have not yet been active, over all networks: the oldest goes.
    pub unproven: usize,
    /// Quizzes that a candidate must take from each tester: three testers make 50 and more.
    pub candidate_quizzes: u16,
    /// Over which time they are spread.
    pub candidate_time: Duration,
    /// Peers that a join is forwarded to.
    pub fan_out: usize,
    /// Quizzes of a mirror that has drawn attention.
    pub suspect_quizzes: u16,
    /// Over which time they are spread.
    pub suspect_time: Duration,
    /// Quizzes that bring an inactive mirror back.
    pub retest_quizzes: u16,
    /// Over which time they are spread.
    pub retest_time: Duration,
    /// The first retest comes after this time, each further one after twice the time.
    pub retest_first: Duration,
    /// The longest time between two retests.
    pub retest_longest: Duration,
    /// The longest time between two retests of a mirror that was only silent.
    pub retest_silent: Duration,
    /// The first retest of a mirror whose equivocation is proved.
    pub retest_proved: Duration,
    /// The longest time between two retests of such a one; each further proof within a month takes four times as long.
    pub retest_proved_longest: Duration,
    /// How much the newest quiz weighs: 0 to 1.
    pub weight: f32,
    /// Below this share of agreement a mirror is noticed.
    pub least_agreement: f32,
    /// Below this share of answers a mirror is noticed.
    pub least_answered: f32,
    /// A mirror whose median ping is longer is noticed.
    pub most_ping: Duration,
    /// A mirror whose answers take longer is noticed.
    pub most_response: Duration,
    /// When a dissent is judged by a later look of one's own.
    pub recheck_after: Duration,
    /// Looks that reports may start at one target: one in this time.
    pub report_rest: Duration,
    /// Peers that are asked to vote.
    pub voters: usize,
    /// Fewer votes than this keep.
    pub least_votes: usize,
    /// How long votes are waited for before they are asked for again.
    pub vote_time: Duration,
    /// How often.
    pub vote_polls: u8,
    /// Requests for removal that one mirror may make of this one a day.
    pub removals_each: u32,
    /// Tests a day that requests for removal may start.
    pub removal_tests: u32,
    /// One address is met at most once in this time on a stranger's word.
    pub address_rest: Duration,
    /// Strangers that are met a minute at most (a minute is 1/1440 of a day).
    pub meets_a_minute: u32,
    /// How often the list of another mirror is fetched.
    pub list_every: Duration,
    /// A mirror that was silent for so long is gone.
    pub gone_after: Duration,
    /// How many different clients must have asked for a name before it is replayed.
    pub clients_a_name: usize,
    /// When it is replayed at the earliest.
    pub name_delay: Duration,
    /// How often the unchanged is persisted, for its measurements.
    pub persist_every: Duration,
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

impl Default for Settings {
    fn default() -> Self {
        Self {
            day: DAY,
            messages_a_day: 20_000,
            visits_a_day: 360,
            visits_each: 12,
            companions: 2,
            round_time: Duration::from_secs(60),
            own_look_age: Duration::from_secs(300),
            unproven_a_network: 16,
            unproven: 1_024,
            candidate_quizzes: 17,
            candidate_time: DAY,
            fan_out: 4,
            suspect_quizzes: 6,
            suspect_time: 2 * HOUR,
            retest_quizzes: 5,
            retest_time: 2 * HOUR,
            retest_first: HOUR,
            retest_longest: 7 * DAY,
            retest_silent: 6 * HOUR,
            retest_proved: DAY,
            retest_proved_longest: 30 * DAY,
            weight: 0.1,
            least_agreement: 0.75,
            least_answered: 0.7,
            most_ping: Duration::from_secs(1),
            most_response: Duration::from_secs(5),
            recheck_after: HOUR / 4,
            report_rest: HOUR / 60,
            voters: 7,
            least_votes: 3,
            vote_time: 3 * HOUR,
            vote_polls: 3,
            removals_each: 8,
            removal_tests: 200,
            address_rest: DAY,
            meets_a_minute: 3,
            list_every: DAY,
            gone_after: 90 * DAY,
            clients_a_name: 5,
            name_delay: HOUR,
            persist_every: DAY,
        }
    }
}

impl Settings {
    /// The same rules with every duration that spans more than an answer divided: a day of the federation passes in
    /// `day / by`.
    pub fn compressed(by: u32) -> Self {
        let by = by.max(1);
        let mut settings = Self::default();
        let Self {
            day,
            candidate_time,
            suspect_time,
            retest_time,
            retest_first,
            retest_longest,
            retest_silent,
            retest_proved,
            retest_proved_longest,
            recheck_after,
            report_rest,
            vote_time,
            address_rest,
            list_every,
            gone_after,
            name_delay,
            persist_every,
            own_look_age,
            ..
        } = &mut settings;
        for time in [
            day,
            candidate_time,
            suspect_time,
            retest_time,
            retest_first,
            retest_longest,
            retest_silent,
            retest_proved,
            retest_proved_longest,
            recheck_after,
            report_rest,
            vote_time,
            address_rest,
            list_every,
            gone_after,
            name_delay,
            persist_every,
            own_look_age,
        ] {
            *time /= by;
        }
        settings
    }
}
