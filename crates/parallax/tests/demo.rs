//! `demo`: the whole network in one command.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::Command;

use parallax_lab::{ACTS, SCENES};
use support::Home;
use unicode_width::UnicodeWidthStr as _;

#[test]
fn every_scene_is_shown_and_ends_as_it_must() {
    let home = Home::new().with("TMPDIR", ".");
    let run = home.run(&["demo"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run:?}");
    let wide: Vec<_> = run.stdout.lines().filter(|line| line.width() > 80).collect();
    assert!(wide.is_empty(), "{wide:#?}");
    assert!(!run.stdout.contains('\u{1b}'), "no colour where it is no terminal");
    let mut rest = run.stdout.as_str();
    for (number, scene) in (1..).zip(&SCENES) {
        let heading = format!("\n[{number}/8] {} ({})\n", scene.title, scene.name);
        rest = rest.split_once(&heading).unwrap_or_else(|| panic!("{heading} is missing in {rest}")).1;
        let verdict = format!("\nverdict: {} ({})\n", scene.decision.as_str().to_uppercase(), scene.rule);
        rest = rest.split_once(&verdict).unwrap_or_else(|| panic!("{verdict} is missing in {rest}")).1;
        let ok = format!("\nOK: {} ({}) is what must come out\n", scene.decision, scene.rule);
        rest = rest.split_once(&ok).unwrap_or_else(|| panic!("{ok} is missing in {rest}")).1;
    }
    assert!(rest.starts_with("\n8 of 8 scenes ended as they must ("), "{rest}");
    let pasts = SCENES.iter().filter(|scene| scene.past.is_some()).count();
    assert_eq!(run.stdout.matches("For this scene a past was written: ").count(), pasts);
    assert_eq!(left_behind(&home), Vec::<String>::new());
}

#[test]
fn panoramas_own_walk_is_shown_and_ends_as_it_must() {
    let home = Home::new().with("TMPDIR", ".");
    let run = home.run(&["demo", "panorama"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run:?}");
    let wide: Vec<_> = run.stdout.lines().filter(|line| line.width() > 80).collect();
    assert!(wide.is_empty(), "{wide:#?}");
    assert!(!run.stdout.contains('\u{1b}'), "no colour where it is no terminal");
    let mut rest = run.stdout.as_str();
    for (number, act) in (1..).zip(&ACTS) {
        for wanted in [
            format!("\n[{number}/3] {}\n", act.title),
            format!("\n>> {}", act.typed("www.shop.example")),
            format!("\n{:>4} x ", act.agree),
            ": what you see\n".into(),
            format!("\nverdict: {} ({})\n", act.decision.as_str().to_uppercase(), act.rule),
            "\nOK: ".into(),
        ] {
            // What is typed names the port too.
            let wanted = wanted.split(" 20").next().unwrap();
            rest = rest.split_once(wanted).unwrap_or_else(|| panic!("{wanted:?} is missing in {rest}")).1;
        }
    }
    assert!(rest.contains("\n3 of 3 requests ended as they must ("), "{rest}");
    assert_eq!(run.stdout.matches("  10 x ").count(), 4, "ten and ten, twice: {}", run.stdout);
    assert_eq!(left_behind(&home), Vec::<String>::new());

    let json = Home::new().run(&["demo", "panorama", "--json"]).json();
    assert_eq!(json["as_expected"], true);
    let counts: Vec<_> = json["requests"].as_array().unwrap().iter().map(|one| one["actual"].clone()).collect();
    let wanted = |verdict: &str, rule: &str, agree: u8, differ: u8| serde_json::json!({ "verdict": verdict, "rule": rule, "agree": agree, "differ": differ });
    assert_eq!(
        counts,
        [
            wanted("trusted", "majority-agrees", 5, 0),
            wanted("trusted", "majority-agrees", 10, 10),
            wanted("distrusted", "majority-differs", 10, 10),
        ]
    );
    let wrong = Home::new().run(&["demo", "--keep", "panorama"]);
    assert_eq!(wrong.status, 2, "{wrong:?}");
}

#[test]
fn json_tells_programs_everything() {
    let run = Home::new().run(&["demo", "--json"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run:?}");
    let json = run.json();
    assert_eq!(json["as_expected"], true);
    let scenes = json["scenes"].as_array().unwrap();
    assert_eq!(scenes.len(), SCENES.len());
    for (shown, scene) in scenes.iter().zip(&SCENES) {
        assert_eq!(shown["name"], scene.name);
        assert_eq!(shown["past"].as_str(), scene.past);
        assert_eq!(shown["expected"], serde_json::json!({ "verdict": scene.decision, "rule": scene.rule }));
        assert_eq!(shown["actual"], shown["expected"]);
        assert_eq!(
            (&shown["report"]["verdict"], &shown["report"]["counts"]["asked"]),
            (&shown["expected"]["verdict"], &5.into())
        );
    }
}

#[test]
fn one_scene_alone_and_one_that_does_not_exist() {
    let run = Home::new().run(&["demo", "--scene", "attacker-near-me"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("[1/1] An attacker near me (attacker-near-me)"), "{run:?}");
    assert!(run.stdout.contains("1 of 1 scenes ended as they must"), "{run:?}");
    let run = Home::new().run(&["demo", "--scene", "nobody"]);
    assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run:?}");
    assert!(run.stderr.contains("honest-site"), "{run:?}");
}

/// Every command that `--keep` prints is run as it stands there.
#[test]
fn the_network_can_be_kept_and_tried_by_hand() {
    let home = Home::new().with("TMPDIR", ".");
    let mut child = home.command(&["demo", "--keep"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.by_ref().find(|line| line.starts_with("The network stands until Ctrl-C")).expect("hints");
    // The last command is the only one that names vantage points; it ends with the service.
    let mut hints = Vec::new();
    while !hints.iter().any(|line: &String| line.contains("--roots "))
        || hints.last().is_none_or(|line| line.ends_with('\\'))
    {
        hints.push(lines.next().expect("a whole command"));
    }
    let mut tried = 0;
    for (expected, command) in commands(&hints) {
        if command.starts_with("curl ") && Command::new("curl").arg("--version").output().is_err() {
            eprintln!("skipped: curl is not installed: {command}");
            continue;
        }
        let output = Command::new("sh").args(["-c", &command]).current_dir(home.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(expected), "{command}: {output:?}");
        assert!(!output.stdout.is_empty(), "{command}: {output:?}");
        tried += 1;
    }
    assert!(tried >= SCENES.len() + 3, "{tried}: {hints:#?}");
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(left_behind(&home), Vec::<String>::new());
}

/// The commands with the exit status that each must have: that of the verdict above it, else 0.
fn commands(hints: &[String]) -> Vec<(i32, String)> {
    let mut commands = Vec::new();
    let (mut expected, mut command) = (0, String::new());
    for line in hints {
        match line.strip_prefix("  ") {
            Some(comment) if comment.starts_with("# ") => {
                expected = match comment.split(' ').nth(1) {
                    Some("trusted") => 0,
                    Some("distrusted") => 1,
                    _ => 3,
                };
            }
            Some(part) => match part.strip_suffix('\\') {
                Some(part) => command.push_str(part),
                None => commands.push((std::mem::take(&mut expected), std::mem::take(&mut command) + part)),
            },
            None => {}
        }
    }
    commands
}

/// What stands where temporary files were put.
fn left_behind(home: &Home) -> Vec<String> {
    let entries = std::fs::read_dir(home.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
