//! DNS answers as they are from the node.

use parallax_core::RecordKind;
use parallax_proto::{DNS_FORMAT, DnsReply};

use crate::support::{DnsServer, TestNode, look_now};

async fn node_with(server: &DnsServer) -> TestNode {
    let resolver = server.address;
    TestNode::with(move |settings| settings.probe.resolver = Some(resolver)).await
}

#[tokio::test]
async fn answers_are_signed_and_given_out_again_while_they_live() {
    let server = DnsServer::start().await;
    let node = node_with(&server).await;
    let path = "/v1/dns?name=WWW.Example.com.&types=a,TXT&nonce=n1";
    let first = node.get(path).await;
    assert_eq!(first.status, 200, "{}", first.text());
    assert!(!first.header("parallax-signature").is_empty());
    let reply: DnsReply = serde_json::from_slice(&first.body).unwrap();
    assert_eq!((reply.format.as_str(), reply.vantage), (DNS_FORMAT, node.node.vantage()));
    assert_eq!((reply.name.as_str(), reply.nonce.as_deref()), ("www.example.com", Some("n1")));
    assert_eq!(reply.answers[&RecordKind::A].records, ["127.0.0.1"]);
    assert_eq!(reply.answers[&RecordKind::A].rcode, "NOERROR");
    assert!(reply.answers[&RecordKind::Txt].records.is_empty());

    let asked = server.asked();
    let second = node.get(path).await;
    let second: DnsReply = serde_json::from_slice(&second.body).unwrap();
    assert_eq!(second.answers[&RecordKind::A].records, reply.answers[&RecordKind::A].records);
    assert!(second.answers[&RecordKind::A].min_ttl <= reply.answers[&RecordKind::A].min_ttl);
    assert_eq!(server.asked(), asked, "the second is answered from memory");
}

#[tokio::test]
async fn the_signature_is_one_that_any_reader_verifies() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use parallax_core::Suite as _;

    let server = DnsServer::start().await;
    let node = node_with(&server).await;
    let reply = node.get("/v1/dns?name=example.com&types=A").await;
    let jws = reply.header("parallax-signature").to_owned();
    let [header, empty, signature] = jws.split('.').collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(empty, "");
    let read: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    assert_eq!(read["kid"], node.node.vantage().to_string());
    assert_eq!((read["alg"].as_str(), read["b64"].as_bool()), (Some("EdDSA"), Some(false)));
    let message = [header.as_bytes(), b".", &reply.body].concat();
    let key = node.node.descriptor().statement_key;
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(parallax_probe::AwsLc.verify_ed25519(key.as_bytes(), &message, &signature));
}

#[tokio::test]
async fn a_resolver_that_says_nothing_is_an_answer_too() {
    // Nobody listens at the resolver of the ordinary test settings.
    let node = TestNode::start().await;
    let reply = node.get("/v1/dns?name=example.com&types=A").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let reply: DnsReply = serde_json::from_slice(&reply.body).unwrap();
    assert_ne!(reply.answers[&RecordKind::A].rcode, "NOERROR");
    assert!(reply.answers[&RecordKind::A].records.is_empty());
}

#[tokio::test]
async fn a_view_tells_where_dns_led() {
    let server = DnsServer::start().await;
    let node = node_with(&server).await;
    let site = crate::support::Site::start().await;
    let service = format!("site.example:{}", site.address.port()).parse().unwrap();
    let view = node.ask(&look_now(&service)).await;
    assert_eq!(view.content().dns.a, Some(vec![[127, 0, 0, 1].into()]));
    assert_eq!(view.content().now.proved().unwrap().leaf, site.leaf);
}
