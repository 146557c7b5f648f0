//! The user's own word: keys and hosts that are right because the user says so (`docs/protocols/accept.md`).

use std::fmt;
use std::str::FromStr;

use crate::id::Fingerprint;
use crate::observation::{Met, Observation};
use crate::scheme::Scheme;
use crate::service::{BadService, Host, ServiceId};
use crate::time::Timestamp;
use crate::verdict::{Decision, Rule, Verdict};

/// One thing that the user answers for, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// At this service exactly this key is right.
    Key {
        /// Where.
        service: ServiceId,
        /// SHA-256 of the SubjectPublicKeyInfo.
        key: Fingerprint,
        /// When the user said so.
        since: Timestamp,
    },
    /// At these hosts every key is right.
    AnyKey {
        /// Where.
        hosts: HostPattern,
        /// When the user said so.
        since: Timestamp,
    },
}

/// All that the user answers for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnWord(Vec<Accepted>);

/// How the user's own word bore on one verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// What the user said.
    pub accepted: Accepted,
    /// Whether it covers the key that was met; if not, it changed nothing.
    pub holds: bool,
    /// What the policy alone concluded.
    pub without: Verdict,
}

impl OwnWord {
    /// From what is listed.
    pub fn new(accepted: impl IntoIterator<Item = Accepted>) -> Self {
        Self(accepted.into_iter().collect())
    }

    /// What the user said of this service. A key is more than a pattern: where one is named, no pattern excuses another.
    pub fn about(&self, service: &ServiceId) -> Option<&Accepted> {
        let key = self.0.iter().find(|one| matches!(one, Accepted::Key { service: known, .. } if known == service));
        key.or_else(|| {
            self.0.iter().find(|one| matches!(one, Accepted::AnyKey { hosts, .. } if hosts.matches(service.host())))
        })
    }
}

impl Accepted {
    /// Since when.
    pub fn since(&self) -> Timestamp {
        match self {
            Accepted::Key { since, .. } | Accepted::AnyKey { since, .. } => *since,
        }
    }

    /// Whether the vantage points are asked at all. Not where every key is right: their answer changes nothing, and the
    /// names of an intranet are nobody's business.
    pub fn asks_network(&self) -> bool {
        matches!(self, Accepted::Key { .. })
    }

    /// The verdict under the user's word, and what it would be without. The word covers a key that was proved to me
    /// and that is the accepted one: then it is trusted, whatever the network says, and the network's reasons, where
    /// it was asked, stay below the user's. Any other key gets the policy's own verdict, and a reason more.
    pub fn weigh(&self, without: Verdict, local: &Observation) -> (Verdict, Touched) {
        let met = local.proved();
        let holds = met.is_some_and(|met| self.covers(met.key));
        let mut verdict = without.clone();
        if holds {
            verdict.decision = Decision::Trusted;
            verdict.rule = Rule::Accepted;
            let own = self.reason_that_holds(&without);
            verdict.reasons = if self.asks_network() { [vec![own], verdict.reasons].concat() } else { vec![own] };
        } else {
            verdict.reasons.push(self.reason_that_is_void(met));
        }
        (verdict, Touched { accepted: self.clone(), holds, without })
    }

    fn covers(&self, met: Fingerprint) -> bool {
        match self {
            Accepted::Key { key, .. } => *key == met,
            Accepted::AnyKey { .. } => true,
        }
    }

    fn reason_that_holds(&self, without: &Verdict) -> String {
        let day = day(self.since());
        match self {
            Accepted::Key { key, .. } => format!(
                "Your own word: you accepted this key ({}) on {day}. Without it the verdict would be {} ({}), because:",
                key.short(),
                without.decision,
                without.rule
            ),
            Accepted::AnyKey { hosts, .. } => format!(
                "Your own word: since {day} you accept every key at {hosts}, whoever shows it. The vantage points were not asked, and nobody but you vouches for this key."
            ),
        }
    }

    fn reason_that_is_void(&self, met: Option<&Met>) -> String {
        let day = day(self.since());
        match (self, met) {
            (Accepted::Key { key, .. }, Some(met)) if met.shows(*key) => format!(
                "You accepted another host key of this server on {day} ({}), which it proved too: your word does not count for this one ({}).",
                key.short(),
                met.key.short()
            ),
            (Accepted::Key { key, .. }, Some(met)) => format!(
                "The key that you accepted on {day} was another ({}, not {}): your word does not count for this one.",
                key.short(),
                met.key.short()
            ),
            (Accepted::Key { key, .. }, None) => {
                format!("You accepted a key here on {day} ({}), but no proved key was met.", key.short())
            }
            (Accepted::AnyKey { hosts, .. }, _) => {
                format!("You accept every key at {hosts} since {day}, but no proved key was met.")
            }
        }
    }
}

/// The date alone, for sentences.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take_while(|c| *c != 'T').collect()
}

/// Hosts: one by its name or address, or with `*.` before a name all below it, at any depth, that name itself not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPattern {
    below: bool,
    host: Host,
}

/// Why a text is no host pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// The star stands elsewhere than alone in the first label, or for everything.
    #[error("a pattern is a host such as nas.example, or *. and a name such as *.corp.example for all below it")]
    Star,
    /// A scheme, a port or a path.
    #[error("a pattern names hosts alone, without scheme, port or path; write *.corp.example or nas.example")]
    MoreThanHost,
    /// The host is wrong.
    #[error("the pattern's host is wrong: {0}")]
    Host(#[from] BadService),
}

impl HostPattern {
    /// Whether it covers this host.
    pub fn matches(&self, host: &Host) -> bool {
        match (&self.host, host) {
            (Host::Name(top), Host::Name(name)) if self.below => {
                name.strip_suffix(top.as_str()).is_some_and(|front| front.ends_with('.') && front.len() > 1)
            }
            (known, host) => !self.below && known == host,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.below {
            f.write_str("*.")?;
        }
        self.host.fmt(f)
    }
}

impl FromStr for HostPattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let text = text.trim();
        let (below, host) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        if host.contains('*') {
            return Err(BadPattern::Star);
        }
        let is_bare_ipv6 = !below && (host.starts_with('[') && host.ends_with(']') || host.matches(':').count() > 1);
        if host.contains(['/', '?', '#', '@', ',']) || (host.contains(':') && !is_bare_ipv6) {
            return Err(BadPattern::MoreThanHost);
        }
        let service = ServiceId::new(Scheme::Tls, host, Scheme::Tls.default_port())?;
        match (below, service.host()) {
            (true, Host::Address(_)) => Err(BadPattern::Star),
            (_, host) => Ok(Self { below, host: host.clone() }),
        }
    }
}

serde_as_text!(HostPattern);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{CaId, PublicCa};
    use crate::verdict::Counts;

    const SINCE: Timestamp = Timestamp::from_unix_secs(1_700_000_000);

    fn print(n: u8) -> Fingerprint {
        Fingerprint::from_bytes([n; 32])
    }

    fn look(key: u8, proved: bool) -> Observation {
        let met = Met {
            protocol: "TLSv1.3".into(),
            proved,
            leaf: print(9),
            leaf_md5: None,
            key: print(key),
            issuer_key: None,
            chain: vec![print(9)],
            path: vec![],
            names: vec![],
            not_before: SINCE,
            not_after: SINCE,
            ca_id: CaId::Key(print(key)),
            host_keys: Vec::new(),
            scts: None,
            public_ca: PublicCa::UnknownIssuer,
        };
        Observation::seen(SINCE, None, met)
    }

    fn verdict(decision: Decision, rule: Rule) -> Verdict {
        let reasons = vec!["The network's reason.".to_owned()];
        Verdict { decision, rule, reasons, judged: vec![], counts: Counts::default() }
    }

    fn key(service: &str, n: u8) -> Accepted {
        Accepted::Key { service: service.parse().unwrap(), key: print(n), since: SINCE }
    }

    fn any(hosts: &str) -> Accepted {
        Accepted::AnyKey { hosts: hosts.parse().unwrap(), since: SINCE }
    }

    #[test]
    fn the_accepted_key_is_trusted_and_the_networks_word_stays() {
        for network in [
            verdict(Decision::Distrusted, Rule::MitmNearMe),
            verdict(Decision::Undecided, Rule::NotEnough),
            verdict(Decision::Trusted, Rule::Corroborated),
        ] {
            let (verdict, touched) = key("nas.example", 1).weigh(network.clone(), &look(1, true));
            assert_eq!((verdict.decision, verdict.rule, touched.holds), (Decision::Trusted, Rule::Accepted, true));
            assert_eq!(touched.without, network);
            let said = format!("would be {} ({})", network.decision, network.rule);
            assert!(verdict.reasons[0].contains("2023-11-14") && verdict.reasons[0].contains(&said), "{verdict:?}");
            assert_eq!(verdict.reasons[1..], network.reasons[..]);
        }
    }

    #[test]
    fn another_key_and_an_unproved_one_void_it() {
        for decision in [Decision::Distrusted, Decision::Undecided, Decision::Trusted] {
            let network = verdict(decision, Rule::Unexplained);
            for (met, part) in
                [(look(2, true), "was another (01010101, not 02020202)"), (look(1, false), "no proved key")]
            {
                let (verdict, touched) = key("nas.example", 1).weigh(network.clone(), &met);
                assert_eq!((verdict.decision, verdict.rule, touched.holds), (decision, Rule::Unexplained, false));
                assert_eq!(verdict.reasons[0], network.reasons[0]);
                assert!(verdict.reasons[1].contains(part), "{verdict:?}");
            }
        }
        let (verdict, touched) =
            any("nas.example").weigh(verdict(Decision::Undecided, Rule::NotEnough), &look(1, false));
        assert_eq!((verdict.decision, touched.holds), (Decision::Undecided, false));
    }

    #[test]
    fn a_named_key_is_more_than_a_pattern() {
        let word = OwnWord::new([any("*.corp.example"), key("nas.corp.example", 1), any("router.example")]);
        let about = |service: &str| word.about(&service.parse().unwrap()).cloned();
        assert_eq!(about("nas.corp.example"), Some(key("nas.corp.example", 1)));
        assert_eq!(about("nas.corp.example:8443"), Some(any("*.corp.example")));
        assert_eq!(about("ROUTER.example.:8443"), Some(any("router.example")));
        assert_eq!(about("corp.example"), None);
        let (verdict, _) =
            about("nas.corp.example").unwrap().weigh(verdict(Decision::Distrusted, Rule::MitmNearMe), &look(2, true));
        assert_eq!(verdict.decision, Decision::Distrusted, "the pattern does not excuse another key");
    }

    #[test]
    fn where_every_key_is_right_nobody_is_asked_and_the_verdict_says_so() {
        let network = verdict(Decision::Undecided, Rule::NotEnough);
        let (verdict, touched) = any("*.corp.example").weigh(network, &look(7, true));
        assert_eq!((verdict.decision, verdict.rule, touched.holds), (Decision::Trusted, Rule::Accepted, true));
        assert!(verdict.reasons[0].contains("every key at *.corp.example"), "{verdict:?}");
        assert_eq!(verdict.reasons.len(), 1);
        assert!(!any("*.corp.example").asks_network() && key("nas.example", 1).asks_network());
    }

    #[test]
    fn patterns_cover_what_they_say() {
        for (pattern, host, wanted) in [
            ("*.corp.example", "a.corp.example", true),
            ("*.corp.example", "b.a.corp.example", true),
            ("*.CORP.example.", "a.corp.example", true),
            ("*.corp.example", "corp.example", false),
            ("*.corp.example", "acorp.example", false),
            ("*.corp.example", "a.corp.example.evil.example", false),
            ("corp.example", "a.corp.example", false),
            ("*.bücher.example", "a.xn--bcher-kva.example", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("[2001:db8::1]", "[2001:db8:0::1]", true),
            ("2001:db8::1", "[2001:db8::1]", true),
            ("*.7", "192.0.2.7", false),
        ] {
            let service: ServiceId = host.parse().unwrap();
            let matches = pattern.parse::<HostPattern>().is_ok_and(|pattern| pattern.matches(service.host()));
            assert_eq!(matches, wanted, "{pattern} {host}");
        }
        let pattern: HostPattern = "*.Corp.Example.".parse().unwrap();
        assert_eq!(pattern.to_string(), "*.corp.example");
        assert_eq!(pattern.to_string().parse(), Ok(pattern));
    }

    #[test]
    fn patterns_that_would_cover_everything_or_nothing_are_refused() {
        for bad in
            ["", "*", "*.", "**.example", "a.*.example", "*a.example", "*.*.example", "*.192.0.2.7", "*.[2001:db8::1]"]
        {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
        }
        for bad in ["https://a.example", "a.example:443", "a.example/", "a@b.example", "a.example,2"] {
            assert_eq!(bad.parse::<HostPattern>(), Err(BadPattern::MoreThanHost), "{bad}");
        }
    }
}
