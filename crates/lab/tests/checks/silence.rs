//! Vantage points that do not answer.

use std::sync::Arc;
use std::time::Duration;

use parallax_client::{Missing, NodeVantage};
use parallax_core::Decision::{Distrusted, Trusted, Undecided};
use parallax_core::Rule;
use parallax_lab::{Behaviour, Stage};

use crate::ground::{DAY, HOUR, LONG, Service, own_root};

/// A vantage point that takes the connection and never says anything costs no time where it can't change the decision.
#[tokio::test]
async fn nobody_waits_for_a_silent_node_that_can_change_nothing() {
    let stage = Stage::open().await.unwrap();
    let silent = stage.lab().open(stage.lab().address(66, 1), Behaviour::Silent).await.unwrap();
    let cases = [("honest.example", true, Trusted), ("attacked.example", false, Distrusted)];
    for (number, (host, honest, wanted)) in (1..).zip(cases) {
        let service = Service::new(&stage, host, number);
        let certificate = service.public();
        let site = service.open(&certificate).await;
        service.everybody_remembers(|past| past.saw(&certificate, service.address, DAY * 400, HOUR)).await;
        if !honest {
            site.set_certificate_towards(stage.me(), &own_root(&service)).unwrap();
        }
        let (last, heard) = stage.nodes().split_last().unwrap();
        let url = last.url_at(silent.address()).unwrap();
        let checker = stage.lab().checker(stage.me(), heard).unwrap();
        let checker = checker.vantage(Arc::new(NodeVantage::new(url, None).unwrap())).timeout(LONG).build();
        let report = checker.report(&service.id).await;
        assert_eq!(report.verdict.decision, wanted, "{:#}", report.to_json());
        assert!(report.elapsed < LONG / 2, "{host}: {:?}", report.elapsed);
        let missing: Vec<_> = report.missing.iter().map(|one| (one.vantage, &one.why)).collect();
        assert!(missing.contains(&(last.vantage(), &Missing::NotNeeded)), "{missing:?}");
    }
}

/// Where it may change the decision it is waited for, and only as long as the user said.
#[tokio::test]
async fn silence_that_matters_is_waited_for_until_the_time_is_over() {
    let stage = Stage::open().await.unwrap();
    let silent = stage.lab().open(stage.lab().address(66, 1), Behaviour::Silent).await.unwrap();
    let service = Service::new(&stage, "shop.example", 1);
    let _site = service.open(&service.public()).await;
    let (heard, unheard) = stage.nodes().split_at(2);
    let mut builder = stage.lab().checker(stage.me(), heard).unwrap();
    for node in unheard {
        let url = node.url_at(silent.address()).unwrap();
        builder = builder.vantage(Arc::new(NodeVantage::new(url, None).unwrap()));
    }
    let timeout = Duration::from_secs(4);
    let report = builder.timeout(timeout).build().report(&service.id).await;
    assert_eq!((report.verdict.decision, report.verdict.rule), (Undecided, Rule::NotEnough));
    assert!(report.elapsed >= timeout && report.elapsed < LONG / 2, "{:?}", report.elapsed);
    let missing: Vec<_> = report.missing.iter().map(|one| &one.why).collect();
    assert_eq!(missing, [&Missing::Timeout; 3]);
}

/// Who wants a whole table waits also where nothing can change any more.
#[tokio::test]
async fn everybody_is_waited_for_where_that_is_wanted() {
    let stage = Stage::open().await.unwrap();
    let silent = stage.lab().open(stage.lab().address(66, 1), Behaviour::Silent).await.unwrap();
    let service = Service::new(&stage, "shop.example", 1);
    let certificate = service.public();
    let _site = service.open(&certificate).await;
    service.everybody_remembers(|past| past.saw(&certificate, service.address, DAY * 400, HOUR)).await;
    let (last, heard) = stage.nodes().split_last().unwrap();
    let url = last.url_at(silent.address()).unwrap();
    let timeout = Duration::from_secs(4);
    let checker = stage.lab().checker(stage.me(), heard).unwrap().timeout(timeout).wait_for_all(true);
    let checker = checker.vantage(Arc::new(NodeVantage::new(url, None).unwrap())).build();
    let report = checker.report(&service.id).await;
    assert_eq!((report.verdict.decision, report.verdict.rule), (Trusted, Rule::Corroborated));
    assert!(report.elapsed >= timeout, "{:?}", report.elapsed);
    let [missing] = report.missing.as_slice() else { panic!("{:?}", report.missing) };
    assert_eq!((missing.vantage, &missing.why), (last.vantage(), &Missing::Timeout));
}
