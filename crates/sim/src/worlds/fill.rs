//! From a visit's numbers to the product's own types. They are filled where earlier ones stood: making millions anew would
//! take most of the time of a run.
//!
//! Certificates are made up from their numbers. What no policy reads (protocol, MD5, the hashes of the chain) stays empty.

use std::net::IpAddr;
use std::time::Duration;

use parallax_core::{
    Asked, Authority, CaId, DnsAnswers, Dnssec, Fingerprint, History, Look, Met, Network, Observation, Outcome,
    PublicCa, Record, Testimony, Timespan, Timestamp, Tlsa, VantageId,
};

use super::scenario::{Ago, Answer, Ca, Certificate, KeyRecord, Party, Scenario, Shown, Sight, Span, Vantage};

/// What earlier visits left, to be filled again.
#[derive(Debug, Default)]
pub(super) struct Spare {
    pub(super) views: Vec<Testimony>,
    mets: Vec<Met>,
    spans: Vec<Timespan>,
}

impl Spare {
    pub(super) fn view(&mut self) -> Testimony {
        let view = self.views.pop();
        view.unwrap_or_else(|| Testimony {
            vantage: vantage_id(0),
            issued_at: Timestamp::default(),
            look: no_look(),
            there: None,
            history: History::default(),
        })
    }
}

/// A look that is yet to be filled in.
pub(super) fn no_look() -> Look {
    Look { dns: DnsAnswers::default(), now: nothing() }
}

/// One who was asked, yet to be filled in.
pub(super) fn no_asked() -> Asked {
    Asked { vantage: vantage_id(0), region: None, rir: None }
}

/// What it saw, likewise.
fn nothing() -> Observation {
    Observation::failed(Timestamp::default(), None, Outcome::NoAddress)
}

impl Scenario {
    pub(super) fn by_clock_of(&self, party: &Party) -> Timestamp {
        Timestamp::from_unix_ms(self.moment.unix_ms() + i64::from(party.clock_ahead) * 1000)
    }

    fn stamp(&self, party: &Party, ago: Ago) -> Timestamp {
        Timestamp::from_unix_ms(self.by_clock_of(party).unix_ms() - i64::from(ago) * 1000)
    }

    pub(super) fn fill_asked(&self, asked: &mut Asked, number: usize, vantage: &Vantage) {
        let region = self.regions.get(usize::from(vantage.party.region));
        asked.vantage = vantage_id(number);
        fill_text(&mut asked.region, region.map(|region| region.name.as_str()));
        fill_text(&mut asked.rir, region.map(|region| region.rir.as_str()));
    }

    /// A look as an observation and the DNS answers that led to it.
    pub(super) fn fill_look(&self, look: &mut Look, party: &Party, ago: Ago, sight: &Sight, spare: &mut Spare) {
        self.fill_dns(&mut look.dns, &sight.dns);
        self.fill_observation(&mut look.now, party, ago, (sight.address, sight.shown), spare);
    }

    /// A look at one address, or none.
    pub(super) fn fill_there(
        &self,
        there: &mut Option<Observation>,
        party: &Party,
        met: Option<(u8, Shown)>,
        spare: &mut Spare,
    ) {
        match met {
            Some((address, shown)) => {
                let there = there.get_or_insert_with(nothing);
                self.fill_observation(there, party, 0, (Some(address), shown), spare);
            }
            None => spare.mets.extend(there.take().and_then(|there| there.met)),
        }
    }

    fn fill_observation(
        &self,
        observation: &mut Observation,
        party: &Party,
        ago: Ago,
        (address, shown): (Option<u8>, Shown),
        spare: &mut Spare,
    ) {
        observation.at = self.stamp(party, ago);
        let address = address.and_then(|place| self.addresses.get(usize::from(place)));
        observation.address = address.map(|address| address.socket());
        let certificate = match shown {
            Shown::Nothing(outcome) => Err(outcome),
            Shown::Certificate(place) => {
                self.certificate(place).map(|certificate| (place, certificate)).ok_or(Outcome::Malformed)
            }
        };
        match certificate {
            Ok((place, certificate)) => {
                observation.outcome = Outcome::Seen;
                let met = observation.met.get_or_insert_with(|| spare.mets.pop().unwrap_or_else(nobody));
                self.fill_met(met, place, certificate, observation.at);
            }
            Err(outcome) => {
                observation.outcome = outcome;
                spare.mets.extend(observation.met.take());
            }
        }
    }

    pub(super) fn certificate(&self, place: u16) -> Option<&Certificate> {
        self.certificates.get(usize::from(place))
    }

    /// All that differs from certificate to certificate.
    fn fill_met(&self, met: &mut Met, place: u16, certificate: &Certificate, at: Timestamp) {
        let (not_before, not_after) = self.validity(certificate);
        let key = key_print(certificate.key);
        let (issuer, root) = (issuer_print(certificate), root_print(certificate.ca));
        met.leaf = print(LEAF, u64::from(place));
        met.key = key;
        met.issuer_key = Some(issuer);
        met.path.clear();
        match certificate.ca {
            Ca::Public(_) => met.path.extend_from_slice(&[key, issuer, root]),
            Ca::Private(_) => met.path.extend_from_slice(&[key, root]),
        }
        fill_names(&mut met.names, self.name_on(certificate));
        (met.not_before, met.not_after) = (not_before, not_after);
        fill_ca(&mut met.ca_id, certificate.ca);
        met.public_ca = public_ca(certificate, (not_before, not_after), at);
    }

    fn validity(&self, certificate: &Certificate) -> (Timestamp, Timestamp) {
        let not_before = Timestamp::from_unix_ms(self.moment.unix_ms() - i64::from(certificate.issued) * 1000);
        (not_before, not_before.plus(Duration::from_secs(u64::from(certificate.life))))
    }

    fn name_on(&self, certificate: &Certificate) -> &str {
        self.service.host().name().filter(|_| certificate.for_this_name).unwrap_or("other.example")
    }

    fn fill_dns(&self, dns: &mut DnsAnswers, answer: &Answer) {
        let addresses = self.addresses.iter().skip(usize::from(answer.first)).take(usize::from(answer.count));
        let v4 = addresses.filter_map(|address| match address.socket().ip() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        let answered = answer.count > 0;
        let record = answer.record.and_then(|place| self.records.get(usize::from(place)));
        fill_list(&mut dns.a, answered.then_some(v4));
        fill_list(&mut dns.aaaa, answered.then(std::iter::empty));
        fill_list(&mut dns.ca, record.map(|record| record.cas.iter().map(|ca| root_print(*ca))));
        dns.ca.iter_mut().for_each(|ca| ca.sort_unstable());
        fill_list(&mut dns.tlsa, record.map(|record| record.keys.iter().map(|key| server_key(*key))));
        dns.dnssec = if answer.secure { Dnssec::Secure } else { Dnssec::Insecure };
        // Nothing fills in the others.
        debug_assert!(dns.caa.is_none() && dns.ignored.is_empty() && dns.record_ttl_secs.is_none());
    }

    /// What a vantage point remembers before it is asked.
    pub(super) fn fill_history(&self, history: &mut History, vantage: &Vantage, spare: &mut Spare) {
        let known = vantage.past.iter().filter_map(|span| Some((span, self.certificate(span.certificate)?)));
        let mut count = 0;
        for (span, certificate) in known {
            if history.spans.len() == count {
                history.spans.push(spare.spans.pop().unwrap_or_else(no_span));
            }
            if let Some(slot) = history.spans.get_mut(count) {
                self.fill_span(slot, &vantage.party, span, certificate);
            }
            count += 1;
        }
        spare.spans.extend(history.spans.drain(count..));
        let mut count = 0;
        for span in &vantage.past_records {
            let Some(record) = self.records.get(usize::from(span.record)) else { continue };
            let (first_seen, last_seen) =
                (self.stamp(&vantage.party, span.first), self.stamp(&vantage.party, span.last));
            match history.authority.get_mut(count) {
                Some(slot) => {
                    (slot.first_seen, slot.last_seen) = (first_seen, last_seen);
                    // Most owners publish nothing.
                    if !(slot.record.is_empty() && record.cas.is_empty() && record.keys.is_empty()) {
                        slot.record = record_of(record);
                    }
                }
                None => history.authority.push(Authority { record: record_of(record), first_seen, last_seen }),
            }
            count += 1;
        }
        history.authority.truncate(count);
        history.turns.clear();
    }

    fn fill_span(&self, slot: &mut Timespan, party: &Party, span: &Span, certificate: &Certificate) {
        let network = |place: u8| Some(Network::of(self.addresses.get(usize::from(place))?.socket().ip()));
        slot.key = key_print(certificate.key);
        slot.leaf = print(LEAF, u64::from(span.certificate));
        slot.issuer_key = Some(issuer_print(certificate));
        fill_ca(&mut slot.ca_id, certificate.ca);
        slot.networks.clear();
        slot.networks.extend(span.places.iter().filter_map(network));
        (slot.first_seen, slot.last_seen) = (self.stamp(party, span.first), self.stamp(party, span.last));
    }
}

/// A certificate that is yet to be filled in.
fn nobody() -> Met {
    let none = print(0, 0);
    Met {
        protocol: String::new(),
        proved: true,
        leaf: none,
        leaf_md5: None,
        key: none,
        issuer_key: None,
        chain: Vec::new(),
        path: Vec::new(),
        names: Vec::new(),
        not_before: Timestamp::default(),
        not_after: Timestamp::default(),
        ca_id: CaId::Key(none),
        public_ca: PublicCa::UnknownIssuer,
        host_keys: Vec::new(),
        scts: None,
    }
}

/// A timespan that is yet to be filled in.
fn no_span() -> Timespan {
    let none = print(0, 0);
    Timespan {
        key: none,
        leaf: none,
        leaf_md5: None,
        issuer_key: None,
        ca_id: CaId::Key(none),
        networks: Vec::new(),
        proved: true,
        first_seen: Timestamp::default(),
        last_seen: Timestamp::default(),
    }
}

fn fill_text(slot: &mut Option<String>, text: Option<&str>) {
    match (slot.as_mut(), text) {
        (Some(slot), Some(text)) => {
            slot.clear();
            slot.push_str(text);
        }
        (_, text) => *slot = text.map(String::from),
    }
}

fn fill_list<T>(slot: &mut Option<Vec<T>>, list: Option<impl Iterator<Item = T>>) {
    match (slot.as_mut(), list) {
        (Some(slot), Some(list)) => {
            slot.clear();
            slot.extend(list);
        }
        (_, list) => *slot = list.map(Iterator::collect),
    }
}

fn fill_names(names: &mut Vec<String>, name: &str) {
    match names.as_mut_slice() {
        [slot] => {
            slot.clear();
            slot.push_str(name);
        }
        _ => *names = vec![name.into()],
    }
}

fn fill_ca(slot: &mut CaId, ca: Ca) {
    let organisation = match ca {
        Ca::Public(number) => ORGANISATIONS.get(usize::from(number)).copied().unwrap_or("T"),
        Ca::Private(_) => return *slot = CaId::Key(root_print(ca)),
    };
    match slot {
        CaId::Organisation(name) => {
            name.clear();
            name.push_str(organisation);
        }
        CaId::Key(_) => *slot = CaId::Organisation(organisation.into()),
    }
}

/// The id of the vantage point at this place of the list.
pub(super) fn vantage_id(number: usize) -> VantageId {
    VantageId::from_bytes(*print(VANTAGE, number as u64).as_bytes())
}

const KEY: u8 = 1;
const LEAF: u8 = 2;
const ROOT: u8 = 3;
const INTERMEDIATE: u8 = 4;
const VANTAGE: u8 = 5;

/// A fingerprint from what it stands for and its number.
#[inline]
fn print(what: u8, number: u64) -> Fingerprint {
    // In words: what is written byte by byte and copied at once makes the processor wait for each.
    let head = (u128::from(what) << 120) | (u128::from(number) << 56);
    let mut bytes = [0; 32];
    if let Some(first) = bytes.first_chunk_mut() {
        *first = head.to_be_bytes();
    }
    Fingerprint::from_bytes(bytes)
}

fn key_print(key: u16) -> Fingerprint {
    print(KEY, u64::from(key))
}

fn root_print(ca: Ca) -> Fingerprint {
    match ca {
        Ca::Public(number) => print(ROOT, u64::from(number)),
        Ca::Private(number) => print(ROOT, 0x1_0000 + u64::from(number)),
    }
}

fn issuer_print(certificate: &Certificate) -> Fingerprint {
    match certificate.ca {
        Ca::Public(number) => print(INTERMEDIATE, u64::from(number) << 8 | u64::from(certificate.intermediate)),
        Ca::Private(_) => root_print(certificate.ca),
    }
}

/// Short names: they are copied for each look.
const ORGANISATIONS: [&str; 40] = [
    "T00", "T01", "T02", "T03", "T04", "T05", "T06", "T07", "T08", "T09", "T10", "T11", "T12", "T13", "T14", "T15",
    "T16", "T17", "T18", "T19", "T20", "T21", "T22", "T23", "T24", "T25", "T26", "T27", "T28", "T29", "T30", "T31",
    "T32", "T33", "T34", "T35", "T36", "T37", "T38", "T39",
];

fn public_ca(certificate: &Certificate, (not_before, not_after): (Timestamp, Timestamp), at: Timestamp) -> PublicCa {
    match certificate.ca {
        Ca::Private(_) => PublicCa::UnknownIssuer,
        Ca::Public(_) if at < not_before => PublicCa::NotYetValid,
        Ca::Public(_) if at > not_after => PublicCa::Expired,
        Ca::Public(_) if !certificate.for_this_name => PublicCa::WrongName,
        Ca::Public(_) => PublicCa::Valid,
    }
}

/// `TLSA 3 1 1`.
fn server_key(key: u16) -> Tlsa {
    Tlsa { usage: 3, selector: 1, matching: 1, data: key_print(key).as_bytes().to_vec() }
}

fn record_of(record: &KeyRecord) -> Record {
    Record {
        ca: record.cas.iter().map(|ca| root_print(*ca)).collect(),
        leaf: record.keys.iter().map(|key| key_print(*key)).collect(),
    }
}
