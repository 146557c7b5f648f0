//! Whom a client asks: three mirrors of different regions, networks and operators, hedges, and more on disagreement. The
//! draw sticks for a name and day, so that repeated visits don't roll the dice again.
//!
//! Every mirror stands at a point of a ring that a key of the client's own decides; a name and day fall to other points,
//! and the next mirrors from there are drawn. So a list that changes a little changes few draws, and nobody who does not
//! know the key can choose an id that is drawn often.

use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Network, ServiceId, Suite, Timestamp, VantageId};

use super::peer::Peer;

/// Answers that are waited for.
pub const FIRST_ASKED: usize = 3;
/// Mirrors that are asked at most while all agree: the first three usable answers count.
pub const HEDGED: usize = 5;
/// Mirrors that are asked at most when answers disagree.
pub const MOST_ASKED: usize = 9;
/// A round trip this short means at most 500 km: all mirrors so near stand in one region, whatever they claim.
pub const NEAR: Duration = Duration::from_millis(5);

/// A mirror that may be drawn.
#[derive(Clone, Debug)]
pub struct Drawable {
    /// Who.
    pub vantage: VantageId,
    /// The networks of its addresses.
    pub networks: Vec<Network>,
    /// The region that its operator claims.
    pub region: Option<Arc<str>>,
    /// Who says to run it.
    pub operator: Option<Arc<str>>,
    /// The shortest round trip that was measured from here.
    pub round_trip: Option<Duration>,
    /// Whether it has been known here for long: one of those is among the first three.
    pub anchor: bool,
}

impl Drawable {
    /// A mirror of a list, not measured yet.
    pub fn of(peer: &Peer) -> Self {
        Self {
            vantage: peer.vantage(),
            networks: peer.networks().to_vec(),
            region: peer.region().cloned(),
            operator: peer.operator().cloned(),
            round_trip: None,
            anchor: false,
        }
    }

    fn region(&self) -> Region<'_> {
        match (self.round_trip, &self.region) {
            (Some(trip), _) if trip <= NEAR => Region::Near,
            (_, Some(claimed)) => Region::Claimed(claimed),
            (_, None) => Region::Unknown,
        }
    }

    fn is_apart(&self, other: &Drawable) -> bool {
        let same_operator = self.operator.is_some() && self.operator == other.operator;
        self.vantage != other.vantage
            && !same_operator
            && self.networks.iter().all(|network| !other.networks.contains(network))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Region<'a> {
    Near,
    Claimed(&'a str),
    Unknown,
}

/// The mirrors of a client's list, in the order of a key that only the client knows.
pub struct Sampler<'a> {
    suite: &'a dyn Suite,
    key: [u8; 32],
    ring: Vec<(u64, Drawable)>,
    anchored: bool,
}

impl<'a> Sampler<'a> {
    /// Puts the mirrors on the ring. `key` is the client's own, drawn once and told to nobody.
    pub fn new(suite: &'a dyn Suite, key: [u8; 32], mirrors: impl IntoIterator<Item = Drawable>) -> Self {
        let place = |mirror: Drawable| {
            let [point, ..] = points(suite, &key, b"mirror", mirror.vantage.as_bytes());
            (point, mirror)
        };
        let mut ring: Vec<(u64, Drawable)> = mirrors.into_iter().map(place).collect();
        ring.sort_by(|(a, one), (b, other)| (a, one.vantage).cmp(&(b, other.vantage)));
        ring.dedup_by(|(_, one), (_, other)| one.vantage == other.vantage);
        let anchored = ring.iter().any(|(_, mirror)| mirror.anchor);
        Self { suite, key, ring, anchored }
    }

    /// At most `most` mirrors for a service, in the order of asking: the first [`FIRST_ASKED`] at once, then hedges, then
    /// what a disagreement needs. No two are of one network or operator; regions repeat only where no other is left.
    pub fn draw(&self, service: &ServiceId, now: Timestamp, most: usize) -> Vec<&Drawable> {
        let day = now.unix_secs().div_euclid(86_400);
        let mut drawn: Vec<&Drawable> = Vec::with_capacity(most.min(MOST_ASKED));
        let mut starts = Vec::new();
        while drawn.len() < most.min(MOST_ASKED) {
            if starts.is_empty() {
                let what = format!("{day} {} {service}", drawn.len());
                starts.extend(points(self.suite, &self.key, b"draw", what.as_bytes()));
            }
            let start = starts.pop().unwrap_or_default();
            let anchor = drawn.is_empty() && self.anchored;
            let next = self
                .next(start, |mirror| mirror.anchor == anchor || !anchor, &drawn, true)
                .or_else(|| self.next(start, |_| true, &drawn, false));
            match next {
                Some(next) => drawn.push(next),
                None => break,
            }
        }
        drawn
    }

    /// The first from `start` on that fits.
    fn next(
        &self,
        start: u64,
        wanted: impl Fn(&Drawable) -> bool,
        drawn: &[&Drawable],
        new_region: bool,
    ) -> Option<&Drawable> {
        let from = self.ring.partition_point(|(point, _)| *point < start);
        let (before, after) = self.ring.split_at(from);
        after.iter().chain(before).map(|(_, mirror)| mirror).find(|mirror| {
            wanted(mirror)
                && drawn.iter().all(|other| mirror.is_apart(other))
                && (!new_region || drawn.iter().all(|other| mirror.region() != other.region()))
        })
    }
}

/// Four points from one hash.
fn points(suite: &dyn Suite, key: &[u8; 32], label: &[u8], what: &[u8]) -> [u64; 4] {
    let digest = suite.sha256(&[key.as_slice(), b"parallax-", label, b"/1 ", what].concat());
    let mut points = [0; 4];
    for (point, bytes) in points.iter_mut().zip(digest.chunks_exact(8)) {
        *point = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    }
    points
}
