//! What a browser can be told to send by others, and what comes of it: nothing.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use parallax_client::{IdentityKey, OwnIdentity, PendingOrder, VantageUrl, certificates_pem, read_certificates};
use tower::ServiceExt as _;

use super::*;
use crate::clock::now;
use crate::identities::Wanted;

const PORT: u16 = 15342;
const HOST: &str = "localhost:15342";

struct Stage {
    home: tempfile::TempDir,
    router: Router,
}

impl Stage {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let ours = Identities::at(home.path().join("id"));
        Self { router: router(ours, own_token().unwrap(), PORT), home }
    }

    fn ours(&self) -> Identities {
        Identities::at(self.home.path().join("id"))
    }

    async fn ask(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        (response.status(), text(response).await)
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        self.ask(navigation(path).body(Body::empty()).unwrap()).await
    }

    /// A form of our own page.
    async fn post(&self, path: &str, form: &str) -> (StatusCode, String) {
        self.ask(own_form(path).body(Body::from(form.to_owned())).unwrap()).await
    }

    /// As the page has it.
    async fn token(&self) -> String {
        let (_, page) = self.get("/AddCert").await;
        let (_, behind) = page.split_once("name=\"token\" value=\"").unwrap();
        behind.split_once('"').unwrap().0.to_owned()
    }

    /// An order that waits, of a node that is not there.
    fn order(&self, mailbox: &str, order: &str) -> PendingOrder {
        let mailbox = mailbox.parse().unwrap();
        let key = self.ours().key_for(&mailbox, &janus(), Wanted::default()).unwrap();
        let order: PendingOrder = serde_json::from_value(serde_json::json!({
            "order": order, "janus": janus().to_string(), "mailbox": mailbox, "key": key.id(),
            "placed_at": now(), "expires_at": now().plus(Duration::from_secs(3600)), "deny_others": false,
            "token2": "AAECAwQFBgcICQoLDA0ODw", "request": "ab".repeat(32),
        }))
        .unwrap();
        self.ours().keep_order(&order).unwrap();
        order
    }
}

/// Nobody listens there.
fn janus() -> VantageUrl {
    format!("https://127.0.0.1:9#{}", "ab".repeat(32)).parse().unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

fn navigation(path: &str) -> axum::http::request::Builder {
    Request::get(path).header("host", HOST).header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document")
}

fn own_form(path: &str) -> axum::http::request::Builder {
    Request::post(path)
        .header("host", HOST)
        .header("origin", "http://localhost:15342")
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded")
}

const ORDER: &str = "AAECAwQFBgcICQoLDA0ODw";
const OTHER: &str = "_____________________w";

fn certified(key: &IdentityKey, mailbox: &str) -> String {
    let pair = rcgen::KeyPair::from_pem(&key.to_pem()).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::Rfc822Name(mailbox.try_into().unwrap())];
    params.self_signed(&pair).unwrap().pem()
}

#[tokio::test]
async fn only_names_of_this_machine_are_answered() {
    let stage = Stage::new();
    for host in ["localhost:15342", "127.0.0.1:15342", "[::1]:15342"] {
        let request = Request::get("/AddCert").header("host", host).body(Body::empty()).unwrap();
        assert_eq!(stage.ask(request).await.0, StatusCode::OK, "{host}");
    }
    for host in [
        "",
        "localhost",
        "localhost:80",
        "localhost:153420",
        "LOCALHOST:15342",
        "localhost.:15342",
        "localhost:15342.evil.example",
        "evil.example:15342",
        "evil.example",
        "localhost.evil.example:15342",
        "127.0.0.1.nip.example:15342",
        "user@localhost:15342",
        "localhost:15342@evil.example",
        "127.1:15342",
        "127.0.0.2:15342",
        "0.0.0.0:15342",
        "2130706433:15342",
        "0x7f.1:15342",
        "[::]:15342",
        "[::ffff:127.0.0.1]:15342",
        "[0:0:0:0:0:0:0:1]:15342",
        "localhost:15342, localhost:15342",
    ] {
        for method in ["GET", "POST"] {
            let request = own_form("/AddCert").method(method).body(Body::empty()).unwrap();
            let mut request = request;
            request.headers_mut().insert("host", host.parse().unwrap());
            assert_eq!(stage.ask(request).await.0, StatusCode::MISDIRECTED_REQUEST, "{method} {host:?}");
        }
    }
    let without = Request::get("/AddCert").body(Body::empty()).unwrap();
    assert_eq!(stage.ask(without).await.0, StatusCode::MISDIRECTED_REQUEST);
    let twice = navigation("/AddCert").header("host", "evil.example").body(Body::empty()).unwrap();
    assert_eq!(stage.ask(twice).await.0, StatusCode::MISDIRECTED_REQUEST);
    let whole = navigation("http://evil.example:15342/AddCert").body(Body::empty()).unwrap();
    assert_eq!(stage.ask(whole).await.0, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn no_other_page_can_show_or_read_ours() {
    let stage = Stage::new();
    let response = stage.router.clone().oneshot(navigation("/AddCert").body(Body::empty()).unwrap()).await.unwrap();
    let headers = response.headers().clone();
    let value = |name: &str| headers[name].to_str().unwrap().to_owned();
    let policy = value("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert_eq!(value("cache-control"), "no-store");
    assert_eq!(value("x-frame-options"), "DENY");
    assert!(headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_none());
    for (dest, mode) in [
        ("iframe", "navigate"),
        ("frame", "navigate"),
        ("object", "navigate"),
        ("embed", "no-cors"),
        ("image", "no-cors"),
        ("script", "no-cors"),
        ("style", "no-cors"),
        ("empty", "cors"),
        ("empty", "no-cors"),
        ("document", "cors"),
    ] {
        let request = Request::get("/AddCert").header("host", HOST).header("sec-fetch-site", "cross-site");
        let request = request.header("sec-fetch-dest", dest).header("sec-fetch-mode", mode);
        let (status, page) = stage.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{dest} {mode}");
        assert!(!page.contains("name=\"token\""));
    }
}

#[tokio::test]
async fn only_our_own_form_does_anything() {
    let stage = Stage::new();
    stage.order("ann@example.com", ORDER);
    let token = stage.token().await;
    let form = format!("token={token}&proof=ABCD2345&link={ORDER}.{OTHER}&pem=x");
    for path in ["/answer", "/order", "/import", "/upload", "/AddCert", "/"] {
        for (origin, site) in [
            (None, None),
            (None, Some("cross-site")),
            (Some("null"), None),
            (Some("null"), Some("same-origin")),
            (Some("http://evil.example"), Some("cross-site")),
            (Some("http://evil.example:15342"), None),
            (Some("https://localhost:15342"), Some("same-site")),
            (Some("http://localhost:8080"), Some("same-site")),
            (Some("http://localhost"), None),
            (Some("http://127.0.0.1:15342"), Some("cross-site")),
            (Some("http://localhost:15342.evil.example"), None),
            (Some("http://localhost:15342/"), None),
            (Some("http://localhost:15342"), Some("cross-site")),
            (Some("http://localhost:15342"), Some("same-site")),
            (Some("http://localhost:15342"), Some("none")),
        ] {
            let mut request = Request::post(path)
                .header("host", HOST)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(Body::from(form.clone()))
                .unwrap();
            if let Some(origin) = origin {
                request.headers_mut().insert("origin", origin.parse().unwrap());
            }
            if let Some(site) = site {
                request.headers_mut().insert("sec-fetch-site", site.parse().unwrap());
            }
            let (status, _) = stage.ask(request).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path} {origin:?} {site:?}");
        }
    }
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"] {
        let request = own_form("/answer").method(method).body(Body::empty()).unwrap();
        assert_eq!(stage.ask(request).await.0, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    assert_eq!(stage.ours().orders().unwrap().len(), 1);
}

#[tokio::test]
async fn a_form_without_the_token_of_this_process_does_nothing() {
    let stage = Stage::new();
    stage.order("ann@example.com", ORDER);
    let good = stage.token().await;
    let cut = good.get(..good.len() - 1).unwrap();
    for token in ["", "x", OTHER, cut, &format!("{good}x")] {
        for (path, rest) in [("/answer", "proof=ABCD2345"), ("/order", "link=x"), ("/import", "pem=x")] {
            let (status, page) = stage.post(path, &format!("token={token}&{rest}")).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path} {token}");
            assert!(page.contains("not of the helper that runs now"), "{page}");
        }
    }
    let other = Stage::new();
    assert_ne!(other.token().await, good, "each process has its own");
    let upload = own_form("/upload").body(Body::empty()).unwrap();
    assert!(stage.ask(upload).await.0.is_client_error());
    // One that is no form at all.
    for path in ["/answer", "/order", "/import"] {
        let json = own_form(path).header("content-type", "application/json");
        assert!(stage.ask(json.body(Body::from("{}")).unwrap()).await.0.is_client_error());
    }
}

#[tokio::test]
async fn opening_a_link_shows_the_order_and_does_nothing() {
    let stage = Stage::new();
    let order = stage.order("ann@example.com", ORDER);
    let token = stage.token().await;
    let (status, page) = stage.post("/order", &format!("token={token}&link={ORDER}.{OTHER}")).await;
    assert_eq!(status, StatusCode::OK);
    for part in ["Is this your order?", "ann@example.com", &order.phrase(), "127.0.0.1:9", OTHER] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(stage.ours().orders().unwrap().len(), 1);
    // Until the button is pressed: then the node is asked, which is not there.
    let (status, page) = stage.post("/answer", &format!("token={token}&proof={ORDER}.{OTHER}")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(page.contains("127.0.0.1:9: it can&#39;t be reached"), "{page}");
}

#[tokio::test]
async fn somebody_elses_order_is_refused_with_what_it_means() {
    let stage = Stage::new();
    stage.order("ann@example.com", ORDER);
    let token = stage.token().await;
    for (path, field) in [("/order", "link"), ("/answer", "proof")] {
        let (status, page) = stage.post(path, &format!("token={token}&{field}={OTHER}.{ORDER}")).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        for part in ["Not your order", "somebody asked in your name", "nothing was issued", "Give the code"] {
            assert!(page.contains(part), "{page}");
        }
    }
    stage.ours().end_order(&ORDER.parse().unwrap()).unwrap();
    let (status, page) = stage.post("/answer", &format!("token={token}&proof=ABCD2345")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(page.contains("somebody asked in your name"), "{page}");
}

#[tokio::test]
async fn the_page_that_anybody_may_fetch_names_no_address() {
    let stage = Stage::new();
    let (_, page) = stage.get("/").await;
    assert!(page.contains("No order waits"), "{page}");
    let one = stage.order("ann@example.com", ORDER);
    let (_, page) = stage.get("/AddCert").await;
    assert!(page.contains(&one.phrase()) && !page.contains("type=\"radio\""), "{page}");
    let two = stage.order("bob@example.com", OTHER);
    let (_, page) = stage.get("/AddCert").await;
    assert!(page.contains(&one.phrase()) && page.contains(&two.phrase()) && page.contains("type=\"radio\""), "{page}");
    let behind_style = page.split_once("</style>").unwrap().1;
    assert!(!behind_style.contains('@'), "{page}");
    assert!(!page.contains(ORDER) && !page.contains(OTHER), "{page}");
    let token = stage.token().await;
    let (status, page) = stage.post("/answer", &format!("token={token}&proof=ABCD2345")).await;
    assert!(status == StatusCode::BAD_REQUEST && page.contains("Orders for"), "{page}");
    let (_, page) = stage.post("/answer", &format!("token={token}&proof=ABCD2345&order={}", one.phrase())).await;
    assert!(page.contains("reached"), "{page}");
}

#[tokio::test]
async fn a_certificate_is_shown_for_a_key_that_is_held_alone() {
    let stage = Stage::new();
    let ann = "ann@example.com".parse().unwrap();
    let key = stage.ours().key_for(&ann, &janus(), Wanted::default()).unwrap();
    let pem = certified(&key, "ann@example.com");
    let encoded: String = pem.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let (status, page) = stage.get(&format!("/AddCert/{encoded}")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(page.contains("Import this certificate?") && page.contains(&key.id().to_string()), "{page}");
    assert_eq!(page.matches("&#10;").count(), pem.lines().count());
    let stranger = certified(&IdentityKey::generate(Default::default()).unwrap(), "ann@example.com");
    let other = certified(&key, "bob@example.com");
    for (pem, part) in [
        (stranger.as_str(), "a key that this user does not hold"),
        (&other, "its key is kept for ann@example.com"),
        ("x", "no certificate in it"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "can&#39;t be read"),
    ] {
        let encoded: String = pem.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let (status, page) = stage.get(&format!("/AddCert/{encoded}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(page.contains(part) && !page.contains("<form"), "{part}: {page}");
    }
    // One that is no longer than what is held adds nothing, and could take something away.
    let held = OwnIdentity::new(key, read_certificates(pem.as_bytes()).unwrap()).unwrap();
    stage.ours().keep(&held, &janus()).unwrap();
    let (_, page) = stage.get(&format!("/AddCert/{encoded}")).await;
    assert!(page.contains("there is nothing to import"), "{page}");
    assert_eq!(stage.ours().acting(None).unwrap().identity.chain(), held.chain());
    assert_eq!(certificates_pem(held.chain()).replace('\r', ""), pem.replace('\r', ""));
}

#[tokio::test]
async fn an_upload_is_bounded_and_needs_the_token() {
    let stage = Stage::new();
    let token = stage.token().await;
    let upload = |token: &str, file: &str| {
        let part = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"x\"\r\n\r\n{value}\r\n")
        };
        let body = format!("{}{}--b--\r\n", part("token", token), part("file", file));
        let request = own_form("/upload").body(Body::from(body)).unwrap();
        let mut request = request;
        request.headers_mut().insert("content-type", "multipart/form-data; boundary=b".parse().unwrap());
        request
    };
    let (status, page) = stage.ask(upload("x", "x")).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{page}");
    let (status, page) = stage.ask(upload(&token, "x")).await;
    assert!(status == StatusCode::BAD_REQUEST && page.contains("no certificate in it"), "{page}");
    let (status, page) = stage.ask(upload(&token, "")).await;
    assert!(status == StatusCode::BAD_REQUEST && page.contains("No file came"), "{page}");
    let (status, page) = stage.ask(upload(&token, &"x".repeat(100_000))).await;
    assert!(status == StatusCode::BAD_REQUEST && page.contains("larger than 64 KiB"), "{page}");
    let huge = format!("token={token}&pem={}", "x".repeat(100_000));
    assert_eq!(stage.post("/import", &huge).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}
