//! When some of the asked are most of them: the one rule by which answers of DNS, and of where mail goes, are corroborated.

use std::collections::BTreeSet;

/// More than half of the asked (not of the answered), at least two, and of two regions where the asked name two. Each of
/// the asked, and of those, stands there with the region that it claims.
pub(crate) fn are_most<'a>(
    those: impl IntoIterator<Item = Option<&'a str>>,
    asked: impl IntoIterator<Item = Option<&'a str>>,
) -> bool {
    let ((many, regions), (all, all_regions)) = (tally(those), tally(asked));
    many * 2 > all && many >= 2 && (all_regions < 2 || regions >= 2)
}

/// How many there are, and how many regions they name.
fn tally<'a>(some: impl IntoIterator<Item = Option<&'a str>>) -> (usize, usize) {
    let (mut many, mut regions) = (0, BTreeSet::new());
    for region in some {
        many += 1;
        regions.extend(region);
    }
    (many, regions.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_at_least_two_and_two_regions_where_two_are_named() {
        let (eu, us) = (Some("eu"), Some("us"));
        for (those, asked, wanted) in [
            (vec![], vec![], false),
            (vec![eu], vec![eu], false),
            (vec![eu, eu], vec![eu, eu], true),
            (vec![eu, eu], vec![eu, eu, us], false),
            (vec![eu, us], vec![eu, us, us], true),
            (vec![eu, us], vec![eu, us, us, us], false),
            (vec![None, None], vec![None, None, eu], true),
            (vec![eu, None], vec![eu, None, us], false),
        ] {
            assert_eq!(are_most(those.clone(), asked.clone()), wanted, "{those:?} of {asked:?}");
        }
    }
}
