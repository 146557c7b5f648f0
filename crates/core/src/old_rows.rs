//! Rows that an old notary remembered before this node did, told together with the node's own.
//!
//! They know a certificate by its MD5 alone, so they join nothing but [`LegacyRow`]s: no history, no view, no verdict.

use std::collections::BTreeSet;

use crate::history::CONTINUITY;
use crate::rows::LegacyRow;

/// The node's own rows ([`crate::History::legacy_rows`]) with those of old notaries in the time of which the node itself
/// knows nothing, ordered by time (`docs/protocols/perspectives.md`, *Rows*).
///
/// What the node saw is never contradicted: an old row is cut where the node has one. Where old rows overlap each other
/// the one that began last stands. Where old and own meet with no gap longer than [`CONTINUITY`] they are joined as the
/// rule of Perspectives would: one row for the same certificate, the earlier one stretched for another. No two rows
/// overlap; there are fewer than three times as many as went in.
pub fn with_old_rows(own: Vec<LegacyRow>, old: &[LegacyRow]) -> Vec<LegacyRow> {
    if old.is_empty() {
        return own;
    }
    let mut all: Vec<(LegacyRow, Whose)> = gaps_filled(&own, old).into_iter().map(|row| (row, Whose::Old)).collect();
    all.extend(own.into_iter().map(|row| (row, Whose::Own)));
    all.sort_by_key(|(row, _)| row.start);
    // What is one thing is joined already, by the node or by whoever wrote the old rows.
    all.dedup_by(|(next, next_is), (row, row_is)| {
        next_is != row_is && joins(row, next) && {
            *row_is = *next_is;
            true
        }
    });
    all.into_iter().map(|(row, _)| row).collect()
}

/// The same for a service that shows several keys at every look (SSH): rows of different keys may overlap, those of one
/// key are one where no gap longer than [`CONTINUITY`] lies between.
pub fn with_old_rows_side_by_side(own: Vec<LegacyRow>, old: &[LegacyRow]) -> Vec<LegacyRow> {
    if old.is_empty() {
        return own;
    }
    let mut rows = [own.as_slice(), old].concat();
    rows.sort();
    rows.dedup_by(|next, row| {
        next.leaf_md5 == row.leaf_md5 && is_near(row, next) && {
            row.end = row.end.max(next.end);
            true
        }
    });
    rows
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Own,
    Old,
}

/// Old rows, cut so that they overlap neither the node's own nor each other.
fn gaps_filled(own: &[LegacyRow], old: &[LegacyRow]) -> Vec<LegacyRow> {
    let edges: BTreeSet<i64> = own.iter().chain(old).flat_map(|row| [row.start, row.end + 1]).collect();
    let ends = edges.iter().skip(1).map(|edge| edge - 1);
    let mut filled: Vec<LegacyRow> = Vec::new();
    for (start, end) in edges.iter().copied().zip(ends) {
        let covers = |row: &&LegacyRow| row.start <= start && start <= row.end;
        let shown = old.iter().filter(covers).max_by_key(|row| (row.start, row.end, row.leaf_md5));
        let Some(shown) = shown.filter(|_| !own.iter().any(|row| covers(&row))) else { continue };
        match filled.last_mut() {
            Some(row) if row.leaf_md5 == shown.leaf_md5 && row.end + 1 == start => row.end = end,
            _ => filled.push(LegacyRow { leaf_md5: shown.leaf_md5, start, end }),
        }
    }
    filled
}

/// Rules 1 and 3 of Perspectives at a look that begins `next`; whether it went into `row`.
fn joins(row: &mut LegacyRow, next: &LegacyRow) -> bool {
    if !is_near(row, next) {
        return false;
    }
    let same = row.leaf_md5 == next.leaf_md5;
    row.end = if same { next.end } else { next.start - 1 };
    same
}

fn is_near(row: &LegacyRow, next: &LegacyRow) -> bool {
    next.start - row.end <= CONTINUITY.as_secs().cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::Md5Fingerprint;

    const LIMIT: i64 = 172_800;

    fn row((leaf, start, end): (u8, i64, i64)) -> LegacyRow {
        LegacyRow { leaf_md5: Md5Fingerprint::from_bytes([leaf; 16]), start, end }
    }

    fn rows(of: &[(u8, i64, i64)]) -> Vec<LegacyRow> {
        of.iter().copied().map(row).collect()
    }

    fn told(own: &[(u8, i64, i64)], old: &[(u8, i64, i64)]) -> Vec<(u8, i64, i64)> {
        let rows = with_old_rows(rows(own), &rows(old));
        rows.iter().map(|row| (row.leaf_md5.as_bytes()[0], row.start, row.end)).collect()
    }

    #[test]
    fn the_years_before_are_told() {
        let far = 10 * LIMIT;
        assert_eq!(told(&[(1, far, far + 9)], &[(1, 0, 5), (2, 6, 8)]), [(1, 0, 5), (2, 6, 8), (1, far, far + 9)]);
        assert_eq!(told(&[], &[(2, 6, 8), (1, 0, 5)]), [(1, 0, 5), (2, 6, 8)]);
        assert_eq!(told(&[(1, 3, 4)], &[]), [(1, 3, 4)]);
    }

    #[test]
    fn at_the_seam_the_rule_holds() {
        assert_eq!(told(&[(1, LIMIT + 5, LIMIT + 9)], &[(1, 0, 5)]), [(1, 0, LIMIT + 9)], "seen again within 48 hours");
        let gap = LIMIT + 6;
        assert_eq!(told(&[(1, gap, gap)], &[(1, 0, 5)]), [(1, 0, 5), (1, gap, gap)], "a gap is never filled in");
        assert_eq!(told(&[(2, 100, 200)], &[(1, 0, 5)]), [(1, 0, 99), (2, 100, 200)], "another comes");
        assert_eq!(told(&[(1, 0, 5)], &[(2, 100, 200)]), [(1, 0, 99), (2, 100, 200)], "also from own to old");
        assert_eq!(told(&[(1, 10, 20), (2, 21, 30)], &[(1, 0, 5)]), [(1, 0, 20), (2, 21, 30)]);
    }

    #[test]
    fn what_the_node_saw_is_not_contradicted() {
        assert_eq!(told(&[(1, 10, 20)], &[(2, 0, 100)]), [(2, 0, 9), (1, 10, 20), (2, 21, 100)]);
        assert_eq!(told(&[(1, 10, 20)], &[(2, 12, 18), (3, 10, 20)]), [(1, 10, 20)]);
        assert_eq!(told(&[(1, 10, 20)], &[(1, 5, 25)]), [(1, 5, 25)]);
    }

    #[test]
    fn of_old_rows_that_overlap_the_one_that_began_last_stands() {
        assert_eq!(told(&[], &[(1, 0, 100), (2, 50, 60)]), [(1, 0, 49), (2, 50, 60), (1, 61, 100)]);
        assert_eq!(told(&[], &[(1, 0, 100), (1, 0, 100)]), [(1, 0, 100)]);
        assert_eq!(told(&[], &[(2, 0, 9), (1, 0, 9)]), [(2, 0, 9)], "one certificate at a time");
    }

    #[test]
    fn side_by_side_each_key_has_its_own_time() {
        let told = |own: &[_], old: &[_]| {
            let rows = with_old_rows_side_by_side(rows(own), &rows(old));
            rows.iter().map(|row| (row.leaf_md5.as_bytes()[0], row.start, row.end)).collect::<Vec<_>>()
        };
        let own = [(1, 100, 200), (2, 100, 200)];
        assert_eq!(told(&own, &[(2, 0, 150), (3, 0, 300)]), [(1, 100, 200), (2, 0, 200), (3, 0, 300)]);
        assert_eq!(told(&own, &[(2, -LIMIT, 99 - LIMIT)]), [(1, 100, 200), (2, -LIMIT, 99 - LIMIT), (2, 100, 200)]);
        assert_eq!(told(&own, &[]), own);
    }

    /// The node's rows: in order, and not overlapping.
    fn any_own() -> impl Strategy<Value = Vec<(u8, i64, i64)>> {
        prop::collection::vec((0..4u8, 1..2 * LIMIT, 0..2 * LIMIT), 0..40).prop_map(|steps| {
            let mut now = 0;
            let step = |(leaf, gap, held): (u8, i64, i64)| {
                let start = now + gap;
                now = start + held;
                (leaf, start, now)
            };
            steps.into_iter().map(step).collect()
        })
    }

    fn any_old() -> impl Strategy<Value = Vec<(u8, i64, i64)>> {
        let row = (0..6u8, -LIMIT..60 * LIMIT, 0..20 * LIMIT);
        prop::collection::vec(row.prop_map(|(leaf, start, held)| (leaf, start, start + held)), 0..64)
    }

    proptest! {
        #[test]
        fn one_certificate_at_a_time_and_nothing_made_up(own in any_own(), old in any_old()) {
            let (own, old) = (rows(&own), rows(&old));
            let told = with_old_rows(own.clone(), &old);
            prop_assert!(told.windows(2).all(|pair| pair[0].end < pair[1].start));
            prop_assert!(told.len() <= 3 * (own.len() + old.len()));
            prop_assert_eq!(&with_old_rows(own.clone(), &old), &told);
            for row in &told {
                prop_assert!(row.start <= row.end);
                let stands = |known: &LegacyRow| known.leaf_md5 == row.leaf_md5
                    && known.start <= row.start && row.start <= known.end;
                prop_assert!(own.iter().chain(&old).any(stands), "{row:?} begins where nobody saw it");
            }
            // Every second of the node's own is told as the node knows it.
            for known in &own {
                let holds = |row: &LegacyRow| row.leaf_md5 == known.leaf_md5
                    && row.start <= known.start && known.end <= row.end;
                prop_assert!(told.iter().any(holds), "{known:?}");
            }
            // And every old second that the node knows nothing of is told as some old notary knew it.
            for known in &old {
                for second in [known.start, known.end] {
                    let at = |row: &&LegacyRow| row.start <= second && second <= row.end;
                    prop_assert!(told.iter().any(|row| at(&row)), "{second}");
                }
            }
        }
    }
}
