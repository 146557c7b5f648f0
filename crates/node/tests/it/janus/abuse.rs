//! What others try.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parallax_proto::janus::OrderRequest;
use rcgen::{DnType, SanType};

use super::client::{Client, Janus};
use crate::support::{Https, Protocol, http_get, https_get};

fn csr(der: &[u8]) -> OrderRequest {
    OrderRequest { csr: URL_SAFE_NO_PAD.encode(der), deny_others: false }
}

#[tokio::test]
async fn bad_requests_are_refused_with_the_reason_and_cause_no_mail() {
    let janus = Janus::start().await;
    let ann = Client::new("ann@example.com");
    let second = SanType::Rfc822Name("bob@example.com".try_into().unwrap());
    let host = SanType::DnsName("example.com".try_into().unwrap());
    let mut broken = ann.csr();
    *broken.last_mut().unwrap() ^= 1;
    for (der, part) in [
        (ann.csr_with(|params| params.distinguished_name.push(DnType::CommonName, "Ann")), "Subject"),
        (ann.csr_with(|params| params.subject_alt_names.push(second)), "2 names"),
        (ann.csr_with(|params| params.subject_alt_names = vec![host]), "host (dNSName)"),
        (ann.csr_with(|params| params.subject_alt_names.clear()), "subjectAltName is missing"),
        (broken, "signature"),
        (vec![0x30, 0x80], "PKCS #10"),
        (vec![0; 9 * 1024], "8192 are the most"),
        (Client::new("ann@example.com\r\nBcc: eve@example.com").csr(), "control character"),
        (Client::new("\"ann\"@example.com").csr(), "quotes"),
        (Client::new("ann(comment)@example.com").csr(), "parentheses"),
        (Client::new("Ann <ann@example.com>").csr(), "white space"),
        (Client::new("ann@192.0.2.7").csr(), "IP address"),
        (Client::new("ann@Example.com").csr(), "capital letters"),
        (Client::new("ann@xn--pple-43d.com").csr(), "mixes scripts"),
    ] {
        let reply = janus.order(&csr(&der)).await;
        assert_eq!(reply.problem(422), "bad-order");
        assert!(reply.text().contains(part), "{part}: {}", reply.text());
    }
    let reply = janus.post("/v1/orders", format!("{{\"csr\":\"{}\"}}", "A".repeat(1 << 20)).as_bytes()).await;
    assert_eq!(reply.problem(413), "body-too-large");
    for (body, status) in [("{}", 400), ("[]", 400), ("{\"csr\": \"=\"}", 400), ("{\"csr\": 7}", 400), ("", 400)] {
        assert_eq!(janus.post("/v1/orders", body.as_bytes()).await.status.as_u16(), status, "{body}");
    }
    // What comes after has gone out, so what came before would have too.
    janus.place(&ann).await;
    janus.mail_to("ann@example.com").await;
    assert_eq!(janus.mails().len(), 1);
}

#[tokio::test]
async fn a_scanner_that_opens_and_posts_everything_issues_nothing() {
    let janus = Janus::start().await;
    let ann = Client::new("ann@example.com");
    let placed = janus.place(&ann).await;
    let mail = janus.mail_of(&placed).await;
    let (token1, code) = (mail.token1(&placed), mail.code());
    for path in [format!("/AddCert#{}.{token1}", placed.order), format!("/v1/orders/{}/answer", placed.order)] {
        let path = path.split('#').next().unwrap();
        assert!(!janus.get(path).await.status.is_success());
        for body in [format!("proof={token1}"), format!("{{\"proof\":\"{code}\"}}"), String::new()] {
            assert!(!janus.post(path, body.as_bytes()).await.status.is_success());
        }
    }
    // It has the mail, and neither token2 nor the key.
    let eve = Client::new("eve@example.com");
    let guess = super::client::Placed { token2: placed.order.clone(), ..placed.clone() };
    assert_eq!(janus.answer(&eve, &guess, &token1).await.problem(403), "wrong-answer");
    // Whose answer is right gets it all the same.
    assert_eq!(janus.answer(&ann, &placed, &token1).await.status.as_u16(), 200);
}

#[tokio::test]
async fn an_owner_does_not_answer_for_another_key() {
    let janus = Janus::start().await;
    let (eve, ann) = (Client::new("ann@example.com"), Client::new("ann@example.com"));
    let placed = janus.place(&eve).await;
    let mail = janus.mail_of(&placed).await;
    // Whoever owns the mailbox has the code, and not the key that asked.
    assert_eq!(janus.answer(&ann, &placed, &mail.code()).await.problem(403), "wrong-answer");
    // Nor can the asker answer without the mail.
    assert_eq!(janus.answer(&eve, &placed, "AAAAAAAA").await.problem(403), "wrong-answer");
}

#[tokio::test]
async fn five_wrong_answers_end_an_order_however_many_come_at_once() {
    let janus = Janus::start().await;
    let ann = Client::new("ann@example.com");
    let placed = janus.place(&ann).await;
    let mail = janus.mail_of(&placed).await;
    let guesses = (0..20).map(|_| janus.answer(&ann, &placed, "AAAAAAAA"));
    let answers = futures_util::future::join_all(guesses).await;
    let wrong = answers.iter().filter(|answer| answer.status.as_u16() == 403).count();
    assert_eq!((wrong, answers.len()), (4, 20), "four are told how many are left, the fifth ends it");
    assert_eq!(janus.answer(&ann, &placed, &mail.code()).await.problem(410), "order-ended");
    let unknown = super::client::Placed { order: "A".repeat(22), ..placed.clone() };
    assert_eq!(janus.answer(&ann, &unknown, "AAAAAAAA").await.problem(404), "not-found");
    let long = super::client::Placed { order: "A".repeat(2000), ..placed };
    assert_eq!(janus.answer(&ann, &long, "AAAAAAAA").await.problem(404), "not-found");
}

#[tokio::test]
async fn the_same_order_answered_twice_at_once_gets_one_certificate() {
    let janus = Janus::start().await;
    let ann = Client::new("ann@example.com");
    let placed = janus.place(&ann).await;
    let code = janus.mail_of(&placed).await.code();
    let answers = futures_util::future::join_all((0..8).map(|_| janus.answer(&ann, &placed, &code))).await;
    for answer in &answers {
        assert_eq!((answer.status.as_u16(), &answer.body), (200, &answers[0].body));
    }
}

#[tokio::test]
async fn what_is_beyond_a_limit_is_answered_like_any_other_and_never_mailed() {
    let janus = Janus::start().await;
    let mut placed = Vec::new();
    for _ in 0..5 {
        let eve = Client::new("ann@example.com");
        let reply = janus.order(&eve.order()).await;
        let fields: Vec<_> = reply.json().as_object().unwrap().keys().cloned().collect();
        assert_eq!((reply.status.as_u16(), fields), (202, vec!["expires_at".into(), "order".into(), "token2".into()]));
        let told: serde_json::Value = reply.json();
        let text = |field: &str| told[field].as_str().unwrap().to_owned();
        placed.push(super::client::Placed { order: text("order"), token2: text("token2") });
    }
    janus.place(&Client::new("last@example.com")).await;
    janus.mail_to("last@example.com").await;
    assert_eq!(janus.mails().iter().filter(|mail| mail.contains("\nTo: ann@example.com\n")).count(), 3);
    // How they stand tells no difference either, and to nobody but the asker.
    let states: Vec<_> = futures_util::future::join_all(placed.iter().map(|one| janus.state(one))).await;
    assert!(states.iter().all(|state| state.json()["stage"] == "queued"), "{states:?}");
    let stranger = super::client::Placed { token2: placed[1].token2.clone(), ..placed[0].clone() };
    assert_eq!(janus.state(&stranger).await.problem(404), "not-found");
}

#[tokio::test]
async fn a_network_that_orders_too_much_waits() {
    let janus = Janus::with(|settings| settings.limits.network_hour = 2).await;
    for n in 0..2 {
        janus.place(&Client::new(&format!("a{n}@example.com"))).await;
    }
    let refused = janus.order(&Client::new("b@example.com").order()).await;
    assert_eq!(refused.problem(429), "too-many-requests");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 3000);
}

#[tokio::test]
async fn orders_are_taken_over_https_alone_and_by_a_janus_alone() {
    let janus = Janus::start().await;
    let plain = http_get(janus.node().http().unwrap(), "/v1/ca").await;
    assert_eq!(plain.problem(403), "https-only");
    let ca = janus.node().descriptor().ca;
    let https = Https { ca: &ca, name: "localhost", protocol: Protocol::Http1, version: &rustls::version::TLS13 };
    assert_eq!(https_get(&https, janus.node().https().unwrap(), "/v1/ca").await.status.as_u16(), 200);
    let other = crate::support::TestNode::start().await;
    assert_eq!(other.get("/v1/ca").await.problem(404), "not-found");
}

#[tokio::test]
async fn metrics_tell_nothing_of_addresses() {
    let janus = Janus::start().await;
    janus.certify(&Client::new("secret-ann@example.com")).await;
    let metrics = janus.get("/metrics").await.text();
    assert!(metrics.contains("parallax_janus_orders_total{outcome=\"placed\"} 1"), "{metrics}");
    assert!(metrics.contains("parallax_janus_certificates_total{kind=\"order\"} 1"), "{metrics}");
    assert!(!metrics.contains("secret-ann") && !metrics.contains("example.com"), "{metrics}");
}
