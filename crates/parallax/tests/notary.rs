//! Old notaries as vantage points: the real binary against notaries that speak as the old ones did.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/notary.rs"]
mod notary;
mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use md5::{Digest as _, Md5};
use notary::{Answer, Notary, Past, public_pem, reply};
use parallax_lab::{Certificate, Lab, Site, Validity};
use support::{Home, Run};

const DAY: u32 = 86_400;

struct World {
    lab: Lab,
    home: Home,
    _site: Site,
    mine: Certificate,
    service: String,
}

impl World {
    async fn start() -> Self {
        let lab = Lab::start().await.unwrap();
        let mine = Certificate::self_signed(&["shop.example"], Validity::current()).unwrap();
        let site = lab.site(lab.address(20, 10), &mine).await.unwrap();
        lab.dns().set("shop.example", parallax_lab::Answer::a([lab.address(20, 10)])).unwrap();
        let home = Home::new()
            .with("PARALLAX_RESOLVER", &lab.dns().address().to_string())
            .with("PARALLAX_SOURCE", &lab.address(10, 1).to_string())
            .with("PARALLAX_TIMEOUT", "60s");
        let service = format!("shop.example:{}", lab.port());
        Self { lab, home, _site: site, mine, service }
    }

    async fn notary(&self, number: usize, answers: Vec<Answer>) -> Notary {
        Notary::start(number, &self.home, self.lab.address(40, number as u8), answers).await
    }

    fn run(&self, arguments: &[&str]) -> Run {
        tokio::task::block_in_place(|| self.home.run(arguments))
    }

    fn check(&self, notaries: &[Notary], flags: &[&str]) -> Run {
        let urls: Vec<String> = notaries.iter().flat_map(|notary| ["--vantage".into(), notary.url()]).collect();
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        self.run(&[&["check", &self.service][..], &urls, flags].concat())
    }

    /// My certificate for the last `days`, after another one for a day.
    fn mine(&self, days: u32) -> Past {
        let now = now();
        let print = Md5::digest(self.mine.chain()[0].as_ref()).into();
        vec![([7; 16], vec![(now - (days + 1) * DAY, now - days * DAY)]), (print, vec![(now - days * DAY, now - 60)])]
    }
}

fn now() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// Another certificate, seen just now.
fn other() -> Past {
    vec![([9; 16], vec![(now() - 10 * DAY, now() - 60)])]
}

fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quorum_and_majority_hear_old_notaries_and_evidence_does_not() {
    let world = World::start().await;
    let wait = Answer::Raw(404, "not yet".into());
    let notaries = [
        world.notary(1, vec![Answer::Honest(world.mine(10))]).await,
        // It knows nothing at first, and looks.
        world.notary(2, vec![wait.clone(), wait, Answer::Honest(world.mine(5))]).await,
        world.notary(3, vec![Answer::Honest(world.mine(3))]).await,
    ];
    let run = world.check(&notaries, &["--policy", "quorum", "--threshold", "1", "--min-duration", "2d", "--json"]);
    assert_eq!(run.status, 0, "{run:?}");
    let json = run.json();
    assert_eq!((&json["rule"], &json["counts"]["agree"]), (&"quorum-held".into(), &3.into()), "{json}");
    assert!(json["reasons"][1].as_str().unwrap().contains("3 days"), "{json}");
    assert_eq!(json["notaries"].as_array().unwrap().len(), 3);
    assert_eq!(json["notaries"][0]["spans"].as_array().unwrap().len(), 2);
    assert_eq!((&json["notaries"][0]["agrees"], &json["notaries"][0]["word"]), (&"same-leaf".into(), &"for".into()));
    let asked = format!("/?host=shop.example&port={}&service_type=2", world.lab.port());
    assert_eq!(notaries[1].requests(), [asked.as_str(); 3]);

    let run = world.check(&notaries, &["--policy", "quorum", "--threshold", "1", "--min-duration", "4d"]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stdout.contains("quorum-too-young") && run.stdout.contains("(MD5 only)"), "{run:?}");
    let run = world.check(&notaries, &["--policy", "majority"]);
    assert_eq!(run.status, 0, "{run:?}");

    let run = world.check(&notaries, &[]);
    assert_eq!(run.status, 3, "MD5 proves nothing: {run:?}");
    let text = unwrapped(&run.stdout);
    assert!(text.contains("UNDECIDED (not-enough)") && text.contains("3 of the asked are old notaries"), "{run:?}");

    for notary in &notaries {
        notary.answer(Answer::Honest(other()));
    }
    let run = world.check(&notaries, &["--policy", "quorum"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("quorum-missed"), "{run:?}");
    // What was seen last three days ago says nothing of now.
    let old = vec![([9; 16], vec![(now() - 10 * DAY, now() - 3 * DAY)])];
    for notary in &notaries {
        notary.answer(Answer::Honest(old.clone()));
    }
    let run = world.check(&notaries, &["--policy", "quorum"]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stdout.contains("not-enough"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_do_not_hold_are_dropped_and_named() {
    let world = World::start().await;
    let notary = world.notary(1, vec![Answer::Raw(500, String::new())]).await;
    let service = format!("{},2", world.service);
    let good = reply(1, &service, &world.mine(10));
    let bomb = format!("<!DOCTYPE r [<!ENTITY a \"{}\">]>{good}", "a".repeat(1000));
    let ahead: Past = vec![([9; 16], vec![(now() - 5, now() + 3 * DAY)])];
    for (answer, place, why) in [
        (Answer::SignedBy(2, world.mine(10)), "dropped", "signature of its reply does not hold"),
        (Answer::About("bank.example:443,2", world.mine(10)), "dropped", "signature of its reply does not hold"),
        (Answer::About("shop.example:443,2", world.mine(10)), "dropped", "signature of its reply does not hold"),
        (Answer::Raw(200, good.replace("\" start", "0\" start")), "dropped", "seconds since 1970 in 32 bits"),
        (Answer::Raw(200, good.replace("fp=\"07", "fp=\"08")), "dropped", "signature of its reply does not hold"),
        (Answer::Honest(ahead), "dropped", "a timespan that can't be"),
        (Answer::Raw(200, bomb), "dropped", "malformed at byte 0"),
        (Answer::Raw(200, "<notary_reply".repeat(100_000)), "dropped", "larger than 262144 bytes"),
        (Answer::Raw(200, String::new()), "dropped", "malformed at byte 0"),
        (Answer::Raw(500, "x".repeat(10)), "missing", "HTTP status 500"),
        (Answer::Raw(302, String::new()), "missing", "HTTP status 302"),
    ] {
        notary.answer(answer);
        let run = world.check(std::slice::from_ref(&notary), &["--policy", "quorum", "--json"]);
        assert_eq!(run.status, 3, "{why}: {run:?}");
        let json = run.json();
        assert!(json[place][0]["why"].as_str().is_some_and(|said| said.contains(why)), "{why}: {json}");
        assert_eq!(json.get("notaries"), None);
    }
    notary.answer(Answer::Raw(404, String::new()));
    let run = world.check(std::slice::from_ref(&notary), &["--policy", "quorum", "--json", "--timeout", "2s"]);
    assert!(run.json()["missing"][0]["why"].as_str().unwrap().contains("knows nothing of this service yet"), "{run:?}");
    notary.answer(Answer::Raw(200, good));
    let run = world.check(&[notary], &["--policy", "quorum"]);
    assert_eq!(run.status, 0, "the very reply holds: {run:?}");
}

/// The index page of a node.
async fn page(address: std::net::SocketAddr) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    page
}

/// The key that a node shows once it is made.
async fn shown_key(address: std::net::SocketAddr) -> String {
    let (begin, end) = ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----");
    loop {
        let page = page(address).await;
        if let Some((key, _)) = page.split_once(begin).and_then(|(_, rest)| rest.split_once(end)) {
            return format!("{begin}{key}{end}\n");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_answers_as_an_old_notary_too() {
    let world = World::start().await;
    let node = world.lab.node_with(21, "eu-west", "RIPE", |settings| settings.legacy = true).await.unwrap();
    let address = node.http().unwrap();
    let key = tokio::time::timeout(Duration::from_secs(120), shown_key(address)).await.unwrap();
    world.home.write("node.pem", &key);
    let url = format!("perspectives+http://{address}#node.pem");
    let run = world.run(&["check", "--policy", "quorum", "--json", "--vantage", &url, &world.service]);
    assert_eq!(run.status, 0, "{run:?}");
    let json = run.json();
    assert_eq!((&json["rule"], &json["notaries"][0]["agrees"]), (&"quorum-held".into(), &"same-leaf".into()), "{json}");
    // The same node under both names is two keys, and each is heard in its own way.
    let node_url = node.url().to_string();
    let both = ["check", "--policy", "quorum", "--json", "--vantage", &url, "--vantage", &node_url, &world.service];
    let json = world.run(&both).json();
    assert_eq!((&json["counts"]["asked"], &json["counts"]["agree"]), (&2.into(), &2.into()), "{json}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_notaries_is_imported_shown_asked_and_removed() {
    let world = World::start().await;
    let notaries = [
        world.notary(1, vec![Answer::Honest(world.mine(10))]).await,
        world.notary(2, vec![Answer::Honest(other())]).await,
    ];
    let [one, two] = [&notaries[0], &notaries[1]].map(|notary| notary.address);
    let list = format!("# notaries\n\n{one}\n{}\n  # again\n{one}\n{0}{two}\n{1}", public_pem(1), public_pem(2));
    world.home.write("list.txt", &list);
    let run = world.run(&["vantage", "import", "list.txt"]);
    assert_eq!((run.status, run.stdout.lines().count()), (0, 2), "{run:?}");
    assert!(run.stdout.starts_with(&format!("added perspectives+http://{one} (")), "{run:?}");
    assert!(world.run(&["vantage", "import", "list.txt"]).stdout.starts_with("renewed"));

    let listed = world.run(&["vantage", "list"]);
    assert!(listed.stdout.contains("(old notary)") && listed.stdout.lines().count() == 3, "{listed:?}");
    let id = world.run(&["vantage", "list", "--json"]).json()["notaries"][0]["vantage"].as_str().unwrap().to_owned();
    let json = world.run(&["check", "--policy", "quorum", "--json", &world.service]).json();
    assert_eq!((&json["counts"]["agree"], &json["counts"]["differ"]), (&1.into(), &1.into()), "{json}");
    // A listed one needs no key on the command line.
    let named = format!("perspectives+http://{one}");
    let json = world.run(&["check", "--policy", "quorum", "--json", "--vantage", &named, &world.service]).json();
    assert_eq!(json["counts"]["asked"], 1, "{json}");

    // The address of one key is never another's in passing.
    world.home.write("evil.txt", &format!("{one}\n{}", public_pem(3)));
    let run = world.run(&["vantage", "import", "evil.txt"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stderr.contains("is pinned to"), "{run:?}");
    assert_eq!(world.run(&["vantage", "remove", &id]).stdout, format!("removed perspectives+http://{one}\n"));
    assert_eq!(world.run(&["vantage", "remove", &format!("perspectives+http://{two}")]).status, 0);
    assert_eq!(world.run(&["vantage", "remove", &format!("perspectives+http://{two}")]).status, 1);
    let run = world.run(&["vantage", "add", &notaries[1].url()]);
    assert!(run.stdout.starts_with(&format!("added perspectives+http://{two} (")), "{run:?}");
}

#[test]
fn lists_and_keys_that_are_wrong_are_refused_with_the_line() {
    let home = Home::new();
    let (one, two) = (public_pem(1), public_pem(2));
    let lines = one.lines().count();
    let long = include_str!("data/too-long.pem");
    for (list, part) in [
        (String::new(), "names no notary".to_owned()),
        ("# nothing\n".into(), "names no notary".into()),
        ("notary.example:0\n".into(), "line 1: host:port of a notary was expected: \"0\" is not a port".into()),
        ("notary.example:80\n".into(), "line 1: the notary's public key in PEM must follow".into()),
        ("\nnotary.example:80\n-----BEGIN PUBLIC KEY-----\nAA\n".into(), "line 2: the notary's public key".into()),
        (one.clone(), "line 1: host:port of a notary was expected".into()),
        (format!("a.example:80\n{long}"), "line 2: the key is wrong: its modulus has 2048 bits".into()),
        (format!("a.example:80\n{}", one.replace("MIHK", "AAAA").replace('A', "B")), "line 2: the key is wrong".into()),
        (
            format!("a.example:80\n{one}A.example.:80\n{two}"),
            format!("line {}: a.example:80 has another key than on line 1", lines + 2),
        ),
        ("x".repeat(1024 * 1024 + 1), "larger than 1048576 bytes".into()),
    ] {
        home.write("list.txt", &list);
        let run = home.run(&["vantage", "import", "list.txt"]);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{part}: {run:?}");
        assert!(run.stderr.contains(&part) && run.stderr.matches('\n').count() == 1, "{part}: {run:?}");
    }
    assert!(!home.path().join(".config/parallax/vantages.toml").exists());
    assert!(home.run(&["vantage", "import", "none.txt"]).stderr.contains("none.txt can't be read"));
    home.write("key.pem", long);
    for (url, part) in [
        ("perspectives+http://192.0.2.7:8080", "has no key; add #"),
        ("perspectives+http://192.0.2.7:8080#", "with the file that holds its public key"),
        ("perspectives+http://192.0.2.7:8080#none.pem", "none.pem can't be read"),
        ("perspectives+http://192.0.2.7:8080#key.pem", "key.pem: its modulus has 2048 bits"),
        ("perspectives+http://192.0.2.7/x#key.pem", "address is wrong"),
        ("perspectives+https://192.0.2.7#key.pem", "is not a vantage point"),
    ] {
        for command in [&["vantage", "add", url][..], &["check", "--vantage", url, "example.com"]] {
            let run = home.run(command);
            assert_eq!(run.status, 2, "{run:?}");
            assert!(run.stderr.contains(part), "{part}: {run:?}");
        }
    }
}
