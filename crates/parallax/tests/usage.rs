//! Bad input: exit 2, nothing on standard output, and one sentence that says what is wrong and what would be right.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use support::{Home, Run};

fn assert_refused(run: &Run, part: &str) {
    assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run:?}");
    assert!(run.stderr.starts_with("parallax: ") && run.stderr.contains(part), "{part}: {run:?}");
    assert_eq!(run.stderr.matches('\n').count(), 1, "{run:?}");
    assert!(!run.stderr.trim_end_matches('\n').contains(char::is_control), "{run:?}");
    assert!(run.stderr.len() < 400, "{run:?}");
    for debris in ["Error:", "Err(", "Some(", "None", "Os {", "panicked"] {
        assert!(!run.stderr.contains(debris), "{run:?}");
    }
}

#[test]
fn services_that_are_none() {
    let home = Home::new();
    let long = format!("{}.example", "a.".repeat(150));
    let label = format!("{}.example", "a".repeat(64));
    for (service, part) in [
        ("", "no service was named"),
        ("gopher://example.com", "use tls://, https://, ssh://, smtp://"),
        ("ssh ://x", "tls://"),
        ("example.com:0", "ports are 1 to 65535"),
        ("example.com:65536", "ports are 1 to 65535"),
        ("example.com:http", "ports are 1 to 65535"),
        (&long, "at most 253"),
        (&label, "at most 63"),
        ("xn--a.example", "IDNA"),
        ("exa\u{202e}mple.com", "\"exa"),
        ("\u{1b}[31mred.example", "write a host such as example.com"),
        ("user@example.com", "user name"),
        ("ssh://user@example.com", "user name"),
        ("127.1", "four decimal numbers"),
        ("[::1", "in brackets"),
        ("example.com:443,3", "host:port,1 SSH"),
    ] {
        for command in ["check", "observe"] {
            assert_refused(&home.run(&[command, service]), part);
        }
    }
}

#[test]
fn vantage_points_that_are_none() {
    let home = Home::new();
    let id = "ab".repeat(32);
    for (url, part) in [
        ("", "write https://HOST:PORT#VANTAGE-ID"),
        ("http://192.0.2.7:8443", "write https://HOST:PORT#VANTAGE-ID"),
        ("https://192.0.2.7:8443#", "64 lower-case hex digits"),
        ("https://192.0.2.7:8443#ABC", "64 lower-case hex digits"),
        (&format!("https://192.0.2.7:8443#{id}0"), "64 lower-case hex digits"),
        (&format!("https://192.0.2.7:0#{id}"), "ports are 1 to 65535"),
        (&format!("https://192.0.2.7:8443/v1#{id}"), "without \"v1\""),
        ("https://192.0.2.7:8443", "--trust-first"),
    ] {
        assert_refused(&home.run(&["check", "--vantage", url, "example.com"]), part);
        assert_refused(&home.run(&["vantage", "add", url]), part);
    }
    assert_refused(&home.run(&["vantage", "remove", "abcd"]), "64 hex digits");
}

#[test]
fn flags_that_hold_nothing_useful() {
    let home = Home::new();
    for (flags, part) in [
        (&["--policy", "most"][..], "there are evidence, majority, quorum, unanimous, mpic"),
        (&["--timeout", "5"], "such as 300ms, 5s or 2d"),
        (&["--timeout", "0s"], "between 10ms and 10m"),
        (&["--replies", "0"], "1 to 1000"),
        (&["--policy", "majority", "--threshold", "75%"], "share between 0 and 1"),
        (&["--threshold", "0.5"], "belongs to majority and quorum"),
        (&["--policy", "quorum", "--min-duration", "two days"], "such as 300ms, 5s or 2d"),
        (&["--resolver", "192.0.2.53"], "IP:PORT"),
        (&["--source", "localhost"], "is not an address"),
        (&["--source", "192.0.2.1"], "not an address of this machine"),
        (&["--roots", "nowhere.pem"], "public, none or a PEM file"),
        (&["--accept-private=maybe"], "true or false"),
        (&["--nonsense"], "unexpected argument '--nonsense'"),
        (&["--jsn"], "a similar argument exists: '--json'"),
        (&["--quiet", "--json"], "cannot be used with"),
        (&["another.example"], "unexpected argument 'another.example'"),
    ] {
        let arguments = [&["check", "example.com"], flags].concat();
        assert_refused(&home.run(&arguments), part);
    }
    assert_refused(&home.run(&["chek", "example.com"]), "a similar subcommand exists: 'check'");
    assert_refused(&home.run(&["observe", "--address", "example.org", "example.com"]), "is not an address");
    let not_roots = home.write("empty.pem", "no certificate");
    assert_refused(&home.run(&["observe", "--roots", not_roots.to_str().unwrap(), "example.com"]), "no certificate");
}

#[test]
fn a_node_that_can_not_be() {
    let home = Home::new();
    for (flags, part) in [
        (["--listen", "8080"], "IP:PORT"),
        (["--listen-tls", "localhost:8443"], "IP:PORT"),
        (["--region", "EU West"], "lower-case letters, digits and hyphens"),
        (["--rir", "IANA"], "AFRINIC, APNIC, ARIN, LACNIC, RIPE"),
        (["--operator", "two\nlines"], "one line"),
        (["--data", ""], "empty"),
    ] {
        assert_refused(&home.run(&[&["serve"], &flags[..]].concat()), part);
    }
}

#[test]
fn environment_and_file_are_refused_by_name() {
    let home = Home::new().with("PARALLAX_TIMEOUT", "soon");
    assert_refused(&home.run(&["check", "example.com"]), "PARALLAX_TIMEOUT: \"soon\" is not a duration");
    let home = Home::new().with("PARALLAX_LOG", "==");
    assert_refused(&home.run(&["check", "example.com"]), "PARALLAX_LOG: ");
    let home = Home::new();
    assert_refused(&home.run(&["--config", "none.toml", "check", "example.com"]), "none.toml can't be read");
    let home = Home::new();
    home.write(".config/parallax/config.toml", "[check]\n\npolcy = \"quorum\"\n");
    let part = "config.toml line 3: unknown key \"check.polcy\"; did you mean check.policy?";
    assert_refused(&home.run(&["check", "example.com"]), part);
    assert_refused(&home.run(&["config", "show"]), part);
    let home = Home::new();
    home.write(".config/parallax/vantages.toml", "[[vantage]]\nurl = \"https://192.0.2.7\"\n");
    for command in [&["check", "example.com"][..], &["vantage", "list"]] {
        assert_refused(&home.run(command), "vantages.toml line 1: missing field");
    }
}

#[test]
fn nobody_at_home() {
    let home = Home::new();
    let output = home.command(&["config", "show"]).env_remove("HOME").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("neither HOME nor XDG_CONFIG_HOME names a directory"));
}

#[test]
fn standard_output_that_is_full_or_gone() {
    let home = Home::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = home.command(&["config", "show"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("parallax: standard output can't be written to: "));

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = home.command(&["config", "show"]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(2), b"".as_slice()), "a closed pipe is no news");
}

#[test]
fn hosts_that_ssh_would_not_name() {
    let home = Home::new();
    for host in ["", "*", "a,b", "a b", "[a]:", "[a]:0", "ssh://a", "a\nb"] {
        let run = home.run(&["ssh-known-hosts", host]);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{host:?}: {run:?}");
        assert_eq!(run.stderr.matches('\n').count(), 1, "{run:?}");
    }
}
