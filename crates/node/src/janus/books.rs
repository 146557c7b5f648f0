//! What a janus keeps across restarts: orders, who was certified, what was revoked, and mails that have not gone out.
//!
//! Whatever is answered is on disk first. No secret of an order is: of its tokens and its code the hashes alone
//! (`docs/protocols/janus.md`).

use std::sync::Arc;

use parallax_core::{Fingerprint, Timestamp};
use parallax_janus::{Certified, MAILBOX_PROOF_LIFE, Mailbox, Order, Token};
use parallax_probe::sha256;
use parallax_store::{Record, Records, StoreError, Version};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::post::Parcel;

/// Orders, by their ids.
const ORDERS: &str = "janus-orders";
/// Who was certified: key, mailbox.
const CERTIFIED: &str = "janus-certified";
/// The same the other way round, without content.
const MAILBOXES: &str = "janus-mailboxes";
/// Keys on the deny list.
const DENIED: &str = "janus-denied";
/// Mails that have not gone out.
const MAILS: &str = "janus-mails";

/// Records read at once.
const PAGE: usize = 500;

/// Keys of one mailbox that are looked at.
const MOST_KEYS: usize = 1_000;

/// Behind every character that a key may begin with.
const END: &str = "\u{7f}";

/// A key on the deny list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Denial {
    /// When its last certificate has ended.
    until: Timestamp,
}

/// The records of a janus.
#[derive(Clone)]
pub(super) struct Books {
    records: Arc<dyn Records>,
}

impl Books {
    pub(super) fn new(records: Arc<dyn Records>) -> Self {
        Self { records }
    }

    /// An order, with the version that a change must name.
    pub(super) async fn order(&self, id: &str) -> Result<Option<(Order, Version)>, StoreError> {
        let record = self.records.get(ORDERS, id).await?;
        Ok(record.and_then(|record| Some((read(&record, "an order")?, record.version))))
    }

    /// Keeps an order; [`StoreError::Conflict`] when somebody else has changed it.
    pub(super) async fn keep_order(&self, order: &Order, expected: Option<Version>) -> Result<(), StoreError> {
        let (id, bytes) = (order.id().to_string(), serde_json::to_vec(order).unwrap_or_default());
        self.records.put(ORDERS, &id, expected, bytes).await.map(drop)
    }

    /// What is remembered of a mailbox and a key.
    pub(super) async fn certified(&self, mailbox: &Mailbox, key: Fingerprint) -> Result<Option<Certified>, StoreError> {
        let record = self.records.get(CERTIFIED, &standing_key(key, &mark(mailbox))).await?;
        Ok(record.and_then(|record| read(&record, "a certified key")))
    }

    /// Keeps what is to be remembered of a mailbox and a key, over what is there.
    pub(super) async fn certify(&self, certified: &Certified) -> Result<(), StoreError> {
        let mark = mark(&certified.mailbox);
        // The index first: what it names in vain does no harm, what it lacks could not be revoked by its mailbox.
        self.put_over(MAILBOXES, &mailbox_key(&mark, certified.key), Vec::new()).await?;
        let bytes = serde_json::to_vec(certified).unwrap_or_default();
        self.put_over(CERTIFIED, &standing_key(certified.key, &mark), bytes).await
    }

    /// The keys that a mailbox holds.
    pub(super) async fn keys_of(&self, mailbox: &Mailbox) -> Result<Vec<Fingerprint>, StoreError> {
        let mark = mark(mailbox);
        let rows = self.records.range(MAILBOXES, format!("{mark}/")..format!("{mark}0"), MOST_KEYS).await?;
        Ok(rows.iter().filter_map(|row| row.key.rsplit('/').next()?.parse().ok()).collect())
    }

    /// The mailboxes that a key is certified for.
    pub(super) async fn standings_of(&self, key: Fingerprint) -> Result<Vec<Certified>, StoreError> {
        let rows = self.records.range(CERTIFIED, format!("{key}/")..format!("{key}0"), MOST_KEYS).await?;
        Ok(rows.iter().filter_map(|row| read(row, "a certified key")).collect())
    }

    /// A page of all that were certified, and where the next one begins.
    pub(super) async fn page(&self, from: &str, limit: usize) -> Result<(Vec<Certified>, Option<String>), StoreError> {
        let rows = self.records.range(CERTIFIED, from.to_owned()..END.to_owned(), limit).await?;
        let next = rows.last().filter(|_| rows.len() >= limit).map(|last| behind(&last.key));
        Ok((rows.iter().filter_map(|row| read(row, "a certified key")).collect(), next))
    }

    /// Forgets a mailbox's standing with a key.
    pub(super) async fn forget(&self, certified: &Certified) -> Result<(), StoreError> {
        let mark = mark(&certified.mailbox);
        self.delete(CERTIFIED, &standing_key(certified.key, &mark)).await?;
        self.delete(MAILBOXES, &mailbox_key(&mark, certified.key)).await
    }

    /// Puts a key on the deny list until then.
    pub(super) async fn deny(&self, key: Fingerprint, until: Timestamp) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(&Denial { until }).unwrap_or_default();
        self.put_over(DENIED, &key.to_string(), bytes).await
    }

    /// All keys on the deny list.
    pub(super) async fn denied(&self) -> Result<Vec<(Fingerprint, Timestamp)>, StoreError> {
        let rows = self.all(DENIED).await?;
        let denial = |row: &Record| Some((row.key.parse().ok()?, read::<Denial>(row, "a revoked key")?.until));
        Ok(rows.iter().filter_map(denial).collect())
    }

    /// Takes keys off whose certificates have ended.
    pub(super) async fn undeny(&self, key: Fingerprint) -> Result<(), StoreError> {
        self.delete(DENIED, &key.to_string()).await
    }

    /// Keeps a mail that has not gone out.
    pub(super) async fn keep_parcel(&self, name: &str, parcel: &Parcel) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(parcel).unwrap_or_default();
        self.put_over(MAILS, name, bytes).await
    }

    /// Forgets a mail: it has gone out, or never will.
    pub(super) async fn drop_parcel(&self, name: &str) -> Result<(), StoreError> {
        self.delete(MAILS, name).await
    }

    /// The mails that have not gone out.
    pub(super) async fn parcels(&self) -> Result<Vec<(String, Parcel)>, StoreError> {
        let rows = self.all(MAILS).await?;
        Ok(rows.into_iter().filter_map(|row| Some((row.key.clone(), read(&row, "a mail")?))).collect())
    }

    /// Forgets orders whose time is over, and standings that mean nothing any more. How many standings are left.
    pub(super) async fn sweep(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut orders = Pages::of(self, ORDERS);
        while let Some(page) = orders.next().await? {
            for row in page {
                if read::<Order>(&row, "an order").is_none_or(|order| order.expires_at() <= now) {
                    self.delete(ORDERS, &row.key).await?;
                }
            }
        }
        let (mut standings, mut left) = (Pages::of(self, CERTIFIED), 0);
        while let Some(page) = standings.next().await? {
            for row in page {
                match read::<Certified>(&row, "a certified key") {
                    Some(certified) if is_remembered(&certified, now) => left += 1,
                    Some(certified) => self.forget(&certified).await?,
                    None => self.delete(CERTIFIED, &row.key).await?,
                }
            }
        }
        Ok(left)
    }

    async fn all(&self, namespace: &'static str) -> Result<Vec<Record>, StoreError> {
        let (mut pages, mut rows) = (Pages::of(self, namespace), Vec::new());
        while let Some(page) = pages.next().await? {
            rows.extend(page);
        }
        Ok(rows)
    }

    async fn put_over(&self, namespace: &str, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let mut expected = self.records.get(namespace, key).await?.map(|record| record.version);
        loop {
            match self.records.put(namespace, key, expected, bytes.clone()).await {
                Err(StoreError::Conflict { found, .. }) => expected = found,
                written => return written.map(drop),
            }
        }
    }

    async fn delete(&self, namespace: &str, key: &str) -> Result<(), StoreError> {
        let mut expected = self.records.get(namespace, key).await?.map(|record| record.version);
        while let Some(version) = expected {
            match self.records.delete(namespace, key, version).await {
                Err(StoreError::Conflict { found, .. }) => expected = found,
                deleted => return deleted,
            }
        }
        Ok(())
    }
}

/// All of a namespace, a page at a time.
struct Pages<'a> {
    records: &'a dyn Records,
    namespace: &'static str,
    from: String,
}

impl<'a> Pages<'a> {
    fn of(books: &'a Books, namespace: &'static str) -> Self {
        Self { records: books.records.as_ref(), namespace, from: String::from(" ") }
    }

    async fn next(&mut self) -> Result<Option<Vec<Record>>, StoreError> {
        let page = self.records.range(self.namespace, self.from.clone()..END.to_owned(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(None) };
        self.from = behind(&last.key);
        Ok(Some(page))
    }
}

/// A standing is good for renewals until the proof is too old, and for revocation until its last certificate has ended.
fn is_remembered(certified: &Certified, now: Timestamp) -> bool {
    now < certified.not_after || now < certified.proved_at.plus(MAILBOX_PROOF_LIFE)
}

fn read<T: DeserializeOwned>(record: &Record, what: &'static str) -> Option<T> {
    let read = serde_json::from_slice(&record.bytes);
    // Its key may be a mailbox's; the log names nobody.
    read.map_err(|error| tracing::warn!(%error, "{what} that was kept can't be read; it is left out")).ok()
}

/// Where the next page begins.
fn behind(key: &str) -> String {
    format!("{key}\u{1}")
}

/// What stands for a mailbox in keys: they have a bound, and fewer characters.
fn mark(mailbox: &Mailbox) -> String {
    sha256(mailbox.as_str().as_bytes()).to_string().chars().take(32).collect()
}

fn standing_key(key: Fingerprint, mark: &str) -> String {
    format!("{key}/{mark}")
}

fn mailbox_key(mark: &str, key: Fingerprint) -> String {
    format!("{mark}/{key}")
}

/// The name of an order's mail.
pub(super) fn parcel_of(order: &Token) -> String {
    format!("order-{order}")
}
