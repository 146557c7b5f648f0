//! What people declared of one another, for the keys they had then.

mod saved;

use std::collections::HashMap;
use std::sync::Arc;

use parallax_core::{Fingerprint, Suite, Timestamp};

use super::graph::{Graph, UserId};
use crate::chain::Identity;
use crate::mailbox::Mailbox;

pub use saved::{BadCircle, LoadedCircle, SavedDeclaration, SavedPerson};

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
    /// When the newest certificate for the key began that was met.
    issued: Option<Timestamp>,
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
    /// The same by number.
    pub user: UserId,
    /// Whether the other side has declared it too, and for the keys that both hold now.
    pub counts: bool,
    /// How it stands.
    pub standing: EdgeStanding,
}

/// How a declaration stands. Nothing of it tells whether the other side is known, until it has declared too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeStanding {
    /// Both sides declared it for the keys that they hold now: it counts.
    Mutual,
    /// The other side has not declared it.
    Declared,
    /// Both sides declared it, and one holds another key since: this side has to declare it again.
    Renew,
    /// Both sides declared it, and one holds another key since: the other side has to declare it again.
    Waiting,
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

impl Circle {
    /// Nobody yet. The secret stays the same for good, or all routes change.
    pub fn new(suite: Arc<dyn Suite>, secret: [u8; 32]) -> Self {
        Self { suite, numbers: HashMap::new(), people: Vec::new(), vacant: Vec::new(), graph: Graph::new(secret) }
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

    /// A certificate was accepted. Its key is the mailbox's from now on, unless a certificate for another key is newer:
    /// whoever kept an old one does not take the edges away with it. Whether anything is to be kept.
    pub fn meet(&mut self, identity: &Identity) -> Result<(UserId, bool), DeclareError> {
        let (mailbox, key, issued) = (identity.mailbox(), identity.key().id(), identity.not_before());
        let known = self.numbers.get(mailbox).and_then(|id| self.person(*id));
        let known = known.map(|person| (person.key, person.issued));
        if let Some((Some(current), Some(newest))) = known
            && current != key
            && issued <= newest
        {
            return Err(DeclareError::OldKey);
        }
        let id = self.prove(mailbox, key)?;
        let changed = known.is_none_or(|(current, newest)| current != Some(key) || newest < Some(issued));
        if let Some(person) = self.person_mut(id).filter(|_| changed) {
            person.issued = Some(issued);
        }
        Ok((id, changed))
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
        let edge = |user: UserId| {
            let (mailbox, standing) = (self.person(user)?.mailbox.clone(), self.standing(who, user));
            Some(Edge { mailbox, user, counts: standing == EdgeStanding::Mutual, standing })
        };
        self.declared_by(who).filter_map(edge).collect()
    }

    fn standing(&self, who: UserId, other: UserId) -> EdgeStanding {
        if self.graph.are_connected(who, other) {
            return EdgeStanding::Mutual;
        }
        let declared = |from, to| self.declaration(from, to);
        let holds =
            |from, to| declared(from, to).is_some_and(|one| (one.own, one.other) == (self.era(from), self.era(to)));
        match (declared(who, other).map(|one| one.own), declared(other, who).is_some()) {
            // One's own new key is no secret to oneself.
            (Some(own), false) if own != self.era(who) => EdgeStanding::Renew,
            (_, false) => EdgeStanding::Declared,
            (_, true) if holds(who, other) => EdgeStanding::Waiting,
            (_, true) => EdgeStanding::Renew,
        }
    }

    /// The user of a mailbox, if this is the key that last proved it.
    pub fn user(&self, mailbox: &Mailbox, key: Fingerprint) -> Option<UserId> {
        self.current(mailbox, key).ok()
    }

    /// The key that last proved a user's mailbox.
    pub fn key(&self, user: UserId) -> Option<Fingerprint> {
        self.person(user)?.key
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
            *seat = Some(Person {
                mailbox: mailbox.clone(),
                key: None,
                era: 0,
                issued: None,
                declared: Vec::new(),
                named: 0,
            });
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
}
