//! The list that a client lives by: what more than half of those it asked know, changed little by little.

use std::collections::{BTreeMap, BTreeSet};

use parallax_core::{Network, Timestamp, VantageId};
use rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::random::shuffle;

/// Mirrors whose lists are asked for.
pub const LISTS_ASKED: usize = 25;

/// Long-known mirrors that stay whatever lists say.
pub const MOST_ANCHORS: usize = 8;

/// Known for so many days, a mirror may become an anchor.
const ANCHOR_AGE: i64 = 7;

/// An anchor that no list agrees on any more goes after so many days.
const ANCHOR_GRACE: i64 = 7;

/// Shorter lists are filled at once.
const SHORT: usize = 9;

/// One mirror's list, as far as it counts: those it holds as active.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The network of the mirror whose list it is.
    pub from: Network,
    /// The active ones.
    pub mirrors: Vec<VantageId>,
}

/// Whom more than half know, and how many do. Each network (IPv4 /16, IPv6 /32) counts once, however many lists come from
/// it.
pub fn consensus(lists: &[Heard]) -> BTreeMap<VantageId, u32> {
    let networks: BTreeSet<Network> = lists.iter().map(|list| list.from).collect();
    let mut support: BTreeMap<VantageId, BTreeSet<Network>> = BTreeMap::new();
    for list in lists {
        for mirror in &list.mirrors {
            support.entry(*mirror).or_default().insert(list.from);
        }
    }
    let counted = support.into_iter().map(|(mirror, networks)| (mirror, networks.len()));
    let kept = counted.filter(|(_, support)| support * 2 > networks.len());
    kept.map(|(mirror, support)| (mirror, u32::try_from(support).unwrap_or(u32::MAX))).collect()
}

/// One entry of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Who.
    pub vantage: VantageId,
    /// How many networks' lists knew it at the newest refresh.
    pub support: u32,
    /// On which day it came, counted from 1970.
    pub since: i64,
    /// On which day it was last agreed on.
    pub agreed: i64,
    /// Known for long, and kept across refreshes.
    pub anchor: bool,
}

/// A client's list of mirrors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterList {
    kept: Vec<Kept>,
    day: i64,
    /// How many more may come (`None`: the list was short that morning, and is filled), and how many may go, on that day.
    may_come: Option<usize>,
    may_go: usize,
}

impl MasterList {
    /// The entries, in the order of their ids.
    pub fn entries(&self) -> &[Kept] {
        &self.kept
    }

    /// Takes what lists agree on. At most a third a day is replaced: what came in one day is never more than a third of
    /// the list, and no more than a third of it goes. The best supported come first, the least supported go first.
    pub fn refresh(&mut self, agreed: &BTreeMap<VantageId, u32>, now: Timestamp, rng: &mut dyn Rng) {
        if agreed.is_empty() {
            return;
        }
        let day = now.unix_secs().div_euclid(86_400);
        if day != self.day || self.kept.is_empty() {
            self.day = day;
            self.may_go = self.kept.len() / 3;
            // So that the newcomers are at most a third of what there is with them.
            self.may_come = (self.kept.len() >= SHORT).then_some(self.kept.len() / 2);
        }
        for entry in &mut self.kept {
            entry.support = agreed.get(&entry.vantage).copied().unwrap_or(0);
            entry.agreed = if entry.support > 0 { day } else { entry.agreed };
        }
        self.let_go(day);
        self.let_in(agreed, day);
        self.kept.sort_unstable_by_key(|entry| entry.vantage);
        self.choose_anchors(day, rng);
    }

    /// One that does not answer is not waited for.
    pub fn drop_dead(&mut self, vantage: VantageId) {
        self.kept.retain(|entry| entry.vantage != vantage);
    }

    fn let_go(&mut self, day: i64) {
        let lapsed = |entry: &Kept| entry.support == 0 && !(entry.anchor && day - entry.agreed < ANCHOR_GRACE);
        let mut going: Vec<(i64, VantageId)> =
            self.kept.iter().filter(|entry| lapsed(entry)).map(|entry| (entry.agreed, entry.vantage)).collect();
        going.sort_unstable();
        going.truncate(self.may_go);
        self.may_go -= going.len();
        let going: BTreeSet<VantageId> = going.into_iter().map(|(_, vantage)| vantage).collect();
        self.kept.retain(|entry| !going.contains(&entry.vantage));
    }

    fn let_in(&mut self, agreed: &BTreeMap<VantageId, u32>, day: i64) {
        let known: BTreeSet<VantageId> = self.kept.iter().map(|entry| entry.vantage).collect();
        let mut coming: Vec<(std::cmp::Reverse<u32>, VantageId)> = agreed
            .iter()
            .filter(|(vantage, _)| !known.contains(vantage))
            .map(|(vantage, support)| (std::cmp::Reverse(*support), *vantage))
            .collect();
        coming.sort_unstable();
        if let Some(may_come) = &mut self.may_come {
            let lasting = self.kept.iter().filter(|entry| entry.since < day).count();
            let here = self.kept.len() - lasting;
            coming.truncate((*may_come).min((lasting / 2).saturating_sub(here)));
            *may_come -= coming.len();
        }
        let entry = |(support, vantage): (std::cmp::Reverse<u32>, VantageId)| Kept {
            vantage,
            support: support.0,
            since: day,
            agreed: day,
            anchor: false,
        };
        self.kept.extend(coming.into_iter().map(entry));
    }

    /// Anchors stay; the places that are free fall to any of those known for long. By chance: whatever told them apart for
    /// all clients alike, such as a low id, would be what an attacker makes his mirrors have.
    fn choose_anchors(&mut self, day: i64, rng: &mut dyn Rng) {
        let is_old = |entry: &&mut Kept| !entry.anchor && day - entry.since >= ANCHOR_AGE && entry.support > 0;
        let free = MOST_ANCHORS.saturating_sub(self.kept.iter().filter(|entry| entry.anchor).count());
        let mut old: Vec<&mut Kept> = self.kept.iter_mut().filter(is_old).collect();
        shuffle(rng, &mut old);
        old.into_iter().take(free).for_each(|entry| entry.anchor = true);
    }
}
