//! `decide` for nine views with a past. Aim: under 20 µs.

use std::hint::black_box;
use std::time::Duration;

use parallax_core::{
    Asked, Authority, CaId, DnsAnswers, Evidence, Fingerprint, History, Look, Met, Observation, Policy, PublicCa,
    Record, Testimony, Timespan, Timestamp, VantageId,
};

use crate::measure::{cpu_us, each, heading, in_turn, line};

const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);
const ROUNDS: usize = 15;
const COUNT: u32 = 20_000;

pub(crate) fn run() {
    heading("decide: 9 views, each with 8 timespans and 4 records (CPU each; aim: under 20 µs)");
    let evidence = evidence();
    for name in Policy::NAMES {
        let policy = Policy::named(name).expect("a policy");
        let decide = || {
            each(COUNT, || {
                for _ in 0..COUNT {
                    black_box(policy.decide(black_box(&evidence), NOW));
                }
            })
        };
        let empty = || each(COUNT, || drop(black_box(evidence.clone())));
        let (costs, _) = in_turn(ROUNDS, decide, empty);
        line(name, format_args!("{:.2} µs", cpu_us(&costs)));
    }
}

fn print(n: u8) -> Fingerprint {
    Fingerprint::from_bytes([n; 32])
}

fn look(key: u8) -> Look {
    let met = Met {
        protocol: "TLSv1.3".into(),
        proved: true,
        leaf: print(key),
        leaf_md5: None,
        key: print(key),
        issuer_key: Some(print(100)),
        chain: vec![print(key), print(100)],
        path: vec![print(key), print(100)],
        names: vec!["example.com".into(), "*.example.com".into()],
        not_before: NOW,
        not_after: NOW,
        ca_id: CaId::Organisation("Example Trust Services".into()),
        public_ca: PublicCa::Valid,
        host_keys: Vec::new(),
        scts: None,
    };
    let dns = DnsAnswers { ca: Some(vec![print(100)]), tlsa: Some(vec![]), ..DnsAnswers::default() };
    let now = Observation::seen(NOW, "192.0.2.1:443".parse().ok(), met);
    Look { dns, now }
}

fn history() -> History {
    let ago = |days: u64| NOW.minus(Duration::from_secs(days * 86_400));
    let span = |n: u8| Timespan {
        key: print(n),
        leaf: print(n),
        leaf_md5: None,
        issuer_key: Some(print(100)),
        ca_id: CaId::Organisation("Example Trust Services".into()),
        networks: vec!["192.0.0.0/16".parse().expect("a network")],
        proved: true,
        first_seen: ago(u64::from(n) * 60 + 60),
        last_seen: ago(u64::from(n) * 60),
    };
    let entry = |n: u8| Authority {
        record: Record { ca: [print(100 + n)].into(), leaf: Default::default() },
        first_seen: ago(u64::from(n) * 60 + 60),
        last_seen: ago(u64::from(n) * 60),
    };
    History { spans: (0..8).map(span).collect(), authority: (0..4).map(entry).collect(), turns: vec![] }
}

fn evidence() -> Evidence {
    let mut evidence = Evidence::new("example.com".parse().expect("a service"), look(0), NOW);
    for n in 0..9u8 {
        let vantage = VantageId::from_bytes([n; 32]);
        let region = ["eu-west", "us-east", "ap-south"].get(usize::from(n % 3)).map(|region| (*region).to_owned());
        evidence.ask(Asked { vantage, region, rir: None });
        // Two of nine meet another server of the same owner.
        let look = look(if n < 7 { 0 } else { 9 });
        evidence.add(Testimony { vantage, issued_at: NOW, look, there: None, history: history() });
    }
    evidence
}
