//! OpenSSL as the server, where it is installed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use parallax_core::Outcome;
use parallax_probe::{BadSct, judge_scts};

use crate::support::{
    Ca, CtLog, base64, known, look, ocsp, octets, sct_list, settings, tls_config, tls_config_stapled, tls_server,
};

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

/// OpenSSL's opinion of the SCTs of a certificate that it is shown in a handshake: one word for each.
fn judged_by_openssl(directory: &Path, server: std::net::SocketAddr, ca: &Ca, logs: &[&CtLog]) -> Vec<String> {
    let file = |name: &str| directory.join(name).display().to_string();
    let names: Vec<_> = (0..logs.len()).map(|n| format!("log{n}")).collect();
    let sections = names
        .iter()
        .zip(logs)
        .map(|(name, log)| format!("[{name}]\ndescription = {}\nkey = {}\n", log.operator, base64(&log.spki())));
    let list = format!("enabled_logs = {}\n{}", names.join(","), sections.collect::<String>());
    std::fs::write(file("logs.cnf"), list).unwrap();
    std::fs::write(file("ca.pem"), ca.pem()).unwrap();
    let said = Command::new("openssl")
        .args(["s_client", "-ct", "-connect", &server.to_string(), "-servername", "site.test"])
        .args(["-ctlogfile", &file("logs.cnf"), "-CAfile", &file("ca.pem")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let judged = said.lines().filter_map(|line| line.strip_prefix("SCT validation status: ").map(str::to_owned));
    // It takes them from a stack.
    judged.rev().collect()
}

/// What we take for a good SCT, OpenSSL does too, and what it does not, we don't.
#[tokio::test]
async fn openssl_judges_scts_alike() {
    if !has_openssl() {
        return;
    }
    let (root, at) = (Ca::root("Own"), "2026-05-01T00:00:00.123Z".parse().unwrap());
    let ca = root.under("Own Issuing");
    let (curve, rsa, stranger) = (CtLog::new("Curve"), CtLog::rsa("RSA"), CtLog::new("Stranger"));
    let (leaf, key) = ca.logged(|entry| {
        let mut forged = curve.sct(entry, at);
        forged[40] ^= 1;
        let with_extensions = rsa.sct_with(entry, at, b"\0\0\x05\0\0\0\0\x07");
        octets(&sct_list(&[curve.sct(entry, at), with_extensions, stranger.sct(entry, at), forged]))
    });
    let logs = known(&[&curve, &rsa]);
    let ours: Vec<_> = judge_scts(&leaf, Some(ca.key()), b"", &logs, at.plus(std::time::Duration::from_secs(1)))
        .into_iter()
        .map(|one| match one {
            Ok(_) => "valid",
            Err(BadSct::UnknownLog { .. }) => "unknown log",
            Err(_) => "invalid",
        })
        .collect();
    let server = tls_server(tls_config(vec![leaf, ca.der()], &key, rustls::ALL_VERSIONS)).await;
    let directory = tempfile::tempdir().unwrap();
    let address = server.address;
    let theirs =
        tokio::task::spawn_blocking(move || judged_by_openssl(directory.path(), address, &root, &[&curve, &rsa]));
    assert_eq!(ours, ["valid", "valid", "unknown log", "invalid"]);
    assert_eq!(theirs.await.unwrap(), ours);
}

/// The same for those in a stapled response, as OpenSSL reads it.
#[tokio::test]
async fn openssl_judges_stapled_scts_alike() {
    if !has_openssl() {
        return;
    }
    let (root, at) = (Ca::root("Own"), "2026-05-01T00:00:00.123Z".parse().unwrap());
    let log = CtLog::new("Curve");
    let ((leaf, key), (other, _)) = (root.issue("site.test"), root.issue("site.test"));
    let response = ocsp(&octets(&sct_list(&[log.sct_of(&leaf, at), log.sct_of(&other, at)])));
    let ours = judge_scts(&leaf, None, &response, &known(&[&log]), at);
    let config = tls_config_stapled(vec![leaf], &key, rustls::ALL_VERSIONS, Some(response));
    let server = tls_server(config).await;
    let (directory, address) = (tempfile::tempdir().unwrap(), server.address);
    let theirs = tokio::task::spawn_blocking(move || judged_by_openssl(directory.path(), address, &root, &[&log]));
    assert_eq!(ours.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false]);
    assert_eq!(theirs.await.unwrap(), ["valid", "invalid"]);
}
