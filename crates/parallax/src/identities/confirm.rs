//! From an order or a file to a certificate that is kept: the same for the command and for the local helper.

use std::time::Duration;

use parallax_client::{
    Claims, Deadline, JanusError, JanusNode, OwnIdentity, PendingOrder, Proof, VantageUrl, read_certificates,
};

use super::Identities;
use crate::failure::Failure;
use crate::output::minute;

/// For one thing that is asked of janus.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// What a mail means that is about nobody's order here.
const FOREIGN: &str = "If you asked for a certificate elsewhere, confirm it there. If you did not ask, somebody asked in your \
                       name: nothing was issued, and nothing will be as long as you do nothing. Give the code and the link \
                       to nobody";

/// Why no order is answered. Each says what it means to whoever has the mail before them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotChosen {
    /// None waits.
    #[error("no order of this user waits here. {}", FOREIGN)]
    None,
    /// The link belongs to an order that is not ours.
    #[error("this is not an order of this user on this machine. {}", FOREIGN)]
    Foreign,
    /// More than one may be meant.
    #[error("orders for {0} wait; say which with --order and the phrase that the mail shows")]
    Several(String),
    /// None is called that.
    #[error("no order of this user has the phrase {0}; there are {1}")]
    Unknown(String, String),
}

/// The order that is to be answered. A link says which; else it is the newest, as long as all that wait are for one
/// mailbox.
pub(crate) fn choose<'a>(
    orders: &'a [PendingOrder],
    proof: Option<&Proof>,
    named: Option<&str>,
) -> Result<&'a PendingOrder, NotChosen> {
    if let Some(Proof::Link { order, .. }) = proof {
        return orders.iter().find(|pending| pending.order == *order).ok_or(NotChosen::Foreign);
    }
    let newest = orders.first().ok_or(NotChosen::None)?;
    if let Some(named) = named.map(str::trim) {
        let is_named = |pending: &&PendingOrder| pending.phrase() == named || pending.order.to_string() == named;
        let phrases = || orders.iter().map(PendingOrder::phrase).collect::<Vec<_>>().join(", ");
        return orders.iter().find(is_named).ok_or_else(|| NotChosen::Unknown(named.to_owned(), phrases()));
    }
    if orders.iter().all(|pending| pending.mailbox == newest.mailbox) {
        return Ok(newest);
    }
    let all = orders.iter().map(|pending| format!("{} ({})", pending.mailbox, pending.phrase()));
    Err(NotChosen::Several(all.collect::<Vec<_>>().join(", ")))
}

impl Identities {
    /// Answers an order with what its mail says, and keeps the certificate.
    pub(crate) async fn answer(&self, order: &PendingOrder, proof: &Proof) -> Result<OwnIdentity, Failure> {
        let Some((_, key)) = self.holder_of(order.key)? else {
            self.end_order(&order.order)?;
            let why = format!("the key that asked for {} is not here any more", order.mailbox);
            return Err(Failure::not_done(format!("{why}; `parallax id request` asks anew")));
        };
        let janus = JanusNode::new(order.janus.clone(), None).map_err(Failure::not_done)?;
        match janus.answer(order, &key, proof, Deadline::within(PATIENCE)).await {
            Ok(identity) => {
                self.keep(&identity, &order.janus)?;
                self.end_order(&order.order)?;
                Ok(identity)
            }
            Err(error @ JanusError::Over(_)) => {
                self.end_order(&order.order)?;
                Err(Failure::not_done(format!("{error} (`parallax id request {}` does)", order.mailbox)))
            }
            Err(error @ JanusError::Wrong(_)) => Err(Failure::not_done(format!(
                "{error}; the mail must show the phrase {}, and the code stands below it",
                order.phrase()
            ))),
            Err(error) => Err(Failure::not_done(format!("{}: {error}", order.janus.authority()))),
        }
    }

    /// What a certificate (PEM) says of itself, where its key is one of this user's; else why it is not taken.
    pub(crate) fn importable(&self, pem: &[u8]) -> Result<Claims, Failure> {
        let chain = read_certificates(pem).map_err(Failure::not_done)?;
        let claims = Claims::of(&chain).map_err(Failure::not_done)?;
        let Some((held, key)) = self.holder_of(claims.key)? else {
            let why = format!("the certificate for {} is of a key that this user does not hold", claims.mailbox);
            return Err(Failure::not_done(format!(
                "{why}, so it is of no use here; import it on the machine that asked for it"
            )));
        };
        if held.mailbox != claims.mailbox {
            let why = format!("the certificate is for {}, and its key is kept for {}", claims.mailbox, held.mailbox);
            return Err(Failure::not_done(format!("{why}; it was not kept")));
        }
        let newer = held.identity.filter(|held| held.key().id() == key.id() && held.not_after() >= claims.not_after);
        if let Some(held) = newer {
            let (mailbox, until) = (held.mailbox(), minute(held.not_after()));
            return Err(Failure::not_done(format!(
                "the certificate for {mailbox} that is here is valid until {until}, as long as this one or longer; \
                 there is nothing to import"
            )));
        }
        Ok(claims)
    }

    /// Takes a certificate (PEM) for a key of this user's, after the node that issued it said that it holds.
    pub(crate) async fn import(&self, pem: &[u8]) -> Result<OwnIdentity, Failure> {
        let claims = self.importable(pem)?;
        let Some((held, key)) = self.holder_of(claims.key)? else {
            return Err(Failure::not_done("its key is not here any more"));
        };
        let order = self.orders()?.into_iter().find(|order| order.key == claims.key);
        let url: VantageUrl = order.as_ref().map_or(held.janus, |order| order.janus.clone());
        let janus = JanusNode::new(url.clone(), None).map_err(Failure::not_done)?;
        let identity = janus.take(&claims.mailbox, &key, pem, Deadline::within(PATIENCE)).await;
        let identity = identity.map_err(|why| Failure::not_done(format!("{}: {why}", url.authority())))?;
        self.keep(&identity, &url)?;
        if let Some(order) = order {
            self.end_order(&order.order)?;
        }
        Ok(identity)
    }
}
