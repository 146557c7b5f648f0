//! Services that begin in the clear, by the programs that most people run: Postfix, Dovecot, OpenLDAP, PostgreSQL.

use serde_json::{Value, json};

use crate::support::{Keeper, Node, User, dovecot, is_root, needs, postfix, postgres, postgres_programs, slapd};

const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";

/// Mail servers start as root and change to others.
macro_rules! needs_root {
    () => {
        if !is_root() {
            eprintln!("skipped: mail servers want to be started by root, so this was not tried against them.");
            return;
        }
    };
}

/// One look at a server that offers TLS: its certificate is the one that openssl made.
#[track_caller]
fn expect_seen(keeper: &Keeper, service: &str) {
    let now = User::new().observes(&[service]);
    assert_eq!((&now["outcome"], &now["starttls"]), (&"seen".into(), &"offered".into()), "{service}: {now}");
    assert_eq!((&now["protocol"], &now["proved"]), (&"TLSv1.3".into(), &true.into()), "{service}: {now}");
    assert_eq!(now["leaf"], keeper.fingerprint("site"), "{service}: {now}");
    assert_eq!(now["key"], keeper.key_fingerprint("site"), "{service}: {now}");
}

/// One look at a server that offers none.
#[track_caller]
fn expect_clear(service: &str) {
    let now = User::new().observes(&[service]);
    assert_eq!((&now["outcome"], &now["starttls"]), (&"not-tls".into(), &"not-offered".into()), "{service}: {now}");
    assert_eq!(now.get("leaf"), None);
}

#[test]
fn postfix_with_and_without() {
    needs!("postfix", "openssl");
    needs_root!();
    let keeper = Keeper::new();
    let server = postfix(&keeper.self_signed("site", P256), "");
    expect_seen(&keeper, &format!("smtp://{}", server.address(0)));
    expect_seen(&keeper, &format!("submission://{}", server.address(0)));
    expect_clear(&format!("smtp://{}", server.address(1)));
    // Another protocol than what is there.
    for scheme in ["imap", "pop3", "postgres"] {
        let now = User::new().observes(&[&format!("{scheme}://{}", server.address(0))]);
        assert_eq!((&now["outcome"], now.get("starttls")), (&"not-tls".into(), None), "{scheme}: {now}");
    }
}

#[test]
fn dovecot_with_and_without() {
    needs!("dovecot", "openssl");
    needs_root!();
    let keeper = Keeper::new();
    let pem = keeper.self_signed("site", P256);
    let server = dovecot(&pem, "yes");
    expect_seen(&keeper, &format!("imap://{}", server.address(0)));
    expect_seen(&keeper, &format!("pop3://{}", server.address(1)));
    let clear = dovecot(&pem, "no");
    expect_clear(&format!("imap://{}", clear.address(0)));
    expect_clear(&format!("pop3://{}", clear.address(1)));
}

#[test]
fn openldap_with_and_without() {
    needs!("slapd", "openssl");
    let keeper = Keeper::new();
    let server = slapd(Some(&keeper.self_signed("site", P256)));
    expect_seen(&keeper, &format!("ldap://{}", server.address(0)));
    let clear = slapd(None);
    expect_clear(&format!("ldap://{}", clear.address(0)));
}

#[test]
fn postgresql_with_and_without() {
    needs!("openssl");
    let Some(programs) = postgres_programs() else {
        eprintln!("skipped: PostgreSQL is not on this machine, so this was not tried against it.");
        return;
    };
    let keeper = Keeper::new();
    let server = postgres(&programs, Some(&keeper.self_signed("site", P256)));
    expect_seen(&keeper, &format!("postgres://{}", server.address(0)));
    let clear = postgres(&programs, None);
    expect_clear(&format!("postgres://{}", clear.address(0)));
}

/// Postfix takes STARTTLS out of its answer towards chosen addresses, as somebody on their way would.
#[test]
fn an_offer_that_is_taken_out_for_some() {
    needs!("postfix", "openssl");
    needs_root!();
    let (user, keeper) = (User::new(), Keeper::new());
    let stripped = "smtpd_discard_ehlo_keyword_address_maps = inline:{ 127.0.0.9=starttls, 127.0.0.4=starttls }";
    let server = postfix(&keeper.self_signed("site", P256), stripped);
    let places = [("a", "eu-west", "127.0.0.2"), ("b", "us-east", "127.0.0.3"), ("c", "ap-south", "127.0.0.4")];
    let nodes = places.map(|(data, region, source)| Node::start(&user, data, region, source));
    for node in &nodes {
        assert_eq!(user.run(&["vantage", "add", &node.url()]).status, 0);
    }
    let service = format!("smtp://{}", server.address(0));
    let check = |more: &[&str]| user.run(&[&["check", &service], more].concat());

    // One of three others is not offered it: most see my key, and what that one misses is said.
    let run = check(&[]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("verdict: TRUSTED (corroborated)"), "{run:?}");
    let json = check(&["--json", "--policy", "unanimous", "--wait-for-all"]).json();
    assert_ne!(json["verdict"], "trusted", "{json:#}");
    let told: Vec<&Value> =
        json["views"].as_array().unwrap().iter().map(|view| &view["view"]["now"]["starttls"]).collect();
    assert!(told.contains(&&json!("not-offered")) && told.contains(&&json!("offered")), "{json:#}");

    // Only I am not offered it.
    let run = check(&["--source", "127.0.0.9"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("verdict: DISTRUSTED (mitm-near-me)"), "{run:?}");
    assert!(run.stdout.contains("STARTTLS is not offered to you, but offered to 2 of 3 asked."), "{run:?}");
    assert!(run.stdout.contains("(no TLS offered)"), "{run:?}");
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);

    // Nobody is.
    let clear = user.run(&["check", &format!("smtp://{}", server.address(1))]);
    assert_eq!(clear.status, 3, "{clear:?}");
    assert!(clear.stdout.contains("verdict: UNDECIDED (not-enough)"), "{clear:?}");
    assert!(clear.stdout.contains("The server offers STARTTLS to nobody"), "{clear:?}");
}
