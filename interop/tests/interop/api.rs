//! The HTTP API as curl meets it.

use serde_json::Value;

use crate::support::{Answer, Keeper, Node, Server, User, curl, find, needs};

struct World {
    user: User,
    node: Node,
    keeper: Keeper,
}

impl World {
    fn start() -> Self {
        let user = User::new();
        let node = Node::start(&user, "data", "eu-west", "127.0.0.2");
        Self { node, keeper: Keeper::new(), user }
    }

    fn get(&self, path: &str) -> Answer {
        curl(&[], &format!("http://{}{path}", self.node.http))
    }

    fn ca(&self) -> String {
        self.node.data().join("identity/ca.pem").to_str().unwrap().to_owned()
    }
}

/// A problem document (RFC 9457) with the status of the answer.
#[track_caller]
fn expect_problem(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    assert_eq!(answer.header("parallax-signature"), None, "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{problem}");
    for member in ["type", "title", "detail"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {problem}");
    }
    problem
}

#[test]
fn what_is_wrong_is_a_problem_document() {
    needs!("curl");
    let world = World::start();
    for (path, field) in [
        ("/v1/view", "service"),
        ("/v1/view?service=", "service"),
        ("/v1/view?service=gopher://127.0.0.1", "service"),
        ("/v1/view?service=127.0.0.1:0", "service"),
        ("/v1/view?service=127.0.0.1:70000", "service"),
        ("/v1/view?service=127.0.0.1&wait=16", "wait"),
        ("/v1/view?service=127.0.0.1&max_age=-1", "max_age"),
        ("/v1/view?service=127.0.0.1&address=site.example", "address"),
        ("/v1/view?service=127.0.0.1&address=127.1", "address"),
        ("/v1/view?service=127.0.0.1&service=127.0.0.2", "service"),
        ("/v1/view?service=127.0.0.1&nonce=%00", "nonce"),
        ("/v1/view?service=127.0.0.1&srevice=x", "srevice"),
        ("/v1/dns?name=site.example", "types"),
        ("/v1/dns?types=A", "name"),
        ("/v1/dns?name=127.0.0.1&types=A", "name"),
    ] {
        let problem = expect_problem(&world.get(path), 400);
        assert_eq!(problem["field"], field, "{path}: {problem}");
    }
    expect_problem(&world.get("/v1/view?service=%ff"), 400);
    expect_problem(&world.get(&format!("/v1/view?service={}", "a".repeat(300))), 400);
    expect_problem(&world.get("/v1/nothing"), 404);
    expect_problem(&world.get("/v1/../etc/passwd"), 404);
    let url = format!("http://{}/v1/view?service=127.0.0.1", world.node.http);
    for method in ["POST", "PUT", "DELETE"] {
        let answer = curl(&["--request", method], &url);
        expect_problem(&answer, 405);
        assert!(answer.header("allow").is_some_and(|allowed| allowed.contains("GET")), "{answer:?}");
    }
    let large = world.user.home().join("large");
    std::fs::write(&large, vec![b'x'; 200_000]).unwrap();
    let upload = format!("@{}", large.display());
    expect_problem(&curl(&["--request", "GET", "--data-binary", &upload], &url), 413);
}

#[test]
fn http_1_and_2_over_tls_and_http_1_in_the_clear() {
    needs!("curl", "openssl");
    let world = World::start();
    let server = Server::start(&world.keeper.self_signed("site", "ed25519"), "");
    let path = format!("/v1/view?service={}", server.address());
    let (ca, https) = (world.ca(), format!("https://{}{path}", world.node.https));
    for (version, wanted) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let over_tls = curl(&["--cacert", &ca, version], &https);
        assert_eq!((over_tls.status, over_tls.version.as_str()), (200, wanted), "{over_tls:?}");
        assert_eq!(over_tls.json()["now"]["leaf"], world.keeper.fingerprint("site"));
    }
    for version in ["--http1.0", "--http1.1"] {
        let plain = curl(&[version], &format!("http://{}{path}", world.node.http));
        assert_eq!(plain.status, 200, "{plain:?}");
    }
    for version in ["1.2", "1.3"] {
        let answer = curl(&["--cacert", &ca, &format!("--tlsv{version}"), "--tls-max", version], &https);
        assert_eq!(answer.status, 200, "TLS {version}");
    }
}

#[test]
fn many_requests_on_one_connection() {
    needs!("curl");
    let world = World::start();
    let url = format!("https://{}/healthz?[1-50]", world.node.https);
    for version in ["--http1.1", "--http2"] {
        // The counter of curl: how many connections it had to open.
        let ca = world.ca();
        let arguments =
            ["-q", "--silent", "--fail", "--max-time", "60", "--cacert", &ca, version, "--output", "/dev/null"];
        let mut curl = std::process::Command::new("curl");
        let output = curl.args(arguments).args(["--write-out", "%{num_connects}\n"]).arg(&url).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let opened: Vec<u32> =
            String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!((opened.len(), opened.iter().sum::<u32>()), (50, 1), "{version}: {opened:?}");
    }
}

#[test]
fn metrics_are_read_as_prometheus_text() {
    needs!("curl", "openssl");
    let world = World::start();
    let server = Server::start(&world.keeper.self_signed("site", "ed25519"), "");
    world.get(&format!("/v1/view?service={}", server.address()));
    let answer = world.get("/metrics");
    assert_eq!(answer.status, 200);
    let text = answer.text();
    for line in text.lines() {
        assert!(is_exposition(line), "{line:?}");
    }
    assert!(text.lines().any(|line| line.starts_with("parallax_")), "{text}");
    assert!(!text.contains(server.address()), "no metric says who asked for what");
    match find("promtool") {
        Some(promtool) => judge(&promtool, text),
        None => eprintln!("skipped: promtool is not on this machine, so its opinion of /metrics was not asked."),
    }
}

/// A line of the text format: a comment, or `name{label="value",…} number`.
fn is_exposition(line: &str) -> bool {
    if let Some(comment) = line.strip_prefix("# ") {
        let known = ["HELP parallax_", "TYPE parallax_", "UNIT parallax_"];
        return comment == "EOF" || known.iter().any(|known| comment.starts_with(known));
    }
    let Some((series, value)) = line.rsplit_once(' ') else { return false };
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let is_name =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    let is_label = |label: &str| {
        let (name, value) = label.split_once('=').unwrap_or_default();
        is_name(name) && value.len() >= 2 && value.starts_with('"') && value.ends_with('"')
    };
    let labels = labels.strip_suffix('}');
    is_name(name)
        && value.parse::<f64>().is_ok()
        && labels.is_some_and(|all| all.is_empty() || all.split(',').all(is_label))
}

fn judge(promtool: &std::path::Path, text: &str) {
    use std::io::Write as _;
    let mut promtool = std::process::Command::new(promtool);
    let mut child = promtool.args(["check", "metrics"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    // 3: it can be read, and could be named better.
    assert!(matches!(child.wait().unwrap().code(), Some(0 | 3)));
}

#[test]
fn the_description_of_the_api_can_be_followed() {
    needs!("curl");
    let world = World::start();
    let description = world.get("/openapi.json");
    assert_eq!(description.header("content-type"), Some("application/json"));
    let description = description.json();
    assert!(description["openapi"].as_str().unwrap().starts_with("3."), "{}", description["openapi"]);
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.len() >= 7, "{paths:?}");
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let answer = curl(&["--request", &method.to_uppercase()], &format!("http://{}{path}", world.node.http));
            assert!(methods[method]["responses"][answer.status.to_string()].is_object(), "{method} {path}: {answer:?}");
        }
    }
}
