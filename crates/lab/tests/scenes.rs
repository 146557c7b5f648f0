//! The scenes of `parallax demo`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeSet;

use parallax_core::{Decision, Rule};
use parallax_lab::{SCENES, Scene, Stage};

#[tokio::test]
async fn every_scene_ends_as_it_must_and_a_second_check_ends_the_same() {
    let stage = Stage::open().await.unwrap();
    for scene in &SCENES {
        let staged = stage.set_up(scene).await.unwrap();
        for _ in 0..2 {
            let report = staged.check().await;
            assert!(scene.is_as_expected(&report), "{}: {:#}", scene.name, report.to_json());
            assert_eq!(report.verdict.counts.asked, 5, "{}", scene.name);
            assert!(report.dropped.is_empty() && report.proofs.is_empty(), "{}", scene.name);
            // A loaded machine may silence more within the short time of that scene.
            let silent = if scene.rule == Rule::NotEnough { 3..=5 } else { 0..=0 };
            assert!(silent.contains(&report.missing.len()), "{}: {:#}", scene.name, report.to_json());
        }
    }
    stage.shutdown().await.unwrap();
}

#[tokio::test]
async fn scenes_stand_side_by_side() {
    let stage = Stage::open().await.unwrap();
    let mut standing = Vec::new();
    for scene in &SCENES {
        standing.push(stage.set_up(scene).await.unwrap());
    }
    for staged in standing.iter().rev() {
        let report = staged.check().await;
        assert!(staged.scene().is_as_expected(&report), "{}: {:#}", staged.scene().name, report.to_json());
    }
}

/// What the record carries: without it the same stage can't be told from an attack.
#[tokio::test]
async fn row_1_2_an_own_ca_without_its_record_is_unexplained() {
    let stage = Stage::open().await.unwrap();
    let staged = stage.set_up(Scene::named("own-ca").unwrap()).await.unwrap();
    stage.lab().dns().remove("_ca-auth.campus.example").unwrap();
    let verdict = staged.check().await.verdict;
    assert_eq!((verdict.decision, verdict.rule), (Decision::Undecided, Rule::Unexplained));
}

#[tokio::test]
async fn who_is_not_attacked_sees_the_attacked_site_as_honest() {
    let stage = Stage::open().await.unwrap();
    let elsewhere = stage.lab().address(26, 1);
    for name in ["attacker-near-me", "poisoned-resolver"] {
        let staged = stage.set_up(Scene::named(name).unwrap()).await.unwrap();
        let verdict = stage.checker(elsewhere).unwrap().build().check(staged.service()).await;
        assert_eq!((verdict.decision, verdict.rule), (Decision::Trusted, Rule::Corroborated), "{name}");
    }
    // Most remember the true key for long: that outweighs the two who are hijacked.
    let staged = stage.set_up(Scene::named("partial-hijack").unwrap()).await.unwrap();
    let verdict = stage.checker(elsewhere).unwrap().wait_for_all(true).build().check(staged.service()).await;
    assert_eq!((verdict.decision, verdict.rule), (Decision::Trusted, Rule::Corroborated));
}

#[test]
fn the_catalogue_is_fit_to_be_shown() {
    let names: BTreeSet<_> = SCENES.iter().map(|scene| scene.name).collect();
    assert_eq!(names.len(), SCENES.len());
    for scene in &SCENES {
        assert!(scene.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", scene.name);
        assert!(scene.sentence.ends_with('.') && !scene.title.ends_with('.'), "{}", scene.name);
        assert!(std::ptr::eq(Scene::named(scene.name).unwrap(), scene));
    }
    assert!(Scene::named("no-such-scene").is_none());
}
