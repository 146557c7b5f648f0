//! What the tests of checks stand on: services on a stage, and how checks of them end.

use std::net::Ipv4Addr;
use std::time::Duration;

use parallax_client::Checker;
use parallax_core::{Decision, Policy, Rule, Scheme, ServiceId};
use parallax_lab::{Answer, Behaviour, Ca, Certificate, Lab, Past, Site, Stage, Validity};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// No check of these tests comes near it; a silent one would wait for all of it.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) type Ends = (Decision, Rule);

/// One service on the stage, with an address of its own.
pub(crate) struct Service<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) id: ServiceId,
    pub(crate) host: String,
    pub(crate) address: Ipv4Addr,
}

impl<'a> Service<'a> {
    /// DNS leads everybody to the address; nothing is open there yet.
    pub(crate) fn new(stage: &'a Stage, host: &str, number: u8) -> Self {
        Self::of(stage, Scheme::Tls, host, number)
    }

    /// The same of another scheme.
    pub(crate) fn of(stage: &'a Stage, scheme: Scheme, host: &str, number: u8) -> Self {
        let address = stage.lab().address(30, number);
        stage.lab().dns().set(host, Answer::a([address])).unwrap();
        Self { stage, id: stage.lab().service_of(scheme, host).unwrap(), host: host.to_owned(), address }
    }

    pub(crate) async fn open(&self, certificate: &Certificate) -> Site {
        self.lab().site(self.address, certificate).await.unwrap()
    }

    pub(crate) fn lab(&self) -> &'a Lab {
        self.stage.lab()
    }

    pub(crate) fn issued_by(&self, ca: &Ca) -> Certificate {
        ca.issue(&[&self.host], Validity::current()).unwrap()
    }

    pub(crate) fn public(&self) -> Certificate {
        self.issued_by(self.stage.public_ca())
    }

    pub(crate) async fn everybody_remembers(&self, past: impl Fn(Past) -> Past) {
        for node in self.stage.nodes() {
            node.remember(&self.id, past(self.lab().past())).await.unwrap();
        }
    }

    pub(crate) fn checker(&self, policy: Policy) -> Checker {
        self.stage.checker(self.stage.me()).unwrap().policy(policy).wait_for_all(true).timeout(LONG).build()
    }

    /// How a check ends; another one of the same user, and one of a user who begins anew, must end the same.
    pub(crate) async fn ends_by(&self, policy: Policy) -> Ends {
        let checker = self.checker(policy.clone());
        let first = checker.report(&self.id).await;
        let ends = (first.verdict.decision, first.verdict.rule);
        for (again, who) in [(checker, "the same checker"), (self.checker(policy), "another checker")] {
            let report = again.report(&self.id).await;
            let second = (report.verdict.decision, report.verdict.rule);
            assert_eq!(second, ends, "{} by {who}: {:#} {:#}", self.host, first.to_json(), report.to_json());
            assert!(report.dropped.is_empty() && report.missing.is_empty(), "{:#}", report.to_json());
        }
        ends
    }

    pub(crate) async fn ends(&self) -> Ends {
        self.ends_by(Policy::default()).await
    }
}

pub(crate) fn show(certificate: &Certificate) -> Behaviour {
    Behaviour::tls(certificate).unwrap()
}

pub(crate) fn own_root(service: &Service<'_>) -> Certificate {
    service.issued_by(&Ca::root("Attacker").unwrap())
}

pub(crate) fn mis_issued(service: &Service<'_>) -> Certificate {
    service.issued_by(service.stage.other_public_ca())
}
