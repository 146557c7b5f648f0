//! A mailbox becomes a certificate, over HTTP and a maildir.

mod abuse;
pub(crate) mod client;
mod lasting;
mod mails;

use http::StatusCode;
use parallax_node::{Flow, JanusSettings};
use parallax_probe::AwsLc;
use parallax_proto::janus::{CaList, CertificateAnswer};
use parallax_proto::mirror::{Signatory, verify};

use self::client::{Client, Janus};
use crate::support::now;

#[tokio::test]
async fn a_mailbox_becomes_a_certificate() {
    let janus = Janus::start().await;
    let ann = Client::new("ann@example.com");
    let placed = janus.place(&ann).await;
    let mail = janus.mail_to("ann@example.com").await;
    assert!(mail.contains(&ann.phrase(&placed)), "{mail}");
    let answer = janus.answer(&ann, &placed, &mail.token1(&placed)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let told: CertificateAnswer = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(told.mailbox, "ann@example.com");
    let identity = janus.judge(&told).await;
    assert_eq!((identity.mailbox().as_str(), identity.key().id()), ("ann@example.com", ann.id()));
    assert_eq!(identity.not_after(), told.not_after);
    // The code does as well as the link, and the same answer gets the same certificate.
    let again = janus.answer(&ann, &placed, &mail.code()).await;
    assert_eq!(serde_json::from_slice::<CertificateAnswer>(&again.body).unwrap(), told);
    let second = janus.mail_with("Your Parallax certificate").await;
    assert!(second.contains("http://localhost:15342/AddCert/-----BEGIN%20CERTIFICATE-----"), "{second}");
    assert!(second.contains("parallax-certificate.pem"), "{second}");
}

#[tokio::test]
async fn the_list_is_signed_and_names_the_root() {
    let janus = Janus::start().await;
    let reply = janus.get("/v1/ca").await;
    let descriptor = janus.node().descriptor();
    let by = Signatory { vantage: janus.node().vantage(), statement_key: descriptor.statement_key };
    let list = verify::<CaList>(&AwsLc, by, reply.signed(), now()).unwrap();
    assert_eq!((list.content().roots.len(), list.content().issuing.len(), list.content().keys.len()), (1, 1, 0));
}

#[tokio::test]
async fn a_key_revokes_itself_and_is_refused_at_once() {
    let janus = Janus::start().await;
    let ann = Client::new("ann@example.com");
    let told = janus.certify(&ann).await;
    janus.judge(&told).await;
    for (at, status) in [(now().minus(std::time::Duration::from_secs(3600)), 400), (now(), 204), (now(), 204)] {
        assert_eq!(janus.revoke(&ann, at).await.status.as_u16(), status);
    }
    let why = janus.try_judge(&told).await.unwrap_err().to_string();
    assert!(why.contains("deny list"), "{why}");
    assert_eq!(janus.renew(&told).await.problem(401), "certificate-required");
    // Nor does a new order help it.
    assert_eq!(janus.order(&ann.order()).await.problem(403), "revoked");
    // A key that has no certificate here can't fill the list.
    assert_eq!(janus.revoke(&Client::new("eve@example.com"), now()).await.problem(404), "not-found");
    let forged = Client { mailbox: ann.mailbox.clone(), ..Client::new("eve@example.com") };
    assert_eq!(janus.revoke_as(&ann, &forged, now()).await.problem(403), "bad-statement");
}

#[tokio::test]
async fn a_renewal_is_for_the_same_key_and_needs_the_certificate() {
    let janus = Janus::start().await;
    let ann = Client::new("ann@example.com");
    let told = janus.certify(&ann).await;
    let renewed: CertificateAnswer = serde_json::from_slice(&janus.renew(&told).await.body).unwrap();
    assert_eq!(janus.judge(&renewed).await.key().id(), ann.id());
    assert_ne!(renewed.certificate, told.certificate);
    assert_eq!(janus.post("/v1/certificates", b"").await.problem(401), "certificate-required");
    let other = Janus::start().await;
    let stranger = other.certify(&ann).await;
    assert_eq!(janus.renew(&stranger).await.problem(401), "certificate-required");
}

#[tokio::test]
async fn whoever_lost_a_key_orders_with_another_and_the_first_is_denied() {
    let janus = Janus::start().await;
    let (lost, fresh) = (Client::new("ann@example.com"), Client::new("ann@example.com"));
    let first = janus.certify(&lost).await;
    let order = fresh.order_that_denies_others();
    let placed = janus.placed(&order).await;
    let mail = janus.mail_of(&placed).await;
    janus.judge(&first).await;
    let answer = janus.answer(&fresh, &placed, &mail.code()).await;
    let second: CertificateAnswer = serde_json::from_slice(&answer.body).unwrap();
    janus.judge(&second).await;
    assert!(janus.try_judge(&first).await.unwrap_err().to_string().contains("deny list"));
}

#[tokio::test]
async fn the_classic_flow_mails_a_certificate_for_a_day() {
    let janus = Janus::with(|settings: &mut JanusSettings| settings.flow = Flow::Classic).await;
    let ann = Client::new("ann@example.com");
    let reply = janus.order(&ann.order()).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.text());
    assert!(reply.json().get("order").is_none() && reply.json().get("expires_at").is_some());
    let mail = janus.mail_to("ann@example.com").await;
    let told = mail.certificate("ann@example.com");
    let identity = janus.judge(&told).await;
    let left = identity.not_after().since(now());
    assert!(left <= std::time::Duration::from_secs(24 * 3600), "{left:?}");
    assert_eq!(janus.renew(&told).await.problem(403), "not-renewable");
    assert_eq!(janus.order(&ann.order_that_denies_others()).await.problem(422), "bad-order");
}
