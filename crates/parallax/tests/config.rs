//! What is in force: flag over environment over file over default.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use support::Home;

#[test]
fn the_defaults() {
    let run = Home::new().with("XDG_CONFIG_HOME", "/nonexistent").run(&["config", "show"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(run.stdout);
}

#[test]
fn each_layer_over_the_one_below_and_said_so() {
    let home = Home::new().with("PARALLAX_MIN_VIEWS", "7").with("PARALLAX_RESOLVER", "");
    let file = home.write(
        ".config/parallax/config.toml",
        "[check]\npolicy = \"majority\"\nmin_views = 5\n[look]\nresolver = \"192.0.2.53:53\"\n",
    );
    let shown = home.run(&["config", "show"]).stdout;
    let place = |line: usize| format!("{} line {line}", file.display());
    for (setting, source) in [
        ("policy = \"majority\"", place(2)),
        ("min_views = 7", "environment PARALLAX_MIN_VIEWS".into()),
        ("resolver = \"192.0.2.53:53\"", place(5)),
        ("timeout_ms = 5000", "default".into()),
        ("source = \"\"", "default: the system chooses".into()),
    ] {
        let line = shown.lines().find(|line| line.starts_with(setting)).expect(setting);
        assert!(line.ends_with(&format!("# {source}")), "{line}");
    }
}

#[test]
fn the_file_may_be_named_and_its_neighbour_is_the_list() {
    let home = Home::new();
    home.write("lab/parallax.toml", "check.timeout_ms = 1234\n");
    let by_flag = home.run(&["config", "show", "--config", "lab/parallax.toml"]);
    let by_variable = Home::new().with("PARALLAX_CONFIG", home.path().join("lab/parallax.toml").to_str().unwrap());
    for run in [by_flag, by_variable.run(&["config", "show"])] {
        assert!(run.stdout.contains("timeout_ms = 1234"), "{run:?}");
    }
    home.write("lab/vantages.toml", "nonsense");
    let run = home.run(&["vantage", "list", "--config", "lab/parallax.toml"]);
    assert!(run.stderr.contains("lab/vantages.toml line 1"), "{run:?}");
}

#[test]
fn what_is_shown_is_a_configuration_that_says_the_same() {
    let home = Home::new().with("PARALLAX_POLICY", "quorum").with("PARALLAX_MIN_DURATION", "2d");
    let shown = home.run(&["config", "show"]).stdout;
    let other = Home::new();
    other.write(".config/parallax/config.toml", &shown);
    let values = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| Some(line.split_once("  # ")?.0.trim_end().to_owned())).collect()
    };
    let again = other.run(&["config", "show"]).stdout;
    assert_eq!(values(&shown), values(&again));
    assert!(values(&again).contains(&"min_duration_secs = 172800".to_owned()), "{again}");
}

#[test]
fn domains_are_shown_as_they_are_in_force() {
    let home = Home::new().with("PARALLAX_THRESHOLD", "0.6");
    let file = home.write(
        ".config/parallax/config.toml",
        "[check.domains.\"B\u{fc}cher.example\"]\npolicy = \"majority\"\nthreshold = 0.9\nreplies = 20\n",
    );
    let shown = home.run(&["config", "show"]).stdout;
    let mut lines = shown.lines().skip_while(|line| *line != "[check.domains.\"xn--bcher-kva.example\"]").skip(1);
    for wanted in [
        format!("policy = \"majority\"               # {} line 2", file.display()),
        format!("replies = 20                      # {} line 4", file.display()),
        "threshold = 0.6                   # environment PARALLAX_THRESHOLD".into(),
        String::new(),
        "[look]".into(),
    ] {
        assert_eq!(lines.next(), Some(wanted.as_str()), "{shown}");
    }
    let other = Home::new();
    other.write(".config/parallax/config.toml", &shown);
    let again = other.run(&["config", "show"]).stdout;
    assert!(again.contains("[check.domains.\"xn--bcher-kva.example\"]\npolicy = \"majority\""), "{again}");
}

#[test]
fn a_wrong_domain_is_one_sentence() {
    let home = Home::new();
    for (text, wanted) in [
        (
            "[check.domains.\"*.a.example\"]",
            "line 1: check.domains.\"*.a.example\": a domain goes for all names below it",
        ),
        (
            "[check.domains.\"a.example\"]\nreplies = 5000",
            "line 2: check.domains.\"a.example\".replies: the value must",
        ),
    ] {
        home.write(".config/parallax/config.toml", text);
        let run = home.run(&["check", "a.example"]);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""));
        assert!(run.stderr.contains(wanted) && run.stderr.lines().count() == 1, "{run:?}");
    }
}
