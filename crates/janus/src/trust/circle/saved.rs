//! What is kept of a circle, and how it is taken up again.

use std::collections::BTreeSet;
use std::sync::Arc;

use parallax_core::{Fingerprint, Suite, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Circle, Declared, MAX_DECLARED, MAX_PEOPLE, Person, UserId};
use crate::mailbox::Mailbox;

/// What is kept of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPerson {
    /// Its number, for good: its routes hang on it.
    pub number: u32,
    /// Who.
    pub mailbox: Mailbox,
    /// The key that last proved the mailbox.
    pub key: Option<Fingerprint>,
    /// How many keys there were.
    pub era: u32,
    /// When the newest certificate for the key began that was met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<Timestamp>,
    /// In whom it declared trust.
    pub declared: Vec<SavedDeclaration>,
}

/// What is kept of a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedDeclaration {
    /// In whom, by number.
    pub to: u32,
    /// The declaring side's era.
    pub own: u32,
    /// The other side's.
    pub other: u32,
}

/// Why what was kept is not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCircle {
    /// A number is out of order, there twice, or too high.
    #[error("person {0} is out of order, there twice, or of a number that is too high")]
    Number(u32),
    /// A mailbox is there twice.
    #[error("the mailbox of person {0} is there twice")]
    Mailbox(u32),
    /// A key without an era, or the other way round.
    #[error("person {0} has a key and no era, or an era and no key")]
    Era(u32),
    /// A declaration in nobody, in oneself, twice, of an era to come, or beyond the most.
    #[error("person {person} has a declaration that can't be: {why}")]
    Declaration {
        /// Whose.
        person: u32,
        /// What is wrong.
        why: &'static str,
    },
}

/// What was taken up of what was kept.
pub struct LoadedCircle {
    /// The circle of all that is sound.
    pub circle: Circle,
    /// What is not, and was left out: people with all their declarations, or single declarations.
    pub left_out: Vec<BadCircle>,
    /// Those who lost declarations: to be kept as they stand now, or what they declared in a number that is nobody's would
    /// one day be trust in somebody else.
    pub changed: Vec<UserId>,
}

impl Circle {
    /// From what was kept, in the order of the numbers, all of it sound. The tables follow from it: none can be loaded that
    /// is no single cycle, or that names somebody who is no neighbour.
    pub fn load(suite: Arc<dyn Suite>, secret: [u8; 32], saved: Vec<SavedPerson>) -> Result<Self, BadCircle> {
        let mut loaded = Self::load_sound(suite, secret, saved, &BTreeSet::new());
        if loaded.left_out.is_empty() { Ok(loaded.circle) } else { Err(loaded.left_out.swap_remove(0)) }
    }

    /// The same, where what is not sound is left out. That only takes edges away. The numbers of those who are left out,
    /// and of `unreadable`, are given to nobody else.
    pub fn load_sound(
        suite: Arc<dyn Suite>,
        secret: [u8; 32],
        saved: Vec<SavedPerson>,
        unreadable: &BTreeSet<u32>,
    ) -> LoadedCircle {
        let mut circle = Self::new(suite, secret);
        let (mut left_out, mut changed, mut taken) = (Vec::new(), BTreeSet::new(), unreadable.clone());
        for person in saved {
            let number = person.number;
            if let Err(bad) = circle.load_person(person) {
                left_out.push(bad);
                taken.insert(number);
            }
        }
        circle.keep_free(&taken);
        circle.drop_dangling(&mut left_out, &mut changed);
        let edges: Vec<_> = circle.ids().flat_map(|one| circle.declared_by(one).map(move |to| (one, to))).collect();
        for (one, other) in edges {
            circle.settle(one, other);
        }
        LoadedCircle { circle, left_out, changed: changed.into_iter().collect() }
    }

    /// What is to be kept of a person; after every change of theirs. `None`: nothing any more.
    pub fn saved(&self, person: UserId) -> Option<SavedPerson> {
        let Person { mailbox, key, era, issued, declared, .. } = self.person(person)?;
        let declared =
            declared.iter().map(|one| SavedDeclaration { to: one.to.index() as u32, own: one.own, other: one.other });
        let (number, mailbox, declared) = (person.index() as u32, mailbox.clone(), declared.collect());
        Some(SavedPerson { number, mailbox, key: *key, era: *era, issued: *issued, declared })
    }

    fn load_person(&mut self, person: SavedPerson) -> Result<(), BadCircle> {
        let SavedPerson { number, mailbox, key, era, issued, declared } = person;
        let id = UserId(number);
        if id.index() < self.people.len() || id.index() >= MAX_PEOPLE {
            return Err(BadCircle::Number(number));
        }
        if self.numbers.contains_key(&mailbox) {
            return Err(BadCircle::Mailbox(number));
        }
        if key.is_some() != (era > 0) {
            return Err(BadCircle::Era(number));
        }
        check_declarations(number, era, &declared)?;
        self.seat(id, &mailbox);
        let read = |one: &SavedDeclaration| Declared { to: UserId(one.to), own: one.own, other: one.other };
        let declared = declared.iter().map(read).collect();
        if let Some(seat) = self.people.get_mut(id.index()) {
            *seat = Some(Person { mailbox, key, era, issued, declared, named: 0 });
        }
        Ok(())
    }

    /// Seats that are empty are given to newcomers, but for those that are taken by what could not be read.
    fn keep_free(&mut self, taken: &BTreeSet<u32>) {
        let last = taken.iter().copied().filter(|number| (*number as usize) < MAX_PEOPLE).max();
        while last.is_some_and(|last| self.people.len() <= last as usize) {
            self.people.push(None);
        }
        let empty =
            self.people.iter().zip(0_u32..).filter(|(person, number)| person.is_none() && !taken.contains(number));
        self.vacant = empty.map(|(_, number)| UserId(number)).collect();
    }

    /// Declarations in nobody, and for keys that nobody ever had, are dropped.
    fn drop_dangling(&mut self, left_out: &mut Vec<BadCircle>, changed: &mut BTreeSet<UserId>) {
        let all = |circle: &Self, from: UserId| circle.person(from).map(|person| person.declared.clone());
        for from in self.ids().collect::<Vec<_>>() {
            for one in all(self, from).unwrap_or_default() {
                let why = match self.person_mut(one.to) {
                    None => "it is in nobody",
                    Some(person) if one.other > person.era => "it is for a key that the other side never had",
                    Some(person) => {
                        person.named = person.named.saturating_add(1);
                        continue;
                    }
                };
                left_out.push(BadCircle::Declaration { person: from.0, why });
                changed.insert(from);
                self.person_mut(from).into_iter().for_each(|person| person.declared.retain(|known| known.to != one.to));
            }
        }
    }
}

fn check_declarations(person: u32, era: u32, declared: &[SavedDeclaration]) -> Result<(), BadCircle> {
    let bad = |why| Err(BadCircle::Declaration { person, why });
    if declared.len() > MAX_DECLARED {
        return bad("there are more than 500");
    }
    for (place, one) in declared.iter().enumerate() {
        if one.to == person {
            return bad("it is in oneself");
        }
        if one.own > era || one.own == 0 {
            return bad("it is by a key that this person never had");
        }
        if declared.iter().take(place).any(|other| other.to == one.to) {
            return bad("it is there twice");
        }
    }
    Ok(())
}
