//! The map of what others see, as the interactive shell shows it: each key, how many see it, from where, through whom.

use std::collections::{BTreeMap, BTreeSet};

use parallax_core::{Agreement, Observation, Timestamp};

use super::escape::escape;
use super::report::{Shown, ShownView, ca_name, conclusion, push_failures, why_no_key};
use super::when;
use super::wrap::wrap;

/// Everything, for a terminal, at most 80 columns wide.
pub(crate) fn render(shown: &Shown<'_>, now: Timestamp) -> String {
    let mut text = mine(shown, now);
    text.push_str(&heading(shown));
    for group in groups(shown) {
        group.push(&mut text, shown);
    }
    push_failures(&mut text, "Answered, but not counted:", &shown.dropped);
    push_failures(&mut text, "Gave no answer:", &shown.missing);
    text.push('\n');
    text.push_str(&conclusion(shown));
    text
}

fn mine(shown: &Shown<'_>, now: Timestamp) -> String {
    let look = &shown.local.now;
    let at = look.address.map_or_else(String::new, |address| format!(" at {address}"));
    let mut text = wrap("", &format!("You see, for {}{at}:", shown.service));
    match &look.met {
        Some(met) => {
            let proof = if met.proved { "" } else { ", of which the server gave no proof" };
            let left = match met.not_after > now {
                true => format!("valid for {} more", when::length(met.not_after.since(now))),
                false => format!("run out {}", when::ago(now.since(met.not_after))),
            };
            let key = format!("{}{proof}, {}, {left}", met.key.short(), ca_name(met));
            text.push_str(&wrap("       ", &key));
        }
        None => text.push_str(&wrap("       ", &format!("no key ({})", why_no_key(look)))),
    }
    text
}

fn heading(shown: &Shown<'_>) -> String {
    let counts = &shown.verdict.counts;
    match counts.asked {
        0 => "Nobody was asked.\n".into(),
        asked => {
            format!("Others see ({} of {asked} asked answered, {}):\n", counts.answered, when::took(shown.elapsed))
        }
    }
}

/// Those who see the same.
struct Group<'a> {
    /// The key in few letters and its CA; or why there is none.
    what: String,
    agrees: Option<Agreement>,
    is_proved: bool,
    members: Vec<&'a ShownView<'a>>,
    notaries: Vec<&'a str>,
}

impl Group<'_> {
    fn len(&self) -> usize {
        self.members.len() + self.notaries.len()
    }

    fn push(&self, text: &mut String, _shown: &Shown<'_>) {
        let how = match (self.agrees, self.is_proved) {
            (_, false) => ", not proved and so not counted",
            (Some(Agreement::SameLeaf), _) => ": what you see",
            (Some(Agreement::SameKey), _) => ": your key, in another certificate",
            (Some(Agreement::SameCa), _) => ": ANOTHER key, of the same CA",
            (Some(Agreement::Differs), _) => ": ANOTHER key",
            _ => "",
        };
        text.push_str(&wrap(&format!("{:>4} x ", self.len()), &format!("{}{how}", self.what)));
        text.push_str(&wrap("       ", &self.origin()));
    }

    /// Of which regions and networks, and through whom.
    fn origin(&self) -> String {
        let mut regions: BTreeMap<String, usize> = BTreeMap::new();
        let mut direct: Vec<String> = Vec::new();
        for member in &self.members {
            let region = member.region.as_deref().map_or_else(|| "no region named".to_owned(), escape);
            *regions.entry(region).or_default() += 1;
            direct.push(escape(&member.label));
        }
        direct.extend(self.notaries.iter().map(|label| format!("the old notary {}", escape(label))));
        let regions: Vec<_> = regions.into_iter().map(|(region, count)| format!("{region} {count}")).collect();
        let parts = [regions.join(", "), shortened(direct)];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

/// At most four names.
fn shortened(mut names: Vec<String>) -> String {
    let distinct: BTreeSet<String> = names.drain(..).collect();
    let more = distinct.len().saturating_sub(4);
    let shown: Vec<_> = distinct.into_iter().take(4).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The largest first; my own key before others as large.
fn groups<'a>(shown: &'a Shown<'a>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for view in &shown.views {
        let (what, is_proved) = sight(view.now);
        let judged = shown.verdict.judged.iter().find(|judged| judged.vantage == view.vantage);
        let agrees = judged.map(|judged| judged.agrees);
        match groups.iter_mut().find(|group| group.what == what && group.agrees == agrees) {
            Some(group) => group.members.push(view),
            None => groups.push(Group { what, agrees, is_proved, members: vec![view], notaries: Vec::new() }),
        }
    }
    for notary in &shown.notaries {
        let newest = notary.testimony.spans.iter().max_by_key(|span| (span.last_seen, span.first_seen));
        let Some(newest) = newest else { continue };
        let md5: String = newest.leaf_md5.to_string().chars().take(8).collect();
        let judged = shown.verdict.judged.iter().find(|judged| judged.vantage == notary.testimony.vantage);
        let (what, agrees) = (format!("{md5} (MD5 only)"), judged.map(|judged| judged.agrees));
        match groups.iter_mut().find(|group| group.what == what) {
            Some(group) => group.notaries.push(notary.label),
            None => {
                groups.push(Group { what, agrees, is_proved: true, members: Vec::new(), notaries: vec![notary.label] });
            }
        }
    }
    groups.sort_by_key(|group| (std::cmp::Reverse(group.len()), group.agrees, group.what.clone()));
    groups
}

fn sight(look: &Observation) -> (String, bool) {
    match &look.met {
        Some(met) => (format!("{}, {}", met.key.short(), ca_name(met)), met.proved),
        None => (format!("no key ({})", why_no_key(look)), true),
    }
}
