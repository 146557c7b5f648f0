//! How a chain stands against the roots of the store, and which keys lead there.

use parallax_core::{CaId, Fingerprint, Host, PublicCa, ServiceId, Timestamp};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::parsed::Parsed;
use super::path::{unix, within};
use crate::der;
use crate::suite::sha256;

/// Octets of an organisation's name that are kept.
const LONGEST_NAME: usize = 200;

/// A leaf's standing.
pub(super) struct Standing {
    pub(super) public_ca: PublicCa,
    /// The root's CA and the keys above the leaf, the root's last; `None` where the signatures lead to no root.
    pub(super) root: Option<(CaId, Vec<Fingerprint>)>,
}

impl Standing {
    fn rootless(public_ca: PublicCa) -> Self {
        Self { public_ca, root: None }
    }

    fn rooted(public_ca: PublicCa, path: &VerifiedPath<'_>) -> Self {
        Self { public_ca, root: Some((organisation(path.anchor()), keys(path))) }
    }
}

/// One question to webpki.
struct Question<'a> {
    entity: &'a EndEntityCert<'a>,
    anchors: &'a [TrustAnchor<'a>],
    sent: &'a [CertificateDer<'a>],
}

impl<'a> Question<'a> {
    /// Asks for a path that is valid `during`, all of whose issuers are CAs and are `accepted`.
    fn ask(&self, during: UnixTime, accepted: impl Fn(&Parsed<'_>) -> bool) -> Result<VerifiedPath<'a>, Error> {
        let algorithms = webpki::ALL_VERIFICATION_ALGS;
        let usage = KeyUsage::server_auth();
        // webpki sees to CA:TRUE and the path lengths, but never looks at keyUsage.
        let holds = |path: &VerifiedPath<'_>| {
            let holds = |der: CertificateDer<'_>| Parsed::new(&der).is_some_and(|it| it.may_issue(0) && accepted(&it));
            let all = path.intermediate_certificates().all(|issuer| holds(issuer.der()));
            if all { Ok(()) } else { Err(Error::EndEntityUsedAsCa) }
        };
        self.entity.verify_for_usage(algorithms, self.anchors, self.sent, during, usage, None, Some(&holds))
    }
}

/// Judges a chain for the service's name at `at`.
pub(super) fn stand(
    leaf: &Parsed<'_>,
    sent: &[CertificateDer<'_>],
    service: &ServiceId,
    anchors: &[TrustAnchor<'_>],
    at: Timestamp,
) -> Standing {
    if anchors.is_empty() {
        return Standing::rootless(PublicCa::UnknownIssuer);
    }
    let entity = match EndEntityCert::try_from(leaf.der) {
        Ok(entity) => entity,
        Err(_) => return Standing::rootless(broken(leaf)),
    };
    let question = Question { entity: &entity, anchors, sent };
    match question.ask(unix(at), |_| true) {
        Ok(path) => Standing::rooted(standing_of_name(&entity, service), &path),
        Err(Error::CertExpired { .. } | Error::CertNotValidYet { .. }) => out_of_time(&question, leaf, at),
        Err(Error::UnknownIssuer) => Standing::rootless(PublicCa::UnknownIssuer),
        Err(_) => Standing::rootless(broken(leaf)),
    }
}

/// That a leaf has lapsed does not change who vouched for it; but a CA's certificate that has lapsed vouches for nothing:
/// its key may be anybody's by now.
fn out_of_time(question: &Question<'_>, leaf: &Parsed<'_>, at: Timestamp) -> Standing {
    let lapsed = if at < leaf.not_before() { PublicCa::NotYetValid } else { PublicCa::Expired };
    if let Ok(path) = question.ask(within(leaf, at), |issuer| issuer.is_current(at)) {
        return Standing::rooted(lapsed, &path);
    }
    match question.ask(all_valid(question.sent, leaf, at), |_| true) {
        Ok(_) => Standing::rootless(lapsed),
        Err(_) => Standing::rootless(PublicCa::UnknownIssuer),
    }
}

/// The moment nearest to `at` at which everything sent was valid, if there was one.
fn all_valid(sent: &[CertificateDer<'_>], leaf: &Parsed<'_>, at: Timestamp) -> UnixTime {
    let parsed = || sent.iter().filter_map(Parsed::new);
    let from = parsed().map(|issuer| issuer.not_before()).fold(leaf.not_before(), Timestamp::max);
    let to = parsed().map(|issuer| issuer.not_after()).fold(leaf.not_after(), Timestamp::min);
    unix(at.max(from).min(to))
}

/// What webpki can't read or won't accept leads nowhere when it issued itself, and is broken otherwise.
fn broken(leaf: &Parsed<'_>) -> PublicCa {
    if leaf.is_self_issued() { PublicCa::UnknownIssuer } else { PublicCa::Invalid }
}

fn standing_of_name(entity: &EndEntityCert<'_>, service: &ServiceId) -> PublicCa {
    let name = match service.host() {
        Host::Name(name) => ServerName::try_from(name.as_str()),
        Host::Address(address) => Ok(ServerName::from(*address)),
    };
    match name.map(|name| entity.verify_is_valid_for_subject_name(&name)) {
        Ok(Ok(())) => PublicCa::Valid,
        Ok(Err(Error::CertNotValidForName(_))) | Err(_) => PublicCa::WrongName,
        Ok(Err(_)) => PublicCa::Invalid,
    }
}

fn keys(path: &VerifiedPath<'_>) -> Vec<Fingerprint> {
    let between = path.intermediate_certificates().filter_map(|issuer| Parsed::new(&issuer.der()).map(|it| it.key));
    // A TrustAnchor holds the key without its outer SEQUENCE; the fingerprint is of the whole.
    let root = sha256(webpki::spki_for_anchor(path.anchor()).as_ref());
    let mut keys: Vec<_> = between.chain([root]).collect();
    keys.dedup();
    keys
}

/// A CA by its root's organisation, else by the root's common name, else by its key.
fn organisation(root: &TrustAnchor<'_>) -> CaId {
    // A TrustAnchor holds its subject without the outer SEQUENCE.
    let subject = der::element(der::SEQUENCE, root.subject.as_ref());
    let named = X509Name::from_der(&subject).ok().and_then(|(_, name)| {
        let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| attribute.as_str().ok().and_then(plain);
        let organisation = name.iter_organization().find_map(text);
        organisation.or_else(|| name.iter_common_name().find_map(text))
    });
    match named {
        Some(name) => CaId::Organisation(name),
        None => CaId::Key(sha256(webpki::spki_for_anchor(root).as_ref())),
    }
}

fn plain(name: &str) -> Option<String> {
    let mut kept = String::new();
    for letter in name.trim().chars().filter(|letter| !letter.is_control()) {
        if kept.len() + letter.len_utf8() > LONGEST_NAME {
            break;
        }
        kept.push(letter);
    }
    (!kept.is_empty()).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_root_of_mozilla_has_a_name() {
        for root in webpki_roots::TLS_SERVER_ROOTS {
            assert!(matches!(organisation(root), CaId::Organisation(_)), "{root:?}");
        }
        let named: Vec<String> =
            webpki_roots::TLS_SERVER_ROOTS.iter().map(|root| organisation(root).to_string()).collect();
        assert!(named.iter().any(|name| name == "org:Internet Security Research Group"));
    }
}
