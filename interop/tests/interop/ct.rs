//! Certificate Transparency: a log, a CA and a certificate with an SCT, all made by OpenSSL alone.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Keeper, Server, User, needs, openssl, openssl_with_input, sha256};

const P256: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// A CA, a log and a request for a certificate.
struct World {
    keeper: Keeper,
    /// SubjectPublicKeyInfo of the log's key.
    log: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let keeper = Keeper::new();
        keeper.root("root");
        keeper.issued("ca", "root", &["basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign"]);
        let (log, key, request) = (keeper.file("log.key"), keeper.file("site.key"), keeper.file("site.csr"));
        for file in [&log, &key] {
            openssl(&[&["genpkey", "-out", file][..], &P256].concat());
        }
        openssl(&["req", "-new", "-config", "/dev/null", "-subj", "/CN=site", "-key", &key, "-out", &request]);
        let log = openssl(&["pkey", "-in", &log, "-pubout", "-outform", "DER"]);
        Self { keeper, log }
    }

    /// The same certificate at every call within a second, but for these lines of extensions.
    fn issue(&self, more: &str) -> Vec<u8> {
        let file = |name: &str| self.keeper.file(name);
        let (ca, request, extensions) = (file("ca.pem"), file("site.csr"), file("site.ext"));
        std::fs::write(&extensions, format!("subjectAltName=IP:127.0.0.1\n{more}keyUsage=digitalSignature\n")).unwrap();
        let given = ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca, "-set_serial", "77", "-days", "30"];
        openssl(&[&given[..], &["-extfile", &extensions, "-outform", "DER"]].concat())
    }

    /// A certificate that the log was shown at this moment, and one whose SCT has the signature of another moment.
    fn logged(&self, ms: u64) -> [Vec<u8>; 2] {
        // The second may end between two calls.
        loop {
            let bare = self.issue("");
            let (good, other) = (self.sct(&bare, ms), self.sct(&bare, ms ^ 1));
            let swapped = [&good[..41], &other[41..]].concat();
            let certificates = [good, swapped].map(|sct| self.issue(&extension(&sct)));
            if certificates.iter().all(|der| dates(der) == dates(&bare)) {
                return certificates;
            }
        }
    }

    /// RFC 6962 section 3.2, written from its text.
    fn sct(&self, bare: &[u8], ms: u64) -> Vec<u8> {
        // Behind the four octets of the outer header.
        let tbs = openssl_with_input(&["asn1parse", "-inform", "DER", "-strparse", "4", "-noout", "-out", "-"], bare);
        let length = u32::try_from(tbs.len()).unwrap().to_be_bytes();
        let (moment, issuer) = (ms.to_be_bytes(), bytes(&self.keeper.key_fingerprint("ca")));
        let signed = [&[0, 0], &moment[..], &[0, 1], &issuer, &length[1..], &tbs, &[0, 0]].concat();
        let signature = openssl_with_input(&["dgst", "-sha256", "-sign", &self.keeper.file("log.key")], &signed);
        let id = bytes(&sha256(&self.log));
        [&[0], &id[..], &moment, &[0, 0, 4, 3], &sized(&signature)].concat()
    }

    /// What a look of a user who knows the log tells of a server with this certificate.
    fn observed(&self, der: &[u8]) -> Value {
        let both = self.keeper.file("site.pem");
        let certificate = openssl_with_input(&["x509", "-inform", "DER"], der);
        let ca = openssl(&["x509", "-in", &self.keeper.file("ca.pem")]);
        std::fs::write(self.keeper.file("chain.pem"), ca).unwrap();
        std::fs::write(&both, [std::fs::read(self.keeper.file("site.key")).unwrap(), certificate].concat()).unwrap();
        let server = Server::start(&both, &format!("-cert_chain {}", self.keeper.file("chain.pem")));
        let user = User::new();
        let log = json!({ "log_id": STANDARD.encode(bytes(&sha256(&self.log))), "key": STANDARD.encode(&self.log) });
        let list = json!({ "operators": [{ "name": "OpenSSL", "logs": [log] }] });
        std::fs::write(user.home().join("logs.json"), list.to_string()).unwrap();
        let configuration = user.home().join("look.toml");
        std::fs::write(&configuration, "look.ct_logs = \"logs.json\"\n").unwrap();
        user.observes(&["--config", configuration.to_str().unwrap(), server.address()])
    }
}

fn extension(sct: &[u8]) -> String {
    let list = sized(&sized(sct));
    // Less than 128 octets, as one SCT by a key on P-256 has.
    let value = [&[4, u8::try_from(list.len()).unwrap()], &list[..]].concat();
    let hex: Vec<String> = value.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("1.3.6.1.4.1.11129.2.4.2=DER:{}\n", hex.join(":"))
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn dates(der: &[u8]) -> Vec<u8> {
    openssl_with_input(&["x509", "-inform", "DER", "-noout", "-dates"], der)
}

#[test]
fn a_certificate_that_a_log_was_shown() {
    needs!("openssl");
    let world = World::new();
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let ms = u64::try_from(since_1970.as_millis()).unwrap() - 86_400_000;
    let [good, swapped] = world.logged(ms);
    let seen = world.observed(&good);
    let scts = &seen["scts"];
    assert_eq!(
        json!([scts["valid"], scts["operators"], scts["unknown"], scts["invalid"]]),
        json!([1, 1, 0, 0]),
        "{seen}"
    );
    assert_eq!(scts["oldest"], scts["newest"], "{seen}");
    let seen = world.observed(&swapped);
    assert_eq!(seen["scts"], json!({ "valid": 0, "operators": 0, "unknown": 0, "invalid": 1 }), "{seen}");
}
