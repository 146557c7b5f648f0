//! The questions of one look, and what becomes of their answers.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::pin;

use futures_util::{Stream, StreamExt, stream};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, RecordType};
use parallax_core::{DnsAnswers, Dnssec, Fingerprint, Tlsa, parse_ca_auth};

use super::asker::{Answer, Asker, LookupFailed, weaker};
use super::present::{present, tlsa, txt};

/// Ancestors asked at the same time on the way up.
const CLIMBERS: usize = 4;

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
}

impl<'a> Questions<'a> {
    pub(crate) fn new(asker: &'a Asker, name: &'a str, port: u16) -> Self {
        Self { asker, name, port }
    }

    /// IPv4 addresses, in the order DNS gave; `None` when the lookup failed.
    pub(crate) async fn a(&self) -> Option<Vec<Ipv4Addr>> {
        let answer = self.ask(self.name.to_owned(), RecordType::A).await.ok()?;
        Some(answer.records.iter().filter_map(|data| if let RData::A(a) = data { Some(a.0) } else { None }).collect())
    }

    /// IPv6 addresses, in the order DNS gave; `None` when the lookup failed.
    pub(crate) async fn aaaa(&self) -> Option<Vec<Ipv6Addr>> {
        let answer = self.ask(self.name.to_owned(), RecordType::AAAA).await.ok()?;
        let address = |data: &RData| if let RData::AAAA(aaaa) = data { Some(aaaa.0) } else { None };
        Some(answer.records.iter().filter_map(address).collect())
    }

    /// TLSA, `_ca-auth` and CAA, all at once.
    pub(crate) async fn key_records(&self) -> KeyRecords {
        let tlsa_name = format!("_{}._tcp.{}", self.port, self.name);
        let (tlsa, auth, caa) =
            tokio::join!(self.ask(tlsa_name, RecordType::TLSA), self.climb_ca_auth(), self.climb_caa());
        let dnssec = match (&tlsa, &auth) {
            (Err(LookupFailed::Bogus), _) | (_, Err(LookupFailed::Bogus)) => Dnssec::Bogus,
            (Ok(tlsa), Ok(auth)) => weaker(Some(tlsa.dnssec), auth.dnssec),
            _ => Dnssec::Unchecked,
        };
        let tlsa = tlsa.ok().map(|answer| tlsa_records(&answer));
        let ca = tlsa.as_deref().zip(auth.ok()).map(|(tlsa, auth)| union(tlsa, auth.keys));
        KeyRecords { ca, tlsa, caa: caa.ok(), dnssec }
    }

    /// `_ca-auth` from the name up to its registrable domain; the nearest valid record decides. A name that has none is
    /// passed, a lookup that failed is not: what it hides might have decided.
    async fn climb_ca_auth(&self) -> Result<CaAuth, LookupFailed> {
        let mut lookups = pin!(self.climb("_ca-auth.", RecordType::TXT)?);
        let mut dnssec = None;
        while let Some(answer) = lookups.next().await {
            let answer = answer?;
            dnssec = Some(weaker(dnssec, answer.dnssec));
            if let Some(keys) = ca_auth_keys(&answer) {
                return Ok(CaAuth { keys, dnssec: dnssec.unwrap_or_default() });
            }
        }
        Ok(CaAuth { keys: BTreeSet::new(), dnssec: dnssec.unwrap_or_default() })
    }

    /// CAA from the name up (RFC 8659 section 3); it stops at the registrable domain, above which nobody's hint is.
    async fn climb_caa(&self) -> Result<Vec<String>, LookupFailed> {
        let mut lookups = pin!(self.climb("", RecordType::CAA)?);
        while let Some(answer) = lookups.next().await {
            let answer = answer?;
            if !answer.records.is_empty() {
                return Ok(sorted(answer.records.iter().map(present)));
            }
        }
        Ok(Vec::new())
    }

    /// The answers for the name and its parents up to the registrable domain, nearest first.
    fn climb(
        &self,
        prefix: &str,
        kind: RecordType,
    ) -> Result<impl Stream<Item = Result<Answer, LookupFailed>>, LookupFailed> {
        let top = psl::domain_str(self.name).map_or(self.name.len(), str::len);
        let names: Vec<&str> = std::iter::successors(Some(self.name), |name| name.split_once('.').map(|(_, up)| up))
            .take_while(|name| name.len() >= top)
            .collect();
        if names.len() > self.asker.limits().climb {
            return Err(LookupFailed::TooFar);
        }
        let lookups: Vec<_> = names.into_iter().map(|name| self.ask(format!("{prefix}{name}"), kind)).collect();
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

struct CaAuth {
    keys: BTreeSet<Fingerprint>,
    dnssec: Dnssec,
}

impl KeyRecords {
    /// What is known when the look's time has run out.
    pub(crate) fn unknown() -> Self {
        Self { ca: None, tlsa: None, caa: None, dnssec: Dnssec::Unchecked }
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

fn tlsa_records(answer: &Answer) -> Vec<Tlsa> {
    sorted(
        answer.records.iter().filter_map(|data| if let RData::TLSA(record) = data { Some(tlsa(record)) } else { None }),
    )
}

/// The keys of all valid `_ca-auth` texts; `None` when none of them is one.
fn ca_auth_keys(answer: &Answer) -> Option<BTreeSet<Fingerprint>> {
    let texts = answer.records.iter().filter_map(|data| if let RData::TXT(text) = data { txt(text) } else { None });
    texts.filter_map(|text| parse_ca_auth(&text)).reduce(|mut all, keys| {
        all.extend(keys);
        all
    })
}

fn union(tlsa: &[Tlsa], auth: BTreeSet<Fingerprint>) -> Vec<Fingerprint> {
    sorted(tlsa.iter().filter_map(Tlsa::ca_key).chain(auth))
}
