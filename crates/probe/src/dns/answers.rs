//! The questions of one look, and what becomes of their answers.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{Name, RData, RecordType};
use parallax_core::{
    BadCaAuth, DnsAnswers, Dnssec, Fingerprint, MAX_AUTHORISED_KEYS, MAX_IGNORED, Tlsa, parse_ca_auth,
};

use super::asker::{Answer, Asker, LookupFailed, weaker};
use super::present::{present, tlsa, txt};
use crate::names::registrable_part;

/// Ancestors asked at the same time on the way up.
const CLIMBERS: usize = 4;

/// Bytes of TLSA data that are read; more is no record of keys.
const LARGEST_TLSA: usize = 16 * 1024;

/// Bytes of CAA records that are told.
const LARGEST_HINTS: usize = 8 * 1024;

/// The questions about one name.
pub(crate) struct Questions<'a> {
    asker: &'a Asker,
    name: &'a str,
    port: u16,
}

/// The records that say something about keys.
pub(crate) struct KeyRecords {
    ca: Option<Vec<Fingerprint>>,
    tlsa: Option<Vec<Tlsa>>,
    caa: Option<Vec<String>>,
    dnssec: Dnssec,
    ignored: Vec<String>,
    ttl: Option<u32>,
}

impl<'a> Questions<'a> {
    pub(crate) fn new(asker: &'a Asker, name: &'a str, port: u16) -> Self {
        Self { asker, name, port }
    }

    /// IPv4 addresses, in the order DNS gave; `None` when the lookup failed.
    pub(crate) async fn a(&self) -> Option<Vec<Ipv4Addr>> {
        let answer = self.ask(self.name.to_owned(), RecordType::A).await.ok()?;
        let address = |data: &RData| if let RData::A(a) = data { Some(a.0) } else { None };
        Some(self.at_most(answer.records.iter().filter_map(address)))
    }

    /// IPv6 addresses, in the order DNS gave; `None` when the lookup failed.
    pub(crate) async fn aaaa(&self) -> Option<Vec<Ipv6Addr>> {
        let answer = self.ask(self.name.to_owned(), RecordType::AAAA).await.ok()?;
        let address = |data: &RData| if let RData::AAAA(aaaa) = data { Some(aaaa.0) } else { None };
        Some(self.at_most(answer.records.iter().filter_map(address)))
    }

    /// Of too many addresses the lowest stay: servers that turn the order of a set must not make it another set.
    fn at_most<T: Ord + Copy>(&self, found: impl Iterator<Item = T>) -> Vec<T> {
        let (most, found) = (self.asker.limits().dns_records, found.collect::<Vec<_>>());
        if found.len() <= most { found } else { sorted(found).into_iter().take(most).collect() }
    }

    /// TLSA, `_ca-auth` and CAA, all at once.
    pub(crate) async fn key_records(&self) -> KeyRecords {
        let (tlsa, auth, caa) = tokio::join!(self.tlsa(), self.climb_ca_auth(), self.climb_caa());
        let dnssec = match (&tlsa, &auth) {
            (Err(LookupFailed::Bogus), _) | (_, Err(LookupFailed::Bogus)) => Dnssec::Bogus,
            (Ok(tlsa), Ok(auth)) => weaker(auth.dnssec, tlsa.dnssec),
            _ => Dnssec::Unchecked,
        };
        let parts = [tlsa.as_ref().ok().map(KeyPart::of_tlsa), auth.as_ref().ok().map(KeyPart::of_auth)];
        let ignored = parts.iter().flatten().flat_map(|part| part.ignored.iter().cloned()).take(MAX_IGNORED).collect();
        let ttl = parts.iter().flatten().filter_map(|part| part.ttl).min();
        let tlsa = tlsa.ok().map(|tlsa| tlsa.records);
        let ca = tlsa.as_deref().zip(auth.ok()).map(|(tlsa, auth)| union(tlsa, auth.keys));
        let ca = ca.filter(|keys| keys.len() <= MAX_AUTHORISED_KEYS);
        KeyRecords { ca, tlsa, caa: caa.ok(), dnssec, ignored, ttl }
    }

    async fn tlsa(&self) -> Result<TlsaSet, LookupFailed> {
        let name = format!("_{}._tcp.{}", self.port, self.name);
        let answer = self.ask(name.clone(), RecordType::TLSA).await?;
        TlsaSet::of(&name, &answer)
    }

    /// `_ca-auth` from the name up to its registrable domain; the nearest valid record decides. A name that has none is
    /// passed, a lookup that failed is not: what it hides might have decided.
    async fn climb_ca_auth(&self) -> Result<CaAuth, LookupFailed> {
        let mut lookups = pin!(self.climb("_ca-auth.", RecordType::TXT)?);
        let mut found = CaAuth::default();
        while let Some((name, answer)) = lookups.next().await {
            let answer = answer?;
            found.dnssec = Some(weaker(found.dnssec, answer.dnssec));
            if found.take(&name, &answer) {
                break;
            }
        }
        Ok(found)
    }

    /// CAA from the name up (RFC 8659 section 3); it stops at the registrable domain, above which nobody's hint is.
    async fn climb_caa(&self) -> Result<Vec<String>, LookupFailed> {
        let mut lookups = pin!(self.climb("", RecordType::CAA)?);
        while let Some((_, answer)) = lookups.next().await {
            let answer = answer?;
            if !answer.records.is_empty() {
                return Ok(hints(&answer));
            }
        }
        Ok(Vec::new())
    }

    /// The answers for the name and its parents up to the registrable domain, nearest first.
    fn climb(
        &self,
        prefix: &str,
        kind: RecordType,
    ) -> Result<impl Stream<Item = (String, Result<Answer, LookupFailed>)>, LookupFailed> {
        let top = registrable_part(self.name).len();
        let names: Vec<&str> = std::iter::successors(Some(self.name), |name| name.split_once('.').map(|(_, up)| up))
            .take_while(|name| name.len() >= top)
            .collect();
        if names.len() > self.asker.limits().climb {
            return Err(LookupFailed::TooFar);
        }
        let lookup = |name: &str| {
            let name = format!("{prefix}{name}");
            async move { (name.clone(), self.ask(name, kind).await) }
        };
        let lookups: Vec<_> = names.into_iter().map(lookup).collect();
        Ok(stream::iter(lookups).buffered(CLIMBERS))
    }

    async fn ask(&self, name: String, kind: RecordType) -> Result<Answer, LookupFailed> {
        match absolute(&name) {
            Some(name) => self.asker.ask(&name, kind).await,
            // Too long with its prefix (RFC 1035 section 2.3.4): no such record can exist.
            None => Ok(Answer {
                rcode: ResponseCode::NXDomain,
                records: Vec::new(),
                min_ttl: None,
                dnssec: Dnssec::Unchecked,
            }),
        }
    }
}

/// The TLSA records of a service.
struct TlsaSet {
    records: Vec<Tlsa>,
    dnssec: Dnssec,
    ignored: Vec<String>,
    ttl: Option<u32>,
}

impl TlsaSet {
    fn of(name: &str, answer: &Answer) -> Result<Self, LookupFailed> {
        let found = answer.records.iter();
        let records =
            sorted(found.filter_map(|data| if let RData::TLSA(record) = data { Some(tlsa(record)) } else { None }));
        let bytes: usize = records.iter().map(|record| record.data.len()).sum();
        if records.len() > MAX_AUTHORISED_KEYS || bytes > LARGEST_TLSA {
            return Err(LookupFailed::TooLarge);
        }
        let ignored = records.iter().filter_map(|record| Some(format!("{name}: {}", record.fault()?))).collect();
        let authorises = records.iter().any(|record| record.ca_key().or(record.leaf_key()).is_some());
        Ok(Self { records, dnssec: answer.dnssec, ignored, ttl: answer.min_ttl.filter(|_| authorises) })
    }
}

/// What `_ca-auth` says on the way up.
#[derive(Default)]
struct CaAuth {
    keys: BTreeSet<Fingerprint>,
    dnssec: Option<Dnssec>,
    ignored: Vec<String>,
    ttl: Option<u32>,
}

impl CaAuth {
    /// Takes in the texts of one name; whether one of them is a valid record.
    fn take(&mut self, name: &str, answer: &Answer) -> bool {
        let mut valid = false;
        for data in &answer.records {
            let RData::TXT(text) = data else { continue };
            match txt(text).map(|text| parse_ca_auth(&text)) {
                Some(Ok(keys)) => {
                    self.keys.extend(keys);
                    valid = true;
                }
                // Another kind of text may stand here: a wildcard's, say.
                Some(Err(BadCaAuth::Other)) => {}
                Some(Err(why)) => self.ignored.push(format!("{name}: {why}")),
                None if is_meant(text) => self.ignored.push(format!("{name}: {UNREADABLE_TEXT}")),
                None => {}
            }
        }
        self.ignored.sort();
        self.ignored.truncate(MAX_IGNORED);
        self.ttl = answer.min_ttl.filter(|_| valid && !self.keys.is_empty());
        valid
    }
}

/// Why a text is not even looked at.
const UNREADABLE_TEXT: &str = "it is longer than 4096 octets, or no UTF-8";

fn is_meant(text: &TXT) -> bool {
    let begins = |part: &[u8]| part.len() >= 5 && part.iter().take(5).map(u8::to_ascii_lowercase).eq(*b"v=ca1");
    text.txt_data.first().is_some_and(|part| begins(part))
}

/// What both kinds of records have.
struct KeyPart<'a> {
    ignored: &'a [String],
    ttl: Option<u32>,
}

impl<'a> KeyPart<'a> {
    fn of_tlsa(tlsa: &'a TlsaSet) -> Self {
        Self { ignored: &tlsa.ignored, ttl: tlsa.ttl }
    }

    fn of_auth(auth: &'a CaAuth) -> Self {
        Self { ignored: &auth.ignored, ttl: auth.ttl }
    }
}

/// CAA records as hints, as many as fit: they decide nothing, and a view must stay small.
fn hints(answer: &Answer) -> Vec<String> {
    let mut bytes = 0;
    let fits = |hint: &String| {
        bytes += hint.len();
        bytes <= LARGEST_HINTS
    };
    sorted(answer.records.iter().map(present)).into_iter().take_while(fits).collect()
}

impl KeyRecords {
    /// What is known when the look's time has run out.
    pub(crate) fn unknown() -> Self {
        Self { ca: None, tlsa: None, caa: None, dnssec: Dnssec::Unchecked, ignored: Vec::new(), ttl: None }
    }

    /// The same a while after they were read: the time to live runs down during the look itself.
    pub(crate) fn aged(self, by: Duration) -> Self {
        // Begun seconds count as whole ones.
        let secs = u32::try_from(by.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        Self { ttl: self.ttl.map(|ttl| ttl.saturating_sub(secs)), ..self }
    }

    /// All answers of a look.
    pub(crate) fn with_addresses(self, a: Option<Vec<Ipv4Addr>>, aaaa: Option<Vec<Ipv6Addr>>) -> DnsAnswers {
        DnsAnswers {
            a: a.map(sorted),
            aaaa: aaaa.map(sorted),
            ca: self.ca,
            tlsa: self.tlsa,
            caa: self.caa,
            dnssec: self.dnssec,
            ignored: self.ignored,
            record_ttl_secs: self.ttl,
        }
    }
}

/// The answers for a service that is named by its address: nothing was asked.
pub(crate) fn literal(address: IpAddr) -> DnsAnswers {
    let none =
        KeyRecords { ca: Some(Vec::new()), tlsa: Some(Vec::new()), caa: Some(Vec::new()), ..KeyRecords::unknown() };
    match address {
        IpAddr::V4(address) => none.with_addresses(Some(vec![address]), Some(Vec::new())),
        IpAddr::V6(address) => none.with_addresses(Some(Vec::new()), Some(vec![address])),
    }
}

/// A name as DNS carries it, never to be completed by a search list.
pub(super) fn absolute(name: &str) -> Option<Name> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}

pub(super) fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    items.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

fn union(tlsa: &[Tlsa], auth: BTreeSet<Fingerprint>) -> Vec<Fingerprint> {
    sorted(tlsa.iter().filter_map(Tlsa::ca_key).chain(auth))
}
