//! What the lab's DNS knows, and which answer whom gets. No sockets here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, CAA, CNAME, MX, NS, SOA, TLSA, TXT};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};
use parallax_core::{Fingerprint, Tlsa};

use crate::error::LabError;
use crate::signing::{SignatureTable, Signatures};
use crate::sources::{BySource, Prefix};

/// Aliases that are followed before an answer is given up as a loop.
const MAX_ALIASES: usize = 8;

/// Octets in one character-string (RFC 1035 section 3.3).
const LONGEST_STRING: usize = 255;

/// What a name has for one record type (or, for a failure, for all of them).
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    kind: Kind,
    given: Given,
}

/// How a lookup can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server says that it can't answer (SERVFAIL).
    ServFail,
    /// No answer comes.
    Silence,
    /// There is no such name (NXDOMAIN), whatever stands there for others.
    NoSuchName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Only(RecordType),
    All,
}

#[derive(Clone, Debug, PartialEq)]
enum Given {
    Records { data: Vec<RData>, ttl: u32 },
    Failure(Failure),
}

impl Answer {
    /// IPv4 addresses.
    pub fn a(addresses: impl IntoIterator<Item = Ipv4Addr>) -> Self {
        Self::records(RecordType::A, addresses.into_iter().map(|address| RData::A(A(address))).collect())
    }

    /// IPv6 addresses.
    pub fn aaaa(addresses: impl IntoIterator<Item = Ipv6Addr>) -> Self {
        Self::records(RecordType::AAAA, addresses.into_iter().map(|address| RData::AAAA(AAAA(address))).collect())
    }

    /// TLSA records (RFC 6698); they belong at `_port._tcp.name`.
    pub fn tlsa(records: impl IntoIterator<Item = Tlsa>) -> Self {
        let data = |tlsa: Tlsa| {
            RData::TLSA(TLSA::new(tlsa.usage.into(), tlsa.selector.into(), tlsa.matching.into(), tlsa.data))
        };
        Self::records(RecordType::TLSA, records.into_iter().map(data).collect())
    }

    /// One TXT record; a text longer than 255 octets is split into strings, which readers join again.
    pub fn txt(text: &str) -> Self {
        Self::txts([text])
    }

    /// TXT records, one for each text.
    pub fn txts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let record = |text: &str| RData::TXT(TXT::from_bytes(text.as_bytes().chunks(LONGEST_STRING).collect()));
        Self::records(RecordType::TXT, texts.into_iter().map(record).collect())
    }

    /// A start of authority with this serial, for the zone that begins at the name.
    pub fn soa(serial: u32) -> Self {
        let soa = SOA::new(Name::root(), Name::root(), serial, 3600, 600, 86_400, 0);
        Self::records(RecordType::SOA, vec![RData::SOA(soa)])
    }

    /// The TXT record that authorises CA keys; it belongs at `_ca-auth.name`. Without keys it authorises nobody.
    pub fn ca_auth(keys: impl IntoIterator<Item = Fingerprint>) -> Self {
        let keys: String = keys.into_iter().map(|key| format!("; sha256={key}")).collect();
        Self::txt(&format!("v=ca1{keys}"))
    }

    /// The key of a zone (RFC 4034 section 2).
    pub(crate) fn dnskey(key: DNSKEY) -> Self {
        Self::records(RecordType::DNSKEY, vec![RData::DNSSEC(DNSSECRData::DNSKEY(key))])
    }

    /// One CAA record with the property `issue` (RFC 8659 section 4.2).
    pub fn caa_issue(domain: &str) -> Result<Self, LabError> {
        // Written without a dot at the end, unlike names elsewhere.
        let issuer = relative_name(domain.trim_end_matches('.'))?;
        let issue = CAA::new_issue(false, Some(issuer), Vec::new());
        Ok(Self::records(RecordType::CAA, vec![RData::CAA(issue)]))
    }

    /// The name is another's alias.
    pub fn cname(target: &str) -> Result<Self, LabError> {
        Ok(Self::records(RecordType::CNAME, vec![RData::CNAME(CNAME(name(target)?))]))
    }

    /// Mail relays with their preferences.
    pub fn mx(relays: &[(u16, &str)]) -> Result<Self, LabError> {
        let data = relays.iter().map(|(preference, relay)| Ok(RData::MX(MX::new(*preference, name(relay)?))));
        Ok(Self::records(RecordType::MX, data.collect::<Result<_, LabError>>()?))
    }

    /// Every lookup of the name goes wrong.
    pub fn failure(failure: Failure) -> Self {
        Self { kind: Kind::All, given: Given::Failure(failure) }
    }

    /// Lookups of one record type go wrong.
    pub fn failure_of(kind: RecordType, failure: Failure) -> Self {
        Self { kind: Kind::Only(kind), given: Given::Failure(failure) }
    }

    /// The same records with another time to live, in seconds (0 unless set: a lab's answers change while it runs).
    pub fn with_ttl(mut self, secs: u32) -> Self {
        if let Given::Records { ttl, .. } = &mut self.given {
            *ttl = secs;
        }
        self
    }

    fn records(kind: RecordType, data: Vec<RData>) -> Self {
        Self { kind: Kind::Only(kind), given: Given::Records { data, ttl: 0 } }
    }
}

/// What a query gets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Message { rcode: ResponseCode, answers: Vec<Record>, authorities: Vec<Record> },
    Silence,
}

/// Every name the lab's DNS knows. It is one zone, the root, so it is authoritative for everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Zone {
    names: BTreeMap<LowerName, Vec<Slot>>,
    signatures: SignatureTable,
}

/// What a name has for one kind of question; `None` where nothing was set.
type Slot = (Kind, BySource<Option<Given>>);

impl Zone {
    pub(crate) fn set(&mut self, name: &Name, answer: Answer) {
        self.slot(name, answer.kind).set(Some(answer.given));
    }

    pub(crate) fn set_towards(&mut self, sources: Prefix, name: &Name, answer: Answer) {
        self.slot(name, answer.kind).set_towards(sources, Some(answer.given));
    }

    /// What is said of signatures.
    pub(crate) fn signing(&mut self) -> &mut SignatureTable {
        &mut self.signatures
    }

    pub(crate) fn remove(&mut self, name: &Name) {
        self.names.remove(&LowerName::new(name));
        self.signatures.remove(name);
    }

    pub(crate) fn treat_alike(&mut self) {
        self.names.values_mut().flatten().for_each(|(_, table)| table.treat_alike());
        self.signatures.treat_alike();
    }

    /// What the signatures of a name are worth, and of which name that is said.
    pub(crate) fn signatures(&self, source: IpAddr, name: &Name) -> (Signatures, Name) {
        self.signatures.of(source, name)
    }

    /// The names with records that the signed part of the zone has for this source, and those at which it ends.
    pub(crate) fn names_of(&self, source: IpAddr) -> BTreeSet<Name> {
        let inhabited = self.names.iter().filter(|(_, slots)| is_inhabited(slots, source)).map(|(name, _)| name);
        let names = inhabited.map(|name| Name::from(name.clone())).chain(self.signatures.unsigned(source));
        let names = names.filter(|name| {
            let signed = self.signatures(source, name).0 != Signatures::Absent;
            signed || self.signatures.begins_unsigned(source, name)
        });
        names.chain([Name::root()]).collect()
    }

    /// The types of the records at a name, as the zone above it has them where another begins.
    pub(crate) fn types_at(&self, source: IpAddr, name: &Name) -> Vec<RecordType> {
        if self.signatures.begins_unsigned(source, name) {
            return vec![RecordType::NS];
        }
        let slots = self.slots(source, name).into_iter().flatten();
        let kinds = slots.filter_map(|(kind, table)| match (kind, table.towards(source)) {
            (Kind::Only(kind), Some(Given::Records { data, .. })) if !data.is_empty() => Some(*kind),
            _ => None,
        });
        kinds.collect()
    }

    /// The nearest name above this one that exists (RFC 4592 section 3.3.1).
    pub(crate) fn closest_encloser(&self, source: IpAddr, name: &Name) -> Name {
        let mut ancestor = name.base_name();
        while !ancestor.is_root() && !self.exists(source, &ancestor) {
            ancestor = ancestor.base_name();
        }
        ancestor
    }

    /// The answer for one question, aliases followed.
    pub(crate) fn reply(&self, source: IpAddr, asked: &Name, kind: RecordType) -> Reply {
        let mut answers = Vec::new();
        let mut current = asked.clone();
        for _ in 0..MAX_ALIASES {
            match self.step(source, &current, kind) {
                Step::Alias { target, ttl } => {
                    answers.push(Record::from_rdata(current, ttl, RData::CNAME(CNAME(target.clone()))));
                    current = target;
                }
                Step::Records(records) => {
                    answers.extend(records);
                    return Reply::Message { rcode: ResponseCode::NoError, answers, authorities: Vec::new() };
                }
                Step::Nothing(rcode) => return Reply::Message { rcode, answers, authorities: vec![soa(Name::root())] },
                Step::Failure(Failure::Silence) => return Reply::Silence,
                Step::Failure(Failure::ServFail) => break,
                Step::Failure(Failure::NoSuchName) => {
                    return Reply::Message {
                        rcode: ResponseCode::NXDomain,
                        answers,
                        authorities: vec![soa(Name::root())],
                    };
                }
            }
        }
        Reply::Message { rcode: ResponseCode::ServFail, answers: Vec::new(), authorities: Vec::new() }
    }

    fn step(&self, source: IpAddr, name: &Name, kind: RecordType) -> Step {
        match self.given(source, name, Kind::All).or_else(|| self.given(source, name, Kind::Only(kind))) {
            Some(Given::Failure(failure)) => return Step::Failure(*failure),
            Some(Given::Records { data, ttl }) if !data.is_empty() => {
                let record = |data: &RData| Record::from_rdata(name.clone(), *ttl, data.clone());
                return Step::Records(data.iter().map(record).collect());
            }
            _ => {}
        }
        if let Some(Given::Records { data, ttl }) = self.given(source, name, Kind::Only(RecordType::CNAME))
            && let Some(RData::CNAME(CNAME(target))) = data.first()
        {
            return Step::Alias { target: target.clone(), ttl: *ttl };
        }
        if kind == RecordType::NS && self.signatures.begins_unsigned(source, name) {
            return Step::Records(vec![Record::from_rdata(name.clone(), 0, RData::NS(NS(Name::root())))]);
        }
        Step::Nothing(if self.exists(source, name) || self.wildcard(source, name).is_some() {
            ResponseCode::NoError
        } else {
            ResponseCode::NXDomain
        })
    }

    fn given(&self, source: IpAddr, name: &Name, kind: Kind) -> Option<&Given> {
        self.slots(source, name)?
            .iter()
            .find(|(known, _)| *known == kind)
            .and_then(|(_, table)| table.towards(source).as_ref())
    }

    fn slots(&self, source: IpAddr, name: &Name) -> Option<&Vec<Slot>> {
        self.names.get(&LowerName::new(name)).or_else(|| self.wildcard(source, name))
    }

    /// The wildcard right below the nearest ancestor that exists, for a name that does not (RFC 4592 section 3.3.1).
    fn wildcard(&self, source: IpAddr, name: &Name) -> Option<&Vec<Slot>> {
        let mut ancestor = name.clone();
        while !ancestor.is_root() && !self.exists(source, &ancestor) {
            ancestor = ancestor.base_name();
        }
        if ancestor == *name {
            return None;
        }
        self.names.get(&LowerName::new(&ancestor.prepend_label("*").ok()?))
    }

    /// A name exists when it or a name below it has anything for this source (RFC 8020): an empty non-terminal does.
    fn exists(&self, source: IpAddr, name: &Name) -> bool {
        let name = LowerName::new(name);
        self.names.iter().any(|(known, slots)| name.zone_of(known) && is_inhabited(slots, source))
            || self.signatures.unsigned(source).any(|known| name.zone_of(&LowerName::new(&known)))
    }

    fn slot(&mut self, name: &Name, kind: Kind) -> &mut BySource<Option<Given>> {
        let slots = self.names.entry(LowerName::new(name)).or_default();
        let index = slots.iter().position(|(known, _)| *known == kind).unwrap_or_else(|| {
            slots.push((kind, BySource::new(None)));
            slots.len() - 1
        });
        &mut slots[index].1
    }
}

fn is_inhabited(slots: &[Slot], source: IpAddr) -> bool {
    slots.iter().any(|(_, table)| matches!(table.towards(source), Some(Given::Records { .. })))
}

enum Step {
    Records(Vec<Record>),
    Alias { target: Name, ttl: u32 },
    Nothing(ResponseCode),
    Failure(Failure),
}

/// Negative answers carry it (RFC 2308 section 3). Its minimum is 0, so nobody remembers an absence.
pub(crate) fn soa(zone: Name) -> Record {
    let soa = SOA::new(Name::root(), Name::root(), 1, 3600, 600, 86_400, 0);
    Record::from_rdata(zone, 0, RData::SOA(soa))
}

/// A fully qualified DNS name.
pub(crate) fn name(text: &str) -> Result<Name, LabError> {
    let mut name = relative_name(text)?;
    name.set_fqdn(true);
    Ok(name)
}

fn relative_name(text: &str) -> Result<Name, LabError> {
    Name::from_ascii(text).map_err(|source| LabError::Name { name: text.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 20, 1, 1));
    const YOU: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 21, 1, 1));
    const SITE: Ipv4Addr = Ipv4Addr::new(127, 30, 1, 10);
    const FALSE_SITE: Ipv4Addr = Ipv4Addr::new(127, 31, 1, 66);

    fn zone(answers: &[(&str, Answer)]) -> Zone {
        let mut zone = Zone::default();
        answers.iter().for_each(|(at, answer)| zone.set(&name(at).unwrap(), answer.clone()));
        zone
    }

    fn ask(zone: &Zone, source: IpAddr, asked: &str, kind: RecordType) -> (ResponseCode, Vec<String>, bool) {
        match zone.reply(source, &name(asked).unwrap(), kind) {
            Reply::Message { rcode, answers, authorities } => {
                (rcode, answers.iter().map(|record| record.data.to_string()).collect(), !authorities.is_empty())
            }
            Reply::Silence => panic!("silence for {asked} {kind}"),
        }
    }

    #[test]
    fn absence_of_a_name_and_of_a_record_differ() {
        let zone = zone(&[("_443._tcp.shop.example", Answer::tlsa([])), ("shop.example", Answer::a([SITE]))]);
        for (asked, kind, rcode, answers) in [
            ("shop.example", RecordType::A, ResponseCode::NoError, vec![SITE.to_string()]),
            ("SHOP.Example.", RecordType::A, ResponseCode::NoError, vec![SITE.to_string()]),
            ("shop.example", RecordType::AAAA, ResponseCode::NoError, vec![]),
            ("_443._tcp.shop.example", RecordType::TLSA, ResponseCode::NoError, vec![]),
            ("_tcp.shop.example", RecordType::TLSA, ResponseCode::NoError, vec![]),
            ("example", RecordType::A, ResponseCode::NoError, vec![]),
            (".", RecordType::NS, ResponseCode::NoError, vec![]),
            ("_ca-auth.shop.example", RecordType::TXT, ResponseCode::NXDomain, vec![]),
            ("op.example", RecordType::A, ResponseCode::NXDomain, vec![]),
        ] {
            let negative = answers.is_empty();
            assert_eq!(ask(&zone, ME, asked, kind), (rcode, answers, negative), "{asked} {kind}");
        }
    }

    #[test]
    fn one_source_can_be_told_another_story() {
        let mut zone = zone(&[("shop.example", Answer::a([SITE])), ("shop.example", Answer::aaaa([]))]);
        let shop = name("shop.example").unwrap();
        zone.set_towards(Ipv4Addr::new(127, 20, 1, 1).into(), &shop, Answer::a([FALSE_SITE]));
        assert_eq!(ask(&zone, ME, "shop.example", RecordType::A).1, [FALSE_SITE.to_string()]);
        assert_eq!(ask(&zone, YOU, "shop.example", RecordType::A).1, [SITE.to_string()]);
        zone.set_towards(Prefix::new(Ipv4Addr::new(127, 20, 0, 0), 16), &shop, Answer::failure(Failure::NoSuchName));
        assert_eq!(ask(&zone, ME, "shop.example", RecordType::A).0, ResponseCode::NXDomain);
        assert_eq!(ask(&zone, YOU, "shop.example", RecordType::A).0, ResponseCode::NoError);
        zone.treat_alike();
        assert_eq!(ask(&zone, ME, "shop.example", RecordType::A).1, [SITE.to_string()]);
    }

    #[test]
    fn a_name_that_stands_only_for_one_source_is_absent_for_others() {
        let mut zone = Zone::default();
        zone.set_towards(Ipv4Addr::new(127, 20, 1, 1).into(), &name("a.b.example").unwrap(), Answer::a([SITE]));
        assert_eq!(ask(&zone, ME, "b.example", RecordType::A).0, ResponseCode::NoError);
        assert_eq!(ask(&zone, YOU, "b.example", RecordType::A).0, ResponseCode::NXDomain);
        assert_eq!(ask(&zone, YOU, "a.b.example", RecordType::A).0, ResponseCode::NXDomain);
    }

    #[test]
    fn aliases_are_followed_for_the_asking_source_and_loops_end() {
        let mut zone = zone(&[
            ("www.shop.example", Answer::cname("shop.cdn.example").unwrap()),
            ("shop.cdn.example", Answer::a([SITE])),
            ("loop.example", Answer::cname("pool.example").unwrap()),
            ("pool.example", Answer::cname("loop.example").unwrap()),
            ("dangling.example", Answer::cname("nowhere.example").unwrap()),
        ]);
        let front = name("shop.cdn.example").unwrap();
        zone.set_towards(Ipv4Addr::new(127, 21, 1, 1).into(), &front, Answer::a([FALSE_SITE]));
        let (_, mine, _) = ask(&zone, ME, "www.shop.example", RecordType::A);
        assert_eq!(mine, ["shop.cdn.example.".to_owned(), SITE.to_string()]);
        assert_eq!(ask(&zone, YOU, "www.shop.example", RecordType::A).1[1], FALSE_SITE.to_string());
        assert_eq!(ask(&zone, ME, "www.shop.example", RecordType::CNAME).1, ["shop.cdn.example."]);
        assert_eq!(ask(&zone, ME, "loop.example", RecordType::A), (ResponseCode::ServFail, vec![], false));
        let (rcode, answers, negative) = ask(&zone, ME, "dangling.example", RecordType::A);
        assert_eq!((rcode, answers.len(), negative), (ResponseCode::NXDomain, 1, true));
    }

    #[test]
    fn one_record_type_can_fail_alone() {
        let zone = zone(&[
            ("shop.example", Answer::a([SITE])),
            ("shop.example", Answer::failure_of(RecordType::CAA, Failure::ServFail)),
            ("mute.example", Answer::failure(Failure::Silence)),
        ]);
        assert_eq!(ask(&zone, ME, "shop.example", RecordType::CAA), (ResponseCode::ServFail, vec![], false));
        assert_eq!(ask(&zone, ME, "shop.example", RecordType::A).0, ResponseCode::NoError);
        assert_eq!(zone.reply(ME, &name("mute.example").unwrap(), RecordType::A), Reply::Silence);
    }

    #[test]
    fn a_wildcard_stands_for_names_that_do_not_exist() {
        let zone = zone(&[
            ("*.example", Answer::a([SITE])),
            ("shop.example", Answer::a([FALSE_SITE])),
            ("a.b.example", Answer::a([FALSE_SITE])),
        ]);
        for (asked, kind, rcode, answers) in [
            ("any.example", RecordType::A, ResponseCode::NoError, vec![SITE.to_string()]),
            ("x.any.example", RecordType::A, ResponseCode::NoError, vec![SITE.to_string()]),
            ("any.example", RecordType::TXT, ResponseCode::NoError, vec![]),
            ("shop.example", RecordType::A, ResponseCode::NoError, vec![FALSE_SITE.to_string()]),
            ("x.shop.example", RecordType::A, ResponseCode::NXDomain, vec![]),
            ("b.example", RecordType::A, ResponseCode::NoError, vec![]),
            ("example", RecordType::A, ResponseCode::NoError, vec![]),
            ("any.other", RecordType::A, ResponseCode::NXDomain, vec![]),
        ] {
            let negative = answers.is_empty();
            assert_eq!(ask(&zone, ME, asked, kind), (rcode, answers, negative), "{asked} {kind}");
        }
    }

    #[test]
    fn a_failure_goes_when_records_come() {
        let mut zone = zone(&[("shop.example", Answer::failure(Failure::ServFail))]);
        let shop = name("shop.example").unwrap();
        zone.remove(&shop);
        zone.set(&shop, Answer::a([SITE]).with_ttl(300));
        let Reply::Message { answers, .. } = zone.reply(ME, &shop, RecordType::A) else { panic!("silence") };
        assert_eq!(answers[0].ttl, 300);
    }

    #[test]
    fn records_are_written_as_their_readers_expect() {
        let key = Fingerprint::from_bytes([7; 32]);
        let tlsa: Tlsa = format!("2 1 1 {key}").parse().unwrap();
        let zone = zone(&[
            ("_443._tcp.shop.example", Answer::tlsa([tlsa])),
            ("_ca-auth.shop.example", Answer::ca_auth([key; 5])),
            ("shop.example", Answer::caa_issue("ca.example").unwrap()),
            ("shop.example", Answer::mx(&[(10, "mail.shop.example")]).unwrap()),
        ]);
        let txt = match zone.reply(ME, &name("_ca-auth.shop.example").unwrap(), RecordType::TXT) {
            Reply::Message { answers, .. } => answers[0].data.clone(),
            Reply::Silence => panic!("silence"),
        };
        let RData::TXT(txt) = txt else { panic!("{txt}") };
        assert!(txt.txt_data.len() > 1, "more than one string");
        let joined = String::from_utf8(txt.txt_data.concat()).unwrap();
        assert_eq!(parallax_core::parse_ca_auth(&joined).unwrap().into_iter().collect::<Vec<_>>(), [key]);
        let (_, tlsa, _) = ask(&zone, ME, "_443._tcp.shop.example", RecordType::TLSA);
        assert!(tlsa[0].starts_with("2 1 1 ") && tlsa[0].to_lowercase().ends_with(&key.to_string()), "{tlsa:?}");
        assert_eq!(ask(&zone, ME, "shop.example", RecordType::CAA).1, ["0 issue \"ca.example\""]);
        assert_eq!(ask(&zone, ME, "shop.example", RecordType::MX).1, ["10 mail.shop.example."]);
    }
}
