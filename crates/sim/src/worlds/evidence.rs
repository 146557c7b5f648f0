//! From a visit to the evidence that the product's client would have gathered in it (`client::check`): every vantage point
//! is asked once; one whose look shows another key than the user's is asked to look anew if that look is older than the
//! check, and to look at the user's address unless it just did. So is one to look anew that met TLS where the user met none.
//!
//! Certificates are made up from their numbers. What no policy reads (protocol, MD5, the hashes of the chain) stays empty.

use std::time::Duration;

use parallax_core::{
    Asked, Authority, CaId, DnsAnswers, Dnssec, Evidence, Fingerprint, History, Look, Met, Network, Observation,
    Outcome, PublicCa, Record, Testimony, Timespan, Timestamp, Tlsa, VantageId,
};
use parallax_proto::{CLOCK_SKEW, VIEW_LIFE};
use serde::{Deserialize, Serialize};

use super::scenario::{Ago, Answer, Ca, Certificate, KeyRecord, Party, Scenario, Shown, Sight, Span, Vantage};

/// How long the check has taken when it decides: what is looked at in it is looked at now.
const ELAPSED: Duration = Duration::from_secs(1);

/// What a check gathered, and what it cost.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// The evidence.
    pub evidence: Evidence,
    /// When it decides, by the user's clock.
    pub now: Timestamp,
    /// How many questions it took.
    pub questions: Questions,
}

/// Questions put to vantage points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Questions {
    /// First ones.
    pub first: u64,
    /// To look anew.
    pub again: u64,
    /// To look at the user's address.
    pub there: u64,
}

impl Scenario {
    /// The evidence that the user's client would have.
    pub fn evidence(&self) -> Evidence {
        self.gather().evidence
    }

    /// The same, with what it cost and the moment to decide at.
    pub fn gather(&self) -> Gathered {
        let now = self.by_clock_of(&self.user);
        let mut questions = Questions::default();
        let local = self.look(&self.user, 0, &self.met);
        let mut evidence = Evidence::new(self.service.clone(), local, now.minus(ELAPSED));
        for (number, vantage) in self.vantages.iter().enumerate() {
            questions.first += 1;
            evidence.ask(self.asked(number, vantage));
        }
        for (number, vantage) in self.vantages.iter().enumerate() {
            if !vantage.silent && self.is_believed(&vantage.party, now) {
                let testimony = self.ask(number, vantage, evidence.local(), &mut questions);
                testimony.into_iter().for_each(|testimony| evidence.add(testimony));
            }
        }
        Gathered { evidence, now, questions }
    }

    fn asked(&self, number: usize, vantage: &Vantage) -> Asked {
        let region = self.regions.get(usize::from(vantage.party.region));
        Asked {
            vantage: vantage_id(number),
            region: region.map(|region| region.name.clone()),
            rir: region.map(|region| region.rir.clone()),
        }
    }

    /// Whether the user's client takes a view for current (`proto::View`).
    fn is_believed(&self, party: &Party, now: Timestamp) -> bool {
        let issued = self.by_clock_of(party);
        now.plus(CLOCK_SKEW) >= issued && now <= issued.plus(VIEW_LIFE).plus(CLOCK_SKEW)
    }

    /// One vantage point's part of a check; `None` when it can say nothing of this moment.
    fn ask(&self, number: usize, vantage: &Vantage, local: &Look, questions: &mut Questions) -> Option<Testimony> {
        let mut history = self.history(vantage);
        let kept = vantage.kept.map(|(ago, sight)| (ago, self.look(&vantage.party, ago, &sight)));
        let kept = kept.filter(|(ago, look)| !has_outlived_its_record(look, &history, *ago)).map(|(_, look)| look);
        let was_old = kept.is_some();
        let mut look = kept.unwrap_or_else(|| self.look_now(vantage, &mut history));
        let mut there = None;
        // The server may have ceased to speak TLS since an older look met it.
        if was_old && local.now.outcome == Outcome::NotTls && look.now.proved().is_some() {
            questions.again += 1;
            if vantage.again_lost {
                return None;
            }
            look = self.look_now(vantage, &mut history);
        }
        if differs(&local.now, &look.now) {
            // Both are asked at once, so that a look which turns out to be led there does not save the other one.
            let asks_there = was_old || look.now.address != local.now.address;
            questions.again += u64::from(was_old);
            questions.there += u64::from(asks_there);
            if was_old && vantage.again_lost && vantage.there_lost {
                return None;
            }
            if was_old && !vantage.again_lost {
                look = self.look_now(vantage, &mut history);
            }
            if asks_there && !vantage.there_lost {
                there =
                    self.met.address.map(|address| self.observation(&vantage.party, 0, Some(address), vantage.there));
            }
        }
        let issued_at = self.by_clock_of(&vantage.party);
        Some(Testimony { vantage: vantage_id(number), issued_at, look, there, history })
    }

    /// A node commits what it saw before it answers.
    fn look_now(&self, vantage: &Vantage, history: &mut History) -> Look {
        let look = self.look(&vantage.party, 0, &vantage.now);
        history.absorb(&look);
        look
    }

    fn by_clock_of(&self, party: &Party) -> Timestamp {
        Timestamp::from_unix_ms(self.moment.unix_ms() + i64::from(party.clock_ahead) * 1000)
    }

    fn stamp(&self, party: &Party, ago: Ago) -> Timestamp {
        Timestamp::from_unix_ms(self.by_clock_of(party).unix_ms() - i64::from(ago) * 1000)
    }

    /// A look as an observation and the DNS answers that led to it.
    pub(super) fn look(&self, party: &Party, ago: Ago, sight: &Sight) -> Look {
        let now = self.observation(party, ago, sight.address, sight.shown);
        Look { dns: self.dns_answers(&sight.dns), now }
    }

    fn observation(&self, party: &Party, ago: Ago, address: Option<u8>, shown: Shown) -> Observation {
        let at = self.stamp(party, ago);
        let address = address.and_then(|place| self.addresses.get(usize::from(place))).map(|address| address.socket());
        match shown {
            Shown::Nothing(outcome) => Observation::failed(at, address, outcome),
            Shown::Certificate(place) => match self.certificate(place) {
                Some(certificate) => Observation::seen(at, address, self.met(place, certificate, at)),
                None => Observation::failed(at, address, Outcome::Malformed),
            },
        }
    }

    fn certificate(&self, place: u16) -> Option<&Certificate> {
        self.certificates.get(usize::from(place))
    }

    fn met(&self, place: u16, certificate: &Certificate, at: Timestamp) -> Met {
        let (not_before, not_after) = self.validity(certificate);
        let key = key_print(certificate.key);
        let (issuer, root) = (issuer_print(certificate), root_print(certificate.ca));
        let public = matches!(certificate.ca, Ca::Public(_));
        Met {
            protocol: String::new(),
            proved: true,
            leaf: print(LEAF, u64::from(place)),
            leaf_md5: None,
            key,
            issuer_key: Some(issuer),
            chain: Vec::new(),
            path: if public { vec![key, issuer, root] } else { vec![key, root] },
            names: vec![self.name_on(certificate)],
            not_before,
            not_after,
            ca_id: ca_id(certificate.ca),
            public_ca: public_ca(certificate, (not_before, not_after), at),
            host_keys: Vec::new(),
            scts: None,
        }
    }

    fn validity(&self, certificate: &Certificate) -> (Timestamp, Timestamp) {
        let not_before = Timestamp::from_unix_ms(self.moment.unix_ms() - i64::from(certificate.issued) * 1000);
        (not_before, not_before.plus(Duration::from_secs(u64::from(certificate.life))))
    }

    fn name_on(&self, certificate: &Certificate) -> String {
        match self.service.host().name().filter(|_| certificate.for_this_name) {
            Some(name) => name.to_owned(),
            None => "other.example".to_owned(),
        }
    }

    fn dns_answers(&self, answer: &Answer) -> DnsAnswers {
        let addresses = self.addresses.iter().skip(usize::from(answer.first)).take(usize::from(answer.count));
        let v4 = addresses.filter_map(|address| match address.socket().ip() {
            std::net::IpAddr::V4(address) => Some(address),
            std::net::IpAddr::V6(_) => None,
        });
        let answered = answer.count > 0;
        let record = answer.record.and_then(|place| self.records.get(usize::from(place)));
        DnsAnswers {
            a: answered.then(|| v4.collect()),
            aaaa: answered.then(Vec::new),
            ca: record.map(ca_prints),
            tlsa: record.map(|record| record.keys.iter().map(|key| server_key(*key)).collect()),
            caa: None,
            dnssec: if answer.secure { Dnssec::Secure } else { Dnssec::Insecure },
            ..DnsAnswers::default()
        }
    }

    /// What a vantage point remembers before it is asked. There is room for what it is about to see.
    pub(super) fn history(&self, vantage: &Vantage) -> History {
        let mut history = History {
            spans: Vec::with_capacity(vantage.past.len() + 1),
            authority: Vec::with_capacity(vantage.past_records.len() + 1),
            turns: Vec::new(),
        };
        for span in &vantage.past {
            let certificate = self.certificate(span.certificate);
            history.spans.extend(certificate.map(|certificate| self.timespan(&vantage.party, span, certificate)));
        }
        for span in &vantage.past_records {
            let record = self.records.get(usize::from(span.record)).map(record_of);
            let (first_seen, last_seen) =
                (self.stamp(&vantage.party, span.first), self.stamp(&vantage.party, span.last));
            history.authority.extend(record.map(|record| Authority { record, first_seen, last_seen }));
        }
        history
    }

    fn timespan(&self, party: &Party, span: &Span, certificate: &Certificate) -> Timespan {
        let network = |place: u8| Some(Network::of(self.addresses.get(usize::from(place))?.socket().ip()));
        Timespan {
            key: key_print(certificate.key),
            leaf: print(LEAF, u64::from(span.certificate)),
            leaf_md5: None,
            issuer_key: Some(issuer_print(certificate)),
            ca_id: ca_id(certificate.ca),
            networks: span.places.iter().filter_map(network).collect(),
            proved: true,
            first_seen: self.stamp(party, span.first),
            last_seen: self.stamp(party, span.last),
        }
    }
}

/// A node does not tell a look again after the record in it has run out; the life of a record is the longest here.
fn has_outlived_its_record(look: &Look, history: &History, ago: Ago) -> bool {
    let life = look.dns.record_life(history.remembers_record());
    life.is_some_and(|life| Duration::from_secs(ago.into()) > life)
}

fn differs(mine: &Observation, other: &Observation) -> bool {
    match (mine.proved(), other.proved()) {
        (Some(mine), Some(other)) => mine.key != other.key,
        _ => false,
    }
}

/// The id of the vantage point at this place of the list.
fn vantage_id(number: usize) -> VantageId {
    VantageId::from_bytes(*print(VANTAGE, number as u64).as_bytes())
}

const KEY: u8 = 1;
const LEAF: u8 = 2;
const ROOT: u8 = 3;
const INTERMEDIATE: u8 = 4;
const VANTAGE: u8 = 5;

/// A fingerprint from what it stands for and its number.
fn print(what: u8, number: u64) -> Fingerprint {
    let mut bytes = [0; 32];
    if let Some((first, rest)) = bytes.split_first_mut() {
        *first = what;
        rest.iter_mut().zip(number.to_be_bytes()).for_each(|(byte, digit)| *byte = digit);
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

fn ca_id(ca: Ca) -> CaId {
    match ca {
        Ca::Public(number) => CaId::Organisation(ORGANISATIONS.get(usize::from(number)).copied().unwrap_or("T").into()),
        Ca::Private(_) => CaId::Key(root_print(ca)),
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

fn ca_prints(record: &KeyRecord) -> Vec<Fingerprint> {
    let mut prints: Vec<_> = record.cas.iter().map(|ca| root_print(*ca)).collect();
    prints.sort_unstable();
    prints
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
