//! The node's description of itself: signed at start, and again every day.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use parallax_core::{SigningFailed, Timestamp};
use parallax_proto::{DESCRIPTOR_LIFE, Descriptor, Signed, VANTAGE_FORMAT};

use crate::identity::Identity;

/// How old a descriptor gets before it is signed again.
const SIGNED_EVERY: Duration = Duration::from_secs(86_400);

/// What of a descriptor stays the same while the node runs.
#[derive(Clone, Debug)]
pub(crate) struct Portrait {
    pub(crate) addresses: Vec<String>,
    pub(crate) region: Option<String>,
    pub(crate) rir: Option<String>,
    pub(crate) domain: Option<String>,
    pub(crate) operator: Option<String>,
}

/// The newest descriptor.
pub(crate) struct Description {
    portrait: Portrait,
    newest: RwLock<(Descriptor, Signed)>,
}

impl Description {
    pub(crate) fn new(portrait: Portrait, identity: &Identity, now: Timestamp) -> Result<Self, SigningFailed> {
        let newest = RwLock::new(describe(&portrait, identity, now)?);
        Ok(Self { portrait, newest })
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        self.newest.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    pub(crate) fn signed(&self) -> Signed {
        self.newest.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Signs again when a day has passed; `true` when it did.
    pub(crate) fn renew_if_due(&self, identity: &Identity, now: Timestamp) -> Result<bool, SigningFailed> {
        if now.since(self.descriptor().issued_at) < SIGNED_EVERY {
            return Ok(false);
        }
        let fresh = describe(&self.portrait, identity, now)?;
        *self.newest.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(true)
    }
}

fn describe(portrait: &Portrait, identity: &Identity, now: Timestamp) -> Result<(Descriptor, Signed), SigningFailed> {
    let Portrait { addresses, region, rir, domain, operator } = portrait.clone();
    let descriptor = Descriptor {
        format: VANTAGE_FORMAT.into(),
        vantage: identity.vantage(),
        ca: identity.ca_pem().to_owned(),
        statement_key: identity.statement_key(),
        addresses,
        region,
        rir,
        domain,
        operator,
        version: env!("CARGO_PKG_VERSION").into(),
        issued_at: now,
        valid_until: now.plus(DESCRIPTOR_LIFE),
    };
    let signed = descriptor.sign(identity.ca_signer(), identity.ca())?;
    Ok((descriptor, signed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::ServerTerms;
    use parallax_probe::AwsLc;

    #[test]
    fn signed_again_after_a_day_and_believed_by_its_readers() {
        let data = tempfile::tempdir().unwrap();
        let start: Timestamp = "2026-11-23T05:00:00Z".parse().unwrap();
        let terms = ServerTerms { names: ["localhost".to_owned()].into(), life: SIGNED_EVERY };
        let identity = Identity::open(data.path(), &terms, start).unwrap();
        let portrait = Portrait {
            addresses: vec!["https://192.0.2.7:8443".into()],
            region: Some("eu-west".into()),
            rir: Some("RIPE".into()),
            domain: None,
            operator: Some("somebody".into()),
        };
        let description = Description::new(portrait, &identity, start).unwrap();
        let read = |now| Descriptor::verify(&AwsLc, identity.vantage(), description.signed(), now);
        assert_eq!(read(start).unwrap().content(), &description.descriptor());
        let later = start.plus(SIGNED_EVERY);
        assert!(!description.renew_if_due(&identity, later.minus(Duration::from_secs(1))).unwrap());
        assert!(description.renew_if_due(&identity, later).unwrap());
        assert_eq!(read(later).unwrap().content().issued_at, later);
    }
}
