//! The graph of trust: 100,000 users with ten edges each. Memory, an edge, whom one user sees (aim: under 1 ms), and what
//! an order costs: a request checked, a certificate issued.

use std::hint::black_box;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
};
use parallax_core::{Fingerprint, Signer, SigningFailed, Timestamp};
use parallax_janus::trust::{Circle, Graph, UserId};
use parallax_janus::{Authority, CaKey, Grant, LONGEST_LIFE, Mailbox, Request, SubjectKey, make_issuing, make_root};
use parallax_probe::AwsLc;

use crate::measure::{cpu_us, each, heading, in_turn, line};

const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);
const USERS: u32 = 100_000;
const ROUNDS: usize = 9;

pub(crate) fn run() {
    heading("trust: 100,000 users with 10 edges each (CPU each; aim for \"visible\": under 1000 µs)");
    let before = resident_kib();
    let mut circle = circle();
    line("memory of people, declarations, edges and tables", format_args!("{} MiB", (resident_kib() - before) / 1024));
    edges(&mut circle);
    visible(circle.graph());
    authority();
}

/// Ten neighbours each, drawn by steps that lead all over the circle.
fn friends(user: u32) -> impl Iterator<Item = u32> {
    (1..=5_u32).map(move |step| (user + step * step * step * 997 + step) % USERS)
}

fn mailbox(user: u32) -> Mailbox {
    format!("user{user}@example.com").parse().expect("a mailbox")
}

fn key(user: u32) -> Fingerprint {
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(user.to_be_bytes()).for_each(|(to, from)| *to = from);
    Fingerprint::from_bytes(bytes)
}

fn circle() -> Circle {
    let mut circle = Circle::new(Arc::new(AwsLc), [7; 32]);
    for user in 0..USERS {
        circle.prove(&mailbox(user), key(user)).expect("a person");
    }
    let cost = each(USERS * 5, || {
        for user in 0..USERS {
            for friend in friends(user) {
                declare(&mut circle, user, friend);
                declare(&mut circle, friend, user);
            }
        }
    });
    line("an edge declared by both sides, from none to ten each", format_args!("{:.2} µs", cpu_us(&[cost])));
    circle
}

fn declare(circle: &mut Circle, who: u32, whom: u32) {
    circle.declare(&mailbox(who), key(who), &mailbox(whom)).expect("a declaration");
}

fn edges(circle: &mut Circle) {
    const COUNT: u32 = 10_000;
    let mut next = 0;
    let (costs, _) = in_turn(
        ROUNDS,
        || {
            each(COUNT, || {
                for _ in 0..COUNT {
                    next += 1;
                    let (one, other) = (next % USERS, (next * 7 + 3) % USERS);
                    if one != other {
                        declare(circle, one, other);
                        declare(circle, other, one);
                    }
                }
            })
        },
        || each(1, || ()),
    );
    line("one more edge, declared by both sides", format_args!("{:.2} µs", cpu_us(&costs)));
}

fn visible(graph: &Graph) {
    const COUNT: u32 = 2_000;
    let mut user = 0;
    let mut seen = 0;
    let (costs, _) = in_turn(
        ROUNDS,
        || {
            each(COUNT, || {
                for _ in 0..COUNT {
                    user = (user + 7_919) % USERS;
                    seen = black_box(graph.visible_to(UserId::from_index(user))).len();
                }
            })
        },
        || each(1, || ()),
    );
    line("whom one user sees", format_args!("{:.2} µs ({seen} at the last one)", cpu_us(&costs)));
}

struct Key(EcdsaKeyPair);

impl Key {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
    }

    fn spki(&self) -> Vec<u8> {
        use aws_lc_rs::encoding::AsDer as _;
        self.0.public_key().as_der().expect("DER").as_ref().to_vec()
    }
}

impl Signer for Key {
    fn algorithm(&self) -> &'static str {
        "ES256"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(self.0.sign(&SystemRandom::new(), message).map_err(|_| SigningFailed)?.as_ref().to_vec())
    }
}

/// A request for an Ed25519 key costs less; P-256 is what browsers' tools make.
fn request() -> Vec<u8> {
    use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::Rfc822Name("ann@example.com".try_into().expect("ASCII"))];
    params.serialize_request(&key).expect("a request").der().to_vec()
}

fn authority() {
    const COUNT: u32 = 500;
    let (root_key, issuing_key) = (Key::new(), Key::new());
    let root_signer = CaKey::new(&AwsLc, &root_key, &root_key.spki()).expect("a key");
    let root = make_root(&AwsLc, &root_signer, [1; 16], NOW).expect("a root");
    let issuing = SubjectKey::parse(&AwsLc, &issuing_key.spki()).expect("a key");
    let issuing = make_issuing(&AwsLc, &root, &root_signer, &issuing, [1; 16], NOW).expect("a certificate");
    let authority = Authority::load(&AwsLc, &root, &[issuing]).expect("an authority");
    let signer = CaKey::new(&AwsLc, &issuing_key, &issuing_key.spki()).expect("a key");
    let der = request();
    let grant = Grant::classic(&Request::parse(&AwsLc, &der).expect("a request"), NOW);
    let bare = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
    let (checked, issued) = in_turn(
        ROUNDS,
        || each(COUNT, || (0..COUNT).for_each(|_| drop(black_box(Request::parse(&AwsLc, black_box(&der)))))),
        || {
            each(COUNT, || {
                for _ in 0..COUNT {
                    black_box(authority.issue(&AwsLc, &signer, &grant, LONGEST_LIFE, [1; 16], NOW)).expect("issued");
                }
            })
        },
    );
    let (signed, _) = in_turn(
        ROUNDS,
        || {
            each(COUNT, || {
                for _ in 0..COUNT {
                    black_box(bare.sign(&SystemRandom::new(), black_box(&der))).expect("a signature");
                }
            })
        },
        || each(1, || ()),
    );
    line("a request checked (P-256)", format_args!("{:.1} µs", cpu_us(&checked)));
    line("a certificate issued, and judged before it is given out", format_args!("{:.1} µs", cpu_us(&issued)));
    line("a bare P-256 signature", format_args!("{:.1} µs", cpu_us(&signed)));
}

/// What the process holds in memory.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}
