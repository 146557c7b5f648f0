//! Certificates: who gets one, and who no longer has any.

use std::sync::atomic::Ordering;

use http::StatusCode;
use parallax_core::{Fingerprint, Timestamp};
use parallax_janus::{Grant, Issued, LONGEST_LIFE, Mailbox, SHORTEST_LIFE, Token, pem_of};
use parallax_probe::{AwsLc, SystemRandom};
use parallax_proto::janus::CertificateAnswer;
use parallax_store::StoreError;

use super::denials::NotDenied;
use super::post::{Parcel, Promised};
use super::{Flow, MOST_CERTIFIED, Office, keys};
use crate::problem::Problem;
use crate::views::COME_BACK;

/// A key stays on the deny list until whatever might have been issued for it at the same moment has ended.
const DENIED_FOR: std::time::Duration = LONGEST_LIFE.saturating_add(std::time::Duration::from_secs(3600));

impl Office {
    /// Issues what was granted and keeps that it was. The chain is client, issuing, root.
    pub(super) async fn issue(&self, grant: &Grant, now: Timestamp) -> Result<Issued, Problem> {
        if self.certified.load(Ordering::Relaxed) >= MOST_CERTIFIED {
            let detail = "this janus certifies as many mailboxes as it can";
            return Err(Problem::unavailable("not-issuing", detail, std::time::Duration::from_secs(3600)));
        }
        let issued = self.issue_again(grant, now).await?;
        self.certified.fetch_add(1, Ordering::Relaxed);
        Ok(issued)
    }

    /// The same for a key and mailbox that have a standing: it takes that one's place, or whoever renews all day would use up
    /// everybody's.
    pub(super) async fn issue_again(&self, grant: &Grant, now: Timestamp) -> Result<Issued, Problem> {
        if self.denials.contains(&grant.key().id()) {
            return Err(denied());
        }
        let mut issued = self.sign(grant, now)?;
        self.books.certify(&grant.certified(issued.not_after)).await.map_err(|error| self.not_recorded(&error))?;
        issued.chain.push(self.keys().authority.root().to_vec());
        Ok(issued)
    }

    /// Refuses at once what could not be issued in the end.
    pub(super) fn can_issue(&self, now: Timestamp) -> Result<(), Problem> {
        let current = self.keys().authority.current(self.life(), now);
        current.map(drop).map_err(|error| self.not_issuing(&error.to_string()))
    }

    fn sign(&self, grant: &Grant, now: Timestamp) -> Result<Issued, Problem> {
        let keys = self.keys();
        let life = self.life();
        let current = keys.authority.current(life, now).map_err(|error| self.not_issuing(&error.to_string()))?;
        let own = keys.issuing(current).ok_or_else(|| self.not_issuing("the issuing key is not here"))?;
        let key = own.ca_key().map_err(|error| self.not_issuing(&error.to_string()))?;
        let serial = keys::serial().map_err(|error| self.not_issuing(&error.to_string()))?;
        let issued = keys.authority.issue(&AwsLc, &key, grant, life, serial, now);
        issued.map_err(|error| self.not_issuing(&error.to_string()))
    }

    fn life(&self) -> std::time::Duration {
        if self.settings.flow == Flow::Classic { SHORTEST_LIFE } else { self.settings.certificate_life }
    }

    fn not_issuing(&self, why: &str) -> Problem {
        if self.shared.store_warned.is_time() {
            tracing::error!(why, "no certificate can be issued");
        }
        let detail = "this janus can't issue certificates now; its log says why";
        Problem::unavailable("not-issuing", detail, std::time::Duration::from_secs(600))
    }

    /// Has a certificate mailed, as far as the queue goes: whoever asked has it already, so a full queue takes nothing away.
    pub(super) async fn mail_certificate(
        &self,
        mailbox: &Mailbox,
        chain: &[Vec<u8>],
        until: Timestamp,
        now: Timestamp,
    ) {
        let Ok(place) = self.post.promise() else { return };
        let parcel = Parcel::certificate(mailbox, chain, until, true, now);
        if let Err(error) = self.mail(place, parcel).await {
            tracing::warn!(%error, "a certificate can't be mailed; its owner has it already");
        }
    }

    pub(super) async fn mail(&self, place: Promised, parcel: Parcel) -> Result<(), StoreError> {
        let name = format!("certificate-{}", Token::draw(&mut SystemRandom::default()));
        self.post.send_certificate(place, &name, parcel).await
    }

    /// Puts keys on the deny list, at once and for good, and forgets their standings: they are not renewed.
    pub(super) async fn revoke(&self, keys: &[Fingerprint], now: Timestamp) -> Result<(), Problem> {
        let mut denied = Vec::new();
        let mut standings = Vec::new();
        for key in keys {
            let known = self.books.standings_of(*key).await.map_err(|error| self.not_recorded(&error))?;
            let issuing = self.keys().authority.issuing().find(|(id, _)| id == key).map(|(_, end)| end);
            let root = (self.keys().authority.root_id() == *key).then(|| self.keys().authority.root_end());
            let ends = known.iter().map(|one| one.not_after).chain(issuing).chain(root);
            denied.push((*key, ends.max().unwrap_or(now).max(now.plus(DENIED_FOR))));
            standings.extend(known);
        }
        self.denials.deny(&self.books, &denied).await.map_err(|why| self.not_denied(&why))?;
        self.publish();
        for standing in &standings {
            // It is denied already: what is left here is forgotten in its time.
            if let Err(error) = self.books.forget(standing).await {
                tracing::warn!(%error, "the standing of a revoked key can't be forgotten yet");
            }
        }
        Ok(())
    }

    fn not_denied(&self, why: &NotDenied) -> Problem {
        match why {
            NotDenied::Full => {
                tracing::error!("{why}");
                Problem::unavailable("not-recorded", why.to_string(), std::time::Duration::from_secs(3600))
            }
            NotDenied::Store(error) => self.not_recorded(error),
        }
    }

    pub(super) fn not_recorded(&self, error: &StoreError) -> Problem {
        if self.shared.store_warned.is_time() {
            tracing::error!(%error, "what a janus does can't be kept");
        }
        Problem::unavailable("not-recorded", "this can't be written down now, so it is not done; come back", COME_BACK)
    }
}

/// What whoever asked is given.
pub(super) fn told(issued: &Issued, mailbox: &Mailbox) -> CertificateAnswer {
    CertificateAnswer {
        certificate: pem_of(&issued.chain),
        not_after: issued.not_after,
        mailbox: mailbox.as_str().to_owned(),
    }
}

pub(super) fn denied() -> Problem {
    let detail = "this key was revoked, and is certified no more; order with a new one";
    Problem::new(StatusCode::FORBIDDEN, "revoked", detail)
}
