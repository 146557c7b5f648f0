//! Mails on their way to a server that does what servers do: it is down, has no TLS, refuses, puts off.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parallax_node::{JanusSettings, MailRoute, Secret};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::client::{Client, Janus};
use crate::support::until;

/// What a server of the tests has seen, and how it is to answer.
#[derive(Default)]
struct Seen {
    mails: Vec<String>,
    /// Answers to the next recipients; then all are taken.
    recipients: VecDeque<&'static str>,
    /// Connections that came.
    calls: usize,
    commands: Vec<String>,
}

/// A mail server on loopback, without TLS.
struct Server {
    at: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Server {
    async fn start() -> Self {
        Self::on("127.0.0.1:0".parse().unwrap()).await
    }

    async fn on(at: SocketAddr) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let (at, seen) = (listener.local_addr().unwrap(), Arc::<Mutex<Seen>>::default());
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().calls += 1;
                let seen = Arc::clone(&shared);
                tokio::spawn(async move { drop(converse(stream, &seen).await) });
            }
        });
        Self { at, seen }
    }

    fn refuse_next(&self, answer: &'static str) {
        self.seen.lock().unwrap().recipients.push_back(answer);
    }

    fn mails(&self) -> Vec<String> {
        self.seen.lock().unwrap().mails.clone()
    }

    fn commands(&self) -> Vec<String> {
        self.seen.lock().unwrap().commands.clone()
    }
}

async fn converse(stream: TcpStream, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 test\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        seen.lock().unwrap().commands.push(line.clone());
        let answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => "250-test\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME",
            "AUTH" => "235 welcome",
            "RCPT" => seen.lock().unwrap().recipients.pop_front().unwrap_or("250 ok"),
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                let mut mail = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                    mail.push('\n');
                }
                seen.lock().unwrap().mails.push(mail);
                "250 taken"
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

async fn janus_by(route: String) -> Janus {
    Janus::with(|settings: &mut JanusSettings| {
        settings.mail = route.parse::<MailRoute>().unwrap();
        settings.from = "janus@example.org".into();
    })
    .await
}

#[tokio::test]
async fn a_mail_goes_to_one_recipient_in_the_operators_name() {
    let server = Server::start().await;
    let janus = janus_by(format!("smtp+plain://{}", server.at)).await;
    let ann = Client::new("ann@example.com");
    let placed = janus.place(&ann).await;
    until(async || server.mails().len() == 1).await;
    let mail = server.mails().remove(0);
    assert!(mail.contains(&format!("AddCert#{}.", placed.order)), "{mail}");
    let commands = server.commands();
    let of = |name: &str| commands.iter().filter(|line| line.starts_with(name)).cloned().collect::<Vec<_>>();
    assert_eq!(of("MAIL"), ["MAIL FROM:<janus@example.org>"]);
    assert_eq!(of("RCPT"), ["RCPT TO:<ann@example.com>"]);
    assert_eq!(of("EHLO"), ["EHLO example.org"]);
}

#[tokio::test]
async fn while_the_server_is_down_orders_wait_and_who_asked_is_told() {
    // A port that nobody has: a server had it.
    let at = Server::start().await.at;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_ne!(at, free);
    let janus = janus_by(format!("smtp+plain://{free}")).await;
    let ann = Client::new("ann@example.com");
    let placed = janus.place(&ann).await;
    until(async || janus.state(&placed).await.json()["stage"] == "delayed").await;
    let metrics = janus.get("/metrics").await.text();
    assert!(metrics.contains("parallax_janus_mails_waiting 1"), "{metrics}");
    let server = Server::on(free).await;
    until(async || server.mails().len() == 1).await;
    until(async || janus.state(&placed).await.json()["stage"] != "delayed").await;
}

#[tokio::test]
async fn without_starttls_no_mail_goes_in_the_clear() {
    let server = Server::start().await;
    let janus = janus_by(format!("smtp://{}", server.at)).await;
    let placed = janus.place(&Client::new("ann@example.com")).await;
    until(async || janus.state(&placed).await.json()["stage"] == "delayed").await;
    assert!(server.commands().iter().all(|line| line.starts_with("EHLO") || line.starts_with("QUIT")));
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn what_the_server_says_of_an_address_is_told_to_nobody() {
    let server = Server::start().await;
    server.refuse_next("550 5.1.1 no such user");
    server.refuse_next("450 4.2.0 come again");
    let janus = janus_by(format!("smtp+plain://{}", server.at)).await;
    let mut placed = Vec::new();
    for name in ["nobody", "greylisted", "ann"] {
        placed.push(janus.place(&Client::new(&format!("{name}@example.com"))).await);
    }
    until(async || server.mails().len() == 1).await;
    let mut states = Vec::new();
    for one in &placed {
        states.push(janus.state(one).await.json()["stage"].clone());
    }
    assert!(states.iter().all(|stage| *stage == states[0]), "{states:?}");
    let metrics = janus.get("/metrics").await.text();
    assert!(metrics.contains("parallax_janus_mails_total{outcome=\"tried\"} 3"), "{metrics}");
    assert!(metrics.contains("parallax_janus_mails_waiting 0"), "{metrics}");
}

#[tokio::test]
async fn a_login_is_made_and_its_password_shown_to_nobody() {
    let server = Server::start().await;
    let mut route: MailRoute = format!("smtp+plain://{}", server.at).parse().unwrap();
    let MailRoute::Smtp(smtp) = &mut route else { panic!("it is one") };
    (smtp.user, smtp.password) = (Some("janus".into()), Some(Secret::new("hunter2")));
    assert!(!format!("{route:?}").contains("hunter2"));
    let janus = Janus::with(|settings: &mut JanusSettings| settings.mail = route).await;
    janus.place(&Client::new("ann@example.com")).await;
    until(async || server.mails().len() == 1).await;
    let wanted = format!("AUTH PLAIN {}", STANDARD.encode("\0janus\0hunter2"));
    assert!(server.commands().contains(&wanted), "{:?}", server.commands());
}

#[tokio::test]
async fn many_mails_take_one_connection() {
    let server = Server::start().await;
    let janus = janus_by(format!("smtp+plain://{}", server.at)).await;
    let clients: Vec<_> = (0..20).map(|n| Client::new(&format!("a{n}@example.com"))).collect();
    futures_util::future::join_all(clients.iter().map(|client| janus.place(client))).await;
    until(async || server.mails().len() == 20).await;
    let calls = server.seen.lock().unwrap().calls;
    assert!(calls < 20, "{calls} connections for 20 mails");
}
