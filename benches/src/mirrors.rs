//! What asking mirrors of the federation adds to a check: three of eight that are 20 to 150 ms away, and one that is silent.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use parallax_client::{Checker, Deadline, Federation, KnownMirror, NodeVantage, VantagePoint as _, ordinary_question};
use parallax_core::{Decision, Policy, ServiceId, VantageId};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::look::prober_of;
use crate::measure::{Cost, each, heading, in_turn, line, wall_us};
use crate::sites::{FAR_NAMES, FarMirrors};

/// Each name has a draw of its own.
const ROUNDS: usize = FAR_NAMES - 1;

const MAX_AGE: Duration = Duration::from_secs(86_400);
const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) fn run() {
    heading("mirrors: a check by three of eight mirrors 20 to 150 ms away, each with new connections (wall time)");
    let far = FarMirrors::start();
    let bench = Bench { runtime: runtime(), far };
    bench.settle();
    let alone = bench.against_the_third(Policy::default(), false);
    line("a check, over the slowest of own look and third answer", format_args!("{:+.1} ms", alone.added_ms()));
    line("the slowest of own look and third answer", format_args!("{:.1} ms", wall_us(&alone.bare) / 1e3));
    let all = bench.against_the_third(Policy::default(), true);
    line("the same, every answer waited for (--wait-for-all)", format_args!("{:+.1} ms", all.added_ms()));
    for (policy, what) in [(Policy::default(), "evidence"), (Policy::Unanimous, "unanimous, which needs three looks")] {
        let silent = bench.with_one_silent(&policy);
        line(&format!("one of the three silent, policy {what}"), format_args!("{silent:+.1} ms"));
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

struct Bench {
    runtime: Runtime,
    far: FarMirrors,
}

struct Compared {
    checks: Vec<Cost>,
    bare: Vec<Cost>,
}

impl Compared {
    /// The median of the differences, round by round: each name has mirrors of its own.
    fn added_ms(&self) -> f64 {
        let differences = self.checks.iter().zip(&self.bare);
        crate::measure::median(differences.map(|(a, b)| (a.wall.as_secs_f64() - b.wall.as_secs_f64()) * 1e3).collect())
    }
}

impl Bench {
    fn checker(&self, policy: &Policy, waits: bool) -> Checker {
        let federation = Federation::new(&self.far.known).with_reports(false);
        let builder = Checker::builder(prober_of(self.far.resolver, &self.far.roots)).federation(federation);
        builder.policy(policy.clone()).timeout(TIMEOUT).wait_for_all(waits).build()
    }

    /// Every mirror has looked at every name: looks are not what is measured.
    fn settle(&self) {
        for name in &self.far.names {
            self.runtime.block_on(async {
                all(self.far.known.entries().map(|(_, one)| ask(one, name.clone()))).await;
            });
        }
    }

    fn check(&self, name: &ServiceId, policy: &Policy, waits: bool) -> Vec<VantageId> {
        let checker = self.checker(policy, waits);
        let report = self.runtime.block_on(checker.report(name));
        assert_eq!(report.verdict.decision, Decision::Trusted, "{:?}", report.verdict);
        report.mirrors.map(|mirrors| mirrors.asked).unwrap_or_default()
    }

    /// The own look and three answers at once, as they are without a check.
    fn bare(&self, name: &ServiceId, drawn: &[VantageId]) {
        let prober = prober_of(self.far.resolver, &self.far.roots);
        let asked = drawn.iter().filter_map(|one| self.far.known.find(*one)).map(|one| ask(one, name.clone()));
        self.runtime.block_on(async { tokio::join!(prober.look(name), all(asked)) });
    }

    fn against_the_third(&self, policy: Policy, waits: bool) -> Compared {
        let (checked, compared) = (Cell::new(0), Cell::new(0));
        let next = |count: &Cell<usize>| {
            let name = self.far.names.get(count.get()).expect("a name of each round").clone();
            count.set(count.get() + 1);
            name
        };
        let drawn: Vec<Vec<VantageId>> =
            self.far.names.iter().map(|name| self.check(name, &policy, waits).into_iter().take(3).collect()).collect();
        let (checks, bare) = in_turn(
            ROUNDS,
            || {
                let name = next(&checked);
                each(1, || drop(self.check(&name, &policy, waits)))
            },
            || {
                let drawn = drawn.get(compared.get()).expect("a draw of each name");
                let name = next(&compared);
                each(1, || self.bare(&name, drawn))
            },
        );
        Compared { checks, bare }
    }

    /// How much longer a check takes when the second of its three is silent.
    fn with_one_silent(&self, policy: &Policy) -> f64 {
        let mut differences = Vec::new();
        for name in self.far.names.iter().take(ROUNDS) {
            let mut drawn = Vec::new();
            let before = each(1, || drawn = self.check(name, policy, false));
            let silent = *drawn.get(1).expect("three are drawn");
            self.far.silence(silent, true);
            let after = each(1, || drop(self.check(name, policy, false)));
            self.far.silence(silent, false);
            differences.push((after.wall.as_secs_f64() - before.wall.as_secs_f64()) * 1e3);
        }
        crate::measure::median(differences)
    }
}

/// One question over a new connection.
fn ask(mirror: &KnownMirror, service: ServiceId) -> impl Future<Output = ()> + Send + 'static {
    let mirror = Arc::new(NodeVantage::new(mirror.url(), Some(mirror.known())).expect("a pinned mirror"));
    async move {
        let deadline = Deadline::within(TIMEOUT);
        mirror.view(ordinary_question(service, MAX_AGE, deadline), deadline).await.expect("a view");
    }
}

async fn all(questions: impl IntoIterator<Item = impl Future<Output = ()> + Send + 'static>) {
    let mut asked = JoinSet::new();
    questions.into_iter().for_each(|question| drop(asked.spawn(question)));
    while let Some(done) = asked.join_next().await {
        done.expect("an answer");
    }
}
