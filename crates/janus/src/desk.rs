//! Where orders are placed: what is checked before anything is kept or mailed.

use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Fingerprint, Suite, Timestamp};
use rand_core::Rng;

use crate::allowance::{Allowances, Allowed, Limits};
use crate::network::SmallNetwork;
use crate::order::{Confirmation, Order, Placed};
use crate::request::Request;
use crate::standing::Certified;

/// Takes orders.
pub struct Desk {
    suite: Arc<dyn Suite>,
    allowances: Allowances,
}

/// What comes of a request that is right: an order to keep, what to answer, and a mail to send or not to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// To be kept before anything is answered.
    pub order: Order,
    /// The answer.
    pub placed: Placed,
    /// The mail; `None` where the address had its share. Neither the answer nor what is kept tells.
    pub mail: Option<Confirmation>,
}

/// Too many orders, from this network or from everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many orders came from this network, or from everywhere; try again in {} s", .retry_after.as_secs())]
pub struct Refused {
    /// When to come again.
    pub retry_after: Duration,
}

impl Desk {
    /// A desk with these limits.
    pub fn new(suite: Arc<dyn Suite>, limits: Limits) -> Self {
        Self { suite, allowances: Allowances::new(limits) }
    }

    /// Takes a request from `network`. `certified` is what is remembered of the mailbox and the asking key, if anything;
    /// `revokes_others` asks that the mailbox's other keys be denied once the order is answered. The generator must be one
    /// for secrets.
    pub fn place(
        &mut self,
        request: &Request,
        certified: Option<&Certified>,
        revokes_others: bool,
        network: SmallNetwork,
        rng: &mut dyn Rng,
        now: Timestamp,
    ) -> Result<Outcome, Refused> {
        let mailed = match self.allowances.take(request.mailbox(), owner(request, certified), network, now) {
            Allowed::Mail => true,
            Allowed::NoMail => false,
            Allowed::Refused { retry_after } => return Err(Refused { retry_after }),
        };
        let (order, placed, confirmation) = Order::place(&*self.suite, request, (revokes_others, mailed), rng, now);
        Ok(Outcome { order, placed, mail: mailed.then_some(confirmation) })
    }

    /// Counts a request of the classic flow; whether its mail goes out.
    pub fn allow_classic(
        &mut self,
        request: &Request,
        certified: Option<&Certified>,
        network: SmallNetwork,
        now: Timestamp,
    ) -> Result<bool, Refused> {
        match self.allowances.take(request.mailbox(), owner(request, certified), network, now) {
            Allowed::Refused { retry_after } => Err(Refused { retry_after }),
            allowed => Ok(allowed == Allowed::Mail),
        }
    }
}

/// The asking key, where the mailbox holds it: the request's signature shows that its owner asks.
fn owner(request: &Request, certified: Option<&Certified>) -> Option<Fingerprint> {
    let known = certified?;
    (known.mailbox == *request.mailbox() && known.key == request.key().id()).then_some(known.key)
}
