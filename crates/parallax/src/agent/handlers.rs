//! What each page and each form does.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use parallax_client::{PendingOrder, Proof};
use parallax_core::Suite as _;
use parallax_probe::AwsLc;
use serde::Deserialize;

use super::{Helper, pages};
use crate::clock::now;
use crate::failure::Failure;
use crate::identities::{NotChosen, choose};
use crate::output::{self, minute};

type Shared = State<Arc<Helper>>;

/// The link of a mail was opened.
#[derive(Deserialize)]
pub(super) struct Opened {
    token: String,
    link: String,
}

/// The button, or a code.
#[derive(Deserialize)]
pub(super) struct Answered {
    token: String,
    proof: String,
    order: Option<String>,
}

/// The button below a certificate.
#[derive(Deserialize)]
pub(super) struct Imported {
    token: String,
    pem: String,
}

pub(super) async fn start(State(helper): Shared) -> Response {
    match helper.orders() {
        Ok(orders) => pages::start(&helper.token, &orders),
        Err(failure) => told(&failure),
    }
}

/// A certificate in the path, as LEP 008 has it: it is shown, and nothing is done.
pub(super) async fn preview(State(helper): Shared, Path(pem): Path<String>) -> Response {
    match helper.ours.importable(pem.as_bytes()) {
        Ok(claims) => pages::preview(&helper.token, &claims, &pem),
        Err(failure) => told(&failure),
    }
}

/// Shows the order of a link, where it is one of ours. Nothing is done.
pub(super) async fn order(State(helper): Shared, Form(form): Form<Opened>) -> Response {
    if !helper.knows(&form.token) {
        return stale();
    }
    let (orders, proof) = match (helper.orders(), form.link.parse::<Proof>()) {
        (Ok(orders), Ok(proof)) => (orders, proof),
        (Err(failure), _) => return told(&failure),
        (_, Err(why)) => return pages::failed(&why.to_string()),
    };
    match choose(&orders, Some(&proof), None) {
        Ok(order) => pages::order(&helper.token, order, &form.link),
        Err(why) => pages::foreign(&why.to_string()),
    }
}

/// Answers an order.
pub(super) async fn answer(State(helper): Shared, Form(form): Form<Answered>) -> Response {
    if !helper.knows(&form.token) {
        return stale();
    }
    let _one = helper.one.lock().await;
    let (orders, proof) = match (helper.orders(), form.proof.parse::<Proof>()) {
        (Ok(orders), Ok(proof)) => (orders, proof),
        (Err(failure), _) => return told(&failure),
        (_, Err(why)) => return pages::failed(&why.to_string()),
    };
    let order = match choose(&orders, Some(&proof), form.order.as_deref()) {
        Ok(order) => order,
        Err(why @ (NotChosen::None | NotChosen::Foreign)) => return pages::foreign(&why.to_string()),
        Err(why) => return pages::failed(&why.to_string()),
    };
    done(helper.ours.answer(order, &proof).await)
}

/// Takes a certificate that was shown.
pub(super) async fn import(State(helper): Shared, Form(form): Form<Imported>) -> Response {
    if !helper.knows(&form.token) {
        return stale();
    }
    let _one = helper.one.lock().await;
    done(helper.ours.import(form.pem.as_bytes()).await)
}

/// Takes a certificate from a file.
pub(super) async fn upload(State(helper): Shared, form: Multipart) -> Response {
    let Ok((token, file)) = read_upload(form).await else {
        return pages::failed(
            "the file can't be read, or is larger than 64 KiB; choose the one that came with the mail",
        );
    };
    if !token.is_some_and(|token| helper.knows(&token)) {
        return stale();
    }
    let Some(pem) = file.filter(|pem| !pem.is_empty()) else {
        return pages::failed("no file came; choose the one that came with the mail");
    };
    let _one = helper.one.lock().await;
    done(helper.ours.import(&pem).await)
}

/// The token and the file of a form.
async fn read_upload(mut form: Multipart) -> Result<(Option<String>, Option<Bytes>), MultipartError> {
    let (mut token, mut file) = (None, None);
    while let Some(field) = form.next_field().await? {
        match field.name() {
            Some("token") => token = Some(field.text().await?),
            Some("file") => file = Some(field.bytes().await?),
            _ => {}
        }
    }
    Ok((token, file))
}

/// There is no such page.
pub(super) async fn nothing() -> Response {
    pages::refusal(StatusCode::NOT_FOUND, "There is no such page. The helper's is /AddCert.")
}

/// The page takes no form, or the form has no page.
pub(super) async fn not_so() -> Response {
    pages::refusal(StatusCode::METHOD_NOT_ALLOWED, "There is no such form. The helper's page is /AddCert.")
}

/// The form is of another run of the helper, or of none.
fn stale() -> Response {
    pages::refusal(StatusCode::FORBIDDEN, "This form is not of the helper that runs now. Open the link again.")
}

fn told(failure: &Failure) -> Response {
    pages::failed(failure.sentence().unwrap_or("it could not be done"))
}

/// The command's own output tells it too: whoever started it sees what its page did.
fn done(outcome: Result<parallax_client::OwnIdentity, Failure>) -> Response {
    match outcome {
        Ok(identity) => {
            let until = minute(identity.not_after());
            // A helper whose reader has gone goes on.
            let _ = output::print(&format!("{} is certified until {until}\n", identity.mailbox()));
            pages::certified(&identity)
        }
        Err(failure) => told(&failure),
    }
}

impl Helper {
    /// Orders that can still be answered.
    fn orders(&self) -> Result<Vec<PendingOrder>, Failure> {
        Ok(self.ours.orders()?.into_iter().filter(|order| now() < order.expires_at).collect())
    }

    /// Whether the form is of one of our own pages. Hashes are compared, so how long it takes tells nothing.
    fn knows(&self, token: &str) -> bool {
        AwsLc.sha256(token.as_bytes()) == AwsLc.sha256(self.token.to_string().as_bytes())
    }
}
