use parallax_janus::trust::EdgeStanding;
use parallax_store::SqliteStore;

use super::*;
use crate::vouching::house::{House, Key};

/// 2026-11-25.
fn at(secs: i64) -> Timestamp {
    Timestamp::from_unix_secs(1_795_600_000 + secs)
}

struct Town {
    data: tempfile::TempDir,
    store: Arc<SqliteStore>,
    trust: Trust,
    house: House,
}

impl Town {
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join("identity")).unwrap();
        let store = Arc::new(SqliteStore::open(&data.path().join("db")).unwrap());
        let trust = Trust::open(data.path(), Arc::clone(&store) as _).await.unwrap();
        Self { data, store, trust, house: House::new(at(0)) }
    }

    fn person(&self, name: &str) -> Identity {
        self.house.identity(&format!("{name}@example.com"), &Key::new(), at(0))
    }

    async fn befriend(&self, one: &Identity, other: &Identity) {
        for (who, whom) in [(one, other), (other, one)] {
            self.trust.declare(who, whom.mailbox()).await.unwrap();
        }
    }

    async fn again(&self) -> Trust {
        Trust::open(self.data.path(), Arc::clone(&self.store) as _).await.unwrap()
    }

    async fn seen_by(&self, who: &Identity, now: Timestamp) -> Vec<VantageId> {
        let sight = self.trust.sight(who, |_| false, now).await.unwrap();
        sight.into_iter().flatten().flat_map(|(_, peers)| peers).collect()
    }
}

fn id(who: &Identity) -> VantageId {
    VantageId::from_bytes(*who.key().id().as_bytes())
}

async fn states(trust: &Trust, who: &Identity) -> Vec<EdgeStanding> {
    trust.declared(who).await.unwrap().into_iter().map(|(edge, _)| edge.standing).collect()
}

#[tokio::test]
async fn a_peer_is_seen_along_edges_while_its_advertisement_and_certificate_live_and_its_key_is_not_denied() {
    let town = Town::new().await;
    let (ann, bob) = (town.person("ann"), town.person("bob"));
    assert_eq!(town.trust.sight(&ann, |_| false, at(0)).await.unwrap(), None, "no edge, no sight");
    town.befriend(&ann, &bob).await;
    assert_eq!(town.seen_by(&ann, at(0)).await, [], "nobody is attached");
    town.trust.advertise(&bob, at(0)).await.unwrap();
    assert_eq!(town.seen_by(&ann, at(1)).await, [id(&bob)]);
    let denied = town.trust.sight(&ann, |key| *key == bob.key().id(), at(1)).await.unwrap().unwrap();
    assert_eq!(denied[0].1, [], "the edge is there, and nobody behind it");
    // The certificate ends a day after it began, five minutes before the advertisement would.
    assert_eq!(town.seen_by(&ann, bob.not_after()).await, []);
    town.trust.withdraw(&bob, ann.mailbox()).await.unwrap();
    assert_eq!(town.trust.sight(&ann, |_| false, at(1)).await.unwrap(), None);
}

#[tokio::test]
async fn what_was_declared_is_kept_and_only_its_owner_reads_the_secret() {
    use std::os::unix::fs::MetadataExt as _;
    let town = Town::new().await;
    let (ann, bob) = (town.person("ann"), town.person("bob"));
    town.befriend(&ann, &bob).await;
    town.trust.declare(&ann, &"carl@example.com".parse().unwrap()).await.unwrap();
    let again = town.again().await;
    assert_eq!(states(&again, &ann).await, [EdgeStanding::Mutual, EdgeStanding::Declared]);
    let words = |declared: Vec<(Declaration, Edge)>| declared.into_iter().map(|(_, edge)| edge).collect::<Vec<_>>();
    let before = words(town.trust.declared(&ann).await.unwrap());
    assert_eq!(words(again.declared(&ann).await.unwrap()), before);
    let secret = town.data.path().join(SECRET);
    assert_eq!(std::fs::metadata(&secret).unwrap().mode() & 0o777, 0o600);
    std::fs::write(&secret, "short").unwrap();
    let error = Trust::open(town.data.path(), Arc::clone(&town.store) as _).await.err().unwrap().to_string();
    assert!(error.contains("32 bytes"), "{error}");
}

#[tokio::test]
async fn what_is_damaged_is_left_out_and_its_number_is_nobody_elses() {
    let town = Town::new().await;
    let (ann, bob) = (town.person("ann"), town.person("bob"));
    town.befriend(&ann, &bob).await;
    // Bob's record is spoiled; Ann's names his number.
    let records: Arc<dyn Records> = Arc::clone(&town.store) as _;
    let there = records.get("trust", "0000000001").await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&there.bytes).contains("bob@"));
    records.put("trust", "0000000001", Some(there.version), b"{".to_vec()).await.unwrap();
    let again = town.again().await;
    assert_eq!(states(&again, &ann).await, [], "trust in nobody is no trust");
    // Whoever comes next must not inherit it.
    let eve = town.person("eve");
    again.declare(&eve, ann.mailbox()).await.unwrap();
    assert_eq!(again.sight(&eve, |_| false, at(0)).await.unwrap(), None);
    let third = town.again().await;
    assert_eq!(states(&third, &eve).await, [EdgeStanding::Declared]);
    assert_eq!(states(&third, &ann).await, []);
    assert_eq!(
        records.get("trust", "0000000001").await.unwrap().unwrap().bytes,
        b"{",
        "it is there for whoever repairs it"
    );
}

#[tokio::test]
async fn an_older_certificate_for_another_key_has_no_edges_and_takes_none_away() {
    let town = Town::new().await;
    let (bob, old, new) = (town.person("bob"), Key::new(), Key::new());
    let ann_before = town.house.identity("ann@example.com", &old, at(0));
    let ann = town.house.identity("ann@example.com", &new, at(10));
    town.befriend(&ann_before, &bob).await;
    assert_eq!(states(&town.trust, &ann_before).await, [EdgeStanding::Mutual]);
    assert_eq!(states(&town.trust, &ann).await, [EdgeStanding::Renew]);
    town.befriend(&ann, &bob).await;
    let refused = town.trust.declared(&ann_before).await.unwrap_err();
    assert!(matches!(refused, NotChanged::Refused(DeclareError::OldKey)), "{refused}");
    assert_eq!(town.trust.sight(&ann_before, |_| false, at(11)).await.unwrap(), None);
    assert!(town.trust.advertise(&ann_before, at(11)).await.is_err());
    assert_eq!(states(&town.again().await, &ann).await, [EdgeStanding::Mutual], "kept, too");
    // The same key with a renewed certificate changes nothing.
    let renewed = town.house.identity("ann@example.com", &new, at(20));
    assert_eq!(states(&town.trust, &renewed).await, [EdgeStanding::Mutual]);
}

#[tokio::test]
async fn five_hundred_edges_are_the_most() {
    let town = Town::new().await;
    let ann = town.person("ann");
    for number in 0..500 {
        town.trust.declare(&ann, &format!("p{number}@example.com").parse().unwrap()).await.unwrap();
    }
    let more = town.trust.declare(&ann, &"p500@example.com".parse().unwrap()).await.unwrap_err();
    assert!(matches!(more, NotChanged::Refused(DeclareError::TooMany)), "{more}");
    assert_eq!(states(&town.again().await, &ann).await.len(), 500);
}
