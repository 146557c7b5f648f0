//! A mailbox becomes a certificate with nothing of ours but the node: the request and the signature are OpenSSL's, the
//! requests curl's, the mail goes through Postfix and is read by Python's `email`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::{Keeper, Node, User, is_root, mailing_postfix, needs, openssl, openssl_fails, sha256_bytes};

const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
const PATIENCE: Duration = Duration::from_secs(60);

/// A key and a request for an address, made by OpenSSL.
struct Asker {
    keeper: Keeper,
    csr: Vec<u8>,
}

impl Asker {
    fn new(address: &str) -> Self {
        let keeper = Keeper::new();
        let (key, config) = (keeper.file("key.pem"), keeper.file("openssl.cnf"));
        std::fs::write(&config, "[req]\ndistinguished_name = dn\nreq_extensions = ext\n[dn]\n[ext]\n").unwrap();
        let name = format!("subjectAltName=email:{address}");
        let csr = openssl(&[
            "req", "-new", "-nodes", "-newkey", "ed25519", "-keyout", &key, "-config", &config, "-subj", "/",
            "-addext", &name, "-outform", "DER",
        ]);
        Self { keeper, csr }
    }

    fn sign(&self, message: &[u8]) -> String {
        let (key, file) = (self.keeper.file("key.pem"), self.keeper.file("message"));
        std::fs::write(&file, message).unwrap();
        URL_SAFE_NO_PAD.encode(openssl(&["pkeyutl", "-sign", "-rawin", "-inkey", &key, "-in", &file]))
    }
}

/// As `docs/protocols/janus.md` has it.
fn answer_message(vantage: &str, order: &str, proof: &str, token2: &str, csr: &[u8]) -> Vec<u8> {
    let mut message = b"parallax janus answer 1\0".to_vec();
    let hash = sha256_bytes(csr);
    for part in [vantage.as_bytes(), order.as_bytes(), proof.as_bytes(), token2.as_bytes(), hash.as_slice()] {
        message.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        message.extend(part);
    }
    message
}

fn post(node: &Node, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("https://{}{path}", node.https);
    let body = body.to_string();
    let output = Command::new("curl")
        .args(["-sk", "--max-time", "30", "-w", "\n%{http_code}", "-H", "content-type: application/json", "-d", &body])
        .arg(url)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

/// Waits for a mail with this subject and has Python read it.
fn mail(folder: &Path, subject: &str) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        for file in files(&folder.join("new")) {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/mail_parts.py");
            let read = Command::new("python3").arg(script).arg(&file).output().unwrap();
            let read: Value = serde_json::from_slice(&read.stdout)
                .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&read.stderr)));
            if read["subject"] == subject {
                return read;
            }
        }
        assert!(Instant::now() < until, "no mail came");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn janus(user: &User, name: &str, variables: &[(&str, &str)]) -> Node {
    let data = user.home().join(name);
    let mut command = user.command(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--listen-tls",
        "127.0.0.1:0",
        "--role",
        "janus",
        "--data",
        data.to_str().unwrap(),
    ]);
    command.envs(variables.iter().copied());
    Node::started(&mut command, data)
}

#[test]
fn a_mailbox_becomes_a_certificate_through_postfix() {
    needs!("postfix", "openssl", "python3", "curl");
    if !is_root() {
        eprintln!("skipped: mail servers want to be started by root, so this was not tried against them.");
        return;
    }
    let keeper = Keeper::new();
    let (server, folder) = mailing_postfix(&keeper.self_signed("site", P256));
    let user = User::new();
    let route = format!("smtp://{}", server.address(0));
    let roots = keeper.file("site.pem");
    let variables = [
        ("PARALLAX_JANUS_SMTP", route.as_str()),
        ("PARALLAX_JANUS_SMTP_ROOTS", &roots),
        ("PARALLAX_JANUS_FROM", "janus@example.org"),
    ];
    let node = janus(&user, "janus", &variables);

    let ann = Asker::new("ann@example.com");
    let (status, placed) = post(&node, "/v1/orders", &json!({ "csr": URL_SAFE_NO_PAD.encode(&ann.csr) }));
    assert_eq!(status, 202, "{placed}");
    let (order, token2) = (placed["order"].as_str().unwrap(), placed["token2"].as_str().unwrap());

    let first = mail(&folder, "Confirm your address for Parallax");
    assert_eq!(first["defects"], json!([]), "{first}");
    assert_eq!((&first["from"], &first["to"]), (&json!(["janus@example.org"]), &json!(["ann@example.com"])));
    assert_eq!((&first["type"], &first["attachments"]), (&json!("multipart/alternative"), &json!([])));
    assert!(first["longest_line"].as_u64().unwrap() <= 998, "{first}");
    let text = first["text"].as_str().unwrap();
    let link = text.lines().find(|line| line.starts_with("http://")).unwrap();
    assert!(link.len() <= 128 && text.lines().all(|line| line.len() <= 78), "{text}");
    assert!(first["html"].as_str().unwrap().contains(&format!("href=\"{link}\"")));
    let token1 = link.strip_prefix(&format!("http://localhost:15342/AddCert#{order}.")).unwrap();

    let message = answer_message(&node.vantage, order, token1, token2, &ann.csr);
    let answer = json!({ "proof": token1, "token2": token2, "signature": ann.sign(&message) });
    let (status, told) = post(&node, &format!("/v1/orders/{order}/answer"), &answer);
    assert_eq!((status, &told["mailbox"]), (200, &json!("ann@example.com")), "{told}");
    openssl_accepts(&ann.keeper, told["certificate"].as_str().unwrap());

    let second = mail(&folder, "Your Parallax certificate");
    assert_eq!(second["defects"], json!([]), "{second}");
    let attached = &second["attachments"][0];
    assert_eq!(attached["content"], told["certificate"], "{second}");
    assert_eq!(
        (&attached["name"], &attached["type"], &attached["disposition"]),
        (&json!("parallax-certificate.pem"), &json!("application/pem-certificate-chain"), &json!("attachment"))
    );
    assert!(second["longest_line"].as_u64().unwrap() <= 998, "{}", second["longest_line"]);
    assert!(second["text"].as_str().unwrap().contains("http://localhost:15342/AddCert/-----BEGIN%20CERTIFICATE-----"));
}

/// The chain leads to its root, for clients and for nothing else, and names the address.
fn openssl_accepts(keeper: &Keeper, chain: &str) {
    let parts: Vec<String> = chain.split_inclusive("-----END CERTIFICATE-----\n").map(str::to_owned).collect();
    let [leaf, issuing, root] = ["leaf.pem", "issuing.pem", "root.pem"].map(|name| keeper.file(name));
    for (path, part) in [&leaf, &issuing, &root].into_iter().zip(&parts) {
        std::fs::write(path, part).unwrap();
    }
    let verify = |purpose: &'static str| {
        ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", &root, "-untrusted", &issuing, &leaf]
            .map(str::to_owned)
    };
    openssl(&verify("sslclient").each_ref().map(String::as_str));
    assert!(openssl_fails(&verify("sslserver").each_ref().map(String::as_str)));
    let text = String::from_utf8(openssl(&["x509", "-in", &leaf, "-noout", "-ext", "subjectAltName"])).unwrap();
    assert!(text.contains("critical") && text.contains("email:ann@example.com"), "{text}");
}

#[test]
fn without_the_right_root_no_mail_goes_to_a_server() {
    needs!("postfix", "openssl", "curl");
    if !is_root() {
        eprintln!("skipped: mail servers want to be started by root, so this was not tried against them.");
        return;
    }
    let keeper = Keeper::new();
    let (server, folder) = mailing_postfix(&keeper.self_signed("site", P256));
    let user = User::new();
    let route = format!("smtp://{}", server.address(0));
    let variables = [("PARALLAX_JANUS_SMTP", route.as_str()), ("PARALLAX_JANUS_FROM", "janus@example.org")];
    let node = janus(&user, "janus", &variables);
    let ann = Asker::new("ann@example.com");
    let (status, placed) = post(&node, "/v1/orders", &json!({ "csr": URL_SAFE_NO_PAD.encode(&ann.csr) }));
    assert_eq!(status, 202, "{placed}");
    let state = format!("/v1/orders/{}/state", placed["order"].as_str().unwrap());
    let until = Instant::now() + PATIENCE;
    while post(&node, &state, &json!({ "token2": placed["token2"] })).1["stage"] != "delayed" {
        assert!(Instant::now() < until, "the asker is not told");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(files(&folder.join("new")), Vec::<PathBuf>::new());
}
