//! Vantage points that lie, or are not who they should be: each is dropped and named, and none counts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use parallax_client::{Checker, Missing, NodeVantage, Report, VantageUrl};
use parallax_core::Decision::Trusted;
use parallax_core::{Rule, VantageId};
use parallax_lab::{LabNode, Stage};
use parallax_proto::{LARGEST_VIEW, View};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::ground::{DAY, HOUR, LONG, Service};
use crate::rogue::{Keys, Lie, Rogue, Sent};

/// An honest site, four honest nodes, and a fifth vantage point.
struct Table<'a> {
    service: Service<'a>,
    honest: &'a [LabNode],
    _site: parallax_lab::Site,
}

impl<'a> Table<'a> {
    async fn new(stage: &'a Stage, host: &str, number: u8) -> Self {
        let service = Service::new(stage, host, number);
        let certificate = service.public();
        let site = service.open(&certificate).await;
        service.everybody_remembers(|past| past.saw(&certificate, service.address, DAY * 400, HOUR)).await;
        Self { service, honest: &stage.nodes()[..4], _site: site }
    }

    fn checker(&self, fifth: &VantageUrl) -> Checker {
        let fifth = Arc::new(NodeVantage::new(fifth.clone(), None).unwrap());
        let builder = self.service.lab().checker(self.service.stage.me(), self.honest).unwrap();
        builder.vantage(fifth).wait_for_all(true).timeout(LONG).build()
    }

    async fn report(&self, checker: &Checker) -> Report {
        checker.report(&self.service.id).await
    }

    /// The check ends as it does without the fifth, which is named with the reason.
    fn assert_dropped(&self, report: &Report, fifth: VantageId, because: &str) {
        let shown = || format!("{because}: {:?} {:?} {:?}", report.verdict, report.dropped, report.missing);
        assert_eq!((report.verdict.decision, report.verdict.rule), (Trusted, Rule::Corroborated), "{}", shown());
        let [dropped] = report.dropped.as_slice() else { panic!("{}", shown()) };
        assert_eq!(dropped.vantage, fifth);
        assert!(dropped.why.to_string().contains(because), "{}", shown());
        let counts = report.verdict.counts;
        assert_eq!((counts.asked, counts.answered, counts.agree), (5, 4, 4), "{}", shown());
        assert!(report.views.iter().all(|view| view.vantage != fifth), "{}", shown());
        assert!(report.evidence.views().iter().all(|view| view.vantage != fifth), "{}", shown());
        let json = report.to_json();
        assert!(json["dropped"][0]["why"].as_str().is_some_and(|why| why.contains(because)), "{json:#}");
    }
}

fn sign(view: &View, keys: &Keys) -> Sent {
    view.sign(&keys.statement).unwrap().into()
}

/// A lie that changes the view before it is signed.
fn changed(change: impl Fn(&mut View) + Send + Sync + 'static) -> Lie {
    Box::new(move |mut view, _, keys| {
        change(&mut view);
        sign(&view, keys)
    })
}

fn from_the_past(view: &mut View, ago: Duration) {
    view.issued_at = view.issued_at.minus(ago);
    view.valid_until = view.valid_until.minus(ago);
    view.now.at = view.now.at.minus(ago);
    view.history.clear();
    view.authority.clear();
}

/// What a liar tells at once, and the words by which the user learns of it.
fn lies() -> Vec<(&'static str, Lie)> {
    let minutes = |minutes: u32| Duration::from_secs(60) * minutes;
    vec![
        (
            "the signature does not match the content",
            Box::new(|view, _, keys| {
                let sent = sign(&view, keys);
                Sent { body: sent.body.replace("\"eu-west\"", "\"us-east\""), ..sent }
            }),
        ),
        (
            "the signature does not match the content",
            Box::new(|view, _, keys| view.sign(&keys.strangers).unwrap().into()),
        ),
        (
            "the signature does not match the content",
            Box::new(|view, _, keys| {
                let other = View { nonce: None, ..view.clone() };
                Sent { signature: sign(&other, keys).signature, ..sign(&view, keys) }
            }),
        ),
        ("is not a detached JWS", Box::new(|view, _, keys| Sent { signature: String::new(), ..sign(&view, keys) })),
        ("the view is about tls://other.example:443", changed(|view| view.service = "other.example".parse().unwrap())),
        ("it is signed by 0707", changed(|view| view.vantage = VantageId::from_bytes([7; 32]))),
        ("does not echo the nonce", changed(|view| view.nonce = Some("another".into()))),
        ("does not echo the nonce", changed(|view| view.nonce = None)),
        ("the view is valid from", changed(move |view| from_the_past(view, minutes(10)))),
        (
            "the view is valid from",
            changed(move |view| {
                view.issued_at = view.issued_at.plus(minutes(10));
                view.valid_until = view.valid_until.plus(minutes(10));
            }),
        ),
        ("more than 5 minutes", changed(move |view| view.valid_until = view.valid_until.plus(minutes(1)))),
        ("the look is from", changed(|view| view.now.at = view.now.at.minus(DAY * 2))),
        ("has format \"parallax-dns/1\"", changed(|view| view.format = "parallax-dns/1".into())),
        ("the look lies after the signature", changed(move |view| view.now.at = view.now.at.plus(minutes(1)))),
        ("leads its own chain", changed(|view| view.now.met.as_mut().unwrap().chain.clear())),
        (
            "its answer is larger than",
            Box::new(|view, _, keys| {
                let sent = sign(&view, keys);
                Sent { body: format!("{}{}", sent.body, " ".repeat(LARGEST_VIEW)), ..sent }
            }),
        ),
    ]
}

#[tokio::test]
async fn a_lie_is_dropped_and_named() {
    let stage = Stage::open().await.unwrap();
    for (number, (because, lie)) in (1..).zip(lies()) {
        let table = Table::new(&stage, &format!("lie-{number}.example"), number).await;
        let rogue = Rogue::start(stage.lab().address(66, number), &stage.nodes()[0], lie).await;
        let report = table.report(&table.checker(&rogue.url)).await;
        table.assert_dropped(&report, rogue.url.pin().unwrap(), because);
    }
}

/// The same server without a lie counts: what drops the others is the lie.
#[tokio::test]
async fn a_rogue_that_tells_the_truth_counts() {
    let stage = Stage::open().await.unwrap();
    let table = Table::new(&stage, "truth.example", 1).await;
    let rogue = Rogue::start(stage.lab().address(66, 1), &stage.nodes()[0], changed(|_| {})).await;
    let checker = table.checker(&rogue.url);
    for _ in 0..2 {
        let report = table.report(&checker).await;
        assert_eq!((report.verdict.counts.answered, report.dropped.len()), (5, 0), "{:#}", report.to_json());
    }
}

/// What only shows when it is asked twice. The first answer is true, the second one contradicts it or repeats it.
#[tokio::test]
async fn a_lie_of_the_second_answer_is_dropped_named_and_proved() {
    let stage = Stage::open().await.unwrap();
    let later = |view: &mut View| {
        // Beyond what two answers made side by side may differ by, within what clocks may.
        view.issued_at = view.issued_at.plus(Duration::from_secs(10));
        view.valid_until = view.valid_until.plus(Duration::from_secs(10));
    };
    let second = |change: fn(&mut View)| -> Lie {
        Box::new(move |mut view, number, keys| {
            if number > 0 {
                later(&mut view);
                change(&mut view);
            }
            sign(&view, keys)
        })
    };
    let first = Arc::new(Mutex::new(None));
    let replay: Lie = Box::new(move |view, _, keys| {
        let mut first = first.lock().unwrap();
        let signed = first.get_or_insert_with(|| view.sign(&keys.statement).unwrap()).clone();
        signed.into()
    });
    let shrank = "lying-vantage: a timespan of its history shrank or vanished";
    let differs = "lying-vantage: two different looks at one address in one millisecond";
    let lies: [(&str, bool, Lie); 5] = [
        (shrank, true, second(|view| view.history.clear())),
        (shrank, true, second(|view| view.history[0].first_seen = view.history[0].first_seen.plus(DAY))),
        (shrank, true, second(|view| view.history[0].last_seen = view.history[0].first_seen)),
        (differs, true, second(|view| view.now.met.as_mut().unwrap().protocol = "TLSv1.2".into())),
        ("does not echo the nonce", false, replay),
    ];
    for (number, (because, proved, lie)) in (1..).zip(lies) {
        let table = Table::new(&stage, &format!("second-{number}.example"), number).await;
        let rogue = Rogue::start(stage.lab().address(66, number), &stage.nodes()[0], lie).await;
        let checker = table.checker(&rogue.url);
        let report = table.report(&checker).await;
        assert_eq!((report.verdict.counts.answered, report.dropped.len()), (5, 0), "{:#}", report.to_json());
        let report = table.report(&checker).await;
        table.assert_dropped(&report, rogue.url.pin().unwrap(), because);
        assert_eq!(report.proofs.len(), usize::from(proved), "{:#}", report.to_json());
        if proved {
            assert!(report.proofs.iter().all(|proof| proof.earlier != proof.later));
            assert_eq!(report.to_json()["proofs"].as_array().unwrap().len(), 1);
        }
    }
}

#[tokio::test]
async fn who_is_not_the_pinned_one_is_dropped_and_named() {
    let stage = Stage::open().await.unwrap();
    let table = Table::new(&stage, "pins.example", 1).await;
    let [.., other, fifth] = stage.nodes() else { panic!("five nodes") };

    // Another honest node behind the address.
    let url = fifth.url_at(other.url().authority().parse().unwrap()).unwrap();
    let report = table.report(&table.checker(&url)).await;
    table.assert_dropped(&report, fifth.vantage(), &format!("chains to {}, not to the pinned", other.vantage()));

    // A site behind it.
    let url = fifth.url_at((table.service.address, stage.lab().port()).into()).unwrap();
    let report = table.report(&table.checker(&url)).await;
    let [dropped] = report.dropped.as_slice() else { panic!("{:#}", report.to_json()) };
    assert!(matches!(dropped.why, Missing::WrongPin { expected, .. } if expected == fifth.vantage()), "{dropped:?}");

    // Somebody who shows the pinned CA's certificate after a leaf that it never signed.
    let stolen = CertificateDer::from_pem_slice(fifth.descriptor().ca.as_bytes()).unwrap();
    let at = stage.lab().address(66, 1);
    let rogue = Rogue::with_chain(at, other, changed(|_| {}), |own| vec![own[0].clone(), stolen]).await;
    let report = table.report(&table.checker(&rogue.url.with_pin(fifth.vantage()))).await;
    table.assert_dropped(&report, fifth.vantage(), "its TLS certificate does not hold");
}

/// A refusal or noise is no answer: missing, not dropped, and nobody's word.
#[tokio::test]
async fn who_refuses_or_makes_noise_is_missing() {
    let stage = Stage::open().await.unwrap();
    let problem = r#"{"title":"busy","status":503,"detail":"come back\u001b[31m later"}"#;
    let refusal: Lie = Box::new(|_, _, _| Sent { status: 503, body: problem.into(), signature: String::new() });
    let noise: Lie = Box::new(|_, _, _| Sent { status: 0, body: "noise".into(), signature: String::new() });
    let cases = [
        (refusal, "it refused with HTTP status 503 (come back[31m later)"),
        (noise, "it does not speak HTTP as a node does"),
    ];
    for (number, (lie, because)) in (1..).zip(cases) {
        let table = Table::new(&stage, &format!("noise-{number}.example"), number).await;
        let rogue = Rogue::start(stage.lab().address(66, number), &stage.nodes()[0], lie).await;
        let report = table.report(&table.checker(&rogue.url)).await;
        assert_eq!(report.verdict.decision, Trusted, "{:#}", report.to_json());
        let [missing] = report.missing.as_slice() else { panic!("{:#}", report.to_json()) };
        assert!(missing.why.to_string().contains(because), "{:?}", missing.why);
        assert_eq!((report.verdict.counts.answered, report.dropped.len()), (4, 0));
    }
}
