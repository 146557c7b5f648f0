//! What can be asked for on a channel: by the `type` of its `run`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use futures_util::future::BoxFuture;
use parallax_proto::channel::{ChannelId, ClientKey, Connection, RequestId, Run};
use serde_json::{Value, json};

use crate::app::App;
use crate::problem::Problem;
use crate::query::{Pairs, view_question};
use crate::views::Views;

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its key, with its certificates if it has any.
    pub key: Arc<ClientKey>,
    /// On which channel.
    pub channel: ChannelId,
    /// Over what, where that can carry pushes.
    pub connection: Option<Connection>,
    /// From where; `None` in process.
    pub from: Option<IpAddr>,
    /// What it calls its request.
    pub request_id: Option<RequestId>,
}

/// Does what is asked for.
pub trait Handler: Send + Sync {
    /// The value of `return`, or of `error` ([`failure`]).
    fn handle(&self, caller: Caller, run: Run) -> BoxFuture<'static, Result<Value, Value>>;

    /// The same where it takes no time at all, so that no task is made for it; else the request comes back.
    fn at_once(&self, _caller: &Caller, run: Run) -> Result<Result<Value, Value>, Run> {
        Err(run)
    }
}

/// Wants to know when channels and connections end.
pub trait Watcher: Send + Sync {
    /// Something opened on a channel, a pong say.
    fn heard(&self, _channel: ChannelId) {}
    /// A channel ended.
    fn ended(&self, channel: ChannelId);
    /// A connection is gone.
    fn disconnected(&self, connection: Connection);
}

/// An `error`: a word for programs and a sentence for people.
pub fn failure(kind: &str, reason: impl Into<String>) -> Value {
    json!({ "type": kind, "reason": reason.into() })
}

/// All handlers by name.
#[derive(Default)]
pub(super) struct Handlers {
    named: RwLock<HashMap<&'static str, Arc<dyn Handler>>>,
}

impl Handlers {
    pub(super) fn register(&self, kind: &'static str, handler: Arc<dyn Handler>) {
        self.named.write().unwrap_or_else(PoisonError::into_inner).insert(kind, handler);
    }

    pub(super) fn find(&self, kind: &str) -> Result<Arc<dyn Handler>, Value> {
        let named = self.named.read().unwrap_or_else(PoisonError::into_inner);
        named.get(kind).cloned().ok_or_else(|| {
            let mut known: Vec<&str> = named.keys().copied().collect();
            known.sort_unstable();
            failure("unknown-run", format!("run.type is not known here; known are {}", known.join(", ")))
        })
    }
}

/// `health`: whether this node can do its work.
pub(crate) struct Health(pub(crate) Weak<App>);

impl Handler for Health {
    fn handle(&self, _: Caller, _: Run) -> BoxFuture<'static, Result<Value, Value>> {
        let app = self.0.upgrade();
        Box::pin(async move {
            let Some(app) = app else { return Err(failure("stopping", "the node stops")) };
            let version = env!("CARGO_PKG_VERSION");
            Ok(match app.ready().await {
                Ok(()) => json!({ "ready": true, "vantage": app.shared.identity.vantage(), "version": version }),
                Err(why) => json!({ "ready": false, "why": why, "version": version }),
            })
        })
    }
}

/// `view`: the signed view, with the parameters of `GET /v1/view`.
pub(crate) struct View(pub(crate) Arc<Views>);

impl Handler for View {
    fn handle(&self, caller: Caller, run: Run) -> BoxFuture<'static, Result<Value, Value>> {
        let views = Arc::clone(&self.0);
        Box::pin(async move {
            let question = view_question(pairs(run)).map_err(|problem| error(&problem))?;
            let signed = views.answer(&question, caller.from).await.map_err(|problem| error(&problem))?;
            let body = std::str::from_utf8(&signed.body).unwrap_or_default();
            Ok(json!({ "body": body, "signature": signed.signature.to_str().unwrap_or_default() }))
        })
    }
}

/// The fields of a `run` as the pairs of a query.
fn pairs(run: Run) -> Pairs {
    let Value::Object(fields) = run.into_value() else { return Pairs::new() };
    let fields = fields.into_iter().filter(|(name, _)| name != "type");
    fields
        .map(|(name, value)| match value {
            Value::String(text) => (name, text),
            other => (name, other.to_string()),
        })
        .collect()
}

fn error(problem: &Problem) -> Value {
    problem.as_error()
}
