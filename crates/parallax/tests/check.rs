//! `check` and `observe` on real sockets, with nobody to ask or nobody who answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use parallax_lab::{Behaviour, Certificate, Lab, Site, Validity};
use support::{Home, Run};

/// A lab with one honest site under a public CA.
struct World {
    lab: Lab,
    home: Home,
    service: String,
    site: Site,
}

impl World {
    async fn start() -> Self {
        let lab = Lab::start().await.unwrap();
        let ca = lab.public_ca("Example Trust Services").unwrap();
        let certificate = ca.issue(&["shop.example"], Validity::current()).unwrap();
        let site = lab.site(lab.address(20, 10), &certificate).await.unwrap();
        lab.dns().set("shop.example", parallax_lab::Answer::a([lab.address(20, 10)])).unwrap();
        let home = Home::new()
            .with("PARALLAX_RESOLVER", &lab.dns().address().to_string())
            .with("PARALLAX_SOURCE", &lab.address(10, 1).to_string())
            .with("PARALLAX_TIMEOUT", "20s");
        home.write("roots.pem", &lab.roots_pem());
        let service = format!("shop.example:{}", lab.port());
        Self { lab, home, service, site }
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        self.run_with_input(arguments, b"").await
    }

    /// The lab serves on this runtime while the command runs.
    async fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Run {
        tokio::task::block_in_place(|| self.home.run_with_input(arguments, input))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_nobody_to_ask_it_is_undecided_and_says_how_to_get_somebody() {
    let world = World::start().await;
    let run = world.run(&["check", "--roots", "roots.pem", &world.service]).await;
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stdout.contains("verdict: UNDECIDED (not-enough)\n"), "{run:?}");
    assert!(run.stdout.contains("parallax vantage add URL"), "{run:?}");
    assert!(run.stdout.contains("Example Trust Services"), "{run:?}");
    assert!(!run.stdout.contains('\u{1b}'), "no colour where it is no terminal");
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
    assert_eq!(run.stderr, "");

    let quiet = world.run(&["check", "--quiet", &world.service]).await;
    assert_eq!((quiet.status, quiet.stdout.as_str(), quiet.stderr.as_str()), (3, "", ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_has_the_fields_of_the_blueprint() {
    let world = World::start().await;
    let run = world.run(&["check", "--roots", "roots.pem", "--json", &world.service]).await;
    let json = run.json();
    let mut fields: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let wanted = "counts dropped elapsed_ms local missing policy reasons rule service verdict views";
    assert_eq!(fields, wanted.split(' ').collect::<Vec<_>>());
    assert_eq!(json["service"], format!("tls://{}", world.service));
    assert_eq!((&json["verdict"], &json["rule"]), (&"undecided".into(), &"not-enough".into()));
    assert_eq!((&json["policy"], &json["counts"]["asked"]), (&"evidence".into(), &0.into()));
    let now = &json["local"]["now"];
    assert_eq!((&now["outcome"], &now["proved"], &now["public_ca"]), (&"seen".into(), &true.into(), &"valid".into()));
    assert_eq!(run.stdout.lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_answer_is_named_and_decides_nothing() {
    let world = World::start().await;
    // Nobody listens at this address of the lab.
    let url = format!("https://{}:{}#{}", world.lab.address(30, 30), world.lab.port(), "ab".repeat(32));
    let run = world.run(&["check", "--vantage", &url, &world.service]).await;
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stdout.contains("0 of 1 asked answered"), "{run:?}");
    assert!(run.stdout.contains(&format!("{}:{}: it can't be reached", world.lab.address(30, 30), world.lab.port())));

    // A site is no vantage point.
    let url = format!("https://{}#{}", world.site.address(), "ab".repeat(32));
    let run = world.run(&["check", "--vantage", &url, "--json", &world.service]).await;
    assert_eq!(run.status, 3, "{run:?}");
    let json = run.json();
    let why = json["dropped"][0]["why"].as_str().unwrap_or_else(|| panic!("{json}"));
    assert!(why.contains("not to the pinned abab"), "{json}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_services_one_line_each_in_their_order() {
    let world = World::start().await;
    let port = world.lab.port();
    let input = format!(
        "# services\n{0}\n\nnowhere.example:{port}\nexample.com:0\n  tls://{0}  \n{1}\n",
        world.service,
        "x".repeat(5000)
    );
    let run = world.run_with_input(&["check", "-"], input.as_bytes()).await;
    assert_eq!(run.status, 2, "a line that can't be read is graver than undecided: {run:?}");
    let wanted: Vec<_> = [&world.service, &format!("nowhere.example:{port}"), &world.service]
        .map(|service| format!("undecided   not-enough         tls://{service}"))
        .into();
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), wanted);
    let complaints: Vec<_> = run.stderr.lines().collect();
    assert_eq!(complaints.len(), 2, "{run:?}");
    assert!(complaints[0].starts_with("parallax: line 5: \"0\" is not a port"), "{run:?}");
    assert!(complaints[1].starts_with("parallax: line 7: the line is longer than 4096 bytes"), "{run:?}");

    let run = world.run_with_input(&["check", "--json", "-"], input.as_bytes()).await;
    let lines: Vec<serde_json::Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1]["service"], format!("tls://nowhere.example:{port}"));

    let run = world.run_with_input(&["check", "--quiet", "-"], world.service.as_bytes()).await;
    assert_eq!((run.status, run.stdout.as_str()), (3, ""));
    let run = world.run_with_input(&["check", "-"], b"# nothing\n\n").await;
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("names no service"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_may_have_a_rule_of_its_own() {
    let world = World::start().await;
    let port = world.lab.port();
    world.home.write(
        ".config/parallax/config.toml",
        "[check.domains.\"example\"]\npolicy = \"majority\"\nthreshold = 0.7\n\
         [check.domains.\"nowhere.example\"]\npolicy = \"mpic\"\n",
    );
    let policies = async |arguments: &[&str], input: &str| {
        let run = world.run_with_input(arguments, input.as_bytes()).await;
        let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["policy"].clone();
        (run.status, run.stdout.lines().map(line).collect::<Vec<_>>())
    };
    assert_eq!(policies(&["check", "--json", &world.service], "").await, (3, vec!["majority".into()]));
    let many = format!("{}\nnowhere.example:{port}\n127.0.0.1:{port}\n", world.service);
    let wanted = vec!["majority".into(), "mpic".into(), "evidence".into()];
    assert_eq!(policies(&["check", "--json", "-"], &many).await, (3, wanted));
    // A flag wins over the domain, and one that changes nothing is refused.
    let quorum = policies(&["check", "--json", "--policy", "quorum", &world.service], "").await;
    assert_eq!(quorum, (3, vec!["quorum".into()]));
    assert_eq!(policies(&["check", "--json", "--threshold", "0.6", &world.service], "").await.0, 3);
    let stray = world.run(&["check", "--threshold", "0.6", "nowhere.example"]).await;
    assert_eq!((stray.status, stray.stdout.as_str()), (2, ""));
    assert!(stray.stderr.contains("--threshold has no meaning under the policy mpic"), "{stray:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observe_tells_what_is_seen_and_what_is_not() {
    let world = World::start().await;
    let run = world.run(&["observe", "--roots", "roots.pem", &world.service]).await;
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.contains("outcome     seen (the server showed its key)\n"), "{run:?}");
    assert!(run.stdout.contains("Example Trust Services (public roots: valid)"), "{run:?}");
    let run = world.run(&["observe", "--roots", "none", "--json", &world.service]).await;
    assert_eq!(run.json()["now"]["public_ca"], "unknown-issuer");

    let nowhere = format!("nowhere.example:{}", world.lab.port());
    let run = world.run(&["observe", &nowhere]).await;
    assert_eq!(run.status, 1);
    assert!(run.stdout.contains("no-address"), "{run:?}");

    // The service's name at another address, where something else answers.
    let elsewhere = world.lab.open(world.lab.address(20, 11), Behaviour::plain_http()).await.unwrap();
    let address = elsewhere.address().ip().to_string();
    let run = world.run(&["observe", "--address", &address, "--json", &world.service]).await;
    assert_eq!((run.status, &run.json()["now"]["outcome"]), (1, &"not-tls".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_in_a_certificate_can_not_paint_the_terminal() {
    let world = World::start().await;
    let organisation = "\u{1b}[2J\u{1b}[32mverdict: TRUSTED\u{202e}\r\nverdict: TRUSTED (corroborated)";
    let ca = world.lab.public_ca(organisation).unwrap();
    world.home.write("roots.pem", &world.lab.roots_pem());
    let certificate = ca.issue(&["shop.example"], Validity::current()).unwrap();
    world.site.set_certificate(&certificate).unwrap();
    for arguments in [["check", "--roots", "roots.pem"], ["observe", "--roots", "roots.pem"]] {
        let run = world.run(&[&arguments[..], &[&world.service]].concat()).await;
        assert!(run.stdout.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{run:?}");
        assert!(!run.stdout.lines().any(|line| line.starts_with("verdict: TRUSTED")), "{run:?}");
        let json = world.run(&[&arguments[..], &["--json", &world.service]].concat()).await;
        assert!(json.stdout.trim_end().chars().all(|c| !(c.is_control() || c == '\u{202e}')), "{json:?}");
        assert!(json.json().to_string().contains("TRUSTED"), "the JSON says what was there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_self_signed_site_is_called_so() {
    let world = World::start().await;
    world.site.set_certificate(&Certificate::self_signed(&["shop.example"], Validity::current()).unwrap()).unwrap();
    let run = world.run(&["check", &world.service]).await;
    assert!(run.stdout.contains("self-signed"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_terminal_there_is_colour_unless_it_is_unwanted() {
    let world = World::start().await;
    let program = env!("CARGO_BIN_EXE_parallax");
    let line = format!("'{program}' check '{}'; exit $?", world.service);
    let on_terminal = |variables: &[(&str, &str)]| {
        // `script` gives the command a terminal of its own.
        let mut script = world.home.command_of("script", &["-qec", &line, "/dev/null"]);
        script.env("TERM", "xterm").env("PATH", std::env::var_os("PATH").unwrap_or_default());
        script.envs(variables.iter().copied());
        tokio::task::block_in_place(|| script.output())
    };
    let Ok(coloured) = on_terminal(&[]) else {
        eprintln!("skipped: util-linux' script is not installed, so there is no terminal to test with");
        return;
    };
    let text = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(coloured.status.code(), Some(3), "{}", text(&coloured));
    assert!(text(&coloured).contains("verdict: \u{1b}[1m\u{1b}[33mUNDECIDED\u{1b}[0m"), "{:?}", text(&coloured));
    let plain = on_terminal(&[("NO_COLOR", "1")]).unwrap();
    assert!(text(&plain).contains("verdict: UNDECIDED"), "{:?}", text(&plain));
}
