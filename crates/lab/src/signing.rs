//! Signed answers (DNSSEC). The root, which is the lab's one zone, has a key that whoever is to believe it is given as a
//! trust anchor. Answers differ from asker to asker, so every signature and every proof of absence is made when it is asked
//! for (RFC 4470), and only for those who want it (the bit DO, RFC 3225).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;
use std::time::Duration;

use hickory_proto::ProtoError;
use hickory_proto::dnssec::crypto::Ed25519SigningKey;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, NSEC, RRSIG};
use hickory_proto::dnssec::{DnsSecError, DnssecSigner, SigningKey as _};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, LowerName, Name, RData, Record, RecordSet, RecordType};
use time::OffsetDateTime;

use crate::sources::{BySource, Prefix};
use crate::zone::{Reply, Zone, soa};

/// Signatures hold from so long ago for as long again: for everybody whose clock is wrong by less.
const HOLDS: Duration = Duration::from_secs(7 * 86_400);

/// What the signatures of a name are worth, and of all names below it for which nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signatures {
    /// Everything is signed; of what is absent it is signed that it is.
    #[default]
    Valid,
    /// The name begins a zone that is not signed: the root proves that it has no key (RFC 4035 section 5.2).
    Absent,
    /// There are signatures, and none of them holds.
    Forged,
}

/// What is said of signatures, by name and asker.
#[derive(Clone, Debug, Default)]
pub(crate) struct SignatureTable(BTreeMap<LowerName, BySource<Option<Signatures>>>);

impl SignatureTable {
    pub(crate) fn set(&mut self, name: &Name, signatures: Signatures) {
        self.said(name).set(Some(signatures));
    }

    pub(crate) fn set_towards(&mut self, sources: Prefix, name: &Name, signatures: Signatures) {
        self.said(name).set_towards(sources, Some(signatures));
    }

    pub(crate) fn remove(&mut self, name: &Name) {
        self.0.remove(&LowerName::new(name));
    }

    pub(crate) fn treat_alike(&mut self) {
        self.0.values_mut().for_each(BySource::treat_alike);
    }

    /// What the signatures of a name are worth, by what is said of it or of the nearest name above; and of which that is.
    pub(crate) fn of(&self, source: IpAddr, name: &Name) -> (Signatures, Name) {
        let mut at = name.clone();
        loop {
            let said = self.0.get(&LowerName::new(&at)).and_then(|table| *table.towards(source));
            match said {
                Some(said) => return (said, at),
                None if at.is_root() => return (Signatures::default(), at),
                None => at = at.base_name(),
            }
        }
    }

    /// Whether a zone without signatures begins at this name.
    pub(crate) fn begins_unsigned(&self, source: IpAddr, name: &Name) -> bool {
        let table = self.0.get(&LowerName::new(name));
        table.is_some_and(|table| *table.towards(source) == Some(Signatures::Absent))
    }

    /// Where zones without signatures begin.
    pub(crate) fn unsigned(&self, source: IpAddr) -> impl Iterator<Item = Name> {
        let absent = move |table: &BySource<_>| *table.towards(source) == Some(Signatures::Absent);
        self.0.iter().filter(move |(_, table)| absent(table)).map(|(name, _)| Name::from(name.clone()))
    }

    fn said(&mut self, name: &Name) -> &mut BySource<Option<Signatures>> {
        self.0.entry(LowerName::new(name)).or_insert_with(|| BySource::new(None))
    }
}

/// The key of the root.
pub(crate) struct ZoneKey(DnssecSigner);

impl ZoneKey {
    /// A new one (Ed25519, RFC 8080), which signs keys and everything else.
    pub(crate) fn generate() -> Result<Self, DnsSecError> {
        let key = Ed25519SigningKey::from_pkcs8(&Ed25519SigningKey::generate_pkcs8()?)?;
        let dnskey = DNSKEY::from_key(&key.to_public_key()?);
        Ok(Self(DnssecSigner::new(dnskey, Box::new(key), Name::root(), HOLDS * 2)))
    }

    /// The record at the root (RFC 4034 section 2).
    pub(crate) fn dnskey(&self) -> DNSKEY {
        self.0.to_dnskey()
    }

    /// The same as a line of a zone file.
    pub(crate) fn anchor(&self) -> String {
        format!(". 3600 IN DNSKEY {}\n", self.0.dnskey())
    }

    /// The signature of one set of records (RFC 4034 section 3).
    fn sign(&self, records: &[Record], forged: bool) -> Result<Option<Record>, ProtoError> {
        let Some(first) = records.first() else { return Ok(None) };
        let mut set = RecordSet::with_ttl(first.name.clone(), first.record_type(), first.ttl);
        set.set_records(records.to_vec());
        let inception = OffsetDateTime::now_utc() - HOLDS;
        let mut signature = RRSIG::from_rrset(&set, DNSClass::IN, inception, &self.0)?;
        if forged {
            let mut octets = signature.sig().to_vec();
            octets.iter_mut().for_each(|octet| *octet = !*octet);
            signature = RRSIG::from_sig(signature.input().clone(), octets);
        }
        Ok(Some(Record::from_rdata(first.name.clone(), first.ttl, RData::DNSSEC(DNSSECRData::RRSIG(signature)))))
    }

    /// Adds a signature for each set of records, as much worth as `worth` says of its name.
    fn sign_all(&self, records: &mut Vec<Record>, worth: impl Fn(&Name) -> Signatures) -> Result<(), ProtoError> {
        let sets: BTreeSet<_> = records.iter().map(|record| (record.name.clone(), record.record_type())).collect();
        for (name, kind) in sets {
            let belongs = |record: &&Record| record.record_type() == kind && record.name == name;
            let set: Vec<_> = records.iter().filter(belongs).cloned().collect();
            match worth(&name) {
                Signatures::Absent => {}
                worth => records.extend(self.sign(&set, worth == Signatures::Forged)?),
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for ZoneKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ZoneKey").finish_non_exhaustive()
    }
}

/// The answer for one question, with signatures and proofs of absence (RFC 4035 section 3.1).
pub(crate) fn signed_reply(zone: &Zone, key: &ZoneKey, source: IpAddr, asked: &Name, kind: RecordType) -> Reply {
    let Reply::Message { mut rcode, mut answers, mut authorities } = zone.reply(source, asked, kind) else {
        return Reply::Silence;
    };
    // Whether a zone has keys is told by the one above it (RFC 4035 section 3.1.4.1).
    let judge = if kind == RecordType::DS { asked.base_name() } else { asked.clone() };
    let (worth, apex) = zone.signatures(source, &judge);
    if !authorities.is_empty() && !answers.is_empty() {
        // An alias of what is absent: whoever validates asks on at its target.
        (rcode, authorities) = (ResponseCode::NoError, Vec::new());
    } else if !authorities.is_empty() {
        authorities = match worth {
            Signatures::Absent => vec![soa(apex)],
            Signatures::Valid | Signatures::Forged => absence(zone, source, asked, rcode),
        };
    }
    let signed = key.sign_all(&mut answers, |name| zone.signatures(source, name).0);
    match signed.and_then(|()| key.sign_all(&mut authorities, |_| worth)) {
        Ok(()) => Reply::Message { rcode, answers, authorities },
        Err(_) => Reply::Message { rcode: ResponseCode::ServFail, answers: Vec::new(), authorities: Vec::new() },
    }
}

/// What proves that there is no such record or name (RFC 4035 section 3.1.3), besides the start of the zone.
fn absence(zone: &Zone, source: IpAddr, asked: &Name, rcode: ResponseCode) -> Vec<Record> {
    let gaps = Gaps { zone, source, names: zone.names_of(source) };
    let proofs = match rcode {
        ResponseCode::NXDomain => {
            // No wildcard stands for it either (RFC 4035 section 3.1.3.2).
            let wildcard = zone.closest_encloser(source, asked).prepend_label("*");
            std::iter::once(asked.clone()).chain(wildcard).map(|absent| gaps.around(&absent)).collect::<Vec<_>>()
        }
        _ => vec![gaps.at(asked)],
    };
    let mut records = vec![soa(Name::root())];
    // One gap may hold both.
    proofs.into_iter().for_each(|proof| {
        if !records.contains(&proof) {
            records.push(proof)
        }
    });
    records
}

/// The names that the root zone has for one asker, in canonical order (RFC 4034 section 6.1).
struct Gaps<'a> {
    zone: &'a Zone,
    source: IpAddr,
    names: BTreeSet<Name>,
}

impl Gaps<'_> {
    /// What stands at this name. It need not be one with records: it may lie above others, or come of a wildcard.
    fn at(&self, name: &Name) -> Record {
        self.nsec(name.clone(), name)
    }

    /// That nothing stands where this name is.
    fn around(&self, absent: &Name) -> Record {
        let before = self.names.range(..absent).next_back().cloned().unwrap_or_else(Name::root);
        self.nsec(before, absent)
    }

    /// The record that says what stands at `owner`, and that nothing does from there to the next name after `after`
    /// (RFC 4034 section 4.1).
    fn nsec(&self, owner: Name, after: &Name) -> Record {
        let next = self.names.range((Bound::Excluded(after), Bound::Unbounded)).next();
        let types = self.zone.types_at(self.source, &owner);
        let data = NSEC::new_cover_self(next.cloned().unwrap_or_else(Name::root), types);
        Record::from_rdata(owner, 0, RData::DNSSEC(DNSSECRData::NSEC(data)))
    }
}
