//! `parallax call`: one request over a channel.

use std::path::Path;

use parallax_client::{Attached, CallError, Called, Channel, Deadline, QueueAccess, ServerUrl};
use parallax_proto::channel::{OwnKey, Run};
use serde_json::Value;

use super::key::own_key;
use super::{block_on, settings};
use crate::args::CallArgs;
use crate::failure::{DONE, Failure, NOT};
use crate::{logs, output, own_keys, progress};

/// Runs the command.
pub(crate) fn run(args: &CallArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let url: ServerUrl = args.url.parse().map_err(Failure::usage)?;
    let url = url.with_access(QueueAccess { credentials: args.bus_credentials.clone(), ca: args.bus_ca.clone() });
    let run = request(&args.request)?;
    let settings = settings(config, &args.flags())?;
    let key = match (&settings.id_mailbox, &args.key) {
        // In the clear whoever listens would read the mailbox in the certificate.
        (Some(mailbox), None) if !url.is_encrypted() => {
            let why = format!("{mailbox} is told over https:// alone; use that, or --no-id");
            return Err(Failure::usage(why));
        }
        (Some(_), None) => own_keys::for_hubs(&settings)?,
        _ => own_key(args.key.as_deref(), &settings)?,
    };
    logs::start("error")?;
    let called = block_on(async {
        let deadline = Deadline::within(settings.check.timeout);
        let asking = format!("asking {}", url.vantage().authority());
        let call = async {
            match args.websocket {
                true => over_websocket(url, key, run, deadline).await,
                false => over_http(url, key, &run, deadline).await,
            }
        };
        progress::waiting(asking, call).await.map_err(refused)
    })?;
    match called.outcome {
        Ok(value) => {
            output::print_json(&value)?;
            Ok(DONE)
        }
        Err(error) => {
            output::say(&format!("the server answers with an error: {}", sentence(&error)));
            Ok(NOT)
        }
    }
}

async fn over_http(url: ServerUrl, key: OwnKey, run: &Run, deadline: Deadline) -> Result<Called, CallError> {
    let channel = Channel::new(url, key)?;
    let called = channel.call(run, deadline).await;
    channel.close(deadline).await;
    called
}

async fn over_websocket(url: ServerUrl, key: OwnKey, run: Run, deadline: Deadline) -> Result<Called, CallError> {
    let attached = Attached::open(url, key, deadline).await?;
    let id = attached.caller().fresh_id()?;
    let called = attached.call(id, run, deadline).await;
    attached.close().await;
    called
}

/// `{"run": {"type": …}}`.
fn request(text: &str) -> Result<Run, Failure> {
    let bad = |why: String| {
        Failure::usage(format!("the request is not right: {why}; write {{\"run\": {{\"type\": \"health\"}}}}"))
    };
    let value: Value = serde_json::from_str(text).map_err(|why| bad(format!("it is not JSON ({why})")))?;
    let Value::Object(mut fields) = value else { return Err(bad("it is no JSON object".into())) };
    let run = fields.remove("run").ok_or_else(|| bad("\"run\" is missing".into()))?;
    if let Some(other) = fields.keys().next() {
        return Err(bad(format!("\"{}\" is not known", output::escape(other))));
    }
    Run::new(run).map_err(|why| bad(why.to_string()))
}

fn refused(error: CallError) -> Failure {
    match error {
        CallError::NoPin(_) | CallError::Send(_) => Failure::usage(error),
        error => Failure::not_done(error),
    }
}

/// A stranger's error in one line.
fn sentence(error: &Value) -> String {
    let part = |name: &str| error.get(name).and_then(Value::as_str).map(output::escape);
    match (part("type"), part("reason")) {
        (Some(kind), Some(reason)) => format!("{reason} ({kind})"),
        _ => output::escape(&error.to_string()),
    }
}
