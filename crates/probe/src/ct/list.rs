//! A file of logs, in the format in which browsers publish theirs (`log_list.json`, version 3).

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parallax_core::{Fingerprint, Timestamp};
use serde::Deserialize;

use super::known::{CtLogs, Log, read_key};
use crate::suite::sha256;

/// The largest file that is read. Published lists have some 100 KiB.
const LARGEST: usize = 4 * 1024 * 1024;

/// Why a list of logs is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLogList {
    /// It is larger than any list of logs.
    #[error("a list of CT logs has at most 4 MiB; this has {0} bytes")]
    TooLarge(usize),
    /// It is no list of logs.
    #[error("it is no list of CT logs (log_list.json, version 3): {0}")]
    Format(String),
    /// Something is not base64.
    #[error("the {field} of the log {log} is not base64")]
    Base64 {
        /// Which log.
        log: String,
        /// Which field.
        field: &'static str,
    },
    /// The id is not that of the key (RFC 6962 section 3.2).
    #[error("the log {log} has the log_id {found}; the SHA-256 of its key is {wanted}")]
    Id {
        /// Which log.
        log: String,
        /// What is written there, in hex.
        found: String,
        /// What its key says.
        wanted: Fingerprint,
    },
    /// The key is none that logs have (RFC 6962 section 2.1.4).
    #[error("the key of the log {log} is neither P-256 nor RSA of 2048 bits or more")]
    Key {
        /// Which log.
        log: String,
    },
    /// A log is in several states.
    #[error("the log {log} has {found} states; it can have one")]
    States {
        /// Which log.
        log: String,
        /// How many.
        found: usize,
    },
    /// A log is listed twice.
    #[error("the log {log} is listed twice")]
    Twice {
        /// Which log.
        log: String,
    },
    /// Nothing in it counts.
    #[error("it lists no log that counts: qualified, usable, readonly or retired, and for production")]
    Empty,
}

#[derive(Deserialize)]
struct ListFile {
    operators: Vec<Operator>,
}

#[derive(Deserialize)]
struct Operator {
    name: String,
    #[serde(default)]
    logs: Vec<Listed>,
    /// Logs of the newer reading interface; their SCTs are the same.
    #[serde(default)]
    tiled_logs: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    description: Option<String>,
    log_id: String,
    key: String,
    log_type: Option<String>,
    #[serde(default)]
    state: BTreeMap<String, State>,
}

#[derive(Deserialize)]
struct State {
    timestamp: Timestamp,
}

impl CtLogs {
    /// The logs of a file. Those that are pending, rejected, in a state that is not known here or for tests are left out;
    /// without a state a log counts.
    pub fn from_json(file: &[u8]) -> Result<Self, BadLogList> {
        if file.len() > LARGEST {
            return Err(BadLogList::TooLarge(file.len()));
        }
        let read: ListFile = serde_json::from_slice(file).map_err(|error| BadLogList::Format(error.to_string()))?;
        let mut logs = BTreeMap::new();
        for operator in &read.operators {
            let name: Arc<str> = operator.name.as_str().into();
            for listed in operator.logs.iter().chain(&operator.tiled_logs) {
                let Some((id, log)) = listed.read(&name)? else { continue };
                if logs.insert(id, log).is_some() {
                    return Err(BadLogList::Twice { log: listed.label() });
                }
            }
        }
        if logs.is_empty() { Err(BadLogList::Empty) } else { Ok(Self(Arc::new(logs))) }
    }
}

impl Listed {
    /// `None` when it does not count.
    fn read(&self, operator: &Arc<str>) -> Result<Option<(Fingerprint, Log)>, BadLogList> {
        let key = self.base64("key", &self.key)?;
        let (found, id) = (self.base64("log_id", &self.log_id)?, sha256(&key));
        if found != id.as_bytes() {
            return Err(BadLogList::Id { log: self.label(), found: hex(&found), wanted: id });
        }
        let Some(retired) = self.retired()? else { return Ok(None) };
        let (key, algorithm) = read_key(&key).ok_or_else(|| BadLogList::Key { log: self.label() })?;
        Ok(Some((id, Log { operator: Arc::clone(operator), key, algorithm, retired })))
    }

    /// When it was retired, if it was; `None` when it never counted.
    fn retired(&self) -> Result<Option<Option<Timestamp>>, BadLogList> {
        if self.state.len() > 1 {
            return Err(BadLogList::States { log: self.label(), found: self.state.len() });
        }
        if self.log_type.as_deref().is_some_and(|kind| kind != "prod") {
            return Ok(None);
        }
        Ok(match self.state.iter().next().map(|(name, state)| (name.as_str(), state.timestamp)) {
            None | Some(("qualified" | "usable" | "readonly", _)) => Some(None),
            Some(("retired", at)) => Some(Some(at)),
            Some(_) => None,
        })
    }

    fn base64(&self, field: &'static str, text: &str) -> Result<Vec<u8>, BadLogList> {
        STANDARD.decode(text).map_err(|_| BadLogList::Base64 { log: self.label(), field })
    }

    fn label(&self) -> String {
        let text = self.description.as_ref().unwrap_or(&self.log_id);
        format!("\"{}\"", text.chars().take(80).collect::<String>().escape_debug())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect()
}
