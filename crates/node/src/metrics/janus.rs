//! What a janus counts. All of `/metrics` is public, so nothing here tells whether a mail goes out to an address.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Label, stem};

/// Orders that were asked for, by `outcome`: `placed`, `refused` (a bad request), `too-many`, `failed`.
pub const JANUS_ORDERS: &str = "parallax_janus_orders_total";
/// Answers to orders, by `outcome`: `right`, `wrong`, `failed`.
pub const JANUS_ANSWERS: &str = "parallax_janus_answers_total";
/// Certificates that were issued, by `kind`: `order`, `renewal`, `classic`.
pub const JANUS_CERTIFICATES: &str = "parallax_janus_certificates_total";
/// Keys that were revoked, by `whom`: `key` (itself), `order` (its mailbox), `operator`.
pub const JANUS_REVOCATIONS: &str = "parallax_janus_revocations_total";
/// Mails, by `outcome`: `tried` (their turn came, whether or not they leave the house), `expired` (their turn never came),
/// `server-failed` (attempts to reach the mail server).
pub const JANUS_MAILS: &str = "parallax_janus_mails_total";
/// Mails whose turn has not come.
pub const JANUS_MAILS_WAITING: &str = "parallax_janus_mails_waiting";
/// Keys on the deny list.
pub const JANUS_DENIED: &str = "parallax_janus_denied_keys";
/// When the newest issuing certificate ends, in seconds since 1970.
pub const JANUS_ISSUING_END: &str = "parallax_janus_issuing_end_seconds";

/// The counters of a janus.
#[derive(Default)]
pub(crate) struct JanusMetrics {
    orders: Family<Label, Counter>,
    answers: Family<Label, Counter>,
    certificates: Family<Label, Counter>,
    revocations: Family<Label, Counter>,
    mails: Family<Label, Counter>,
    pub(crate) mails_waiting: Gauge,
    pub(crate) denied: Gauge,
    pub(crate) issuing_end: Gauge,
}

impl JanusMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let families = [
            (JANUS_ORDERS, "Orders for certificates, by outcome", &self.orders),
            (JANUS_ANSWERS, "Answers to orders, by outcome", &self.answers),
            (JANUS_CERTIFICATES, "Certificates of mailboxes, by kind", &self.certificates),
            (JANUS_REVOCATIONS, "Keys that were revoked", &self.revocations),
            (JANUS_MAILS, "Mails of a janus, by outcome", &self.mails),
        ];
        for (name, help, family) in families {
            registry.register(stem(name), help, family.clone());
        }
        registry.register(JANUS_MAILS_WAITING, "Mails whose turn has not come", self.mails_waiting.clone());
        registry.register(JANUS_DENIED, "Keys on the deny list", self.denied.clone());
        registry.register(
            JANUS_ISSUING_END,
            "When the newest issuing certificate ends, seconds since 1970",
            self.issuing_end.clone(),
        );
    }

    pub(crate) fn order(&self, outcome: &'static str) {
        self.orders.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn answer(&self, outcome: &'static str) {
        self.answers.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn certificate(&self, kind: &'static str) {
        self.certificates.get_or_create(&[("kind", kind)]).inc();
    }

    pub(crate) fn revoked(&self, whom: &'static str, count: usize) {
        self.revocations.get_or_create(&[("whom", whom)]).inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    pub(crate) fn mail(&self, outcome: &'static str) {
        self.mails.get_or_create(&[("outcome", outcome)]).inc();
    }
}
