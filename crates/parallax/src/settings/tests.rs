use std::ffi::OsString;

use parallax_core::Share;

use super::*;

const SAMPLE: &str = include_str!("../../../../etc/parallax.toml");

fn resolve(flags: &[Flag], env: &[(&str, &str)], file: &str) -> Result<Settings, String> {
    let env = |name: &str| match name {
        "HOME" => Some(OsString::from("/home/user")),
        _ => env.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value)),
    };
    let file = File::parse(Path::new("c.toml"), file).map_err(|error| error.to_string())?;
    Settings::resolve("evidence", flags, &env, &file).map_err(|error| error.to_string())
}

fn shown(settings: &Settings) -> Vec<(&'static str, String)> {
    settings.shown.iter().map(|shown| (shown.key.path, shown.toml.clone())).collect()
}

/// The sample with every key taken out of its comment.
fn uncommented() -> String {
    let is_key = |line: &str| line.strip_prefix('#').is_some_and(|rest| rest.starts_with(char::is_alphabetic));
    SAMPLE
        .lines()
        .map(|line| if is_key(line) { line.trim_start_matches('#') } else { line })
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn the_sample_names_every_key_with_its_default() {
    let sample = resolve(&[], &[], &uncommented()).unwrap();
    let nothing = resolve(&[], &[], "").unwrap();
    assert_eq!(shown(&sample), shown(&nothing));
    for shown in &sample.shown {
        assert!(matches!(shown.origin, Origin::File { .. }), "{} is not in the sample", shown.key.path);
    }
    assert_eq!((sample.check, sample.look, sample.serve), (nothing.check, nothing.look, nothing.serve));
}

#[test]
fn the_sample_as_it_is_sets_nothing_and_names_every_variable_and_flag() {
    assert!(resolve(&[], &[], SAMPLE).unwrap().shown.iter().all(|shown| shown.origin == Origin::Default));
    for key in keys::ALL {
        assert!(SAMPLE.contains(key.variable), "{}", key.variable);
        assert!(SAMPLE.contains(key.flag), "{}", key.flag);
    }
}

#[test]
fn every_key_is_resolved_once_in_the_order_of_the_file() {
    let settings = resolve(&[], &[], "").unwrap();
    let resolved: Vec<_> = settings.shown.iter().map(|shown| shown.key).collect();
    assert_eq!(resolved, keys::ALL);
}

#[test]
fn flag_then_environment_then_file_then_default() {
    let file = "[check]\ntimeout_ms = 3000\n";
    let env = [("PARALLAX_TIMEOUT", "2s")];
    let flags = [(&TIMEOUT, "1s".to_string())];
    let timeout = |flags: &[Flag], env: &[(&str, &str)], file| {
        let settings = resolve(flags, env, file).unwrap();
        let shown = settings.shown.iter().find(|shown| *shown.key == TIMEOUT).unwrap();
        (settings.check.timeout.as_millis(), shown.origin.to_string())
    };
    assert_eq!(timeout(&flags, &env, file), (1000, "--timeout".into()));
    assert_eq!(timeout(&[], &env, file), (2000, "PARALLAX_TIMEOUT".into()));
    assert_eq!(timeout(&[], &[], file), (3000, "c.toml line 2".into()));
    assert_eq!(timeout(&[], &[], ""), (5000, "default".into()));
    assert_eq!(timeout(&[], &[("PARALLAX_TIMEOUT", "")], file), (3000, "c.toml line 2".into()));
}

#[test]
fn a_complaint_names_the_place() {
    for (flags, env, file, wanted) in [
        (&[(&TIMEOUT, "5".to_string())][..], &[][..], "", "--timeout: \"5\" is not a duration"),
        (&[], &[("PARALLAX_RESOLVER", "dns")], "", "PARALLAX_RESOLVER: \"dns\" is not an address and a port"),
        (
            &[],
            &[],
            "[check]\n\npolicy = \"most\"",
            "c.toml line 3: check.policy: \"most\" is not a policy; there are ev",
        ),
        (&[], &[], "[look]\nsource = 7", "c.toml line 2: look.source: the value must be text in quotes: an address"),
        (&[], &[], "[check]\nreplies = 0", "c.toml line 2: check.replies: the value must be 1 to 1000"),
        (&[], &[], "[serve]\ndata = { a = 1 }", "c.toml line 2: serve.data: the value must be text"),
    ] {
        let message = resolve(flags, env, file).unwrap_err();
        assert!(message.starts_with(wanted), "{message}");
    }
}

#[test]
fn settings_make_the_policy() {
    let policy = |env: &[(&str, &str)]| resolve(&[], env, "").unwrap().check.policy;
    assert_eq!(policy(&[]), Policy::Evidence { accept_private: false });
    assert_eq!(policy(&[("PARALLAX_ACCEPT_PRIVATE", "true")]), Policy::Evidence { accept_private: true });
    let quorum = [("PARALLAX_POLICY", "quorum"), ("PARALLAX_THRESHOLD", "0.6"), ("PARALLAX_MIN_DURATION", "2d")];
    let threshold = Share::new(0.6).unwrap();
    assert_eq!(policy(&quorum), Policy::Quorum { threshold, min_duration: Duration::from_secs(172_800) });
    assert_eq!(policy(&[("PARALLAX_POLICY", "majority")]), Policy::named("majority").unwrap());
    assert_eq!(policy(&[("PARALLAX_POLICY", "quorum")]), Policy::named("quorum").unwrap());
}

#[test]
fn a_flag_of_another_policy_is_refused_and_a_key_is_not() {
    let message = resolve(&[(&THRESHOLD, "0.5".to_string())], &[], "").unwrap_err();
    assert_eq!(message, "--threshold has no meaning under the policy evidence; it belongs to majority and quorum");
    assert!(resolve(&[], &[("PARALLAX_THRESHOLD", "0.5")], "[check]\nmin_views = 7").is_ok());
    let flags = [(&POLICY, "quorum".to_string()), (&MIN_VIEWS, "2".to_string())];
    assert!(resolve(&flags, &[], "").unwrap_err().contains("--min-views"));
}

/// What decides about a host: policy, replies, threshold.
fn rule(settings: &Settings, host: &str) -> (&'static str, Option<usize>, Option<f64>) {
    let check = settings.check_of(host);
    let threshold = match &check.policy {
        Policy::Majority { threshold, .. } | Policy::Quorum { threshold, .. } => Some(threshold.value()),
        _ => None,
    };
    (check.policy.name(), check.replies, threshold)
}

#[test]
fn majority_asks_five_and_wants_half_of_them() {
    let majority = resolve(&[], &[("PARALLAX_POLICY", "majority")], "").unwrap();
    assert_eq!(rule(&majority, "example.com"), ("majority", Some(5), Some(0.5)));
    assert_eq!(rule(&resolve(&[], &[], "").unwrap(), "example.com"), ("evidence", None, None));
    let said = resolve(&[], &[], "[check]\npolicy = \"majority\"\nreplies = 7\nthreshold = 0.6").unwrap();
    assert_eq!(rule(&said, "example.com"), ("majority", Some(7), Some(0.6)));
}

const DOMAINS: &str = "[check]\nreplies = 7\n\
    [check.domains.\"example.com\"]\npolicy = \"majority\"\nreplies = 20\nthreshold = 0.7\n\
    [check.domains.\"mail.example.com\"]\nthreshold = 0.9\n\
    [check.domains.\"org\"]\npolicy = \"quorum\"\nreplies = \"\"\n";

#[test]
fn a_longer_domain_wins_over_a_shorter_and_that_over_all() {
    let settings = resolve(&[], &[], DOMAINS).unwrap();
    for (host, wanted) in [
        ("example.com", ("majority", Some(20), Some(0.7))),
        ("www.example.com", ("majority", Some(20), Some(0.7))),
        ("mail.example.com", ("majority", Some(20), Some(0.9))),
        ("a.b.mail.example.com", ("majority", Some(20), Some(0.9))),
        // Ends in the same letters, but is another name.
        ("badexample.com", ("evidence", Some(7), None)),
        ("mail.example.com.evil.net", ("evidence", Some(7), None)),
        ("com", ("evidence", Some(7), None)),
        ("192.0.2.7", ("evidence", Some(7), None)),
        // An empty text takes back what is said of all.
        ("debian.org", ("quorum", None, Some(0.75))),
    ] {
        assert_eq!(rule(&settings, host), wanted, "{host}");
    }
}

#[test]
fn flag_then_environment_then_domain_then_all_then_default() {
    let threshold =
        |flags: &[Flag], env: &[(&str, &str)], file| rule(&resolve(flags, env, file).unwrap(), "www.example.com").2;
    let flags = [(&THRESHOLD, "0.1".to_string())];
    let env = [("PARALLAX_THRESHOLD", "0.2")];
    let all = "[check]\npolicy = \"majority\"\nthreshold = 0.4\n";
    let both = format!("{all}[check.domains.\"example.com\"]\nthreshold = 0.3\n");
    assert_eq!(threshold(&flags, &env, &both), Some(0.1));
    assert_eq!(threshold(&[], &env, &both), Some(0.2));
    assert_eq!(threshold(&[], &[], &both), Some(0.3));
    assert_eq!(threshold(&[], &[], all), Some(0.4));
    assert_eq!(threshold(&[], &[], "[check]\npolicy = \"majority\""), Some(0.5));
}

#[test]
fn a_flag_may_belong_to_the_policy_of_a_domain() {
    let settings = resolve(&[(&THRESHOLD, "0.6".to_string())], &[], DOMAINS).unwrap();
    assert_eq!(rule(&settings, "example.com").2, Some(0.6));
    assert!(settings.check_of_one("example.com").is_ok());
    let message = settings.check_of_one("example.net").unwrap_err().to_string();
    assert!(message.starts_with("--threshold has no meaning under the policy evidence"), "{message}");
    assert!(resolve(&[(&ACCEPT_PRIVATE, "true".to_string())], &[], DOMAINS).is_ok());
}

#[test]
fn a_wrong_value_of_a_domain_is_named_with_its_line() {
    for (text, wanted) in [
        ("replies = 0", "c.toml line 2: check.domains.\"example.com\".replies: the value must be 1 to 1000"),
        ("threshold = 7", "c.toml line 2: check.domains.\"example.com\".threshold: the value must be a share"),
        ("policy = \"most\"", "c.toml line 2: check.domains.\"example.com\".policy: \"most\" is not a policy"),
        ("policy = []", "c.toml line 2: check.domains.\"example.com\".policy: the value must be text"),
    ] {
        let message = resolve(&[], &[], &format!("[check.domains.\"example.com\"]\n{text}")).unwrap_err();
        assert!(message.starts_with(wanted), "{message}");
    }
}

#[test]
fn the_shell_has_a_policy_of_its_own_when_nobody_names_one() {
    let file = File::parse(Path::new("c.toml"), "[check]\nmin_views = 4").unwrap();
    let env = |name: &str| (name == "HOME").then(|| OsString::from("/home/user"));
    let settings = Settings::resolve("majority", &[], &env, &file).unwrap();
    assert_eq!(rule(&settings, "example.com"), ("majority", Some(5), Some(0.5)));
    let named = Settings::resolve("majority", &[(&POLICY, "mpic".to_string())], &env, &file).unwrap();
    assert_eq!(rule(&named, "example.com"), ("mpic", None, None));
}

#[test]
fn what_is_shown_can_be_read_again() {
    let file = "[check]\npolicy = \"quorum\"\nthreshold = 1\n[look]\nports = [443]\nresolver = \"[::1]:53\"\n\
                [serve]\noperator = \"A \\\"B\\\" \\\\ \u{202e}C\"\nrir = \"ripe\"\n";
    let file = &format!("{file}{}", DOMAINS.replace("[check]\nreplies = 7\n", ""));
    let settings = resolve(&[], &[], file).unwrap();
    let again = crate::commands::config::text(&settings);
    let read_again = resolve(&[], &[], &again).unwrap();
    assert_eq!(shown(&settings), shown(&read_again), "{again}");
    for host in ["example.com", "mail.example.com", "debian.org", "example.net"] {
        assert_eq!(settings.check_of(host), read_again.check_of(host), "{host}: {again}");
    }
    assert_eq!(settings.domains.len(), read_again.domains.len());
    assert_eq!((settings.check, settings.look, settings.serve), (read_again.check, read_again.look, read_again.serve));
}
