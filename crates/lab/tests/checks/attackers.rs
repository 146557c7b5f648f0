//! Attackers near me, in every form.

use std::net::Ipv4Addr;
use std::time::Duration;

use parallax_client::Deadline;
use parallax_core::Decision::{Distrusted, Undecided};
use parallax_core::{Outcome, Policy, Rule};
use parallax_lab::{Answer, Behaviour, Ca, Certificate, Failure, Prefix, Stage, Validity};
use parallax_probe::TargetPolicy;
use parallax_proto::Question;

use crate::ground::{DAY, Ends, HOUR, LONG, Service, mis_issued, own_root, show};

const MITM: Ends = (Distrusted, Rule::MitmNearMe);
const UNEXPLAINED: Ends = (Undecided, Rule::Unexplained);

#[tokio::test]
async fn an_attacker_on_my_path() {
    let stage = Stage::open().await.unwrap();
    type Attack = fn(&Service<'_>) -> Behaviour;
    let forms: [(&str, Attack, Ends); 8] = [
        ("own-root", |it| show(&own_root(it)), MITM),
        ("self-signed", |it| show(&Certificate::self_signed(&[&it.host], Validity::current()).unwrap()), MITM),
        ("mis-issued", |it| show(&mis_issued(it)), MITM),
        ("old-tls", |it| Behaviour::tls12(&mis_issued(it)).unwrap(), MITM),
        ("namesake-ca", |it| show(&it.issued_by(&Ca::root("Example Trust").unwrap())), MITM),
        ("no-tls", |_| Behaviour::plain_http(), MITM),
        // The site's own CA near me might be another front end of the site: a documented limit.
        ("sites-ca", |it| show(&it.public()), UNEXPLAINED),
        ("cut", |_| Behaviour::Cut, (Undecided, Rule::NotEnough)),
    ];
    let cases = forms.into_iter().flat_map(|form| [(form, false), (form, true)]);
    for (number, ((form, attack, wanted), remembered)) in (1..).zip(cases) {
        let service = Service::new(&stage, &format!("{form}-{remembered}.example"), number);
        let certificate = service.public();
        let site = stage.lab().hidden_site(&certificate).await.unwrap();
        let attacker = stage.lab().on_path(service.address, &site).await.unwrap();
        attacker.meddle([stage.me()], &attack(&service));
        if remembered {
            service.everybody_remembers(|past| past.saw(&certificate, service.address, DAY * 400, HOUR)).await;
        }
        assert_eq!(service.ends().await, wanted, "{form}, remembered: {remembered}");
        assert!(attacker.connections_from(stage.me()) > 0, "I was attacked");
    }
}

/// What the attacker's server does with everybody else, who comes there only because I did.
enum Towards {
    Alike,
    PassedOn,
    Silent,
}

#[tokio::test]
async fn an_attacker_behind_my_poisoned_resolver() {
    let stage = Stage::open().await.unwrap();
    let diverted = (Distrusted, Rule::DnsDiverted);
    type Forge = fn(&Service<'_>) -> Certificate;
    let forms: [(&str, Forge, Towards, Ends); 6] = [
        ("own-root-alike", own_root, Towards::Alike, diverted),
        ("own-root-silent", own_root, Towards::Silent, diverted),
        ("own-root-passed-on", own_root, Towards::PassedOn, MITM),
        ("mis-issued-passed-on", mis_issued, Towards::PassedOn, MITM),
        // With a public certificate the other server might be the owner's: nobody meets me there of their own accord.
        ("mis-issued-alike", mis_issued, Towards::Alike, UNEXPLAINED),
        ("mis-issued-silent", mis_issued, Towards::Silent, UNEXPLAINED),
    ];
    for (number, (form, forge, towards, wanted)) in (1..).zip(forms) {
        let service = Service::new(&stage, &format!("{form}.example"), number);
        let site = service.open(&service.public()).await;
        let trap = stage.lab().address(66, number);
        let attacker = stage.lab().on_path(trap, &site).await.unwrap();
        let false_certificate = forge(&service);
        match towards {
            Towards::Alike => attacker.attack([everybody()], &false_certificate).unwrap(),
            Towards::PassedOn => {}
            Towards::Silent => attacker.meddle([everybody()], &Behaviour::Cut),
        }
        attacker.attack([stage.me()], &false_certificate).unwrap();
        stage.lab().dns().set_towards(stage.me(), &service.host, Answer::a([trap])).unwrap();
        assert_eq!(service.ends().await, wanted, "{form}");
    }
}

fn everybody() -> Prefix {
    Prefix::new(Ipv4Addr::LOCALHOST, 8)
}

#[tokio::test]
async fn a_resolver_that_fails_me_decides_nothing() {
    let stage = Stage::open().await.unwrap();
    for (number, failure) in (1..).zip([Failure::ServFail, Failure::NoSuchName]) {
        let service = Service::new(&stage, &format!("lost-{number}.example"), number);
        let _site = service.open(&service.public()).await;
        stage.lab().dns().set_towards(stage.me(), &service.host, Answer::failure(failure)).unwrap();
        assert_eq!(service.ends().await, (Undecided, Rule::NotEnough), "{failure:?}");
    }
}

#[tokio::test]
async fn no_policy_trusts_an_attacker_near_me() {
    let stage = Stage::open().await.unwrap();
    let service = Service::new(&stage, "bank.example", 1);
    let site = service.open(&service.public()).await;
    site.set_certificate_towards(stage.me(), &mis_issued(&service)).unwrap();
    let rules = [Rule::MitmNearMe, Rule::MajorityDiffers, Rule::QuorumMissed, Rule::NotUnanimous, Rule::MpicDiffers];
    for (name, rule) in Policy::NAMES.into_iter().zip(rules) {
        assert_eq!(service.ends_by(Policy::named(name).unwrap()).await, (Distrusted, rule), "{name}");
    }
}

/// A name that leads outside first and inside afterwards: a node judges the very address that it connects to, each time.
#[tokio::test]
async fn a_name_that_flips_leads_no_node_inside() {
    let stage = Stage::open().await.unwrap();
    let lab = stage.lab();
    let (outside, inside) = (Service::new(&stage, "flip.example", 1), lab.address(66, 1));
    let _site = outside.open(&outside.public()).await;
    let secret = lab.site(inside, &own_root(&outside)).await.unwrap();
    let node = lab
        .node_with(27, "eu-west", "RIPE", |settings| {
            settings.probe.targets = TargetPolicy::any().denied([secret.address()]);
        })
        .await
        .unwrap();
    let question = |max_age| Question { max_age, ..Question::about(outside.id.clone()) };
    let vantage = node.vantage_point().unwrap();
    let first = vantage.view(question(DAY), Deadline::within(LONG)).await.unwrap();
    assert_eq!(first.content().now.outcome, Outcome::Seen);

    lab.dns().set("flip.example", Answer::a([inside])).unwrap();
    let at = Question { address: Some(inside.into()), ..question(DAY) };
    let there = vantage.view(at, Deadline::within(LONG)).await.unwrap();
    assert_eq!(there.content().now.outcome, Outcome::NotAllowed, "not when told to");
    let deadline = Deadline::within(LONG);
    let mut outcome = Outcome::Seen;
    while outcome == Outcome::Seen && !deadline.left().is_zero() {
        // The same look answers for two seconds; what comes after it must not go inside.
        let view = vantage.view(question(Duration::ZERO), deadline).await.unwrap();
        outcome = view.content().now.outcome;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(outcome, Outcome::NotAllowed);
    // I am led inside, as an attacker wants; nobody confirms it, and nobody goes there for me.
    let verdict = lab.checker(stage.me(), [&node]).unwrap().timeout(LONG).build().check(&outside.id).await;
    assert_eq!((verdict.decision, verdict.rule), (Undecided, Rule::NotEnough));
    assert_eq!(secret.connections_from(node.address()), 0);
    assert!(secret.connections_from(stage.me()) > 0);
}
