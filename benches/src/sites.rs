//! What is looked at and who is asked, in a process of its own: a lab with one site, its DNS, and five nodes in three
//! regions; or thousands of sites at addresses of their own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use parallax_client::{KnownMirrors, VantageUrl};
use parallax_core::{ServiceId, VantageId};
use parallax_lab::{Answer, Behaviour, Lab, Validity};
use tokio::io::AsyncBufReadExt as _;

/// The arguments that make this program serve.
pub(crate) const ARGUMENT: &str = "serve-sites";
pub(crate) const TARGETS_ARGUMENT: &str = "serve-targets";
pub(crate) const FAR_ARGUMENT: &str = "serve-far";

/// Names of the site that far mirrors look at.
pub(crate) const FAR_NAMES: usize = 16;

/// The round trips to the far mirrors, in milliseconds.
const TRIPS: [u64; 8] = [20, 40, 60, 80, 100, 120, 135, 150];

/// Sites in one network of a lab.
const IN_A_NETWORK: u16 = 250;

/// The other process; it ends when this one lets go of it.
struct Serving(Child);

impl Serving {
    /// Starts it and reads the line that it prints when it serves. `roots` is where it writes the roots of its sites.
    fn start(argument: &str, roots: &Path, more: &[&str]) -> (Self, String) {
        let (serving, line, _output) = Self::start_talking(argument, roots, more);
        (serving, line)
    }

    /// The same, with the rest of what it prints.
    fn start_talking(argument: &str, roots: &Path, more: &[&str]) -> (Self, String, BufReader<ChildStdout>) {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([argument, roots.to_str().expect("UTF-8")])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a second process");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        output.read_line(&mut line).expect("a line");
        (Self(child), line, output)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// TLS sites, each at an address of its own.
pub(crate) struct Targets {
    pub(crate) addresses: Vec<SocketAddr>,
    /// A file with the roots that they chain to.
    pub(crate) roots: PathBuf,
    _serving: Serving,
    _directory: tempfile::TempDir,
}

impl Targets {
    pub(crate) fn start(count: u32) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let roots = directory.path().join("roots.pem");
        let (serving, line) = Serving::start(TARGETS_ARGUMENT, &roots, &[&count.to_string()]);
        let addresses: Vec<_> = line.split_whitespace().map(|at| at.parse().expect("an address")).collect();
        assert_eq!(addresses.len(), count as usize, "as many sites as were wanted; may this user open {count} files?");
        Self { addresses, roots, _serving: serving, _directory: directory }
    }
}

/// The site, its DNS and the nodes.
pub(crate) struct Sites {
    pub(crate) address: SocketAddr,
    pub(crate) resolver: SocketAddr,
    pub(crate) name: ServiceId,
    pub(crate) roots: Vec<u8>,
    pub(crate) nodes: Vec<VantageUrl>,
    _serving: Serving,
    _directory: tempfile::TempDir,
}

impl Sites {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let roots = directory.path().join("roots.pem");
        let (serving, line) = Serving::start(ARGUMENT, &roots, &[]);
        let words: Vec<&str> = line.split_whitespace().collect();
        let [address, resolver, name, nodes @ ..] = words.as_slice() else {
            panic!("the sites did not start: {line:?}")
        };
        Self {
            address: address.parse().expect("an address"),
            resolver: resolver.parse().expect("an address"),
            name: name.parse().expect("a service"),
            roots: std::fs::read(&roots).expect("the roots"),
            nodes: nodes.iter().map(|url| url.parse().expect("a node")).collect(),
            _serving: serving,
            _directory: directory,
        }
    }
}

/// A site of many names, and mirrors that are far away.
pub(crate) struct FarMirrors {
    pub(crate) resolver: SocketAddr,
    pub(crate) names: Vec<ServiceId>,
    pub(crate) roots: Vec<u8>,
    pub(crate) known: KnownMirrors,
    serving: Mutex<(Serving, BufReader<ChildStdout>)>,
    _directory: tempfile::TempDir,
}

impl FarMirrors {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (roots, known) = (directory.path().join("roots.pem"), directory.path().join("mirrors.json"));
        let known_to = known.to_str().expect("UTF-8").to_owned();
        let (serving, line, output) = Serving::start_talking(FAR_ARGUMENT, &roots, &[&known_to]);
        let words: Vec<&str> = line.split_whitespace().collect();
        let [resolver, names @ ..] = words.as_slice() else { panic!("the mirrors did not start: {line:?}") };
        Self {
            resolver: resolver.parse().expect("an address"),
            names: names.iter().map(|name| name.parse().expect("a service")).collect(),
            roots: std::fs::read(&roots).expect("the roots"),
            known: KnownMirrors::read(&std::fs::read(&known).expect("the mirrors")).expect("the mirrors"),
            serving: Mutex::new((serving, output)),
            _directory: directory,
        }
    }

    /// Has a mirror accept and never answer, or answer again.
    pub(crate) fn silence(&self, vantage: VantageId, silent: bool) {
        let mut serving = self.serving.lock().expect("nobody panicked");
        let (Serving(child), output) = &mut *serving;
        let input = child.stdin.as_mut().expect("its input");
        writeln!(input, "{} {vantage}", if silent { "silent" } else { "speaks" }).expect("it listens");
        let mut done = String::new();
        output.read_line(&mut done).expect("a line");
        assert_eq!(done, "done\n");
    }
}

/// Serves the far mirrors, and silences those that it is told to, until standard input ends.
#[tokio::main]
pub(crate) async fn serve_far() {
    let lab = Lab::start().await.expect("a lab");
    let ca = lab.public_ca("Example Trust Services").expect("a CA").intermediate().expect("an intermediate");
    let names: Vec<String> = (0..FAR_NAMES).map(|number| format!("site{number}.test")).collect();
    let address = lab.address(1, 1);
    let every: Vec<&str> = names.iter().map(String::as_str).collect();
    let certificate = ca.issue(&every, Validity::current()).expect("a certificate").leaf_only();
    let _site = lab.site(address, &certificate).await.expect("a site");
    names.iter().for_each(|name| lab.dns().set(name, Answer::a([address])).expect("a record"));
    write_roots(&lab);
    let (mut nodes, mut places) = (Vec::new(), Vec::new());
    for (network, trip) in (20..).zip(TRIPS) {
        let region = format!("region-{network}");
        let far = lab.far_node(network, &region, "RIPE", Duration::from_millis(trip), |settings| {
            settings.operator = Some(format!("operator {network}"));
        });
        let (node, place) = far.await.expect("a node");
        nodes.push(node);
        places.push(place);
    }
    let known = lab.known_mirrors(&nodes).await.expect("the mirrors");
    let to = std::env::args().nth(3).expect("where the mirrors go");
    std::fs::write(to, known.to_json().expect("JSON")).expect("the mirrors");
    print!("{}", lab.dns().address());
    names.iter().for_each(|name| print!(" {}", lab.service(name).expect("a service")));
    println!();
    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let (what, whom) = line.split_once(' ').expect("two words");
        let number = nodes.iter().position(|node| node.vantage().to_string() == whom).expect("a mirror");
        let behaviour = match what {
            "silent" => Behaviour::Silent,
            _ => nodes[number].far_behaviour(Duration::from_millis(TRIPS[number])).expect("it serves HTTPS"),
        };
        places[number].behave(behaviour);
        println!("done");
    }
}

/// Serves until standard input ends.
#[tokio::main]
pub(crate) async fn serve() {
    let lab = Lab::start().await.expect("a lab");
    let ca = lab.public_ca("Example Trust Services").expect("a CA").intermediate().expect("an intermediate");
    let address = lab.address(1, 1);
    let certificate =
        ca.issue(&["site.test", &address.to_string()], Validity::current()).expect("a certificate").leaf_only();
    let _site = lab.site(address, &certificate).await.expect("a site");
    lab.dns().set("site.test", Answer::a([address])).expect("a record");
    write_roots(&lab);
    let service = lab.service("site.test").expect("a service");
    let mut nodes = Vec::new();
    let regions =
        [("eu-west", "RIPE"), ("us-east", "ARIN"), ("ap-south", "APNIC"), ("eu-west", "RIPE"), ("us-east", "ARIN")];
    for (network, (region, rir)) in (20..).zip(regions) {
        nodes.push(lab.node(network, region, rir).await.expect("a node"));
    }
    print!("{} {} {service}", SocketAddr::from((address, lab.port())), lab.dns().address());
    nodes.iter().for_each(|node| print!(" {}", node.url()));
    println!();
    until_left().await;
}

/// Serves many sites until standard input ends.
#[tokio::main]
pub(crate) async fn serve_targets() {
    let lab = Lab::start().await.expect("a lab");
    let ca = lab.public_ca("Example Trust Services").expect("a CA").intermediate().expect("an intermediate");
    write_roots(&lab);
    let count: u16 = std::env::args().nth(3).and_then(|count| count.parse().ok()).expect("how many");
    let mut sites = Vec::new();
    for number in 0..count {
        let network = u8::try_from(1 + number / IN_A_NETWORK).expect("a network");
        let address = lab.address(network, u8::try_from(1 + number % IN_A_NETWORK).expect("a host"));
        let certificate = ca.issue(&[&address.to_string()], Validity::current()).expect("a certificate").leaf_only();
        sites.push(lab.site(address, &certificate).await.expect("a site; may this user open so many files?"));
    }
    let addresses: Vec<String> = sites.iter().map(|site| site.address().to_string()).collect();
    println!("{}", addresses.join(" "));
    until_left().await;
}

fn write_roots(lab: &Lab) {
    let roots = std::env::args().nth(2).expect("where the roots go");
    std::fs::write(roots, lab.roots_pem()).expect("the roots");
}

async fn until_left() {
    let mut nothing = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut tokio::io::stdin(), &mut nothing).await;
}
