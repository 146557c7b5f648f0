//! Small federations, to the end.

use super::{Plan, run};

#[test]
fn a_small_federation() {
    let mut plan = Plan { nodes: 200, days: 6, clients: 4, ..Plan::default() };
    if let Ok(nodes) = std::env::var("NODES") {
        plan = Plan {
            nodes: nodes.parse().unwrap(),
            days: std::env::var("DAYS").unwrap().parse().unwrap(),
            ..Plan::default()
        };
    }
    let results = run(&plan, |_| {}).unwrap();
    println!("{}", serde_json::to_string_pretty(&results).unwrap());
    for aim in results.aims() {
        println!("{aim:?}");
    }
}
