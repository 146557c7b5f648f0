//! Failures as problem documents (RFC 9457).

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// What `code` may be; programs know a failure by it.
pub(crate) const CODES: [&str; 32] = [
    "bad-order",
    "bad-parameter",
    "bad-query",
    "bad-statement",
    "body-too-large",
    "certificate-required",
    "clock",
    "cross-site",
    "https-only",
    "lost",
    "mail-queue-full",
    "method-not-allowed",
    "metrics",
    "not-declared",
    "not-found",
    "not-issuing",
    "not-ready",
    "not-recorded",
    "not-renewable",
    "order-ended",
    "refused",
    "revoked",
    "signing",
    "stopping",
    "target-busy",
    "too-many-looks",
    "too-many-questions",
    "too-many-requests",
    "too-slow",
    "unknown-service",
    "websocket-only",
    "wrong-answer",
];

/// One failed request. `type` is `about:blank`: the title is the status, `code` tells programs more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    field: Option<String>,
    retry_after: Option<Duration>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        debug_assert!(CODES.contains(&code), "{code} is not a documented code");
        Self { status, code, detail: detail.into(), field: None, retry_after: None }
    }

    /// A parameter that is missing, unknown, repeated or wrong.
    pub(crate) fn parameter(field: &str, detail: impl Into<String>) -> Self {
        // The name may be a stranger's text.
        let field = field.chars().take(40).collect();
        Self { field: Some(field), ..Self::new(StatusCode::BAD_REQUEST, "bad-parameter", detail) }
    }

    /// The one who asks asks too much.
    pub(crate) fn too_many(detail: impl Into<String>, retry_after: Duration) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// The node can't now.
    pub(crate) fn unavailable(code: &'static str, detail: impl Into<String>, retry_after: Duration) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    pub(crate) fn is(&self, status: StatusCode) -> bool {
        self.status == status
    }

    /// The same as the `error` of a channel's answer.
    pub(crate) fn as_error(&self) -> serde_json::Value {
        let retry_after = self.retry_after.map(|wait| wait.as_secs().max(1));
        serde_json::json!({
            "type": self.code, "reason": self.detail, "field": self.field, "retry_after": retry_after,
        })
    }

    #[cfg(test)]
    pub(crate) fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    #[cfg(test)]
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Failed"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            field: self.field.as_deref(),
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            // RFC 9110 section 10.2.3: whole seconds; half a second is a whole one, none at all is a retry at once.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}
