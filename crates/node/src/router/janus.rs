//! The routes of the role `janus`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use parallax_proto::janus::LARGEST_JANUS_REQUEST;
use serde::Serialize;

use super::{ClientAddress, Listener, address, over_tls, typed, whole};
use crate::app::App;
use crate::janus::{ClientChain, Office};
use crate::problem::Problem;
use crate::views::SignedBytes;

type Body = Result<Bytes, BytesRejection>;

/// The office, for what comes over HTTPS.
fn office(app: &App, listener: Option<Extension<Listener>>) -> Result<&Arc<Office>, Problem> {
    over_tls(listener)?;
    app.office.as_ref().ok_or_else(|| {
        let detail = "this node certifies no mailboxes (it has not the role janus)";
        Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
    })
}

fn json(status: StatusCode, content: &impl Serialize) -> Response {
    let mut response = typed("application/json", serde_json::to_vec(content).unwrap_or_default());
    *response.status_mut() = status;
    response
}

pub(super) async fn order(
    State(app): State<Arc<App>>,
    asker: Option<Extension<ClientAddress>>,
    listener: Option<Extension<Listener>>,
    body: Body,
) -> Result<Response, Problem> {
    let office = office(&app, listener)?;
    let placed = office.place(&whole(body, LARGEST_JANUS_REQUEST)?, address(asker)).await?;
    Ok(json(StatusCode::ACCEPTED, &placed))
}

pub(super) async fn answer(
    State(app): State<Arc<App>>,
    listener: Option<Extension<Listener>>,
    Path(order): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let office = office(&app, listener)?;
    Ok(json(StatusCode::OK, &office.answer(&order, &whole(body, LARGEST_JANUS_REQUEST)?).await?))
}

pub(super) async fn state(
    State(app): State<Arc<App>>,
    listener: Option<Extension<Listener>>,
    Path(order): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let office = office(&app, listener)?;
    Ok(json(StatusCode::OK, &office.state(&order, &whole(body, LARGEST_JANUS_REQUEST)?).await?))
}

pub(super) async fn renew(
    State(app): State<Arc<App>>,
    listener: Option<Extension<Listener>>,
    chain: Option<Extension<ClientChain>>,
) -> Result<Response, Problem> {
    let office = office(&app, listener)?;
    let renewed = office.renew(chain.as_ref().map(|Extension(chain)| chain)).await?;
    Ok(json(StatusCode::OK, &renewed))
}

pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    listener: Option<Extension<Listener>>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let office = office(&app, listener)?;
    office.revoke_itself(&whole(body, LARGEST_JANUS_REQUEST)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    listener: Option<Extension<Listener>>,
) -> Result<SignedBytes, Problem> {
    office(&app, listener)?.list()
}
