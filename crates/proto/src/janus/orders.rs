//! From a request to a certificate.

use parallax_core::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /v1/orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRequest {
    /// A PKCS #10 request in DER, base64url.
    pub csr: String,
    /// Whether the mailbox's other keys are denied once the order is answered.
    #[serde(default)]
    pub deny_others: bool,
}

/// The answer to an order, 202; the same whether or not a mail goes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OrderPlaced {
    /// The mailbox is to be proved first.
    Proof {
        /// Names the order.
        order: String,
        /// Shows that whoever answers is who asked.
        token2: String,
        /// Until when it can be answered.
        expires_at: Timestamp,
    },
    /// The classic flow: the certificate comes by mail, and there is nothing to answer.
    Classic {
        /// Until when the node tries to send the mail.
        expires_at: Timestamp,
    },
}

/// `POST /v1/orders/<order>/answer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerRequest {
    /// `token1` of the mail's link, or the code.
    pub proof: String,
    /// The token that the order was answered with.
    pub token2: String,
    /// By the request's key, base64url.
    pub signature: String,
}

/// What an answered order and a renewal get, 200.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateAnswer {
    /// The chain in PEM: client, issuing, root.
    pub certificate: String,
    /// When the client's certificate ends.
    pub not_after: Timestamp,
    /// The one address in it.
    pub mailbox: String,
}

/// `POST /v1/orders/<order>/state`: in a body, as URLs end up in logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRequest {
    /// The token that the order was answered with.
    pub token2: String,
}

/// How an order stands, for who placed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderState {
    /// How far it got.
    pub stage: OrderStage,
    /// Until when it can be answered.
    pub expires_at: Timestamp,
}

/// How far an order got, and what became of its mail. That tells of the mail server, never of the address: an order of which no mail goes out,
/// because its address had its share, or because the server refused this very address, is shown like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStage {
    /// It is about to go out.
    Queued,
    /// The mail server can't be reached, or takes no mail from this node; it is tried again while the order lives.
    Delayed,
    /// It has gone out.
    Sent,
    /// The order was answered.
    Certified,
    /// Too many wrong answers, or its time is over.
    Ended,
}
