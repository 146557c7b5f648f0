use std::time::Duration;

use parallax_core::{Counts, DnsAnswers, Fingerprint, Judged, Outcome, PublicCa, Rule, Timespan};
use unicode_width::UnicodeWidthStr as _;

use super::*;
use crate::output::escape::tests::POISON;

const NOW: Timestamp = Timestamp::from_unix_secs(1_700_000_000);

fn print_of(n: u8) -> Fingerprint {
    Fingerprint::from_bytes([n; 32])
}

/// A certificate whose fingerprints are made from `n`.
pub(in crate::output) fn met(n: u8) -> Met {
    Met {
        protocol: "TLSv1.3".into(),
        proved: true,
        leaf: print_of(n),
        leaf_md5: None,
        key: print_of(n),
        issuer_key: None,
        chain: vec![print_of(n)],
        path: vec![],
        names: vec!["example.com".into()],
        not_before: NOW.minus(Duration::from_secs(86_400)),
        not_after: NOW.plus(Duration::from_secs(86_400 * 60)),
        ca_id: CaId::Organisation("Example Trust Services".into()),
        public_ca: PublicCa::Valid,
        host_keys: Vec::new(),
        scts: None,
    }
}

fn seen(met: Met) -> Observation {
    Observation::seen(NOW, Some("192.0.2.10:443".parse().unwrap()), met)
}

fn history(n: u8, days: u64) -> History {
    let first_seen = NOW.minus(Duration::from_secs(86_400 * days));
    let span = Timespan {
        key: print_of(n),
        leaf: print_of(n),
        leaf_md5: None,
        issuer_key: None,
        ca_id: CaId::Key(print_of(n)),
        networks: vec![],
        proved: true,
        first_seen,
        last_seen: NOW,
    };
    History { spans: vec![span], ..History::default() }
}

fn view<'a>(n: u8, label: &str, region: &str, now: &'a Observation) -> ShownView<'a> {
    ShownView {
        vantage: VantageId::from_bytes([n; 32]),
        label: label.into(),
        region: Some(region.into()),
        now,
        there: None,
        history: now.met.as_ref().map_or_else(History::default, |met| history(met.key.as_bytes()[0], 12)),
    }
}

fn judged(n: u8, agrees: Agreement, word: Word) -> Judged {
    Judged { vantage: VantageId::from_bytes([n; 32]), agrees, word }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn a_check_with_everything_in_it() {
    let service = "example.com".parse().unwrap();
    let local = Look { dns: DnsAnswers::default(), now: seen(met(1)) };
    let (same, other) = (seen(met(1)), seen(Met { ca_id: CaId::Key(print_of(2)), ..met(2) }));
    let unproved = seen(Met { proved: false, ca_id: CaId::Key(print_of(9)), ..met(3) });
    let silent = Observation::failed(NOW, None, Outcome::Timeout);
    let verdict = Verdict {
        decision: Decision::Undecided,
        rule: Rule::PartialHijack,
        reasons: vec!["2 of 5 asked see a key of another CA at your address.".into(), "Another reason.".into()],
        judged: vec![
            judged(1, Agreement::SameLeaf, Word::For),
            judged(2, Agreement::Differs, Word::Against),
            judged(3, Agreement::NothingSeen, Word::Aside),
            judged(4, Agreement::NothingSeen, Word::Aside),
        ],
        counts: Counts { asked: 6, answered: 4, agree: 1, differ: 1 },
    };
    let mut differing = view(2, "node-2.a-very-long-name-of-a-vantage-point.example.com:8443", "us-east", &other);
    differing.there = Some(&same);
    let shown = Shown {
        service: &service,
        policy: "evidence",
        verdict: &verdict,
        local: &local,
        views: vec![
            view(4, "192.0.2.4:8443", "us-east", &silent),
            differing,
            view(3, "192.0.2.3:8443", "ap-south", &unproved),
            view(1, "192.0.2.1:8443", "eu-west", &same),
        ],
        notaries: vec![],
        hubs: vec![],
        dropped: vec![ShownFailure { label: "192.0.2.5:8443".into(), why: "the signature does not hold".into() }],
        missing: vec![ShownFailure { label: "192.0.2.6:8443".into(), why: "no answer in time".into() }],
        not_needed: vec!["192.0.2.7:8443".into(), "192.0.2.8:8443".into()],
        mirrors: None,
        elapsed: Duration::from_millis(312),
    };
    let text = plain(&render(&shown, NOW));
    assert!(text.lines().all(|line| line.width() <= 80), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn nobody_to_ask() {
    let service = "example.com".parse().unwrap();
    let local = Look { dns: DnsAnswers::default(), now: seen(met(1)) };
    let verdict = Verdict {
        decision: Decision::Undecided,
        rule: Rule::NotEnough,
        reasons: vec!["Nobody was asked: no vantage point is configured.".into()],
        judged: vec![],
        counts: Counts::default(),
    };
    let shown = Shown {
        service: &service,
        policy: "evidence",
        verdict: &verdict,
        local: &local,
        views: vec![],
        notaries: vec![],
        hubs: vec![],
        dropped: vec![],
        missing: vec![],
        not_needed: vec![],
        mirrors: None,
        elapsed: Duration::from_millis(41),
    };
    insta::assert_snapshot!(plain(&render(&shown, NOW)));
}

#[test]
fn strangers_can_neither_widen_nor_forge_the_report() {
    for poison in POISON {
        let long = poison.repeat(30);
        let service = format!("{}.example", "a".repeat(60)).parse().unwrap();
        let hostile = seen(Met { ca_id: CaId::Organisation(long.clone()), ..met(1) });
        let local = Look { dns: DnsAnswers::default(), now: hostile.clone() };
        let verdict = Verdict {
            decision: Decision::Distrusted,
            rule: Rule::MitmNearMe,
            reasons: vec![long.clone()],
            judged: vec![judged(1, Agreement::Differs, Word::Against)],
            counts: Counts { asked: 3, answered: 1, agree: 0, differ: 1 },
        };
        let failure = ShownFailure { label: long.clone(), why: long.clone() };
        let shown = Shown {
            service: &service,
            policy: "evidence",
            verdict: &verdict,
            local: &local,
            views: vec![view(1, &long, &long, &hostile)],
            notaries: vec![],
            hubs: vec![],
            dropped: vec![failure.clone()],
            missing: vec![failure],
            not_needed: vec![long.clone()],
            mirrors: None,
            elapsed: Duration::ZERO,
        };
        let styled = render(&shown, NOW);
        let text = plain(&styled);
        let is_style = |rest: &str| {
            let code = rest.split_once('m').and_then(|(code, _)| code.strip_prefix('['));
            code.is_some_and(|code| code.bytes().all(|byte| byte.is_ascii_digit()))
        };
        assert!(styled.split('\u{1b}').skip(1).all(is_style), "{styled:?}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("verdict")).count(), 1, "{text}");
        assert!(text.contains("verdict: DISTRUSTED (mitm-near-me)\n"));
    }
}

#[test]
fn one_of_many_takes_one_line() {
    let service = "example.com".parse().unwrap();
    let verdict = Verdict {
        decision: Decision::Distrusted,
        rule: Rule::MitmNearMe,
        reasons: vec![],
        judged: vec![],
        counts: Counts::default(),
    };
    assert_eq!(plain(&line(&verdict, &service)), "distrusted  mitm-near-me       tls://example.com:443\n");
}

#[test]
fn a_server_that_offers_tls_to_some_or_to_nobody() {
    let service = "smtp://mx.example".parse().unwrap();
    let clear = |starttls| Observation::failed(NOW, None, Outcome::NotTls).with_starttls(Some(starttls));
    let (stripped, refused, tls) = (clear(Starttls::NotOffered), clear(Starttls::Refused), seen(met(1)));
    for (others, rule, next) in [
        (&tls, Rule::MitmNearMe, "next: Send no password"),
        (&refused, Rule::NotEnough, "next: Whatever goes there can be read and changed on the way."),
    ] {
        let local = Look { dns: DnsAnswers::default(), now: stripped.clone() };
        let verdict = Verdict {
            decision: Decision::Undecided,
            rule,
            reasons: vec!["Because.".into()],
            judged: vec![judged(1, Agreement::NothingSeen, Word::Aside)],
            counts: Counts { asked: 1, answered: 1, agree: 0, differ: 0 },
        };
        let shown = Shown {
            service: &service,
            policy: "evidence",
            verdict: &verdict,
            local: &local,
            views: vec![view(1, "192.0.2.1:8443", "eu-west", others)],
            notaries: vec![],
            hubs: vec![],
            dropped: vec![],
            missing: vec![],
            not_needed: vec![],
            mirrors: None,
            elapsed: Duration::from_millis(3),
        };
        let text = plain(&render(&shown, NOW));
        assert!(text.contains("(no TLS offered)") && text.contains(next), "{text}");
        assert_eq!(text.contains("(TLS refused)"), rule == Rule::NotEnough, "{text}");
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
    }
}
