//! What is looked at and who is asked, in a process of its own: a lab with one site, its DNS, and five nodes in three
//! regions; or thousands of sites at addresses of their own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use parallax_client::VantageUrl;
use parallax_core::ServiceId;
use parallax_lab::{Answer, Lab, Validity};

/// The arguments that make this program serve.
pub(crate) const ARGUMENT: &str = "serve-sites";
pub(crate) const TARGETS_ARGUMENT: &str = "serve-targets";

/// Sites in one network of a lab.
const IN_A_NETWORK: u16 = 250;

/// The other process; it ends when this one lets go of it.
struct Serving(Child);

impl Serving {
    /// Starts it and reads the line that it prints when it serves. `roots` is where it writes the roots of its sites.
    fn start(argument: &str, roots: &Path, more: &[&str]) -> (Self, String) {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([argument, roots.to_str().expect("UTF-8")])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a second process");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        (Self(child), line)
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
