//! A simulation from its plan to its results.

use std::collections::{BTreeMap, BTreeSet};

use parallax_core::{CastView, EdgeOutcome, EdgeVote, Share};
use parallax_janus::trust::{Candidate, Dealer, LONGEST_ROUTE, UserId, Visible};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;

use super::plan::{BadPlan, Befriended, Plan, Results, Row, Scheme};
use super::society::{Society, network};
use crate::Proportion;

/// The edges of a user whom an attacker befriends.
const BEFRIENDED_EDGES: u32 = 10;

/// Simulates. `progress` is told what share is done.
pub fn run(plan: &Plan, mut progress: impl FnMut(f64)) -> Result<Results, BadPlan> {
    plan.check()?;
    let threshold = Share::new(plan.threshold).map_err(|error| BadPlan::Invariant(error.to_string()))?;
    let steps = (plan.attack_edges.len() as u32 + 1) * plan.societies;
    let mut done = 0;
    let mut step = || {
        done += 1;
        progress(f64::from(done) / f64::from(steps));
    };
    let mut rows = Vec::new();
    for attack_edges in &plan.attack_edges {
        let mut counts = [Count::default(); 3];
        for number in 0..plan.societies {
            let mut asking = Asking::new(plan, threshold, (*attack_edges, number));
            asking.society.attack(*attack_edges, &mut asking.rng);
            asking.flood();
            for user in asking.society.honest_users() {
                let visible = asking.seen(user, *attack_edges as usize)?;
                for (scheme, count) in Scheme::ALL.into_iter().zip(&mut counts) {
                    count.add(&asking.ask(user, &visible, scheme)?);
                }
            }
            step();
        }
        let each = Scheme::ALL.into_iter().zip(&counts);
        rows.extend(each.map(|(scheme, count)| count.row(*attack_edges, scheme)));
    }
    let (befriended, visible) = befriend(plan, threshold, &mut step)?;
    Ok(Results { format: "parallax-sim-trust/1", plan: plan.clone(), rows, befriended, visible })
}

/// Users with ten edges of which more and more lead to the attacker, who has no other edge.
fn befriend(plan: &Plan, threshold: Share, mut step: impl FnMut()) -> Result<(Vec<Befriended>, f64), BadPlan> {
    let mut counts = vec![Count::default(); BEFRIENDED_EDGES as usize + 1];
    let (mut seen, mut users) = (0, 0);
    for number in 0..plan.societies {
        let mut asking = Asking::new(plan, threshold, (u32::MAX, number));
        for user in asking.society.honest_users() {
            users += 1;
            seen += asking.seen(user, 0)?.iter().map(|one| one.peer).collect::<BTreeSet<_>>().len();
        }
        for (evil_edges, count) in counts.iter_mut().enumerate() {
            for user in asking.society.honest_users() {
                if asking.society.graph.neighbours(user).count() == BEFRIENDED_EDGES as usize {
                    count.add(&asking.ask_befriended(user, evil_edges)?);
                }
            }
        }
        step();
    }
    let row = |(evil_edges, count): (usize, &Count)| Befriended {
        evil_edges: evil_edges as u32,
        edges: BEFRIENDED_EDGES,
        outvoted: Proportion::new(count.outvoted, count.asked),
        deceived: Proportion::new(count.deceived, count.asked),
    };
    let rows = counts.iter().enumerate().map(row).collect();
    Ok((rows, f64::from(seen as u32) / f64::from(users.max(1))))
}

/// What came of one question, asked twice: once where the user sees the honest site, once where it sees the attacker's.
struct Answer {
    outvoted: bool,
    deceived: bool,
    too_few: bool,
    views: usize,
    evil: usize,
}

#[derive(Clone, Copy, Default)]
struct Count {
    asked: u64,
    outvoted: u64,
    deceived: u64,
    too_few: u64,
    views: u64,
    evil: u64,
}

impl Count {
    fn add(&mut self, answer: &Answer) {
        self.asked += 1;
        self.outvoted += u64::from(answer.outvoted);
        self.deceived += u64::from(answer.deceived);
        self.too_few += u64::from(answer.too_few);
        self.views += answer.views as u64;
        self.evil += answer.evil as u64;
    }

    fn row(&self, attack_edges: u32, scheme: Scheme) -> Row {
        let share = |hits| Proportion::new(hits, self.asked);
        Row {
            attack_edges,
            scheme,
            outvoted: share(self.outvoted),
            deceived: share(self.deceived),
            too_few: share(self.too_few),
            views: self.views as f64 / self.asked.max(1) as f64,
            evil: self.evil as f64 / self.views.max(1) as f64,
        }
    }
}

struct Asking<'a> {
    plan: &'a Plan,
    threshold: Share,
    society: Society,
    /// Where an unbound crowd is heard.
    flooded: BTreeMap<UserId, BTreeSet<UserId>>,
    rng: Pcg64,
}

type View = CastView<UserId, UserId, UserId>;

impl<'a> Asking<'a> {
    fn new(plan: &'a Plan, threshold: Share, (row, society): (u32, u32)) -> Self {
        let stream = u64::from(row) << 32 | u64::from(society);
        let mut rng = Pcg64::seed_from_u64(plan.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stream);
        let society = Society::draw(plan.honest, plan.sybils, plan.degree, &mut rng);
        Self { plan, threshold, society, flooded: BTreeMap::new(), rng }
    }

    /// Whom a user sees; false identities come through no more of its edges than there are attack edges.
    fn seen(&self, user: UserId, attack_edges: usize) -> Result<Vec<Visible>, BadPlan> {
        let mut visible = self.society.graph.visible_to(user);
        for edge in self.flooded.get(&user).into_iter().flatten() {
            visible.retain(|one| one.edge != *edge || !self.society.is_evil(one.peer));
            visible.extend(self.society.crowd().map(|peer| Visible { peer, edge: *edge, hops: LONGEST_ROUTE }));
        }
        let evil: BTreeSet<_> =
            visible.iter().filter(|one| self.society.is_evil(one.peer)).map(|one| one.edge).collect();
        if evil.len() > attack_edges || visible.iter().any(|one| one.peer == user) {
            let edges = evil.len();
            return Err(BadPlan::Invariant(format!("{attack_edges} attack edges reach {user:?} through {edges}")));
        }
        Ok(visible)
    }

    fn flood(&mut self) {
        if self.plan.unbound {
            self.flooded = self.society.flooded();
        }
    }

    fn ask(&mut self, user: UserId, visible: &[Visible], scheme: Scheme) -> Result<Answer, BadPlan> {
        let asked = match scheme {
            Scheme::Uniform => self.some_of_all(user),
            Scheme::Advertisement => self.some_of(visible),
            Scheme::EqualShare => self.dealt(user, visible),
        };
        let peers: BTreeSet<_> = asked.iter().map(|one| one.peer).collect();
        if peers.len() < asked.len() || peers.contains(&user) {
            return Err(BadPlan::Invariant(format!("{user:?} asks somebody twice, or itself")));
        }
        let evil = asked.iter().filter(|one| self.society.is_evil(one.peer)).count();
        let [(confirmed, too_few), (deceived, _)] = [false, true].map(|attacked| match scheme {
            Scheme::EqualShare => self.vote(&asked, attacked),
            _ => (self.reached(if attacked { evil } else { asked.len() - evil }, asked.len()), asked.is_empty()),
        });
        self.check_share(&asked, scheme)?;
        Ok(Answer { outvoted: !confirmed && !too_few, deceived, too_few, views: asked.len(), evil })
    }

    fn ask_befriended(&mut self, user: UserId, evil_edges: usize) -> Result<Answer, BadPlan> {
        let before = self.society.graph.clone();
        self.society.replace_friends(user, evil_edges, &mut self.rng);
        self.flood();
        let visible = self.seen(user, evil_edges)?;
        let answer = self.ask(user, &visible, Scheme::EqualShare);
        self.society.graph = before;
        answer
    }

    fn some_of_all(&mut self, user: UserId) -> Vec<Candidate<UserId>> {
        let mut asked: Vec<Candidate<UserId>> = Vec::new();
        let all = self.society.everybody();
        let wanted = (self.plan.views as usize).min(all as usize - 1);
        while asked.len() < wanted {
            let peer = UserId::from_index(self.rng.random_range(0..all));
            if peer != user && !asked.iter().any(|one| one.peer == peer) {
                asked.push(Candidate { peer, edge: None, network: network(peer) });
            }
        }
        asked
    }

    fn some_of(&mut self, visible: &[Visible]) -> Vec<Candidate<UserId>> {
        let peers: BTreeSet<UserId> = visible.iter().map(|one| one.peer).collect();
        let mut peers: Vec<UserId> = peers.into_iter().collect();
        let mut asked = Vec::new();
        while asked.len() < self.plan.views as usize && !peers.is_empty() {
            let peer = peers.swap_remove(self.rng.random_range(0..peers.len()));
            asked.push(Candidate { peer, edge: None, network: network(peer) });
        }
        asked
    }

    /// Over the edges; strangers fill up where the edges have too few.
    fn dealt(&mut self, user: UserId, visible: &[Visible]) -> Vec<Candidate<UserId>> {
        let known =
            visible.iter().map(|one| Candidate { peer: one.peer, edge: Some(one.edge), network: network(one.peer) });
        let mut candidates: Vec<_> = known.collect();
        let peers: BTreeSet<UserId> = visible.iter().map(|one| one.peer).collect();
        if peers.len() < self.plan.views as usize {
            let strangers = self.some_of_all(user);
            candidates.extend(strangers.into_iter().filter(|one| !peers.contains(&one.peer)));
        }
        let mut dealer = Dealer::new(candidates, false, &mut self.rng);
        (0..self.plan.views).map_while(|_| dealer.deal(&mut self.rng)).collect()
    }

    fn reached(&self, agree: usize, of: usize) -> bool {
        agree as f64 + 1e-9 >= self.threshold.value() * of as f64
    }

    /// Whether the vote trusts, and whether it says nothing.
    fn vote(&self, asked: &[Candidate<UserId>], attacked: bool) -> (bool, bool) {
        match EdgeVote::count(self.views(asked, attacked)).outcome(self.threshold) {
            EdgeOutcome::Trusted { .. } => (true, false),
            EdgeOutcome::Outvoted { .. } => (false, false),
            EdgeOutcome::TooFew { .. } => (false, true),
        }
    }

    /// Honest peers see the honest site, false ones say that they see the attacker's.
    fn views(&self, asked: &[Candidate<UserId>], attacked: bool) -> Vec<View> {
        let view = |one: &Candidate<UserId>| CastView {
            identity: one.peer,
            edge: one.edge,
            network: one.peer,
            agrees: self.society.is_evil(one.peer) == attacked,
        };
        asked.iter().map(view).collect()
    }

    /// The first invariant: without what came through an edge, the agreement differs by that edge's share at most.
    fn check_share(&self, asked: &[Candidate<UserId>], scheme: Scheme) -> Result<(), BadPlan> {
        let evil = asked.iter().filter(|one| self.society.is_evil(one.peer)).filter_map(|one| one.edge);
        let Some(edge) = evil.max().filter(|_| scheme == Scheme::EqualShare) else { return Ok(()) };
        let all = self.views(asked, false);
        let turned = all.iter().map(|view| View { agrees: view.agrees || view.edge == Some(edge), ..*view });
        let (before, after) = (EdgeVote::count(all.clone()), EdgeVote::count(turned));
        let moved = after.agreement().unwrap_or(0.0) - before.agreement().unwrap_or(0.0);
        if moved > 1.0 / before.edges() as f64 + 1e-9 {
            return Err(BadPlan::Invariant(format!("one edge of {} moved the agreement by {moved}", before.edges())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Plan {
        Plan { honest: 300, sybils: 300, attack_edges: vec![3, 8], societies: 2, ..Plan::default() }
    }

    fn row(results: &Results, attack_edges: u32, scheme: Scheme) -> &Row {
        results.rows.iter().find(|row| row.attack_edges == attack_edges && row.scheme == scheme).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_figures() {
        let [one, again] = [0, 1].map(|_| run(&small(), |_| ()).unwrap());
        assert_eq!(one, again);
        let other = run(&Plan { seed: 2, ..small() }, |_| ()).unwrap();
        assert_ne!(one.rows, other.rows);
    }

    /// What the figures are for: each step of the defence holds more of them off.
    #[test]
    fn the_equal_share_holds_where_chance_does_not() {
        for (unbound, edges) in [(false, 3), (false, 8), (true, 3), (true, 8)] {
            let results = run(&Plan { unbound, ..small() }, |_| ()).unwrap();
            let [uniform, advertisement, equal] = Scheme::ALL.map(|scheme| row(&results, edges, scheme));
            let outvoted = |row: &Row| row.outvoted.share.unwrap();
            assert!(outvoted(uniform) > 0.8, "{uniform:?}");
            assert!(outvoted(advertisement) < outvoted(uniform), "{advertisement:?}");
            assert!(outvoted(equal) < 0.1 && outvoted(equal) < outvoted(advertisement), "{equal:?}");
            assert_eq!(equal.deceived.hits, 0, "{equal:?}");
            assert!(!unbound || outvoted(advertisement) > 0.1, "a flood drowns whom it reaches: {advertisement:?}");
            assert!(advertisement.evil < uniform.evil && (0.4..0.6).contains(&uniform.evil));
        }
    }

    /// An attacker who befriends a user has the share of those edges: below what the threshold leaves it changes nothing,
    /// and with all of them it decides.
    #[test]
    fn whoever_befriends_a_user_has_those_edges_and_no_more() {
        let results = run(&small(), |_| ()).unwrap();
        let shares: Vec<f64> = results.befriended.iter().map(|row| row.outvoted.share.unwrap()).collect();
        assert_eq!(shares.len(), 11);
        assert_eq!(&shares[..3], [0.0; 3], "{shares:?}");
        assert!(shares[5..].iter().all(|share| *share > 0.9), "{shares:?}");
        let deceived: Vec<f64> = results.befriended.iter().map(|row| row.deceived.share.unwrap()).collect();
        assert!(deceived[..6].iter().all(|share| *share == 0.0) && deceived[10] > 0.9, "{deceived:?}");
    }

    #[test]
    fn plans_that_cannot_be_say_what_could() {
        for (plan, part) in [
            (Plan { honest: 10, ..small() }, "honest must be 50 to 100000, not 10"),
            (Plan { sybils: 0, ..small() }, "sybils"),
            (Plan { degree: 3, ..small() }, "degree"),
            (Plan { views: 0, ..small() }, "views"),
            (Plan { threshold: 1.1, ..small() }, "threshold must be 0 to 1, not 1.1"),
            (Plan { threshold: f64::NAN, ..small() }, "threshold"),
            (Plan { societies: 0, ..small() }, "societies"),
            (Plan { attack_edges: vec![], ..small() }, "attack-edges"),
            (Plan { attack_edges: vec![301], ..small() }, "0 to 300"),
        ] {
            let error = run(&plan, |_| ()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(run(&Plan { attack_edges: vec![0], societies: 1, honest: 50, sybils: 1, ..small() }, |_| ()).is_ok());
    }
}
