//! `parallax observe` against `openssl s_server`: versions, ciphers, kinds of keys, chains, and servers that want something.

use serde_json::{Value, json};

use crate::support::{Keeper, Nginx, Server, User, needs};

const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
const RSA: &str = "rsa:2048";
/// As OpenSSL 3 still serves what is weak.
const WEAK: &str = "-cipher ALL:@SECLEVEL=0";

/// What one look sees of a server with a key of this kind; its hashes are those that openssl computes.
fn look(key: &str, options: &str) -> Value {
    let keeper = Keeper::new();
    let server = Server::start(&keeper.self_signed("site", key), options);
    let now = User::new().observes(&[server.address()]);
    if now["outcome"] == "seen" {
        assert_eq!(now["leaf"], keeper.fingerprint("site"), "{now}");
        assert_eq!(now["leaf_md5"], keeper.md5("site"), "{now}");
        assert_eq!(now["key"], keeper.key_fingerprint("site"), "{now}");
        assert_eq!(now["chain"], json!([now["leaf"]]), "{now}");
        assert_eq!(now["names"], json!(["127.0.0.1", "site.example"]), "{now}");
        assert_eq!((&now["public_ca"], &now["address"]), (&"unknown-issuer".into(), &server.address().into()));
    }
    now
}

#[track_caller]
fn expect_proved(key: &str, options: &str, protocol: &str) {
    let now = look(key, options);
    assert_eq!((&now["protocol"], &now["proved"]), (&protocol.into(), &true.into()), "{key} {options}: {now}");
}

#[track_caller]
fn expect_sighting(key: &str, options: &str, protocol: &str) {
    let now = look(key, options);
    assert_eq!((&now["protocol"], &now["proved"]), (&protocol.into(), &false.into()), "{key} {options}: {now}");
}

#[test]
fn versions_of_today_are_proved() {
    needs!("openssl");
    for (options, protocol) in
        [("", "TLSv1.3"), ("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2"), ("-no_tls1_3", "TLSv1.2")]
    {
        expect_proved(P256, options, protocol);
        expect_proved(RSA, options, protocol);
    }
}

#[test]
fn versions_of_old_are_sighted() {
    needs!("openssl");
    expect_sighting(RSA, &format!("-tls1 {WEAK}"), "TLSv1.0");
    expect_sighting(RSA, &format!("-tls1_1 {WEAK}"), "TLSv1.1");
    expect_sighting(P256, &format!("-tls1 {WEAK}"), "TLSv1.0");
}

#[test]
fn ciphers_of_old_are_sighted() {
    needs!("openssl");
    // Without forward secrecy the server never signs: it proves its key by deciphering, which no look waits for.
    expect_sighting(RSA, "-tls1_2 -cipher AES128-SHA", "TLSv1.2");
    expect_sighting(RSA, "-tls1_2 -cipher DHE-RSA-AES128-SHA", "TLSv1.2");
    expect_sighting(RSA, "-tls1_2 -cipher ECDHE-RSA-AES256-SHA", "TLSv1.2");
    // No group in common for TLS 1.3, so the server is asked again for less.
    expect_sighting(RSA, "-groups P-521", "TLSv1.2");
}

#[test]
fn every_kind_of_key_that_can_be_checked_is_proved() {
    needs!("openssl");
    for key in ["rsa:3072", "ec -pkeyopt ec_paramgen_curve:P-384", "ec -pkeyopt ec_paramgen_curve:P-521", "ed25519"] {
        expect_proved(key, "", "TLSv1.3");
    }
    for key in ["ec -pkeyopt ec_paramgen_curve:P-384", "ed25519"] {
        expect_proved(key, "-tls1_2", "TLSv1.2");
    }
}

#[test]
fn keys_that_can_not_be_checked_are_sighted() {
    needs!("openssl");
    // Too short for the stack to check.
    expect_sighting("rsa:1024", WEAK, "TLSv1.3");
    expect_sighting("rsa:1024", &format!("-tls1_2 {WEAK}"), "TLSv1.2");
    // Before TLS 1.3 the curve of the key is one of the groups that are offered, and the stack has no P-521 there.
    expect_sighting("ec -pkeyopt ec_paramgen_curve:P-521", "-tls1_2", "TLSv1.2");
    // Kinds that the stack does not know.
    for key in [
        "rsa-pss -pkeyopt rsa_keygen_bits:2048",
        "ed448",
        "ec -pkeyopt ec_paramgen_curve:secp256k1",
        "ec -pkeyopt ec_paramgen_curve:brainpoolP256r1",
    ] {
        expect_sighting(key, "", "TLSv1.2");
    }
}

#[test]
fn what_can_be_seen_in_neither_way_is_unsupported() {
    needs!("openssl");
    for (key, options) in [
        ("rsa-pss -pkeyopt rsa_keygen_bits:2048", "-tls1_3"),
        (P256, "-tls1_3 -groups X448"),
        // Nobody shows a certificate here.
        (RSA, "-tls1_2 -cipher aNULL:@SECLEVEL=0"),
    ] {
        let now = look(key, options);
        assert_eq!(now["outcome"], "unsupported", "{key} {options}: {now}");
    }
}

#[test]
fn a_chain_with_an_intermediate() {
    needs!("openssl");
    let keeper = Keeper::new();
    keeper.root("root");
    keeper.issued("between", "root", &["basicConstraints=critical,CA:TRUE,pathlen:0", "keyUsage=critical,keyCertSign"]);
    let site = keeper.issued("site", "between", &["subjectAltName=DNS:site.example,IP:127.0.0.1"]);
    let between = keeper.file("between.pem");
    for options in ["-tls1_3", "-tls1_2"] {
        let server = Server::start(&site, &format!("{options} -cert_chain {between}"));
        let now = User::new().observes(&[server.address()]);
        assert_eq!(now["chain"], json!([keeper.fingerprint("site"), keeper.fingerprint("between")]), "{now}");
        let issuer_key = keeper.key_fingerprint("between");
        assert_eq!((&now["leaf"], &now["issuer_key"]), (&now["chain"][0], &issuer_key.as_str().into()));
        assert_eq!(now["path"], json!([keeper.key_fingerprint("site"), issuer_key]), "{now}");
        assert_eq!((&now["ca_id"], &now["proved"]), (&format!("key:{issuer_key}").into(), &true.into()));
    }
    // Without it nobody is known to have issued the leaf.
    let server = Server::start(&site, "");
    let now = User::new().observes(&[server.address()]);
    assert_eq!((&now["issuer_key"], &now["chain"]), (&Value::Null, &json!([keeper.fingerprint("site")])));
    // With the root of openssl declared public, the chain leads there.
    let server = Server::start(&site, &format!("-cert_chain {between}"));
    let now = User::new().observes(&["--roots", &keeper.file("root.pem"), server.address()]);
    assert_eq!(now["public_ca"], "valid", "{now}");
}

#[test]
fn servers_that_want_a_client_certificate_are_seen_all_the_same() {
    needs!("openssl");
    for (version, protocol) in [("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2")] {
        expect_proved(P256, &format!("{version} -Verify 1 -verify_return_error"), protocol);
    }
}

#[test]
fn servers_that_want_a_name() {
    needs!("openssl", "nginx");
    let (keeper, user) = (Keeper::new(), User::new());
    let pem = keeper.self_signed("site", P256);
    let nginx = Nginx::start(&format!(
        "access_log off; server {{ listen 127.0.0.1:PORT ssl default_server; ssl_reject_handshake on; }}\n\
         server {{ listen 127.0.0.1:PORT ssl; server_name site.example; ssl_certificate {pem}; ssl_certificate_key {pem}; }}"
    ));
    let at = |name: &str| {
        let service = format!("{name}:{}", nginx.port());
        user.observes(&["--address", "127.0.0.1", &service])
    };
    let now = at("site.example");
    assert_eq!((&now["leaf"], &now["proved"]), (&keeper.fingerprint("site").into(), &true.into()), "{now}");
    assert_eq!(at("other.example")["outcome"], "alert");
    assert_eq!(user.observes(&[&nginx.address()])["outcome"], "alert");
}

#[test]
fn a_server_with_two_certificates_shows_the_one_of_the_name() {
    needs!("openssl");
    let (keeper, user) = (Keeper::new(), User::new());
    let (one, two) = (keeper.self_signed("one", P256), keeper.self_signed("two", "ed25519"));
    let server = Server::start(&one, &format!("-servername two.example -cert2 {two} -key2 {two}"));
    for (name, wanted) in [("two.example", "two"), ("one.example", "one")] {
        let service = format!("{name}:{}", server.port());
        let now = user.observes(&["--address", "127.0.0.1", &service]);
        assert_eq!((&now["leaf"], &now["proved"]), (&keeper.fingerprint(wanted).into(), &true.into()), "{now}");
    }
}
