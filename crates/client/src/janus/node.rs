//! What is asked of the node that certifies mailboxes.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Method;
use parallax_core::{Fingerprint, Timestamp, VantageId};
use parallax_janus::{BadChain, Denied, Identity, Judge, Mailbox};
use parallax_probe::AwsLc;
use parallax_proto::Verified;
use parallax_proto::janus::{
    AnswerRequest, CaList, CertificateAnswer, LARGEST_JANUS_ANSWER, OrderPlaced, OrderRequest, OrderState,
    RevocationRequest, StateRequest, revocation_message,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::JanusError;
use super::identity::{OwnIdentity, read_certificates};
use super::key::IdentityKey;
use super::order::{PendingOrder, Proof, hash_of};
use crate::clock::now;
use crate::http::Channel;
use crate::node::{NoPin, NodeVantage};
use crate::url::VantageUrl;
use crate::vantage::{Deadline, Missing};

/// A node of the role `janus` behind its pin, and what this client shows it.
pub struct JanusNode {
    id: VantageId,
    url: VantageUrl,
    pub(super) channel: Channel,
    node: NodeVantage,
}

/// What came of an order.
#[derive(Clone, Debug)]
pub enum Placement {
    /// A mail is on its way, or is not: the order is to be answered with what it says.
    Proof(Box<PendingOrder>),
    /// The classic flow: the certificate itself comes by mail.
    Classic {
        /// Until when the node tries to send it.
        expires_at: Timestamp,
    },
}

impl JanusNode {
    /// The node at `url`, whose pin says who it must be. With an identity it acts for its mailbox.
    pub fn new(url: VantageUrl, identity: Option<&OwnIdentity>) -> Result<Self, JanusError> {
        let no_pin = |error: NoPin| Missing::Certificate(error.to_string());
        let node = NodeVantage::new(url.clone(), None).map_err(no_pin)?;
        let id = url.pin().ok_or_else(|| no_pin(NoPin(url.clone())))?;
        Ok(Self { id, channel: Channel::acting_as(url.clone(), identity)?, url, node })
    }

    /// Where it is.
    pub fn url(&self) -> &VantageUrl {
        &self.url
    }

    /// Asks for a certificate of this key and mailbox. With `deny_others` the mailbox's other keys end once the order is
    /// answered.
    pub async fn place(
        &self,
        mailbox: &Mailbox,
        key: &IdentityKey,
        deny_others: bool,
        deadline: Deadline,
    ) -> Result<Placement, JanusError> {
        let request = key.request(mailbox)?;
        let body = OrderRequest { csr: URL_SAFE_NO_PAD.encode(&request), deny_others };
        let (order, token2, expires_at) = match self.post("/v1/orders", &body, deadline).await.map_err(no_janus)? {
            OrderPlaced::Classic { expires_at } => return Ok(Placement::Classic { expires_at }),
            OrderPlaced::Proof { order, token2, expires_at } => (order, token2, expires_at),
        };
        let token = |text: String| text.parse().map_err(|_| JanusError::Answer);
        Ok(Placement::Proof(Box::new(PendingOrder {
            order: token(order)?,
            token2: token(token2)?,
            janus: self.url.clone(),
            janus_id: self.id,
            mailbox: mailbox.clone(),
            key: key.id(),
            placed_at: now(),
            expires_at,
            deny_others,
            request: hash_of(&request),
        })))
    }

    /// How an order stands, and its mail.
    pub async fn state(&self, order: &PendingOrder, deadline: Deadline) -> Result<OrderState, JanusError> {
        let path = format!("/v1/orders/{}/state", order.order);
        self.post(&path, &StateRequest { token2: order.token2.to_string() }, deadline).await.map_err(over)
    }

    /// Answers an order of this client's own with what the mail says. The certificate was judged before it is handed out.
    pub async fn answer(
        &self,
        order: &PendingOrder,
        key: &IdentityKey,
        proof: &Proof,
        deadline: Deadline,
    ) -> Result<OwnIdentity, JanusError> {
        let proof = proof.text();
        let signature = order.sign(key, &proof).ok_or(JanusError::Key)?;
        let body = AnswerRequest { proof, token2: order.token2.to_string(), signature };
        let path = format!("/v1/orders/{}/answer", order.order);
        let answer: CertificateAnswer = self.post(&path, &body, deadline).await.map_err(|error| match over(error) {
            JanusError::Forbidden(detail) => JanusError::Wrong(detail),
            other => other,
        })?;
        self.take(&order.mailbox, key, answer.certificate.as_bytes(), deadline).await
    }

    /// A new certificate for the key and mailbox of the identity that this was made with.
    pub async fn renew(&self, identity: &OwnIdentity, deadline: Deadline) -> Result<OwnIdentity, JanusError> {
        let answer: CertificateAnswer =
            self.post("/v1/certificates", &serde_json::json!({}), deadline).await.map_err(no_janus)?;
        self.take(identity.mailbox(), identity.key(), answer.certificate.as_bytes(), deadline).await
    }

    /// Puts a key on the deny list, by its own signature.
    pub async fn revoke(&self, key: &IdentityKey, deadline: Deadline) -> Result<(), JanusError> {
        let at = now();
        let message = revocation_message(self.id, &Fingerprint::from_bytes(*key.id().as_bytes()), at);
        let signature = key.signer().sign(&message).map_err(|_| JanusError::Key)?;
        let key = URL_SAFE_NO_PAD.encode(key.public().spki());
        let body = RevocationRequest { key, at, signature: URL_SAFE_NO_PAD.encode(signature) };
        self.send("/v1/revocations", &body, deadline).await.map(drop).map_err(|error| match error {
            // It has certified no such key.
            JanusError::Missing(Missing::Refused { status: 404, detail }) => JanusError::Forbidden(detail),
            other => no_janus(other),
        })
    }

    /// Judges certificates (PEM) that are to be `mailbox`'s for this key. Where the issuing certificate is not among them, it
    /// is taken from the node's own list.
    pub async fn take(
        &self,
        mailbox: &Mailbox,
        key: &IdentityKey,
        pem: &[u8],
        deadline: Deadline,
    ) -> Result<OwnIdentity, JanusError> {
        let given = read_certificates(pem)?;
        let list = self.node.authorities(deadline).await.map_err(|missing| no_janus(JanusError::of(missing)))?;
        let (chain, judged) = judge(&list, given)?;
        if judged.mailbox() != mailbox {
            return Err(JanusError::OtherMailbox { asked: mailbox.clone(), found: judged.mailbox().clone() });
        }
        let found = parallax_core::KeyId::from_bytes(*judged.key().id().as_bytes());
        if found != key.id() {
            return Err(JanusError::OtherKey { asked: key.id(), found });
        }
        Ok(OwnIdentity::new(key.clone(), chain)?)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        deadline: Deadline,
    ) -> Result<T, JanusError> {
        let answer = self.send(path, body, deadline).await?;
        serde_json::from_str(&answer).map_err(|_| JanusError::Answer)
    }

    async fn send(&self, path: &str, body: &impl Serialize, deadline: Deadline) -> Result<String, JanusError> {
        let body = Bytes::from(serde_json::to_vec(body).map_err(|_| JanusError::Answer)?);
        let answer = self.channel.request((Method::POST, path), Some(body), LARGEST_JANUS_ANSWER, deadline).await;
        answer.map_err(JanusError::of)
    }
}

/// The node knows no such path.
fn no_janus(error: JanusError) -> JanusError {
    match error {
        JanusError::Missing(Missing::Refused { status: 404 | 405, .. }) => JanusError::NoJanus,
        other => other,
    }
}

/// An order that is unknown has ended, or never was.
fn over(error: JanusError) -> JanusError {
    match error {
        JanusError::Missing(Missing::Refused { status: 404, detail }) => JanusError::Over(detail),
        other => other,
    }
}

/// Judges as whoever relies on it does, by the node's own roots and deny list. What it leads to comes with the issuing
/// certificate, and without the root.
fn judge(list: &Verified<CaList>, given: Vec<Vec<u8>>) -> Result<(Vec<Vec<u8>>, Identity), JanusError> {
    let list = list.content();
    let judge = Judge::new(Arc::new(AwsLc), &ders(&list.roots)?)?;
    let denied = Denied::new(list.keys.iter().copied(), list.issued_at, list.valid_until)
        .map_err(|error| JanusError::NoDenyList(error.to_string()))?;
    let mut last = BadChain::Length(given.len());
    for chain in candidates(given, &ders(&list.issuing)?) {
        match judge.judge(&chain, &denied, now()) {
            Ok(identity) => return Ok((chain.into_iter().take(2).collect(), identity)),
            Err(why) => last = why,
        }
    }
    Err(last.into())
}

/// The chain itself; for a certificate alone, each chain that it may be the end of.
fn candidates(given: Vec<Vec<u8>>, issuing: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    match given.as_slice() {
        [leaf] => issuing.iter().map(|issuing| vec![leaf.clone(), issuing.clone()]).collect(),
        _ => vec![given],
    }
}

fn ders(pems: &[String]) -> Result<Vec<Vec<u8>>, JanusError> {
    let read = pems.iter().map(|pem| read_certificates(pem.as_bytes()));
    Ok(read.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}
