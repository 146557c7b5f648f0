//! What a chain says, and what an attacker can't make it say.

use std::time::{Duration, Instant};

use parallax_core::{CaId, PublicCa};
use parallax_probe::{BadChain, ChainFacts, Roots, judge_chain};
use rcgen::{
    BasicConstraints, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, SanType, date_time_ymd,
};
use rustls_pki_types::CertificateDer;

use crate::support::{Ca, ca_params, key, leaf_params, roots_of, service};

type Der = CertificateDer<'static>;

fn judge(chain: &[Der], roots: &Roots) -> ChainFacts {
    judge_at(chain, roots, "2026-06-01T00:00:00Z")
}

fn judge_at(chain: &[Der], roots: &Roots, at: &str) -> ChainFacts {
    judge_chain(chain, &service("site.test"), roots, at.parse().unwrap()).unwrap()
}

/// The chain vouches for nothing but its own leaf key, with and without the CA among the roots.
fn assert_alone(chain: &[Der], ca: &Ca, why: &str) {
    for roots in [Roots::None, roots_of(ca)] {
        let facts = judge(chain, &roots);
        assert_eq!(facts.path, [facts.key], "{why}");
        assert_eq!(facts.ca_id, CaId::Key(facts.key), "{why}");
        assert!(facts.issuer_key.is_none_or(|issuer| issuer == facts.key), "{why}");
        assert_ne!(facts.public_ca, PublicCa::Valid, "{why}");
    }
}

#[test]
fn standing_against_the_roots() {
    let (root, other) = (Ca::root("Example Trust Services"), Ca::root("Other"));
    let between = root.under("Issuing");
    let (right, wrong) = (between.issue("site.test").0, between.issue("elsewhere.test").0);
    for (leaf, roots, standing, public) in [
        (&right, roots_of(&root), PublicCa::Valid, true),
        (&wrong, roots_of(&root), PublicCa::WrongName, true),
        (&right, roots_of(&other), PublicCa::UnknownIssuer, false),
        (&right, Roots::None, PublicCa::UnknownIssuer, false),
        (&right, Roots::Mozilla, PublicCa::UnknownIssuer, false),
    ] {
        let facts = judge(&[leaf.clone(), between.der()], &roots);
        let ca_id = if public { CaId::Organisation("Example Trust Services".into()) } else { CaId::Key(between.key()) };
        let above = if public { vec![between.key(), root.key()] } else { vec![between.key()] };
        assert_eq!((facts.public_ca, facts.ca_id), (standing, ca_id));
        assert_eq!(facts.path[1..], above);
        assert_eq!(facts.issuer_key, Some(between.key()));
    }
}

#[test]
fn a_private_path_is_followed_to_its_end() {
    let root = Ca::root("Own");
    let between = root.under("Own Issuing");
    let (leaf, _) = between.issue("site.test");
    // In any order, with others in between.
    let stranger = Ca::root("Stranger").der();
    for chain in [
        vec![leaf.clone(), between.der(), root.der()],
        vec![leaf.clone(), root.der(), stranger, between.der(), CertificateDer::from(vec![0x30, 0x00])],
    ] {
        let facts = judge(&chain, &Roots::None);
        assert_eq!(facts.path, [facts.key, between.key(), root.key()]);
        assert_eq!((facts.ca_id, facts.issuer_key), (CaId::Key(between.key()), Some(between.key())));
        assert_eq!(facts.chain.len(), chain.len());
    }
}

#[test]
fn the_issuer_is_told_only_when_it_was_sent() {
    let root = Ca::root("Example Trust Services");
    let (leaf, _) = root.issue("site.test");
    let alone = judge(std::slice::from_ref(&leaf), &roots_of(&root));
    assert_eq!((alone.path.as_slice(), alone.issuer_key), ([alone.key, root.key()].as_slice(), None));
    assert_eq!(judge(&[leaf, root.der()], &roots_of(&root)).issuer_key, Some(root.key()));
}

#[test]
fn a_lapsed_leaf_keeps_its_ca() {
    let root = Ca::root("Example Trust Services");
    let between = root.under("Issuing");
    let mut params = leaf_params("site.test");
    (params.not_before, params.not_after) = (date_time_ymd(2024, 1, 1), date_time_ymd(2025, 1, 1));
    let (leaf, _) = between.issue_with(params.clone());
    let own = params.self_signed(&key()).unwrap().der().clone();
    for (at, standing) in [
        ("2023-06-01T00:00:00Z", PublicCa::NotYetValid),
        ("2024-06-01T00:00:00Z", PublicCa::Valid),
        ("2026-06-01T00:00:00Z", PublicCa::Expired),
    ] {
        let facts = judge_at(&[leaf.clone(), between.der()], &roots_of(&root), at);
        assert_eq!(facts.public_ca, standing);
        assert_eq!(facts.ca_id, CaId::Organisation("Example Trust Services".into()));
        assert_eq!(facts.path.len(), 3);
        // That it has lapsed is not what is wrong with one that leads nowhere.
        assert_eq!(judge_at(std::slice::from_ref(&own), &roots_of(&root), at).public_ca, PublicCa::UnknownIssuer);
    }
}

/// The key of a CA certificate that has lapsed may be anybody's; dating the leaf back does not help.
#[test]
fn a_lapsed_ca_certificate_leads_to_no_root() {
    let root = Ca::root("Example Trust Services");
    let mut params = ca_params("Old Issuing");
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2024, 1, 1));
    let old = root.under_with(params, key());
    let mut dated_back = leaf_params("site.test");
    (dated_back.not_before, dated_back.not_after) = (date_time_ymd(2022, 1, 1), date_time_ymd(2023, 1, 1));
    for params in [leaf_params("site.test"), dated_back] {
        let (leaf, _) = old.issue_with(params);
        let facts = judge(&[leaf, old.der()], &roots_of(&root));
        assert_eq!(facts.public_ca, PublicCa::Expired);
        assert_eq!(facts.ca_id, CaId::Key(old.key()));
        assert!(!facts.path.contains(&root.key()));
    }
}

/// The attacker sends the victim's real CA along.
#[test]
fn a_certificate_that_was_merely_sent_along_vouches_for_nothing() {
    let victim = Ca::root("Victim");
    let own = leaf_params("site.test").self_signed(&key()).unwrap().der().clone();
    assert_alone(&[own, victim.der()], &victim, "self-signed");
    // The right issuer's name, by another key.
    let name_of_victim = Issuer::new(ca_params("Victim"), key());
    let forged = leaf_params("site.test").signed_by(&key(), &name_of_victim).unwrap().der().clone();
    assert_alone(&[forged, victim.der()], &victim, "name of the CA");
    // A CA of the attacker's own, with the victim's above it.
    let attacker = Ca::root("Attacker");
    let (leaf, _) = attacker.issue("site.test");
    let facts = judge(&[leaf, attacker.der(), victim.der()], &roots_of(&victim));
    assert_eq!(facts.path, [facts.key, attacker.key()]);
    assert_eq!(facts.ca_id, CaId::Key(attacker.key()));
}

/// The attacker has a certificate of the real CA, and uses it as if it were one of a CA.
#[test]
fn a_leaf_is_no_ca() {
    let victim = Ca::root("Victim");
    for (why, params) in [
        ("no basic constraints", leaf_params("attacker.test")),
        ("CA:FALSE", {
            let mut params = leaf_params("attacker.test");
            params.is_ca = IsCa::ExplicitNoCa;
            params
        }),
        ("may not sign", {
            let mut params = ca_params("Attacker");
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params
        }),
        ("not for servers", {
            let mut params = ca_params("Attacker");
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
            params
        }),
        ("for other names", {
            let mut params = ca_params("Attacker");
            let permitted_subtrees = vec![GeneralSubtree::DnsName("attacker.test".into())];
            params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: vec![] });
            params
        }),
    ] {
        let held = victim.under_with(params, key());
        let (evil, _) = held.issue("site.test");
        assert_alone(&[evil, held.der(), victim.der()], &victim, why);
    }
}

#[test]
fn a_path_is_no_longer_than_its_cas_allow() {
    let root = Ca::root("Own");
    let mut params = ca_params("Lowest");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let lowest = root.under_with(params, key());
    let below = lowest.under("Too low");
    let (leaf, _) = lowest.issue("site.test");
    assert_eq!(judge(&[leaf, lowest.der(), root.der()], &Roots::None).path.len(), 3);
    let (leaf, _) = below.issue("site.test");
    let facts = judge(&[leaf, below.der(), lowest.der(), root.der()], &roots_of(&root));
    assert_eq!(facts.path, [facts.key, below.key()]);
    assert_ne!(facts.public_ca, PublicCa::Valid);
}

#[test]
fn of_two_cas_with_one_name_the_one_that_signed_counts() {
    let (first, second) = (Ca::root("Own"), Ca::root("Own"));
    let (leaf, _) = second.issue("site.test");
    let facts = judge(&[leaf, first.der(), second.der()], &Roots::None);
    assert_eq!(facts.path, [facts.key, second.key()]);
}

/// Whatever bit of a leaf is changed, its CA no longer vouches for it.
#[test]
fn one_changed_bit_takes_the_ca_away() {
    let ca = Ca::root("Own");
    let (leaf, _) = ca.issue("site.test");
    assert!(judge(&[leaf.clone(), ca.der()], &Roots::None).path.contains(&ca.key()));
    let (mut read, at) = (0, "2026-06-01T00:00:00Z".parse().unwrap());
    for index in 0..leaf.len() {
        for bit in [0x01, 0x10, 0x80] {
            let mut bytes = leaf.to_vec();
            bytes[index] ^= bit;
            let chain = [CertificateDer::from(bytes), ca.der()];
            if let Ok(facts) = judge_chain(&chain, &service("site.test"), &roots_of(&ca), at) {
                read += 1;
                assert!(!facts.path.contains(&ca.key()) && facts.issuer_key != Some(ca.key()), "{index}");
                assert_ne!(facts.ca_id, CaId::Organisation("Own".into()), "{index}");
            }
        }
    }
    assert!(read > leaf.len(), "most changed certificates can still be read: {read}");
}

#[test]
fn a_broken_signature_of_its_own_is_no_issuer() {
    let own = leaf_params("site.test").self_signed(&key()).unwrap();
    assert!(judge(&[own.der().clone()], &Roots::None).issuer_key.is_some());
    let mut bytes = own.der().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(judge(&[CertificateDer::from(bytes)], &Roots::None).issuer_key, None);
}

#[test]
fn what_is_no_certificate_is_no_leaf() {
    let (leaf, _) = Ca::root("Own").issue("site.test");
    let judged = |chain: &[Der]| {
        judge_chain(chain, &service("site.test"), &Roots::Mozilla, "2026-06-01T00:00:00Z".parse().unwrap()).err()
    };
    assert_eq!(judged(&[]), Some(BadChain::Empty));
    let longer = [leaf.as_ref(), &[0]].concat();
    let shorter = leaf[..leaf.len() - 1].to_vec();
    let deep = vec![0x30; 100_000];
    for bytes in [vec![], vec![0x30, 0x80], vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff], longer, shorter, deep] {
        assert_eq!(judged(&[CertificateDer::from(bytes), leaf.clone()]), Some(BadChain::Leaf));
    }
}

#[test]
fn names_are_few_and_harmless() {
    let mut params = leaf_params("site.test");
    let poison = ["a b.test", "x\u{1b}[31m.test", "<script>.test", "w*.test", "*", "*.*.test", "", ".", "a..test", "-"];
    params.subject_alt_names = poison.iter().map(|name| SanType::DnsName((*name).try_into().unwrap())).collect();
    params.subject_alt_names.push(SanType::Rfc822Name("who@site.test".try_into().unwrap()));
    params.subject_alt_names.push(SanType::IpAddress("192.0.2.7".parse().unwrap()));
    params.subject_alt_names.push(SanType::IpAddress("2001:db8::7".parse().unwrap()));
    params.subject_alt_names.extend(["Under_Score.TEST", "*.wild.test", "under_score.test"].map(dns));
    let (leaf, _) = Ca::root("Own").issue_with(params);
    let names = judge(&[leaf], &Roots::None).names;
    assert_eq!(names, ["-", "192.0.2.7", "2001:db8::7", "under_score.test", "*.wild.test"]);
    // Of a thousand, the one that matters is kept.
    let mut params = leaf_params("site.test");
    params.subject_alt_names =
        (0..1000).map(|number| dns(&format!("n{number}.test"))).chain([dns("site.test")]).collect();
    let (leaf, _) = Ca::root("Own").issue_with(params);
    let names = judge(&[leaf], &Roots::None).names;
    assert_eq!((names.len(), names[0].as_str(), names[1].as_str()), (64, "site.test", "n0.test"));
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

#[test]
fn a_public_ca_is_its_organisation() {
    let named = |organisation: Option<&str>, common_name: Option<&str>| {
        let mut params = ca_params("x");
        params.distinguished_name = rcgen::DistinguishedName::new();
        organisation.into_iter().for_each(|name| params.distinguished_name.push(DnType::OrganizationName, name));
        common_name.into_iter().for_each(|name| params.distinguished_name.push(DnType::CommonName, name));
        let root = Ca::root_with(params);
        let (leaf, _) = root.issue("site.test");
        (judge(&[leaf], &roots_of(&root)).ca_id, root.key())
    };
    let long = "Ö".repeat(300);
    for (organisation, common_name, wanted) in [
        (Some("Org"), Some("Name"), Some("Org".to_owned())),
        (None, Some("Name"), Some("Name".into())),
        (Some(" "), Some("Name"), Some("Name".into())),
        (Some("a\u{1b}[31m\nb"), None, Some("a[31mb".into())),
        (Some(long.as_str()), None, Some("Ö".repeat(100))),
        (Some(""), Some(long.as_str()), Some("Ö".repeat(100))),
        (None, None, None),
    ] {
        let (ca_id, root) = named(organisation, common_name);
        assert_eq!(ca_id, wanted.map_or(CaId::Key(root), CaId::Organisation));
        assert_eq!(ca_id.to_string().parse(), Ok(ca_id));
    }
}

/// Thirty-one CAs of one name, each of which might have signed each other.
#[test]
fn look_alikes_cost_little() {
    let first = Ca::root("Same");
    let mut cas = vec![first];
    for _ in 0..30 {
        let next = cas[cas.len() - 1].under_with(ca_params("Same"), KeyPair::generate_for(slow()).unwrap());
        cas.push(next);
    }
    let (leaf, _) = cas[30].issue("site.test");
    let chain: Vec<Der> = [leaf].into_iter().chain(cas.iter().map(Ca::der)).collect();
    let started = Instant::now();
    let facts = judge(&chain, &roots_of(&Ca::root("Same")));
    assert_eq!(facts.public_ca, PublicCa::Invalid);
    // Some 0.1 s on one core; an unbounded search would take years.
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(facts.path[0], facts.key);
}

fn slow() -> &'static rcgen::SignatureAlgorithm {
    &rcgen::PKCS_ECDSA_P521_SHA512
}

#[test]
fn a_sub_ca_shown_as_a_server_still_has_its_issuer() {
    let root = Ca::root("Own");
    let sub = root.under("Sub");
    let facts = judge(&[sub.der(), root.der()], &roots_of(&Ca::root("Other")));
    assert_eq!(facts.path, [sub.key(), root.key()]);
}
