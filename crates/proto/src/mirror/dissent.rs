//! Agreement and dissent: how a quizzed view stands against one's own look, and what two signed views prove.

use parallax_core::{Fingerprint, Look, Met, Timestamp};

use super::event::OwnLook;
use crate::signed::Verified;
use crate::view::{View, contradiction};

/// How a dissent is classed (`docs/protocols/mirrors.md`). Only the last two lower a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dissent {
    /// An honest site with several keys.
    Explained,
    /// A change on its way: one of the two sees the old, the other the new.
    Propagation,
    /// Neither.
    Unexplained,
    /// Two signed views that can't both be true.
    Equivocation,
}

/// What is compared besides the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Other {
    Key,
    Record,
}

/// How an answer stands against my look at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// The same key, and the same record where both have one.
    Agrees,
    /// A dissent that needs no later look.
    Classed(Dissent),
    /// A dissent that a later look of mine will class.
    Open(Other),
    /// It met nothing where I met a key.
    MetNothing,
    /// It tells nothing: a view of a dictated address.
    Aside,
}

/// Whether the look went to an address that its own DNS did not name: it answers one question only, and may never count.
pub(super) fn is_dictated(look: &Look) -> bool {
    let Some(address) = look.now.address else { return false };
    let known = [
        look.dns.a.as_ref().map(|known| known.iter().any(|a| address.ip().to_canonical() == *a)),
        look.dns.aaaa.as_ref().map(|known| known.iter().any(|aaaa| address.ip() == *aaaa)),
    ];
    // Where a service is an address, or both lookups failed, nothing was dictated.
    known.iter().any(Option::is_some)
        && !known.contains(&Some(true))
        && (look.dns.a.as_ref().is_some_and(|a| !a.is_empty()) || look.dns.aaaa.as_ref().is_some_and(|a| !a.is_empty()))
}

/// Compares; `mine` met a proved key. `others` are the looks of the same moment that other mirrors tell of.
pub(super) fn compare(mine: &OwnLook, my_met: &Met, theirs: &Look) -> Comparison {
    if is_dictated(theirs) {
        return Comparison::Aside;
    }
    let Some(met) = theirs.now.proved() else { return Comparison::MetNothing };
    if met.key != my_met.key {
        return match explains(mine, my_met, met) {
            Some(class) => Comparison::Classed(class),
            None => Comparison::Open(Other::Key),
        };
    }
    match (mine.look.dns.record(), theirs.dns.record()) {
        (Some(mine), Some(theirs)) if mine != theirs => Comparison::Open(Other::Record),
        _ => Comparison::Agrees,
    }
}

fn explains(mine: &OwnLook, my_met: &Met, met: &Met) -> Option<Dissent> {
    if met.ca_id == my_met.ca_id {
        return Some(Dissent::Explained);
    }
    let record = mine.look.dns.record();
    let names = |record: &parallax_core::Record| {
        record.leaf.contains(&met.key) || met.path.iter().any(|key| record.ca.contains(key))
    };
    if record.as_ref().is_some_and(names) {
        return Some(Dissent::Explained);
    }
    mine.remembered.contains(&met.key).then_some(Dissent::Propagation)
}

/// What a later look of mine says of an open dissent: `Ok` when it proves the dissenter right.
pub(super) fn judge(other: Other, before: &OwnLook, later: &OwnLook, theirs: &Look) -> Option<Result<(), Dissent>> {
    let my_key = |look: &OwnLook| look.look.now.proved().map(|met| met.key);
    let (old, new) = (my_key(before), my_key(later)?);
    match other {
        Other::Key => {
            let theirs: Fingerprint = theirs.now.proved()?.key;
            if new == theirs {
                Some(Ok(()))
            } else if later.remembered.contains(&theirs) || old != Some(new) {
                Some(Err(Dissent::Propagation))
            } else {
                Some(Err(Dissent::Unexplained))
            }
        }
        Other::Record => {
            let (old, new, theirs) = (before.look.dns.record(), later.look.dns.record()?, theirs.dns.record()?);
            if new == theirs {
                Some(Ok(()))
            } else if old.as_ref() != Some(&new) {
                Some(Err(Dissent::Propagation))
            } else {
                Some(Err(Dissent::Unexplained))
            }
        }
    }
}

/// Whether two views of one mirror can't both be true: another key at one moment and address, a span of its history that
/// shrank or vanished, or a look that its later history does not know. Views of dictated addresses prove nothing, nor does
/// what is missing because the mirror's operator had it forgotten ([`View::kept_since`]).
pub fn is_equivocation(one: &Verified<View>, other: &Verified<View>) -> bool {
    let Some((one, other)) = comparable(one, other) else { return false };
    contradiction(one, other).is_some() || memory(one.content(), other.content()) == Memory::Lost
}

/// The mark by which the later of two views explains that it does not know the look of the earlier one; `None` when it
/// needs no explanation, or that is none.
pub fn forgets(one: &Verified<View>, other: &Verified<View>) -> Option<Timestamp> {
    let (one, other) = comparable(one, other)?;
    match memory(one.content(), other.content()) {
        Memory::Forgotten(since) if contradiction(one, other).is_none() => Some(since),
        _ => None,
    }
}

/// The earlier first; `None` when one of them is of a dictated address.
fn comparable<'a>(
    one: &'a Verified<View>,
    other: &'a Verified<View>,
) -> Option<(&'a Verified<View>, &'a Verified<View>)> {
    let (one, other) = if one.content().issued_at <= other.content().issued_at { (one, other) } else { (other, one) };
    let look = |view: &Verified<View>| Look { dns: view.content().dns.clone(), now: view.content().now.clone() };
    (!is_dictated(&look(one)) && !is_dictated(&look(other))).then_some((one, other))
}

/// What a later view knows of the look that an earlier one told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    Kept,
    Forgotten(Timestamp),
    Lost,
}

/// A node signs what it has committed, so what it signed as its newest look stands in every history that it signs after.
fn memory(earlier: &View, later: &View) -> Memory {
    let Some(met) = earlier.now.proved() else { return Memory::Kept };
    if earlier.vantage != later.vantage || earlier.service != later.service {
        return Memory::Kept;
    }
    let side_by_side = later.issued_at.since(earlier.issued_at) <= std::time::Duration::from_secs(2);
    let full = later.history.len() >= parallax_core::MAX_SPANS;
    let covered = later
        .history
        .iter()
        .any(|span| span.leaf == met.leaf && span.first_seen <= earlier.now.at && span.last_seen >= earlier.now.at);
    if side_by_side || full || covered {
        return Memory::Kept;
    }
    later.forgotten_until().filter(|since| earlier.now.at <= *since).map_or(Memory::Lost, Memory::Forgotten)
}
