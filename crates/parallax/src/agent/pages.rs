//! The pages of the local helper. They fetch nothing, from nowhere; style and script are in them, and named by their hash.

use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parallax_client::{Claims, OwnIdentity, PendingOrder, Token};
use parallax_core::Suite as _;
use parallax_probe::AwsLc;

use super::html::{Html, filled};
use crate::clock::now;
use crate::output::{length, minute};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("fragment.js");

/// Only our style and our script, forms to ourselves, and in no frame.
static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(AwsLc.sha256(text.as_bytes()));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; form-action 'self'; frame-ancestors 'none'; \
         base-uri 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    policy.parse().ok()
});

pub(super) fn content_security_policy() -> HeaderValue {
    POLICY.clone().unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
}

/// A page with this title and content.
fn page(status: StatusCode, title: &'static str, content: Html) -> Response {
    let html = filled(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{} · Parallax</title>\n<style>{}</style>\n</head>\n<body>\n\
         <header>Parallax, on this machine</header>\n<main>\n<h1>{}</h1>\n{}</main>\n</body>\n</html>\n",
        &[&Html::ours(title), &Html::ours(STYLE), &Html::ours(title), &content],
    );
    let mut response = (status, html.to_string()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn paragraph(text: &str) -> Html {
    Html::text(text).within("p")
}

/// What was asked is not done, and why.
pub(super) fn refusal(status: StatusCode, why: &str) -> Response {
    page(status, "Not done", paragraph(why))
}

/// What was tried came to nothing.
pub(super) fn failed(why: &str) -> Response {
    let why = capital(why);
    let back = Html::ours("<p><a href=\"/AddCert\">Back to the start</a></p>\n");
    page(StatusCode::BAD_REQUEST, "Not done", Html::all([paragraph(&why), back]))
}

/// A sentence of the command line as one of a page.
fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default();
    let end = if sentence.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// What goes into every form: only our own pages know it.
fn hidden(token: &Token) -> Html {
    filled("<input type=\"hidden\" name=\"token\" value=\"{}\">\n", &[&Html::text(&token.to_string())])
}

/// Where everything begins: the form that the script fills, a code to type, a file to upload.
pub(super) fn start(token: &Token, orders: &[PendingOrder]) -> Response {
    let opened = filled(
        "<form id=\"opened\" method=\"post\" action=\"/order\" hidden>\n{}<input type=\"hidden\" id=\"link\" name=\"link\">\n\
         </form>\n",
        &[&hidden(token)],
    );
    let file = filled(
        "<section>\n<h2>Take a certificate from a file</h2>\n\
         <form method=\"post\" action=\"/upload\" enctype=\"multipart/form-data\">\n{}\
         <label>The file of the mail <input type=\"file\" name=\"file\" required></label>\n\
         <button>Import it</button>\n</form>\n\
         <p class=\"quiet\">It is taken for a key of yours alone.</p>\n</section>\n",
        &[&hidden(token)],
    );
    let script = filled("<script>{}</script>\n", &[&Html::ours(SCRIPT)]);
    page(StatusCode::OK, "Your mailbox as your identity", Html::all([opened, code_form(token, orders), file, script]))
}

fn code_form(token: &Token, orders: &[PendingOrder]) -> Html {
    if orders.is_empty() {
        return Html::ours(
            "<section>\n<h2>No order waits</h2>\n<p>Ask for a certificate on this machine first:</p>\n\
             <p><code>parallax id request you@example.com</code></p>\n\
             <p class=\"quiet\">If a mail asks you to confirm something that you did not ask for, do nothing: nothing was \
             issued. Give its code and its link to nobody.</p>\n</section>\n",
        );
    }
    filled(
        "<section>\n<h2>Type the code of the mail</h2>\n{}<form method=\"post\" action=\"/answer\">\n{}{}\
         <label>Code <input class=\"code\" name=\"proof\" required maxlength=\"40\" autocomplete=\"off\" \
         autocapitalize=\"characters\" spellcheck=\"false\"></label>\n\
         <button>Get the certificate</button>\n</form>\n\
         <noscript><p class=\"quiet\">The link in the mail needs JavaScript here; the code does without.</p></noscript>\n\
         </section>\n",
        &[&phrases(orders), &hidden(token), &choices(orders)],
    )
}

fn phrases(orders: &[PendingOrder]) -> Html {
    match orders {
        [order] => {
            filled("<p>The mail must show the phrase <strong>{}</strong>.</p>\n", &[&Html::text(&order.phrase())])
        }
        _ => Html::ours("<p>Several orders wait. Which phrase does the mail show?</p>\n"),
    }
}

fn choices(orders: &[PendingOrder]) -> Html {
    let choice = |(number, order): (usize, &PendingOrder)| {
        let phrase = Html::text(&order.phrase());
        let checked = Html::ours(if number == 0 { " checked" } else { "" });
        let ago = Html::text(&length(now().since(order.placed_at)));
        filled(
            "<label><input type=\"radio\" name=\"order\" value=\"{}\"{}> <strong>{}</strong> \
             <span class=\"quiet\">asked {} ago</span></label>\n",
            &[&phrase, &checked, &phrase, &ago],
        )
    };
    match orders {
        [_] => Html::default(),
        _ => Html::all(orders.iter().enumerate().map(choice)),
    }
}

/// The link of an order of ours was opened: a button answers it. Nothing has happened yet.
pub(super) fn order(token: &Token, order: &PendingOrder, proof: &str) -> Response {
    let facts = facts(&[
        ("Address", order.mailbox.as_str()),
        ("Asked", &format!("{}, {} ago", minute(order.placed_at), length(now().since(order.placed_at)))),
        ("Certified by", &order.janus.authority()),
    ]);
    let phrase = filled(
        "<p>The mail must show this phrase:</p>\n<p class=\"phrase\"><strong>{}</strong></p>\n",
        &[&Html::text(&order.phrase())],
    );
    let others = match order.deny_others {
        true => Html::ours("<p>All other keys of this address will count no more.</p>\n"),
        false => Html::default(),
    };
    let form = filled(
        "<form method=\"post\" action=\"/answer\">\n{}<input type=\"hidden\" name=\"proof\" value=\"{}\">\n\
         <button>Get the certificate</button>\n</form>\n\
         <p class=\"quiet\">If it shows another one, or you did not ask, close this page: nothing is issued.</p>\n",
        &[&hidden(token), &Html::text(proof)],
    );
    page(StatusCode::OK, "Is this your order?", Html::all([facts, phrase, others, form]))
}

/// The link of an order that is not ours was opened.
pub(super) fn foreign(why: &str) -> Response {
    page(StatusCode::FORBIDDEN, "Not your order", paragraph(&capital(why)))
}

/// A certificate in a link, for a key of ours: a button imports it.
pub(super) fn preview(token: &Token, claims: &Claims, pem: &str) -> Response {
    let facts = facts(&[
        ("Address", claims.mailbox.as_str()),
        ("Valid until", &minute(claims.not_after)),
        ("Key", &claims.key.to_string()),
    ]);
    let form = filled(
        "<form method=\"post\" action=\"/import\">\n{}<input type=\"hidden\" name=\"pem\" value=\"{}\">\n\
         <button>Import it</button>\n</form>\n\
         <p class=\"quiet\">The node that issued it is asked first whether it holds.</p>\n",
        &[&hidden(token), &in_an_attribute(pem)],
    );
    page(StatusCode::OK, "Import this certificate?", Html::all([facts, form]))
}

/// Line breaks of a hidden field survive as character references.
fn in_an_attribute(pem: &str) -> Html {
    let lines: Vec<Html> = pem.lines().map(Html::text).collect();
    Html::all(lines.into_iter().flat_map(|line| [line, Html::ours("&#10;")]))
}

/// It is kept.
pub(super) fn certified(identity: &OwnIdentity) -> Response {
    let facts = facts(&[
        ("Address", identity.mailbox().as_str()),
        ("Valid until", &minute(identity.not_after())),
        ("Key", &identity.key().id().to_string()),
    ]);
    let more = Html::ours("<p>It is kept on this machine. You can close this page.</p>\n");
    page(StatusCode::OK, "You have a certificate", Html::all([facts, more]))
}

fn facts(facts: &[(&'static str, &str)]) -> Html {
    let fact = |(name, value): &(&'static str, &str)| {
        filled("<dt>{}</dt><dd>{}</dd>\n", &[&Html::ours(name), &Html::text(value)])
    };
    Html::all(facts.iter().map(fact)).within("dl")
}
