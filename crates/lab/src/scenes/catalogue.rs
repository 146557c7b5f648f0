//! The scenes themselves: facts for people, and how each is staged.

use std::net::SocketAddr;
use std::time::Duration;

use parallax_core::{Decision, Rule};

use super::{MY_NETWORK, Opened, Scene, Stage, Staged};
use crate::certificate::{Ca, Certificate, Validity};
use crate::error::LabError;
use crate::site::{Behaviour, Site};
use crate::zone::Answer;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// The network of the sites, and of the other front ends of those that have several.
const SITES: u8 = 30;
const FRONT_ENDS: u8 = 31;
/// The network of attackers who have an address of their own.
const ATTACKERS: u8 = 66;

/// How long the user waits where not everybody answers.
const IMPATIENCE: Duration = Duration::from_secs(2);

/// All scenes, in the order in which they are shown.
pub static SCENES: [Scene; 8] = [
    Scene {
        name: "honest-site",
        title: "An honest site",
        sentence: "Everybody is shown the same certificate.",
        past: None,
        decision: Decision::Trusted,
        rule: Rule::Corroborated,
        set_up: |stage, scene| Box::pin(honest_site(stage, scene)),
    },
    Scene {
        name: "attacker-near-me",
        title: "An attacker near me",
        sentence: "Somebody between me and the site answers in its place, with a certificate of their own; nobody else \
                   is attacked.",
        past: None,
        decision: Decision::Distrusted,
        rule: Rule::MitmNearMe,
        set_up: |stage, scene| Box::pin(attacker_near_me(stage, scene)),
    },
    Scene {
        name: "poisoned-resolver",
        title: "My resolver is poisoned",
        sentence: "My DNS leads me to the attacker's server, everybody else's DNS leads to the site.",
        past: None,
        decision: Decision::Distrusted,
        rule: Rule::DnsDiverted,
        set_up: |stage, scene| Box::pin(poisoned_resolver(stage, scene)),
    },
    Scene {
        name: "content-network",
        title: "A content network",
        sentence: "DNS leads Europe to one front end and the others to another; each has its own key, from the same \
                   public CA.",
        past: None,
        decision: Decision::Trusted,
        rule: Rule::DiverseConsistent,
        set_up: |stage, scene| Box::pin(content_network(stage, scene)),
    },
    Scene {
        name: "own-ca",
        title: "An organisation's own CA, authorised in DNS",
        sentence: "Everybody is shown another key, from a CA that no browser knows: only the owner's DNS record, which \
                   names that CA, says that they belong together.",
        past: None,
        decision: Decision::Trusted,
        rule: Rule::DiverseAuthorised,
        set_up: |stage, scene| Box::pin(own_ca(stage, scene)),
    },
    Scene {
        name: "unauthorised-ca",
        title: "The same with a CA that is not authorised",
        sentence: "The owner's DNS record names the organisation's CA; the certificates come from another one.",
        past: None,
        decision: Decision::Distrusted,
        rule: Rule::UnauthorisedCa,
        set_up: |stage, scene| Box::pin(unauthorised_ca(stage, scene)),
    },
    Scene {
        name: "partial-hijack",
        title: "A hijack that part of the network sees",
        sentence: "The route to the site is hijacked for Europe, where I am; the hijacker got a certificate from \
                   another public CA.",
        past: Some("the nodes have known the true key for 400 days, until an hour ago"),
        decision: Decision::Distrusted,
        rule: Rule::PartialHijack,
        set_up: |stage, scene| Box::pin(partial_hijack(stage, scene)),
    },
    Scene {
        name: "too-few-answers",
        title: "Too few vantage points answer",
        sentence: "The site is honest, but I can't reach three of the five vantage points: one is cut off, two never \
                   answer.",
        past: None,
        decision: Decision::Undecided,
        rule: Rule::NotEnough,
        set_up: |stage, scene| Box::pin(too_few_answers(stage, scene)),
    },
];

async fn honest_site(stage: &Stage, scene: &'static Scene) -> Result<Staged, LabError> {
    let (site, _) = open_site(stage, "shop.example", 1).await?;
    Staged::new(stage, scene, "shop.example", [site.into()])
}

async fn attacker_near_me(stage: &Stage, scene: &'static Scene) -> Result<Staged, LabError> {
    let (host, lab) = ("bank.example", stage.lab());
    let site = lab.hidden_site(&public_certificate(stage, host)?).await?;
    let address = lab.address(SITES, 2);
    let attacker = lab.on_path(address, &site).await?;
    attacker.attack([lab.network(MY_NETWORK)], &private_certificate(&Ca::root("Free Wi-Fi")?, host)?)?;
    lab.dns().set(host, Answer::a([address]))?;
    Staged::new(stage, scene, host, [Opened::from(attacker), site.into()])
}

async fn poisoned_resolver(stage: &Stage, scene: &'static Scene) -> Result<Staged, LabError> {
    let (host, lab) = ("mail.example", stage.lab());
    let (site, _) = open_site(stage, host, 3).await?;
    let trap = lab.address(ATTACKERS, 3);
    let attacker = lab.site(trap, &private_certificate(&Ca::root("Free Wi-Fi")?, host)?).await?;
    lab.dns().set_towards(lab.network(MY_NETWORK), host, Answer::a([trap]))?;
    Staged::new(stage, scene, host, [site.into(), attacker.into()])
}

async fn content_network(stage: &Stage, scene: &'static Scene) -> Result<Staged, LabError> {
    let (host, lab) = ("video.example", stage.lab());
    let (europe, _) = open_site(stage, host, 4).await?;
    let address = lab.address(FRONT_ENDS, 4);
    let others = lab.site(address, &public_certificate(stage, host)?).await?;
    for node in stage.nodes().iter().filter(|node| !is_european(node)) {
        lab.dns().set_towards(node.address(), host, Answer::a([address]))?;
    }
    Staged::new(stage, scene, host, [europe.into(), others.into()])
}

async fn own_ca(stage: &Stage, scene: &'static Scene) -> Result<Staged, LabError> {
    let host = "campus.example";
    let ca = Ca::root("Example University")?;
    let site = open_with_a_key_for_each(stage, host, 5, &ca).await?;
    stage.lab().authorise(host, [&ca])?;
    Staged::new(stage, scene, host, [site.into()])
}

async fn unauthorised_ca(stage: &Stage, scene: &'static Scene) -> Result<Staged, LabError> {
    let host = "library.example";
    let site = open_with_a_key_for_each(stage, host, 6, &Ca::root("Somebody Else")?).await?;
    stage.lab().authorise(host, [&Ca::root("Example University")?])?;
    Staged::new(stage, scene, host, [site.into()])
}

async fn partial_hijack(stage: &Stage, scene: &'static Scene) -> Result<Staged, LabError> {
    let (host, lab) = ("wallet.example", stage.lab());
    let (service, address) = (lab.service(host)?, lab.address(SITES, 7));
    let certificate = public_certificate(stage, host)?;
    let site = lab.hidden_site(&certificate).await?;
    let hijacker = lab.on_path(address, &site).await?;
    let europe = stage.nodes().iter().filter(|node| is_european(node)).map(|node| node.address());
    let false_certificate = stage.other_public_ca().issue(&[host], Validity::current())?;
    hijacker.attack(europe.chain([stage.me()]), &false_certificate)?;
    for node in stage.nodes() {
        node.remember(&service, lab.past().saw(&certificate, address, DAY * 400, HOUR)).await?;
    }
    lab.dns().set(host, Answer::a([address]))?;
    Staged::new(stage, scene, host, [Opened::from(hijacker), site.into()])
}

async fn too_few_answers(stage: &Stage, scene: &'static Scene) -> Result<Staged, LabError> {
    let (host, lab) = ("forum.example", stage.lab());
    let (site, _) = open_site(stage, host, 8).await?;
    let cut = lab.open(lab.address(ATTACKERS, 8), Behaviour::Cut).await?;
    let silent = lab.open(lab.address(ATTACKERS, 9), Behaviour::Silent).await?;
    let reached = |address: Option<SocketAddr>| {
        move |node: &crate::node::LabNode| match address {
            Some(address) => node.url_at(address),
            None => Ok(node.url().clone()),
        }
    };
    let ways = [None, Some(cut.address()), None, Some(silent.address()), Some(silent.address())];
    let vantages = stage.nodes().iter().zip(ways).map(|(node, way)| reached(way)(node));
    let vantages = vantages.collect::<Result<Vec<_>, LabError>>()?;
    Staged::asking(stage, scene, host, (vantages, IMPATIENCE), [site.into(), cut.into(), silent.into()])
}

/// An honest site under a public CA that DNS leads everybody to; `number` tells its address from those of other scenes.
async fn open_site(stage: &Stage, host: &str, number: u8) -> Result<(Site, Certificate), LabError> {
    let (lab, certificate) = (stage.lab(), public_certificate(stage, host)?);
    let address = lab.address(SITES, number);
    let site = lab.site(address, &certificate).await?;
    lab.dns().set(host, Answer::a([address]))?;
    Ok((site, certificate))
}

/// A site with many servers behind one address: each node reaches another one than I do, with a key of its own.
async fn open_with_a_key_for_each(stage: &Stage, host: &str, number: u8, ca: &Ca) -> Result<Site, LabError> {
    let lab = stage.lab();
    let address = lab.address(SITES, number);
    let site = lab.site(address, &private_certificate(ca, host)?).await?;
    for node in stage.nodes() {
        site.set_certificate_towards(node.address(), &private_certificate(ca, host)?)?;
    }
    lab.dns().set(host, Answer::a([address]))?;
    Ok(site)
}

fn is_european(node: &crate::node::LabNode) -> bool {
    node.descriptor().region.is_some_and(|region| region.starts_with("eu"))
}

fn public_certificate(stage: &Stage, host: &str) -> Result<Certificate, LabError> {
    stage.public_ca().issue(&[host], Validity::current())
}

fn private_certificate(ca: &Ca, host: &str) -> Result<Certificate, LabError> {
    ca.issue(&[host], Validity::current())
}
