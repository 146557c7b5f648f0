//! Out of one store and into another.

use parallax_core::{Authority, CaId, Fingerprint, MAX_SPANS, Md5Fingerprint, Network, Record, Timespan};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::commands::export::export;

fn print(number: u8) -> Fingerprint {
    Fingerprint::from_bytes([number; 32])
}

fn moments() -> impl Strategy<Value = (Timestamp, Timestamp)> {
    (0i64..1_790_000_000_000, 0i64..3_000_000_000)
        .prop_map(|(first, held)| (Timestamp::from_unix_ms(first), Timestamp::from_unix_ms(first + held)))
}

fn span() -> impl Strategy<Value = Timespan> {
    (any::<[u8; 4]>(), any::<[bool; 4]>(), moments(), vec(any::<[u8; 2]>(), 0..9), "[^\\u{0}]{1,40}").prop_map(
        |(
            [key, leaf, md5, issuer],
            [known_md5, known_issuer, by_name, proved],
            (first_seen, last_seen),
            networks,
            name,
        )| {
            Timespan {
                key: print(key),
                leaf: print(leaf),
                leaf_md5: known_md5.then(|| Md5Fingerprint::from_bytes([md5; 16])),
                issuer_key: known_issuer.then(|| print(issuer)),
                ca_id: if by_name { CaId::Organisation(name) } else { CaId::Key(print(issuer)) },
                networks: networks.into_iter().map(Network::V4).collect(),
                proved,
                first_seen,
                last_seen,
            }
        },
    )
}

fn authority() -> impl Strategy<Value = Authority> {
    (vec(any::<u8>(), 0..3), vec(any::<u8>(), 0..3), moments()).prop_map(|(ca, leaf, (first_seen, last_seen))| {
        let prints = |numbers: Vec<u8>| numbers.into_iter().map(print).collect();
        Authority { record: Record { ca: prints(ca), leaf: prints(leaf) }, first_seen, last_seen }
    })
}

fn old() -> impl Strategy<Value = OldSpan> {
    (any::<u8>(), moments()).prop_map(|(leaf, (first_seen, last_seen))| OldSpan {
        leaf_md5: Md5Fingerprint::from_bytes([leaf; 16]),
        first_seen,
        last_seen,
    })
}

fn known() -> impl Strategy<Value = (History, Vec<OldSpan>)> {
    (vec(span(), 0..80), vec(authority(), 0..20), vec(old(), 0..4))
        .prop_map(|(spans, authority, old)| (History { spans, authority, ..History::default() }, old))
}

fn store() -> (tempfile::TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("parallax.sqlite")).unwrap();
    (directory, store)
}

async fn exported(store: &SqliteStore) -> String {
    let mut bytes = Vec::new();
    assert!(export(store, &mut bytes).await.unwrap());
    String::from_utf8(bytes).unwrap()
}

async fn import_text(store: &SqliteStore, text: &str) -> Result<Tally, Failure> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    import(store, Lines::open(file.path().to_str().unwrap(), LONGEST_LINE, WANTED)?, now()).await
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn out_and_in_again_is_the_same(histories in vec(known(), 0..6)) {
        block_on(async {
            let (_one, first) = store();
            for (number, (history, old)) in histories.iter().enumerate() {
                let service: ServiceId = format!("host-{number}.example:{}", 1000 + number).parse().unwrap();
                first.import(&service, history.clone()).await.unwrap();
                add_old_spans(&first, &service, old).await.unwrap();
            }
            let text = exported(&first).await;
            let (_two, second) = store();
            let wanted = Tally { good: histories.len(), bad: 0 };
            for _ in 0..2 {
                assert_eq!(import_text(&second, &text).await.unwrap(), wanted);
                assert_eq!(exported(&second).await, text, "and once more changes nothing");
            }
            for number in 0..histories.len() {
                let service: ServiceId = format!("host-{number}.example:{}", 1000 + number).parse().unwrap();
                assert_eq!(second.known(&service).await.unwrap(), first.known(&service).await.unwrap());
            }
        });
    }
}

#[test]
fn a_full_history_goes_through_one_line() {
    block_on(async {
        let spans = (0..MAX_SPANS as i64).map(|number| Timespan {
            key: print(number as u8),
            leaf: print(number as u8),
            leaf_md5: Some(Md5Fingerprint::from_bytes([7; 16])),
            issuer_key: Some(print(9)),
            ca_id: CaId::Organisation("\u{1}".repeat(256)),
            networks: (0..8).map(|n| Network::V6([number as u16, n])).collect(),
            proved: false,
            first_seen: Timestamp::from_unix_ms(number),
            last_seen: Timestamp::from_unix_ms(number + 1),
        });
        let keys: std::collections::BTreeSet<_> = (0..64).map(print).collect();
        let authority = (0..16i64).map(|number| Authority {
            record: Record { ca: keys.clone(), leaf: keys.iter().take(number as usize).copied().collect() },
            first_seen: Timestamp::from_unix_ms(number),
            last_seen: Timestamp::from_unix_ms(number),
        });
        let history = History { spans: spans.collect(), authority: authority.collect(), ..History::default() };
        let (_one, first) = store();
        let service = "full.example".parse().unwrap();
        first.import(&service, history).await.unwrap();
        let text = exported(&first).await;
        let longest = text.lines().map(str::len).max().unwrap() as u64;
        assert!(longest * 2 < LONGEST_LINE, "{longest}");
        let (_two, second) = store();
        assert_eq!(import_text(&second, &text).await.unwrap(), Tally { good: 1, bad: 0 });
        assert_eq!(exported(&second).await, text);
    });
}

#[test]
fn many_old_rows_of_many_services() {
    let text: String = (0..5000)
        .map(|n| {
            let (service, start) = (n % 7, 1_000_000 * (n % 11));
            format!(
                "host-{service}.example:443,2\t00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:{:02x}\t{start}\t{}\n",
                n % 3,
                start + 5
            )
        })
        .collect();
    block_on(async {
        let (_directory, store) = store();
        assert_eq!(import_text(&store, &text).await.unwrap(), Tally { good: 5000, bad: 0 });
        let service: ServiceId = "host-3.example".parse().unwrap();
        assert_eq!(parallax_store::old_spans(&store, &service).await.unwrap().len(), 3 * 11);
        let known = store.known(&service).await.unwrap().unwrap();
        assert!(known.history.spans.is_empty(), "nothing is made up");
    });
}
