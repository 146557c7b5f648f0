//! What a history takes in memory. Strangers decide what is in it: certificates with many names, records with hundreds of
//! keys. So it is counted, not guessed.

use parallax_core::{Authority, CaId, DnsAnswers, Look, Met, Timespan};
use parallax_store::Known;

/// The place in the table, and what allocations cost beside their content.
const ENTRY: usize = 600;

/// One fingerprint in a set, with its share of a node of the tree.
const IN_A_SET: usize = 48;

/// Bytes, a little more rather than less.
pub(crate) fn weight(known: &Known) -> u32 {
    let spans: usize = known.history.spans.iter().map(span).sum();
    let authority: usize = known.history.authority.iter().map(record).sum();
    let turns = size_of_val(known.history.turns.as_slice());
    let latest = known.latest.as_ref().map_or(0, look);
    u32::try_from(ENTRY + spans + authority + turns + latest).unwrap_or(u32::MAX)
}

fn span(span: &Timespan) -> usize {
    size_of::<Timespan>() + ca(&span.ca_id) + size_of_val(span.networks.as_slice())
}

fn ca(id: &CaId) -> usize {
    match id {
        CaId::Organisation(name) => name.len(),
        CaId::Key(_) => 0,
    }
}

fn record(entry: &Authority) -> usize {
    size_of::<Authority>() + IN_A_SET * (entry.record.ca.len() + entry.record.leaf.len())
}

fn look(look: &Look) -> usize {
    size_of::<Look>() + dns(&look.dns) + look.now.met.as_ref().map_or(0, met)
}

fn dns(dns: &DnsAnswers) -> usize {
    let tlsa = dns.tlsa.iter().flatten().map(|record| size_of_val(record) + record.data.len());
    let caa = dns.caa.iter().flatten().map(|text| one_text(text));
    let fixed = [slice(&dns.a), slice(&dns.aaaa), slice(&dns.ca)];
    tlsa.chain(caa).chain(fixed).sum()
}

fn slice<T>(records: &Option<Vec<T>>) -> usize {
    records.as_ref().map_or(0, |records| size_of_val(records.as_slice()))
}

fn met(met: &Met) -> usize {
    let names: usize = met.names.iter().map(|name| one_text(name)).sum();
    // A host key is a blob beside its names and digests.
    let host_keys: usize = met.host_keys.iter().map(|key| size_of_val(key) + key.blob.len()).sum();
    let prints = size_of_val(met.chain.as_slice()) + size_of_val(met.path.as_slice());
    names + host_keys + prints + ca(&met.ca_id)
}

fn one_text(text: &str) -> usize {
    size_of::<String>() + text.len()
}

#[cfg(test)]
mod tests {
    use parallax_core::{Fingerprint, History, Record, Timestamp};

    use super::*;

    #[test]
    fn what_strangers_can_blow_up_is_counted() {
        let empty = Known { history: History::default(), latest: None };
        assert!(weight(&empty) < 1000);
        let keys = (0..900u16).map(|number| {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&number.to_be_bytes());
            Fingerprint::from_bytes(bytes)
        });
        let moment = Timestamp::from_unix_secs(0);
        let record = Record { ca: keys.clone().collect(), leaf: Default::default() };
        let entry = Authority { record, first_seen: moment, last_seen: moment };
        let mut known = empty.clone();
        known.history.authority = vec![entry; 16];
        assert!(weight(&known) > 16 * 900 * 32, "{}", weight(&known));
        let mut looked = empty;
        let dns = DnsAnswers { ca: Some(keys.collect()), caa: Some(vec!["x".repeat(5000)]), ..DnsAnswers::default() };
        let now = parallax_core::Observation::failed(moment, None, parallax_core::Outcome::Timeout);
        looked.latest = Some(Look { dns, now });
        assert!(weight(&looked) > 900 * 32 + 5000, "{}", weight(&looked));
    }
}
