//! The HTTP API: which request leads where, and what holds for all of them.

mod janus;
mod trust;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, Query, RawQuery, Request, State, WebSocketUpgrade};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use axum::{Extension, Router};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::Limited;
use parallax_proto::channel::LARGEST_MESSAGE;
use parallax_proto::janus::LARGEST_JANUS_REQUEST;
use parallax_proto::mirror::{LARGEST_NOTICE, LARGEST_REMOVAL, LARGEST_REPORT};
use parallax_proto::{
    BadLegacyRequest, LARGEST_DESCRIPTOR, LEGACY_CONTENT_TYPE, LegacyParameters, LegacyRequest, SIGNATURE_HEADER,
};
use tokio::time::Instant;

use crate::app::App;
use crate::channels;
use crate::listen::Kept;
use crate::pages;
use crate::problem::Problem;
use crate::query::{Pairs, dns_question, hop, list_question, view_question};
use crate::views::SignedBytes;

/// Nothing here takes longer: the longest wait, one look that has to be recorded, and slack.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

/// Where a request came from; set by the listeners, absent in process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// Which listener a request came in by; absent in process, where whoever calls decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    Plain,
    Tls,
}

/// Whether a route counts against the rate of its source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    Yes,
    /// What watches the node has to work when others ask too much.
    No,
}

/// Every route: path, whether it counts, what answers.
fn routes() -> Vec<(&'static str, Counted, MethodRouter<Arc<App>>)> {
    vec![
        ("/", Counted::Yes, get(index).post(form)),
        ("/v1/view", Counted::Yes, get(view)),
        ("/v1/dns", Counted::Yes, get(dns)),
        ("/v1/vantage", Counted::Yes, get(vantage)),
        ("/v1/mirrors", Counted::Yes, get(mirrors).post(join)),
        ("/v1/mirrors/{id}", Counted::Yes, get(mirror)),
        ("/v1/removals", Counted::Yes, post(removal)),
        ("/v1/removals/{id}", Counted::Yes, get(vote)),
        ("/v1/reports", Counted::Yes, post(report)),
        ("/v1/notices", Counted::Yes, post(notice)),
        ("/v1/ping", Counted::Yes, get(ping)),
        ("/v1/channels", Counted::Yes, post(channel)),
        ("/v1/messages", Counted::Yes, post(message)),
        ("/v1/peer", Counted::Yes, get(peer)),
        ("/v1/bootstrap", Counted::Yes, get(bootstrap)),
        ("/v1/orders", Counted::Yes, post(janus::order)),
        ("/v1/orders/{order}/answer", Counted::Yes, post(janus::answer)),
        ("/v1/orders/{order}/state", Counted::Yes, post(janus::state)),
        ("/v1/certificates", Counted::Yes, post(janus::renew)),
        ("/v1/revocations", Counted::Yes, post(janus::revoke)),
        ("/v1/ca", Counted::Yes, get(janus::list)),
        ("/v1/trust", Counted::Yes, get(trust::list)),
        ("/v1/trust/{email}", Counted::Yes, put(trust::declare).delete(trust::withdraw)),
        ("/healthz", Counted::No, get(health)),
        ("/readyz", Counted::No, get(ready)),
        ("/metrics", Counted::Yes, get(metrics)),
        ("/openapi.json", Counted::Yes, get(openapi)),
    ]
}

/// The paths of all routes, for the index and the API description.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    routes().into_iter().map(|(path, ..)| path)
}

/// The router of a node.
pub(crate) fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for (path, counted, methods) in routes() {
        router = router.route(path, guarded(methods.fallback(wrong_method), &app, path, counted));
    }
    let other = guarded(MethodRouter::new().fallback(not_found), &app, "other", Counted::Yes);
    router.fallback_service(other.with_state(Arc::clone(&app))).with_state(app)
}

fn guarded(
    methods: MethodRouter<Arc<App>>,
    app: &Arc<App>,
    route: &'static str,
    counted: Counted,
) -> MethodRouter<Arc<App>> {
    let app = Arc::clone(app);
    methods.layer(from_fn(move |request: Request, next: Next| {
        let app = Arc::clone(&app);
        async move {
            let started = Instant::now();
            let mut response =
                guard(&app, (route, counted), request, next).await.unwrap_or_else(IntoResponse::into_response);
            response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
            response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            app.shared.metrics.request(route, response.status().as_u16(), started.elapsed());
            response
        }
    }))
}

/// What holds for every request: its source may ask, its body is small, its answer comes.
async fn guard(
    app: &App,
    (route, counted): (&'static str, Counted),
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if let Some(ClientAddress(source)) = request.extensions().get().copied().filter(|_| counted == Counted::Yes) {
        app.limits.admit_source(source).map_err(|wait| {
            app.shared.metrics.refused("source");
            Problem::too_many("your network asks more often than it may; come back", wait)
        })?;
    }
    let most = most_bytes(app, route);
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > most) {
        return Err(too_large(most));
    }
    let request = request.map(|body| Body::new(Limited::new(body, most)));
    tokio::time::timeout(LONGEST_ANSWER, next.run(request))
        .await
        .map_err(|_| Problem::unavailable("too-slow", "the answer takes too long; come back", Duration::from_secs(5)))
}

/// What a body may have: what mirrors send one another is larger than what anybody else does. Text within JSON takes up to
/// twice its size.
fn most_bytes(app: &App, route: &str) -> usize {
    match route {
        "/v1/mirrors" => app.body_bytes.max(2 * LARGEST_DESCRIPTOR),
        "/v1/removals" => app.body_bytes.max(2 * LARGEST_REMOVAL),
        "/v1/reports" => app.body_bytes.max(LARGEST_REPORT),
        "/v1/notices" => app.body_bytes.max(2 * LARGEST_NOTICE),
        "/v1/channels" | "/v1/messages" => LARGEST_MESSAGE,
        "/v1/orders"
        | "/v1/orders/{order}/answer"
        | "/v1/orders/{order}/state"
        | "/v1/certificates"
        | "/v1/revocations" => LARGEST_JANUS_REQUEST,
        "/v1/trust" | "/v1/trust/{email}" => LARGEST_JANUS_REQUEST,
        _ => app.body_bytes,
    }
}

fn too_large(most: usize) -> Problem {
    let detail = format!("a request body has at most {most} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail)
}

fn pairs(query: Result<Query<Pairs>, QueryRejection>) -> Result<Pairs, Problem> {
    let Query(pairs) = query.map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "bad-query", "the query is not name=value pairs with & between them")
    })?;
    Ok(pairs)
}

fn address(asker: Option<Extension<ClientAddress>>) -> Option<IpAddr> {
    asker.map(|Extension(ClientAddress(address))| address)
}

async fn view(
    State(app): State<Arc<App>>,
    asker: Option<Extension<ClientAddress>>,
    query: Result<Query<Pairs>, QueryRejection>,
) -> Result<SignedBytes, Problem> {
    let question = view_question(pairs(query)?)?;
    let answer = app.views.answer(&question, address(asker)).await?;
    if question.address.is_none() {
        app.mirrors.asked(&question.service, address(asker));
    }
    Ok(answer)
}

async fn dns(
    State(app): State<Arc<App>>,
    asker: Option<Extension<ClientAddress>>,
    query: Result<Query<Pairs>, QueryRejection>,
) -> Result<SignedBytes, Problem> {
    app.dns.answer(dns_question(pairs(query)?)?, address(asker)).await
}

async fn vantage(State(app): State<Arc<App>>) -> Result<SignedBytes, Problem> {
    let signed = SignedBytes::new(app.description.signed());
    signed.ok_or_else(|| Problem::unavailable("signing", "the descriptor can't be sent", Duration::from_secs(60)))
}

/// Mirrors are met by TLS under their vantage ids; what comes in the clear may be anybody's. And an order's tokens are for
/// its owner alone.
fn over_tls(listener: Option<Extension<Listener>>) -> Result<(), Problem> {
    if listener.is_some_and(|Extension(listener)| listener == Listener::Plain) {
        let detail = "this is served over HTTPS only; the node's descriptor (/v1/vantage) says where";
        return Err(Problem::new(StatusCode::FORBIDDEN, "https-only", detail));
    }
    Ok(())
}

/// A vantage id, or the id of a request for removal.
fn id<T: std::str::FromStr>(path: &str) -> Result<T, Problem> {
    path.parse().map_err(|_| Problem::parameter("id", "an id is 64 lower-case hex digits"))
}

fn accepted(receipt: &serde_json::Value) -> Response {
    let mut response = typed("application/json", receipt.to_string());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

async fn mirrors(
    State(app): State<Arc<App>>,
    listener: Option<Extension<Listener>>,
    query: Result<Query<Pairs>, QueryRejection>,
) -> Result<SignedBytes, Problem> {
    over_tls(listener)?;
    app.mirrors.list(&list_question(pairs(query)?)?)
}

async fn join(
    State(app): State<Arc<App>>,
    listener: Option<Extension<Listener>>,
    query: Result<Query<Pairs>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    over_tls(listener)?;
    let hop = hop(pairs(query)?)?;
    Ok(accepted(&app.mirrors.join(&whole(body, most_bytes(&app, "/v1/mirrors"))?, hop)?))
}

async fn mirror(
    State(app): State<Arc<App>>,
    listener: Option<Extension<Listener>>,
    Path(path): Path<String>,
) -> Result<Response, Problem> {
    over_tls(listener)?;
    Ok(typed("application/json", app.mirrors.about(id(&path)?)?.to_string()))
}

async fn removal(
    State(app): State<Arc<App>>,
    listener: Option<Extension<Listener>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    over_tls(listener)?;
    Ok(accepted(&app.mirrors.removal(&whole(body, most_bytes(&app, "/v1/removals"))?)?))
}

async fn vote(
    State(app): State<Arc<App>>,
    listener: Option<Extension<Listener>>,
    Path(path): Path<String>,
) -> Result<SignedBytes, Problem> {
    over_tls(listener)?;
    app.mirrors.vote_on(id(&path)?)
}

async fn report(
    State(app): State<Arc<App>>,
    listener: Option<Extension<Listener>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    over_tls(listener)?;
    Ok(accepted(&app.mirrors.report(&whole(body, most_bytes(&app, "/v1/reports"))?)?))
}

async fn notice(
    State(app): State<Arc<App>>,
    listener: Option<Extension<Listener>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    over_tls(listener)?;
    Ok(accepted(&app.mirrors.noticed(&whole(body, most_bytes(&app, "/v1/notices"))?)?))
}

async fn ping(listener: Option<Extension<Listener>>) -> Result<StatusCode, Problem> {
    over_tls(listener)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Signed by its publishers: by which way it comes does not matter.
async fn bootstrap(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    match app.bootstrap.read().await {
        Some(file) => Ok(typed("application/json", file)),
        None => Err(Problem::new(StatusCode::NOT_FOUND, "not-found", "this node publishes no bootstrap file")),
    }
}

async fn channel(
    State(app): State<Arc<App>>,
    asker: Option<Extension<ClientAddress>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    channels::create(&app.channels, address(asker), &whole(body, LARGEST_MESSAGE)?).await
}

async fn message(
    State(app): State<Arc<App>>,
    asker: Option<Extension<ClientAddress>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    channels::message(&app.channels, address(asker), &whole(body, LARGEST_MESSAGE)?).await
}

async fn peer(
    State(app): State<Arc<App>>,
    asker: Option<Extension<ClientAddress>>,
    kept: Option<Extension<Kept>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|_| {
        let detail = "this path is a WebSocket (RFC 6455, over HTTP/1.1); ask for the upgrade";
        Problem::new(StatusCode::UPGRADE_REQUIRED, "websocket-only", detail)
    })?;
    Ok(channels::peer(&app.channels, address(asker), kept.map(|Extension(kept)| kept), upgrade))
}

async fn health() -> &'static str {
    "alive\n"
}

async fn ready(State(app): State<Arc<App>>) -> Result<String, Problem> {
    app.ready().await.map_err(|why| Problem::unavailable("not-ready", why, Duration::from_secs(5)))?;
    Ok(app.lacks().map_or_else(|| "ready\n".into(), |lacks| format!("ready; {lacks}\n")))
}

async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let text = app.shared.metrics.encode();
    let text =
        text.ok_or_else(|| Problem::unavailable("metrics", "the metrics can't be written", Duration::from_secs(5)))?;
    Ok(typed("application/openmetrics-text; version=1.0.0; charset=utf-8", text))
}

async fn openapi() -> Response {
    typed("application/json", pages::OPENAPI)
}

/// With parameters the Perspectives interface, without any the page.
async fn index(
    State(app): State<Arc<App>>,
    asker: Option<Extension<ClientAddress>>,
    listener: Option<Extension<Listener>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    page_or_reply(&app, address(asker), listener, [query.as_deref().unwrap_or_default(), ""]).await
}

/// The same as a form.
async fn form(
    State(app): State<Arc<App>>,
    asker: Option<Extension<ClientAddress>>,
    listener: Option<Extension<Listener>>,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = whole(body, app.body_bytes)?;
    let body = std::str::from_utf8(&body).map_err(|_| bad_legacy(BadLegacyRequest::Form))?;
    page_or_reply(&app, address(asker), listener, [query.as_deref().unwrap_or_default(), body]).await
}

fn whole(body: Result<Bytes, BytesRejection>, most: usize) -> Result<Bytes, Problem> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(most),
        _ => Problem::new(StatusCode::BAD_REQUEST, "bad-query", "the body did not arrive whole"),
    })
}

async fn page_or_reply(
    app: &App,
    asker: Option<IpAddr>,
    listener: Option<Extension<Listener>>,
    encoded: [&str; 2],
) -> Result<Response, Problem> {
    let mut parameters = LegacyParameters::default();
    let added = encoded.into_iter().try_for_each(|encoded| parameters.add(encoded));
    if added.is_ok() && parameters.is_empty() {
        return Ok(page(app));
    }
    let plain = !listener.is_some_and(|Extension(listener)| listener == Listener::Tls);
    let Some(legacy) = app.legacy.as_ref().filter(|_| plain) else {
        let detail = "the Perspectives interface is off here; where it is on, the HTTP listener has it";
        return Err(Problem::new(StatusCode::NOT_FOUND, "not-found", detail));
    };
    let request = added.and_then(|()| LegacyRequest::parse(&parameters)).map_err(bad_legacy)?;
    Ok(typed(LEGACY_CONTENT_TYPE, legacy.answer(&request, asker).await?))
}

fn bad_legacy(why: BadLegacyRequest) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-parameter", why.to_string())
}

fn page(app: &App) -> Response {
    let mut response = typed("text/html; charset=utf-8", pages::index(app));
    let policy =
        HeaderValue::from_static("default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here; /openapi.json lists what there is")
}

async fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "this path is not used with that method; /openapi.json says with which",
    )
}

fn typed(kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

impl IntoResponse for SignedBytes {
    fn into_response(self) -> Response {
        let mut response = typed("application/json", self.body);
        response.headers_mut().insert(HeaderName::from_static(SIGNATURE_HEADER), self.signature);
        response
    }
}
