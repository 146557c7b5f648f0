//! A domain's mail: where DNS sends it, whether others are told the same, and a check of each relay
//! (`docs/protocols/starttls.md`).
//!
//! Checking the relays alone would prove little: whoever forges the MX records leads mail to a relay of their own, and
//! everybody sees the same honest key there.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use parallax_core::{
    BadService, Decision, DnsName, MailRoute, RecordKind, Relay, RouteStanding, RouteVote, Scheme, ServiceId, Verdict,
    decide_mail,
};
use parallax_proto::DnsQuestion;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::check::{Checker, nonce};
use crate::gathered::Source;
use crate::report::Report;
use crate::vantage::{Deadline, Missing};

/// What was found of a domain's mail.
#[derive(Clone, Debug)]
pub struct MailReport {
    /// The domain.
    pub domain: DnsName,
    /// The decision about all of it: the gravest of the relays', and no trust where the route is not corroborated.
    pub decision: Decision,
    /// Where my own DNS sends mail.
    pub route: MailRoute,
    /// What each vantage point that was asked is told.
    pub routes: Vec<ReportedRoute>,
    /// How these stand to each other.
    pub standing: RouteStanding,
    /// The relays, the preferred first.
    pub relays: Vec<RelayReport>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Where one vantage point's DNS sends mail.
#[derive(Clone, Debug)]
pub struct ReportedRoute {
    /// Where it answers.
    pub label: String,
    /// The region its operator claims.
    pub region: Option<String>,
    /// What it is told, or why that is not known.
    pub route: Result<MailRoute, Missing>,
}

/// One relay.
#[derive(Clone, Debug)]
pub struct RelayReport {
    /// As the MX record names it.
    pub relay: Relay,
    /// The check of it; `Err` when the record names nothing that can be checked.
    pub report: Result<Box<Report>, BadService>,
}

impl RelayReport {
    /// The verdict about it. What names no host is undecided.
    pub fn decision(&self) -> Decision {
        self.report.as_ref().map_or(Decision::Undecided, |report| report.verdict.decision)
    }
}

impl Checker {
    /// Looks up where mail for a domain goes, asks every vantage point for the same, and checks each relay at this port.
    pub async fn mail(&self, domain: &DnsName, port: u16) -> MailReport {
        let begun = Instant::now();
        let deadline = Deadline::within(self.timeout());
        let (route, routes) = tokio::join!(self.own_route(domain, deadline), self.others_routes(domain, deadline));
        let votes: Vec<RouteVote> = routes.iter().map(vote).collect();
        let standing = RouteStanding::of(&route, &votes);
        let relays = stream::iter(route.relays(domain.as_str()))
            .map(|relay| self.relay(relay, port, standing))
            .buffered(parallax_core::MAX_RELAYS)
            .collect::<Vec<_>>()
            .await;
        let decisions: Vec<Decision> = relays.iter().map(RelayReport::decision).collect();
        let decision = decide_mail(&route, &standing, &decisions);
        MailReport { domain: domain.clone(), decision, route, routes, standing, relays, elapsed: begun.elapsed() }
    }

    async fn own_route(&self, domain: &DnsName, deadline: Deadline) -> MailRoute {
        let asking = self.prober().dns(domain, RecordKind::Mx);
        match tokio::time::timeout_at(deadline.instant(), asking).await {
            Ok(found) => MailRoute::read(&found.rcode, &found.records),
            Err(_) => MailRoute::Unknown("TIMEOUT".into()),
        }
    }

    /// Old notaries know nothing of DNS: they are not among the asked.
    async fn others_routes(&self, domain: &DnsName, deadline: Deadline) -> Vec<ReportedRoute> {
        let service = ServiceId::new(Scheme::Smtp, domain.as_str(), Scheme::Smtp.default_port()).ok();
        let asked = self.draw_for(service.as_ref()).into_iter().filter_map(|source| match source {
            Source::Viewing(vantage) => Some(vantage),
            Source::Notary(_) => None,
        });
        let asking = asked.map(|vantage| async move {
            let question = DnsQuestion { name: domain.clone(), kinds: [RecordKind::Mx].into(), nonce: Some(nonce()) };
            let answer = tokio::time::timeout_at(deadline.instant(), vantage.dns(question, deadline)).await;
            let route = answer.unwrap_or(Err(Missing::Timeout)).map(|reply| {
                match reply.content().answers.get(&RecordKind::Mx) {
                    Some(found) => MailRoute::read(&found.rcode, &found.records),
                    None => MailRoute::Unknown("NOTIMP".into()),
                }
            });
            ReportedRoute { label: vantage.label(), region: vantage.region(), route }
        });
        join_all(asking).await
    }

    async fn relay(&self, relay: Relay, port: u16, standing: RouteStanding) -> RelayReport {
        let report = match service_of(&relay, port) {
            Ok(service) => {
                let mut report = self.report(&service).await;
                doubt(&mut report.verdict, standing);
                Ok(Box::new(report))
            }
            Err(why) => Err(why),
        };
        RelayReport { relay, report }
    }
}

/// Senders take no address for a relay (RFC 5321 section 5.1, RFC 1035 section 3.3.9).
fn service_of(relay: &Relay, port: u16) -> Result<ServiceId, BadService> {
    let service = ServiceId::new(Scheme::Smtp, &relay.host, port)?;
    match service.host().address() {
        Some(_) => Err(BadService::Name(relay.host.clone(), "an MX record names a host, and no address")),
        None => Ok(service),
    }
}

fn vote(reported: &ReportedRoute) -> RouteVote {
    RouteVote { region: reported.region.clone(), route: reported.route.as_ref().ok().cloned() }
}

/// A relay to which only I am led is not trusted for its own honest key.
fn doubt(verdict: &mut Verdict, standing: RouteStanding) {
    let best = standing.at_best(verdict.decision);
    if let (true, Some(why)) = (best != verdict.decision, standing.doubt()) {
        verdict.decision = best;
        verdict.reasons.insert(0, format!("Its key is the one that others see, but {why}."));
    }
}

impl MailReport {
    /// What `parallax check --mx --json` prints.
    pub fn to_json(&self) -> Value {
        json!({
            "domain": self.domain,
            "verdict": self.decision,
            "mx": route_to_json(&self.route),
            "mx_counts": {
                "asked": self.standing.asked,
                "agree": self.standing.agree,
                "differ": self.standing.differ,
                "corroborated": self.standing.is_corroborated,
            },
            "mx_views": self.routes.iter().map(|one| self.view_to_json(one)).collect::<Vec<_>>(),
            "left_out": self.route.left_out(),
            "relays": self.relays.iter().map(relay_to_json).collect::<Vec<_>>(),
            "elapsed_ms": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn view_to_json(&self, view: &ReportedRoute) -> Value {
        let (mx, why) = match &view.route {
            Ok(route) => (route_to_json(route), None),
            Err(why) => (Value::Null, Some(why.to_string())),
        };
        let agrees = view.route.as_ref().ok().map(|route| *route == self.route);
        json!({ "vantage": view.label, "region": view.region, "agrees": agrees, "mx": mx, "why": why })
    }
}

/// Null where it is not known; a kind tells apart what has no relays.
fn route_to_json(route: &MailRoute) -> Value {
    match route {
        MailRoute::Relays(relays) => json!({ "route": "relays", "relays": relays }),
        MailRoute::Itself => json!({ "route": "itself" }),
        MailRoute::Nowhere => json!({ "route": "nowhere" }),
        MailRoute::NoSuchName => json!({ "route": "no-such-name" }),
        MailRoute::Unknown(rcode) => json!({ "route": "unknown", "rcode": rcode }),
    }
}

fn relay_to_json(relay: &RelayReport) -> Value {
    let mut shown = json!({ "preference": relay.relay.preference, "host": relay.relay.host });
    if let Some(shown) = shown.as_object_mut() {
        match &relay.report {
            Ok(report) => shown.insert("report".into(), report.to_json()),
            Err(why) => shown.insert("why".into(), why.to_string().into()),
        };
    }
    shown
}
