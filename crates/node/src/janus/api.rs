//! What is asked of a janus over HTTPS: orders, answers, renewals, revocations, and the list of who counts no more.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use parallax_core::Timestamp;
use parallax_janus::{
    Answer, Answered, BadChain, Grant, Identity, Issued, Judge, Mailbox, Order, OrderError, Outcome, Phase, Refused,
    Request, SmallNetwork, SubjectKey,
};
use parallax_probe::{AwsLc, SystemRandom};
use parallax_proto::janus::{
    AnswerRequest, CertificateAnswer, OrderPlaced, OrderRequest, OrderStage, OrderState, REVOCATION_SKEW,
    RevocationRequest, StateRequest, revocation_message,
};
use parallax_store::{StoreError, Version};
use serde::de::DeserializeOwned;

use super::books::parcel_of;
use super::issue::{denied, told};
use super::post::{Health, Parcel, Promised};
use super::{ClientChain, Flow, Office};
use crate::looks::NotLooked;
use crate::problem::Problem;
use crate::views::{COME_BACK, SignedBytes, refuse};

/// Before that, every order is shown as one whose mail is about to go out: how fast it went would tell whether it did.
const SHOWN_QUEUED: Duration = Duration::from_secs(10);

/// How soon those come again who met a full queue of mails.
const QUEUE_DRAINS: Duration = Duration::from_secs(300);

/// What an order was and its version on disk.
type Found = (Order, Version);

impl Office {
    /// `POST /v1/orders`.
    pub(crate) async fn place(&self, body: &[u8], asker: Option<IpAddr>) -> Result<OrderPlaced, Problem> {
        let placed = self.place_counted(body, asker).await;
        let outcome = match &placed {
            Ok(_) => "placed",
            Err(problem) if problem.is(StatusCode::TOO_MANY_REQUESTS) => "too-many",
            Err(problem) if problem.is(StatusCode::SERVICE_UNAVAILABLE) => "failed",
            Err(_) => "refused",
        };
        self.shared.metrics.janus.order(outcome);
        placed
    }

    async fn place_counted(&self, body: &[u8], asker: Option<IpAddr>) -> Result<OrderPlaced, Problem> {
        let asked: OrderRequest = read(body, "{\"csr\": \"…\", \"deny_others\": false}")?;
        let der = decode(&asked.csr, "csr")?;
        let request = Request::parse(&AwsLc, &der).map_err(|why| bad_order(why.to_string()))?;
        if self.denials.contains(&request.key().id()) {
            return Err(denied());
        }
        self.can_issue(self.now()?)?;
        let network = SmallNetwork::of(asker.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let place = self.post.promise().map_err(|_| {
            let detail = "mails wait to be sent, and no more can; come back";
            Problem::unavailable("mail-queue-full", detail, QUEUE_DRAINS)
        })?;
        match self.settings.flow {
            Flow::Proof => self.place_proof(&request, asked.deny_others, network, place).await,
            Flow::Classic if asked.deny_others => Err(bad_order(
                "this janus mails certificates without a proof of the mailbox, so an order can't deny other keys; revoke \
                 each with itself"
                    .into(),
            )),
            Flow::Classic => self.place_classic(&request, network, place).await,
        }
    }

    async fn place_proof(
        &self,
        request: &Request,
        deny_others: bool,
        network: SmallNetwork,
        place: Promised,
    ) -> Result<OrderPlaced, Problem> {
        let certified = self.books.certified(request.mailbox(), request.key().id()).await;
        let certified = certified.map_err(|error| self.not_recorded(&error))?;
        let (now, mut random) = (self.now()?, SystemRandom::default());
        let outcome = self.desk().place(request, certified.as_ref(), deny_others, network, &mut random, now);
        let Outcome { order, placed, mail } = outcome.map_err(too_many)?;
        if random.has_failed() {
            return Err(Problem::unavailable("not-issuing", "this machine gives no random numbers", COME_BACK));
        }
        // The same is written, and as much, whether or not a mail goes out.
        let parcel = Parcel::confirmation(&order, network, mail.is_some(), now);
        let name = parcel_of(order.id());
        let kept =
            futures_util::future::try_join(self.books.keep_order(&order, None), self.books.keep_parcel(&name, &parcel));
        kept.await.map_err(|error| self.not_recorded(&error))?;
        self.post.send_confirmation(place, order.id(), parcel, mail);
        let (order, token2) = (placed.order.to_string(), placed.token2.to_string());
        Ok(OrderPlaced::Proof { order, token2, expires_at: placed.expires_at })
    }

    /// LEP 008 to the letter. A certificate is made either way and mailed or not: neither answer nor speed tells. A key
    /// that was certified so has no allowance of its own: it proved nothing.
    async fn place_classic(
        &self,
        request: &Request,
        network: SmallNetwork,
        place: Promised,
    ) -> Result<OrderPlaced, Problem> {
        let now = self.now()?;
        let mailed = self.desk().allow_classic(request, None, network, now).map_err(too_many)?;
        let issued = self.issue(&Grant::classic(request, now), now).await?;
        let parcel = Parcel::certificate(request.mailbox(), &issued.chain, issued.not_after, mailed, now);
        let expires_at = parcel.until();
        self.mail(place, parcel).await.map_err(|error| self.not_recorded(&error))?;
        self.shared.metrics.janus.certificate("classic");
        Ok(OrderPlaced::Classic { expires_at })
    }

    /// `POST /v1/orders/<order>/answer`.
    pub(crate) async fn answer(&self, order: &str, body: &[u8]) -> Result<CertificateAnswer, Problem> {
        let answer: AnswerRequest = read(body, "{\"proof\": \"…\", \"token2\": \"…\", \"signature\": \"…\"}")?;
        let signature = decode(&answer.signature, "signature")?;
        let answer = Answer { proof: &answer.proof, token2: &answer.token2, signature: &signature };
        let answered = self.answer_order(order, &answer).await;
        let outcome = match &answered {
            Ok(_) => "right",
            Err(problem) if problem.is(StatusCode::FORBIDDEN) => "wrong",
            Err(_) => "failed",
        };
        self.shared.metrics.janus.answer(outcome);
        answered
    }

    /// What becomes of an order depends on what it was, and is told once it is on disk: of answers that come at once, each
    /// sees what the one before left.
    async fn answer_order(&self, id: &str, answer: &Answer<'_>) -> Result<CertificateAnswer, Problem> {
        loop {
            let (mut order, version) = self.find(id).await?;
            let (now, before) = (self.now()?, order.clone());
            let done = match order.answer(&AwsLc, self.shared.identity.vantage(), answer, now) {
                Ok(Answered::Again(chain)) => return self.again(&order, chain),
                Ok(Answered::Proved(grant)) => {
                    let issued = self.issue(&grant, now).await?;
                    if order.revokes_others() {
                        self.deny_others(&grant, now).await?;
                    }
                    order.certify(&issued.chain);
                    Ok((issued, grant))
                }
                // What changes nothing writes nothing: guessing at an order that has ended is free for the disk.
                Err(error) if order == before => return Err(wrong(error)),
                Err(error) => Err(wrong(error)),
            };
            match self.books.keep_order(&order, Some(version)).await {
                // Another answer was faster.
                Err(StoreError::Conflict { .. }) => continue,
                kept => kept.map_err(|error| self.not_recorded(&error))?,
            }
            let (issued, grant) = done?;
            self.shared.metrics.janus.certificate("order");
            self.mail_certificate(grant.mailbox(), &issued.chain, issued.not_after, now).await;
            return Ok(told(&issued, grant.mailbox()));
        }
    }

    fn again(&self, order: &Order, chain: Vec<Vec<u8>>) -> Result<CertificateAnswer, Problem> {
        let now = self.now()?;
        let own = [self.keys().authority.root().to_vec()];
        let judge = Judge::new(std::sync::Arc::new(AwsLc), &own);
        let identity = judge.and_then(|judge| judge.judge(&chain, &self.believed().borrow().denied, now));
        let identity = identity.map_err(|why| bad_chain(&why))?;
        Ok(told(&Issued { chain, not_after: identity.not_after() }, order.mailbox()))
    }

    async fn deny_others(&self, grant: &Grant, now: Timestamp) -> Result<(), Problem> {
        let known = self.books.keys_of(grant.mailbox()).await.map_err(|error| self.not_recorded(&error))?;
        let others: Vec<_> = known.into_iter().filter(|key| *key != grant.key().id()).collect();
        self.shared.metrics.janus.revoked("order", others.len());
        self.revoke(&others, now).await
    }

    /// `POST /v1/orders/<order>/state`.
    pub(crate) async fn state(&self, id: &str, body: &[u8]) -> Result<OrderState, Problem> {
        let asked: StateRequest = read(body, "{\"token2\": \"…\"}")?;
        let (order, _) = self.find(id).await?;
        if !order.is_of(&AwsLc, &asked.token2) {
            return Err(unknown());
        }
        let now = self.now()?;
        let placed_at = order.expires_at().minus(parallax_janus::ORDER_LIFE);
        let stage = match order.phase() {
            Phase::Certified { .. } => OrderStage::Certified,
            Phase::Ended => OrderStage::Ended,
            Phase::Waiting if now >= order.expires_at() => OrderStage::Ended,
            Phase::Waiting => match self.post.waits(order.id()) {
                Some(Health::Failing) => OrderStage::Delayed,
                None if now.since(placed_at) >= SHOWN_QUEUED => OrderStage::Sent,
                _ => OrderStage::Queued,
            },
        };
        Ok(OrderState { stage, expires_at: order.expires_at() })
    }

    async fn find(&self, id: &str) -> Result<Found, Problem> {
        // 22 characters of base64url, or it was never one.
        if id.parse::<parallax_janus::Token>().is_err() {
            return Err(unknown());
        }
        let found = self.books.order(id).await.map_err(|error| self.not_recorded(&error))?;
        found.ok_or_else(unknown)
    }

    /// `GET /v1/ca`.
    pub(crate) fn list(&self) -> Result<SignedBytes, Problem> {
        self.denials
            .signed()
            .ok_or_else(|| Problem::unavailable("signing", "there is no list yet; come back", COME_BACK))
    }

    /// `POST /v1/certificates`: a renewal, over the certificate itself.
    pub(crate) async fn renew(&self, chain: Option<&ClientChain>) -> Result<CertificateAnswer, Problem> {
        let (identity, now) = (self.identify(chain)?, self.now()?);
        let key = identity.key().id();
        let certified = self.books.certified(identity.mailbox(), key).await;
        let certified = certified.map_err(|error| self.not_recorded(&error))?;
        let not_renewable = |why: String| Problem::new(StatusCode::FORBIDDEN, "not-renewable", why);
        let certified = certified
            .ok_or_else(|| not_renewable("nothing is remembered of this certificate; order a new one".into()))?;
        let grant = Grant::renewal(&identity, &certified, now).map_err(|why| not_renewable(why.to_string()))?;
        let issued = self.issue_again(&grant, now).await?;
        self.shared.metrics.janus.certificate("renewal");
        Ok(told(&issued, grant.mailbox()))
    }

    /// Who a client is by its certificate, for what this authority itself grants: by its own roots and its own deny list.
    pub(crate) fn identify(&self, chain: Option<&ClientChain>) -> Result<Identity, Problem> {
        let ClientChain(chain) = chain.ok_or_else(certificate_required)?;
        let believed = self.believed().borrow().clone();
        let judge = Judge::new(std::sync::Arc::new(AwsLc), &believed.roots).map_err(|why| bad_chain(&why))?;
        judge.judge(chain, &believed.denied, self.now()?).map_err(|why| bad_chain(&why))
    }

    /// `POST /v1/revocations`: a key of itself.
    pub(crate) async fn revoke_itself(&self, body: &[u8]) -> Result<(), Problem> {
        let asked: RevocationRequest = read(body, "{\"key\": \"…\", \"at\": \"…\", \"signature\": \"…\"}")?;
        let key = SubjectKey::parse(&AwsLc, &decode(&asked.key, "key")?).map_err(|why| bad_order(why.to_string()))?;
        let signature = decode(&asked.signature, "signature")?;
        let (now, id) = (self.now()?, key.id());
        if asked.at.since(now).max(now.since(asked.at)) > REVOCATION_SKEW {
            let detail =
                format!("it was signed at {}, and it is {now} here; sign it anew (is a clock wrong?)", asked.at);
            return Err(Problem::parameter("at", detail));
        }
        let message = revocation_message(self.shared.identity.vantage(), &id, asked.at);
        if !key.verify(&AwsLc, &message, &signature) {
            let detail = "the signature is not this key's, over the revocation at this janus";
            return Err(Problem::new(StatusCode::FORBIDDEN, "bad-statement", detail));
        }
        if self.denials.contains(&id) {
            return Ok(());
        }
        // Whoever makes keys by the thousand does not fill the list with them.
        let known = self.books.standings_of(id).await.map_err(|error| self.not_recorded(&error))?;
        if known.is_empty() {
            let detail = "this key has no certificate of this janus";
            return Err(Problem::new(StatusCode::NOT_FOUND, "not-found", detail));
        }
        self.revoke(&[id], now).await?;
        self.shared.metrics.janus.revoked("key", 1);
        Ok(())
    }

    pub(super) fn now(&self) -> Result<Timestamp, Problem> {
        self.shared.clock.now().map_err(|error| refuse(&self.shared, NotLooked::Clock(error)))
    }

    /// The keys of a mailbox, for the operator.
    pub(super) async fn keys_of(&self, mailbox: &Mailbox) -> Result<Vec<parallax_core::Fingerprint>, Problem> {
        self.books.keys_of(mailbox).await.map_err(|error| self.not_recorded(&error))
    }
}

fn read<T: DeserializeOwned>(body: &[u8], form: &str) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "bad-statement", format!("the body is {form} in JSON: {error}"))
    })
}

fn decode(text: &str, field: &str) -> Result<Vec<u8>, Problem> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Problem::parameter(field, "this is base64url without padding"))
}

fn bad_order(why: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-order", why)
}

fn too_many(why: Refused) -> Problem {
    Problem::too_many(why.to_string(), why.retry_after)
}

/// Which part of an answer is wrong is not told.
fn wrong(why: OrderError) -> Problem {
    match why {
        OrderError::Wrong { .. } => Problem::new(StatusCode::FORBIDDEN, "wrong-answer", why.to_string()),
        OrderError::Expired | OrderError::Ended | OrderError::Broken => {
            Problem::new(StatusCode::GONE, "order-ended", why.to_string())
        }
    }
}

fn unknown() -> Problem {
    let detail = "there is no such order, or its time is over; place a new one";
    Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
}

/// Without a certificate.
pub(crate) fn certificate_required() -> Problem {
    let detail = "this takes a certificate of a janus as TLS client certificate; get one with \"parallax id request\"";
    Problem::new(StatusCode::UNAUTHORIZED, "certificate-required", detail)
}

/// With one that proves nobody.
pub(crate) fn bad_chain(why: &BadChain) -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "certificate-required",
        format!("{why}; get another with \"parallax id request\""),
    )
}
