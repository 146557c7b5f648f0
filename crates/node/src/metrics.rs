//! What a node counts. Nothing here says who asked, or about what.

mod janus;

use std::sync::Arc;
use std::time::Duration;

use parallax_proto::hub::Stats;
use parallax_store::SqliteStore;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

pub(crate) use self::janus::JanusMetrics;
pub use self::janus::{
    JANUS_ANSWERS, JANUS_CERTIFICATES, JANUS_DENIED, JANUS_ISSUING_END, JANUS_MAILS, JANUS_MAILS_WAITING, JANUS_ORDERS,
    JANUS_REVOCATIONS,
};

/// Requests, by `route` (the template, never the path) and `status`.
pub const HTTP_REQUESTS: &str = "parallax_http_requests_total";
/// Time from a request's header to its answer, by `route`, in seconds.
pub const HTTP_REQUEST_SECONDS: &str = "parallax_http_request_seconds";
/// Open connections, by `listener`: `http` or `https`.
pub const HTTP_CONNECTIONS: &str = "parallax_http_connections";
/// Connections that were cut before a request, by `reason`: `crowded` (all together), `source` (one network),
/// `handshake` (TLS failed or took too long), `accept` (the system refused).
pub const HTTP_CONNECTIONS_REFUSED: &str = "parallax_http_connections_refused_total";
/// Looks that ended, by `outcome`.
pub const LOOKS: &str = "parallax_node_looks_total";
/// Time of a look with DNS, in seconds.
pub const LOOK_SECONDS: &str = "parallax_node_look_seconds";
/// Looks under way.
pub const LOOKS_UNDER_WAY: &str = "parallax_node_looks_under_way";
/// Views that were signed or given out again, by `source`: `look`, `history`, `memory` (the store could not answer),
/// `again` (finished bytes), `pending`, `address`.
pub const VIEWS: &str = "parallax_node_views_total";
/// DNS answers, by `source`: `resolver` or `again`.
pub const DNS_ANSWERS: &str = "parallax_node_dns_answers_total";
/// Requests that were refused, by `limit`: `source`, `looks`, `target`, `dns`, `spelling`, `store`, `federation`,
/// `clock`, `stopping`, `lost`.
pub const REFUSED: &str = "parallax_node_refused_total";
/// Histories that were asked for, by `source`: `memory`, `store`, `stale` (memory, because the store could not answer).
pub const HISTORIES: &str = "parallax_node_histories_total";
/// Perspectives requests, by what came of them: `again` (finished bytes), `kept` (with the signature from the store),
/// `signed`, `stale` (finished bytes, because the store could not answer), `unknown`.
pub const LEGACY_REPLIES: &str = "parallax_node_legacy_replies_total";
/// RSA signatures for Perspectives replies.
pub const LEGACY_SIGNATURES: &str = "parallax_node_legacy_signatures_total";
/// Signatures made with the statement key.
pub const SIGNATURES: &str = "parallax_node_signatures_total";
/// When the server certificate ends, in seconds since 1970.
pub const SERVER_CERTIFICATE_END: &str = "parallax_node_server_certificate_end_seconds";

/// Looks of the scan, by `outcome`; `refused` when a limit of this node left no room.
pub const SCAN_LOOKS: &str = "parallax_scan_looks_total";
/// Services that the scan knows of.
pub const SCAN_SERVICES: &str = "parallax_scan_services";
/// Services that were due when the scan last read the store.
pub const SCAN_DUE: &str = "parallax_scan_due_services";

/// What the federation's state machine asked for, by `kind`: `ask` (a quiz), `ping`, `meet`, `look`, `forward`,
/// `fetch-list`, `ask-removal`, `fetch-vote`, `vote`, `notify`, `persist`.
pub const MIRROR_ACTIONS: &str = "parallax_mirror_actions_total";
/// Notices that this node fell in another mirror's list.
pub const MIRROR_NOTICES: &str = "parallax_mirror_notices_total";
/// Mirrors that are known, by `status`: `candidate`, `active`, `inactive`, `gone`.
pub const MIRRORS: &str = "parallax_mirror_known";

/// Peers that are attached to this hub.
pub const HUB_PEERS: &str = "parallax_hub_peers";
/// Questions to this hub that are under way.
pub const HUB_ASKS_OPEN: &str = "parallax_hub_asks_open";
/// Questions to this hub that ended, by `ended`: `complete`, `nobody-left`, `deadline`, `limited`, `stopping`.
pub const HUB_ASKS: &str = "parallax_hub_asks_total";
/// Views that were given to askers, by `source`: `peer` or `memory`.
pub const HUB_VIEWS: &str = "parallax_hub_views_total";
/// What became of looks and replies, by `result`: `asked`, `failed`, `replaced` (slow), `unasked` (dropped), `malformed`
/// (dropped).
pub const HUB_LOOKS: &str = "parallax_hub_looks_total";
/// Peers that were detached because they were silent.
pub const HUB_SILENT: &str = "parallax_hub_silent_total";
/// Other hubs of the same group that are there.
pub const HUB_SIBLINGS: &str = "parallax_hub_siblings";
/// Peers that are attached at them.
pub const HUB_SHARED_PEERS: &str = "parallax_hub_shared_peers";
/// Looks that peers of this hub were asked for by other hubs of the group.
pub const HUB_LENT: &str = "parallax_hub_lent_looks_total";
/// Messages of the group, by `outcome`: `sent`, `lost` (the queue was away or too slow), `heard`, `refused` (not sealed by
/// a hub of the group, or not now).
pub const HUB_GROUP_MESSAGES: &str = "parallax_hub_group_messages_total";
/// 1 while the message queue is there, 0 while it is away or there is none.
pub const BUS_CONNECTED: &str = "parallax_bus_connected";
/// Channels that are open.
pub const CHANNELS_OPEN: &str = "parallax_channel_open";
/// Requests for a channel, by `outcome`: `created`, or why not (`form`, `address`, `server`, `stale`, `replayed`,
/// `signature`, `not-registered`, `blocked`, `key-rate`, `frequent`, `busy`, `failed`).
pub const CHANNEL_CREATIONS: &str = "parallax_channel_creations_total";
/// Messages on channels, by `outcome`: `opened`, or why not (`form`, `address`, `no-channel`, `unopened`, `violation`,
/// `blocked`, `busy`, `failed`).
pub const CHANNEL_MESSAGES: &str = "parallax_channel_messages_total";
/// What was said unasked, by `outcome`: `sent`, or `lost` with its connection.
pub const CHANNEL_PUSHES: &str = "parallax_channel_pushes_total";

/// Transactions of the store, by `name` and `result`: `committed` or `failed`.
pub const STORE_TRANSACTIONS: &str = "parallax_store_transactions_total";
/// Time spent in them, by `name`, in seconds.
pub const STORE_SECONDS: &str = "parallax_store_transaction_seconds_total";

type Label = [(&'static str, &'static str); 1];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteStatus {
    route: &'static str,
    status: u16,
}

/// The counters of one node.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RouteStatus, Counter>,
    request_seconds: Family<Label, Histogram>,
    connections: Family<Label, Gauge>,
    connections_refused: Family<Label, Counter>,
    looks: Family<Label, Counter>,
    look_seconds: Histogram,
    pub(crate) looks_under_way: Gauge,
    views: Family<Label, Counter>,
    dns_answers: Family<Label, Counter>,
    refused: Family<Label, Counter>,
    histories: Family<Label, Counter>,
    legacy_replies: Family<Label, Counter>,
    pub(crate) legacy_signatures: Counter,
    pub(crate) signatures: Counter,
    pub(crate) server_certificate_end: Gauge,
    scan_looks: Family<Label, Counter>,
    pub(crate) scan_services: Gauge,
    pub(crate) scan_due: Gauge,
    mirror_actions: Family<Label, Counter>,
    pub(crate) mirror_notices: Counter,
    mirrors: Family<Label, Gauge>,
    pub(crate) hub_peers: Gauge,
    pub(crate) hub_asks_open: Gauge,
    hub_asks: Family<Label, Counter>,
    hub_views: Family<Label, Counter>,
    hub_looks: Family<Label, Counter>,
    hub_silent: Counter,
    pub(crate) hub_siblings: Gauge,
    pub(crate) hub_shared_peers: Gauge,
    hub_lent: Counter,
    hub_group_messages: Family<Label, Counter>,
    pub(crate) bus_connected: Gauge,
    pub(crate) channels_open: Gauge,
    channel_creations: Family<Label, Counter>,
    channel_messages: Family<Label, Counter>,
    channel_pushes: Family<Label, Counter>,
    pub(crate) janus: JanusMetrics,
}

/// From a millisecond to the longest that anything here may take.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0];

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(histogram),
            connections: Family::default(),
            connections_refused: Family::default(),
            looks: Family::default(),
            look_seconds: histogram(),
            looks_under_way: Gauge::default(),
            views: Family::default(),
            dns_answers: Family::default(),
            refused: Family::default(),
            histories: Family::default(),
            legacy_replies: Family::default(),
            legacy_signatures: Counter::default(),
            signatures: Counter::default(),
            server_certificate_end: Gauge::default(),
            scan_looks: Family::default(),
            scan_services: Gauge::default(),
            scan_due: Gauge::default(),
            mirror_actions: Family::default(),
            mirror_notices: Counter::default(),
            mirrors: Family::default(),
            hub_peers: Gauge::default(),
            hub_asks_open: Gauge::default(),
            hub_asks: Family::default(),
            hub_views: Family::default(),
            hub_looks: Family::default(),
            hub_silent: Counter::default(),
            hub_siblings: Gauge::default(),
            hub_shared_peers: Gauge::default(),
            hub_lent: Counter::default(),
            hub_group_messages: Family::default(),
            bus_connected: Gauge::default(),
            channels_open: Gauge::default(),
            channel_creations: Family::default(),
            channel_messages: Family::default(),
            channel_pushes: Family::default(),
            janus: JanusMetrics::default(),
        };
        metrics.register_all();
        metrics
    }

    fn register_all(&mut self) {
        self.register(HTTP_REQUESTS, "Requests by route and status", self.requests.clone());
        self.register(HTTP_REQUEST_SECONDS, "Time to answer a request", self.request_seconds.clone());
        self.register(HTTP_CONNECTIONS, "Open connections", self.connections.clone());
        self.register(HTTP_CONNECTIONS_REFUSED, "Connections cut before a request", self.connections_refused.clone());
        self.register(LOOKS, "Looks that ended, by outcome", self.looks.clone());
        self.register(LOOK_SECONDS, "Time of a look", self.look_seconds.clone());
        self.register(LOOKS_UNDER_WAY, "Looks under way", self.looks_under_way.clone());
        self.register(VIEWS, "Views given out, by source", self.views.clone());
        self.register(DNS_ANSWERS, "DNS answers given out, by source", self.dns_answers.clone());
        self.register(REFUSED, "Requests refused, by limit", self.refused.clone());
        self.register(HISTORIES, "Histories asked for, by source", self.histories.clone());
        self.register(LEGACY_REPLIES, "Perspectives requests, by result", self.legacy_replies.clone());
        self.register(LEGACY_SIGNATURES, "RSA signatures for Perspectives", self.legacy_signatures.clone());
        self.register(SIGNATURES, "Signatures by the statement key", self.signatures.clone());
        self.register(
            SERVER_CERTIFICATE_END,
            "When the server certificate ends, seconds since 1970",
            self.server_certificate_end.clone(),
        );
        self.register(SCAN_LOOKS, "Looks of the scan, by outcome", self.scan_looks.clone());
        self.register(SCAN_SERVICES, "Services that the scan knows of", self.scan_services.clone());
        self.register(SCAN_DUE, "Services that were due", self.scan_due.clone());
        self.register(MIRROR_ACTIONS, "What the federation's state machine asked for", self.mirror_actions.clone());
        self.register(MIRROR_NOTICES, "Notices of a fall in another mirror's list", self.mirror_notices.clone());
        self.register(MIRRORS, "Mirrors that are known, by status", self.mirrors.clone());
        self.register(HUB_PEERS, "Peers attached to this hub", self.hub_peers.clone());
        self.register(HUB_ASKS_OPEN, "Questions to this hub under way", self.hub_asks_open.clone());
        self.register(HUB_ASKS, "Questions to this hub that ended", self.hub_asks.clone());
        self.register(HUB_VIEWS, "Views given to askers, by source", self.hub_views.clone());
        self.register(HUB_LOOKS, "Looks of peers, by result", self.hub_looks.clone());
        self.register(HUB_SILENT, "Peers detached for their silence", self.hub_silent.clone());
        self.register(HUB_SIBLINGS, "Other hubs of the group", self.hub_siblings.clone());
        self.register(HUB_SHARED_PEERS, "Peers attached at other hubs of the group", self.hub_shared_peers.clone());
        self.register(HUB_LENT, "Looks of peers for other hubs of the group", self.hub_lent.clone());
        self.register(HUB_GROUP_MESSAGES, "Messages between hubs of the group", self.hub_group_messages.clone());
        self.register(BUS_CONNECTED, "Whether the message queue is there", self.bus_connected.clone());
        self.register(CHANNELS_OPEN, "Channels that are open", self.channels_open.clone());
        self.register(CHANNEL_CREATIONS, "Requests for a channel", self.channel_creations.clone());
        self.register(CHANNEL_MESSAGES, "Messages on channels", self.channel_messages.clone());
        self.register(CHANNEL_PUSHES, "What was said unasked on channels", self.channel_pushes.clone());
        self.janus.register(&mut self.registry);
    }

    fn register(&mut self, name: &'static str, help: &'static str, metric: impl Metric) {
        self.registry.register(stem(name), help, metric);
    }

    /// Adds what the store counts.
    pub(crate) fn with_store(mut self, store: Arc<SqliteStore>) -> Self {
        self.registry.register_collector(Box::new(Transactions(store)));
        self
    }

    /// Everything in the OpenMetrics text format; `None` when it can't be written.
    pub(crate) fn encode(&self) -> Option<String> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).ok()?;
        Some(text)
    }

    pub(crate) fn request(&self, route: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&RouteStatus { route, status }).inc();
        self.request_seconds.get_or_create(&[("route", route)]).observe(took.as_secs_f64());
    }

    pub(crate) fn connections(&self, listener: &'static str) -> Gauge {
        self.connections.get_or_create_owned(&[("listener", listener)])
    }

    pub(crate) fn connection_refused(&self, reason: &'static str) {
        self.connections_refused.get_or_create(&[("reason", reason)]).inc();
    }

    pub(crate) fn look(&self, outcome: &'static str, took: Duration) {
        self.looks.get_or_create(&[("outcome", outcome)]).inc();
        self.look_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn scanned(&self, outcome: &'static str) {
        self.scan_looks.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn mirror_action(&self, kind: &'static str) {
        self.mirror_actions.get_or_create(&[("kind", kind)]).inc();
    }

    pub(crate) fn mirrors(&self, status: &'static str, count: usize) {
        self.mirrors.get_or_create(&[("status", status)]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn hub_ask(&self, ended: &'static str) {
        self.hub_asks.get_or_create(&[("ended", ended)]).inc();
    }

    /// What was counted since it was counted before.
    pub(crate) fn hub_stats(&self, before: &Stats, now: &Stats) {
        let add = |family: &Family<Label, Counter>, label: (&'static str, &'static str), before: u64, now: u64| {
            if now > before {
                family.get_or_create(&[label]).inc_by(now - before);
            }
        };
        add(&self.hub_views, ("source", "peer"), before.routed, now.routed);
        add(&self.hub_views, ("source", "memory"), before.cached, now.cached);
        add(&self.hub_looks, ("result", "asked"), before.looks, now.looks);
        add(&self.hub_looks, ("result", "failed"), before.failed, now.failed);
        add(&self.hub_looks, ("result", "replaced"), before.replaced, now.replaced);
        add(&self.hub_looks, ("result", "unasked"), before.unasked, now.unasked);
        add(&self.hub_looks, ("result", "malformed"), before.malformed, now.malformed);
        self.hub_silent.inc_by(now.silent.saturating_sub(before.silent));
        self.hub_lent.inc_by(now.lent.saturating_sub(before.lent));
    }

    pub(crate) fn hub_group_message(&self, outcome: &'static str) {
        self.hub_group_messages.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn channel_creation(&self, outcome: &'static str) {
        self.channel_creations.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn channel_message(&self, outcome: &'static str) {
        self.channel_messages.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn channel_push(&self, outcome: &'static str) {
        self.channel_pushes.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn view(&self, source: &'static str) {
        self.views.get_or_create(&[("source", source)]).inc();
    }

    pub(crate) fn dns_answer(&self, source: &'static str) {
        self.dns_answers.get_or_create(&[("source", source)]).inc();
    }

    pub(crate) fn history(&self, source: &'static str) {
        self.histories.get_or_create(&[("source", source)]).inc();
    }

    pub(crate) fn legacy_reply(&self, source: &'static str) {
        self.legacy_replies.get_or_create(&[("source", source)]).inc();
    }

    pub(crate) fn refused(&self, limit: &'static str) {
        self.refused.get_or_create(&[("limit", limit)]).inc();
    }
}

/// The encoder adds `_total` to counters itself.
fn stem(name: &'static str) -> &'static str {
    name.strip_suffix("_total").unwrap_or(name)
}

/// What the store counts by itself.
#[derive(Debug)]
struct Transactions(Arc<SqliteStore>);

impl Collector for Transactions {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let transactions = self.0.metrics();
        let (name, help) = (stem(STORE_TRANSACTIONS), "Transactions of the store, by name and result");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for transaction in &transactions {
            for (result, count) in [("committed", transaction.committed), ("failed", transaction.failed)] {
                let labels = [("name", transaction.name), ("result", result)];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        let (name, help) = (stem(STORE_SECONDS), "Time spent in transactions of the store, by name");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for transaction in &transactions {
            let labels = [("name", transaction.name)];
            ConstCounter::new(transaction.seconds).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_documented() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&dir.path().join("parallax.sqlite")).unwrap();
        let metrics = Metrics::new().with_store(Arc::new(store));
        metrics.request("/v1/view", 200, Duration::from_millis(3));
        metrics.connections("http").inc();
        metrics.connection_refused("crowded");
        metrics.look("seen", Duration::from_millis(3));
        metrics.view("look");
        metrics.dns_answer("again");
        metrics.refused("target");
        metrics.history("memory");
        metrics.legacy_reply("again");
        let text = metrics.encode().unwrap();
        for name in [
            HTTP_REQUESTS,
            HTTP_REQUEST_SECONDS,
            HTTP_CONNECTIONS,
            HTTP_CONNECTIONS_REFUSED,
            LOOKS,
            LOOK_SECONDS,
            LOOKS_UNDER_WAY,
            VIEWS,
            DNS_ANSWERS,
            REFUSED,
            HISTORIES,
            LEGACY_REPLIES,
            LEGACY_SIGNATURES,
            SIGNATURES,
            SERVER_CERTIFICATE_END,
            STORE_TRANSACTIONS,
            STORE_SECONDS,
        ] {
            let found = text.lines().any(|line| line.starts_with(name) && !line.starts_with('#'));
            assert!(found, "{name} is not in\n{text}");
        }
    }
}
