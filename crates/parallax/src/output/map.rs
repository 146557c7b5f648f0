//! The map of what others see, as the interactive shell shows it: each key, how many see it, from where, through whom.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use parallax_core::{Agreement, Observation, Timestamp};

use super::escape::escape;
use super::report::{Shown, ca_name, conclusion, push_failures, why_no_key};
use super::when;
use super::wrap::wrap;

/// What a peer behind a hub sees. Texts are strangers' and still harmful.
#[derive(Clone, Debug)]
pub(crate) struct PeerSight<'a> {
    /// Its look.
    pub(crate) look: &'a Observation,
    /// How that compares with mine.
    pub(crate) agrees: Option<Agreement>,
    /// The region that it claims.
    pub(crate) region: Option<&'a str>,
    /// The hub's word for its network.
    pub(crate) network: &'a str,
    /// Where the hub answers.
    pub(crate) hub: &'a str,
}

/// Names of those who see one key, at most; the rest are counted.
const MOST_NAMED: usize = 4;

const INDENT: &str = "       ";

/// Everything, for a terminal, at most 80 columns wide.
pub(crate) fn render(shown: &Shown<'_>, peers: &[PeerSight<'_>], now: Timestamp) -> String {
    let mut text = mine(shown, now);
    text.push_str(&heading(shown));
    groups(shown, peers).iter().for_each(|group| group.push(&mut text));
    push_failures(&mut text, "Answered, but not counted:", &shown.dropped);
    push_failures(&mut text, "Gave no answer:", &shown.missing);
    text.push('\n');
    text.push_str(&conclusion(shown));
    text
}

fn mine(shown: &Shown<'_>, now: Timestamp) -> String {
    let look = &shown.local.now;
    let at = look.address.map_or_else(String::new, |address| format!(" at {address}"));
    let mut text = wrap("", &format!("You see, for {}{at}:", shown.service));
    let seen = match &look.met {
        Some(met) => {
            let proof = if met.proved { "" } else { ", of which the server gave no proof" };
            let left = match met.not_after > now {
                true => format!("valid for {} more", when::length(met.not_after.since(now))),
                false => format!("run out {}", when::ago(now.since(met.not_after))),
            };
            format!("{}{proof}, {}, {left}", met.key.short(), ca_name(met))
        }
        None => format!("no key ({})", why_no_key(look)),
    };
    text.push_str(&wrap(INDENT, &seen));
    text
}

fn heading(shown: &Shown<'_>) -> String {
    let counts = &shown.verdict.counts;
    match counts.asked {
        0 => "Nobody was asked.\n".into(),
        asked => {
            format!("Others see ({} of {asked} asked answered, {}):\n", counts.answered, when::took(shown.elapsed))
        }
    }
}

/// Those who see the same.
struct Group {
    what: What,
    who: Vec<Who>,
}

/// What is seen.
#[derive(Clone, PartialEq)]
struct What {
    /// The key in few letters and its CA; or why there is none.
    text: String,
    agrees: Option<Agreement>,
    is_proved: bool,
}

/// One of those who see it.
struct Who {
    region: Option<String>,
    network: Option<String>,
    through: String,
}

impl Group {
    fn push(&self, text: &mut String) {
        let how = match (self.what.agrees, self.what.is_proved) {
            (_, false) => ", not proved and so not counted",
            (Some(Agreement::SameLeaf), _) => ": what you see",
            (Some(Agreement::SameKey), _) => ": your key, in another certificate",
            (Some(Agreement::SameCa), _) => ": ANOTHER key, of the same CA",
            (Some(Agreement::Differs), _) => ": ANOTHER key",
            _ => "",
        };
        text.push_str(&wrap(&format!("{:>4} x ", self.who.len()), &format!("{}{how}", self.what.text)));
        text.push_str(&wrap(INDENT, &self.origin()));
    }

    /// Of which regions and networks, and through whom.
    fn origin(&self) -> String {
        let mut regions: BTreeMap<&str, usize> = BTreeMap::new();
        self.who
            .iter()
            .filter_map(|who| who.region.as_deref())
            .for_each(|region| *regions.entry(region).or_default() += 1);
        let regions: Vec<_> = regions.into_iter().map(|(region, count)| format!("{region} {count}")).collect();
        let networks: BTreeSet<_> = self.who.iter().filter_map(|who| who.network.as_deref()).collect();
        let networks = match networks.len() {
            0 => String::new(),
            1 => "1 network".into(),
            many => format!("{many} networks"),
        };
        let parts = [regions.join(", "), networks, named(self.who.iter().map(|who| who.through.as_str()).collect())];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

fn named(names: BTreeSet<&str>) -> String {
    let shown: Vec<_> = names.iter().take(MOST_NAMED).copied().collect();
    match names.len().saturating_sub(MOST_NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The largest first, and of those as large what I see too.
fn groups(shown: &Shown<'_>, peers: &[PeerSight<'_>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (what, who) in nodes(shown).chain(peers.iter().map(peer)).chain(notaries(shown)) {
        match groups.iter_mut().find(|group| group.what == what) {
            Some(group) => group.who.push(who),
            None => groups.push(Group { what, who: vec![who] }),
        }
    }
    groups.sort_by_key(|group| (Reverse(group.who.len()), group.what.agrees, group.what.text.clone()));
    groups
}

fn nodes<'a>(shown: &'a Shown<'a>) -> impl Iterator<Item = (What, Who)> + 'a {
    shown.views.iter().map(|view| {
        let judged = shown.verdict.judged.iter().find(|judged| judged.vantage == view.vantage);
        let who = Who { region: view.region.as_deref().map(escape), network: None, through: escape(&view.label) };
        (what(view.now, judged.map(|judged| judged.agrees)), who)
    })
}

fn peer(peer: &PeerSight<'_>) -> (What, Who) {
    let who = Who {
        region: peer.region.map(escape),
        network: Some(format!("{}/{}", peer.hub, peer.network)),
        through: format!("peers of the hub {}", escape(peer.hub)),
    };
    (what(peer.look, peer.agrees), who)
}

/// Old notaries know certificates by MD5 alone.
fn notaries<'a>(shown: &'a Shown<'a>) -> impl Iterator<Item = (What, Who)> + 'a {
    shown.notaries.iter().filter_map(|notary| {
        let newest = notary.testimony.spans.iter().max_by_key(|span| (span.last_seen, span.first_seen))?;
        let md5: String = newest.leaf_md5.to_string().chars().take(8).collect();
        let judged = shown.verdict.judged.iter().find(|judged| judged.vantage == notary.testimony.vantage);
        let agrees = judged.map(|judged| judged.agrees);
        let who = Who { region: None, network: None, through: format!("the old notary {}", escape(notary.label)) };
        Some((What { text: format!("{md5} (MD5 only)"), agrees, is_proved: true }, who))
    })
}

fn what(look: &Observation, agrees: Option<Agreement>) -> What {
    match &look.met {
        Some(met) => What { text: format!("{}, {}", met.key.short(), ca_name(met)), agrees, is_proved: met.proved },
        None => What { text: format!("no key ({})", why_no_key(look)), agrees: None, is_proved: true },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parallax_core::{
        CaId, Counts, Decision, DnsAnswers, Fingerprint, Look, Met, Outcome, Rule, ServiceId, Verdict,
    };
    use unicode_width::UnicodeWidthStr as _;

    use super::*;
    use crate::output::ShownFailure;
    use crate::output::escape::tests::POISON;
    use crate::output::report::tests::met;

    const NOW: Timestamp = Timestamp::from_unix_secs(1_700_000_000);

    fn seen(met: Met) -> Observation {
        Observation::seen(NOW, Some("192.0.2.10:443".parse().unwrap()), met)
    }

    fn verdict() -> Verdict {
        Verdict {
            decision: Decision::Trusted,
            rule: Rule::MajorityAgrees,
            reasons: vec!["10 of 20 looks show the key that you see; the threshold is 0.5.".into()],
            judged: vec![],
            counts: Counts { asked: 20, answered: 20, agree: 10, differ: 10 },
        }
    }

    fn rendered(local: Observation, peers: &[PeerSight<'_>], missing: Vec<ShownFailure>) -> String {
        let service: ServiceId = "example.com".parse().unwrap();
        let (verdict, local) = (verdict(), Look { dns: DnsAnswers::default(), now: local });
        let shown = Shown {
            service: &service,
            policy: "majority",
            verdict: &verdict,
            local: &local,
            views: vec![],
            notaries: vec![],
            hubs: vec![],
            dropped: vec![],
            missing,
            not_needed: vec![],
            mirrors: None,
            elapsed: Duration::from_millis(310),
        };
        anstream::adapter::strip_str(&render(&shown, peers, NOW)).to_string()
    }

    #[test]
    fn ten_honest_and_ten_lying_peers() {
        let (honest, lie) = (seen(met(1)), seen(Met { ca_id: CaId::Key(Fingerprint::from_bytes([7; 32])), ..met(7) }));
        let networks: Vec<_> = (0..20).map(|number| format!("net{}", number / 2)).collect();
        let peer = |number: usize| {
            let (look, agrees) = match number % 2 {
                0 => (&honest, Agreement::SameLeaf),
                _ => (&lie, Agreement::Differs),
            };
            let region = [Some("eu-west"), Some("us-east"), None][number % 3];
            let network = networks[number].as_str();
            PeerSight { look, agrees: Some(agrees), region, network, hub: "192.0.2.7:8443" }
        };
        let text = rendered(honest.clone(), &(0..20).map(peer).collect::<Vec<_>>(), vec![]);
        assert_eq!(
            text,
            "You see, for tls://example.com:443 at 192.0.2.10:443:\n       01010101, Example Trust Services, valid for 60 days more\n\
             Others see (20 of 20 asked answered, 0.31 s):\n\
             \x20 10 x 01010101, Example Trust Services: what you see\n\
             \x20      eu-west 4, us-east 3; 10 networks; peers of the hub 192.0.2.7:8443\n\
             \x20 10 x 07070707, self-signed: ANOTHER key\n\
             \x20      eu-west 3, us-east 4; 10 networks; peers of the hub 192.0.2.7:8443\n\n\
             verdict: TRUSTED (majority-agrees)\n  - 10 of 20 looks show the key that you see; the threshold is 0.5.\n\
             next: Nothing: go ahead.\n"
        );
    }

    #[test]
    fn strangers_words_stay_in_their_lines() {
        for poison in POISON {
            let long = poison.repeat(20);
            let look = seen(Met { ca_id: CaId::Organisation(long.clone()), proved: false, ..met(3) });
            let peer = PeerSight { look: &look, agrees: None, region: Some(&long), network: &long, hub: &long };
            let missing = vec![ShownFailure { label: long.clone(), why: long.clone() }];
            let failed = Observation::failed(NOW, None, Outcome::Timeout);
            let text = rendered(failed, &[peer], missing);
            assert!(text.lines().all(|line| line.width() <= 80), "{text}");
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
            assert_eq!(text.lines().filter(|line| line.starts_with("verdict")).count(), 1, "{text}");
        }
    }
}
