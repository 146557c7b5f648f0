//! What others ask of a mirror: its list, what it thinks of one, joins, removals, votes, reports.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::StatusCode;
use parallax_core::{Fingerprint, ServiceId, VantageId};
use parallax_probe::AwsLc;
use parallax_proto::Signed;
use parallax_proto::mirror::{
    Event, Hop, LARGEST_LIST, LIST_LIFE, Listed, MIRRORS_FORMAT, MOST_MIRRORS, MirrorList, Peer, Refused, Report,
    Standing, Status, Wish, removal_id, sign,
};
use serde_json::{Value, json};

use super::names::domain_of;
use super::{Mirrors, Unhandled};
use crate::looks::NotLooked;
use crate::problem::Problem;
use crate::views::{COME_BACK, SignedBytes, refuse};

/// What a page of the list holds besides its mirrors, at most.
const HEADING: usize = 1024;

/// The question of `GET /v1/mirrors`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ListQuestion {
    pub(crate) status: Option<Status>,
    pub(crate) region: Option<String>,
    pub(crate) page: u32,
}

impl Mirrors {
    /// A client asked for a service: its name may become one that quizzes ask for.
    pub(crate) fn asked(self: &Arc<Self>, service: &ServiceId, asker: Option<IpAddr>) {
        let (Some(asker), Some(_), Ok(now)) = (asker, service.host().name(), self.tools.shared.clock.now()) else {
            return;
        };
        if let Some(client) = self.names.client(service, asker, now)
            && let Some(domain) = domain_of(service)
        {
            drop(self.handle(Event::NameAsked { service: service.clone(), domain, client }));
        }
    }

    /// One page of the list, signed.
    pub(crate) fn list(&self, question: &ListQuestion) -> Result<SignedBytes, Problem> {
        if let Some(page) = self.pages.get(question) {
            return Ok(page);
        }
        let (mirrors, next) = self.page(question)?;
        let clock = |error| refuse(&self.tools.shared, NotLooked::Clock(error));
        let issued_at = self.tools.shared.clock.now().map_err(clock)?;
        let list = MirrorList {
            format: MIRRORS_FORMAT.into(),
            vantage: self.tools.shared.identity.vantage(),
            issued_at,
            valid_until: issued_at.plus(LIST_LIFE),
            mirrors,
            next,
        };
        self.tools.shared.metrics.signatures.inc();
        let signed = sign(&list, self.tools.shared.identity.statement()).ok().and_then(SignedBytes::new);
        let signed =
            signed.ok_or_else(|| Problem::unavailable("signing", "the statement key could not sign", COME_BACK))?;
        self.pages.insert(question.clone(), signed.clone());
        Ok(signed)
    }

    /// Pages are cut where the next mirror would make one too large.
    fn page(&self, question: &ListQuestion) -> Result<(Vec<Listed>, Option<u32>), Problem> {
        let known: Vec<(Arc<Peer>, Status)> =
            self.lock().statuses().map(|(peer, status)| (Arc::clone(peer), status)).collect();
        let wanted = known.into_iter().filter(|(peer, status)| {
            question.status.is_none_or(|wanted| wanted == *status)
                && question.region.as_deref().is_none_or(|wanted| peer.region().map(AsRef::as_ref) == Some(wanted))
        });
        let (mut page, mut bytes, mut mirrors) = (0, HEADING, Vec::new());
        for (peer, status) in wanted {
            let listed = Listed { descriptor: peer.signed().clone(), status };
            let size = size(&listed);
            if bytes + size > LARGEST_LIST || mirrors.len() >= MOST_MIRRORS {
                if page == question.page {
                    return Ok((mirrors, Some(page + 1)));
                }
                (page, bytes) = (page + 1, HEADING);
                mirrors.clear();
            }
            bytes += size;
            mirrors.push(listed);
        }
        match page == question.page {
            true => Ok((mirrors, None)),
            false => Err(Problem::parameter("page", format!("the last page is {page}"))),
        }
    }

    /// What this mirror thinks of one, and why: for its operator. No score is among it.
    pub(crate) fn about(&self, vantage: VantageId) -> Result<Value, Problem> {
        let standing = self.lock().standing(vantage);
        let standing = standing
            .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "not-found", "this mirror is not known here"))?;
        Ok(told(&standing))
    }

    /// Takes a join: a wrapped descriptor.
    pub(crate) fn join(self: &Arc<Self>, body: &[u8], hop: Hop) -> Result<Value, Problem> {
        let signed: Signed = wrapped(body)?;
        let now = self.tools.shared.clock.now().map_err(|error| self.clock(error))?;
        let peer = Peer::verify(&AwsLc, signed, now).map_err(|why| bad_statement(why.to_string()))?;
        let vantage = peer.vantage();
        if vantage == self.tools.shared.identity.vantage() {
            return Err(refused(&Refused::Myself));
        }
        if !self.tools.targets.allows(peer.address()) {
            let detail = format!(
                "{} is no address that this mirror connects to: a mirror is met at a public address and a usual port",
                peer.address()
            );
            return Err(bad_statement(detail));
        }
        self.take(Event::JoinReceived { peer: Arc::new(peer), hop })?;
        // One that is still to be met has no standing yet, and will be a candidate once it was.
        let status = self.lock().status(vantage).unwrap_or(Status::Candidate);
        Ok(json!({ "vantage": vantage, "status": status }))
    }

    /// Takes a request for removal; the answer is its id, under which the vote can be asked for.
    pub(crate) fn removal(self: &Arc<Self>, body: &[u8]) -> Result<Value, Problem> {
        let removal: Signed = wrapped(body)?;
        let id = removal_id(&AwsLc, &removal.body);
        self.take(Event::RemovalAsked { removal })?;
        Ok(json!({ "removal": id }))
    }

    /// The vote on a request for removal, once the tests are through.
    pub(crate) fn vote_on(&self, removal: Fingerprint) -> Result<SignedBytes, Problem> {
        let votes = self.votes.lock().unwrap_or_else(PoisonError::into_inner);
        let signed = votes.get(&removal).and_then(|(signed, _)| SignedBytes::new(signed.clone()));
        let detail = "there is no vote under this id: the request is not known, or the tests are not through";
        signed.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "not-found", detail))
    }

    /// Does what the operator wishes; the answer is what this mirror thinks of the other now.
    pub(crate) fn wished(self: &Arc<Self>, vantage: VantageId, wish: Wish) -> Result<Value, Problem> {
        self.take(Event::OperatorWishes { subject: vantage, wish })?;
        self.about(vantage)
    }

    /// Takes a client's report.
    pub(crate) fn report(self: &Arc<Self>, body: &[u8]) -> Result<Value, Problem> {
        let report = Report::read(body).map_err(|why| bad_statement(why.to_string()))?;
        self.take(Event::ReportReceived { report })?;
        Ok(json!({}))
    }

    /// How many mirrors have each status.
    pub(crate) fn counts(&self) -> BTreeMap<Status, usize> {
        let mut counts = BTreeMap::new();
        self.lock().statuses().for_each(|(_, status)| *counts.entry(status).or_default() += 1);
        counts
    }

    fn take(self: &Arc<Self>, event: Event) -> Result<(), Problem> {
        self.handle(event).map_err(|why| match why {
            Unhandled::Clock(error) => self.clock(error),
            Unhandled::Refused(why) => {
                self.tools.shared.metrics.refused("federation");
                refused(&why)
            }
        })
    }

    pub(super) fn clock(&self, error: crate::clock::ClockBehind) -> Problem {
        refuse(&self.tools.shared, NotLooked::Clock(error))
    }
}

/// What an entry takes in JSON at most, without writing it: quotes, backslashes and white space take two bytes there.
fn size(listed: &Listed) -> usize {
    let Signed { body, signature } = &listed.descriptor;
    let twice = body.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).count();
    body.len() + twice + signature.len() + 80
}

fn told(standing: &Standing) -> Value {
    json!({
        "vantage": standing.peer.vantage(),
        "address": standing.peer.address().to_string(),
        "region": standing.peer.region(),
        "status": standing.status,
        "reason": standing.reason,
        "why": standing.reason.sentence(),
        "since": standing.since,
        "retest": standing.retest,
        "measurements": standing.measurements,
    })
}

pub(super) fn wrapped(body: &[u8]) -> Result<Signed, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| bad_statement(format!("the body is {{\"body\": \"…\", \"signature\": \"…\"}}: {error}")))
}

pub(super) fn bad_statement(why: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-statement", why)
}

pub(super) fn refused(why: &Refused) -> Problem {
    let status = match why {
        Refused::TooMany { retry_after_secs } => {
            return Problem::too_many(why.to_string(), Duration::from_secs(*retry_after_secs));
        }
        Refused::Statement(_) | Refused::Void(_) => return bad_statement(why.to_string()),
        Refused::NotActive(_) | Refused::NotAsked => StatusCode::FORBIDDEN,
        Refused::Unknown(_) => StatusCode::NOT_FOUND,
        Refused::Myself
        | Refused::Older { .. }
        | Refused::TwoDescriptors(_)
        | Refused::NobodyToAsk { .. }
        | Refused::NotDropped(_) => StatusCode::CONFLICT,
    };
    Problem::new(status, "refused", why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_no_larger_than_it_is_counted() {
        let body = "{\"a\":\"\\\"\n\t é\"}".repeat(100);
        let descriptor = Signed { body, signature: "e30..c2ln".into() };
        for status in [Status::Candidate, Status::Gone] {
            let listed = Listed { descriptor: descriptor.clone(), status };
            let written = serde_json::to_string(&listed).unwrap().len() + 1;
            let counted = size(&listed);
            assert!((written..written + 80).contains(&counted), "{written} {counted}");
        }
    }
}
