//! What is said inside a channel: requests, answers, control.

use parallax_core::Timestamp;
use serde_json::{Map, Value, json};

use super::wire::{self, BadForm};

/// The longest `request_id`, in bytes.
pub const LONGEST_REQUEST_ID: usize = 64;

/// Why what was opened says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTalk {
    /// It can't be read.
    #[error("what was sealed can't be read: {0}")]
    Form(#[from] BadForm),
    /// It is neither a request nor control, or both.
    #[error("what was sealed must have either \"run\" or \"control\"")]
    Neither,
}

/// What a client calls its request by: 1 to [`LONGEST_REQUEST_ID`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(String);

impl RequestId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for RequestId {
    type Err = BadForm;

    fn from_str(text: &str) -> Result<Self, BadForm> {
        let fits = (1..=LONGEST_REQUEST_ID).contains(&text.len());
        let wanted = "a text of 1 to 64 bytes";
        fits.then(|| Self(text.to_owned())).ok_or(BadForm::Field { field: "request_id", wanted })
    }
}

/// What is to be done: an object with a `type`.
#[derive(Clone, Debug, PartialEq)]
pub struct Run(Value);

impl Run {
    /// From an object with a text `type`.
    pub fn new(value: Value) -> Result<Self, BadForm> {
        let wanted = "an object with a text \"type\"";
        let typed = value.get("type").is_some_and(Value::is_string);
        if typed { Ok(Self(value)) } else { Err(BadForm::Field { field: "run", wanted }) }
    }

    /// What kind of thing: `run.type`.
    pub fn kind(&self) -> &str {
        self.0.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// All of it.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// All of it.
    pub fn into_value(self) -> Value {
        self.0
    }
}

/// A [`Run`] as it is sent: written once, and not taken apart again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunText(String);

impl RunText {
    /// A message under its `type`; `None` when it is no JSON object.
    pub fn of(kind: &'static str, message: &impl serde::Serialize) -> Option<Self> {
        let mut text = format!("{{\"type\":{}", Value::from(kind)).into_bytes();
        let start = text.len();
        serde_json::to_writer(&mut text, message).ok()?;
        // The object's own brace becomes the comma behind the type, or nothing where it is empty.
        match text.get(start..)? {
            [b'{', b'}'] => drop(text.remove(start)),
            [b'{', ..] => *text.get_mut(start)? = b',',
            _ => return None,
        }
        String::from_utf8(text).ok().map(Self)
    }

    pub(super) fn write(&self, request_id: Option<&RequestId>) -> Vec<u8> {
        run_text(request_id, &self.0)
    }
}

fn run_text(request_id: Option<&RequestId>, run: &str) -> Vec<u8> {
    match request_id {
        Some(id) => format!("{{\"request_id\":{},\"run\":{run}}}", Value::from(id.as_str())).into_bytes(),
        None => format!("{{\"run\":{run}}}").into_bytes(),
    }
}

/// What keeps a channel going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Are you there?
    Ping,
    /// I am.
    Pong,
    /// The channel ends.
    Close,
}

impl Control {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Control::Ping => "ping",
            Control::Pong => "pong",
            Control::Close => "close",
        }
    }

    fn read(value: &Value) -> Result<Self, BadForm> {
        let known = [Control::Ping, Control::Pong, Control::Close];
        let control = known.into_iter().find(|control| value.as_str() == Some(control.as_str()));
        control.ok_or(BadForm::Field { field: "control", wanted: "ping, pong or close" })
    }

    pub(super) fn write(self) -> Vec<u8> {
        json!({ "control": self.as_str() }).to_string().into_bytes()
    }
}

/// A request or a push.
#[derive(Clone, Debug, PartialEq)]
pub enum Talk {
    /// Something to be done. Without an id it has no answer.
    Run {
        /// What the request is called by.
        request_id: Option<RequestId>,
        /// What is to be done.
        run: Run,
    },
    /// Control.
    Control(Control),
}

impl Talk {
    pub(super) fn read(plaintext: &[u8]) -> Result<Self, BadTalk> {
        let mut map = wire::object(plaintext)?;
        match (map.remove("run"), map.remove("control")) {
            (Some(run), None) => Ok(Talk::Run { request_id: request_id(&map)?, run: Run::new(run)? }),
            (None, Some(control)) => Ok(Talk::Control(Control::read(&control)?)),
            _ => Err(BadTalk::Neither),
        }
    }

    pub(super) fn write(request_id: Option<&RequestId>, run: &Run) -> Vec<u8> {
        run_text(request_id, &run.value().to_string())
    }
}

fn request_id(map: &Map<String, Value>) -> Result<Option<RequestId>, BadForm> {
    match map.get("request_id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some),
        Some(_) => Err(BadForm::Field { field: "request_id", wanted: "a text of 1 to 64 bytes" }),
    }
}

/// What a server adds to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The channel ends soon.
    Expiring,
}

/// What answers a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The request's.
    pub request_id: RequestId,
    /// `return`, or `error`.
    pub outcome: Result<Value, Value>,
    /// When the channel ends.
    pub valid_until: Timestamp,
    /// What else the server has to say. Unknown warnings are passed over.
    pub warnings: Vec<Warning>,
}

/// What comes back under a request's counter.
#[derive(Debug, PartialEq)]
pub(super) enum Back {
    Answer(Answer),
    Control(Control),
}

impl Answer {
    pub(super) fn write(&self) -> Vec<u8> {
        let (name, value) = match &self.outcome {
            Ok(value) => ("return", value),
            Err(value) => ("error", value),
        };
        let warnings: Vec<Value> = self.warnings.iter().map(|Warning::Expiring| json!({"type": "expiring"})).collect();
        let text = json!({
            "request_id": self.request_id.as_str(),
            name: value,
            "valid_until": self.valid_until,
            "warnings": warnings,
        });
        text.to_string().into_bytes()
    }
}

impl Back {
    pub(super) fn read(plaintext: &[u8]) -> Result<Self, BadTalk> {
        let mut map = wire::object(plaintext)?;
        if let Some(control) = map.get("control") {
            return Ok(Back::Control(Control::read(control)?));
        }
        let outcome = match (map.remove("return"), map.remove("error")) {
            (Some(value), None) => Ok(value),
            (None, Some(value)) => Err(value),
            _ => return Err(BadForm::Field { field: "return", wanted: "there, or \"error\", and not both" }.into()),
        };
        let wanted = BadForm::Field { field: "request_id", wanted: "there" };
        let until = wire::text(&map, "valid_until")?.parse();
        let valid_until = until.map_err(|_| BadForm::Field { field: "valid_until", wanted: "a time in RFC 3339" })?;
        Ok(Back::Answer(Answer {
            request_id: request_id(&map)?.ok_or(wanted)?,
            outcome,
            valid_until,
            warnings: warnings(&map),
        }))
    }
}

fn warnings(map: &Map<String, Value>) -> Vec<Warning> {
    let all = map.get("warnings").and_then(Value::as_array).into_iter().flatten();
    all.filter(|warning| warning.get("type").and_then(Value::as_str) == Some("expiring"))
        .map(|_| Warning::Expiring)
        .take(1)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_said() {
        for (text, good) in [
            (r#"{"run":{"type":"health"}}"#, true),
            (r#"{"request_id":"1","run":{"type":"health","x":{}},"more":1}"#, true),
            (r#"{"control":"ping"}"#, true),
            (r#"{"control":"pang"}"#, false),
            (r#"{"control":"ping","run":{"type":"health"}}"#, false),
            (r#"{}"#, false),
            (r#"{"run":{}}"#, false),
            (r#"{"run":{"type":1}}"#, false),
            (r#"{"run":"health"}"#, false),
            (r#"{"request_id":1,"run":{"type":"health"}}"#, false),
            (r#"{"request_id":"","run":{"type":"health"}}"#, false),
            (r#"{"run":{"type":"a","type":"b"}}"#, false),
        ] {
            assert_eq!(Talk::read(text.as_bytes()).is_ok(), good, "{text}");
        }
        assert!(RequestId::from_str(&"x".repeat(64)).is_ok() && RequestId::from_str(&"x".repeat(65)).is_err());
    }

    use std::str::FromStr as _;

    #[test]
    fn answers_come_back_as_they_went() {
        for outcome in [Ok(json!({"a": 1})), Err(json!("no")), Ok(Value::Null)] {
            for warnings in [vec![], vec![Warning::Expiring]] {
                let answer = Answer {
                    request_id: "7".parse().unwrap(),
                    outcome: outcome.clone(),
                    valid_until: Timestamp::from_unix_ms(1_700_000_000_000),
                    warnings,
                };
                assert_eq!(Back::read(&answer.write()), Ok(Back::Answer(answer)));
            }
        }
        assert!(Back::read(br#"{"request_id":"7","valid_until":"2026-11-25T00:00:00Z"}"#).is_err());
    }
}
