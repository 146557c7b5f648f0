//! What we sign, others verify: curl fetches, openssl computes.

use std::os::unix::fs::MetadataExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{
    Answer, Keeper, Node, Server, User, curl, needs, openssl, openssl_fails, openssl_with_input, sha256,
};

/// RFC 8410 section 4: what stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo.
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A node, what it says of itself, and room for files.
struct World {
    node: Node,
    descriptor: Value,
    keeper: Keeper,
    _user: User,
}

impl World {
    /// The descriptor comes over plain HTTP: it verifies by itself.
    fn start() -> Self {
        let user = User::new();
        let node = Node::start(&user, "data", "eu-west", "127.0.0.2");
        let descriptor = curl(&[], &format!("http://{}/v1/vantage", node.http)).json();
        let keeper = Keeper::new();
        std::fs::write(keeper.path().join("ca.pem"), descriptor["ca"].as_str().unwrap()).unwrap();
        Self { node, descriptor, keeper, _user: user }
    }

    /// Over HTTPS, believing only the CA of the descriptor; curl checks the name, too.
    fn get(&self, path: &str) -> Answer {
        let answer = curl(&["--cacert", &self.keeper.file("ca.pem")], &format!("https://{}{path}", self.node.https));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.keeper.path().join(name), bytes).unwrap();
        self.keeper.file(name)
    }

    /// The statement key as a PEM file.
    fn statement_key(&self) -> String {
        let key = URL_SAFE_NO_PAD.decode(self.descriptor["statement_key"].as_str().unwrap()).unwrap();
        let pem = openssl_with_input(&["pkey", "-pubin", "-inform", "DER"], &[&ED25519_SPKI[..], &key].concat());
        self.write("statement.pem", &pem)
    }

    /// `openssl pkeyutl` on an Ed25519 signature.
    fn ed25519_holds(&self, jws: &Jws, body: &[u8]) -> bool {
        let (input, signature) = (self.write("input", &jws.input(body)), self.write("signature", &jws.signature));
        let verify = ["pkeyutl", "-verify", "-pubin", "-rawin", "-inkey", &self.statement_key(), "-in", &input];
        !openssl_fails(&[&verify[..], &["-sigfile", &signature]].concat())
    }

    /// `openssl dgst` on an ES256 signature by the CA, whose two numbers openssl wants as DER (RFC 7518 section 3.4).
    fn es256_holds(&self, jws: &Jws, body: &[u8]) -> bool {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (r, s) = jws.signature.split_at(32);
        let numbers = format!("asn1=SEQUENCE:numbers\n[numbers]\nr=INTEGER:0x{}\ns=INTEGER:0x{}\n", hex(r), hex(s));
        let (input, numbers, der) =
            (self.write("input", &jws.input(body)), self.write("numbers", numbers.as_bytes()), self.keeper.file("der"));
        openssl(&["asn1parse", "-genconf", &numbers, "-noout", "-out", &der]);
        let key = self.write("ca.pub", &openssl(&["x509", "-in", &self.keeper.file("ca.pem"), "-noout", "-pubkey"]));
        !openssl_fails(&["dgst", "-sha256", "-verify", &key, "-signature", &der, &input])
    }
}

/// A detached JWS (RFC 7515 appendix F), taken apart by hand.
struct Jws {
    encoded_header: String,
    header: Value,
    signature: Vec<u8>,
}

impl Jws {
    fn of(answer: &Answer) -> Self {
        let text = answer.header("parallax-signature").expect("a signature");
        let [encoded_header, "", signature] = text.split('.').collect::<Vec<_>>()[..] else { panic!("{text}") };
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let header = serde_json::from_slice(&decode(encoded_header)).unwrap();
        Self { encoded_header: encoded_header.into(), header, signature: decode(signature) }
    }

    /// RFC 7797 section 3: the body as it is, not encoded.
    fn input(&self, body: &[u8]) -> Vec<u8> {
        [self.encoded_header.as_bytes(), b".", body].concat()
    }
}

fn damaged(body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    let middle = body.len() / 2;
    body[middle] ^= 1;
    body
}

#[test]
fn views_and_dns_answers_verify_with_openssl() {
    needs!("openssl", "curl");
    let world = World::start();
    let site = world.keeper.self_signed("site", "ed25519");
    let server = Server::start(&site, "");
    let view = format!("/v1/view?service={}&nonce=from%20curl", server.address());
    let dns = "/v1/dns?name=site.example&types=A,TLSA&nonce=from%20curl".to_owned();
    for (path, format) in [(view, "parallax-view/1"), (dns, "parallax-dns/1")] {
        let answer = world.get(&path);
        let jws = Jws::of(&answer);
        let wanted = json!({ "alg": "EdDSA", "b64": false, "crit": ["b64"], "kid": world.node.vantage });
        assert_eq!((&jws.header, jws.signature.len()), (&wanted, 64));
        assert!(world.ed25519_holds(&jws, &answer.body), "{path}");
        assert!(!world.ed25519_holds(&jws, &damaged(&answer.body)), "{path}: openssl would notice");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let body = answer.json();
        assert_eq!((&body["format"], &body["nonce"]), (&format.into(), &"from curl".into()), "{body:#}");
        assert_eq!(body["vantage"], world.node.vantage.as_str());
    }
}

#[test]
fn the_descriptor_verifies_with_openssl() {
    needs!("openssl", "curl");
    let world = World::start();
    let answer = world.get("/v1/vantage");
    let jws = Jws::of(&answer);
    let x5c = STANDARD.encode(world.keeper.der("ca"));
    let wanted = json!({ "alg": "ES256", "b64": false, "crit": ["b64"], "kid": world.node.vantage, "x5c": [x5c] });
    assert_eq!((&jws.header, jws.signature.len()), (&wanted, 64));
    assert!(world.es256_holds(&jws, &answer.body));
    assert!(!world.es256_holds(&jws, &damaged(&answer.body)), "openssl would notice");
    let descriptor = answer.json();
    assert_eq!(descriptor["vantage"], world.node.vantage.as_str());
    assert_eq!(descriptor["addresses"], json!([format!("https://{}", world.node.https)]));
    assert_eq!((&descriptor["format"], &descriptor["region"]), (&"parallax-vantage/1".into(), &"eu-west".into()));
}

#[test]
fn the_vantage_id_is_the_hash_of_the_key_of_the_ca() {
    needs!("openssl", "curl");
    let world = World::start();
    assert_eq!(world.keeper.key_fingerprint("ca"), world.node.vantage);
    let on_disk =
        openssl(&["x509", "-in", world.node.data().join("identity/ca.pem").to_str().unwrap(), "-outform", "DER"]);
    assert_eq!(sha256(&on_disk), world.keeper.fingerprint("ca"), "the same certificate is on disk");
}

#[test]
fn the_certificates_are_what_openssl_expects() {
    needs!("openssl", "curl");
    let world = World::start();
    let ca = world.keeper.file("ca.pem");
    let text = String::from_utf8(openssl(&["x509", "-in", &ca, "-noout", "-text"])).unwrap();
    let after = |title: &str| text.split(title).nth(1).unwrap_or_else(|| panic!("no {title} in {text}")).lines().nth(1);
    assert_eq!(after("X509v3 Basic Constraints: critical").map(str::trim), Some("CA:TRUE, pathlen:0"));
    assert!(after("X509v3 Key Usage: critical").unwrap().contains("Certificate Sign"), "{text}");
    assert!(text.contains("prime256v1"), "{text}");

    let shown =
        openssl(&["s_client", "-connect", &world.node.https, "-showcerts", "-CAfile", &ca, "-verify_return_error"]);
    let server = world.write("server.pem", &openssl_with_input(&["x509"], &shown));
    let address = world.node.https.split(':').next().unwrap();
    let strictly = ["verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip", address, "-CAfile", &ca, &server];
    openssl(&strictly);
    openssl(&["verify", "-x509_strict", "-CAfile", &ca, &ca]);
    // It is no CA of the web: another machine's name is not in it, and nothing else vouches for it.
    assert!(openssl_fails(&["verify", "-verify_hostname", "example.com", "-CAfile", &ca, &server]));
    assert!(openssl_fails(&["verify", &server]));
}

#[test]
fn a_server_certificate_can_not_sign() {
    needs!("openssl", "curl");
    let world = World::start();
    let ca = world.keeper.file("ca.pem");
    // The node's own key and certificate, as if the node were to pass its name on.
    let own = std::fs::read(world.node.data().join("identity/server.pem")).unwrap();
    let own = world.write("own.pem", &own);
    let other = world.keeper.issued("other", "own", &["subjectAltName=IP:127.0.0.1"]);
    assert!(openssl_fails(&["verify", "-CAfile", &ca, "-untrusted", &own, &other]));
}

#[test]
fn secrets_belong_to_their_owner_alone() {
    let user = User::new();
    let node = Node::start(&user, "data", "eu-west", "127.0.0.2");
    let identity = node.data().join("identity");
    assert_eq!(std::fs::metadata(&identity).unwrap().mode() & 0o7777, 0o700);
    let files: Vec<_> = std::fs::read_dir(&identity).unwrap().map(|file| file.unwrap()).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o600, "{file:?}");
    }
}
