//! Services that begin in the clear: checks of honest ones, and of those whose offer of TLS is taken out on the way.

use parallax_client::Report;
use parallax_core::Decision::{Distrusted, Trusted, Undecided};
use parallax_core::{Outcome, Policy, Rule, Scheme, Starttls};
use parallax_lab::{Behaviour, Certificate, Stage};

use crate::ground::{DAY, Ends, HOUR, LONG, Service, own_root};

const SCHEMES: [Scheme; 6] =
    [Scheme::Smtp, Scheme::Submission, Scheme::Imap, Scheme::Pop3, Scheme::Ldap, Scheme::Postgres];

fn starttls(service: &Service<'_>, certificate: &Certificate) -> Behaviour {
    Behaviour::starttls(service.id.scheme(), certificate).unwrap()
}

fn stripped(scheme: Scheme) -> Behaviour {
    Behaviour::without_starttls(scheme, Starttls::NotOffered)
}

async fn report(service: &Service<'_>) -> Report {
    service.checker(Policy::default()).report(&service.id).await
}

fn reasons(report: &Report) -> String {
    report.verdict.reasons.join(" ")
}

#[tokio::test]
async fn an_honest_server_of_each_protocol() {
    let stage = Stage::open().await.unwrap();
    for (number, scheme) in (1..).zip(SCHEMES) {
        let service = Service::of(&stage, scheme, &format!("{}.example", scheme.as_str()), number);
        let _site = stage.lab().open(service.address, starttls(&service, &service.public())).await.unwrap();
        assert_eq!(service.ends().await, (Trusted, Rule::Corroborated), "{scheme:?}");
        let report = report(&service).await;
        let looks = report.views.iter().map(|view| &view.view.content().now);
        for look in looks.chain([&report.evidence.local().now]) {
            assert_eq!((look.outcome, look.starttls), (Outcome::Seen, Some(Starttls::Offered)));
        }
        assert_eq!(report.evidence.local().now.proved().unwrap().public_ca.as_str(), "valid");
    }
}

#[tokio::test]
async fn an_attacker_near_me() {
    let stage = Stage::open().await.unwrap();
    let mitm: Ends = (Distrusted, Rule::MitmNearMe);
    type Attack = fn(&Service<'_>) -> Behaviour;
    let forms: [(&str, Attack, Ends, &str); 3] = [
        (
            "stripped",
            |it| stripped(it.id.scheme()),
            mitm,
            "STARTTLS is not offered to you, but offered to 5 of 5 asked.",
        ),
        (
            "refused",
            |it| Behaviour::without_starttls(it.id.scheme(), Starttls::Refused),
            mitm,
            "STARTTLS is refused to you, but offered to 5 of 5 asked.",
        ),
        ("own-root", |it| starttls(it, &own_root(it)), mitm, "5 of 5 asked see another key"),
    ];
    for (number, (form, attack, wanted, words)) in (1..).zip(forms) {
        let service = Service::of(&stage, Scheme::Smtp, &format!("{form}.example"), number);
        let site = stage.lab().hidden(starttls(&service, &service.public())).await.unwrap();
        let attacker = stage.lab().on_path(service.address, &site).await.unwrap();
        attacker.meddle([stage.me()], &attack(&service));
        let checker = stage.checker(stage.me()).unwrap().wait_for_all(true).timeout(LONG).build();
        let report = checker.report(&service.id).await;
        assert_eq!((report.verdict.decision, report.verdict.rule), wanted, "{form}: {:#}", report.to_json());
        assert!(reasons(&report).contains(words), "{form}: {}", reasons(&report));
        assert!(attacker.connections_from(stage.me()) > 0, "I was attacked");
    }
}

/// Every policy by its own rule, and none of them trusts.
#[tokio::test]
async fn no_policy_trusts_a_server_whose_offer_is_taken_out() {
    let stage = Stage::open().await.unwrap();
    for (number, scheme) in (1..).zip(SCHEMES) {
        let service = Service::of(&stage, scheme, &format!("{}.example", scheme.as_str()), number);
        let site = stage.lab().open(service.address, starttls(&service, &service.public())).await.unwrap();
        site.behave_towards(stage.me(), stripped(scheme));
        let upgrade = scheme.upgrade().unwrap();
        for name in Policy::NAMES {
            let report = service.checker(Policy::named(name).unwrap()).report(&service.id).await;
            assert_ne!(report.verdict.decision, Trusted, "{name}: {:#}", report.to_json());
            let words = format!("{upgrade} is not offered to you, but offered to 5 of 5 asked.");
            assert!(reasons(&report).contains(&words), "{name}: {}", reasons(&report));
        }
    }
}

/// A view without TLS speaks neither way, whoever took it out; it is said, and the table shows it.
#[tokio::test]
async fn an_attacker_near_some_of_the_others() {
    let stage = Stage::open().await.unwrap();
    for (attacked, wanted) in
        [(1, (Trusted, Rule::Corroborated)), (2, (Trusted, Rule::Corroborated)), (3, (Undecided, Rule::NotEnough))]
    {
        let service = Service::of(&stage, Scheme::Imap, &format!("mail-{attacked}.example"), attacked);
        let site = stage.lab().open(service.address, starttls(&service, &service.public())).await.unwrap();
        for node in stage.nodes().iter().take(usize::from(attacked)) {
            site.behave_towards(node.address(), stripped(Scheme::Imap));
        }
        assert_eq!(service.ends().await, wanted, "{attacked}");
        let report = report(&service).await;
        let words = format!(
            "{attacked} of 5 asked are not offered STARTTLS by this server: somebody on their way may take it out."
        );
        assert!(reasons(&report).contains(&words), "{}", reasons(&report));
        let json = report.to_json().to_string();
        assert_eq!(json.matches(r#""starttls":"not-offered""#).count(), usize::from(attacked), "{json}");
        assert_eq!(json.matches(r#""starttls":"offered""#).count(), 6 - usize::from(attacked), "{json}");
    }
}

#[tokio::test]
async fn a_server_that_offers_it_to_nobody() {
    let stage = Stage::open().await.unwrap();
    for (number, remembered) in [(1, false), (2, true)] {
        let service = Service::of(&stage, Scheme::Smtp, &format!("clear-{number}.example"), number);
        let _site = stage.lab().open(service.address, stripped(Scheme::Smtp)).await.unwrap();
        if remembered {
            let certificate = service.public();
            service.everybody_remembers(|past| past.saw(&certificate, service.address, DAY * 400, HOUR)).await;
        }
        assert_eq!(service.ends().await, (Undecided, Rule::NotEnough));
        let report = report(&service).await;
        let words = "The server offers STARTTLS to nobody: it is not offered to you, and not to 5 of 5 asked.";
        assert!(reasons(&report).starts_with(words), "{}", reasons(&report));
        let before = "5 of them met it with TLS before, so that has changed.";
        assert_eq!(reasons(&report).contains(before), remembered, "{}", reasons(&report));
    }
}

/// A server whose STARTTLS failed since the others looked is no attack: what they met before is asked for again.
#[tokio::test]
async fn repro_an_offer_that_has_gone_since_is_no_attack_near_me() {
    let stage = Stage::open().await.unwrap();
    for (number, offer) in (1..).zip([Starttls::NotOffered, Starttls::Refused]) {
        let service = Service::of(&stage, Scheme::Smtp, &format!("gone-{number}.example"), number);
        let site = stage.lab().open(service.address, Behaviour::without_starttls(Scheme::Smtp, offer)).await.unwrap();
        for node in stage.nodes() {
            node.looked(&service.id, &service.public(), site.address(), HOUR).await.unwrap();
        }
        assert_eq!(service.ends().await, (Undecided, Rule::NotEnough), "{offer:?}");
    }
}

/// What a vantage point says of an upgrade is in its signed view, and in the answer about a dictated address.
#[tokio::test]
async fn a_look_at_a_dictated_address_tells_it_too() {
    let stage = Stage::open().await.unwrap();
    let service = Service::of(&stage, Scheme::Pop3, "pop.example", 1);
    let _site = stage.lab().open(service.address, starttls(&service, &service.public())).await.unwrap();
    let other = stage.lab().address(31, 1);
    let _other = stage.lab().open(other, stripped(Scheme::Pop3)).await.unwrap();
    let vantage = stage.nodes()[0].vantage_point().unwrap();
    let question =
        parallax_proto::Question { address: Some(other.into()), ..parallax_proto::Question::about(service.id.clone()) };
    let view = vantage.view(question, parallax_client::Deadline::within(LONG)).await.unwrap();
    let now = &view.content().now;
    assert_eq!((now.outcome, now.starttls), (Outcome::NotTls, Some(Starttls::NotOffered)));
}
