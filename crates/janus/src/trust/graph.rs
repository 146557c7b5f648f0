//! The edges that count, and who is visible to whom along them.

use parallax_core::Suite;

use super::cycle::Cycle;
use super::routes::{LONGEST_ROUTE, Routes};

/// A user's number in a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub(super) u32);

impl UserId {
    /// The user of this number.
    pub const fn from_index(index: u32) -> Self {
        Self(index)
    }

    /// Its number.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Somebody whose advertisement reaches a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Visible {
    /// Who.
    pub peer: UserId,
    /// The neighbour through which it came in.
    pub edge: UserId,
    /// How far away: 1 is the neighbour itself.
    pub hops: usize,
}

/// The edges that count. Both users of an edge know it, or none does.
///
/// Nothing is sent along the routes: the node knows every table, and walks a route backwards when somebody asks. A change of
/// an edge is in force at once, and nothing is kept for each pair of users.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Draws the places in the tables. Secret, or who knows it could choose addresses by where they lead.
    secret: [u8; 32],
    tables: Vec<Cycle>,
}

impl Graph {
    /// A graph of nobody.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret, tables: Vec::new() }
    }

    /// Makes sure that the users up to this one are there.
    pub fn reserve(&mut self, user: UserId) {
        if self.tables.len() <= user.index() {
            self.tables.resize_with(user.index() + 1, Cycle::default);
        }
    }

    /// Users.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Connects two users. `false` when they are connected, are one, or are not there.
    pub fn connect(&mut self, suite: &dyn Suite, one: UserId, other: UserId) -> bool {
        if one == other || one.index().max(other.index()) >= self.tables.len() || self.are_connected(one, other) {
            return false;
        }
        for (user, neighbour) in [(one, other), (other, one)] {
            let place = self.place(suite, user, neighbour);
            if let Some(table) = self.tables.get_mut(user.index()) {
                table.insert(place, neighbour);
            }
        }
        true
    }

    /// Parts two users; `false` when they were not connected.
    pub fn part(&mut self, one: UserId, other: UserId) -> bool {
        let mut parted = false;
        for (user, neighbour) in [(one, other), (other, one)] {
            parted |= self.tables.get_mut(user.index()).is_some_and(|table| table.remove(neighbour));
        }
        parted
    }

    /// Whether there is an edge.
    pub fn are_connected(&self, one: UserId, other: UserId) -> bool {
        self.tables.get(one.index()).is_some_and(|table| table.contains(other))
    }

    /// A user's neighbours, in the order of its table.
    pub fn neighbours(&self, user: UserId) -> impl Iterator<Item = UserId> {
        self.tables.get(user.index()).into_iter().flat_map(Cycle::neighbours)
    }

    /// Everybody whose advertisement reaches `user`, edge by edge and the nearest first; who comes through several edges is
    /// named for each. The user itself never is.
    ///
    /// A route that comes by twice counts where it came first: so whatever passes one edge of the graph in one direction
    /// reaches any user through one edge at most.
    pub fn visible_to(&self, user: UserId) -> Vec<Visible> {
        let mut visible = Vec::new();
        for edge in self.neighbours(user) {
            self.walk_back(user, edge, &mut visible);
        }
        visible
    }

    /// The route that ends at `user` through `edge`, from its end: whoever stands on it and began it near enough is seen.
    fn walk_back(&self, user: UserId, edge: UserId, visible: &mut Vec<Visible>) {
        let (mut sender, mut receiver) = (edge, user);
        let begin = visible.len();
        for hops in 1..=LONGEST_ROUTE {
            let Some(table) = self.tables.get(sender.index()) else { return };
            let Some(position) = table.position(receiver) else { return };
            let routes = Routes::of(table.len());
            // A user's own advertisement takes the first routes of its table.
            let reaches = position < routes.count && hops <= routes.hops;
            let known = visible.iter().skip(begin).any(|one| one.peer == sender);
            if reaches && !known {
                visible.push(Visible { peer: sender, edge, hops });
            }
            let Some(before) = table.before(position) else { return };
            (sender, receiver) = (before, sender);
            // What came farther came by here before, through another edge.
            if sender == user {
                return;
            }
        }
    }

    /// Everybody whom `user`'s advertisement reaches, forwards: what the hops would do one by one. The inverse of
    /// [`Self::visible_to`], for tests and for whoever wants to know.
    pub fn reached_by(&self, user: UserId) -> Vec<Visible> {
        let mut reached = Vec::new();
        let Some(table) = self.tables.get(user.index()) else { return reached };
        let routes = Routes::of(table.len());
        for first in table.neighbours().take(routes.count) {
            let first_visits = self.route(user, first, routes.hops);
            reached.extend(first_visits.into_iter().filter(|one| one.peer != user));
        }
        reached
    }

    /// Who stands on the route that goes from `from` to its neighbour `to` and on by the tables, so many hops; each where
    /// the route came first, with the edge through which it came.
    pub fn route(&self, from: UserId, to: UserId, hops: usize) -> Vec<Visible> {
        let (mut sender, mut at) = (from, to);
        let mut met: Vec<Visible> = Vec::new();
        for hops in 1..=hops {
            if !met.iter().any(|one| one.peer == at) {
                met.push(Visible { peer: at, edge: sender, hops });
            }
            let Some(next) = self.tables.get(at.index()).and_then(|table| table.next(sender)) else { break };
            (sender, at) = (at, next);
        }
        met
    }

    /// Where a neighbour stands in a user's table. The same pair has the same place for good.
    fn place(&self, suite: &dyn Suite, user: UserId, neighbour: UserId) -> u32 {
        let pair = [user.0.to_be_bytes(), neighbour.0.to_be_bytes()].concat();
        let hash = suite.sha256(&[b"parallax trust place 1\0".as_slice(), &self.secret, &pair].concat());
        hash.iter().take(4).fold(0, |place, byte| place << 8 | u32::from(*byte))
    }
}
