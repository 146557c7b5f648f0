//! The keys that vouch for a leaf where no root of the store does: a private CA, or nobody.
//!
//! Whoever answers chooses what is sent along. So a certificate counts only when its key made the signature below it, it
//! is one of a CA, and webpki agrees with the path as a whole (name constraints, purposes, path lengths).

use std::time::Duration;

use parallax_core::{Fingerprint, Timestamp};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use super::parsed::Parsed;

/// Longest path above the leaf; real ones have three.
const LONGEST: usize = 8;

/// Signatures checked while looking for a path: a chain of thirty-two look-alikes is not worth more.
const CHECKS: usize = 24;

/// The keys above the leaf, as far as they vouch; empty when none does.
pub(super) fn private(leaf: &Parsed<'_>, sent: &[Parsed<'_>], at: Timestamp) -> Vec<Fingerprint> {
    let found = walk(leaf, sent);
    let agreed = agreed(leaf, &found, at);
    let mut keys: Vec<_> = found.iter().take(agreed).map(|certificate| certificate.key).collect();
    keys.dedup();
    keys
}

/// Each next certificate is the first one sent whose name and key fit.
fn walk<'s, 'a>(leaf: &'s Parsed<'a>, sent: &'s [Parsed<'a>]) -> Vec<&'s Parsed<'a>> {
    let (mut path, mut at, mut checks) = (Vec::<&Parsed<'_>>::new(), leaf, CHECKS);
    while path.len() < LONGEST && !at.is_self_issued() {
        let below = path.iter().filter(|certificate| !certificate.is_self_issued()).count();
        let issuer = sent.iter().find(|issuer| {
            let fits = at.is_issued_by_name_of(issuer)
                && !path.iter().any(|used| std::ptr::eq(*used, *issuer))
                && issuer.may_issue(below);
            if !fits || checks == 0 {
                return false;
            }
            checks -= 1;
            at.is_signed_by(issuer)
        });
        let Some(issuer) = issuer else { break };
        path.push(issuer);
        at = issuer;
    }
    path
}

/// How much of the path webpki agrees with, taking its last certificate for the anchor.
fn agreed(leaf: &Parsed<'_>, path: &[&Parsed<'_>], at: Timestamp) -> usize {
    let entity = match EndEntityCert::try_from(leaf.der) {
        Ok(entity) => entity,
        // webpki reads only version 3; older ones name no host and carry no constraints, so the walk has seen all.
        Err(_) if !leaf.is_version_3() => return path.len(),
        Err(_) => return 0,
    };
    let certificates: Vec<CertificateDer<'_>> = path.iter().map(|certificate| (*certificate.der).clone()).collect();
    let during = within(leaf, at);
    (1..=path.len()).rev().find(|length| vouches(&entity, &certificates, *length, during)).unwrap_or(0)
}

fn vouches(entity: &EndEntityCert<'_>, path: &[CertificateDer<'_>], length: usize, during: UnixTime) -> bool {
    let Some((top, between)) = path.get(..length).and_then(<[_]>::split_last) else { return false };
    let Ok(anchor) = webpki::anchor_from_trusted_cert(top) else { return false };
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    match entity.verify_for_usage(algorithms, &[anchor], between, during, KeyUsage::server_auth(), None, None) {
        // A home-made CA that shows its own sub-CA as the server: odd, but the signatures say who vouches.
        Ok(_) | Err(webpki::Error::CaUsedAsEndEntity) => true,
        Err(_) => false,
    }
}

/// The moment nearest to `at` at which the leaf is valid: that it has lapsed does not change who vouched for it.
pub(super) fn within(leaf: &Parsed<'_>, at: Timestamp) -> UnixTime {
    unix(at.max(leaf.not_before()).min(leaf.not_after()))
}

pub(super) fn unix(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at.unix_secs()).unwrap_or(0)))
}
