//! The facts of a chain: what an observation tells of it.

use parallax_core::{CaId, Fingerprint, Host, Md5Fingerprint, Met, PublicCa, ServiceId, Timestamp};
use rustls_pki_types::CertificateDer;

use super::parsed::Parsed;
use super::path;
use super::public::{self, Standing};
use crate::roots::Roots;
use crate::suite::{md5, sha256};

/// Names kept of a leaf.
const MAX_NAMES: usize = 64;

/// What a chain says, whoever showed it and however.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainFacts {
    /// SHA-256 of the leaf certificate.
    pub leaf: Fingerprint,
    /// MD5 of the leaf certificate, for old notaries.
    pub leaf_md5: Md5Fingerprint,
    /// SHA-256 of the leaf's SubjectPublicKeyInfo.
    pub key: Fingerprint,
    /// SHA-256 of the issuer's SubjectPublicKeyInfo, where its certificate was sent, is one of a CA and its key signed the
    /// leaf. A certificate that signed itself is its own issuer.
    pub issuer_key: Option<Fingerprint>,
    /// SHA-256 of each certificate sent, leaf first.
    pub chain: Vec<Fingerprint>,
    /// The keys that vouch for the leaf: its own, then each CA's along the verified path, the root's last where it leads to
    /// one of the store.
    pub path: Vec<Fingerprint>,
    /// Names of the leaf, at most 64, those that match the service first.
    pub names: Vec<String>,
    /// Validity of the leaf.
    pub not_before: Timestamp,
    /// Validity of the leaf.
    pub not_after: Timestamp,
    /// What *the same CA* means.
    pub ca_id: CaId,
    /// How the chain stands against the public roots.
    pub public_ca: PublicCa,
}

impl ChainFacts {
    /// SHA-256 of the SubjectPublicKeyInfo whose key signed the leaf, whether it was sent along or stands in the store.
    pub fn signer(&self) -> Option<Fingerprint> {
        self.path.get(1).copied().or(self.issuer_key)
    }

    /// The facts together with what the handshake showed.
    pub fn met(self, protocol: &str, proved: bool) -> Met {
        Met {
            protocol: protocol.to_owned(),
            proved,
            leaf: self.leaf,
            leaf_md5: Some(self.leaf_md5),
            key: self.key,
            issuer_key: self.issuer_key,
            chain: self.chain,
            path: self.path,
            names: self.names,
            not_before: self.not_before,
            not_after: self.not_after,
            ca_id: self.ca_id,
            public_ca: self.public_ca,
            host_keys: Vec::new(),
            scts: None,
        }
    }
}

/// Why a chain says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChain {
    /// No certificate was sent.
    #[error("no certificate was sent")]
    Empty,
    /// The first one is no certificate.
    #[error("the server's certificate can't be read")]
    Leaf,
}

/// Judges a chain, leaf first, for a service at a moment. Pure; bounded in work by the number of certificates. Those after
/// the leaf that can't be read are listed by their hash and otherwise ignored.
pub fn judge_chain(
    chain: &[CertificateDer<'_>],
    service: &ServiceId,
    roots: &Roots,
    at: Timestamp,
) -> Result<ChainFacts, BadChain> {
    let (leaf, sent) = chain.split_first().ok_or(BadChain::Empty)?;
    let leaf = Parsed::new(leaf).ok_or(BadChain::Leaf)?;
    let Standing { public_ca, root } = public::stand(&leaf, sent, service, roots.anchors(), at);
    let issuers: Vec<Parsed<'_>> = sent.iter().filter_map(Parsed::new).collect();
    let (ca_id, above) = match root {
        Some((ca_id, keys)) => (ca_id, keys),
        None => {
            let keys = path::private(&leaf, &issuers, at);
            (CaId::Key(keys.first().copied().unwrap_or(leaf.key)), keys)
        }
    };
    Ok(ChainFacts {
        leaf: sha256(leaf.der),
        leaf_md5: md5(leaf.der),
        key: leaf.key,
        issuer_key: issuer_key(&leaf, &issuers, &above),
        chain: chain.iter().map(|certificate| sha256(certificate)).collect(),
        path: [leaf.key].into_iter().chain(above).collect(),
        names: names(&leaf, service),
        not_before: leaf.not_before(),
        not_after: leaf.not_after(),
        ca_id,
        public_ca,
    })
}

fn issuer_key(leaf: &Parsed<'_>, issuers: &[Parsed<'_>], above: &[Fingerprint]) -> Option<Fingerprint> {
    match above.first() {
        Some(key) => issuers.iter().any(|issuer| issuer.key == *key).then_some(*key),
        None => (leaf.is_self_issued() && leaf.is_signed_by(leaf)).then_some(leaf.key),
    }
}

/// A certificate of a large host may hold more names than are kept: the one that matters must be among them.
fn names(leaf: &Parsed<'_>, service: &ServiceId) -> Vec<String> {
    let matching = match service.host() {
        Host::Name(name) => [Some(name.clone()), name.split_once('.').map(|(_, parent)| format!("*.{parent}"))],
        Host::Address(address) => [Some(address.to_string()), None],
    };
    let mut names = leaf.names();
    names.sort_by_key(|name| !matching.contains(&Some(name.clone())));
    names.truncate(MAX_NAMES);
    names
}
