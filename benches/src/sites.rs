//! What is looked at and who is asked, in a process of its own: a lab with one site, its DNS, and five nodes in three
//! regions.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use parallax_client::VantageUrl;
use parallax_core::ServiceId;
use parallax_lab::{Answer, Lab, Validity};

/// The argument that makes this program serve.
pub(crate) const ARGUMENT: &str = "serve-sites";

/// The other process; it ends when this one lets go of it.
pub(crate) struct Sites {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) resolver: SocketAddr,
    pub(crate) name: ServiceId,
    pub(crate) roots: Vec<u8>,
    pub(crate) nodes: Vec<VantageUrl>,
    _directory: tempfile::TempDir,
}

impl Sites {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let roots = directory.path().join("roots.pem");
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([ARGUMENT, roots.to_str().expect("UTF-8")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a second process");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
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
            child,
            _directory: directory,
        }
    }
}

impl Drop for Sites {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
    let roots = std::env::args().nth(2).expect("where the roots go");
    std::fs::write(roots, lab.roots_pem()).expect("the roots");
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
    let mut nothing = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut tokio::io::stdin(), &mut nothing).await;
}
