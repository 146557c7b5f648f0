//! What a peer does for others: it looks where a hub asks it to, within its own limits, and signs what it saw.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use parallax_core::{
    CaId, DnsAnswers, Fingerprint, Host, HostKey, HostKeyKind, Look, Md5Fingerprint, Met, Observation, Outcome,
    PublicCa, Scheme, ServiceId, Timestamp,
};
use parallax_probe::{Prober, sha256};
use parallax_proto::channel::OwnKey;
use parallax_proto::hub::{self, Attach, Pace, Seen, Unseen};
use parallax_proto::{VIEW_FORMAT, VIEW_LIFE, View};

use crate::check::random;
use crate::clock::now;

/// What is left of the hub's patience for the way back.
const WAY_BACK: Duration = Duration::from_millis(250);

/// A look takes no longer than this, whatever a hub allows.
const LONGEST_LOOK: Duration = Duration::from_secs(15);

/// Looks of one peer at the same moment.
const LOOKS_AT_ONCE: usize = 32;

/// What a peer says instead of what it sees: for trying out what liars can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Every server has the key that is made of this text.
    Text(String),
    /// Every look shows another key.
    Random,
}

/// How a peer looks.
#[derive(Clone, Debug)]
pub struct PeerSettings {
    /// The region that it claims.
    pub region: Option<String>,
    /// Looks a minute that it makes for others; at least 1.
    pub looks_per_minute: u32,
    /// `None` is an honest peer.
    pub lie: Option<Lie>,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self { region: None, looks_per_minute: 60, lie: None }
    }
}

/// A peer's eye: its key, its prober and its limits. What it looks at is bounded by the prober's target policy.
pub struct PeerEye {
    key: OwnKey,
    prober: Prober,
    settings: PeerSettings,
    pace: Mutex<Pace>,
    places: tokio::sync::Semaphore,
}

impl PeerEye {
    /// A peer under this key.
    pub fn new(key: OwnKey, prober: Prober, settings: PeerSettings) -> Self {
        let pace = Mutex::new(Pace::new(settings.looks_per_minute, now()));
        Self { key, prober, settings, pace, places: tokio::sync::Semaphore::new(LOOKS_AT_ONCE) }
    }

    /// Its key.
    pub fn key(&self) -> &OwnKey {
        &self.key
    }

    /// What it says when it attaches.
    pub fn attach(&self) -> Attach {
        Attach { region: self.settings.region.clone(), looks_per_minute: self.settings.looks_per_minute }
    }

    /// Looks as it is asked to. A look that fails is a view too; none is made beyond the limits.
    pub async fn look(&self, look: hub::Look) -> Seen {
        let unseen = |why| Seen { look_id: look.look_id, view: None, unseen: Some(why) };
        let in_pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(now());
        let Some(_place) = self.places.try_acquire().ok().filter(|_| in_pace) else { return unseen(Unseen::Busy) };
        let seen = match &self.settings.lie {
            Some(lie) => lie.look(&look.service),
            None => self.see(&look).await,
        };
        match self.view(&look, seen).sign(self.key.signer()) {
            Ok(view) => Seen { look_id: look.look_id, view: Some(view), unseen: None },
            Err(_) => unseen(Unseen::Failed),
        }
    }

    async fn see(&self, look: &hub::Look) -> Look {
        let failed = |outcome| Look { dns: DnsAnswers::default(), now: Observation::failed(now(), None, outcome) };
        // Names of an intranet are asked of no resolver for strangers.
        if let Host::Name(name) = look.service.host()
            && !name.parse().is_ok_and(|name| self.prober.allows_name(&name))
        {
            return failed(Outcome::NotAllowed);
        }
        let time = match look.wait_ms {
            0 => LONGEST_LOOK,
            ms => Duration::from_millis(ms.into()).saturating_sub(WAY_BACK).min(LONGEST_LOOK),
        };
        let looked = tokio::time::timeout(time, self.prober.look(&look.service)).await;
        looked.unwrap_or_else(|_| failed(Outcome::Timeout))
    }

    fn view(&self, look: &hub::Look, seen: Look) -> View {
        let issued_at = now().max(seen.now.at);
        View {
            format: VIEW_FORMAT.into(),
            vantage: self.key.id().into(),
            region: self.settings.region.clone(),
            service: look.service.clone(),
            nonce: Some(look.nonce.to_string()),
            issued_at,
            valid_until: issued_at.plus(VIEW_LIFE),
            dns: seen.dns,
            now: seen.now,
            history: Vec::new(),
            kept_since: None,
            authority: Vec::new(),
        }
    }
}

impl Lie {
    fn look(&self, service: &ServiceId) -> Look {
        let seed = match self {
            Lie::Text(text) => text.as_bytes().to_vec(),
            Lie::Random => random::<32>().to_vec(),
        };
        let address = match service.host() {
            Host::Address(address) => *address,
            Host::Name(_) => std::net::IpAddr::from([192, 0, 2, 1]),
        };
        let host_key = (service.scheme() == Scheme::Ssh).then(|| lying_host_key(&seed)).flatten();
        let met = host_key.unwrap_or_else(|| lying_certificate(&seed, service));
        let now = Observation::seen(now(), Some((address, service.port()).into()), met);
        Look { dns: DnsAnswers::default(), now }
    }
}

fn lying_certificate(seed: &[u8], service: &ServiceId) -> Met {
    let key: Fingerprint = sha256(seed);
    Met {
        protocol: "TLSv1.3".into(),
        proved: true,
        leaf: key,
        leaf_md5: None,
        key,
        issuer_key: None,
        chain: vec![key],
        path: vec![key],
        names: vec![service.host().to_string()],
        not_before: Timestamp::from_unix_secs(0),
        not_after: Timestamp::from_unix_secs(4_102_444_800),
        ca_id: CaId::Key(key),
        public_ca: PublicCa::UnknownIssuer,
        host_keys: Vec::new(),
        scts: None,
    }
}

/// RFC 8709: the blob of an Ed25519 host key.
fn lying_host_key(seed: &[u8]) -> Option<Met> {
    let (name, key) = (b"ssh-ed25519", sha256(seed));
    let mut blob = Vec::new();
    for part in [name.as_slice(), key.as_bytes().as_slice()] {
        blob.extend_from_slice(&u32::try_from(part.len()).unwrap_or_default().to_be_bytes());
        blob.extend_from_slice(part);
    }
    let id = sha256(&blob);
    let host_key = HostKey { kind: HostKeyKind::Ed25519, key: id, md5: Md5Fingerprint::from_bytes([0; 16]), blob };
    Met::of_host_keys(vec![host_key])
}
