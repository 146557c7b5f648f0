//! An old notary as it was: plain HTTP, XML, RSA with MD5.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use md5::{Digest as _, Md5};
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What a notary has seen: certificates by their MD5, each with first and last second.
pub(crate) type Past = Vec<([u8; 16], Vec<(u32, u32)>)>;

/// How it answers; each answer is used once, the last for ever.
#[derive(Clone)]
pub(crate) enum Answer {
    /// What it has seen, signed by its key over the service that was asked for.
    Honest(Past),
    /// The same signed over another service id.
    About(&'static str, Past),
    /// The same signed by another's key.
    SignedBy(usize, Past),
    /// A status and a body.
    Raw(u16, String),
}

pub(crate) struct Notary {
    pub(crate) address: SocketAddr,
    pub(crate) key_file: PathBuf,
    requests: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

/// One of three keys, of 1370, 1369 and 1376 bits.
pub(crate) fn key(number: usize) -> RsaPrivateKey {
    let pem = [
        include_str!("../data/notary-1.pem"),
        include_str!("../data/notary-2.pem"),
        include_str!("../data/notary-3.pem"),
    ];
    RsaPrivateKey::from_pkcs1_pem(pem[number - 1]).unwrap()
}

pub(crate) fn public_pem(number: usize) -> String {
    key(number).to_public_key().to_public_key_pem(LineEnding::LF).unwrap()
}

impl Notary {
    /// Starts with key `number` at a free port; writes the public key into `home`.
    pub(crate) async fn start(number: usize, home: &super::Home, at: Ipv4Addr, answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind((at, 0)).await.unwrap();
        let key_file = home.write(&format!("notary-{number}.pem"), &public_pem(number));
        let notary = Self {
            address: listener.local_addr().unwrap(),
            key_file,
            requests: Arc::default(),
            answers: Arc::new(Mutex::new(answers)),
        };
        let (requests, answers) = (notary.requests.clone(), notary.answers.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (requests, answers) = (requests.clone(), answers.clone());
                tokio::spawn(async move { serve(stream, number, &requests, &answers).await });
            }
        });
        notary
    }

    /// As it is named on the command line.
    pub(crate) fn url(&self) -> String {
        format!("perspectives+http://{}#{}", self.address, self.key_file.display())
    }

    pub(crate) fn answer(&self, answer: Answer) {
        *self.answers.lock().unwrap() = vec![answer];
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, number: usize, requests: &Mutex<Vec<String>>, answers: &Mutex<Vec<Answer>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    requests.lock().unwrap().push(target.clone());
    let answer = {
        let mut answers = answers.lock().unwrap();
        if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
    };
    let asked = service_id(&target);
    let (status, body) = match answer {
        Answer::Honest(past) => (200, reply(number, &asked, &past)),
        Answer::About(service, past) => (200, reply(number, service, &past)),
        Answer::SignedBy(other, past) => (200, reply(other, &asked, &past)),
        Answer::Raw(status, body) => (status, body),
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // Who has read enough hangs up.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body.as_bytes()).await;
}

/// `host:port,type` of `/?host=H&port=P&service_type=T`.
fn service_id(target: &str) -> String {
    let value = |name: &str| target.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)).unwrap().to_owned();
    format!("{}:{},{}", value("host="), value("port="), value("service_type="))
}

/// Written from the description of the format alone, with nothing of the program's.
pub(crate) fn reply(number: usize, service: &str, past: &Past) -> String {
    let mut signed = [service.as_bytes(), b"\0"].concat();
    for (print, spans) in past.iter().rev() {
        signed.extend([(spans.len() >> 8) as u8, spans.len() as u8, 0, 16, 3]);
        signed.extend(print);
        signed.extend(spans.iter().flat_map(|(start, end)| [start.to_be_bytes(), end.to_be_bytes()].concat()));
    }
    let signature = key(number).sign(Pkcs1v15Sign::new::<Md5>(), &Md5::digest(&signed)).unwrap();
    let signature = base64::engine::general_purpose::STANDARD.encode(signature);
    let mut xml = format!("<notary_reply sig=\"{signature}\" sig_type=\"rsa-md5\" version=\"1\">\n");
    for (print, spans) in past {
        let print: Vec<String> = print.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(xml, "\t<key fp=\"{}\" type=\"ssl\">", print.join(":")).unwrap();
        for (start, end) in spans {
            writeln!(xml, "\t\t<timestamp end=\"{end}\" start=\"{start}\"/>").unwrap();
        }
        xml.push_str("\t</key>\n");
    }
    xml + "</notary_reply>\n"
}
