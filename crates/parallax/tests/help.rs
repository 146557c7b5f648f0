//! Help texts are what people learn the command from: a change of one is a change that is seen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use support::Home;

#[test]
fn help_of_every_command() {
    let home = Home::new();
    for command in [
        "",
        "check",
        "observe",
        "shell",
        "ssh-known-hosts",
        "resolve",
        "ca",
        "ca init",
        "ca root",
        "ca rotate",
        "ca list",
        "ca revoke",
        "ca-auth",
        "serve",
        "demo",
        "demo panorama",
        "vantage",
        "vantage add",
        "vantage list",
        "vantage remove",
        "mirror",
        "mirror bootstrap",
        "mirror refresh",
        "mirror join",
        "mirror list",
        "mirror status",
        "mirror publish",
        "mirror remove",
        "key",
        "key new",
        "key show",
        "key allow",
        "key block",
        "key unblock",
        "call",
        "peer",
        "id",
        "id request",
        "id confirm",
        "id import",
        "id show",
        "id renew",
        "id revoke",
        "agent",
        "trust",
        "trust add",
        "trust remove",
        "trust list",
        "trust explain",
        "history",
        "services",
        "services list",
        "services add",
        "services remove",
        "scan",
        "sim",
        "sim mirrors",
        "sim trust",
        "export",
        "import",
        "vantage import",
        "accept",
        "accept list",
        "accept remove",
        "sim",
        "sim worlds",
        "config",
        "config show",
        "completions",
        "man",
    ] {
        let arguments: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let run = home.run(&arguments);
        assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{command}");
        insta::assert_snapshot!(format!("help {command}").trim().replace(' ', "-"), run.stdout);
    }
}

#[test]
fn version_is_one_line() {
    let run = Home::new().run(&["--version"]);
    assert_eq!((run.status, run.stdout.as_str()), (0, concat!("parallax ", env!("CARGO_PKG_VERSION"), "\n")));
}

#[test]
fn without_a_command_the_help_goes_to_standard_error() {
    let run = Home::new().run(&[]);
    assert_eq!((run.status, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("Usage: parallax"), "{run:?}");
}

#[test]
fn completions_for_every_shell_and_manual_pages_for_every_command() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = home.run(&["completions", shell]);
        assert_eq!(run.status, 0);
        assert!(run.stdout.contains("accept-private"), "{shell}");
    }
    let page = home.run(&["man"]).stdout;
    assert!(page.contains(".TH parallax 1") && page.contains("vantage"), "{page}");

    std::fs::create_dir(home.path().join("man1")).unwrap();
    assert_eq!(home.run(&["man", "--dir", "man1"]).status, 0);
    for page in ["parallax.1", "parallax-check.1", "parallax-vantage-add.1", "parallax-config-show.1"] {
        assert!(home.path().join("man1").join(page).is_file(), "{page}");
    }
    let run = home.run(&["man", "--dir", "nowhere"]);
    assert_eq!(run.status, 1);
    assert!(run.stderr.starts_with("parallax: nowhere can't be written to: "), "{run:?}");
}
