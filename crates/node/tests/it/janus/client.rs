//! A janus with a maildir, and a client of it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use parallax_core::{Fingerprint, Suite as _, Timestamp};
use parallax_janus::{BadChain, Denied, Identity, Judge, answer_message, phrase};
use parallax_node::{ClientChain, JanusSettings, MailRoute, Node};
use parallax_probe::AwsLc;
use parallax_proto::janus::{
    AnswerRequest, CaList, CertificateAnswer, OrderPlaced, OrderRequest, RevocationRequest, revocation_message,
};
use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, PKCS_ED25519, PublicKeyData as _, SanType, SigningKey as _,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::support::{PATIENCE, Reply, TestNode, call, now};

/// A node of the role janus.
pub(crate) struct Janus {
    pub(crate) test: TestNode,
    pub(crate) mails: tempfile::TempDir,
}

/// An order as it was answered.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) order: String,
    pub(crate) token2: String,
}

/// Somebody with a mailbox and a key.
pub(crate) struct Client {
    pub(crate) mailbox: String,
    pub(crate) key: KeyPair,
}

impl Janus {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut JanusSettings)) -> Self {
        let mails = tempfile::tempdir().unwrap();
        let mut settings = JanusSettings::new(MailRoute::Maildir(mails.path().into()));
        settings.limits.network_hour = 1_000;
        change(&mut settings);
        let test = TestNode::with(|node| node.janus = Some(settings)).await;
        Self { test, mails }
    }

    pub(crate) fn node(&self) -> &Node {
        &self.test.node
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.test.get(path).await
    }

    pub(crate) async fn post(&self, path: &str, body: &[u8]) -> Reply {
        let request = Request::post(path).body(Body::from(body.to_vec())).unwrap();
        call(self.node().router(), request).await
    }

    pub(crate) async fn order(&self, order: &OrderRequest) -> Reply {
        self.post("/v1/orders", &serde_json::to_vec(order).unwrap()).await
    }

    pub(crate) async fn placed(&self, order: &OrderRequest) -> Placed {
        let reply = self.order(order).await;
        assert_eq!(reply.status.as_u16(), 202, "{}", reply.text());
        match serde_json::from_slice(&reply.body).unwrap() {
            OrderPlaced::Proof { order, token2, .. } => Placed { order, token2 },
            OrderPlaced::Classic { .. } => panic!("no proof was asked for"),
        }
    }

    pub(crate) async fn place(&self, client: &Client) -> Placed {
        self.placed(&client.order()).await
    }

    pub(crate) async fn answer(&self, client: &Client, placed: &Placed, proof: &str) -> Reply {
        let request = client.answer(self.node(), placed, proof);
        self.post(&format!("/v1/orders/{}/answer", placed.order), &serde_json::to_vec(&request).unwrap()).await
    }

    pub(crate) async fn state(&self, placed: &Placed) -> Reply {
        let body = serde_json::json!({ "token2": placed.token2 }).to_string();
        self.post(&format!("/v1/orders/{}/state", placed.order), body.as_bytes()).await
    }

    pub(crate) async fn certify(&self, client: &Client) -> CertificateAnswer {
        let placed = self.place(client).await;
        let mail = self.mail_of(&placed).await;
        let answer = self.answer(client, &placed, &mail.code()).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    pub(crate) async fn revoke(&self, client: &Client, at: Timestamp) -> Reply {
        self.revoke_as(client, client, at).await
    }

    /// `signer` revokes the key of `client`.
    pub(crate) async fn revoke_as(&self, client: &Client, signer: &Client, at: Timestamp) -> Reply {
        let message = revocation_message(self.node().vantage(), &client.id(), at);
        let signature = URL_SAFE_NO_PAD.encode(signer.key.sign(&message).unwrap());
        let request = RevocationRequest { key: URL_SAFE_NO_PAD.encode(client.spki()), at, signature };
        self.post("/v1/revocations", &serde_json::to_vec(&request).unwrap()).await
    }

    /// As a client whose TLS handshake proved the certificate's key.
    pub(crate) async fn renew(&self, told: &CertificateAnswer) -> Reply {
        let mut request = Request::post("/v1/certificates").body(Body::empty()).unwrap();
        request.extensions_mut().insert(ClientChain::new(chain(told)));
        call(self.node().router(), request).await
    }

    /// What whoever relies on this node's list makes of a certificate.
    pub(crate) async fn try_judge(&self, told: &CertificateAnswer) -> Result<Identity, BadChain> {
        let list: CaList = serde_json::from_slice(&self.get("/v1/ca").await.body).unwrap();
        let roots: Vec<CertificateDer<'_>> =
            list.roots.iter().map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).collect();
        let denied = Denied::new(list.keys, list.issued_at, list.valid_until).unwrap();
        Judge::new(Arc::new(AwsLc), &roots)?.judge(&chain(told), &denied, now())
    }

    pub(crate) async fn judge(&self, told: &CertificateAnswer) -> Identity {
        self.try_judge(told).await.unwrap()
    }

    pub(crate) async fn mail_to(&self, address: &str) -> Mail {
        self.mail_with(&format!("\nTo: {address}\n")).await
    }

    /// The first mail of an order.
    pub(crate) async fn mail_of(&self, placed: &Placed) -> Mail {
        self.mail_with(&format!("AddCert#{}.", placed.order)).await
    }

    /// Waits for a mail that holds a text.
    pub(crate) async fn mail_with(&self, text: &str) -> Mail {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(mail) = self.mails().into_iter().find(|mail| mail.contains(text)) {
                return mail;
            }
            assert!(tokio::time::Instant::now() < deadline, "no mail holds {text:?}: {:?}", self.mails());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        let entries = std::fs::read_dir(self.mails.path().join("new")).unwrap();
        entries.map(|entry| Mail(std::fs::read_to_string(entry.unwrap().path()).unwrap())).collect()
    }
}

/// A mail as it lies in the folder.
#[derive(Debug)]
pub(crate) struct Mail(String);

impl std::ops::Deref for Mail {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Mail {
    pub(crate) fn token1(&self, placed: &Placed) -> String {
        let begin = format!("\nhttp://localhost:15342/AddCert#{}.", placed.order);
        self.split(&begin).nth(1).unwrap().lines().next().unwrap().to_owned()
    }

    pub(crate) fn code(&self) -> String {
        let is_code = |line: &&str| line.len() == 12 && line.starts_with("    ") && !line.contains('-');
        self.lines().find(is_code).unwrap().trim().to_owned()
    }

    /// The attachment.
    pub(crate) fn certificate(&self, mailbox: &str) -> CertificateAnswer {
        let begin = self.find("\n-----BEGIN CERTIFICATE-----\n").unwrap();
        let end = self.rfind("-----END CERTIFICATE-----\n").unwrap();
        let certificate = format!("{}-----END CERTIFICATE-----\n", self.get(begin + 1..end).unwrap());
        CertificateAnswer { certificate, not_after: now(), mailbox: mailbox.into() }
    }
}

impl Client {
    pub(crate) fn new(mailbox: &str) -> Self {
        Self { mailbox: mailbox.into(), key: KeyPair::generate_for(&PKCS_ED25519).unwrap() }
    }

    pub(crate) fn spki(&self) -> Vec<u8> {
        self.key.subject_public_key_info()
    }

    pub(crate) fn id(&self) -> Fingerprint {
        Fingerprint::from_bytes(AwsLc.sha256(&self.spki()))
    }

    pub(crate) fn csr(&self) -> Vec<u8> {
        self.csr_with(|_| {})
    }

    pub(crate) fn csr_with(&self, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![SanType::Rfc822Name(self.mailbox.as_str().try_into().unwrap())];
        change(&mut params);
        params.serialize_request(&self.key).unwrap().der().to_vec()
    }

    pub(crate) fn order(&self) -> OrderRequest {
        OrderRequest { csr: URL_SAFE_NO_PAD.encode(self.csr()), deny_others: false }
    }

    pub(crate) fn order_that_denies_others(&self) -> OrderRequest {
        OrderRequest { deny_others: true, ..self.order() }
    }

    fn hash(&self) -> Fingerprint {
        Fingerprint::from_bytes(AwsLc.sha256(&self.csr()))
    }

    /// What this client shows beside its order.
    pub(crate) fn phrase(&self, placed: &Placed) -> String {
        phrase(&AwsLc, &placed.order.parse().unwrap(), &self.hash())
    }

    pub(crate) fn answer(&self, janus: &Node, placed: &Placed, proof: &str) -> AnswerRequest {
        let message = answer_message(janus.vantage(), &placed.order, proof, &placed.token2, &self.hash());
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(&message).unwrap());
        AnswerRequest { proof: proof.into(), token2: placed.token2.clone(), signature }
    }
}

/// A chain in DER.
pub(crate) fn chain(told: &CertificateAnswer) -> Vec<Vec<u8>> {
    CertificateDer::pem_slice_iter(told.certificate.as_bytes()).map(|der| der.unwrap().to_vec()).collect()
}
