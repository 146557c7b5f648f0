//! The sites that quizzes ask for, and what can be seen of them from where.

use std::sync::Arc;

use parallax_core::{
    CaId, DnsAnswers, Fingerprint, Look, Met, Observation, Outcome, PublicCa, ServiceId, Timespan, Timestamp,
};
use parallax_proto::mirror::{Popular, PopularNames};
use rand::RngExt as _;
use rand_pcg::Pcg64;

use super::quick::Table;

const DAY_MS: u64 = 86_400_000;
const HOUR_MS: u64 = 3_600_000;

/// How a site shows its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// One key for all.
    One,
    /// A key for each region, of one CA.
    Regional,
    /// Two content networks with different CAs: an honest mirror dissents, and nothing explains it.
    TwoCas,
}

/// A site of the simulated world.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) service: Arc<ServiceId>,
    habit: Habit,
    /// It takes a new key whenever this much time has passed, from that moment on.
    renewal_ms: u64,
    phase_ms: u64,
    address: [u8; 4],
}

/// All sites, and the looks at them that were already made.
pub(super) struct Sites {
    sites: Vec<Site>,
    start: Timestamp,
    looks: Table<(u32, u64), Arc<Look>>,
    lies: Table<(u32, u32), Arc<Look>>,
}

impl Sites {
    pub(super) fn new(many: u32, start: Timestamp, rng: &mut Pcg64) -> Self {
        let sites = (0..many).filter_map(|number| Site::new(number, rng)).collect();
        Self { sites, start, looks: Default::default(), lies: Default::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.sites.len()
    }

    pub(super) fn popular(&self, share: std::ops::Range<usize>) -> PopularNames {
        let sites = self.sites.get(share).unwrap_or_default();
        let popular = |site: &Site| Popular { service: (*site.service).clone(), domain: domain(&site.service) };
        sites.iter().map(popular).collect()
    }

    pub(super) fn service(&self, site: u32) -> Option<&Arc<ServiceId>> {
        self.sites.get(site as usize).map(|site| &site.service)
    }

    /// The number of a service, which stands in its name.
    pub(super) fn number(&self, service: &ServiceId) -> u32 {
        let name = service.host().name().unwrap_or_default();
        name.trim_start_matches('s').split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// What an honest mirror of that region sees at that moment, and what it remembers from the day before.
    pub(super) fn seen(&mut self, site: u32, region: u8, lag_ms: u64, at_ms: u64) -> (Arc<Look>, Option<Fingerprint>) {
        let Some(known) = self.sites.get(site as usize) else { return (failed(self.start), None) };
        let variant = known.variant(region);
        let (generation, since) = known.generation(at_ms.saturating_sub(lag_ms));
        let before = (since < DAY_MS && generation > 0).then(|| key(site, variant, generation - 1));
        let look = self.looks.entry((site, variant << 32 | generation)).or_insert_with(|| {
            Arc::new(known.look(key(site, variant, generation), known.ca(site, variant), self.start))
        });
        (Arc::clone(look), before)
    }

    /// What a liar says; those of one ring say the same.
    pub(super) fn lie(&mut self, site: u32, ring: u32) -> Arc<Look> {
        let Some(known) = self.sites.get(site as usize) else { return failed(self.start) };
        let look = self.lies.entry((site, ring)).or_insert_with(|| {
            let key = key(site, 0xbad, u64::from(ring));
            Arc::new(known.look(key, CaId::Key(key), self.start))
        });
        Arc::clone(look)
    }
}

/// A look that met nothing.
pub(super) fn failed(at: Timestamp) -> Arc<Look> {
    let now = Observation::failed(at, None, Outcome::Timeout);
    Arc::new(Look { dns: DnsAnswers::default(), now })
}

/// The history of somebody who has always seen that.
pub(super) fn history(look: &Look, until: Timestamp) -> Vec<Timespan> {
    let month = std::time::Duration::from_secs(30 * 86_400);
    let span = |met: &Met| Timespan {
        key: met.key,
        leaf: met.leaf,
        leaf_md5: None,
        issuer_key: None,
        ca_id: met.ca_id.clone(),
        networks: Vec::new(),
        proved: true,
        first_seen: until.minus(month),
        last_seen: until,
    };
    look.now.met.iter().map(span).collect()
}

fn domain(service: &ServiceId) -> String {
    service.host().name().unwrap_or_default().to_owned()
}

/// A key is its site, variant and generation, written out.
fn key(site: u32, variant: u64, generation: u64) -> Fingerprint {
    let mut bytes = [0; 32];
    let written = format!("{site:08x}{variant:08x}{generation:08x}");
    for (byte, digit) in bytes.iter_mut().zip(written.bytes()) {
        *byte = digit;
    }
    Fingerprint::from_bytes(bytes)
}

impl Site {
    fn new(number: u32, rng: &mut Pcg64) -> Option<Self> {
        let habit = match rng.random_range(0..100) {
            0..12 => Habit::Regional,
            12..14 => Habit::TwoCas,
            _ => Habit::One,
        };
        let renewal_ms = rng.random_range(20..90) * DAY_MS;
        Some(Self {
            service: Arc::new(format!("s{number}.example").parse().ok()?),
            habit,
            renewal_ms,
            phase_ms: rng.random_range(0..renewal_ms),
            address: [198, 51, (number >> 8) as u8, number as u8],
        })
    }

    fn variant(&self, region: u8) -> u64 {
        match self.habit {
            Habit::One => 0,
            Habit::Regional => u64::from(region),
            Habit::TwoCas => u64::from(region % 2),
        }
    }

    /// How often it has renewed its key, and how long ago last.
    fn generation(&self, at_ms: u64) -> (u64, u64) {
        let since = at_ms + self.phase_ms;
        (since / self.renewal_ms, since % self.renewal_ms)
    }

    fn ca(&self, site: u32, variant: u64) -> CaId {
        match self.habit {
            Habit::TwoCas => CaId::Organisation(format!("CA {}", variant + u64::from(site) % 7)),
            Habit::One | Habit::Regional => CaId::Organisation(format!("CA {}", site % 7)),
        }
    }

    fn look(&self, key: Fingerprint, ca_id: CaId, at: Timestamp) -> Look {
        let met = Met {
            protocol: "TLSv1.3".into(),
            proved: true,
            leaf: key,
            leaf_md5: None,
            key,
            issuer_key: None,
            chain: vec![key],
            path: vec![key],
            names: Vec::new(),
            not_before: at,
            not_after: at,
            ca_id,
            public_ca: PublicCa::Valid,
            host_keys: Vec::new(),
            scts: None,
        };
        let dns = DnsAnswers {
            a: Some(vec![self.address.into()]),
            ca: Some(Vec::new()),
            tlsa: Some(Vec::new()),
            ..DnsAnswers::default()
        };
        let address = Some((std::net::IpAddr::from(self.address), 443).into());
        Look { dns, now: Observation::seen(at, address, met) }
    }
}

/// How much later than others a mirror sees a change: up to an hour, the time to live of what it was told.
pub(super) fn lag(node: u32, site: u32) -> u64 {
    let mixed = (u64::from(node) << 32 | u64::from(site)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) % HOUR_MS
}
