//! `openssl`: certificates, a server, and a second opinion on everything that is a hash or a signature.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::process::Running;

/// Runs `openssl`; panics with what it said when it fails.
pub(crate) fn openssl(arguments: &[&str]) -> Vec<u8> {
    openssl_with_input(arguments, b"")
}

/// The same with something on standard input.
pub(crate) fn openssl_with_input(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let output = run(arguments, input);
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Whether it says no.
pub(crate) fn openssl_fails(arguments: &[&str]) -> bool {
    !run(arguments, b"").status.success()
}

fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // What is given fits into a pipe; one that does not read it closes it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// SHA-256 in lower-case hex, as openssl computes it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let line = openssl_with_input(&["dgst", "-sha256", "-r"], bytes);
    String::from_utf8(line).unwrap().split(' ').next().unwrap().to_owned()
}

/// The same as it is.
pub(crate) fn sha256_bytes(bytes: &[u8]) -> Vec<u8> {
    openssl_with_input(&["dgst", "-sha256", "-binary"], bytes)
}

/// Keys and certificates in a directory of their own.
pub(crate) struct Keeper(tempfile::TempDir);

impl Keeper {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where something is, as text.
    pub(crate) fn file(&self, name: &str) -> String {
        self.path().join(name).to_str().unwrap().to_owned()
    }

    /// A self-signed certificate for 127.0.0.1 with a new key, both in `NAME.pem`. `key` is what openssl calls the kind
    /// of key, with options after it: `ec -pkeyopt ec_paramgen_curve:P-256`.
    pub(crate) fn self_signed(&self, name: &str, key: &str) -> String {
        self.request(name, key, &["-x509", "-days", "30", "-addext", "subjectAltName=IP:127.0.0.1,DNS:site.example"])
    }

    /// A CA that may have others below it.
    pub(crate) fn root(&self, name: &str) -> String {
        self.request(name, P256, &["-x509", "-days", "30"])
    }

    /// A certificate for a new key, issued by one that is here already, with these extensions.
    pub(crate) fn issued(&self, name: &str, by: &str, extensions: &[&str]) -> String {
        let (request, list, both) = (format!("{name}.csr"), format!("{name}.ext"), self.file(&format!("{name}.pem")));
        self.request(&request, P256, &[]);
        std::fs::write(self.path().join(&list), extensions.join("\n")).unwrap();
        let (issuer, request) = (self.file(&format!("{by}.pem")), self.file(&format!("{request}.pem")));
        let given = ["x509", "-req", "-days", "30", "-in", &request, "-CA", &issuer, "-CAkey", &issuer];
        let certificate = openssl(&[&given[..], &["-CAcreateserial", "-extfile", &self.file(&list)]].concat());
        let key = openssl(&["pkey", "-in", &request]);
        std::fs::write(&both, [key, certificate].concat()).unwrap();
        both
    }

    /// The certificate in `NAME.pem`, DER.
    pub(crate) fn der(&self, name: &str) -> Vec<u8> {
        openssl(&["x509", "-in", &self.file(&format!("{name}.pem")), "-outform", "DER"])
    }

    /// What `openssl x509 -fingerprint -sha256` says, in the spelling that is used here.
    pub(crate) fn fingerprint(&self, name: &str) -> String {
        self.fingerprint_by(name, "-sha256")
    }

    /// What `openssl x509 -fingerprint -md5` says.
    pub(crate) fn md5(&self, name: &str) -> String {
        self.fingerprint_by(name, "-md5")
    }

    fn fingerprint_by(&self, name: &str, digest: &str) -> String {
        let line = openssl(&["x509", "-in", &self.file(&format!("{name}.pem")), "-noout", "-fingerprint", digest]);
        let line = String::from_utf8(line).unwrap();
        line.split_once('=').unwrap().1.trim().replace(':', "").to_lowercase()
    }

    /// SHA-256 of the SubjectPublicKeyInfo, as openssl writes it.
    pub(crate) fn key_fingerprint(&self, name: &str) -> String {
        let public = openssl(&["x509", "-in", &self.file(&format!("{name}.pem")), "-noout", "-pubkey"]);
        sha256(&openssl_with_input(&["pkey", "-pubin", "-outform", "DER"], &public))
    }

    /// Puts another file in the place of `name`, at once.
    pub(crate) fn replace(&self, name: &str, by: &str) {
        let fresh = self.path().join("fresh");
        std::fs::copy(self.path().join(format!("{by}.pem")), &fresh).unwrap();
        std::fs::rename(fresh, self.path().join(format!("{name}.pem"))).unwrap();
    }

    fn request(&self, name: &str, key: &str, options: &[&str]) -> String {
        let (key_file, both) = (self.file(&format!("{name}.key")), self.file(&format!("{name}.pem")));
        let (subject, key) = (format!("/CN={name}"), key.split(' '));
        let mut arguments = vec!["req", "-new", "-nodes", "-sha256", "-subj", &subject, "-keyout", &key_file];
        // Not the machine's own settings, which may add extensions.
        arguments
            .extend(["-config", "/dev/null"].into_iter().chain(["-newkey"]).chain(key).chain(options.iter().copied()));
        let made = openssl(&arguments);
        std::fs::write(&both, [std::fs::read(&key_file).unwrap(), made].concat()).unwrap();
        both
    }
}

const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";

/// `openssl s_server`.
pub(crate) struct Server {
    _process: Running,
    address: String,
}

impl Server {
    /// A server on a free port of 127.0.0.1, with the key and certificate of one file.
    pub(crate) fn start(pem: &str, options: &str) -> Self {
        Self::start_at("127.0.0.1:0", pem, options)
    }

    /// A server at this address.
    pub(crate) fn start_at(address: &str, pem: &str, options: &str) -> Self {
        let mut command = Command::new("openssl");
        // -www: it answers by itself, and reads nothing from standard input.
        command.args(["s_server", "-www", "-accept", address, "-key", pem, "-cert", pem]);
        command.args(options.split(' ').filter(|option| !option.is_empty()));
        let mut process = Running::start(&mut command);
        // It listens by then, and says where when the port was 0.
        let listening = process.hear(|line| Some(line.strip_prefix("ACCEPT")?.trim().to_owned()));
        let listening = listening.unwrap_or_else(|| panic!("s_server {options}: {:?}", process.said()));
        Self { _process: process, address: if listening.is_empty() { address.to_owned() } else { listening } }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap()
    }
}
