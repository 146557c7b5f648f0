//! The walks "Two nodes of your own, by hand" and "Mirrors, by hand" as the README has them: their commands, the
//! configuration of nginx, the verdicts. Only places and ports are others, and the day of the mirrors is half as long.

use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::time::Instant;

use crate::support::{Nginx, Node, PATIENCE, Run, Running, User, free_port, needs};

/// The section of the README.
struct Section {
    /// Its indented blocks, in their order, with continued lines joined.
    blocks: Vec<String>,
    /// All of it, with single spaces.
    text: String,
}

impl Section {
    fn read(title: &str) -> Self {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
        let section = readme.split("\n## ").find(|section| section.starts_with(title)).unwrap();
        let mut blocks = vec![String::new()];
        for line in section.lines() {
            match line.strip_prefix("        ") {
                Some(line) => *blocks.last_mut().unwrap() += &format!("{line}\n"),
                None => blocks.push(String::new()),
            }
        }
        blocks.retain(|block| !block.is_empty());
        let blocks = blocks.into_iter().map(|block| block.replace("\\\n", "")).collect();
        Self { blocks, text: section.split_whitespace().collect::<Vec<_>>().join(" ") }
    }

    /// The block that begins so.
    fn block(&self, begins: &str) -> &str {
        self.blocks.iter().find(|block| block.starts_with(begins)).unwrap_or_else(|| panic!("no block {begins:?}"))
    }

    /// The verdict that is promised after these words: `TRUSTED (corroborated)`.
    #[track_caller]
    fn promise_after(&self, words: &str) -> &str {
        let (_, rest) = self.text.split_once(words).unwrap_or_else(|| panic!("the README does not say {words:?}"));
        let quoted = rest.split('`').map(|part| part.strip_prefix("verdict: ").unwrap_or(part));
        let mut verdicts =
            quoted.filter(|part| part.ends_with(')') && part.starts_with(|c: char| c.is_ascii_uppercase()));
        verdicts.next().unwrap_or_else(|| panic!("no verdict after {words:?}"))
    }
}

/// The person who follows it.
struct Reader {
    section: Section,
    user: User,
    port: u16,
    nodes: Vec<Node>,
}

impl Reader {
    fn start() -> Self {
        let (section, user) = (Section::read("Two nodes of your own"), User::new());
        std::fs::create_dir(user.home().join("site")).unwrap();
        let mut reader = Self { section, user, port: free_port(), nodes: Vec::new() };
        reader.start_nodes();
        reader.add_nodes();
        reader
    }

    /// What is typed, with the places and ports of this test.
    fn here(&self, text: &str) -> String {
        let text = text.replace("/tmp/", &format!("{}/", self.user.home().display()));
        text.replace(":8441", ":0").replace(":8442", ":0").replace("9443", &self.port.to_string())
    }

    fn start_nodes(&mut self) {
        let block = self.here(self.section.block("parallax serve"));
        for (line, data) in block.lines().zip(["a", "b"]) {
            let mut command = self.user.shell(&format!("exec {line}"));
            self.nodes.push(Node::started(&mut command, PathBuf::from(data)));
        }
        assert_eq!(self.nodes.len(), 2);
    }

    fn add_nodes(&self) {
        let block = self.section.block("parallax vantage add");
        for (line, node) in block.lines().zip(&self.nodes) {
            let (command, _) = line.split_once("https://").unwrap();
            let run = self.runs(&format!("{command}'{}'", node.url()));
            assert_eq!(run.status, 0, "{run:?}");
        }
    }

    fn runs(&self, line: &str) -> Run {
        Run::of(self.user.shell(line).output().unwrap())
    }

    /// Runs a check that the README names, and compares it with the verdict that it promises.
    #[track_caller]
    fn checks(&self, promised_after: &str, command: &str) {
        let promised = self.section.promise_after(promised_after);
        let run = self.runs(&self.here(command));
        assert!(run.stdout.contains(&format!("verdict: {promised}\n")), "{promised} was promised: {}", run.stdout);
        let status = match promised.split(' ').next() {
            Some("TRUSTED") => 0,
            Some("DISTRUSTED") => 1,
            _ => 3,
        };
        assert_eq!(run.status, status, "{run:?}");
    }

    /// The README's nginx with its `map` changed so.
    fn nginx(&self, shown: &str) -> Nginx {
        let block = self.here(self.section.block("daemon off;"));
        let (_, http) = block.split_once("http {\n").unwrap();
        let http = http.trim_end().strip_suffix('}').unwrap();
        let map = "default good; 127.0.0.9 evil;";
        assert!(http.contains(map), "{http}");
        Nginx::start_at(self.port, &http.replace(map, shown)).expect("the port is ours")
    }

    /// A line of the block with the site, run as it stands.
    fn site(&self) -> Running {
        let block = self.here(self.section.block("mkdir -p /tmp/site"));
        let (certificates, rest) = block.split_once("done\n").unwrap();
        let run = self.runs(&format!("{certificates}done"));
        assert_eq!(run.status, 0, "{run:?}");
        let (server, _) = rest.split_once(" &\n").unwrap();
        let place = self.user.home().join("site");
        let process =
            Running::start(self.user.shell(&format!("cd {} && exec {server}", place.display())).env("HOME", "/"));
        // It says nothing when it is ready.
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "{:?}", process.said());
            std::thread::yield_now();
        }
        process
    }
}

#[test]
fn two_nodes_of_your_own_by_hand() {
    needs!("openssl", "nginx");
    let reader = Reader::start();
    let check = "parallax check localhost:9443";

    let server = reader.site();
    reader.checks(check, check);
    drop(server);

    let nginx = reader.nginx("default good; 127.0.0.9 evil;");
    let near_me = format!("{check} --source 127.0.0.9");
    reader.checks(&near_me, &near_me);
    drop(nginx);

    let nginx = reader.nginx("default good; 127.0.0.3 evil;");
    let not_met_yet = "parallax check 127.0.0.1:9443";
    reader.checks(not_met_yet, not_met_yet);
    drop(nginx);

    let _nginx = reader.nginx("default evil; 127.0.0.3 evil;");
    reader.checks("make it `default evil`, reload, and check", check);
}

/// What the README leaves to patience: all four are there, and each holds the other three for active.
const ALL_ARE_THERE: &str = "\
tries=0; all() { [ \"$(cat *.ready 2>/dev/null | grep -c ready)\" = 4 ]; }
until all || [ $tries = 300 ]; do tries=$((tries + 1)); sleep 0.2; done
";
const ALL_ARE_ACTIVE: &str = "\
tries=0
all() {
  for n in 1 2 3 4; do
    [ \"$(parallax mirror list --node https://127.$n.0.1:8440 --status active | grep -c ' active')\" = 3 ] || return 1
  done
}
until all || [ $tries = 100 ]; do tries=$((tries + 1)); sleep 2; done
";

#[test]
fn mirrors_by_hand() {
    needs!("openssl");
    let (section, user) = (Section::read("Mirrors, by hand"), User::new());
    let block = |begins: &str| section.block(begins).to_owned();
    let list = block("parallax mirror list");
    let script = [
        // Everything that it starts is of its group, and ends with it.
        "set -e; trap 'trap \"\" TERM; kill -TERM 0' EXIT\n".to_owned(),
        block("mkdir -p /tmp/lab"),
        block("for n in 1 2 3 4"),
        ALL_ARE_THERE.to_owned(),
        block("id()"),
        ALL_ARE_ACTIVE.to_owned(),
        list,
        block("parallax mirror publish"),
        block("parallax check"),
    ]
    .concat();
    let (site, mirrors) = (free_port().to_string(), free_port().to_string());
    let script = script.replace("/tmp/lab", &format!("{}/lab", user.home().display()));
    let script = script
        .replace("day_secs = 20", "day_secs = 10")
        .replace("9443", &site)
        .replace(":8440", &format!(":{mirrors}"));
    let run = Run::of(user.shell(&script).process_group(0).output().unwrap());
    let promised = section.promise_after("It ends with");
    assert!(run.stdout.contains(&format!("verdict: {promised}\n")), "{promised} was promised: {run:?}");
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("4 mirrors are known now: 4 came, 0 went"), "{run:?}");
    assert!(run.stdout.contains(" mirrors of the federation were asked"), "{run:?}");
}
