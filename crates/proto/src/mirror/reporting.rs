//! Reports of clients: signed views of one service, of which only what the signatures prove is believed. A report moves no
//! score. It may start one look, and one question to those whose views stand against mine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{ServiceId, Suite, Timestamp, VantageId};

use super::dissent::is_dictated;
use super::event::Refused;
use super::federation::{Federation, Work};
use super::peer::Peer;
use super::pool::Name;
use super::statement::{Signatory, claimed_signer};
use super::wire::{REPORT_AGE, Report, Status};
use crate::signed::{Signed, Verified};
use crate::view::{Expected, LARGEST_VIEW, Question, View, ViewError};

/// Reports that start something, a minute, over all targets.
pub(super) const MOST_ROUNDS_A_MINUTE: u32 = 10;

/// Mirrors that one report may have asked.
const MOST_CONFRONTED: usize = 3;

impl Federation {
    pub(super) fn reported(&mut self, report: Report, work: &mut Work<'_>) -> Result<(), Refused> {
        let strangers = self.strangers(&report, work.now)?;
        let views = self.reported_views(&report, &strangers, work.now)?;
        let mine = views.iter().find(|view| view.content().vantage == self.me).ok_or(Refused::NotAsked)?;
        let service = mine.content().service.clone();
        if views.iter().any(|view| view.content().service != service) {
            return Err(Refused::Void("its views are of different services".into()));
        }
        for stranger in strangers.into_values() {
            self.meet_reported(stranger, work);
        }
        let against = self.against(mine, &views);
        if !against.is_empty()
            && self.targets.note(service.clone(), self.settings.report_rest, work.now)
            && self.report_rounds.take(1, 0, work.now)
        {
            let domain = service.host().name().unwrap_or_default().to_owned();
            self.confront(Arc::new(Name::new(service, &domain)), against, work);
        }
        Ok(())
    }

    /// Descriptors of those who are not known here. A known one's is not needed.
    fn strangers(&self, report: &Report, now: Timestamp) -> Result<BTreeMap<VantageId, Arc<Peer>>, Refused> {
        let mut strangers = BTreeMap::new();
        for signed in &report.descriptors {
            let claimed = claimed_signer(signed, crate::LARGEST_DESCRIPTOR)?;
            if self.book.of(claimed).is_none() && claimed != self.me {
                let peer = Peer::verify(&*self.suite, signed.clone(), now);
                let peer = peer.map_err(|why| Refused::Void(why.to_string()))?;
                strangers.insert(peer.vantage(), Arc::new(peer));
            }
        }
        Ok(strangers)
    }

    /// Every view verified, or none believed.
    fn reported_views(
        &self,
        report: &Report,
        strangers: &BTreeMap<VantageId, Arc<Peer>>,
        now: Timestamp,
    ) -> Result<Vec<Arc<Verified<View>>>, Refused> {
        let mut views: Vec<Arc<Verified<View>>> = Vec::with_capacity(report.views.len());
        for signed in &report.views {
            let claimed = claimed_signer(signed, LARGEST_VIEW)?;
            if views.iter().any(|view| view.content().vantage == claimed) {
                return Err(Refused::Void(format!("it holds two views of {claimed}")));
            }
            let verified = self.verified_by_one_of(self.keys_of(claimed, strangers, now), signed, now);
            views.push(Arc::new(verified.map_err(|why| Refused::Void(why.to_string()))?));
        }
        Ok(views)
    }

    fn keys_of(
        &self,
        vantage: VantageId,
        strangers: &BTreeMap<VantageId, Arc<Peer>>,
        now: Timestamp,
    ) -> Vec<Signatory> {
        if vantage == self.me {
            return vec![Signatory { vantage, statement_key: self.my_key }];
        }
        match (self.book.of(vantage), strangers.get(&vantage)) {
            (Some(mirror), _) => mirror.signatories(now).collect(),
            (None, Some(stranger)) => vec![stranger.signatory()],
            (None, None) => Vec::new(),
        }
    }

    fn verified_by_one_of(
        &self,
        keys: Vec<Signatory>,
        signed: &Signed,
        now: Timestamp,
    ) -> Result<Verified<View>, ViewError> {
        let mut result = Err(ViewError::Malformed("its signer is not known, and no descriptor came with it".into()));
        for by in keys {
            result = third_party_view(&*self.suite, by, signed, Some(now));
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Those whose views show another key than mine does.
    fn against(
        &self,
        mine: &Verified<View>,
        views: &[Arc<Verified<View>>],
    ) -> Vec<(super::book::Slot, Arc<Verified<View>>)> {
        let my_key = mine.content().now.proved().map(|met| met.key);
        let mut against = Vec::new();
        for view in views {
            let content = view.content();
            let key = content.now.proved().map(|met| met.key);
            let look = parallax_core::Look { dns: content.dns.clone(), now: content.now.clone() };
            let differs = key.is_some() && key != my_key && !is_dictated(&look);
            let slot = self
                .book
                .slot(content.vantage)
                .filter(|slot| self.book.at(*slot).is_some_and(|mirror| mirror.status == Status::Active));
            if let (true, Some(slot)) = (differs, slot) {
                against.push((slot, Arc::clone(view)));
            }
        }
        against.truncate(MOST_CONFRONTED);
        against
    }
}

/// A view that somebody else asked for: signature, kind and coherence are checked, and with `now` also that it has only
/// just been signed. What the question was is not known, so nothing is said of nonce and age.
pub(super) fn third_party_view(
    suite: &dyn Suite,
    by: Signatory,
    signed: &Signed,
    now: Option<Timestamp>,
) -> Result<Verified<View>, ViewError> {
    #[derive(serde::Deserialize)]
    struct Claim {
        service: ServiceId,
        issued_at: Timestamp,
    }
    if signed.body.len() > LARGEST_VIEW {
        return Err(ViewError::Malformed("it is larger than 256 KiB".into()));
    }
    let claim: Claim = serde_json::from_str(&signed.body).map_err(|error| ViewError::Malformed(error.to_string()))?;
    if let Some(now) = now.filter(|now| now.since(claim.issued_at) > REPORT_AGE + crate::CLOCK_SKEW) {
        let (issued_at, valid_until) = (claim.issued_at, claim.issued_at.plus(REPORT_AGE));
        return Err(ViewError::NotCurrent { issued_at, valid_until, now });
    }
    let question = Question { max_age: Duration::MAX, ..Question::about(claim.service) };
    let (vantage, statement_key) = (by.vantage, by.statement_key);
    let now = now.unwrap_or(claim.issued_at);
    View::verify(suite, &Expected { vantage, statement_key, question: &question, now }, signed.clone())
}
