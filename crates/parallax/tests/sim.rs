//! `parallax sim worlds`: the same figures for the same seed, in every form, and a sentence for whatever is wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::Home;
use unicode_width::UnicodeWidthStr as _;

const FEW: [&str; 4] = ["sim", "worlds", "--visits", "3000"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [FEW.as_slice(), more].concat()
}

fn text(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn figures_are_those_of_the_seed_however_many_threads_there_are() {
    let home = Home::new();
    let one = home.run(&with(&["--json", "--jobs", "1"]));
    let many = home.run(&with(&["--json", "--jobs", "7"]));
    let other = home.run(&with(&["--json", "--seed", "2"]));
    assert_eq!((one.status, one.stderr.as_str()), (0, ""));
    assert!(one.stdout == many.stdout, "threads change figures");
    assert!(one.stdout != other.stdout, "the seed changes nothing");
    let json: Value = serde_json::from_str(&one.stdout).unwrap();
    assert_eq!(json["format"], "parallax-sim-worlds/1");
    let overview = json["worlds"][0]["tables"][0].clone();
    assert_eq!((overview["name"].as_str(), overview["rows"].as_array().map(Vec::len)), (Some("overview"), Some(5)));
    let share = &overview["rows"][0]["distrusted"];
    assert!(share["low"].as_f64() < share["high"].as_f64() && share["of"].as_u64() > Some(1000), "{share}");
}

#[test]
fn the_summary_fits_the_screen() {
    let run = Home::new().run(&with(&["--world", "a", "--world", "c", "--k", "3", "--k", "5", "--ablate"]));
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    assert!(run.stdout.lines().all(|line| line.width() <= 80), "{}", run.stdout);
    for part in
        ["World a: ", "World c: ", "3 asked:", "5 asked:", "EVIDENCE", "at server", "WITHOUT", "cross-checks", "±"]
    {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
}

#[test]
fn policies_can_be_left_out() {
    let run = Home::new().run(&with(&["--policy", "mpic", "--policy", "evidence"]));
    assert_eq!(run.status, 0);
    assert!(run.stdout.contains("EVIDENCE") && run.stdout.contains("MPIC"), "{}", run.stdout);
    assert!(!run.stdout.contains("MAJORITY"), "{}", run.stdout);
}

#[test]
fn a_world_can_be_printed_changed_and_judged() {
    let home = Home::new();
    let printed = home.run(&["sim", "worlds", "--world", "b", "--print-world"]);
    assert_eq!((printed.status, printed.stderr.as_str()), (0, ""));
    let mine = home.path().join("mine.toml");
    std::fs::write(&mine, printed.stdout.replace("name = \"b\"", "name = \"mine\"")).unwrap();
    let run = home.run(&with(&["--world", mine.to_str().unwrap()]));
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("World mine: "), "{}", run.stdout);
    std::fs::write(&mine, printed.stdout.replace("name = \"b\"", "name = \"b\"\nnonsense = 1")).unwrap();
    let run = home.run(&with(&["--world", mine.to_str().unwrap()]));
    assert_eq!((run.status, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("nonsense"), "{run:?}");
}

#[test]
fn reports_are_written_once_and_then_filled_in() {
    let home = Home::new();
    let (report, svg) = (home.path().join("r.md"), home.path().join("r.svg"));
    let arguments = with(&["--report", report.to_str().unwrap(), "--svg", svg.to_str().unwrap()]);
    assert_eq!(home.run(&arguments).status, 0);
    let first = text(&report);
    assert!(first.contains("| evidence | 5 |") && first.contains("<!-- sim worlds: a missed -->"), "{first}");
    let picture = text(&svg);
    assert!(picture.contains(">mpic</text>") && picture.matches("<polyline").count() == 5, "{picture}");
    let by_hand = first.replace("# How often", "By hand.\n\n# How often").replace("| evidence |", "| old |");
    std::fs::write(&report, &by_hand).unwrap();
    assert_eq!(home.run(&arguments).status, 0);
    assert_eq!(text(&report), first.replace("# How often", "By hand.\n\n# How often"));
}

/// The lines between the marks of each part.
fn generated(document: &str) -> Vec<(String, String)> {
    let parts = document.split("<!-- sim worlds: ").skip(1).map(|part| {
        let (name, rest) = part.split_once(" -->\n").unwrap();
        let (text, _) = rest.split_once(&format!("<!-- end of {name} -->")).unwrap();
        (name.to_string(), text.to_string())
    });
    parts.collect()
}

#[test]
fn every_generated_part_of_the_documents_is_made_by_the_script() {
    let home = Home::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let script = text(&root.join("verdicts"));
    let mut arguments: Vec<&str> = script.split_once("-- sim ").unwrap().1.split_whitespace().collect();
    arguments.retain(|argument| *argument != "\\");
    let visits = arguments.iter().position(|argument| argument.contains("1000000")).unwrap();
    arguments[visits] = "2000";
    std::fs::create_dir_all(home.path().join("docs/verdicts")).unwrap();
    for document in ["README.md", "docs/verdicts.md"] {
        let mut emptied = text(&root.join(document));
        for (name, generated) in generated(&emptied.clone()) {
            let [begin, end] = [format!("<!-- sim worlds: {name} -->\n"), format!("<!-- end of {name} -->")];
            emptied = emptied.replace(&format!("{begin}{generated}{end}"), &format!("{begin}{end}"));
        }
        home.write(document, &emptied);
    }
    let run = home.run(&[&["sim"], arguments.as_slice()].concat());
    assert_eq!(run.status, 0, "{run:?}");
    for document in ["README.md", "docs/verdicts.md"] {
        let parts = generated(&text(&home.path().join(document)));
        assert!(!parts.is_empty() && parts.iter().all(|(_, text)| text.len() > 40), "{document}: {parts:?}");
    }
    for picture in text(&root.join("docs/verdicts.md")).split("](").filter_map(|link| link.split_once(".svg)")) {
        assert!(home.path().join("docs").join(format!("{}.svg", picture.0)).exists(), "{picture:?}");
    }
}

#[test]
fn several_worlds_have_a_picture_each() {
    let home = Home::new();
    let svg = home.path().join("r.svg");
    let run = home.run(&with(&["--world", "a", "--world", "b", "--policy", "mpic", "--svg", svg.to_str().unwrap()]));
    assert_eq!(run.status, 0, "{run:?}");
    assert!(text(&home.path().join("r-a.svg")).contains("world a"));
    assert!(text(&home.path().join("r-b.svg")).contains("world b"));
    assert!(!svg.exists());
}

#[test]
fn a_network_can_be_read_from_a_file() {
    let home = Home::new();
    let file = home.path().join("network.txt");
    std::fs::write(&file, "# two islands of customers\n1|2|0\n1|11|-1\n1|12|-1\n2|21|-1\n2|22|-1\n").unwrap();
    let run = home.run(&with(&["--topology", file.to_str().unwrap()]));
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.replace('\n', " ").contains("a given topology of 6 ASes and 5 links"), "{}", run.stdout);
    std::fs::write(&file, "1|2|0\n1;2;0\n").unwrap();
    let run = home.run(&with(&["--topology", file.to_str().unwrap()]));
    assert_eq!((run.status, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("line 2 of the topology: 1 parts between |, where three belong"), "{run:?}");
}

#[test]
fn whatever_is_wrong_is_said_before_the_work() {
    let home = Home::new();
    let by_hand = home.path().join("by-hand.md");
    std::fs::write(&by_hand, "# Mine\n").unwrap();
    let binary = home.path().join("binary");
    std::fs::write(&binary, [0xff, 0xfe, 0]).unwrap();
    let nowhere = home.path().join("no/such/report.md");
    let [by_hand, binary, nowhere] = [&by_hand, &binary, &nowhere].map(|file| file.to_str().unwrap());
    let directory = home.path().to_str().unwrap();
    for (arguments, status, expected) in [
        (vec!["--world", "d"], 2, "there is no built-in world of that name (a, b, c), and as a file it can't be read"),
        (vec!["--world", directory], 2, "it can't be read"),
        (vec!["--world", binary], 2, "it is no text (UTF-8)"),
        (vec!["--world", "a", "--world", "a"], 2, "two worlds are called \"a\""),
        (vec!["--topology", binary], 2, "it is no text (UTF-8)"),
        (vec!["--report", by_hand], 2, "has no lines <!-- sim worlds: NAME --> to fill in"),
        (vec!["--report", nowhere], 1, "there is no such directory"),
        (vec!["--svg", directory], 1, "it is a directory"),
        (vec!["--ablate", "--trade-off", directory], 1, "it is a directory"),
        (vec!["--trade-off", "t.svg"], 2, "--ablate"),
        (vec!["--ablate", "--policy", "mpic", "--trade-off", "t.svg"], 2, "--trade-off draws the policy evidence"),
        (vec!["--ablate", "--svg", "t.svg", "--trade-off", "t.svg"], 2, "t.svg would be written twice"),
        (vec!["--report", "/proc/report.md"], 1, "/proc/report.md can't be written to: entity not found"),
        (vec!["--report", "r", "--svg", "r"], 2, "r would be written twice"),
        (vec!["--policy", "wisdom"], 2, "evidence"),
        (vec!["--visits", "0"], 2, "0 is not in 1..=1000000000"),
        (vec!["--k", "33"], 2, "33 is not in 1..=32"),
        (vec!["--jobs", "0"], 2, "0 is not in 1..=1024"),
        (vec!["--world", "a", "--world", "b", "--print-world"], 2, "--print-world prints one world"),
        (vec!["--print-world", "--json"], 2, "cannot be used with"),
    ] {
        let big = ["sim", "worlds", "--visits", "1000000000"];
        let base = if arguments.contains(&"--visits") { &big[..2] } else { &big[..] };
        let run = home.run(&[base, arguments.as_slice()].concat());
        assert_eq!((run.status, run.stdout.as_str()), (status, ""), "{arguments:?} {run:?}");
        assert!(run.stderr.contains(expected), "{arguments:?} {run:?}");
    }
    assert_eq!(text(Path::new(by_hand)), "# Mine\n");
}

const SOCIETY: [&str; 10] =
    ["sim", "trust", "--honest", "200", "--sybils", "200", "--attack-edges", "4", "--societies", "1"];

#[test]
fn trust_shows_its_figures_on_the_screen_and_in_json() {
    let home = Home::new();
    let run = home.run(&SOCIETY);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    assert!(run.stdout.lines().all(|line| line.width() <= 80), "{}", run.stdout);
    for part in ["uniform", "advertisement", "equal share", "OUTVOTED", "DECEIVED", "10 of 10"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    let [json, again] = [0, 1].map(|_| home.run(&[SOCIETY.as_slice(), &["--json"]].concat()).stdout);
    assert!(json == again, "the same seed gives the same figures");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (json["format"].as_str(), json["rows"].as_array().map(Vec::len)),
        (Some("parallax-sim-trust/1"), Some(3))
    );
    assert_eq!(json["rows"][2]["scheme"], "equal-share");
}

#[test]
fn trust_says_what_would_be_right() {
    let home = Home::new();
    for (more, part) in [
        (["--views", "0"], "views must be 1 to 100, not 0"),
        (["--threshold", "NaN"], "threshold must be 0 to 1, not NaN"),
        (["--attack-edges", "201"], "attack-edges must be 0 to 200 among so many users, not 201"),
        (["--degree", "ten"], "--degree"),
    ] {
        let run = home.run(&[SOCIETY.get(..2).unwrap(), &["--honest", "200", "--sybils", "9"], &more].concat());
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{more:?}");
        assert!(run.stderr.contains(part), "{more:?}: {}", run.stderr);
    }
}
