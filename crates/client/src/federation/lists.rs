//! Lists of mirrors, asked for over sockets, and what they agree on.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use parallax_core::{Host, Network, Timestamp, VantageId};
use parallax_probe::{AwsLc, TargetPolicy};
use parallax_proto::mirror::{Heard, LEAST_NETWORKS, LISTS_ASKED, Listed, Pair, Peer, Status, consensus};
use parallax_proto::{LARGEST_DESCRIPTOR, Signed};
use rand_core::Rng;
use serde::Deserialize;

use crate::clock::now;
use crate::federation::known::LEAST_KNOWN;
use crate::node::NodeVantage;
use crate::url::VantageUrl;
use crate::vantage::{Deadline, Missing};

/// Pages of one list that are read, 1 MiB each: the 5,000 mirrors that one may know take eleven. What several lists hold is
/// kept once, so that 25 of them fit into memory.
const MOST_LIST_PAGES: usize = 12;

/// Descriptors of one mirror that are tried, the newest first: any list may hold a broken one.
const MOST_TRIED: usize = 8;

/// What lists agree on.
#[derive(Clone, Debug)]
pub struct ListsTold {
    /// Whom more than half of the networks' lists hold as active, and how many do.
    pub agreed: BTreeMap<VantageId, u32>,
    /// Their newest verified descriptors.
    pub peers: BTreeMap<VantageId, Peer>,
    /// The round trips to those who were asked.
    pub trips: BTreeMap<VantageId, Duration>,
    /// How many were asked.
    pub asked: usize,
    /// How many told their list.
    pub told: usize,
    /// Of how many networks (IPv4 /16, IPv6 /32) those are.
    pub networks: usize,
}

/// Why there is no list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoList {
    /// No address may be connected to.
    #[error(
        "all {0} mirrors that are named are at private addresses or unusual ports, and are not connected to; --allow-private is for mirrors of a lab or a network of your own"
    )]
    Private(usize),
    /// Too few told theirs.
    #[error(
        "{told} of {asked} mirrors told their list, of {networks} networks (IPv4 /16, IPv6 /32); lists of {LEAST_NETWORKS} networks are the least that can agree{}",
        why.as_deref().map(|why| format!(". {why}")).unwrap_or_default()
    )]
    TooFew {
        /// How many were asked.
        asked: usize,
        /// How many answered.
        told: usize,
        /// Of how many networks.
        networks: usize,
        /// What the first of the others said.
        why: Option<String>,
    },
    /// They agree on too little.
    #[error(
        "the lists of {told} mirrors agree on {agreed} active ones; {LEAST_KNOWN} are the least that can be asked. A mirror becomes active once others have tested it for a day"
    )]
    NobodyAgreed {
        /// How many told their list.
        told: usize,
        /// On how many they agree.
        agreed: usize,
    },
}

/// One mirror's list: whom it holds as active, and the descriptors that came with it, unverified.
struct Told {
    from: Pair,
    trip: Option<Duration>,
    listed: Vec<Arc<Claimed>>,
}

/// What was read so far, each once.
type Read = Mutex<HashSet<Arc<Claimed>>>;

/// An entry as far as it claims. Believed of nothing but its support.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Claimed {
    vantage: VantageId,
    issued_at: Timestamp,
    body: String,
    signature: String,
}

impl ListsTold {
    /// Asks up to 25 of these, in their order but those of other networks first, each met at its address and by its id.
    /// Without `allow_private` none leads into a private network. `each` is how long one may take.
    pub async fn ask(pairs: &[Pair], allow_private: bool, each: Duration) -> Result<Self, NoList> {
        let targets = if allow_private { TargetPolicy::any() } else { TargetPolicy::public() };
        let allowed: Vec<Pair> = pairs.iter().copied().filter(|pair| targets.allows(pair.address)).collect();
        if allowed.is_empty() && !pairs.is_empty() {
            return Err(NoList::Private(pairs.len()));
        }
        let asked = diverse_pairs(&allowed, LISTS_ASKED);
        let read = Read::default();
        let answers = join_all(asked.iter().map(|pair| ask_one(*pair, each, &read))).await;
        drop(read);
        let mut why = None;
        let mut told = Vec::new();
        for (pair, answer) in asked.iter().zip(answers) {
            match answer {
                Ok(one) => told.push(one),
                Err(missing) => why = why.or_else(|| Some(format!("{}: {missing}", pair.address))),
            }
        }
        agree(told, asked.len(), why, &targets)
    }
}

fn agree(told: Vec<Told>, asked: usize, why: Option<String>, targets: &TargetPolicy) -> Result<ListsTold, NoList> {
    let networks = told.iter().map(|one| Network::of(one.from.address.ip())).collect::<BTreeSet<_>>().len();
    if networks < LEAST_NETWORKS {
        return Err(NoList::TooFew { asked, told: told.len(), networks, why });
    }
    let heard: Vec<Heard> = told
        .iter()
        .map(|one| Heard {
            from: Network::of(one.from.address.ip()),
            mirrors: one.listed.iter().map(|claimed| claimed.vantage).collect(),
        })
        .collect();
    let mut agreed = consensus(&heard);
    let trips = told.iter().filter_map(|one| Some((one.from.vantage, one.trip?))).collect();
    let count = told.len();
    let peers = verified(told, &agreed, targets);
    agreed.retain(|vantage, _| peers.contains_key(vantage));
    if agreed.len() < LEAST_KNOWN {
        return Err(NoList::NobodyAgreed { told: count, agreed: agreed.len() });
    }
    Ok(ListsTold { agreed, peers, trips, asked, told: count, networks })
}

/// The newest descriptor of each that holds. One is verified once, however many lists hold it.
fn verified(told: Vec<Told>, agreed: &BTreeMap<VantageId, u32>, targets: &TargetPolicy) -> BTreeMap<VantageId, Peer> {
    let mut claims: BTreeMap<VantageId, HashSet<Arc<Claimed>>> = BTreeMap::new();
    for claimed in told.into_iter().flat_map(|one| one.listed) {
        if agreed.contains_key(&claimed.vantage) {
            claims.entry(claimed.vantage).or_default().insert(claimed);
        }
    }
    let mut peers = BTreeMap::new();
    for (vantage, claims) in claims {
        let mut claims: Vec<Arc<Claimed>> = claims.into_iter().collect();
        claims.sort_unstable_by_key(|claimed| std::cmp::Reverse(claimed.issued_at));
        let holds = claims.into_iter().take(MOST_TRIED).find_map(|claimed| {
            let signed = Signed { body: claimed.body.clone(), signature: claimed.signature.clone() };
            Peer::verify(&AwsLc, signed, now()).ok().filter(|peer| peer.vantage() == vantage)
        });
        if let Some(peer) = holds.filter(|peer| targets.allows(peer.address())) {
            peers.insert(vantage, peer);
        }
    }
    peers
}

async fn ask_one(pair: Pair, each: Duration, read: &Read) -> Result<Told, Missing> {
    let url = VantageUrl::at(Host::Address(pair.address.ip()), pair.address.port(), pair.vantage);
    let mirror = NodeVantage::new(url, None).map_err(|why| Missing::Unreachable(why.to_string()))?;
    let mut listed = Vec::new();
    let take = |page: Vec<Listed>| {
        let active = page.into_iter().filter(|one| one.status == Status::Active);
        let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
        listed.extend(active.filter_map(|one| Some(once(claimed(one.descriptor)?, &mut read))));
    };
    mirror.each_page(Some(Status::Active), MOST_LIST_PAGES, Deadline::within(each), take).await?;
    Ok(Told { from: pair, trip: mirror.round_trip(), listed })
}

fn once(claimed: Claimed, read: &mut HashSet<Arc<Claimed>>) -> Arc<Claimed> {
    if let Some(known) = read.get(&claimed) {
        return Arc::clone(known);
    }
    let claimed = Arc::new(claimed);
    read.insert(Arc::clone(&claimed));
    claimed
}

fn claimed(signed: Signed) -> Option<Claimed> {
    #[derive(Deserialize)]
    struct Claim {
        vantage: VantageId,
        issued_at: Timestamp,
    }
    if signed.body.len() > LARGEST_DESCRIPTOR {
        return None;
    }
    let Claim { vantage, issued_at } = serde_json::from_str(&signed.body).ok()?;
    Some(Claimed { vantage, issued_at, body: signed.body, signature: signed.signature })
}

/// In an order that nobody can foresee.
pub fn in_any_order(pairs: impl IntoIterator<Item = Pair>, rng: &mut dyn Rng) -> Vec<Pair> {
    let mut drawn: Vec<(u64, Pair)> = pairs.into_iter().map(|pair| (rng.next_u64(), pair)).collect();
    drawn.sort_unstable_by_key(|(chance, pair)| (*chance, pair.vantage));
    drawn.into_iter().map(|(_, pair)| pair).collect()
}

/// At most so many, each id once; the first of every network before the second of any.
pub fn diverse_pairs(pairs: &[Pair], most: usize) -> Vec<Pair> {
    let mut met: BTreeMap<Network, usize> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let mut ranked: Vec<(usize, Pair)> = Vec::new();
    for pair in pairs.iter().filter(|pair| ids.insert(pair.vantage)) {
        let before = met.entry(Network::of(pair.address.ip())).or_default();
        ranked.push((*before, *pair));
        *before += 1;
    }
    ranked.sort_by_key(|(before, _)| *before);
    ranked.into_iter().map(|(_, pair)| pair).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(n: u8, address: &str) -> Pair {
        Pair { address: address.parse().unwrap(), vantage: VantageId::from_bytes([n; 32]) }
    }

    #[test]
    fn row_5_one_network_does_not_crowd_out_the_others() {
        let crowd = (0..100).map(|n| pair(n, &format!("192.0.2.{n}:8443")));
        let others = [pair(200, "198.51.100.1:8443"), pair(201, "203.0.113.1:8443"), pair(0, "203.0.113.9:8443")];
        let asked = diverse_pairs(&crowd.chain(others).collect::<Vec<_>>(), LISTS_ASKED);
        assert_eq!(asked.len(), LISTS_ASKED);
        assert_eq!(asked[1..3], [pair(200, "198.51.100.1:8443"), pair(201, "203.0.113.1:8443")]);
        assert_eq!(asked.iter().filter(|one| one.vantage == VantageId::from_bytes([0; 32])).count(), 1, "once each");
    }

    #[tokio::test]
    async fn no_list_leads_into_a_private_network() {
        let pairs = [pair(1, "127.1.0.1:8443"), pair(2, "10.0.0.1:8443"), pair(3, "192.168.0.1:443")];
        let error = ListsTold::ask(&pairs, false, Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error, NoList::Private(3));
        assert!(error.to_string().contains("--allow-private"));
    }
}
