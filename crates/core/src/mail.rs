//! Where mail for a domain goes, and whether others are told the same (`docs/protocols/starttls.md`).

use std::collections::BTreeSet;

use serde::Serialize;

use crate::most::are_most;
use crate::verdict::Decision;

/// Relays of one domain that are checked at most, the preferred ones.
pub const MAX_RELAYS: usize = 16;

/// One relay, as an MX record names it. They are ordered as senders try them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Relay {
    /// The lower, the sooner it is tried.
    pub preference: u16,
    /// Its name in lower case, without a dot at the end: a stranger's text.
    pub host: String,
}

/// What DNS says of where mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailRoute {
    /// To these relays, the preferred first; at least one.
    Relays(Vec<Relay>),
    /// There is no MX record: the domain is its own relay (RFC 5321 section 5.1).
    Itself,
    /// The domain takes no mail (RFC 7505).
    Nowhere,
    /// There is no such domain.
    NoSuchName,
    /// DNS did not say: its response code.
    Unknown(String),
}

impl MailRoute {
    /// From the answer about MX records: its response code, and the records as text (`10 mx.example.com.`).
    pub fn read(rcode: &str, records: &[String]) -> Self {
        match rcode {
            "NOERROR" if records.is_empty() => MailRoute::Itself,
            "NOERROR" => Self::of(records.iter().filter_map(|record| parse(record)).collect()),
            "NXDOMAIN" => MailRoute::NoSuchName,
            other => MailRoute::Unknown(other.chars().take(40).collect()),
        }
    }

    fn of(relays: BTreeSet<Relay>) -> Self {
        let (nowhere, relays): (Vec<_>, Vec<_>) = relays.into_iter().partition(|relay| relay.host.is_empty());
        match (relays.is_empty(), nowhere.is_empty()) {
            (true, true) => MailRoute::Unknown("MX records that can't be read".into()),
            (true, false) => MailRoute::Nowhere,
            // Beside others a null MX means nothing (RFC 7505 section 3).
            (false, _) => MailRoute::Relays(relays),
        }
    }

    /// The relays that a sender would try for mail to `domain`, the preferred first, at most [`MAX_RELAYS`].
    pub fn relays(&self, domain: &str) -> Vec<Relay> {
        match self {
            MailRoute::Relays(relays) => distinct(relays).take(MAX_RELAYS).cloned().collect(),
            MailRoute::Itself => vec![Relay { preference: 0, host: domain.to_owned() }],
            MailRoute::Nowhere | MailRoute::NoSuchName | MailRoute::Unknown(_) => Vec::new(),
        }
    }

    /// How many relays are not checked.
    pub fn left_out(&self) -> usize {
        match self {
            MailRoute::Relays(relays) => distinct(relays).count().saturating_sub(MAX_RELAYS),
            _ => 0,
        }
    }

    fn is_known(&self) -> bool {
        !matches!(self, MailRoute::Unknown(_))
    }
}

/// Each host once, however often it is named: one name must not make many connections.
fn distinct(relays: &[Relay]) -> impl Iterator<Item = &Relay> {
    let mut hosts = BTreeSet::new();
    relays.iter().filter(move |relay| hosts.insert(relay.host.as_str()))
}

fn parse(record: &str) -> Option<Relay> {
    let (preference, host) = record.trim().split_once(' ')?;
    let host = host.trim().to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host).to_owned();
    Some(Relay { preference: preference.parse().ok()?, host })
}

/// What one vantage point that was asked says of the same domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteVote {
    /// The region its operator claims.
    pub region: Option<String>,
    /// What its DNS says; `None` when it gave no answer that counts.
    pub route: Option<MailRoute>,
}

impl RouteVote {
    fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }
}

/// How what I am told stands beside what the others are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteStanding {
    /// Vantage points asked.
    pub asked: usize,
    /// Those who are told the same.
    pub agree: usize,
    /// Those who are told something else.
    pub differ: usize,
    /// Whether most are told the same: more than half of the asked, at least two, and of two regions where the asked name
    /// two, as with keys.
    pub is_corroborated: bool,
}

impl RouteStanding {
    /// Counts. Silence, and DNS that fails, speak neither way.
    pub fn of(mine: &MailRoute, votes: &[RouteVote]) -> Self {
        let told = |same: bool| {
            votes.iter().filter(move |vote| {
                vote.route.as_ref().is_some_and(|route| route.is_known() && mine.is_known() && (route == mine) == same)
            })
        };
        let is_corroborated = are_most(told(true).map(RouteVote::region), votes.iter().map(RouteVote::region));
        Self { asked: votes.len(), agree: told(true).count(), differ: told(false).count(), is_corroborated }
    }

    /// What can be said of a relay at best: who is led elsewhere may be led to the attacker's own honest relay.
    pub fn at_best(&self, decision: Decision) -> Decision {
        match decision {
            Decision::Trusted if !self.is_corroborated => Decision::Undecided,
            decision => decision,
        }
    }

    /// Why the route is not enough for a trust, in a sentence; `None` when it is.
    pub fn doubt(&self) -> Option<String> {
        let Self { asked, agree, differ, is_corroborated } = *self;
        match (is_corroborated, differ) {
            (true, _) => None,
            (false, 0) if asked == 0 => Some("nobody was asked where mail for this domain goes".into()),
            (false, 0) => Some(format!(
                "{agree} of {asked} asked are told the same MX records; more than half, and at least 2, are needed"
            )),
            (false, differ) => Some(format!(
                "{differ} of {asked} asked are told other MX records than you, {agree} the same: your DNS may lead mail elsewhere"
            )),
        }
    }
}

/// What is said of the whole domain: the gravest of what is said of its relays. Where none is to be checked it rests on
/// the records alone.
pub fn decide_mail(route: &MailRoute, standing: &RouteStanding, relays: &[Decision]) -> Decision {
    let nowhere = *route == MailRoute::Nowhere;
    let has_distrusted = relays.contains(&Decision::Distrusted);
    let all_trusted = relays.iter().all(|decision| *decision == Decision::Trusted);
    if has_distrusted {
        Decision::Distrusted
    } else if standing.is_corroborated && all_trusted && (nowhere || !relays.is_empty()) {
        Decision::Trusted
    } else {
        Decision::Undecided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(records: &[&str]) -> MailRoute {
        MailRoute::read("NOERROR", &records.iter().map(|record| (*record).to_owned()).collect::<Vec<_>>())
    }

    fn hosts(route: &MailRoute) -> Vec<String> {
        route.relays("example.com").into_iter().map(|relay| relay.host).collect()
    }

    #[test]
    fn records_become_relays_in_the_order_of_preference() {
        let found = route(&["20 b.example.", "5 Z.example.", "10 a.example", "20 b.example."]);
        assert_eq!(hosts(&found), ["z.example", "a.example", "b.example"]);
        assert_eq!(hosts(&route(&[])), ["example.com"], "RFC 5321 section 5.1: the implicit MX");
        assert_eq!(route(&["0 ."]), MailRoute::Nowhere);
        assert_eq!(hosts(&route(&["0 .", "10 a.example."])), ["a.example"], "RFC 7505 section 3");
        assert_eq!(MailRoute::read("NXDOMAIN", &[]), MailRoute::NoSuchName);
        for rcode in ["SERVFAIL", "TIMEOUT", "REFUSED"] {
            assert_eq!(MailRoute::read(rcode, &[]), MailRoute::Unknown(rcode.into()));
        }
        for nonsense in ["", "mx.example.", "x mx.example.", "70000 mx.example.", "-1 mx.example."] {
            assert!(matches!(route(&[nonsense]), MailRoute::Unknown(_)), "{nonsense}");
            assert_eq!(hosts(&route(&[nonsense, "1 a.example."])), ["a.example"]);
        }
    }

    #[test]
    fn a_thousand_relays_are_sixteen() {
        let many: Vec<String> = (0..1000).map(|n| format!("{n} mx{n}.example.")).collect();
        let found = MailRoute::read("NOERROR", &many);
        assert_eq!((found.relays("x").len(), found.left_out()), (16, 984));
        assert_eq!(found.relays("x").last().unwrap().host, "mx15.example");
        let same: Vec<String> = (0..1000).map(|n| format!("{n} victim.example.")).collect();
        let found = MailRoute::read("NOERROR", &same);
        assert_eq!((hosts(&found), found.left_out()), (vec!["victim.example".to_owned()], 0));
    }

    fn vote(region: &str, route: Option<&MailRoute>) -> RouteVote {
        RouteVote { region: Some(region.into()), route: route.cloned() }
    }

    #[test]
    fn most_must_be_told_the_same() {
        let (mine, other) = (route(&["10 a.example."]), route(&["10 evil.example."]));
        let (eu, us) = ("eu-west", "us-east");
        let lost = MailRoute::Unknown("SERVFAIL".into());
        for (votes, agree, differ, corroborated) in [
            (vec![], 0, 0, false),
            (vec![vote(eu, Some(&mine))], 1, 0, false),
            (vec![vote(eu, Some(&mine)), vote(us, Some(&mine))], 2, 0, true),
            (vec![vote(eu, Some(&mine)), vote(eu, Some(&mine))], 2, 0, true),
            // Two regions are named, and one speaks for all.
            (vec![vote(eu, Some(&mine)), vote(eu, Some(&mine)), vote(us, None)], 2, 0, false),
            (vec![vote(eu, Some(&mine)), vote(us, Some(&mine)), vote(us, Some(&other))], 2, 1, true),
            (vec![vote(eu, Some(&mine)), vote(us, Some(&other))], 1, 1, false),
            (vec![vote(eu, Some(&other)), vote(us, Some(&other))], 0, 2, false),
            (vec![vote(eu, Some(&mine)), vote(us, None), vote(us, Some(&lost))], 1, 0, false),
            (vec![vote(eu, Some(&MailRoute::Itself)), vote(us, Some(&MailRoute::NoSuchName))], 0, 2, false),
        ] {
            let standing = RouteStanding::of(&mine, &votes);
            assert_eq!((standing.asked, standing.agree, standing.differ), (votes.len(), agree, differ), "{votes:?}");
            assert_eq!(standing.is_corroborated, corroborated, "{votes:?}");
            assert_eq!(standing.doubt().is_none(), corroborated, "{votes:?}");
        }
        // Who does not know what is mine agrees with nobody, not even with others who do not know.
        let standing = RouteStanding::of(&lost, &[vote(eu, Some(&lost)), vote(us, Some(&lost))]);
        assert_eq!((standing.agree, standing.differ, standing.is_corroborated), (0, 0, false));
    }

    #[test]
    fn a_lower_preference_is_another_route() {
        let (mine, other) = (route(&["10 a.example.", "20 b.example."]), route(&["20 a.example.", "10 b.example."]));
        let standing = RouteStanding::of(&mine, &[vote("eu", Some(&other)), vote("us", Some(&other))]);
        assert_eq!((standing.agree, standing.differ), (0, 2));
    }

    #[test]
    fn the_gravest_counts_and_no_records_are_no_trust() {
        use Decision::{Distrusted, Trusted, Undecided};
        let (mine, nowhere) = (route(&["10 a.example."]), MailRoute::Nowhere);
        let known = RouteStanding { asked: 3, agree: 3, differ: 0, is_corroborated: true };
        let doubted = RouteStanding { asked: 3, agree: 0, differ: 3, is_corroborated: false };
        for (route, standing, relays, wanted) in [
            (&mine, &known, &[Trusted, Trusted][..], Trusted),
            (&mine, &known, &[Trusted, Undecided], Undecided),
            (&mine, &known, &[Undecided, Distrusted, Trusted], Distrusted),
            (&mine, &doubted, &[Trusted], Undecided),
            (&mine, &doubted, &[Distrusted], Distrusted),
            (&mine, &known, &[], Undecided),
            (&nowhere, &known, &[], Trusted),
            (&nowhere, &doubted, &[], Undecided),
            (&MailRoute::NoSuchName, &known, &[], Undecided),
            (&MailRoute::Unknown("SERVFAIL".into()), &known, &[], Undecided),
        ] {
            assert_eq!(decide_mail(route, standing, relays), wanted, "{route:?} {standing:?} {relays:?}");
        }
        assert_eq!(doubted.at_best(Trusted), Undecided);
        assert_eq!(doubted.at_best(Distrusted), Distrusted);
        assert_eq!(known.at_best(Trusted), Trusted);
    }

    proptest::proptest! {
        /// Taking an answer away never makes a trust, nor turns one who agrees into one who differs.
        #[test]
        fn silence_never_flips(told in proptest::collection::vec(proptest::option::of(proptest::bool::ANY), 0..9), hushed: usize) {
            let (mine, other) = (route(&["10 a.example."]), route(&["10 evil.example."]));
            let votes: Vec<_> = told.iter().enumerate().map(|(index, told)| RouteVote {
                region: Some(format!("r{}", index % 3)),
                route: told.map(|same| if same { mine.clone() } else { other.clone() }),
            }).collect();
            let before = RouteStanding::of(&mine, &votes);
            let mut quieter = votes.clone();
            if let Some(vote) = quieter.get_mut(hushed % told.len().max(1)) {
                vote.route = None;
            }
            let after = RouteStanding::of(&mine, &quieter);
            proptest::prop_assert!(after.agree <= before.agree && after.differ <= before.differ);
            proptest::prop_assert!(before.is_corroborated || !after.is_corroborated);
        }
    }
}
