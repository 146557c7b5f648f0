//! A mailbox becomes an identity: `parallax id` and `parallax agent` against a real node whose mails go to a folder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/mailbox.rs"]
mod mailbox;
#[path = "support/served.rs"]
mod served;
mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use mailbox::{Mail, Mailboxes};
use served::{PATIENCE, Served};
use support::{Home, Run};

const ANN: &str = "ann@example.com";

/// A node of the role janus, and where its mails go.
struct Janus {
    node: Served,
    mails: Mailboxes,
    _home: Home,
}

impl Janus {
    fn start() -> Self {
        let home = Home::new();
        let mails = Mailboxes::at(home.path().join("mails"));
        let home = home.with("PARALLAX_JANUS_SMTP", &format!("maildir:{}", mails.path().display()));
        let node = Served::start(&home, "node", &["--role", "janus"]);
        Self { node, mails, _home: home }
    }

    /// Places an order and reads its mail.
    fn request(&self, user: &Home, more: &[&str]) -> (serde_json::Value, Mail) {
        let before = self.mails.count();
        let run = user.run(&[&["id", "request", ANN, "--json", "--janus", &self.node.url()], more].concat());
        assert_eq!(run.status, 0, "{run:?}");
        (run.json(), self.mails.wait(before + 1))
    }

    /// A certificate for Ann.
    fn certify(&self, user: &Home, more: &[&str]) {
        let (_, mail) = self.request(user, more);
        let run = user.run(&["id", "confirm", &mail.code()]);
        assert_eq!(run.status, 0, "{run:?}");
        // The second mail, so that the next first one is found.
        self.mails.wait(self.mails_after_certificate());
    }

    fn mails_after_certificate(&self) -> usize {
        self.mails.count().max(2)
    }
}

fn identity(user: &Home) -> serde_json::Value {
    user.run(&["id", "show", "--json"]).json()["identities"][0].take()
}

fn fails(run: &Run, part: &str) {
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stderr.contains(part), "{part}: {run:?}");
}

#[test]
fn a_code_becomes_a_certificate_that_is_renewed_and_revoked() {
    let (janus, user) = (Janus::start(), Home::new());
    let (order, mail) = janus.request(&user, &[]);
    let phrase = order["phrase"].as_str().unwrap();
    assert!(mail.text().contains(phrase), "{}", mail.text());
    let shown = user.run(&["id", "show"]).stdout;
    assert!(shown.contains(phrase) && shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    let wrong = user.run(&["id", "confirm", "AAAAAAAA"]);
    fails(&wrong, "4 more can be tried");
    fails(&wrong, phrase);
    // Asked for on standard input, as it is typed.
    let typed = mail.code().to_lowercase();
    let (first, second) = typed.split_at(4);
    let run = user.run_with_input(&["id", "confirm"], format!(" {first} {second}\n").as_bytes());
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.starts_with("ann@example.com is certified until 20"), "{run:?}");
    assert!(run.stderr.contains(&format!("must show the phrase {phrase}")), "{run:?}");
    let first = identity(&user);
    assert_eq!((first["state"].as_str(), first["key_type"].as_str()), (Some("certified"), Some("ed25519")));
    assert!(user.run(&["id", "show", "--json"]).json()["orders"].as_array().unwrap().is_empty());
    fails(&user.run(&["id", "confirm", &mail.code()]), "no order of this user waits");

    let run = user.run(&["id", "renew"]);
    assert_eq!(run.status, 0, "{run:?}");
    let renewed = identity(&user);
    assert_eq!(renewed["key"], first["key"]);
    assert!(renewed["not_after"].as_str() >= first["not_after"].as_str());

    let run = user.run(&["id", "revoke"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains(first["key"].as_str().unwrap()), "{run:?}");
    fails(&user.run(&["id", "renew"]), "no certificate for a mailbox here");
    assert!(!user.path().join(".config/parallax/id/ann@example.com/key.pem").exists());
    let (_, mail) = janus.request(&user, &[]);
    assert_eq!(user.run(&["id", "confirm", &mail.link()]).status, 0);
    assert_ne!(identity(&user)["key"], first["key"], "a revoked key is not asked for again");
}

#[test]
fn keys_of_each_kind_are_certified() {
    let (janus, user) = (Janus::start(), Home::new());
    let mut before = String::new();
    for kind in ["p256", "rsa", "ed25519"] {
        let (_, mail) = janus.request(&user, &["--key-type", kind]);
        if !before.is_empty() {
            assert_eq!(
                identity(&user)["key_type"],
                before.as_str(),
                "the old key works until the new one is certified"
            );
        }
        let run = user.run(&["id", "confirm", &mail.code()]);
        assert_eq!(run.status, 0, "{kind}: {run:?}");
        janus.mails.wait(janus.mails.count());
        assert_eq!(identity(&user)["key_type"], kind);
        let run = user.run(&["id", "renew"]);
        assert_eq!(run.status, 0, "{kind}: {run:?}");
        before = kind.to_owned();
        janus.mails.wait_for_subject("Your Parallax certificate");
        janus.mails.clear();
    }
}

#[test]
fn five_wrong_codes_end_an_order() {
    let (janus, user) = (Janus::start(), Home::new());
    let (_, mail) = janus.request(&user, &[]);
    for left in ["4 more", "3 more", "2 more", "1 more"] {
        fails(&user.run(&["id", "confirm", "AAAAAAAA"]), left);
    }
    fails(&user.run(&["id", "confirm", "AAAAAAAA"]), "five wrong answers");
    fails(&user.run(&["id", "confirm", &mail.code()]), "no order of this user waits");
    assert_eq!(identity(&user)["state"], "not-yet");
}

#[test]
fn an_order_in_somebody_elses_name_comes_to_nothing() {
    let (janus, owner, stranger) = (Janus::start(), Home::new(), Home::new());
    // The stranger asks; the mail goes to the owner, who confirms what they should not.
    let (_, mail) = janus.request(&stranger, &[]);
    for proof in [mail.link(), mail.code()] {
        fails(&owner.run(&["id", "confirm", &proof]), "somebody asked in your name: nothing was issued");
    }
    // Even with an order of their own that waits.
    janus.mails.clear();
    let (own, own_mail) = janus.request(&owner, &[]);
    fails(&owner.run(&["id", "confirm", &mail.link()]), "not an order of this user on this machine");
    fails(&owner.run(&["id", "confirm", &mail.code()]), own["phrase"].as_str().unwrap());
    assert_eq!(owner.run(&["id", "confirm", &own_mail.code()]).status, 0);
    assert_eq!(identity(&stranger)["state"], "not-yet");
}

#[test]
fn a_lost_key_ends_with_a_new_proof_of_the_mailbox() {
    let (janus, old, new) = (Janus::start(), Home::new(), Home::new());
    janus.certify(&old, &[]);
    janus.mails.wait_for_subject("Your Parallax certificate");
    janus.mails.clear();
    let run = new.run(&["id", "revoke", "--lost", ANN, "--janus", &janus.node.url()]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stderr.contains("all other keys of the mailbox count no more once"), "{run:?}");
    let mail = janus.mails.wait(1);
    assert_eq!(old.run(&["id", "renew"]).status, 0, "asking alone ends nothing");
    assert_eq!(new.run(&["id", "confirm", &mail.code()]).status, 0);
    let run = old.run(&["id", "renew"]);
    fails(&run, "deny list");
    fails(&run, "parallax id request ann@example.com");
    assert_eq!(new.run(&["id", "renew"]).status, 0);
}

#[test]
fn the_second_mail_is_imported_where_its_key_is_alone() {
    let (janus, user, other) = (Janus::start(), Home::new(), Home::new());
    janus.certify(&user, &[]);
    let mail = janus.mails.wait_for_subject("Your Parallax certificate");
    let file = user.write("attached.pem", &mail.attachment());
    let file = file.display().to_string();
    fails(&user.run(&["id", "import", &file]), "there is nothing to import");
    fails(&other.run(&["id", "import", &file]), "a key that this user does not hold");
    let kept = user.path().join(".config/parallax/id/ann@example.com/certificate.pem");
    std::fs::remove_file(&kept).unwrap();
    assert_eq!(identity(&user)["state"], "not-yet");
    let run = user.run_with_input(&["id", "import", "-"], mail.attachment().as_bytes());
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(identity(&user)["state"], "certified");
    // The link of the second mail holds the client's certificate alone; the helper finds the one that issued it.
    std::fs::remove_file(&kept).unwrap();
    let leaf = mail.attachment().split_inclusive("-----END CERTIFICATE-----\n").next().unwrap().to_owned();
    let alone = user.write("leaf.pem", &leaf).display().to_string();
    let run = user.run(&["id", "import", &alone]);
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(std::fs::read_to_string(&kept).unwrap().matches("BEGIN CERTIFICATE").count(), 2);
}

#[test]
fn the_helper_answers_an_order_when_its_button_is_pressed() {
    let (janus, user) = (Janus::start(), Home::new());
    let (_, mail) = janus.request(&user, &[]);
    let agent = mailbox::Agent::start(&user);
    let fragment = mail.link().split_once('#').unwrap().1.to_owned();
    let page = agent.post("/order", &[("link", &fragment)]);
    assert!(page.contains("Is this your order?") && page.contains(ANN), "{page}");
    assert_eq!(identity(&user)["state"], "not-yet", "looking does nothing");
    let page = agent.post("/answer", &[("proof", &fragment)]);
    assert!(page.contains("You have a certificate"), "{page}");
    assert_eq!(identity(&user)["state"], "certified");
}

#[test]
fn a_node_without_the_role_is_told_from_one_that_is_away() {
    let (home, user) = (Home::new(), Home::new());
    let node = Served::start(&home, "node", &[]);
    let run = user.run(&["id", "request", ANN, "--janus", &node.url()]);
    fails(&run, "certifies no mailboxes");
    // Orders over plain HTTP are not even looked at.
    let mut stream = TcpStream::connect(&node.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("POST /v1/orders HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", node.http);
    write!(stream, "{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}
