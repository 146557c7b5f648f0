//! `/v1/trust`: whom somebody trusts, by their certificate alone.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use parallax_core::VantageId;
use parallax_janus::trust::{DeclareError, EdgeStanding};
use parallax_janus::{Identity, Mailbox};
use parallax_proto::trust::{TrustEdge, TrustList, TrustState};

use super::{Listener, over_tls, typed};
use crate::app::App;
use crate::janus::ClientChain;
use crate::problem::Problem;
use crate::trust::{NotChanged, Trust};
use crate::vouching::NotVouched;

/// Who asks, as the connection shows it.
type Shown = (Option<Extension<Listener>>, Option<Extension<ClientChain>>);

pub(super) async fn list(
    State(app): State<Arc<App>>,
    listener: Option<Extension<Listener>>,
    chain: Option<Extension<ClientChain>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (trust, identity) = asker(&app, (listener, chain), &headers)?;
    let declared = trust.declared(&identity).await.map_err(not_changed)?;
    let asker = VantageId::from_bytes(*identity.key().id().as_bytes());
    let edges = declared.into_iter().map(|(declared, edge)| TrustEdge {
        mailbox: declared.mailbox.to_string(),
        state: state(declared.standing),
        edge: app.hub.as_ref().map(|hub| hub.edge_word(asker, edge)),
    });
    let list = TrustList { mailbox: identity.mailbox().to_string(), edges: edges.collect() };
    Ok(typed("application/json", serde_json::to_vec(&list).unwrap_or_default()))
}

pub(super) async fn declare(
    State(app): State<Arc<App>>,
    listener: Option<Extension<Listener>>,
    chain: Option<Extension<ClientChain>>,
    headers: HeaderMap,
    Path(email): Path<String>,
) -> Result<StatusCode, Problem> {
    let (trust, identity) = asker(&app, (listener, chain), &headers)?;
    trust.declare(&identity, &mailbox(&email)?).await.map_err(not_changed)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn withdraw(
    State(app): State<Arc<App>>,
    listener: Option<Extension<Listener>>,
    chain: Option<Extension<ClientChain>>,
    headers: HeaderMap,
    Path(email): Path<String>,
) -> Result<StatusCode, Problem> {
    let (trust, identity) = asker(&app, (listener, chain), &headers)?;
    trust.withdraw(&identity, &mailbox(&email)?).await.map_err(not_changed)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whom the certificate of the connection names. A browser that holds one sends it wherever a page points: what comes from
/// a page is refused.
fn asker(app: &App, (listener, chain): Shown, headers: &HeaderMap) -> Result<(Arc<Trust>, Identity), Problem> {
    over_tls(listener)?;
    if headers.contains_key(header::ORIGIN) {
        let detail = "a web page sent this (it has an Origin); trust is declared with `parallax trust` alone";
        return Err(Problem::new(StatusCode::FORBIDDEN, "cross-site", detail));
    }
    let Some((trust, vouching)) = app.trust.clone().zip(app.vouching.clone()) else {
        let detail = "this node keeps no trust between people: it neither certifies mailboxes (--role janus) nor believes a node that does";
        return Err(Problem::new(StatusCode::NOT_FOUND, "not-found", detail));
    };
    let no_certificate = |why: String| Problem::new(StatusCode::UNAUTHORIZED, "certificate-required", why);
    let Some(Extension(chain)) = chain else {
        let detail = "show the certificate of your mailbox as TLS client certificate; `parallax id request` gets one";
        return Err(no_certificate(detail.into()));
    };
    match vouching.judge_connection(&chain) {
        Ok(identity) => Ok((trust, identity)),
        Err(NotVouched::Clock(error)) => Err(Problem::unavailable("clock", error.to_string(), Duration::from_secs(5))),
        Err(NotVouched::Chain(why)) => Err(no_certificate(format!(
            "the client certificate does not count here: {why}; `parallax id request` gets one"
        ))),
    }
}

fn mailbox(email: &str) -> Result<Mailbox, Problem> {
    Mailbox::from_typed(email).map_err(|why| Problem::parameter("email", why.to_string()))
}

fn not_changed(why: NotChanged) -> Problem {
    match why {
        NotChanged::Refused(DeclareError::Full) => {
            Problem::unavailable("not-recorded", DeclareError::Full.to_string(), Duration::from_secs(3600))
        }
        NotChanged::Refused(why) => Problem::new(StatusCode::CONFLICT, "not-declared", why.to_string()),
        // What the engine says names files of this machine; the log has it.
        NotChanged::Store(error) => {
            tracing::warn!(%error, "trust between people can't be kept");
            let detail = "it can't be kept now; come back and say it again";
            Problem::unavailable("not-recorded", detail, Duration::from_secs(5))
        }
    }
}

fn state(standing: EdgeStanding) -> TrustState {
    match standing {
        EdgeStanding::Mutual => TrustState::Mutual,
        EdgeStanding::Declared => TrustState::Declared,
        EdgeStanding::Renew => TrustState::Renew,
        EdgeStanding::Waiting => TrustState::Waiting,
    }
}
