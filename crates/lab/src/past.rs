//! Pasts: what a vantage point would remember, had it run for years.

use std::net::Ipv4Addr;
use std::time::Duration;

use parallax_core::{Authority, History, Network, Record, Timespan, Timestamp};

use crate::certificate::{Ca, Certificate};

/// A history in the making. Moments are given as time before now; it enters a node through the store's own import.
#[derive(Clone, Debug)]
pub struct Past {
    now: Timestamp,
    roots: Vec<Ca>,
    history: History,
}

impl Past {
    pub(crate) fn new(now: Timestamp, roots: Vec<Ca>) -> Self {
        Self { now, roots, history: History::default() }
    }

    /// The certificate was shown and proved at this address, from `first` ago until `last` ago without a gap.
    pub fn saw(mut self, certificate: &Certificate, at: Ipv4Addr, first: Duration, last: Duration) -> Self {
        self.history.merge(&History {
            spans: vec![Timespan {
                key: certificate.key(),
                leaf: certificate.leaf(),
                leaf_md5: None,
                issuer_key: certificate.issuer_key(),
                ca_id: certificate.ca_id(&self.roots),
                networks: vec![Network::of(at.into())],
                proved: true,
                first_seen: self.now.minus(first),
                last_seen: self.now.minus(last),
            }],
            ..History::default()
        });
        self
    }

    /// DNS had this record, from `first` ago until `last` ago without a gap; an empty one is one too.
    pub fn read(mut self, record: Record, first: Duration, last: Duration) -> Self {
        let (first_seen, last_seen) = (self.now.minus(first), self.now.minus(last));
        let authority = vec![Authority { record, first_seen, last_seen }];
        self.history.merge(&History { authority, ..History::default() });
        self
    }

    /// What is remembered.
    pub fn history(self) -> History {
        self.history
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Validity;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn spans_and_records_are_as_a_node_would_have_written_them() {
        let now = Timestamp::from_unix_secs(1_800_000_000);
        let root = Ca::root("Example Trust Services").unwrap();
        let certificate = root.intermediate().unwrap().issue(&["shop.example"], Validity::current()).unwrap();
        let own = Certificate::self_signed(&["shop.example"], Validity::current()).unwrap();
        let record = Record { ca: [certificate.key()].into(), ..Record::default() };
        let history = Past::new(now, vec![root])
            .saw(&own, Ipv4Addr::new(127, 31, 1, 10), DAY * 2, Duration::ZERO)
            .saw(&certificate, Ipv4Addr::new(127, 30, 1, 10), DAY * 400, DAY)
            .read(record.clone(), DAY * 3, DAY)
            .history();
        let [old, young] = history.spans.as_slice() else { panic!("{history:?}") };
        assert_eq!((old.held(), old.last_seen), (DAY * 399, now.minus(DAY)));
        assert_eq!(old.ca_id.to_string(), "org:Example Trust Services");
        assert_eq!(old.issuer_key, certificate.issuer().map(Ca::key));
        assert_eq!(old.networks[0].to_string(), "127.30.0.0/16");
        assert_eq!((young.issuer_key, young.ca_id.to_string()), (None, format!("key:{}", own.key())));
        assert_eq!(history.authority[0].record, record);
    }
}
