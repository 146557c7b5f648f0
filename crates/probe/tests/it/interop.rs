//! OpenSSL as the server, where it is installed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use parallax_core::Outcome;

use crate::support::{look, settings};

/// `openssl s_server` with a new key, until dropped.
struct OpenSsl {
    child: Child,
    port: u16,
}

impl OpenSsl {
    fn start(directory: &Path, key: &[&str], options: &[&str]) -> Self {
        let file = |name: &str| directory.join(name).display().to_string();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=site.test", "-newkey"])
            .args(key)
            .args(["-keyout", &file("key.pem"), "-out", &file("cert.pem")])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-key", &file("key.pem"), "-cert", &file("cert.pem")])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It says `ACCEPT 127.0.0.1:40123` when it listens at a port of the system's choice.
        let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = said.filter_map(|line| line.strip_prefix("ACCEPT ")?.rsplit(':').next()?.parse().ok()).next();
        Self { child, port: port.expect("openssl s_server listens") }
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn has_openssl() -> bool {
    let found = Command::new("openssl").arg("version").output().is_ok_and(|said| said.status.success());
    if !found {
        eprintln!("skipped: openssl is not installed");
    }
    found
}

#[tokio::test]
async fn openssl_of_every_age() {
    if !has_openssl() {
        return;
    }
    let rsa = ["rsa:2048"].as_slice();
    let curve = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"].as_slice();
    let old = ["-cipher", "ALL:@SECLEVEL=0"];
    for (key, options, protocol, proved) in [
        (rsa, ["-tls1_3"].as_slice(), "TLSv1.3", true),
        (rsa, &["-tls1_2"], "TLSv1.2", true),
        (curve, &["-tls1_3"], "TLSv1.3", true),
        (rsa, &[&["-tls1"][..], &old].concat(), "TLSv1.0", false),
        (rsa, &[&["-tls1_1"][..], &old].concat(), "TLSv1.1", false),
        (curve, &[&["-tls1"][..], &old].concat(), "TLSv1.0", false),
        (rsa, &["-tls1_2", "-cipher", "AES256-SHA"], "TLSv1.2", false),
        (rsa, &["-tls1_2", "-cipher", "DHE-RSA-AES128-SHA"], "TLSv1.2", false),
        (&["rsa:1024"], &[&["-tls1_2"][..], &old].concat(), "TLSv1.2", false),
        (&["rsa:1024"], &[&["-tls1_3"][..], &old].concat(), "TLSv1.3", false),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let server = OpenSsl::start(directory.path(), key, options);
        let now = look(settings(), &format!("127.0.0.1:{}", server.port)).await.now;
        assert_eq!(now.outcome, Outcome::Seen, "{key:?} {options:?}");
        let met = now.met.unwrap();
        assert_eq!((met.protocol.as_str(), met.proved), (protocol, proved), "{key:?} {options:?}");
    }
}

/// TLS 1.3 only, with a suite that nobody here offers: its certificate is encrypted and can't be seen.
#[tokio::test]
async fn nothing_in_common() {
    if !has_openssl() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let options = ["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"];
    let server = OpenSsl::start(directory.path(), &["rsa:2048"], &options);
    let now = look(settings(), &format!("127.0.0.1:{}", server.port)).await.now;
    assert_eq!(now.outcome, Outcome::Unsupported);
}
