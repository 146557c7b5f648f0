//! The time that asking five nodes adds to the local look alone.

use std::sync::Arc;
use std::time::Duration;

use parallax_client::{Checker, NodeVantage};
use parallax_core::{Decision, Outcome};

use crate::look::prober;
use crate::measure::{each, heading, in_turn, line, ratio, wall_us};
use crate::sites::Sites;

const ROUNDS: usize = 15;
const COUNT: u32 = 20;

pub(crate) fn run() {
    heading("check: a name, five nodes in three regions on this machine, against the local look alone (wall time)");
    let sites = Sites::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let prober = prober(&sites);
    let checker = |max_age: Duration| {
        let builder = Checker::builder(prober.clone()).max_age(max_age);
        let nodes = sites.nodes.iter().map(|url| Arc::new(NodeVantage::new(url.clone(), None).expect("a pinned node")));
        nodes.fold(builder, |builder, node| builder.vantage(node)).build()
    };
    let looks = || {
        each(COUNT, || {
            runtime.block_on(async {
                for _ in 0..COUNT {
                    assert_eq!(prober.look(&sites.name).await.now.outcome, Outcome::Seen);
                }
            });
        })
    };
    let checks = |checker: &Checker| {
        each(COUNT, || {
            runtime.block_on(async {
                for _ in 0..COUNT {
                    let verdict = checker.check(&sites.name).await;
                    assert_eq!(verdict.decision, Decision::Trusted, "{verdict:?}");
                }
            });
        })
    };
    let known = checker(Duration::from_secs(86_400));
    let (asked, alone) = in_turn(ROUNDS, || checks(&known), looks);
    line("the local look alone", format_args!("{:.2} ms", wall_us(&alone) / 1e3));
    line(
        "a check, connections kept open, nodes answer from their store",
        format_args!("{:.2} ms", wall_us(&asked) / 1e3),
    );
    line("time added", format_args!("{:.2} ms", (wall_us(&asked) - wall_us(&alone)) / 1e3));
    line("ratio", format_args!("{:.2}", ratio(&asked, &alone, |cost| cost.wall)));
    let first = || {
        each(1, || {
            let checker = checker(Duration::from_secs(86_400));
            runtime.block_on(async { assert_eq!(checker.check(&sites.name).await.decision, Decision::Trusted) });
        })
    };
    let (first, _) = in_turn(ROUNDS, first, || each(1, || ()));
    line("a first check: five TLS connections and descriptors too", format_args!("{:.2} ms", wall_us(&first) / 1e3));
}
