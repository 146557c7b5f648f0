//! A history as the older system Perspectives keeps it: one certificate at a time.

use std::collections::BTreeSet;

use crate::history::{CONTINUITY, History, Timespan};
use crate::id::Md5Fingerprint;
use crate::time::Timestamp;

/// One row of a Perspectives history: from the first to the last second at which this certificate counted as the one
/// the service showed. Both ends are in seconds since 1970 and belong to the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegacyRow {
    /// MD5 of the certificate.
    pub leaf_md5: Md5Fingerprint,
    /// First second.
    pub start: i64,
    /// Last second, not before `start`.
    pub end: i64,
}

impl History {
    /// The rows that Perspectives would hold (`docs/protocols/perspectives.md`), in order of time.
    ///
    /// Where certificates alternate, spans overlap and the rule makes a row for each change. Exact while no change has
    /// been dropped ([`crate::MAX_TURNS`]); before that, the certificate whose span began last stands for the time in
    /// which spans overlap, and after its end the one that lasts longest. Never a row that begins outside of a span of
    /// its certificate, nor one that ends more than [`CONTINUITY`] after it. At most two rows for each span and turn.
    ///
    /// Left out are sightings, which nobody proved and old clients would count, and spans without an MD5.
    pub fn legacy_rows(&self) -> Vec<LegacyRow> {
        let spans: Vec<&Timespan> = told(self).collect();
        let changes = changes(self, &spans);
        let mut drawn = Drawn { rows: Vec::with_capacity(changes.len()), newest: None };
        for (index, (at, shown)) in changes.iter().enumerate() {
            let next = changes.get(index + 1).map(|(at, _)| *at);
            drawn.show(shown, at.unix_secs(), next);
            let end = shown.last_seen;
            let unexplained = next.is_none_or(|next| next.since(end) > CONTINUITY);
            if let Some(resumed) = lasting(&spans, end).filter(|_| unexplained) {
                drawn.show(resumed, end.unix_secs() + 1, next);
            }
        }
        drawn.rows
    }

    /// The rows of a service that shows several keys at every look (SSH: one host key of each kind): each span as it is.
    pub fn legacy_rows_side_by_side(&self) -> Vec<LegacyRow> {
        let row = |span: &Timespan| {
            let (start, end) = (span.first_seen.unix_secs(), span.last_seen.unix_secs());
            span.leaf_md5.map(|leaf_md5| LegacyRow { leaf_md5, start, end })
        };
        told(self).filter_map(row).collect()
    }
}

/// The spans that old clients may count.
fn told(history: &History) -> impl Iterator<Item = &Timespan> {
    history.spans.iter().filter(|span| span.proved && span.leaf_md5.is_some())
}

/// The moments at which another certificate came, or the same after a gap: the beginnings of spans and the turns in them.
fn changes<'a>(history: &History, spans: &[&'a Timespan]) -> Vec<(Timestamp, &'a Timespan)> {
    let begins = spans.iter().enumerate().map(|(index, span)| (span.first_seen, index));
    let turns = history.turns.iter().filter_map(|turn| {
        let holds =
            |span: &&Timespan| span.leaf == turn.leaf && span.first_seen <= turn.at && turn.at <= span.last_seen;
        spans.iter().position(holds).map(|index| (turn.at, index))
    });
    let ordered: BTreeSet<(Timestamp, usize)> = begins.chain(turns).collect();
    ordered.into_iter().filter_map(|(at, index)| spans.get(index).map(|span| (at, *span))).collect()
}

/// The span that goes on longest past this moment: a turn to it was dropped, or it was imported without.
fn lasting<'a>(spans: &[&'a Timespan], moment: Timestamp) -> Option<&'a Timespan> {
    let goes_on = |span: &&&Timespan| span.first_seen <= moment && moment < span.last_seen;
    spans.iter().filter(goes_on).max_by_key(|span| (span.last_seen, span.leaf)).copied()
}

struct Drawn<'a> {
    rows: Vec<LegacyRow>,
    newest: Option<&'a Timespan>,
}

impl<'a> Drawn<'a> {
    /// A certificate is shown from `start` until its span ends or the next change comes; up to that it is stretched when
    /// no more than [`CONTINUITY`] lies between.
    fn show(&mut self, span: &'a Timespan, start: i64, next: Option<Timestamp>) {
        let seen_until = span.last_seen.unix_secs();
        let end = match next {
            Some(next) if span.last_seen >= next => next.unix_secs() - 1,
            Some(next) if next.since(span.last_seen) <= CONTINUITY => seen_until.max(next.unix_secs() - 1),
            _ => seen_until,
        };
        let same = self.newest.replace(span).is_some_and(|newest| std::ptr::eq(newest, span));
        match (self.rows.last_mut().filter(|_| same), span.leaf_md5) {
            (Some(row), _) => row.end = row.end.max(end),
            (None, Some(leaf_md5)) if start <= seen_until => {
                self.rows.push(LegacyRow { leaf_md5, start, end: end.max(start) });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dns::DnsAnswers;
    use crate::history::{MAX_SPANS, MAX_TURNS};
    use crate::id::Fingerprint;
    use crate::observation::{CaId, Look, Met, Observation, PublicCa};

    const LIMIT: i64 = 172_800;

    fn md5(leaf: u8) -> Md5Fingerprint {
        Md5Fingerprint::from_bytes([leaf; 16])
    }

    fn look(leaf: u8, at: i64) -> Look {
        let print = Fingerprint::from_bytes([leaf; 32]);
        let at = Timestamp::from_unix_secs(at);
        let met = Met {
            protocol: "TLSv1.3".into(),
            proved: true,
            leaf: print,
            leaf_md5: Some(md5(leaf)),
            key: print,
            issuer_key: None,
            chain: vec![print],
            path: vec![print],
            names: vec![],
            not_before: at,
            not_after: at,
            ca_id: CaId::Key(print),
            host_keys: Vec::new(),
            scts: None,
            public_ca: PublicCa::UnknownIssuer,
        };
        Look { dns: DnsAnswers::default(), now: Observation::seen(at, None, met) }
    }

    fn history(looks: &[(u8, i64)]) -> History {
        let mut history = History::default();
        looks.iter().for_each(|(leaf, at)| history.absorb(&look(*leaf, *at)));
        history
    }

    fn rows(history: &History) -> Vec<(u8, i64, i64)> {
        history.legacy_rows().into_iter().map(|row| (row.leaf_md5.as_bytes()[0], row.start, row.end)).collect()
    }

    /// The rule as it is written, one look after the other.
    fn by_the_rule(looks: &[(u8, i64)]) -> Vec<(u8, i64, i64)> {
        let mut rows: Vec<(u8, i64, i64)> = Vec::new();
        for (leaf, now) in looks.iter().copied() {
            match rows.last_mut() {
                Some((known, _, end)) if *known == leaf && now - *end <= LIMIT => {
                    *end = now;
                    continue;
                }
                Some((known, _, end)) if *known != leaf && now - *end <= LIMIT => *end = (now - 1).max(*end),
                _ => {}
            }
            rows.push((leaf, now, now));
        }
        rows
    }

    #[test]
    fn the_published_examples() {
        let (a, b) = (0xA, 0xB);
        let looks = [(a, 0), (a, 172_800), (b, 176_400), (a, 180_000), (a, 352_801), (b, 525_602)];
        let all = [(a, 0, 176_399), (b, 176_400, 179_999), (a, 180_000, 180_000), (a, 352_801, 352_801)];
        let after = |count: usize| rows(&history(&looks[..count]));
        assert_eq!(after(1), [(a, 0, 0)]);
        assert_eq!(after(2), [(a, 0, 172_800)]);
        assert_eq!(after(3), [(a, 0, 176_399), (b, 176_400, 176_400)]);
        assert_eq!(after(4), all[..3]);
        assert_eq!(after(5), all);
        assert_eq!(after(6), [all.as_slice(), &[(b, 525_602, 525_602)]].concat());
        for count in 0..=looks.len() {
            assert_eq!(after(count), by_the_rule(&looks[..count]));
        }
    }

    #[test]
    fn a_year_of_hourly_flips_keeps_a_bounded_number_of_rows() {
        let hours = 365 * 24;
        let looks: Vec<(u8, i64)> = (0..hours).map(|hour| (u8::try_from(hour % 2).unwrap(), hour * 3600)).collect();
        let known = history(&looks);
        assert_eq!((known.spans.len(), known.turns.len()), (2, MAX_TURNS));
        let (drawn, exact) = (rows(&known), by_the_rule(&looks));
        assert_eq!((drawn.len(), exact.len()), (MAX_TURNS + 2, 8760));
        // The newest rows are those of the rule, and the two that stand for the rest of the year leave no gap.
        assert_eq!(drawn[2..], exact[exact.len() - MAX_TURNS..]);
        assert_eq!(drawn[..2], [(0, 0, 3599), (1, 3600, drawn[2].1 - 1)]);
    }

    #[test]
    fn what_was_shown_once_long_ago_does_not_end_what_lasts() {
        let mut known = history(&[(1, 0), (2, 3600), (1, 7200)]);
        (1..400).for_each(|day| known.absorb(&look(1, day * 86_400)));
        assert_eq!(rows(&known), [(1, 0, 3599), (2, 3600, 7199), (1, 7200, 399 * 86_400)]);
        // The same from spans alone, as an import has them.
        known.turns.clear();
        assert_eq!(rows(&known), [(1, 0, 3599), (2, 3600, 3600), (1, 3601, 399 * 86_400)]);
    }

    #[test]
    fn sightings_and_spans_without_md5_are_left_out() {
        let mut known = history(&[(1, 0), (2, 10), (3, 20)]);
        known.spans[1].proved = false;
        known.spans[2].leaf_md5 = None;
        assert_eq!(rows(&known), [(1, 0, 0)]);
        let mut sighted = look(2, 30);
        sighted.now.met.as_mut().unwrap().proved = false;
        let mut known = history(&[(1, 0)]);
        known.absorb(&sighted);
        known.absorb(&look(1, 60));
        assert_eq!((rows(&known), known.turns.len()), (vec![(1, 0, 60)], 0));
    }

    #[test]
    fn side_by_side_each_span_is_a_row() {
        let mut known = history(&[(1, 0), (2, 0), (3, 0), (1, 3600), (2, 3600), (1, 400_000)]);
        known.spans.iter_mut().for_each(|span| span.proved = span.leaf_md5 != Some(md5(3)));
        let rows = known.legacy_rows_side_by_side();
        let ends: Vec<_> = rows.iter().map(|row| (row.leaf_md5.as_bytes()[0], row.start, row.end)).collect();
        assert_eq!(ends, [(1, 0, 3600), (2, 0, 3600), (1, 400_000, 400_000)]);
    }

    #[test]
    fn a_second_look_within_the_second_turns_no_row_round() {
        let mut first = look(1, 100);
        first.now.at = Timestamp::from_unix_ms(100_100);
        let mut second = look(2, 100);
        second.now.at = Timestamp::from_unix_ms(100_900);
        let mut known = History::default();
        known.absorb(&first);
        known.absorb(&second);
        assert_eq!(rows(&known), [(1, 100, 100), (2, 100, 100)]);
    }

    fn any_looks(leaves: u8, most: usize) -> impl Strategy<Value = Vec<(u8, i64)>> {
        let gap = prop_oneof![1..90_000i64, Just(LIMIT - 1), Just(LIMIT), Just(LIMIT + 1), LIMIT..3 * LIMIT];
        prop::collection::vec((0..leaves, gap), 0..most).prop_map(|steps| {
            let mut now = 1_000_000_000;
            let step = |(leaf, gap)| {
                now += gap;
                (leaf, now)
            };
            steps.into_iter().map(step).collect()
        })
    }

    proptest! {
        #[test]
        fn exact_while_no_turn_is_dropped(looks in any_looks(3, MAX_TURNS)) {
            prop_assert_eq!(rows(&history(&looks)), by_the_rule(&looks));
        }

        #[test]
        fn the_newest_rows_are_exact_however_long_it_went_on(looks in any_looks(3, 60)) {
            let known = history(&looks);
            let Some(since) = known.turns.first().map(|turn| turn.at.unix_secs()) else { return Ok(()) };
            let newer = |rows: Vec<(u8, i64, i64)>| rows.into_iter().filter(|row| row.1 >= since).collect::<Vec<_>>();
            prop_assert_eq!(newer(rows(&known)), newer(by_the_rule(&looks)));
        }

        #[test]
        fn honest_and_bounded(looks in any_looks(4, 300), forget in any::<bool>()) {
            let mut known = history(&looks);
            if forget {
                known.turns.clear();
            }
            let rows = known.legacy_rows();
            prop_assert!(rows.len() <= 2 * (MAX_SPANS + MAX_TURNS));
            prop_assert!(rows.windows(2).all(|pair| pair[0].end < pair[1].start));
            for row in rows {
                prop_assert!(row.start <= row.end);
                let stands = |span: &Timespan| {
                    let (first, last) = (span.first_seen.unix_secs(), span.last_seen.unix_secs());
                    first <= row.start && row.start <= last && row.end <= last + LIMIT
                };
                prop_assert!(known.spans.iter().any(|span| span.leaf_md5 == Some(row.leaf_md5) && stands(span)));
            }
        }
    }
}
