//! What is refused.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parallax_client::{
    Attached, Channel, HubPoint as _, HubVantage, IdentityKey, JanusNode, Missing, NewKey, OwnIdentity, TrustError,
    TrustNode, VantageUrl,
};
use parallax_lab::{Lab, LabNode};
use parallax_node::BelieveSettings;
use parallax_probe::AwsLc;
use parallax_proto::channel::{ClientKey, OwnKey, Run};
use serde_json::json;

use crate::raw::{Shows, request, until};
use crate::town::{Town, certified_by, certifies, soon};

fn https(node: &LabNode) -> SocketAddr {
    node.url().authority().parse().unwrap()
}

fn shows(identity: &OwnIdentity) -> Option<Shows> {
    Some(Shows::new(identity.chain(), &identity.key().to_pem()))
}

async fn trust_status(node: &LabNode, identity: &OwnIdentity) -> u16 {
    request(https(node), shows(identity), ("GET", "/v1/trust"), "").await.unwrap().0
}

fn health() -> Run {
    Run::new(json!({ "type": "health" })).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_nothing_is_served_as_ever_and_told_how_to_get_a_certificate() {
    let town = Town::start().await;
    let node = https(&town.hub);
    assert_eq!(request(node, None, ("GET", "/v1/vantage"), "").await.unwrap().0, 200);
    let (status, text) = request(node, None, ("GET", "/v1/trust"), "").await.unwrap();
    assert!(status == 401 && text.contains("parallax id request"), "{text}");
    let ann = town.person("ann").await;
    let (status, text) = request(node, shows(&ann), ("PUT", "/v1/trust/not-an-address"), "").await.unwrap();
    assert!(status == 400 && text.contains("\"field\":\"email\""), "{text}");
    let (status, text) = request(node, shows(&ann), ("PUT", "/v1/trust/ann@example.com"), "").await.unwrap();
    assert!(status == 409 && text.contains("not-declared"), "{text}");
    assert_eq!(request(node, shows(&ann), ("POST", "/v1/trust/bob@example.com"), "").await.unwrap().0, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_web_page_sends_is_refused() {
    let town = Town::start().await;
    let ann = town.person("ann").await;
    for origin in ["https://evil.example", "null", &format!("https://{}", https(&town.hub))] {
        for (method, path) in [("GET", "/v1/trust"), ("PUT", "/v1/trust/eve@example.com")] {
            let header = format!("origin: {origin}\r\n");
            let (status, text) = request(https(&town.hub), shows(&ann), (method, path), &header).await.unwrap();
            assert!(status == 403 && text.contains("cross-site"), "{origin} {method}: {text}");
        }
    }
    assert_eq!(town.trust_of(&ann).declared(soon()).await.unwrap().edges, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_does_not_tell_whether_an_address_is_known() {
    let town = Town::start().await;
    let (ann, _bob) = (town.person("ann").await, town.person("bob").await);
    let mut answers = Vec::new();
    for name in ["bob@example.com", "nobody@example.com"] {
        let put = request(https(&town.hub), shows(&ann), ("PUT", &format!("/v1/trust/{name}")), "").await.unwrap();
        assert_eq!(put.0, 204, "{name}");
        answers.push(put.1.lines().filter(|line| !line.starts_with("date:")).collect::<Vec<_>>().join("\n"));
    }
    assert_eq!(answers[0], answers[1]);
    let list = town.trust_of(&ann).declared(soon()).await.unwrap();
    assert!(list.edges.iter().all(|edge| edge.state.as_str() == "declared"), "{list:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_certificate_is_worth_nothing_without_its_key() {
    let town = Town::start().await;
    let ann = town.person("ann").await;
    let thief = IdentityKey::generate(NewKey::Ed25519).unwrap();
    let stolen = Some(Shows::new(ann.chain(), &thief.to_pem()));
    request(https(&town.hub), stolen, ("GET", "/v1/trust"), "").await.expect_err("the handshake proves the key");
    // In a channel the request is signed.
    let shown = ClientKey::certified(&AwsLc, ann.chain()).unwrap();
    let honest = ann.for_channels().unwrap();
    let other = town.person("bob").await.for_channels().unwrap();
    let signs = |key: &OwnKey| Channel::new(town.hub.url().clone().into(), key.clone()).unwrap();
    let stolen = OwnKey::new(shown, Arc::new(Borrowed(other)));
    let error = signs(&stolen).call(&health(), soon()).await.unwrap_err().to_string();
    assert!(error.contains("unauthorised"), "{error}");
    signs(&honest).call(&health(), soon()).await.unwrap().outcome.unwrap();
}

/// Signs with another's key.
struct Borrowed(OwnKey);

impl parallax_core::Signer for Borrowed {
    fn algorithm(&self) -> &'static str {
        self.0.signer().algorithm()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, parallax_core::SigningFailed> {
        self.0.signer().sign(message)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_chains_are_refused_and_others_go_on() {
    let town = Town::start().await;
    let ann = town.person("ann").await;
    let (chain, key) = (ann.chain().to_vec(), ann.key().to_pem());
    let five = [chain.clone(), chain.clone(), chain[..1].to_vec()].concat();
    let megabyte: Vec<Vec<u8>> = chain[..1].iter().cloned().chain((0..300).map(|_| vec![0x30; 4_000])).collect();
    for long in [five, megabyte] {
        let shown = Some(Shows::new(&long, &key));
        request(https(&town.hub), shown, ("GET", "/v1/trust"), "").await.expect_err("too long a chain");
    }
    assert_eq!(trust_status(&town.hub, &ann).await, 200);
    // What no handshake looks at is judged: an issuing certificate that is none.
    let mixed = Some(Shows::new(&[chain[0].clone(), chain[0].clone()], &key));
    let (status, text) = request(https(&town.hub), mixed, ("GET", "/v1/trust"), "").await.unwrap();
    assert!(status == 401 && text.contains("does not count here"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_root_counts_nowhere() {
    let town = Town::start().await;
    let (elsewhere, mails) = other_janus(&town.lab).await;
    let key = IdentityKey::generate(NewKey::P256).unwrap();
    let eve = certified_by(&elsewhere, mails.path(), "ann", &key).await;
    let (status, text) = request(https(&town.hub), shows(&eve), ("GET", "/v1/trust"), "").await.unwrap();
    assert!(status == 401 && text.contains("does not lead to a root that is believed here"), "{text}");
    let channel = Channel::new(town.hub.url().clone().into(), eve.for_channels().unwrap()).unwrap();
    let error = channel.call(&health(), soon()).await.unwrap_err().to_string();
    assert!(error.contains("unauthorised"), "though the hub is open to any bare key: {error}");
}

async fn other_janus(lab: &Lab) -> (LabNode, tempfile::TempDir) {
    let mails = tempfile::tempdir().unwrap();
    let node = lab.node_with(41, "us-east", "ARIN", |settings| certifies(settings, mails.path())).await.unwrap();
    (node, mails)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_is_refused_at_home_at_once_and_elsewhere_after_the_next_list() {
    let town = Town::start().await;
    let url = town.hub.url().clone();
    let believe = BelieveSettings { nodes: vec![url.clone()], refresh: Duration::from_secs(1) };
    let believing = town.lab.hub_with(42, "ap-south", |settings| settings.believe = believe).await.unwrap();
    let ann = town.person("ann").await;
    let key = ann.for_channels().unwrap();
    // A list may not have come yet: until then nothing counts.
    until(Duration::from_secs(30), 200, async || trust_status(&believing, &ann).await).await;
    assert_eq!(trust_status(&town.hub, &ann).await, 200);
    let mut peer = town.peer(&ann, 50, None).await;
    let open = |url: &VantageUrl| Attached::open(url.clone().into(), key.clone(), soon());
    let (home, away) = (open(town.hub.url()).await.unwrap(), open(believing.url()).await.unwrap());
    let hub = HubVantage::new(url.clone(), key.clone()).unwrap();

    JanusNode::new(url, None).unwrap().revoke(ann.key(), soon()).await.unwrap();
    assert_eq!(trust_status(&town.hub, &ann).await, 401, "at once");
    let five = Duration::from_secs(5);
    let asked = hub.ask(ask(&town), tokio::sync::mpsc::unbounded_channel().0, soon()).await;
    assert!(matches!(asked, Err(Missing::Channel(_) | Missing::Declined(_) | Missing::Unreachable(_))), "{asked:?}");
    until(Duration::from_secs(30), 401, async || trust_status(&believing, &ann).await).await;
    for channel in [&home, &away] {
        let deadline = tokio::time::Instant::now() + five;
        while channel.call(channel.caller().fresh_id().unwrap(), health(), soon()).await.is_ok() {
            assert!(tokio::time::Instant::now() < deadline, "an open channel of a denied key goes on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    tokio::time::timeout(five, peer.until_attached(false)).await.expect("its peer is detached");
}

fn ask(town: &Town) -> parallax_proto::hub::Ask {
    parallax_proto::hub::Ask {
        service: town.service.clone(),
        replies: 5,
        deadline_ms: 5_000,
        max_age_secs: 0,
        nonce: parallax_proto::hub::Nonce([7; 32]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_believes_nobody_keeps_no_trust() {
    let town = Town::start().await;
    let plain = town.lab.node(43, "eu-west", "RIPE").await.unwrap();
    let ann = town.person("ann").await;
    let node = TrustNode::new(plain.url().clone(), &ann).unwrap();
    assert!(matches!(node.declared(soon()).await, Err(TrustError::None)));
    let channel = Channel::new(plain.url().clone().into(), ann.for_channels().unwrap()).unwrap();
    assert!(channel.call(&health(), soon()).await.unwrap_err().to_string().contains("unauthorised"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_proved_the_mailbox_anew_has_the_edges_to_declare_again_and_the_old_key_has_none() {
    let town = Town::start().await;
    let (old, bob) = (town.person("ann").await, town.person("bob").await);
    town.befriend(&old, &bob).await;
    // Certificates begin at whole seconds, and of two of one second none is newer.
    let mut new = town.person("ann").await;
    while new.not_after() <= old.not_after() {
        new = town.person("ann").await;
    }
    let states = async |who: &OwnIdentity| {
        let list = town.trust_of(who).declared(soon()).await?;
        Ok::<_, TrustError>(list.edges.into_iter().map(|edge| edge.state.as_str()).collect::<Vec<_>>())
    };
    assert_eq!(states(&new).await.unwrap(), ["renew"]);
    assert_eq!(states(&bob).await.unwrap(), ["renew"], "bob has declared it for another key");
    let refused = states(&old).await.unwrap_err();
    assert!(matches!(&refused, TrustError::Refused(why) if why.contains("proved anew")), "{refused}");
    town.trust_of(&new).declare(bob.mailbox(), soon()).await.unwrap();
    assert_eq!(states(&new).await.unwrap(), ["waiting"]);
    town.trust_of(&bob).declare(new.mailbox(), soon()).await.unwrap();
    assert_eq!(states(&new).await.unwrap(), ["mutual"]);
    assert!(states(&old).await.is_err(), "and the old one does not come back");
}
