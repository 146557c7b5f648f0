//! Histories as pictures: which vantage point saw which certificate when.

mod svg;
mod text;

use parallax_core::{ServiceId, Timespan, Timestamp};
use parallax_store::OldSpan;

pub(crate) use svg::render as render_svg;
pub(crate) use text::render as render_text;

/// Everything that is drawn.
#[derive(Debug)]
pub(crate) struct Timeline {
    pub(crate) service: ServiceId,
    pub(crate) tracks: Vec<Track>,
    /// Where the picture ends.
    pub(crate) now: Timestamp,
}

/// What one vantage point remembers.
#[derive(Debug)]
pub(crate) struct Track {
    /// How people name it.
    pub(crate) who: String,
    pub(crate) bars: Vec<Bar>,
}

/// First to last sight of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    /// The fingerprint in hex: SHA-256 of the key, or `md5:` and that of the certificate where an old notary knew no more.
    pub(crate) key: String,
    pub(crate) kind: Kind,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

/// What stands behind a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The server proved the key.
    Proved,
    /// It did not.
    Sighting,
    /// An old notary said so.
    Old,
}

impl Track {
    /// The bars of a history, by first sight. Certificates that share a key share its name.
    pub(crate) fn new(who: String, spans: &[Timespan], old: &[OldSpan]) -> Self {
        let bars = spans.iter().map(|span| Bar {
            key: span.key.to_string(),
            kind: if span.proved { Kind::Proved } else { Kind::Sighting },
            first: span.first_seen,
            last: span.last_seen,
        });
        let old = old.iter().map(|span| Bar {
            key: format!("md5:{}", span.leaf_md5),
            kind: Kind::Old,
            first: span.first_seen,
            last: span.last_seen,
        });
        let mut bars: Vec<_> = bars.chain(old).collect();
        bars.sort_by(|a, b| (a.first, &a.key).cmp(&(b.first, &b.key)));
        Self { who, bars }
    }
}

impl Timeline {
    /// All keys, each once, by first sight.
    fn keys(&self) -> Vec<&str> {
        let mut bars: Vec<_> = self.tracks.iter().flat_map(|track| &track.bars).collect();
        bars.sort_by(|a, b| (a.first, &a.key).cmp(&(b.first, &b.key)));
        let mut keys: Vec<&str> = Vec::new();
        for bar in bars {
            if !keys.contains(&bar.key.as_str()) {
                keys.push(&bar.key);
            }
        }
        keys
    }

    /// From the first sight to now, or to the last sight where that is later. At least a minute.
    fn range(&self) -> (i64, i64) {
        let bars = || self.tracks.iter().flat_map(|track| &track.bars);
        let first = bars().map(|bar| bar.first).min().unwrap_or(self.now).unix_ms();
        let last = bars().map(|bar| bar.last).max().unwrap_or(self.now).max(self.now).unix_ms();
        (first, last.max(first.saturating_add(60_000)))
    }
}

/// The name of the n-th key: `A` to `Z`, then `A2` and so on.
fn letter(number: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(number % 26).unwrap_or_default());
    if number < 26 { letter.to_string() } else { format!("{letter}{}", number / 26 + 1) }
}

/// The first digits of a key: what has room beside its letter.
fn short(key: &str) -> String {
    key.strip_prefix("md5:").unwrap_or(key).chars().take(8).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    pub(crate) fn bar(key: u8, kind: Kind, first: i64, last: i64) -> Bar {
        let key = format!("{key:02x}").repeat(32);
        Bar { key, kind, first: Timestamp::from_unix_secs(first * DAY), last: Timestamp::from_unix_secs(last * DAY) }
    }

    /// A year at three vantage points: a renewal, a gap, a key that only one sees.
    pub(crate) fn year() -> Timeline {
        let (proved, sighting) = (Kind::Proved, Kind::Sighting);
        let old = Bar { key: format!("md5:{}", "0c".repeat(16)), ..bar(0, Kind::Old, 19_900, 19_990) };
        let track = |who: &str, bars: Vec<Bar>| Track { who: who.into(), bars };
        Timeline {
            service: "tls://shop.example:443".parse().unwrap(),
            tracks: vec![
                track("this node", vec![old, bar(1, proved, 20_000, 20_180), bar(2, proved, 20_170, 20_365)]),
                track(
                    "192.0.2.7:8443",
                    vec![
                        bar(1, proved, 20_010, 20_060),
                        bar(1, proved, 20_110, 20_175),
                        bar(2, proved, 20_176, 20_365),
                    ],
                ),
                track(
                    "<198.51.100.9:8443> & \"more\"",
                    vec![
                        bar(1, proved, 20_000, 20_175),
                        bar(2, proved, 20_176, 20_364),
                        bar(3, sighting, 20_240, 20_241),
                    ],
                ),
            ],
            now: Timestamp::from_unix_secs(20_365 * DAY),
        }
    }

    #[test]
    fn keys_have_one_name_everywhere() {
        let year = year();
        assert_eq!(
            year.keys().iter().map(|key| short(key)).collect::<Vec<_>>(),
            ["0c0c0c0c", "01010101", "02020202", "03030303"]
        );
        assert_eq!(["A", "Z", "A2", "B3"], [0, 25, 26, 53].map(letter).each_ref().map(String::as_str));
        assert_eq!(year.range(), (19_900 * DAY * 1000, 20_365 * DAY * 1000));
        let empty = Timeline { tracks: vec![], ..year };
        assert_eq!(empty.range().1 - empty.range().0, 60_000);
    }
}
