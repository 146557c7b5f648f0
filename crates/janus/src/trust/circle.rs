//! What people declared of one another, for the keys they had then.

use std::collections::HashMap;
use std::sync::Arc;

use parallax_core::{Fingerprint, Suite};
use serde::{Deserialize, Serialize};

use super::graph::{Graph, UserId};
use crate::mailbox::Mailbox;

/// The most people one can declare trust in.
pub const MAX_DECLARED: usize = 500;

/// The most people one circle holds.
pub const MAX_PEOPLE: usize = 4_000_000;

/// Everybody's declarations, and the edges that follow from them.
///
/// An edge counts while both sides have declared it, each under the key it holds now and for the key that the other holds
/// now. A mailbox that is proved anew with another key may have changed hands: its edges rest until both sides declare again.
pub struct Circle {
    suite: Arc<dyn Suite>,
    numbers: HashMap<Mailbox, UserId>,
    /// By number; empty where somebody was named, never had a key, and is named no more.
    people: Vec<Option<Person>>,
    vacant: Vec<UserId>,
    graph: Graph,
}

struct Person {
    mailbox: Mailbox,
    /// The key that last proved the mailbox.
    key: Option<Fingerprint>,
    /// How many keys there were: a declaration holds this number in the key's place.
    era: u32,
    declared: Vec<Declared>,
    /// How many declared trust in it. Whoever never had a key and is named by nobody is forgotten.
    named: u32,
}

/// One side of an edge.
#[derive(Clone, Copy)]
struct Declared {
    to: UserId,
    /// The declaring side's era.
    own: u32,
    /// The other side's; 0 while it had no key: then it is bound to the key with which the other side declares first.
    other: u32,
}

/// What a user sees of one declaration of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// In whom.
    pub mailbox: Mailbox,
    /// Whether the other side has declared it too, and for the keys that both hold now.
    pub counts: bool,
}

/// Why trust is not declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeclareError {
    /// The key that declares is not the one that last proved the mailbox.
    #[error("this mailbox was proved anew with another key; declare trust with that one")]
    OldKey,
    /// In oneself.
    #[error("nobody needs to declare trust in themselves")]
    Oneself,
    /// Too many.
    #[error("you declared trust in {MAX_DECLARED} people, which are the most; withdraw one first")]
    TooMany,
    /// The circle is full.
    #[error("this janus holds {MAX_PEOPLE} people, which are the most")]
    Full,
}

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

impl Circle {
    /// Nobody yet. The secret stays the same for good, or all routes change.
    pub fn new(suite: Arc<dyn Suite>, secret: [u8; 32]) -> Self {
        Self { suite, numbers: HashMap::new(), people: Vec::new(), vacant: Vec::new(), graph: Graph::new(secret) }
    }

    /// From what was kept, in the order of the numbers. The tables follow from it: none can be loaded that is no single
    /// cycle, or that names somebody who is no neighbour.
    pub fn load(suite: Arc<dyn Suite>, secret: [u8; 32], saved: Vec<SavedPerson>) -> Result<Self, BadCircle> {
        let mut circle = Self::new(suite, secret);
        for person in saved {
            circle.load_person(person)?;
        }
        circle.count_named()?;
        circle.check_eras()?;
        let edges: Vec<_> = circle.ids().flat_map(|one| circle.declared_by(one).map(move |to| (one, to))).collect();
        for (one, other) in edges {
            circle.settle(one, other);
        }
        Ok(circle)
    }

    /// What is to be kept of a person; after every change of theirs.
    pub fn saved(&self, person: UserId) -> Option<SavedPerson> {
        let Person { mailbox, key, era, declared, .. } = self.person(person)?;
        let declared =
            declared.iter().map(|one| SavedDeclaration { to: one.to.index() as u32, own: one.own, other: one.other });
        let number = person.index() as u32;
        Some(SavedPerson { number, mailbox: mailbox.clone(), key: *key, era: *era, declared: declared.collect() })
    }

    /// A mailbox was proved with a key. With another one than before, all edges of it rest.
    pub fn prove(&mut self, mailbox: &Mailbox, key: Fingerprint) -> Result<UserId, DeclareError> {
        let id = self.number(mailbox)?;
        let Some(person) = self.person_mut(id) else { return Ok(id) };
        if person.key != Some(key) {
            person.key = Some(key);
            person.era = person.era.saturating_add(1);
            let neighbours: Vec<_> = self.graph.neighbours(id).collect();
            for neighbour in neighbours {
                self.settle(id, neighbour);
            }
        }
        Ok(id)
    }

    /// `who`, with this key, declares trust in `whom`, who may be unknown: nothing tells. What changed and is to be kept:
    /// both.
    pub fn declare(&mut self, who: &Mailbox, key: Fingerprint, whom: &Mailbox) -> Result<[UserId; 2], DeclareError> {
        let one = self.current(who, key)?;
        if who == whom {
            return Err(DeclareError::Oneself);
        }
        let known = self.numbers.get(whom).is_some_and(|other| self.declaration(one, *other).is_some());
        if !known && self.person(one).is_some_and(|person| person.declared.len() >= MAX_DECLARED) {
            return Err(DeclareError::TooMany);
        }
        let other = self.number(whom)?;
        let declared = Declared { to: other, own: self.era(one), other: self.era(other) };
        self.take_back(one, other);
        if let Some(person) = self.person_mut(one) {
            person.declared.push(declared);
        }
        if let Some(person) = self.person_mut(other) {
            person.named = person.named.saturating_add(1);
        }
        self.bind(other, one);
        self.settle(one, other);
        Ok([one, other])
    }

    /// `who` withdraws its trust in `whom`; at once. Whoever is to be kept: both. It does not tell whether there was any.
    pub fn withdraw(&mut self, who: &Mailbox, key: Fingerprint, whom: &Mailbox) -> Result<Vec<UserId>, DeclareError> {
        let one = self.current(who, key)?;
        let Some(other) = self.numbers.get(whom).copied() else { return Ok(vec![one]) };
        self.take_back(one, other);
        self.settle(one, other);
        self.forget_unknown(other);
        Ok(vec![one, other])
    }

    /// A user's own declarations.
    pub fn edges(&self, who: UserId) -> Vec<Edge> {
        let edge = |to: UserId| {
            let mailbox = self.person(to)?.mailbox.clone();
            Some(Edge { mailbox, counts: self.graph.are_connected(who, to) })
        };
        self.declared_by(who).filter_map(edge).collect()
    }

    /// The user of a mailbox, if this is the key that last proved it.
    pub fn user(&self, mailbox: &Mailbox, key: Fingerprint) -> Option<UserId> {
        self.current(mailbox, key).ok()
    }

    /// The mailbox of a user.
    pub fn mailbox(&self, user: UserId) -> Option<&Mailbox> {
        self.person(user).map(|person| &person.mailbox)
    }

    /// The edges that count.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    fn current(&self, mailbox: &Mailbox, key: Fingerprint) -> Result<UserId, DeclareError> {
        let id = self.numbers.get(mailbox).copied();
        let holds = |id: &UserId| self.person(*id).is_some_and(|person| person.key == Some(key));
        id.filter(holds).ok_or(DeclareError::OldKey)
    }

    fn person(&self, id: UserId) -> Option<&Person> {
        self.people.get(id.index())?.as_ref()
    }

    fn person_mut(&mut self, id: UserId) -> Option<&mut Person> {
        self.people.get_mut(id.index())?.as_mut()
    }

    fn number(&mut self, mailbox: &Mailbox) -> Result<UserId, DeclareError> {
        if let Some(id) = self.numbers.get(mailbox) {
            return Ok(*id);
        }
        let id = self.vacant.pop().unwrap_or(UserId(self.people.len() as u32));
        if id.index() >= MAX_PEOPLE {
            return Err(DeclareError::Full);
        }
        self.seat(id, mailbox);
        Ok(id)
    }

    fn seat(&mut self, id: UserId, mailbox: &Mailbox) {
        while self.people.len() <= id.index() {
            self.people.push(None);
        }
        if let Some(seat) = self.people.get_mut(id.index()) {
            *seat = Some(Person { mailbox: mailbox.clone(), key: None, era: 0, declared: Vec::new(), named: 0 });
        }
        self.numbers.insert(mailbox.clone(), id);
        self.graph.reserve(id);
    }

    /// Removes a declaration, if there is one.
    fn take_back(&mut self, from: UserId, to: UserId) {
        let Some(person) = self.person_mut(from) else { return };
        let before = person.declared.len();
        person.declared.retain(|known| known.to != to);
        if person.declared.len() < before
            && let Some(person) = self.person_mut(to)
        {
            person.named = person.named.saturating_sub(1);
        }
    }

    /// Or whoever has a certificate could fill the memory by naming people and taking it back.
    fn forget_unknown(&mut self, id: UserId) {
        if self.person(id).is_some_and(|person| person.era == 0 && person.named == 0) {
            if let Some(person) = self.people.get_mut(id.index()).and_then(Option::take) {
                self.numbers.remove(&person.mailbox);
            }
            self.vacant.push(id);
        }
    }

    fn ids(&self) -> impl Iterator<Item = UserId> + use<> {
        (0..self.people.len() as u32).map(UserId::from_index)
    }

    fn era(&self, id: UserId) -> u32 {
        self.person(id).map_or(0, |person| person.era)
    }

    fn declared_by(&self, id: UserId) -> impl Iterator<Item = UserId> {
        self.person(id).into_iter().flat_map(|person| person.declared.iter().map(|one| one.to))
    }

    fn declaration(&self, from: UserId, to: UserId) -> Option<&Declared> {
        self.person(from)?.declared.iter().find(|one| one.to == to)
    }

    /// Who was declared trust in before it had a key is meant with the key under which it answers.
    fn bind(&mut self, from: UserId, to: UserId) {
        let era = self.era(to);
        let Some(person) = self.person_mut(from) else { return };
        if let Some(declared) = person.declared.iter_mut().find(|one| one.to == to && one.other == 0) {
            declared.other = era;
        }
    }

    /// Brings the graph into line with what two people declared.
    fn settle(&mut self, one: UserId, other: UserId) {
        let half = |from: UserId, to: UserId| {
            let (own, others) = (self.era(from), self.era(to));
            own > 0
                && self.declaration(from, to).is_some_and(|declared| (declared.own, declared.other) == (own, others))
        };
        if half(one, other) && half(other, one) {
            self.graph.connect(&*self.suite, one, other);
        } else {
            self.graph.part(one, other);
        }
    }

    fn load_person(&mut self, person: SavedPerson) -> Result<(), BadCircle> {
        let SavedPerson { number, mailbox, key, era, declared } = person;
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
        self.vacant.extend((self.people.len() as u32..number).map(UserId));
        self.seat(id, &mailbox);
        if let Some(person) = self.person_mut(id) {
            (person.key, person.era) = (key, era);
            let read = |one: &SavedDeclaration| Declared { to: UserId(one.to), own: one.own, other: one.other };
            person.declared = declared.iter().map(read).collect();
        }
        Ok(())
    }

    fn count_named(&mut self) -> Result<(), BadCircle> {
        let pairs: Vec<_> = self.ids().flat_map(|from| self.declared_by(from).map(move |to| (from, to))).collect();
        for (from, to) in pairs {
            let nobody = BadCircle::Declaration { person: from.0, why: "it is in nobody" };
            let person = self.person_mut(to).ok_or(nobody)?;
            person.named = person.named.saturating_add(1);
        }
        Ok(())
    }

    fn check_eras(&self) -> Result<(), BadCircle> {
        let declared = |id: UserId| self.person(id).into_iter().flat_map(|person| &person.declared);
        match self.ids().find(|id| declared(*id).any(|one| one.other > self.era(one.to))) {
            None => Ok(()),
            Some(id) => {
                let why = "it is for a key that the other side never had";
                Err(BadCircle::Declaration { person: id.0, why })
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
