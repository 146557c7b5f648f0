//! One visit on the stage: servers that show each party what it is shown, DNS that tells each party what it is told, and
//! nodes that remember what they met.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use parallax_core::{DnsAnswers, Dnssec, Fingerprint, Outcome, Record, ServiceId, Tlsa, VantageId};
use parallax_lab::{Answer, Behaviour, Certificate, Failure, LabError, LabNode, Signatures, Site, Unheard, Validity};
use parallax_sim::worlds::{Ago, KeyRecord, Scenario, Shown, Sight, Vantage};

use crate::cast::Cast;

/// The lab's network for the first network of a visit.
const SITES: u8 = 20;

/// Addresses in each network for each place on the stage.
const HOSTS: u8 = 28;

/// After this time an address of the visit before is free again, or never.
const FREED: Duration = Duration::from_secs(20);

/// A visit that can be made.
pub(crate) struct Staged {
    pub(crate) service: ServiceId,
    /// Whom to ask, and their URLs.
    pub(crate) asked: Vec<VantageId>,
    pub(crate) vantages: Vec<String>,
    sites: Vec<Site>,
    names: [String; 3],
}

impl Staged {
    /// Leaves the stage to the next.
    pub(crate) async fn clear(self, cast: &Cast) {
        for site in self.sites {
            site.close().await;
        }
        for name in &self.names {
            cast.lab.dns().remove(name).unwrap();
        }
    }
}

/// Stages a visit. Places are numbered from 0; visits at different places don't meet.
pub(crate) async fn stage(cast: &Cast, scenario: &Scenario, host: &str, place: u8) -> Staged {
    let nodes = cast.nodes_for(scenario);
    let service = cast.lab.service(host).unwrap();
    let port = cast.lab.port();
    let names = [host.to_owned(), format!("_ca-auth.{host}"), format!("_{port}._tcp.{host}")];
    let mut set = Set { cast, scenario, host, place, names: &names, certificates: BTreeMap::new() };
    set.tell(cast.user(place), &scenario.met);
    for (vantage, node) in scenario.vantages.iter().zip(&nodes) {
        set.tell(node.address(), &vantage.now);
        set.give_past(vantage, node, &service).await;
    }
    let mut sites = set.open(&nodes).await;
    let mut vantages = Vec::new();
    for (number, (vantage, node)) in scenario.vantages.iter().zip(&nodes).enumerate() {
        let unheard = Unheard { again: vantage.again_lost, there: vantage.there_lost };
        let url = if vantage.silent {
            node.url_at(cast.nowhere()).unwrap()
        } else if unheard == Unheard::default() {
            node.url().clone()
        } else {
            let front = set.open_when_free(cast.front(place, number), node.front(unheard).unwrap()).await;
            let url = node.url_at(front.address()).unwrap();
            sites.push(front);
            url
        };
        vantages.push(url.to_string());
    }
    let asked = nodes.iter().map(|node| node.vantage()).collect();
    Staged { service, asked, vantages, sites, names }
}

/// The stage while it is being set.
struct Set<'a> {
    cast: &'a Cast,
    scenario: &'a Scenario,
    host: &'a str,
    place: u8,
    /// The host's name, and those of its two records.
    names: &'a [String; 3],
    certificates: BTreeMap<u16, Certificate>,
}

impl Set<'_> {
    /// Has DNS tell a party what it is told.
    fn tell(&mut self, party: Ipv4Addr, sight: &Sight) {
        let dns = self.cast.lab.dns();
        let set = |name: &str, answer: Answer| dns.set_towards(party, name, answer).unwrap();
        let [host, ca_auth, tlsa] = self.names;
        let signatures = if sight.dns.secure { Signatures::Valid } else { Signatures::Absent };
        dns.sign_towards(party, host, signatures).unwrap();
        if sight.dns.count == 0 {
            return self.names.iter().for_each(|name| set(name, Answer::failure(Failure::ServFail)));
        }
        set(host, Answer::a(self.led_to(sight).into_iter().map(|place| self.address(place))));
        let Some(record) = sight.dns.record else {
            return [ca_auth, tlsa].into_iter().for_each(|name| set(name, Answer::failure(Failure::ServFail)));
        };
        let record = self.record(record);
        if !record.ca.is_empty() {
            set(ca_auth, Answer::ca_auth(record.ca));
        }
        if !record.leaf.is_empty() {
            set(tlsa, Answer::tlsa(record.leaf.into_iter().map(server_key)));
        }
    }

    /// The addresses of an answer, the one that the party comes to first.
    fn led_to(&self, sight: &Sight) -> Vec<u8> {
        let mut places: Vec<u8> = (sight.dns.first..sight.dns.first + sight.dns.count).collect();
        if let Some(first) = sight.address.and_then(|address| places.iter().position(|place| *place == address)) {
            places.rotate_left(first);
        }
        places
    }

    /// Writes a vantage point's memory, and the look that it answers with.
    async fn give_past(&mut self, vantage: &Vantage, node: &LabNode, service: &ServiceId) {
        let mut past = self.cast.lab.past_of(node);
        for span in &vantage.past {
            let certificate = self.certificate(span.certificate);
            for place in span.places.iter() {
                past = past.saw(&certificate, self.address(place), ago(span.first), ago(span.last));
            }
        }
        for span in &vantage.past_records {
            past = past.read(self.record(span.record), ago(span.first), ago(span.last));
        }
        if !vantage.past.is_empty() || !vantage.past_records.is_empty() {
            node.remember(service, past).await.unwrap();
        }
        if let Some((since, sight)) = vantage.kept {
            let (Shown::Certificate(place), Some(address)) = (sight.shown, sight.address) else {
                panic!("a kept look saw something: {sight:?}")
            };
            let (certificate, dns) = (self.certificate(place), self.answers(&sight));
            node.looked_by(service, &certificate, self.socket(address), dns, ago(since)).await.unwrap();
        }
    }

    fn answers(&mut self, sight: &Sight) -> DnsAnswers {
        let record = sight.dns.record.map(|record| self.record(record));
        DnsAnswers {
            a: Some(self.led_to(sight).into_iter().map(|place| self.address(place)).collect()),
            aaaa: Some(Vec::new()),
            ca: record.as_ref().map(|record| record.ca.iter().copied().collect()),
            dnssec: if sight.dns.secure { Dnssec::Secure } else { Dnssec::Insecure },
            tlsa: record.map(|record| record.leaf.into_iter().map(server_key).collect()),
            ..DnsAnswers::default()
        }
    }

    /// Opens every address that anybody is led to; each shows each party what that party is shown there. Whoever is not of
    /// the visit is cut off.
    async fn open(&mut self, nodes: &[&LabNode]) -> Vec<Site> {
        let mut sites = Vec::new();
        for (place, shown) in self.shown(nodes) {
            let site = self.open_when_free(self.address(place), Behaviour::Cut).await;
            for (party, shown) in shown {
                site.behave_towards(party, self.behaviour(shown));
            }
            sites.push(site);
        }
        sites
    }

    /// A command that is being started holds copies of this process's sockets until it is that command, those of the visit
    /// before included.
    async fn open_when_free(&self, address: Ipv4Addr, behaviour: Behaviour) -> Site {
        let begun = Instant::now();
        loop {
            match self.cast.lab.open(address, behaviour.clone()).await {
                Ok(site) => return site,
                Err(LabError::Listen { source, .. })
                    if source.kind() == ErrorKind::AddrInUse && begun.elapsed() < FREED =>
                {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What each address shows each party. Where nothing else is said of an address, it is what the party's look meets.
    fn shown(&self, nodes: &[&LabNode]) -> BTreeMap<u8, BTreeMap<Ipv4Addr, Shown>> {
        let mut shown = BTreeMap::<u8, BTreeMap<Ipv4Addr, Shown>>::new();
        let mut meets = |party: Ipv4Addr, sight: &Sight| {
            for place in self.led_to(sight).into_iter().chain(sight.address) {
                shown.entry(place).or_default().insert(party, sight.shown);
            }
        };
        meets(self.cast.user(self.place), &self.scenario.met);
        self.scenario.vantages.iter().zip(nodes).for_each(|(vantage, node)| meets(node.address(), &vantage.now));
        if let Some(mine) = self.scenario.met.address {
            let there = shown.entry(mine).or_default();
            let vantages = self.scenario.vantages.iter().zip(nodes);
            there.extend(vantages.map(|(vantage, node)| (node.address(), vantage.there)));
        }
        shown
    }

    /// A refusal towards one party alone is no matter of sockets: it is reset, which is no answer either.
    fn behaviour(&mut self, shown: Shown) -> Behaviour {
        match shown {
            Shown::Certificate(place) => Behaviour::tls(&self.certificate(place)).unwrap(),
            Shown::Nothing(Outcome::Timeout) => Behaviour::Silent,
            Shown::Nothing(Outcome::NotTls) => Behaviour::plain_http(),
            Shown::Nothing(Outcome::Reset | Outcome::Refused) => Behaviour::Cut,
            Shown::Nothing(outcome) => panic!("no server ends a look with {outcome:?}"),
        }
    }

    fn record(&mut self, place: u8) -> Record {
        let KeyRecord { cas, keys } = self.scenario.records[usize::from(place)].clone();
        Record {
            ca: cas.into_iter().map(|ca| self.cast.root(ca).key()).collect(),
            leaf: keys.into_iter().map(|key| self.certificate_with(key).key()).collect(),
        }
    }

    /// A certificate with this key.
    fn certificate_with(&mut self, key: u16) -> Certificate {
        let place = self.scenario.certificates.iter().position(|certificate| certificate.key == key);
        self.certificate(u16::try_from(place.unwrap()).unwrap())
    }

    /// The certificate at this place of the visit's list. Of those that share a key, the first is made first.
    fn certificate(&mut self, place: u16) -> Certificate {
        if let Some(made) = self.certificates.get(&place) {
            return made.clone();
        }
        let wanted = self.scenario.certificates[usize::from(place)];
        let issuer = self.cast.issuer(wanted.ca, wanted.intermediate);
        let now = Validity::around(Duration::ZERO, Duration::ZERO).not_before;
        let not_before = now.minus(ago(wanted.issued));
        let validity = Validity { not_before, not_after: not_before.plus(ago(wanted.life)) };
        let first = self.scenario.certificates.iter().position(|other| other.key == wanted.key).unwrap();
        let made = if first == usize::from(place) {
            let name = if wanted.for_this_name { self.host } else { "other.example" };
            issuer.issue(&[name], validity).unwrap()
        } else {
            let earlier = self.certificate(u16::try_from(first).unwrap());
            issuer.renew(&earlier, validity).unwrap()
        };
        self.certificates.insert(place, made.clone());
        made
    }

    fn address(&self, place: u8) -> Ipv4Addr {
        let address = self.scenario.addresses[usize::from(place)];
        assert!(address.host < HOSTS && address.network < 70, "{address:?} has no room on the stage");
        self.cast.lab.address(SITES + address.network, self.place * HOSTS + address.host)
    }

    fn socket(&self, place: u8) -> SocketAddr {
        (self.address(place), self.cast.lab.port()).into()
    }
}

fn server_key(key: Fingerprint) -> Tlsa {
    Tlsa { usage: 3, selector: 1, matching: 1, data: key.as_bytes().to_vec() }
}

fn ago(ago: Ago) -> Duration {
    Duration::from_secs(u64::from(ago))
}
