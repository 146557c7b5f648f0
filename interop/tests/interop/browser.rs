//! The local helper's page in a real browser.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Browser, Node, PATIENCE, Running, User, needs};

/// A running `parallax agent`.
struct Agent {
    _process: Running,
    port: u16,
}

impl Agent {
    fn start(user: &User) -> Self {
        let mut process = Running::start(&mut user.command(&["agent", "--listen", "127.0.0.1:0"]));
        let port = process.hear(|line| line.strip_prefix("ready http=127.0.0.1:")?.parse().ok());
        let port = port.unwrap_or_else(|| panic!("the helper did not start: {:?}", process.said()));
        Self { _process: process, port }
    }

    /// A link of a mail, with the port of this test's helper.
    fn link(&self, link: &str) -> String {
        link.replace("//localhost:15342/", &format!("//localhost:{}/", self.port))
    }
}

/// A node that waits for what it is asked, and is asked nothing.
struct Silence(TcpListener);

impl Silence {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn url(&self) -> String {
        format!("https://{}#{}", self.0.local_addr().unwrap(), "ab".repeat(32))
    }

    fn assert_unasked(&self) {
        assert_eq!(self.0.accept().map(drop).unwrap_err().kind(), ErrorKind::WouldBlock, "the node was asked");
    }
}

const ORDER: &str = "AAECAwQFBgcICQoLDA0ODw";
const TOKEN: &str = "_____________________w";

/// As `parallax id request` leaves it; the node is not asked for it.
fn order_of(user: &User, janus: &Silence) {
    let url = janus.url();
    let nobody = "https://127.0.0.1:9#".to_owned() + &"ab".repeat(32);
    // Makes the key; nobody is there to take the order.
    assert_eq!(user.run(&["id", "request", "ann@example.com", "--janus", &nobody]).status, 1);
    let key = user.run(&["id", "show", "--json"]).json()["identities"][0]["key"].as_str().unwrap().to_owned();
    let order = format!(
        "order = \"{ORDER}\"\njanus = \"{url}\"\nmailbox = \"ann@example.com\"\nkey = \"{key}\"\n\
         placed_at = \"2026-11-25T18:00:00Z\"\nexpires_at = \"2126-11-25T18:00:00Z\"\ndeny_others = false\n\
         token2 = \"{TOKEN}\"\nrequest = \"{}\"\n",
        "ab".repeat(32)
    );
    let directory = user.home().join("config/parallax/id/orders");
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join(format!("{ORDER}.toml"));
    std::fs::write(&file, order).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

fn orders(user: &User) -> Value {
    user.run(&["id", "show", "--json"]).json()["orders"].take()
}

/// A web server that has one page.
fn site(page: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let page = page.clone();
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length";
                let _ = write!(stream, "{head}: {}\r\n\r\n{page}", page.len());
            });
        }
    });
    port
}

/// The text of the newest mail with this subject, once it has come.
fn mail(folder: &std::path::Path, subject: &str) -> String {
    let begun = Instant::now();
    loop {
        let files = std::fs::read_dir(folder.join("new")).into_iter().flatten().flatten();
        let mails = files.map(|file| std::fs::read_to_string(file.path()).unwrap());
        if let Some(mail) = mails.into_iter().find(|mail| mail.contains(&format!("\nSubject: {subject}"))) {
            return mail.replace("\r\n", "\n");
        }
        assert!(begun.elapsed() < PATIENCE, "the mail never came");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn link_in(mail: &str) -> String {
    // Quoted-printable: soft line breaks, and the equals signs of a certificate. What is attached is not.
    let text = mail.replace("=\n", "").replace("=3D", "=");
    text.lines().find(|line| line.starts_with("http://localhost:15342/")).unwrap().to_owned()
}

#[test]
fn a_mail_becomes_a_certificate() {
    needs!("chromium");
    let user = User::new();
    let (mails, data) = (user.home().join("mails"), user.home().join("node"));
    let serve = ["serve", "--role", "janus", "--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--data"];
    let mut serve = user.command(&[&serve[..], &[data.to_str().unwrap()]].concat());
    let node = Node::started(serve.env("PARALLAX_JANUS_SMTP", format!("maildir:{}", mails.display())), data);
    let agent = Agent::start(&user);
    let placed = user.run(&["id", "request", "ann@example.com", "--json", "--janus", &node.url()]);
    assert_eq!(placed.status, 0, "{placed:?}");
    let phrase = placed.json()["phrase"].as_str().unwrap().to_owned();
    let first = mail(&mails, "Confirm your address");
    assert!(first.contains(&phrase), "{first}");

    let mut browser = Browser::start(&[]);
    browser.open(&agent.link(&link_in(&first)));
    browser.sees("Is this your order?");
    assert!(browser.text().contains(&phrase), "{}", browser.text());
    let state = |user: &User| user.run(&["id", "show", "--json"]).json()["identities"][0]["state"].take();
    assert_eq!(state(&user), json!("not-yet"), "opening the link does nothing");
    browser.press("Get the certificate");
    browser.sees("You have a certificate");
    assert_eq!(state(&user), json!("certified"));
    // The same link again is of no order any more.
    browser.open("about:blank");
    browser.open(&agent.link(&link_in(&first)));
    browser.sees("Not your order");

    // The second mail, for a client that was off: as if the certificate had not come.
    let kept = user.home().join("config/parallax/id/ann@example.com/certificate.pem");
    let second = mail(&mails, "Your Parallax certificate");
    browser.open(&agent.link(&link_in(&second)));
    browser.sees("Not done");
    assert!(browser.text().contains("there is nothing to import"), "{}", browser.text());
    std::fs::remove_file(&kept).unwrap();
    browser.open("about:blank");
    browser.open(&agent.link(&link_in(&second)));
    browser.sees("Import this certificate?");
    assert_eq!(state(&user), json!("not-yet"));
    browser.press("Import it");
    browser.sees("You have a certificate");
    assert_eq!(state(&user), json!("certified"));

    // What is attached, from disk.
    std::fs::remove_file(&kept).unwrap();
    let (_, attached) = second.split_once("\n-----BEGIN CERTIFICATE-----").unwrap();
    let attached = attached.rsplit_once("-----END CERTIFICATE-----").unwrap().0;
    let file = user.home().join("parallax-certificate.pem");
    std::fs::write(&file, format!("-----BEGIN CERTIFICATE-----{attached}-----END CERTIFICATE-----\n")).unwrap();
    browser.open(&agent.link("http://localhost:15342/"));
    browser.sees("Your mailbox as your identity");
    browser.choose_file(file.to_str().unwrap());
    browser.press("Import it");
    browser.sees("You have a certificate");
    assert_eq!(state(&user), json!("certified"));
}

#[test]
fn opening_a_link_shows_the_order_and_only_the_button_answers() {
    needs!("chromium");
    let (user, janus) = (User::new(), Silence::new());
    order_of(&user, &janus);
    let agent = Agent::start(&user);
    let mut browser = Browser::start(&[]);
    browser.open(&agent.link(&format!("http://localhost:15342/AddCert#{ORDER}.{TOKEN}")));
    browser.sees("Is this your order?");
    let text = browser.text();
    let phrase = orders(&user)[0]["phrase"].as_str().unwrap().to_owned();
    assert!(text.contains("ann@example.com") && text.contains(&phrase), "{text}");
    assert!(!browser.value("location.href").as_str().unwrap().contains(TOKEN), "the secret is out of the address bar");
    janus.assert_unasked();
    // A second link into the same tab, while the page is there: only what stands behind the # changes.
    browser.open(&agent.link("http://localhost:15342/AddCert"));
    browser.sees("Your mailbox as your identity");
    browser.value(&format!("location.hash = '{TOKEN}.{ORDER}'"));
    browser.sees("Not your order");
    assert!(browser.text().contains("somebody asked in your name"), "{}", browser.text());
    janus.assert_unasked();
    assert_eq!(orders(&user).as_array().unwrap().len(), 1);
}

#[test]
fn another_site_can_do_nothing_to_the_helper() {
    needs!("chromium");
    let (user, janus) = (User::new(), Silence::new());
    order_of(&user, &janus);
    let agent = Agent::start(&user);
    let helper = format!("http://localhost:{}", agent.port);
    let form = |path: &str| {
        format!(
            "<form method=post action='{helper}{path}'><input name=token value=x><input name=proof \
             value='{ORDER}.{TOKEN}'><input name=pem value=x><input name=link value='{ORDER}.{TOKEN}'></form>"
        )
    };
    let page = format!("<h1>evil</h1>{}{}{}", form("/answer"), form("/order"), form("/import"));
    let port = site(page);
    let mut browser = Browser::start(&["evil.example"]);
    // From another name, and from another port of the same name, which is the same site.
    for origin in [format!("http://evil.example:{port}"), format!("http://localhost:{port}")] {
        for number in 0..3 {
            browser.open(&origin);
            browser.sees("evil");
            browser.value(&format!("document.forms[{number}].submit()"));
            browser.sees("Not done");
            assert!(browser.text().contains("Another page tried to send one"), "{}", browser.text());
        }
        browser.open(&origin);
        browser.sees("evil");
        // Reading our page, or sending what a form can't.
        for request in [
            format!("fetch('{helper}/AddCert').then(r => r.text())"),
            format!("fetch('{helper}/AddCert', {{ mode: 'no-cors' }}).then(r => r.text())"),
            format!("fetch('{helper}/answer', {{ method: 'POST', headers: {{ 'X-A': 'b' }} }}).then(r => r.text())"),
        ] {
            let read = browser.value(&format!("{request}.catch(() => 'refused')"));
            assert!(read == json!("refused") || read == json!(""), "{request}: {read}");
        }
        // Showing it inside another page.
        browser.value(&format!(
            "new Promise(done => {{ const f = document.createElement('iframe'); f.onload = done; \
             f.src = '{helper}/AddCert'; document.body.append(f); }})"
        ));
        let inside = browser.value("try { frames[0].document.body?.innerText ?? 'nothing' } catch { 'nothing' }");
        assert_eq!(inside, json!("nothing"), "what is shown is the browser's own error page");
    }
    janus.assert_unasked();
    assert_eq!(orders(&user).as_array().unwrap().len(), 1);
}

#[test]
fn a_name_that_was_made_to_point_here_is_not_answered() {
    needs!("chromium");
    let (user, janus) = (User::new(), Silence::new());
    order_of(&user, &janus);
    let agent = Agent::start(&user);
    // As after DNS rebinding: the attacker's name is this machine, so its script would be of the page's own origin.
    let mut browser = Browser::start(&["evil.example", "localhost.evil.example"]);
    for host in ["evil.example", "localhost.evil.example", "127.0.0.2", "127.1.0.1"] {
        browser.open(&format!("http://{host}:{}/AddCert#{ORDER}.{TOKEN}", agent.port));
        match host.starts_with("127.") {
            // Nobody listens there.
            true => browser.until("location.href.startsWith('chrome-error:')"),
            false => browser.sees("Not done"),
        }
        assert_eq!(browser.value("!!document.querySelector('form')"), json!(false));
    }
    let script = "fetch('/AddCert').then(r => r.text())";
    browser.open(&format!("http://evil.example:{}/AddCert", agent.port));
    browser.sees("Not done");
    let read = browser.value(script);
    assert!(!read.as_str().unwrap_or_default().contains("token"), "{read}");
    let posted =
        "fetch('/answer', { method: 'POST', body: new URLSearchParams({ proof: 'ABCD2345' }) }).then(r => r.status)";
    // The page's own policy lets no script of it connect; were it let, the helper would say 421.
    let posted = browser.value(&format!("{posted}.catch(() => 'refused')"));
    assert!(posted == json!("refused") || posted == json!(421), "{posted}");
    janus.assert_unasked();
}

#[test]
fn the_page_looks_as_it_should() {
    needs!("chromium");
    let (user, janus) = (User::new(), Silence::new());
    let agent = Agent::start(&user);
    let mut browser = Browser::start(&[]);
    let shots = std::env::var_os("PARALLAX_PICTURES").map(PathBuf::from);
    let look = |browser: &mut Browser, name: &str| {
        // Nothing is wider than the window, and the style was taken.
        assert_eq!(browser.value("document.documentElement.scrollWidth <= innerWidth"), json!(true), "{name}");
        assert_eq!(browser.value("getComputedStyle(document.querySelector('h1')).fontSize !== '32px'"), json!(true));
        for scheme in ["light", "dark"] {
            let picture = browser.picture(scheme);
            assert!(picture.len() > 5_000, "a page that shows something");
            if let Some(directory) = &shots {
                std::fs::write(directory.join(format!("{name}-{scheme}.png")), picture).unwrap();
            }
        }
    };
    browser.open(&agent.link("http://localhost:15342/AddCert"));
    browser.sees("Your mailbox as your identity");
    look(&mut browser, "empty");
    order_of(&user, &janus);
    browser.open(&agent.link("http://localhost:15342/"));
    browser.sees("Your mailbox as your identity");
    look(&mut browser, "start");
    browser.open(&agent.link(&format!("http://localhost:15342/AddCert#{ORDER}.{TOKEN}")));
    browser.sees("Is this your order?");
    look(&mut browser, "order");
    browser.open(&agent.link(&format!("http://localhost:15342/AddCert#{TOKEN}.{ORDER}")));
    browser.sees("Not your order");
    look(&mut browser, "foreign");
}
