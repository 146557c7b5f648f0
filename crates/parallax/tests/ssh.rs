//! SSH against a real sshd and a real ssh client: looks, checks, `KnownHostsCommand`. Skipped with a sentence where they
//! are not installed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests")]

#[path = "support/served.rs"]
mod served;
mod support;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use parallax_core::{Decision, HostKeyKind, Outcome, Policy, Rule, Scheme, ServiceId};
use parallax_lab::{Behaviour, Lab, LabNode, Site};
use parallax_node::Rate;
use parallax_probe::Prober;
use support::{Home, Run};

const SSHD: &str = "/usr/sbin/sshd";
const ALL_KEYS: [(&str, &str); 5] =
    [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048")];
const USUAL_KEYS: [(&str, &str); 3] = [("ed25519", "256"), ("ecdsa", "256"), ("rsa", "2048")];

/// A real sshd with keys of its own on a free port of 127.0.0.1.
struct Sshd {
    child: Child,
    directory: tempfile::TempDir,
    address: SocketAddr,
}

impl Sshd {
    /// `None`, with a sentence, where there is none that can run.
    fn start(keys: &[(&str, &str)], more: &str) -> Option<Self> {
        for program in [SSHD, "/usr/bin/ssh", "/usr/bin/ssh-keygen"] {
            if !Path::new(program).exists() {
                eprintln!("skipped: {program} is not installed (Debian: openssh-server and openssh-client)");
                return None;
            }
        }
        // Where sshd runs as root it insists on this directory.
        let _ = std::fs::create_dir_all("/run/sshd");
        // Somebody else may take the port between here and there.
        for _ in 0..5 {
            let directory = tempfile::tempdir().unwrap();
            let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
            let child = run_sshd(directory.path(), address, keys, more);
            let mut sshd = Self { child, directory, address };
            if sshd.is_ready() {
                return Some(sshd);
            }
        }
        eprintln!("skipped: {SSHD} does not start here");
        None
    }

    fn is_ready(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until && self.child.try_wait().unwrap().is_none() {
            if std::net::TcpStream::connect(self.address).is_ok() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    /// `ssh-keygen -l` on the public keys, as people compare them.
    fn fingerprints(&self) -> Vec<String> {
        let keys = std::fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path());
        keys.filter(|path| path.extension().is_some_and(|ending| ending == "pub"))
            .map(|path| {
                let listed = Command::new("/usr/bin/ssh-keygen").arg("-lf").arg(path).output().unwrap();
                String::from_utf8(listed.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
            })
            .collect()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run_sshd(directory: &Path, address: SocketAddr, keys: &[(&str, &str)], more: &str) -> Child {
    let mut config = format!(
        "ListenAddress {address}\nPidFile none\nUsePAM no\nPasswordAuthentication no\nMaxStartups 100\nLogLevel ERROR\n{more}\n"
    );
    for (kind, bits) in keys {
        let file = directory.join(format!("{kind}-{bits}"));
        if !file.exists() {
            let made = Command::new("/usr/bin/ssh-keygen")
                .args(["-q", "-t", kind, "-b", bits, "-N", "", "-f"])
                .arg(&file)
                .status()
                .unwrap();
            assert!(made.success());
        }
        config += &format!("HostKey {}\n", file.display());
    }
    std::fs::write(directory.join("config"), config).unwrap();
    Command::new(SSHD)
        .args(["-D", "-e", "-f"])
        .arg(directory.join("config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// An honest sshd behind an address of a lab, and another one that some are shown instead.
struct World {
    lab: Lab,
    site: Site,
    nodes: Vec<LabNode>,
    evil: Sshd,
    honest: Sshd,
    service: ServiceId,
}

impl World {
    async fn start() -> Option<Self> {
        let (honest, evil) = (Sshd::start(&USUAL_KEYS, "")?, Sshd::start(&USUAL_KEYS, "")?);
        let lab = Lab::start().await.unwrap();
        let at = lab.address(30, 10);
        let site = lab.open(at, Behaviour::Forward(honest.address)).await.unwrap();
        let nodes =
            vec![lab.node(21, "eu-west", "RIPE").await.unwrap(), lab.node(23, "us-east", "ARIN").await.unwrap()];
        let service = ServiceId::new(Scheme::Ssh, &at.to_string(), lab.port()).unwrap();
        Some(Self { lab, site, nodes, evil, honest, service })
    }

    fn me(&self) -> Ipv4Addr {
        self.lab.address(10, 1)
    }

    /// As ssh names it.
    fn host(&self) -> String {
        format!("[{}]:{}", self.lab.address(30, 10), self.lab.port())
    }

    fn home(&self) -> Home {
        let home = Home::new()
            .with("PARALLAX_RESOLVER", &self.lab.dns().address().to_string())
            .with("PARALLAX_SOURCE", &self.me().to_string())
            .with("PARALLAX_TIMEOUT", "20s");
        for node in &self.nodes {
            let added = in_thread(|| home.run(&["vantage", "add", &node.url().to_string()]));
            assert_eq!(added.status, 0, "{added:?}");
        }
        home
    }

    fn attack_me(&self) {
        self.site.behave_towards(self.me(), Behaviour::Forward(self.evil.address));
    }
}

/// The lab serves on this runtime while the command runs.
fn in_thread<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

fn ssh(world: &World, home: &Home) -> Run {
    let command = format!("{} ssh-known-hosts %H", env!("CARGO_BIN_EXE_parallax"));
    let (port, me) = (world.lab.port().to_string(), world.me().to_string());
    let mut ssh = home.command_of("/usr/bin/ssh", &["-F", "none", "-p", &port, "-b", &me]);
    for option in [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
        "IdentityFile=none",
        &format!("KnownHostsCommand={command}"),
    ] {
        ssh.args(["-o", option]);
    }
    let output =
        in_thread(|| ssh.args(["nobody@".to_owned() + &world.lab.address(30, 10).to_string()]).output().unwrap());
    Run {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_host_key_of_a_real_server_is_proved() {
    for exchange in ["curve25519-sha256", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521"] {
        let Some(sshd) = Sshd::start(&ALL_KEYS, &format!("KexAlgorithms {exchange}")) else { return };
        let lab = Lab::start().await.unwrap();
        let prober = Prober::new(lab.probe_settings(lab.address(10, 1)).unwrap()).unwrap();
        let look = prober.look(&format!("ssh://{}", sshd.address).parse().unwrap()).await;
        assert_eq!(look.now.outcome, Outcome::Seen, "{exchange}: {look:?}");
        let met = look.now.proved().unwrap();
        let kinds: Vec<_> = met.host_keys.iter().map(|key| key.kind).collect();
        assert_eq!(kinds, HostKeyKind::ALL, "{exchange}");
        assert!(met.has_coherent_host_keys() && met.protocol == "SSH-2.0");
        let mut mine: Vec<_> = met.host_keys.iter().map(|key| key.openssh_fingerprint()).collect();
        let mut theirs = sshd.fingerprints();
        mine.sort();
        theirs.sort();
        assert_eq!(mine, theirs, "the fingerprints are those that ssh-keygen prints");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_server_proves_its_rsa_key_with_what_it_has() {
    for signature in ["rsa-sha2-256", "ssh-rsa"] {
        let Some(sshd) = Sshd::start(&USUAL_KEYS, &format!("HostKeyAlgorithms {signature}")) else { return };
        let lab = Lab::start().await.unwrap();
        let prober = Prober::new(lab.probe_settings(lab.address(10, 1)).unwrap()).unwrap();
        let look = prober.look(&format!("ssh://{}", sshd.address).parse().unwrap()).await;
        let kinds: Vec<_> = look.now.proved().unwrap().host_keys.iter().map(|key| key.kind).collect();
        assert_eq!(kinds, [HostKeyKind::Rsa], "{signature}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_corroborate_an_honest_server_and_expose_an_attacker_near_me() {
    let Some(world) = World::start().await else { return };
    let policy = Policy::named("majority").unwrap();
    let checker =
        |policy| world.lab.checker(world.me(), &world.nodes).unwrap().policy(policy).wait_for_all(true).build();
    let report = checker(Policy::default()).report(&world.service).await;
    assert_eq!((report.verdict.decision, report.verdict.rule), (Decision::Trusted, Rule::Corroborated), "{report:?}");
    let view = report.views[0].view.content();
    assert_eq!(view.now.met, report.evidence.local().now.met, "the very same keys");
    assert_eq!(view.history.len(), 3, "a span of each key: {:?}", view.history);

    world.attack_me();
    let report = checker(Policy::default()).report(&world.service).await;
    assert_eq!((report.verdict.decision, report.verdict.rule), (Decision::Distrusted, Rule::MitmNearMe), "{report:?}");
    let report = checker(policy).report(&world.service).await;
    assert_eq!(report.verdict.rule, Rule::NotEnough, "two are too few for a majority: {report:?}");
}

/// What a node may open to one target counts looks: a server that offers five kinds of keys is still one look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_many_keys_is_one_look_for_the_budget_of_a_node() {
    let Some(sshd) = Sshd::start(&ALL_KEYS, "") else { return };
    let lab = Lab::start().await.unwrap();
    let node = lab
        .node_with(21, "eu-west", "RIPE", |settings| {
            settings.limits.looks_per_target = Rate::new(1, 1);
            settings.limits.looks_per_target_network = Rate::new(1, 1);
        })
        .await
        .unwrap();
    let checker = lab.checker(lab.address(10, 1), [&node]).unwrap().wait_for_all(true).build();
    let report = checker.report(&format!("ssh://{}", sshd.address).parse().unwrap()).await;
    let view = report.views.first().unwrap_or_else(|| panic!("{report:?}")).view.content();
    assert_eq!(view.now.proved().unwrap().host_keys.len(), HostKeyKind::ALL.len());
}

/// From the second connection on nothing is said: what the first one proved is kept, and the look ends in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dawdles_loses_none_of_the_keys_it_has_proved() {
    let Some(sshd) = Sshd::start(&USUAL_KEYS, "") else { return };
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (address, behind) = (listener.local_addr().unwrap(), sshd.address);
    let forwarding = tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        let mut onward = tokio::net::TcpStream::connect(behind).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut first, &mut onward).await;
        let mut held = Vec::new();
        while let Ok(silent) = listener.accept().await {
            held.push(silent);
        }
    });
    let lab = Lab::start().await.unwrap();
    let prober = Prober::new(lab.probe_settings(lab.address(10, 1)).unwrap()).unwrap();
    let look = prober.look(&format!("ssh://{address}").parse().unwrap()).await;
    let kinds: Vec<_> = look.now.proved().unwrap().host_keys.iter().map(|key| key.kind).collect();
    assert_eq!(kinds, [HostKeyKind::Ed25519]);
    forwarding.abort();
}

/// The attacker passes on the connections for the keys that everybody knows, and answers one kind himself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_slipped_in_near_me_is_not_printed() {
    let Some(old) = Sshd::start(&[("ecdsa", "256"), ("rsa", "2048")], "") else { return };
    let lab = Lab::start().await.unwrap();
    let site = lab.open(lab.address(30, 10), Behaviour::Forward(old.address)).await.unwrap();
    let nodes = vec![lab.node(21, "eu-west", "RIPE").await.unwrap(), lab.node(23, "us-east", "ARIN").await.unwrap()];
    let service = ServiceId::new(Scheme::Ssh, &lab.address(30, 10).to_string(), lab.port()).unwrap();
    // What it offers, seen from me, is as if it had a key more: the same keys and an Ed25519 one.
    let Some(more) = Sshd::start(&[], &slipped_in(&old)) else { return };
    site.behave_towards(lab.address(10, 1), Behaviour::Forward(more.address));
    let checker = lab.checker(lab.address(10, 1), &nodes).unwrap().wait_for_all(true).build();
    let report = checker.report(&service).await;
    assert_eq!(report.verdict.decision, Decision::Undecided, "{report:?}");
    let judged: Vec<_> =
        checker.judge_host_keys(&report).iter().map(|judged| (judged.key.kind, judged.verdict.decision)).collect();
    assert_eq!(
        judged,
        [
            (HostKeyKind::Ed25519, Decision::Undecided),
            (HostKeyKind::EcdsaP256, Decision::Trusted),
            (HostKeyKind::Rsa, Decision::Trusted)
        ]
    );
}

/// Configuration lines with the keys of another server and a new one beside them.
fn slipped_in(other: &Sshd) -> String {
    let own = other.directory.path().join("slipped-in");
    let made =
        Command::new("/usr/bin/ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&own).status().unwrap();
    assert!(made.success());
    let keys = [own, other.directory.path().join("ecdsa-256"), other.directory.path().join("rsa-2048")];
    keys.iter().map(|key| format!("HostKey {}\n", key.display())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_and_observe_show_the_host_keys() {
    let Some(world) = World::start().await else { return };
    let home = world.home();
    let run = in_thread(|| home.run(&["check", &world.service.to_string()]));
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("verdict: TRUSTED (corroborated)\n"), "{run:?}");
    for fingerprint in world.honest.fingerprints() {
        assert!(run.stdout.contains(&format!("{fingerprint} 2/2\n")), "{run:?}");
    }
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
    let run = in_thread(|| home.run(&["observe", &world.service.to_string()]));
    assert!(run.status == 0 && run.stdout.contains("host key    ssh-ed25519 SHA256:"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_connection_of_ssh_needs_no_blind_yes() {
    let Some(world) = World::start().await else { return };
    let home = world.home();
    let run = in_thread(|| home.run(&["ssh-known-hosts", &world.host()]));
    assert_eq!(run.status, 0, "{run:?}");
    let lines: Vec<_> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{run:?}");
    assert!(lines.iter().all(|line| line.starts_with(&format!("{} ", world.host()))), "{run:?}");
    assert_eq!(run.stderr, "");

    let met = ssh(&world, &home);
    assert!(met.status == 255 && met.stderr.contains("Permission denied"), "the host key is believed: {met:?}");

    world.attack_me();
    let run = in_thread(|| home.run(&["ssh-known-hosts", &world.host()]));
    assert_eq!((run.status, run.stdout.as_str()), (1, ""), "{run:?}");
    assert!(run.stderr.contains("distrusted (mitm-near-me)"), "{run:?}");
    let met = ssh(&world, &home);
    assert!(met.status == 255 && !met.stderr.contains("Permission denied"), "{met:?}");
    assert!(met.stderr.contains("KnownHostsCommand failed"), "{met:?}");
    assert!(met.stderr.contains("distrusted (mitm-near-me)"), "the user learns why: {met:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_decide_leaves_it_to_ssh() {
    let Some(world) = World::start().await else { return };
    // Nobody to ask.
    let home = Home::new().with("PARALLAX_SOURCE", &world.me().to_string()).with("PARALLAX_TIMEOUT", "20s");
    let run = in_thread(|| home.run(&["ssh-known-hosts", &world.host()]));
    assert_eq!((run.status, run.stdout.as_str()), (0, ""), "{run:?}");
    assert!(run.stderr.contains("undecided (not-enough)"), "{run:?}");
    let met = ssh(&world, &home);
    assert!(met.status == 255 && met.stderr.contains("Host key verification failed"), "{met:?}");

    let run = in_thread(|| home.run(&["ssh-known-hosts", "a,b"]));
    assert!(run.status == 2 && run.stderr.contains("is not a host as ssh names it"), "{run:?}");
}

/// The public key files of an sshd by the names that ssh-keygen gives them.
fn blob(sshd: &Sshd, file: &str) -> String {
    let public = std::fs::read_to_string(sshd.directory.path().join(file)).unwrap();
    public.split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_host_key_is_printed_and_said_and_a_changed_one_is_not() {
    let Some(world) = World::start().await else { return };
    // Nobody to ask.
    let home = Home::new().with("PARALLAX_SOURCE", &world.me().to_string()).with("PARALLAX_TIMEOUT", "20s");
    let known_hosts = || in_thread(|| home.run(&["ssh-known-hosts", &world.host()]));
    assert_eq!(known_hosts().stdout, "");
    let run = in_thread(|| home.run(&["accept", &world.service.to_string()]));
    assert_eq!(run.status, 0, "{run:?}");

    let run = known_hosts();
    let line = format!("{} ssh-ed25519 {}\n", world.host(), blob(&world.honest, "ed25519-256.pub"));
    assert_eq!((run.status, run.stdout), (0, line), "this key and no other: {}", run.stderr);
    assert!(
        run.stderr.contains("ssh-ed25519 SHA256:") && run.stderr.contains("Your own word: you accepted"),
        "{}",
        run.stderr
    );
    let met = ssh(&world, &home);
    assert!(met.status == 255 && met.stderr.contains("Permission denied"), "the host key is believed: {met:?}");
    assert!(met.stderr.contains("Your own word"), "and ssh shows why: {met:?}");

    world.attack_me();
    let run = known_hosts();
    assert_eq!((run.status, run.stdout.as_str()), (0, ""), "{run:?}");
    assert!(run.stderr.contains("The key that you accepted") && run.stderr.contains("undecided"), "{run:?}");
    let met = ssh(&world, &home);
    assert!(met.status == 255 && met.stderr.contains("Host key verification failed"), "{met:?}");
}

/// Everybody else sees another server, as with a name that leads elsewhere inside of a network.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_users_word_for_the_preferred_key_outweighs_what_others_see_and_says_so() {
    let Some(world) = World::start().await else { return };
    let home = world.home();
    world.attack_me();
    assert_eq!(in_thread(|| home.run(&["accept", &world.service.to_string()])).status, 0);
    let run = in_thread(|| home.run(&["ssh-known-hosts", &world.host()]));
    let line = format!("{} ssh-ed25519 {}\n", world.host(), blob(&world.evil, "ed25519-256.pub"));
    assert_eq!((run.status, run.stdout), (0, line), "{}", run.stderr);
    assert!(run.stderr.contains("would be distrusted (mitm-near-me)"), "{}", run.stderr);
    let met = ssh(&world, &home);
    assert!(met.status == 255 && met.stderr.contains("Permission denied"), "{met:?}");

    // The honest server comes back: another key, and the word is void. What all see is printed, and the word is named.
    world.site.treat_alike();
    let run = in_thread(|| home.run(&["ssh-known-hosts", &world.host()]));
    assert_eq!((run.status, run.stdout.lines().count()), (0, 3), "{run:?}");
    assert!(run.stderr.contains("The key that you accepted"), "{run:?}");
}

/// Whoever answers for a server's RSA key says nothing of the key that ssh will prefer: an attacker can pass on the
/// connection for the one and answer the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_word_for_another_kind_excuses_no_distrusted_key() {
    let Some(world) = World::start().await else { return };
    let home = world.home();
    let observed = in_thread(|| home.run(&["observe", "--json", &world.service.to_string()])).json();
    let keys = observed["now"]["host_keys"].as_array().unwrap();
    let rsa = keys.iter().find(|key| key["kind"] == "ssh-rsa").unwrap()["key"].as_str().unwrap();
    assert_eq!(in_thread(|| home.run(&["accept", "--key", rsa, &world.service.to_string()])).status, 0);
    let run = in_thread(|| home.run(&["check", &world.service.to_string()]));
    assert!(run.stdout.contains("You accepted another host key of this server"), "{run:?}");

    let stolen = world.honest.directory.path().join("rsa-2048");
    let Some(half) = Sshd::start(&[("ed25519", "256")], &format!("HostKey {}", stolen.display())) else { return };
    world.site.behave_towards(world.me(), Behaviour::Forward(half.address));
    let run = in_thread(|| home.run(&["ssh-known-hosts", &world.host()]));
    assert_eq!((run.status, run.stdout.as_str()), (1, ""), "{run:?}");
    assert!(run.stderr.contains("ssh-rsa SHA256:") && run.stderr.contains("distrusted (mitm-near-me)"), "{run:?}");
}

/// Service type 1: old clients learn the MD5 of every host key, as `ssh-keygen` writes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_perspectives_are_told_of_host_keys() {
    let Some(sshd) = Sshd::start(&USUAL_KEYS, "") else { return };
    let home = Home::new();
    let node = served::Served::start(&home, "data", &[]);
    let path = format!("/?host=127.0.0.1&port={}&service_type=1", sshd.address.port());
    let begun = Instant::now();
    let mut reply = node.get(&path);
    assert!(reply.starts_with("HTTP/1.1 404 "), "nothing is known yet: {reply}");
    while reply.starts_with("HTTP/1.1 404 ") {
        assert!(begun.elapsed() < served::PATIENCE, "{reply}");
        std::thread::sleep(Duration::from_millis(100));
        reply = node.get(&path);
    }
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    assert_eq!(reply.matches(" type=\"ssh\">").count(), 3, "{reply}");
    for file in ["ed25519-256.pub", "ecdsa-256.pub", "rsa-2048.pub"] {
        let file = sshd.directory.path().join(file);
        let listed = Command::new("/usr/bin/ssh-keygen").args(["-E", "md5", "-lf"]).arg(file).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let print = listed.split(' ').nth(1).unwrap().strip_prefix("MD5:").unwrap();
        assert!(reply.contains(&format!("fp=\"{print}\"")), "{print}: {reply}");
    }
    node.stop();
}
