//! `parallax shell` with the real binary: from a pipe, and at a terminal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/served.rs"]
mod served;
mod support;
#[path = "support/terminal.rs"]
mod terminal;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, ChildStdin, ChildStdout};

use parallax_lab::{Answer, Lab, LabNode, Site, Validity};
use served::Served;
use support::{Home, Run};
use terminal::Terminal;

/// A site and three nodes that see it.
struct World {
    lab: Lab,
    home: Home,
    service: String,
    nodes: Vec<LabNode>,
    site: Site,
}

const EVERYDAY: u8 = 10;
const NETWORKS: [(u8, &str, &str); 3] = [(11, "eu-west", "RIPE"), (12, "us-east", "ARIN"), (13, "ap-south", "APNIC")];

impl World {
    async fn start() -> Self {
        let lab = Lab::start().await.unwrap();
        let ca = lab.public_ca("Example Trust Services").unwrap();
        let certificate = ca.issue(&["shop.example"], Validity::current()).unwrap();
        let site = lab.site(lab.address(20, 10), &certificate).await.unwrap();
        lab.dns().set("shop.example", Answer::a([lab.address(20, 10)])).unwrap();
        let mut nodes = Vec::new();
        for (network, region, rir) in NETWORKS {
            nodes.push(lab.node(network, region, rir).await.unwrap());
        }
        let home = Home::new()
            .with("PARALLAX_RESOLVER", &lab.dns().address().to_string())
            .with("PARALLAX_SOURCE", &lab.address(EVERYDAY, 1).to_string())
            .with("PARALLAX_ROOTS", "roots.pem")
            .with("PARALLAX_TIMEOUT", "20s");
        home.write("roots.pem", &lab.roots_pem());
        let service = format!("shop.example:{}", lab.port());
        Self { lab, home, service, nodes, site }
    }

    fn arguments<'a>(&self, vantages: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
        let named = vantages.iter().flat_map(|url| ["--vantage", url.as_str()]);
        std::iter::once("shell").chain(named).chain(more.iter().copied()).collect()
    }

    fn vantages(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.url().to_string()).collect()
    }

    /// The lab serves on this runtime while the shell runs.
    async fn shell(&self, more: &[&str], input: &str) -> Run {
        let vantages = self.vantages();
        let arguments = self.arguments(&vantages, more);
        tokio::task::block_in_place(|| self.home.run_with_input(&arguments, input.as_bytes()))
    }
}

fn lines(run: &Run) -> Vec<&str> {
    run.stdout.lines().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_shows_what_i_see_what_others_see_and_the_decision() {
    let world = World::start().await;
    let run = world.shell(&[], &format!("request {}\nquit\nrequest never.example\n", world.service)).await;
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run:?}");
    let key = lines(&run)[1].trim().split(',').next().unwrap().to_owned();
    for wanted in [
        format!("You see, for tls://{} at {}:{}:", world.service, world.lab.address(20, 10), world.lab.port()).as_str(),
        &format!("       {key}, Example Trust Services, valid for "),
        "Others see (3 of 3 asked answered, ",
        &format!("   3 x {key}, Example Trust Services: what you see"),
        "       ap-south 1, eu-west 1, us-east 1; ",
        "verdict: TRUSTED (majority-agrees)",
        "  - 3 of 3 looks show the key that you see; the threshold is 0.5.",
    ] {
        assert!(run.stdout.contains(wanted), "{wanted}: {}", run.stdout);
    }
    assert!(!run.stdout.contains("never.example"), "quit ends it: {run:?}");
    assert!(!run.stdout.contains('\u{1b}') && !run.stdout.contains(">>"), "neither colours nor prompts in a pipe");
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_threshold_of_a_request_decides() {
    let world = World::start().await;
    let rogue = world.lab.public_ca("Rogue Trust").unwrap().issue(&["shop.example"], Validity::current()).unwrap();
    world.site.set_certificate_towards(world.nodes[1].address(), &rogue).unwrap();
    let input = format!(
        "request {0} 3 .5\nrequest {0} 3 .7\nset threshold 0.7 for example\nrequest {0}\nrequest {0} 3 0.6\n",
        world.service
    );
    let run = world.shell(&["--min-views", "1"], &input).await;
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run:?}");
    let verdicts: Vec<_> = run.stdout.lines().filter_map(|line| line.strip_prefix("verdict: ")).collect();
    let (yes, no) = ("TRUSTED (majority-agrees)", "DISTRUSTED (majority-differs)");
    assert_eq!(verdicts, [yes, no, no, yes]);
    assert!(run.stdout.contains("   2 x ") && run.stdout.contains("   1 x "), "{}", run.stdout);
    assert!(run.stdout.contains(": ANOTHER key\n       us-east 1; "), "{}", run.stdout);
    assert!(run.stdout.contains("threshold  0.7            set here\n"), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_lines_are_one_sentence_each_and_end_nothing() {
    let world = World::start().await;
    let long = "x".repeat(10_000);
    let wrong = [
        "request",
        "request shop.example ten",
        "request shop.example 0",
        "request shop.example 99999999999999999999",
        "request shop.example 5 7",
        "request shop.example 5 .7 more",
        "request shop.example 2",
        "request \u{1b}[2J",
        "reqest shop.example",
        "shop.example",
        "set replies many",
        "policy most",
        "start",
        "stop",
        "stop now",
        &long,
    ];
    let input = format!("{}\n\n# a comment\nrequest {}\n", wrong.join("\n"), world.service);
    let run = world.shell(&[], &input).await;
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(run.stderr.lines().count(), wrong.len(), "{}", run.stderr);
    assert!(
        run.stderr.lines().all(|line| line.starts_with("parallax: ") && !line.contains('\u{1b}')),
        "{}",
        run.stderr
    );
    for part in
        ["write: request HOST", "1 to 1000", "between 0 and 1", "set min-views 2", "write: request shop.example"]
    {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
    assert_eq!(run.stdout.matches("verdict: TRUSTED").count(), 1, "{}", run.stdout);
    // Bytes that are no text.
    let vantages = world.vantages();
    let arguments = world.arguments(&vantages, &[]);
    let run = tokio::task::block_in_place(|| world.home.run_with_input(&arguments, b"\xff\xfe\nhelp quit\n"));
    assert_eq!((run.status, run.stderr.as_str()), (0, "parallax: line 1: the line is not text in UTF-8\n"));
    assert!(run.stdout.starts_with("quit\n"), "{run:?}");
}

#[test]
fn what_decides_comes_from_the_configuration_too() {
    let home = Home::new();
    let file = home.write(
        ".config/parallax/config.toml",
        "[check]\nmin_views = 4\n[check.domains.\"example.com\"]\nreplies = 20\nthreshold = 0.7\n",
    );
    let input = "policy\npolicy www.example.com\npolicy quorum\nset replies 9 for www.example.com\nset\n";
    let run = home.run_with_input(&["shell", "--replies", "7"], input.as_bytes());
    let wanted = format!(
        "policy     majority       default\nreplies    7              --replies\nthreshold  0.5            default\n\
         min-views  4              {0} line 2\n\
         policy     majority       default\nreplies    7              --replies\nthreshold  0.7            {0} line 5\n\
         min-views  4              {0} line 2\n\
         policy     quorum         set here\nreplies    7              --replies\nthreshold  0.75           default\n\
         policy     quorum         set here\nreplies    9              set here\nthreshold  0.7            {0} line 5\n\
         set policy quorum\nset replies 9 for www.example.com\n",
        file.display()
    );
    assert_eq!((run.status, run.stdout, run.stderr.as_str()), (0, wanted, ""));
    let wrong = home.run_with_input(&["shell", "--policy", "mpic", "--threshold", "0.7"], b"");
    // The domain has no policy of its own, so the threshold belongs to nobody.
    assert_eq!((wrong.status, wrong.stdout.as_str()), (2, ""));
    assert!(wrong.stderr.contains("--threshold has no meaning under the policy mpic"), "{wrong:?}");
}

#[test]
fn what_is_typed_is_kept_only_where_that_is_wanted() {
    let home = Home::new();
    let file = home.path().join(".local/state/parallax/shell-history");
    let run = home.run_with_input(&["shell"], b"history off\n");
    assert_eq!(run.stdout, "Nothing is written, and nothing was.\n");
    let run = home.run_with_input(&["shell"], b"policy a.example\nhistory\n");
    assert!(run.stdout.ends_with("   1  policy a.example\n   2  history\n"), "{run:?}");
    assert!(!home.path().join(".local").exists());

    home.write(".config/parallax/config.toml", "[shell]\nhistory = \"on\"\n");
    assert_eq!(home.run_with_input(&["shell"], b"policy b.example\n policy secret.example\nquit\n").status, 0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "policy b.example\nquit\n");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));

    let run = home.run_with_input(&["shell", "--history", "off"], b"policy c.example\nhistory\n");
    assert!(!run.stdout.contains("b.example"), "{run:?}");
    let run = home.run_with_input(&["shell"], b"history\nhistory off\npolicy d.example\nhistory clear\nhelp quit\n");
    assert!(run.stdout.starts_with("   1  policy b.example\n"), "{run:?}");
    assert!(run.stdout.contains("stays until `history clear`"), "{run:?}");
    assert!(!file.exists());

    std::fs::create_dir_all(&file).unwrap();
    let run = home.run_with_input(&["shell"], b"help quit\n");
    assert_eq!((run.status, run.stderr.lines().count()), (0, 1), "{run:?}");
    assert!(run.stderr.contains("can't be used to keep what you type"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_terminal_lines_are_edited_and_completed() {
    let world = World::start().await;
    let vantages = world.vantages();
    let arguments = world.arguments(&vantages, &[]);
    let Some(mut terminal) = Terminal::start(&world.home, &arguments) else { return };
    tokio::task::block_in_place(|| {
        terminal.expect("More: help.");
        terminal.expect(">> ");
        // Completed, with a wrong letter taken back.
        terminal.press(&format!("requ\t {}x\u{7f}\r", world.service));
        terminal.expect("verdict: ");
        assert!(terminal.expect("TRUSTED").contains('\u{1b}'), "a terminal has colours");
        terminal.expect(">> ");
        // The host of before.
        terminal.press("policy sh\t\r");
        terminal.expect("majority");
        terminal.expect(">> ");
        // An unfinished line is let go, and the one before comes back.
        terminal.press("nonsense\u{3}");
        terminal.expect(">> ");
        terminal.press("\u{1b}[A\r");
        terminal.expect("majority");
        terminal.expect(">> ");
        terminal.press("\u{4}");
        assert_eq!(terminal.end(), Some(0));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_the_request_and_not_the_shell() {
    let world = World::start().await;
    // Takes connections and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}#{}", silent.local_addr().unwrap(), "ab".repeat(32));
    let Some(mut terminal) = Terminal::start(&world.home, &["shell", "--vantage", &url]) else { return };
    tokio::task::block_in_place(|| {
        terminal.expect(">> ");
        terminal.press(&format!("request {}\r", world.service));
        terminal.expect("asking about");
        terminal.press("\u{3}");
        terminal.expect("was ended; nothing came of it");
        terminal.expect(">> ");
        terminal.press("policy\r");
        terminal.expect("majority");
        terminal.expect(">> ");
        terminal.press("quit\r");
        assert_eq!(terminal.end(), Some(0));
    });
}

/// A shell in a pipe that stays open.
struct Open {
    child: Child,
    keys: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Open {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut child = home.command(arguments).stdin(std::process::Stdio::piped()).spawn().unwrap();
        let (keys, lines) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, keys, lines }
    }

    /// Types a line and reads on to the line that begins so.
    fn types(&mut self, line: &str, wanted: &str) -> String {
        writeln!(self.keys, "{line}").unwrap();
        let found = (&mut self.lines).lines().map(Result::unwrap).find(|line| line.starts_with(wanted));
        found.unwrap_or_else(|| panic!("{line}: no {wanted:?}"))
    }

    fn end(mut self) -> Option<i32> {
        drop(self.keys);
        self.child.wait().unwrap().code()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_starts_looks_for_others_and_never_for_itself() {
    let world = World::start().await;
    let dns = world.lab.dns().address().to_string();
    let home = || Home::new().with("PARALLAX_RESOLVER", &dns).with("PARALLAX_CHANNEL_OPEN", "true");
    let (hub_home, lender_home, asker_home) = (home(), home(), home());
    tokio::task::block_in_place(|| {
        let hub = Served::start(&hub_home, "hub", &["--role", "hub"]);
        let url = format!("hub+{}", hub.url());
        let arguments = ["shell", "--vantage", &url, "--allow-private", "--min-views", "1"];
        let request = format!("request {}\n", world.service);
        let mut lender = Open::start(&lender_home, &arguments);
        assert_eq!(
            lender.types("start", "This machine is"),
            format!("This machine is a peer of the hub {}.", hub.https)
        );
        // Nobody else is there, and the own view answers no question of one's own.
        assert_eq!(lender.types(request.trim(), "verdict: "), "verdict: UNDECIDED (not-enough)");

        let asker = asker_home.run_with_input(&arguments, request.as_bytes());
        assert!(asker.stdout.contains("   1 x ") && asker.stdout.contains("verdict: TRUSTED"), "{asker:?}");
        assert!(asker.stdout.contains(&format!("peers of the hub {}", hub.https)), "{asker:?}");

        let last = lender.types("stop", "This machine is");
        assert_eq!(last, "This machine is a peer no longer. It has looked once for others.");
        assert_eq!(lender.end(), Some(0));
        let twice = asker_home.run_with_input(&arguments, b"stop\nstart\nstart\nstop\n");
        assert_eq!((twice.status, twice.stderr.lines().count()), (0, 2), "{twice:?}");
        assert!(twice.stderr.contains("nothing was started") && twice.stderr.contains("a peer already"), "{twice:?}");
        let nobody = asker_home.run_with_input(&["shell"], b"start\n");
        assert!(nobody.stderr.contains("no hub is asked here; name one with --vantage hub+https://"), "{nobody:?}");
        hub.stop();
        let gone = asker_home.run_with_input(&arguments, b"start\n");
        assert!(gone.stderr.contains("it can't be reached") && gone.stderr.contains("it tries again in"), "{gone:?}");
    });
}
