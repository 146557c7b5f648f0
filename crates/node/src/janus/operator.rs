//! What the operator asks of a running janus, over the socket in the data directory.

use parallax_core::Fingerprint;
use parallax_janus::Mailbox;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Office;
use super::post::Health;
use crate::problem::Problem;

/// Rows of a page: what is read of an answer has a bound.
const PAGE: usize = 100;

/// `POST /ca/list`: from where on; nothing begins at the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Page {
    #[serde(default)]
    pub(crate) from: Option<String>,
}

/// `POST /ca/revoke`: a key's id, or a mailbox of which all keys are meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Revoke {
    pub(crate) what: String,
}

impl Office {
    /// How the authority stands, and a page of whom it has certified.
    pub(crate) async fn account(&self, page: &Page) -> Result<Value, Problem> {
        let keys = self.keys();
        let now = self.now()?;
        let current = keys.authority.current(self.settings.certificate_life, now).ok();
        let issuing: Vec<Value> = keys
            .authority
            .issuing()
            .map(|(key, end)| json!({ "key": key, "not_after": end, "issues": current == Some(key) }))
            .collect();
        let rows = self.books.page(page.from.as_deref().unwrap_or(" "), PAGE).await;
        let (certified, next) = rows.map_err(|error| self.not_recorded(&error))?;
        let (waiting, health) = self.post.stands();
        let denied: Vec<Value> =
            self.denials.first(PAGE).iter().map(|(key, until)| json!({ "key": key, "until": until })).collect();
        Ok(json!({
            "root": {
                "key": keys.authority.root_id(),
                "not_after": keys.authority.root_end(),
                "key_here": self.files.root_key().exists(),
            },
            "issuing": issuing,
            "mails_waiting": waiting,
            "mail_server": if health == Health::Well { "well" } else { "failing" },
            "denied": { "count": self.denials.len(), "first": denied },
            "certified": certified,
            "next": next,
        }))
    }

    /// Revokes a key, or all keys of a mailbox; the answer is which.
    pub(crate) async fn revoke_for_operator(&self, wish: &Revoke) -> Result<Value, Problem> {
        let keys: Vec<Fingerprint> = match wish.what.parse::<Fingerprint>() {
            Ok(key) => vec![key],
            Err(_) => {
                let bad = |why: parallax_janus::BadMailbox| {
                    Problem::parameter(
                        "what",
                        format!(
                            "it is neither a key's id (64 hex digits, as \"parallax ca list --json\" shows them) nor an address: {why}"
                        ),
                    )
                };
                let mailbox = Mailbox::from_typed(&wish.what).map_err(bad)?;
                self.keys_of(&mailbox).await?
            }
        };
        if keys.is_empty() {
            let detail = "no key is certified for this address here";
            return Err(Problem::new(http::StatusCode::NOT_FOUND, "not-found", detail));
        }
        self.revoke(&keys, self.now()?).await?;
        self.shared.metrics.janus.revoked("operator", keys.len());
        Ok(json!({ "revoked": keys }))
    }

    /// Reads the keys again, after `parallax ca rotate` has put a new one there.
    pub(crate) async fn reload_for_operator(self: std::sync::Arc<Self>) -> Result<Value, Problem> {
        let office = std::sync::Arc::clone(&self);
        let reloaded = tokio::task::spawn_blocking(move || office.reload()).await;
        let failed = |why: String| Problem::new(http::StatusCode::CONFLICT, "refused", why);
        reloaded.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
        let newest = self.keys().authority.issuing().next().map(|(key, end)| json!({ "key": key, "not_after": end }));
        Ok(json!({ "issuing": newest }))
    }
}
