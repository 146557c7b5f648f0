//! What a request must be before anything looks at it.
//!
//! * `Host` names this machine and this port, or a name of the attacker's that was made to point here (DNS rebinding) would
//!   make its page one of ours.
//! * A page is shown to a browser that goes to it, and to no other page: not in a frame, not to a script of another origin.
//! * Whatever does something is a POST from our own page: `Origin` says so, `Sec-Fetch-Site` where it is sent, and the
//!   process's token in the form, which only our pages know.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::pages;

/// The names of this machine that count, with the port.
#[derive(Clone, Debug)]
pub(super) struct Guards {
    hosts: [String; 3],
}

/// Why a request is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Barred {
    Host,
    Method,
    Framed,
    Origin,
}

impl Barred {
    fn status(self) -> StatusCode {
        match self {
            Barred::Host => StatusCode::MISDIRECTED_REQUEST,
            Barred::Method => StatusCode::METHOD_NOT_ALLOWED,
            Barred::Framed | Barred::Origin => StatusCode::FORBIDDEN,
        }
    }

    fn why(self) -> &'static str {
        match self {
            Barred::Host => "This helper answers under localhost, 127.0.0.1 and [::1] with its port alone.",
            Barred::Method => "There is nothing to do here but to look at a page, or to send one of its forms.",
            Barred::Framed => "This page is shown in a window of its own alone, not inside another page.",
            Barred::Origin => "Only a form on the helper's own page is taken. Another page tried to send one.",
        }
    }
}

impl Guards {
    pub(super) fn new(port: u16) -> Self {
        Self { hosts: ["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}:{port}")) }
    }

    pub(super) fn check(&self, request: &Request) -> Result<(), Barred> {
        let headers = request.headers();
        let host = one(headers, header::HOST).ok_or(Barred::Host)?;
        // A request may name its target whole (RFC 9112 section 3.2.2).
        let named = request.uri().authority().is_none_or(|authority| authority.as_str() == host);
        if !named || !self.hosts.iter().any(|known| known == host) {
            return Err(Barred::Host);
        }
        match *request.method() {
            Method::GET | Method::HEAD => check_shown(headers),
            Method::POST => check_sent(headers, host),
            _ => Err(Barred::Method),
        }
    }
}

/// A browser goes there: from anywhere, as links in mails are clicked in web mail.
fn check_shown(headers: &HeaderMap) -> Result<(), Barred> {
    let is = |name: &str, wanted| headers.get(name).is_none_or(|value| value == HeaderValue::from_static(wanted));
    if is("sec-fetch-dest", "document") && is("sec-fetch-mode", "navigate") { Ok(()) } else { Err(Barred::Framed) }
}

fn check_sent(headers: &HeaderMap, host: &str) -> Result<(), Barred> {
    let origin = one(headers, header::ORIGIN).ok_or(Barred::Origin)?;
    let site = headers.get("sec-fetch-site").is_none_or(|value| value == "same-origin");
    if site && origin.strip_prefix("http://") == Some(host) { Ok(()) } else { Err(Barred::Origin) }
}

/// The value of a header that is there once.
fn one(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

/// Lets through what may be looked at, and has every page kept from where it does not belong.
pub(super) async fn guard(State(guards): State<Guards>, request: Request, next: Next) -> Response {
    let response = match guards.check(&request) {
        Ok(()) => next.run(request).await,
        Err(barred) => pages::refusal(barred.status(), barred.why()),
    };
    with_headers(response)
}

fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        // Other origins learn nothing. With no-referrer browsers would send forms of our own page with "Origin: null".
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::HeaderName::from_static("x-robots-tag"), "noindex"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, pages::content_security_policy());
    response
}
