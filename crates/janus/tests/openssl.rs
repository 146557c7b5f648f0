//! OpenSSL's word on what is issued, and OpenSSL's requests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod support;

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parallax_core::Timestamp;
use parallax_janus::{LONGEST_LIFE, Request};

use support::keys::{Key, PureRust};
use support::{House, grant, mailbox, now};

fn openssl(arguments: &[&str], dir: &Path) -> Option<(bool, String)> {
    let output = match Command::new("openssl").args(arguments).current_dir(dir).output() {
        Ok(output) => output,
        Err(_) => {
            eprintln!("skipped: there is no openssl");
            return None;
        }
    };
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Some((output.status.success(), told))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn verify(dir: &Path, purpose: &str, at: Timestamp) -> Option<(bool, String)> {
    let at = at.unix_secs().to_string();
    let arguments = ["verify", "-x509_strict", "-purpose", purpose, "-attime", &at, "-CAfile", "root.pem"];
    openssl(&[arguments.as_slice(), &["-untrusted", "issuing.pem", "leaf.pem"]].concat(), dir)
}

#[test]
fn openssl_accepts_what_is_issued_for_clients_and_for_nothing_else() {
    let house = House::new();
    let dir = tempfile::tempdir().unwrap();
    for key in Key::each() {
        let granted = grant(&key, mailbox(), now());
        let issued = house.authority.issue(&PureRust, &house.signer(), &granted, LONGEST_LIFE, [0xff; 16], now());
        let chain = issued.unwrap().chain;
        let files = [("root", house.authority.root()), ("issuing", &chain[1]), ("leaf", &chain[0])];
        for (file, der) in files {
            std::fs::write(dir.path().join(format!("{file}.pem")), pem("CERTIFICATE", der)).unwrap();
        }
        let Some((good, told)) = verify(dir.path(), "sslclient", now()) else { return };
        assert!(good, "{told}");
        for (purpose, at) in [("sslserver", now()), ("smimesign", now()), ("sslclient", now().plus(LONGEST_LIFE))] {
            let (good, told) = verify(dir.path(), purpose, at).unwrap();
            assert!(!good, "{purpose} at {at}: {told}");
        }
        let (_, text) = openssl(&["x509", "-in", "leaf.pem", "-noout", "-text"], dir.path()).unwrap();
        for part in ["Subject: \n", "critical\n                email:ann@example.com", "TLS Web Client Authentication"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

#[test]
fn requests_made_with_openssl_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("empty.cnf"), "[req]\ndistinguished_name = dn\n[dn]\n").unwrap();
    for kind in [&["ed25519"][..], &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], &["rsa:2048"]] {
        let arguments = ["req", "-config", "empty.cnf", "-new", "-nodes", "-keyout", "key.pem", "-outform", "DER"];
        let rest = ["-out", "csr.der", "-subj", "/", "-addext", "subjectAltName=email:ann@example.com", "-newkey"];
        let Some((good, told)) = openssl(&[arguments.as_slice(), &rest, kind].concat(), dir.path()) else { return };
        assert!(good, "{told}");
        let der = std::fs::read(dir.path().join("csr.der")).unwrap();
        let request = Request::parse(&PureRust, &der).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(request.mailbox().as_str(), mailbox());
    }
}
