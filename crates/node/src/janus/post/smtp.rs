//! A mail server, by lettre. It is spoken to command by command: what it says of a recipient concerns one mail, what it says
//! before that all of them.
//!
//! What a server answers may name an address, so of its words the log gets the code alone.

use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::ClientId;

use super::NotSent;
use super::pack::{Mail, Packer};
use crate::janus::route::{Security, SmtpRoute};

/// The time for one step of the conversation.
const STEP: Duration = Duration::from_secs(30);

/// The time for a mail's content, which servers look through before they answer.
const CONTENT: Duration = Duration::from_secs(120);

/// A mail server.
pub(super) struct Relay {
    route: SmtpRoute,
    tls: TlsParameters,
    hello: ClientId,
}

/// A connection to it.
pub(super) struct Line(AsyncSmtpConnection);

impl Line {
    pub(super) async fn hang_up(mut self) {
        drop(tokio::time::timeout(STEP, self.0.quit()).await);
    }
}

impl Relay {
    pub(super) fn new(route: SmtpRoute, packer: &Packer) -> Result<Self, String> {
        let builder = TlsParameters::builder(route.host.clone());
        let builder = match &route.roots {
            None => builder.certificate_store(CertificateStore::WebpkiRoots),
            Some(file) => {
                let pem = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
                let roots =
                    Certificate::from_pem(&pem).map_err(|_| format!("{}: no certificates in PEM", file.display()))?;
                builder.certificate_store(CertificateStore::None).add_root_certificate(roots)
            }
        };
        let tls = builder.build_rustls().map_err(|error| error.to_string())?;
        Ok(Self { route, tls, hello: ClientId::Domain(packer.domain().to_owned()) })
    }

    /// Connects, protects the connection and logs in, as the operator wrote it.
    pub(super) async fn call(&self) -> Result<Line, String> {
        let SmtpRoute { host, port, security, .. } = &self.route;
        let from_the_start = (*security == Security::Tls).then(|| self.tls.clone());
        let server = (host.as_str(), *port);
        let connect = AsyncSmtpConnection::connect_tokio1(server, Some(STEP), &self.hello, from_the_start, None);
        let mut line = step(connect).await.map_err(|why| format!("{host} port {port} is not reached: {why}"))?;
        if *security == Security::StartTls {
            if !line.can_starttls() {
                drop(tokio::time::timeout(STEP, line.abort()).await);
                return Err(format!("{host} does not offer STARTTLS; without it no mail goes there"));
            }
            let starttls = line.starttls(self.tls.clone(), &self.hello);
            step(starttls).await.map_err(|why| format!("STARTTLS with {host} fails: {why}"))?;
        }
        self.log_in(&mut line).await?;
        Ok(Line(line))
    }

    async fn log_in(&self, line: &mut AsyncSmtpConnection) -> Result<(), String> {
        let (Some(user), Some(password)) = (&self.route.user, &self.route.password) else { return Ok(()) };
        let credentials = Credentials::new(user.clone(), password.expose().to_owned());
        let auth = line.auth(&[Mechanism::Plain, Mechanism::Login], &credentials);
        step(auth).await.map(drop).map_err(|why| format!("{} does not take the login: {why}", self.route.host))
    }

    pub(super) async fn send(&self, line: &mut Line, mail: &Mail) -> Result<(), NotSent> {
        let line = &mut line.0;
        let from = line.command(MailFrom::new(Some(mail.from.clone()), vec![]));
        step(from).await.map_err(|why| NotSent::Server(format!("the sender is refused: {why}")))?;
        recipient(line, &mail.to).await?;
        step(line.command(Data)).await.map_err(|why| why.of_a_mail("DATA"))?;
        let content = tokio::time::timeout(CONTENT, line.message(&mail.bytes)).await;
        content.map_err(|_| Failed::Silent).and_then(said).map(drop).map_err(|why| why.of_a_mail("the content"))
    }
}

async fn recipient(line: &mut AsyncSmtpConnection, to: &Address) -> Result<(), NotSent> {
    step(line.command(Rcpt::new(to.clone(), vec![]))).await.map(drop).map_err(|why| why.of_a_mail("the recipient"))
}

/// Why a step came to nothing.
enum Failed {
    Silent,
    Refused { code: String, for_good: bool },
    Broken(String),
}

impl Failed {
    fn of_a_mail(self, what: &str) -> NotSent {
        let why = format!("{what}: {self}");
        match self {
            // RFC 5321 section 3.8: the server closes the channel, whatever the mail is.
            Failed::Refused { code, .. } if code == "421" => NotSent::Server(why),
            Failed::Refused { for_good: true, .. } => NotSent::Never(why),
            Failed::Refused { for_good: false, .. } => NotSent::Later(why),
            Failed::Silent | Failed::Broken(_) => NotSent::Server(why),
        }
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failed::Silent => f.write_str("no answer in time"),
            Failed::Refused { code, .. } => write!(f, "refused with {code}"),
            Failed::Broken(why) => f.write_str(why),
        }
    }
}

async fn step<T>(what: impl Future<Output = Result<T, Error>>) -> Result<T, Failed> {
    tokio::time::timeout(STEP, what).await.map_err(|_| Failed::Silent).and_then(said)
}

fn said<T>(result: Result<T, Error>) -> Result<T, Failed> {
    result.map_err(|error| match error.status() {
        Some(code) => Failed::Refused { code: code.to_string(), for_good: error.is_permanent() },
        // Its words would be in the error, and may name an address.
        None if error.is_response() => Failed::Broken("its answer can't be read".into()),
        None => Failed::Broken(error.to_string()),
    })
}
