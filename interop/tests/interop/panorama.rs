//! The walk of Panorama's README, step by step, with the commands that take the place of its programs.

use std::io::Write as _;
use std::path::PathBuf;

use crate::support::{Keeper, Node, Running, Server, User, needs};

/// Whoever follows it: one window each for the server, the clients and the requests.
struct Walk {
    user: User,
    hub: Node,
    site: Server,
}

impl Walk {
    /// "To start the server, simply run": `python PanoramaServer.py`.
    fn start() -> Self {
        let (user, keeper) = (User::new(), Keeper::new());
        keeper.self_signed("good", "ec -pkeyopt ec_paramgen_curve:P-256");
        let site = Server::start(&keeper.file("good.pem"), "");
        let data = user.home().join("hub");
        let listen = ["--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--data", data.to_str().unwrap()];
        let serve = [&["serve", "--role", "hub", "--allow-private"], &listen[..]].concat();
        // As the original's, it takes whoever comes.
        let hub = Node::started(user.command(&serve).env("PARALLAX_CHANNEL_OPEN", "true"), PathBuf::from("hub"));
        Self { user, hub, site }
    }

    fn hub_url(&self) -> String {
        format!("hub+{}", self.hub.url())
    }

    /// A group of ten in a window of its own; it is there when it says so.
    fn peers(&self, more: &[&str]) -> Running {
        let url = self.hub_url();
        let peer = [&["peer", "--hub", &url, "--count", "10", "--allow-private"], more].concat();
        let mut group = Running::start(&mut self.user.command(&peer));
        let ready = group.hear(|line| line.starts_with("ready ").then(|| line.to_owned()));
        assert!(ready.is_some(), "the peers did not attach: {:?}", group.said());
        group
    }

    /// "In a third window, run": `python InteractivePanoramaClient.py`.
    fn shell(&self) -> Window {
        let shell = ["shell", "--vantage", &self.hub_url(), "--allow-private"];
        Window(Running::start(&mut self.user.command(&shell)))
    }
}

/// The window in which requests are typed.
struct Window(Running);

impl Window {
    /// Types a request and reads what comes up to its verdict.
    fn request(&mut self, words: &str) -> Seen {
        let before = self.0.said().len();
        writeln!(self.0.stdin(), "request {words}").unwrap();
        let verdict = self.0.hear(|line| line.strip_prefix("verdict: ").map(str::to_owned));
        let verdict = verdict.unwrap_or_else(|| panic!("it ended: {:?}", self.0.said()));
        // The reasons end with what to do next.
        let _ = self.0.hear(|line| line.starts_with("next: ").then_some(()));
        Seen { verdict, lines: self.0.said()[before..].to_vec() }
    }
}

/// What came of a request.
#[derive(Debug)]
struct Seen {
    verdict: String,
    lines: Vec<String>,
}

impl Seen {
    /// The lines of the map: how many see a key, and whether it is mine.
    fn map(&self) -> Vec<(usize, bool)> {
        let counted = self.lines.iter().filter_map(|line| line.trim_start().split_once(" x "));
        counted.map(|(count, what)| (count.parse().unwrap(), what.ends_with(": what you see"))).collect()
    }

    /// My own key in few letters, as the shell prints it.
    fn own_key(&self) -> String {
        let own = self.lines.iter().skip_while(|line| !line.starts_with("You see, ")).nth(1);
        own.unwrap().trim().split(',').next().unwrap().to_owned()
    }
}

#[test]
fn the_walk_of_the_original() {
    needs!("openssl");
    let walk = Walk::start();
    let site = walk.site.address().to_owned();

    // "This will start up 10 clients and connect them to the server."
    let group = walk.peers(&[]);

    // ">> request www.google.com": "you should be trusting whatever certificate it returns".
    let mut shell = walk.shell();
    let seen = shell.request(&site);
    assert_eq!((seen.verdict.as_str(), seen.map()), ("TRUSTED (majority-agrees)", vec![(5, true)]), "{seen:#?}");

    // "Let's throw some compromised folks in": "These 10 guys will respond to any request with 'BAD_CERTIFICATE_INFO'".
    let liars = walk.peers(&["--lying", "BAD_CERTIFICATE_INFO"]);

    // ">> request www.amazon.com 20": "{'<an actual hashcode>': 10, 'BAD_CERTIFICATE_INFO': 10}", "I WOULD trust".
    let seen = shell.request(&format!("{site} 20"));
    assert_eq!(seen.map(), [(10, true), (10, false)], "{seen:#?}");
    assert_eq!(seen.verdict, "TRUSTED (majority-agrees)");
    let own_key = seen.own_key();
    assert!(seen.lines.iter().any(|line| line.starts_with(&format!("  10 x {own_key}, "))), "{seen:#?}");

    // ">> request www.amazon.com 20 .7": "I would NOT trust this connection".
    let seen = shell.request(&format!("{site} 20 .7"));
    assert_eq!(seen.map(), [(10, true), (10, false)], "{seen:#?}");
    assert_eq!(seen.verdict, "DISTRUSTED (majority-differs)");
    drop((group, liars));
}
